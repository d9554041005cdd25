"""Rule 9: a saved model comes back as it was, anywhere, and loading it is safe."""

from __future__ import annotations

import shutil
from pathlib import Path

from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import MANIFEST, load, read_manifest
from smalltext_testing.check import BrokenRuleError, expect, rule
from smalltext_testing.child import probabilities_in_new_process
from smalltext_testing.pickles import pickles_in
from smalltext_testing.subject import Subject, difference, same_bits


@rule(9)
def check_saved_model_loads_in_new_process(subject: Subject) -> None:
    """smalltext_core.load in a new process, without the network, gives the same probabilities bit for bit.

    Models are trained on one machine and used on another, which may have no network, by a program that does not
    know which class it loads.

    What to do: write everything that predicting needs into the folder (tokenizer, vocabulary, configuration) by
    smalltext_core.saving.model_folder; keep floats in their own precision; register the classifier by an entry
    point, under the name that the manifest gives.
    """
    proba = probabilities_in_new_process("load", subject.saved, subject.texts)
    expect(
        same_bits(proba, subject.proba),
        seen=f"other probabilities after loading: {difference(proba, subject.proba)}",
        expected="the same bits",
    )


@rule(9)
def check_saved_model_holds_no_pickle(subject: Subject) -> None:
    """No file of a saved model is a pickle or holds one.

    Loading a pickle runs any code that its author chose, and models are files that people get from strangers.

    What to do: write numbers as .npy (without objects) or safetensors, everything else as JSON; scikit-learn
    estimators through skops.
    """
    found = pickles_in(subject.saved)
    expect(not found, seen=f"pickles: {', '.join(found)}", expected="files that hold data alone")


@rule(9)
def check_damaged_model_is_refused(subject: Subject) -> None:
    """A saved model of which one byte has changed is refused with ModelFolderError, whichever file it is in.

    A copy that broke off, or a file that somebody exchanged, gives a classifier that works and is wrong.

    What to do: write all files inside smalltext_core.saving.model_folder, which notes their hashes, and begin
    load with smalltext_core.saving.read_manifest, which compares them.
    """
    folder = subject.folder("damaged")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(subject.saved, folder)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        middle = len(content) // 2
        damaged = content[:middle] if path.name == MANIFEST else _with_flipped_byte(content, middle)
        path.write_bytes(damaged)
        _expect_load_refused(folder, path.relative_to(folder).as_posix())
        path.write_bytes(content)


def _with_flipped_byte(content: bytes, position: int) -> bytes:
    if not content:
        return b"\xff"
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


def _expect_load_refused(folder: Path, name: str) -> None:
    try:
        load(folder)
    except ModelFolderError:
        return
    except Exception as error:
        raise BrokenRuleError(
            f"with {name} damaged, load ends in {type(error).__name__}: {str(error)[:200]}", "a ModelFolderError"
        ) from error
    raise BrokenRuleError(f"with {name} damaged, load gives a classifier", "a ModelFolderError")


@rule(9)
def check_label_names_travel_with_the_model(subject: Subject) -> None:
    """The label names of the training set are in the manifest, and still there when a loaded model is saved again.

    Class 1 is "spam" for the people who use the model, and the training set is not there any more to tell them.

    What to do: keep train_set.label_names in fit, pass them to smalltext_core.saving.model_folder, and take them
    from the manifest in load.
    """
    names = subject.train_set.label_names
    assert names is not None
    again = subject.folder("saved-again")
    if not again.exists():
        load(subject.saved).save(again)
    for folder, where in ((subject.saved, "saved"), (again, "saved, loaded and saved again")):
        found = read_manifest(folder).label_names
        expect(found == names.names, seen=f"{where}, the label names are {found}", expected=f"{names.names}")
