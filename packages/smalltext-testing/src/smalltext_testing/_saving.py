"""Rules 9 and 10: saving and loading, and other processes."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from smalltext_core import TextDataset, load
from smalltext_core.errors import ModelFolderError, UnsupportedError
from smalltext_core.saving import MANIFEST, read_manifest
from smalltext_testing._check import (
    BrokenRuleError,
    NotApplicableError,
    attempt,
    environment,
    expect,
    expect_error,
    expect_same_bits,
    rule,
    same_bits,
)
from smalltext_testing._context import CheckContext
from smalltext_testing._probabilities import expect_probabilities

_TIMEOUT = 900
_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle")
_RUNS_CODE = {"GLOBAL", "STACK_GLOBAL", "REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"}


@rule(9)
def check_saved_model_loads_in_new_process(context: CheckContext) -> None:
    """A saved model, loaded in a new process without network access, gives the same probabilities bit for bit.

    Why: Models are used on other machines, by programs that call smalltext_core.load without knowing the class.
    What to do: write all that prediction needs by smalltext_core.saving.model_folder; keep the precision of
    floats; register the classifier by an entry point, under the name in the manifest.
    """
    proba = _proba_of_new_process(context, "load")
    expect_same_bits(proba, context.proba, "other probabilities after loading")


@rule(9)
def check_saved_model_contains_no_pickle(context: CheckContext) -> None:
    """No file of a saved model is a pickle or contains one.

    Why: Loading a pickle runs any code that its author chose, and models are shared like documents.
    What to do: write numbers as .npy (without objects) or safetensors, the rest as JSON; estimators with skops.
    """
    found = pickles_in(context.saved)
    expect(not found, seen=f"pickles: {', '.join(found)}", expected="files that contain only data")


@rule(9)
def check_damaged_model_is_refused(context: CheckContext) -> None:
    """A saved model is refused with ModelFolderError if one byte of any of its files has changed.

    Why: An interrupted copy, or a file that was replaced, gives a classifier that works and is wrong.
    What to do: write all files inside smalltext_core.saving.model_folder, which records their hashes, and begin
    load with smalltext_core.saving.read_manifest, which verifies them.
    """
    folder = _copy_of_saved(context, "damaged")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        damaged = bytearray(content or b"\0")
        damaged[len(content) // 2] ^= 0xFF
        path.write_bytes(content[: len(content) // 2] if path.name == MANIFEST else damaged)
        what = f"with {path.relative_to(folder).as_posix()} damaged, load"
        expect_error(ModelFolderError, "a ModelFolderError", what, load, folder)
        path.write_bytes(content)


def _copy_of_saved(context: CheckContext, name: str) -> Path:
    """Copy the saved model to a folder of that name, for changes."""
    folder = context.path(name)
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(context.saved, folder))


@rule(9)
def check_label_names_are_saved(context: CheckContext) -> None:
    """The label names of the training set are in the manifest, also if a loaded model is saved again.

    Why: The users of a model know class 1 by its name, and do not have the training set. It may name fewer classes
    than `num_classes`, if further ones come in later rounds.
    What to do: keep train_set.label_names in fit, pass them to model_folder, and restore them in load.
    """
    names = context.train_set.label_names
    assert names is not None
    again = context.path("saved-again")
    if not again.exists():
        load(context.saved).save(again)
    for folder, where in ((context.saved, "saved"), (again, "saved, loaded and saved again")):
        found = read_manifest(folder).label_names
        expect(found == names.names, seen=f"{where}, the label names are {found}", expected=f"{names.names}")
    fewer = _copy_of_saved(context, "fewer-names")
    manifest = json.loads((fewer / MANIFEST).read_text(encoding="utf-8"))
    manifest["label_names"] = list(names.names[:-1])
    (fewer / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    loaded, error = attempt(load, fewer)
    seen = f"a model that names all classes but one is refused, {type(error).__name__}: {error}"
    expect(loaded is not None, seen=seen, expected="load returns it")


@rule(9)
def check_saved_model_can_be_replaced(context: CheckContext) -> None:
    """A model that is saved over another one replaces it; classifiers that were loaded before stay as they are.

    Why: A model that is retrained every night is saved to the same folder, while programs use the previous one.
    What to do: write all files inside smalltext_core.saving.model_folder, which replaces a saved model at once.
    Read them in load, not later, when they may belong to another model.
    """
    folder, (later, proba) = _copy_of_saved(context, "replaced"), context.later
    loaded = context.load(folder)
    for what, classifier, wanted in (("a second model", later, proba), ("the first model", loaded, context.proba)):
        _, error = attempt(classifier.save, folder)
        seen = f"saving {what} over the other one raises {error!r}"
        expect(error is None, seen=seen, expected="it replaces the other one")
        saved, found = f"after saving {what} over the other one", load(folder).predict_proba(context.texts)
        expect_same_bits(found, wanted, f"{saved}, load gives other probabilities", f"those of {what}")
        found, seen = loaded.predict_proba(context.texts), "the classifier that was loaded before gives others"
        expect_same_bits(found, context.proba, f"{saved}, {seen}", "the same as before")


@rule(9)
def check_loaded_model_can_be_trained(context: CheckContext) -> None:
    """A loaded model that is trained gives what a new classifier with the same parameters gives, or refuses it.

    Why: Active learning goes on after a restart with the loaded classifier. A parameter that is lost on saving,
    such as a seed or class_weight, changes the results without an error.
    What to do: write the parameters of the constructor to the manifest, and pass them to it in load. If a loaded
    model can only predict, its fit raises smalltext_core.errors.UnsupportedError.
    """
    context.require_fits_from_scratch()
    classifier, wanted = context.later
    loaded = context.load(context.saved)
    try:
        loaded.fit(context.later_train_set)
    except UnsupportedError as error:
        raise NotApplicableError(f"a loaded model cannot be trained: {error}") from error
    found = loaded.predict_proba(context.texts)
    expect(
        not same_bits(found, context.proba) or same_bits(wanted, context.proba),
        seen="after training a loaded model on other texts, the same probabilities as before",
        expected="those of a new classifier that is trained on them",
    )
    if context.repeatable:
        seen = "after training a loaded model, other probabilities than those of a new classifier"
        expect_same_bits(found, wanted, seen)
        _expect_same_labels(classifier, loaded, context, "after training the loaded model")


@rule(9)
def check_calibration_and_thresholds_are_saved(context: CheckContext) -> None:
    """A loaded model predicts the labels of the saved one, and has its calibration and its thresholds.

    Why: Thresholds that were chosen in training and are lost on saving change the labels, not the probabilities.
    What to do: write calibration_, multi_label_threshold_ and the parameter multi_label_threshold to the saved
    model, and restore them in load; `smalltext_core.calibration.Calibration` has to_json() and from_json().
    """
    fitted, loaded = context.fitted, load(context.saved)
    if context.multi_label:
        wanted, found = (getattr(each, "multi_label_threshold", None) for each in (fitted, loaded))
        seen = f"multi_label_threshold is {found} after loading"
        expect(_threshold(found) == _threshold(wanted), seen=seen, expected=f"{wanted}, as before")
    _expect_same_labels(fitted, loaded, context, "after loading")


def _expect_same_labels(original: Any, loaded: Any, context: CheckContext, when: str) -> None:
    """Expect that a loaded classifier has the calibration and the thresholds of another one, and its labels."""
    for name in ("calibration_", "multi_label_threshold_"):
        wanted, found = getattr(original, name, None), getattr(loaded, name, None)
        same = _as_data(found) == _as_data(wanted)
        expect(same, seen=f"{when}, {name} is {found}", expected=f"{wanted}, as without saving and loading")
    wanted, found = (each.predict(context.texts) for each in (original, loaded))
    same = (wanted != found).nnz == 0 if context.multi_label else np.array_equal(wanted, found)
    expect(same, seen=f"other labels {when}", expected="the same labels")


def _threshold(given: Any) -> Any:
    """Return a parameter multi_label_threshold as a comparable value, in the precision of probabilities."""
    if isinstance(given, str):
        return given
    return np.array(0.5 if given is None else given, dtype=np.float32).tolist()


def _as_data(value: Any) -> Any:
    """Return a value as comparable lists, dicts and numbers."""
    if callable(getattr(value, "to_json", None)):
        return value.to_json()
    return value.tolist() if isinstance(value, np.ndarray) else value


@rule(10)
def check_factory_works_in_another_process(context: CheckContext) -> None:
    """A factory that was pickled makes and trains classifiers in another process, with a seed equal bit for bit.

    Why: Schedulers distribute work to many machines that way.
    What to do: keep only plain parameters in the factory, and define its class at the top level of a module. If
    the bits differ, look for iteration over sets: their order differs between processes.
    """
    assert context.fitted is not None
    proba = _proba_of_new_process(context, "train")
    expect_probabilities(proba, len(context.texts), context.num_classes, "predict_proba in another process")
    if context.repeatable:
        expect_same_bits(proba, context.proba, "other probabilities than in this process")


def _proba_of_new_process(context: CheckContext, task: Literal["load", "train"]) -> NDArray[Any]:
    """Return the probabilities of the shared classifier, loaded or trained in a new process.

    One process does both, loading first, since importing a backend takes longer than either task.
    """
    if context.new_process is None:
        sources: dict[str, Path] = {}
        for name, source in _SOURCES.items():
            path, error = attempt(source, context)
            if path is not None:
                sources[name] = path
            elif error is not None and name == task:
                raise error
        context.new_process = probabilities_in_new_process(sources, context.texts)
    if task not in context.new_process:
        _SOURCES[task](context)  # raises the same exception
    found = context.new_process[task]
    if isinstance(found, BrokenRuleError):
        raise found
    return found


def train_in_new_process(context: CheckContext) -> NDArray[Any]:
    """Return the probabilities of a classifier after training in a new Python process."""
    found = probabilities_in_new_process({"train": _pickled(context)}, context.texts)["train"]
    if isinstance(found, BrokenRuleError):
        raise found
    return found


def _pickled(context: CheckContext) -> Path:
    path = context.path("factory")
    path.write_bytes(pickle.dumps((context.factory, context.train_set)))
    return path


_SOURCES: dict[str, Callable[[CheckContext], Path]] = {"load": lambda context: context.saved, "train": _pickled}


def probabilities_in_new_process(
    sources: Mapping[str, Path], texts: TextDataset
) -> dict[str, NDArray[Any] | BrokenRuleError]:
    """Return the probabilities of texts, computed by classifiers in a new Python process, by task.

    The task "load" loads a saved model, without network access and from another working folder; the task "train"
    uses a pickle of a factory and a training set. If a task ends the process, the next one runs in a new one.
    """
    found: dict[str, NDArray[Any] | BrokenRuleError] = {}
    with tempfile.TemporaryDirectory(prefix="smalltext-check-") as folder:
        Path(folder, "texts.json").write_text(json.dumps(texts.x), encoding="utf-8")
        code = f"import sys; from {__name__} import main; main(*sys.argv[1:])"
        arguments = [str(part) for task, source in sources.items() for part in (task, source.absolute())]
        done = subprocess.run(  # noqa: S603 - our own code, run by our own Python
            [sys.executable, "-c", code, folder, *arguments],
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
        for task in sources:
            proba, error = Path(folder, f"{task}.npy"), Path(folder, f"{task}.txt")
            if proba.exists():
                found[task] = np.load(proba, allow_pickle=False)
                continue
            text = error.read_text(encoding="utf-8") if error.exists() else done.stderr
            lines = "\n".join(text.strip().splitlines()[-6:])
            found[task] = BrokenRuleError(
                f"a new Python process fails to {task} the classifier:\n{lines}", "the same as in this process"
            )
            if not error.exists():
                break
    others = {task: source for task, source in sources.items() if task not in found}
    return found | (probabilities_in_new_process(others, texts) if others else {})


def main(folder: str, *arguments: str) -> None:
    """Run tasks in a new process, and write the probabilities or the exception of each to a folder."""
    texts = TextDataset(json.loads(Path(folder, "texts.json").read_text(encoding="utf-8")))
    tasks = {"load": _proba_of_loaded, "train": _proba_of_trained}
    for task, source in zip(arguments[::2], arguments[1::2], strict=True):
        proba, error = attempt(tasks[task], source, texts)
        if isinstance(error, SystemExit):
            raise error
        if error is not None:
            trace = "".join(traceback.format_exception(error))
            Path(folder, f"{task}.txt").write_text(trace, encoding="utf-8", errors="replace")
        else:
            np.save(Path(folder, f"{task}.npy"), np.asarray(proba), allow_pickle=False)
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        os._exit(0)  # the process would wait for them; other checks report threads that are left running


def _proba_of_trained(source: str, texts: TextDataset) -> Any:
    factory, train_set = pickle.loads(Path(source).read_bytes())  # noqa: S301 - the parent process wrote it
    return factory.new().fit(train_set).predict_proba(texts)


def _proba_of_loaded(source: str, texts: TextDataset) -> Any:
    with _without_network(), tempfile.TemporaryDirectory(prefix="smalltext-check-") as elsewhere:
        here = Path.cwd()
        os.chdir(elsewhere)
        try:
            return load(source).predict_proba(texts)
        finally:
            os.chdir(here)


@contextmanager
def _without_network() -> Iterator[None]:
    """Make every internet connection of this process fail immediately."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("the network is blocked: loading a saved model must not need it")

    def connect_locally(self: socket.socket, address: Any) -> None:
        connect(self, address) if self.family == getattr(socket, "AF_UNIX", None) else refuse()

    socket.socket.connect = socket.socket.connect_ex = connect_locally  # type: ignore[assignment,method-assign]
    socket.getaddrinfo = refuse
    try:
        yield
    finally:
        socket.socket.connect, socket.socket.connect_ex = connect, connect_ex  # type: ignore[method-assign]
        socket.getaddrinfo = getaddrinfo


