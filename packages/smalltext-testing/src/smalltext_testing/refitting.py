"""Rule 8: training once, training again, and training twenty times."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from smalltext_core.dataset import TextDataset
from smalltext_testing.check import expect, not_applicable, rule
from smalltext_testing.child import probabilities_in_new_process
from smalltext_testing.subject import Subject, difference, same_bits

ROUNDS = 20
_WARM_UP = 3
_MEGABYTE = 1 << 20


@rule(8)
def check_fit_trains_and_returns_itself(subject: Subject) -> None:
    """A TextDataset of plain sentences can be trained on, and fit returns the classifier itself.

    Every classifier takes plain texts: that is what makes one interchangeable with another by its name. And
    `factory.new().fit(train_set)` is how all of them are used.

    What to do: turn the TextDataset into whatever the model needs inside fit; end fit with `return self`.
    """
    training = subject.training
    if training.error is not None:
        raise training.error
    expect(
        training.returned is training.classifier,
        seen=f"fit returned a {type(training.returned).__name__}",
        expected="the classifier itself",
    )


@rule(8)
def check_fit_again_starts_again(subject: Subject) -> None:
    """A second fit forgets the first: it gives what a new classifier gives.

    An active learner fits the same object again and again. Were each training to go on from the last one, results
    would depend on the history, and labels that were corrected would live on. A classifier whose attribute
    `warm_start` is true is meant to go on.

    What to do: make the model, the vocabulary, the optimizer and the early stopping anew in each fit.
    """
    if subject.attribute("warm_start"):
        raise not_applicable("warm_start is on: a second fit goes on from the first")
    subject.require_repeatable()
    classifier = subject.new().fit(TextDataset(subject.train_set.x, subject.opposite_labels))
    proba = classifier.fit(subject.train_set).predict_proba(subject.texts)
    expect(
        same_bits(proba, subject.proba),
        seen=f"first trained on opposite labels, other probabilities: {difference(proba, subject.proba)}",
        expected="the bits that a new classifier gives",
    )


@rule(8)
def check_classifiers_share_nothing(subject: Subject) -> None:
    """What one classifier learns is its own: another one that is trained beside it gives what it would give alone.

    Committees, cross-validation and servers hold many classifiers in one process. State at the level of a module
    or a class (a cache, a vocabulary, a list that grows) lets the labels of one leak into all.

    What to do: keep what `fit` learns in attributes of the object, and look for mutable values in modules, class
    bodies and default arguments, and for functools.cache.
    """
    before = subject.proba
    subject.new().fit(TextDataset(subject.train_set.x, subject.opposite_labels))
    beside = subject.train(seed=1).classifier.predict_proba(subject.texts)
    if same_bits(beside, before):
        return
    alone, again = (_alone(subject) for _ in range(2))
    if not same_bits(alone, again):
        raise not_applicable("two trainings differ by chance; give the factory a seed to have this checked")
    expect(
        same_bits(beside, alone),
        seen=f"after another was trained on opposite labels, other probabilities: {difference(beside, alone)}",
        expected="the bits of the first training in a new process, which are the same each time",
    )


def _alone(subject: Subject) -> NDArray[Any]:
    """Return what a classifier says that is the first to be trained in its process."""
    path = subject.folder("factory-alone")
    try:
        path.write_bytes(pickle.dumps((subject.factory, subject.train_set)))
    except Exception as error:
        raise not_applicable(
            "the factory cannot be pickled, see check_factory_works_in_another_process"
        ) from error
    return probabilities_in_new_process("train", path, subject.texts)


@rule(8)
def check_twenty_rounds_leave_no_files(subject: Subject) -> None:
    """Twenty rounds of fit and predict leave no file behind, neither in the working nor in the temporary folder.

    Checkpoints of a few hundred megabytes each fill a disk within an evening of active learning.

    What to do: keep checkpoints in memory, or in a tempfile.TemporaryDirectory that ends with fit; give trainers
    an output folder of that kind.
    """
    _, left = _rounds(subject)
    expect(
        not left,
        seen=f"{len(left)} files or folders are left, such as {', '.join(left[:3])}",
        expected="none",
    )


@rule(8)
def check_twenty_rounds_hold_memory_flat(subject: Subject) -> None:
    """Twenty rounds of fit and predict need no more memory than three.

    A model that is kept alive by a callback or a cache each time ends a long run on a machine that could have
    done it.

    What to do: look for references to old models in lists, caches, closures, loggers and reference cycles.
    """
    if not _STATM.exists():
        raise not_applicable(f"memory is read from {_STATM}, which {sys.platform} does not have")
    memory, _ = _rounds(subject)
    early, late = memory[_WARM_UP - 1], min(memory[-3:])
    expect(
        late <= early * 1.05 + 20 * _MEGABYTE,
        seen=f"{early / _MEGABYTE:.0f} MB after round {_WARM_UP}, {late / _MEGABYTE:.0f} MB after round {ROUNDS}",
        expected="growth of at most 5 % and 20 MB",
    )


_STATM = Path("/proc/self/statm")


def _resident_memory() -> int:
    """Return the bytes of memory that this process holds, 0 where that is not known."""
    if not _STATM.exists():
        return 0
    _release_free_memory()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _release_free_memory() -> None:
    """Give memory that is free back to the system, where the C library can: growth could hide in it otherwise."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _rounds(subject: Subject) -> tuple[list[int], list[str]]:
    """Return the memory after each round of fit and predict, and the files that are left; done once a subject."""
    if subject.rounds is None:
        classifier, memory, here = subject.new(), [], Path.cwd()
        with _private_folders() as left, _quick_garbage_collection():
            for number in range(ROUNDS):
                try:
                    classifier.fit(subject.train_set)
                except Exception:
                    if number:
                        raise
                    os.chdir(here)  # a path such as ../model leads elsewhere from a private folder
                    classifier.fit(subject.train_set)
                classifier.predict(subject.texts)
                gc.collect()
                memory.append(_resident_memory())
        subject.rounds = memory, left
    return subject.rounds