def pickles_in(folder: Path) -> list[str]:
    """Return the files below a folder that are pickles or contain one, as "name (reason)"."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    reasons = {name: reason_to_see_a_pickle(name, path.read_bytes()) for name, path in files.items()}
    return [f"{name} ({reason})" for name, reason in reasons.items() if reason]


def reason_to_see_a_pickle(name: str, content: bytes) -> str:
    """Return why a file is regarded as a pickle, or as a container of one, or an empty string if it is not.

    Files are recognised by their content, regardless of their name.

    Examples
    --------
    >>> reason_to_see_a_pickle("model.bin", pickle.dumps([1, 2]))
    'a pickle stream'
    >>> reason_to_see_a_pickle("vocabulary.json", b'{"a": 1}')
    ''
    """
    if name.lower().endswith(_SUFFIXES):
        return "by its name"
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                reason = reason_to_see_a_pickle(member, archive.read(member))
                if reason:
                    return f"contains {member}, {reason}"
        return ""
    if content.startswith(b"\x93NUMPY"):
        _, error = attempt(np.load, io.BytesIO(content), allow_pickle=False)
        return "an array of Python objects" if isinstance(error, ValueError) else ""
    return "a pickle stream" if _is_pickle(content) else ""


def _is_pickle(content: bytes) -> bool:
    """Return whether content starts with a complete pickle of protocol 2 or later, or is one that runs code."""
    names, end = set(), 0
    try:
        for opcode, _, position in pickletools.genops(content):
            names.add(opcode.name)
            end = (position or 0) + 1
    except Exception:
        return False
    return "PROTO" in names or (end == len(content.rstrip()) and bool(names & _RUNS_CODE))