@contextmanager
def _quick_garbage_collection() -> Iterator[None]:
    """Exempt what exists already from garbage collection, which would go through every module in each round."""
    gc.collect()
    if gc.get_freeze_count():  # the caller has exempted objects, which stay so
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _private_folders() -> Iterator[list[str]]:
    """Give a list that holds, after the block, what it left in the working folder and in the temporary one.

    Both are private while it runs, so that files that other processes write meanwhile are not held against the
    classifier. The entries of the working folder are linked, so that relative paths lead where they did.
    """
    variables = ("TMPDIR", "TEMP", "TMP")
    old, default, here = {name: os.environ.get(name) for name in variables}, tempfile.tempdir, Path.cwd()
    left: list[str] = []
    with tempfile.TemporaryDirectory(prefix="smalltext-check-", ignore_cleanup_errors=True) as private:
        temporary, working = Path(private, "temporary"), Path(private, "working")
        temporary.mkdir()
        linked = _linked(here, working)
        os.environ.update(dict.fromkeys(variables, str(temporary)))
        tempfile.tempdir = str(temporary)
        os.chdir(working)
        try:
            yield left
        finally:
            os.chdir(here)
            tempfile.tempdir = default
            for name, value in old.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            left += sorted(f"{path.name} (temporary folder)" for path in temporary.iterdir())
            left += sorted(f"{name} (working folder)" for name in _names(working) - linked)


def _linked(source: Path, target: Path) -> set[str]:
    """Make a folder of links to the entries of another one, and return their names."""
    target.mkdir()
    with suppress(OSError):  # where links may not be made, or the folder may not be listed
        for path in source.iterdir():
            (target / path.name).symlink_to(path)
    return _names(target)


def _names(folder: Path) -> set[str]:
    """Return the names in a folder, but for the bytecode that Python writes."""
    return {path.name for path in folder.iterdir()} - {"__pycache__"}
