"""Rules 6, 8 and 9: training with a seed and repeatedly, and what it and saving leave behind in the process."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from smalltext_core import TextDataset
from smalltext_core.saving import read_manifest
from smalltext_testing._check import (
    NotApplicableError,
    attempt,
    changed_generators,
    changed_settings,
    expect,
    expect_same_bits,
    global_random_state,
    global_seed,
    original_settings,
    process_settings,
    recording_settings,
    rule,
    same_bits,
)
from smalltext_testing._context import CheckContext, Rounds
from smalltext_testing._saving import train_in_new_process

_ROUNDS = 20
_WARM_UP = 3
_MEASURED_ROUNDS = (_WARM_UP, _ROUNDS - 2, _ROUNDS - 1, _ROUNDS)
_REPEATED = 3
"""How often a method is called, to see whether each call leaves something behind, not only one of them."""
_MEGABYTE = 1 << 20
_SECONDS_TO_END = 10.0
"""How long to wait for threads that end by themselves, in which case no check fails."""
_STATM = Path("/proc/self/statm")
_DESCRIPTORS = Path("/dev/fd")
_FURTHER_WORDS = "quixotic zephyrs jinxed"
"""Words of the unseen texts that are not in the training texts."""


def _require_seed(context: CheckContext) -> None:
    if context.attribute("seed") is None:
        raise NotApplicableError("neither the classifier nor the factory has an attribute `seed` that is set")


@rule(6)
def check_same_seed_gives_same_bits(context: CheckContext) -> None:
    """Two classifiers with the same seed, trained on the same data, are equal bit for bit.

    Why: Results must be reproducible. (Another number of threads may give other bits, and is not tested.)
    What to do: draw all numbers from one generator that `fit` makes from the seed; look for iteration over sets,
    threads that add floats in any order, and a generator that is made once in the factory.
    """
    _require_seed(context)
    before = context.proba
    expect_same_bits(context.proba_again, before)


@rule(6)
def check_global_random_state_is_not_read(context: CheckContext) -> None:
    """With a seed, results do not depend on the global random state of Python, numpy or torch.

    Why: Otherwise they depend on what the program drew before; a test passes alone and fails among others.
    What to do: pass a generator made from the seed to every call that draws: numpy.random.default_rng(seed),
    torch.Generator().manual_seed(seed), random_state= of scikit-learn.
    """
    _require_seed(context)
    context.require_repeatable()
    again = context.train(seed=2).classifier.predict_proba(context.texts)
    expect_same_bits(again, context.proba, "with another global seed, other probabilities")


@rule(6)
def check_global_random_state_is_not_changed(context: CheckContext) -> None:
    """No method changes the global random state of Python, numpy and torch, nor does making a classifier.

    Why: The caller's random numbers must not depend on whether a classifier was trained in between.
    What to do: use separate generators; if a library uses the global state, restore it in a `finally`. Look also
    at networks that are created with random weights before those of a saved model are read.
    """
    changes = {"fit": context.training.changed_generators}
    for method, call in context.calls().items():
        with global_seed(1):
            before = global_random_state()
            attempt(call)  # other checks test whether it fails
            changes[method] = changed_generators(before)
    for method, changed in changes.items():
        expect(not changed, seen=f"{method} changed the state of {', '.join(changed)}", expected="the same state")


@rule(6)
def check_settings_of_the_caller_are_not_changed(context: CheckContext) -> None:
    """No method changes the working directory, environment, locale, warning filters or modes of numpy and torch.

    Why: They belong to the caller: its relative paths would lead to another folder, its warnings would not be
    shown, its child processes would see other environment variables, its divisions by zero would fail, and its
    networks would not be trained.
    What to do: use numpy.errstate, torch.no_grad and warnings.catch_warnings in a `with` statement, and restore
    other settings in a `finally`. Look also for libraries that change them whenever they are called.
    """
    with recording_settings():
        calls = context.calls()
        for call in calls.values():
            attempt(call)  # as fit has done: importing libraries may change settings once
    for method, call in {"fit": lambda: context.new().fit(context.train_set), **calls}.items():
        changed = _changes_of_each_call(call)
        expect(not changed, seen=f"{method} changed {', '.join(changed)}", expected="the same settings")


def _changes_of_each_call(call: Callable[[], Any]) -> list[str]:
    """Return the settings that a call always changes; threads of libraries may change them by chance."""
    changed: set[str] | None = None
    for _ in range(_REPEATED):
        with original_settings():
            before = process_settings()
            attempt(call)  # other checks test whether it fails
            found = set(changed_settings(before))
        changed = found if changed is None else changed & found
        if not changed:
            break
    return sorted(changed or ())


@rule(8)
def check_fit_trains_and_returns_self(context: CheckContext) -> None:
    """A TextDataset of plain sentences can be trained on, and fit returns the classifier.

    Why: Plain texts make classifiers interchangeable; they are used as `factory.new().fit(train_set)`.
    What to do: convert the TextDataset to what the model needs inside fit; end fit with `return self`.
    """
    training = context.training
    if training.error is not None:
        raise training.error
    expect(
        training.returned is training.classifier,
        seen=f"fit returned a {type(training.returned).__name__}",
        expected="the classifier itself",
    )


@rule(8)
def check_second_fit_starts_from_scratch(context: CheckContext) -> None:
    """A second fit gives what a new classifier gives, unless the attribute `warm_start` is true.

    Why: An active learner fits the same object many times. If each training continued from the previous one,
    results would depend on the history, and labels that were corrected would remain in effect.
    What to do: create the model, the vocabulary, the optimizer and the early stopping from scratch in each fit.
    """
    context.require_fits_from_scratch()
    context.require_repeatable()
    classifier, _ = context.opposite
    # A vocabulary that is kept would have further words.
    longer = TextDataset([f"{text} {_FURTHER_WORDS}" for text in context.train_set.x], context.opposite_labels)
    proba = classifier.fit(longer).fit(context.train_set).predict_proba(context.texts)
    what = "after earlier fits on opposite labels and further words, other probabilities"
    expect_same_bits(proba, context.proba, what)


@rule(8)
def check_second_fit_replaces_label_names(context: CheckContext) -> None:
    """The label names of a second training set replace those of the first, also if it has none.

    Why: The saved model would call the new classes by the names of the old ones.
    What to do: set the names in every fit, from train_set.label_names, which is None if there are no names.
    """
    if not hasattr(context.fitted, "save"):
        raise NotApplicableError("the classifier has no save(), which writes the label names")
    classifier, _ = context.opposite
    named, plain = context.later_train_set, context.train_set
    for train_set, folder in ((named, "named"), (TextDataset(plain.x, plain.y), "not-named")):
        classifier.fit(train_set).save(context.path(folder))
        found = read_manifest(context.path(folder)).label_names
        wanted = None if train_set.label_names is None else train_set.label_names.names
        given = "without label names" if wanted is None else f"with the label names {wanted}"
        seen = f"after another fit, on texts {given}, the saved model has the label names {found}"
        expect(found == wanted, seen=seen, expected=f"{wanted}")


@rule(8)
def check_classifiers_share_no_state(context: CheckContext) -> None:
    """Training one classifier does not affect another one in the same process.

    Why: Committees, cross-validation and servers have many classifiers in one process. State of a module or a
    class (a cache, a vocabulary, a list that grows) carries the labels of one into the others.
    What to do: look for mutable values in modules, class bodies and default arguments, and for functools.cache.
    """
    before = context.proba
    assert context.opposite is not None  # trains another classifier
    after = context.train(seed=1).classifier.predict_proba(context.texts)
    if same_bits(after, before):
        return
    alone, error = attempt(train_in_new_process, context)
    if alone is None:
        raise NotApplicableError("see check_factory_works_in_another_process") from error
    if not same_bits(alone, train_in_new_process(context)):
        raise NotApplicableError("two training runs differ; give the factory a seed to have this checked")
    expect_same_bits(after, alone, "after another one was trained, other probabilities than in a new process")


@rule(8)
def check_repeated_training_leaves_no_files(context: CheckContext) -> None:
    """Twenty rounds of fit and predict leave no file in the working folder or the temporary folder, and none open.

    Why: Checkpoints of a few hundred megabytes each fill a disk within hours of active learning, and a process can
    open only about a thousand files.
    What to do: keep checkpoints in memory, or in a tempfile.TemporaryDirectory that is removed when fit ends; open
    files in a `with` statement. Sockets, and pipes to other processes, count as open files.
    """
    rounds, further = _rounds(context), _MEASURED_ROUNDS[-1] - _MEASURED_ROUNDS[0]
    left, more = rounds.left, rounds.opened[-1] - rounds.opened[0]
    expect(not left, seen=f"{len(left)} files or folders are left, such as {', '.join(left[:3])}", expected="none")
    seen = f"{more} more open files after {further} more rounds"
    expect(more < further, seen=seen, expected="no more open files")


@rule(8)
def check_repeated_training_leaves_no_threads(context: CheckContext) -> None:
    """After twenty rounds of fit and predict, no more threads are running than after three.

    Why: Each thread needs memory and keeps alive what it refers to, such as a model; a process can have only some
    thousands, and does not end before those that are not daemons.
    What to do: end a thread in a `finally`, and use executors in a `with` statement. One thread, or one pool, that
    all rounds share is allowed.
    """
    rounds, further = _rounds(context), _MEASURED_ROUNDS[-1] - _MEASURED_ROUNDS[0]
    _expect_no_more_threads(rounds.threads[0], rounds.threads[-1], further, f"{further} more rounds")


@rule(8)
def check_repeated_training_leaks_no_memory(context: CheckContext) -> None:
    """Twenty rounds of fit and predict need no more memory than three.

    Why: A callback or a cache that keeps every model alive makes a long run run out of memory.
    What to do: look for references to old models in lists, caches, closures, loggers and reference cycles.
    """
    if not _STATM.exists():
        raise NotApplicableError(f"memory is read from {_STATM}, which does not exist on {sys.platform}")
    memory = _rounds(context).memory
    early, late = memory[0], min(memory[1:])
    expect(
        late <= early * 1.05 + 20 * _MEGABYTE,
        seen=f"{early / _MEGABYTE:.0f} MB after round {_WARM_UP}, {late / _MEGABYTE:.0f} MB after round {_ROUNDS}",
        expected="growth of at most 5% and 20 MB",
    )


@rule(9)
def check_saving_and_loading_leave_nothing_open(context: CheckContext) -> None:
    """Saving and loading a model leave no file open and no thread running.

    Why: A server loads each new model for months, and a process can open only about a thousand files.
    What to do: open files in a `with` statement, and end threads in a `finally`. Files that are mapped into memory
    may stay open as long as the loaded classifier exists: look also for lists and caches that keep classifiers.
    Sockets, and pipes to other processes, count as open files.
    """
    source, fitted = context.saved, context.fitted
    calls: dict[str, Callable[[int], Any]] = {
        "saving": lambda number: fitted.save(context.path(f"saved-{number}")),
        "loading": lambda _: context.load(source).predict_proba(context.texts),
    }
    for what, call in calls.items():
        call(0)  # libraries may open files once
        opened, threads = _open_files(), _threads()
        for number in range(1, _REPEATED + 1):
            call(number)
        if _open_files() - opened >= _REPEATED:
            gc.collect()  # loaded classifiers may be in reference cycles
        more, times = _open_files() - opened, f"{what} {_REPEATED} times"
        expect(more < _REPEATED, seen=f"{more} more open files after {times}", expected="no more open files")
        _expect_no_more_threads(threads, _threads(), _REPEATED, times)


def _resident_memory() -> int:
    """Return the resident memory of this process in bytes, 0 where it is not known."""
    if not _STATM.exists():
        return 0
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)  # returns free memory to the system, which could hide growth
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    """Return the number of open files of this process, 0 where it is not known."""
    return sum(1 for _ in _DESCRIPTORS.iterdir()) if _DESCRIPTORS.exists() else 0


def _threads() -> set[threading.Thread]:
    """Return the running threads that Python started, not those of libraries that have called Python code."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}


def _expect_no_more_threads(
    before: set[threading.Thread], after: set[threading.Thread], count: int, what: str
) -> None:
    """Expect that fewer threads were started, and do not end by themselves soon, than calls were made."""
    started = after - before
    if len(started) >= count:
        deadline = time.monotonic() + _SECONDS_TO_END
        for thread in started:
            thread.join(max(0.0, deadline - time.monotonic()))
    running = sorted(thread.name for thread in started if thread.is_alive())
    seen = f"{len(running)} more threads are running after {what}: {', '.join(running[:3])}"
    expect(len(running) < count, seen=seen, expected="no more threads")


def _rounds(context: CheckContext) -> Rounds:
    """Return what was measured after some rounds of fit and predict; computed once."""
    if context.rounds is None:
        classifier, here = context.new(), Path.cwd()
        memory: list[int] = []
        opened: list[int] = []
        threads: list[set[threading.Thread]] = []
        with _private_folders() as left, _without_collecting_old_objects():
            for number in range(1, _ROUNDS + 1):
                try:
                    classifier.fit(context.train_set)
                except Exception:
                    if number > 1:
                        raise
                    os.chdir(here)  # relative paths such as ../model do not work in a private folder
                    classifier.fit(context.train_set)
                classifier.predict(context.texts)
                if number in _MEASURED_ROUNDS:
                    gc.collect()
                    memory.append(_resident_memory())
                    opened.append(_open_files())
                    threads.append(_threads())
        context.rounds = Rounds(memory, opened, threads, left)
    return context.rounds


@contextmanager
def _without_collecting_old_objects() -> Iterator[None]:
    """Exempt existing objects from garbage collection, which would traverse all modules in each round."""
    gc.collect()
    if gc.get_freeze_count():  # objects that the caller exempted stay exempt
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _private_folders() -> Iterator[list[str]]:
    """Use private working and temporary folders, and yield a list to which the files left in them are added.

    Files of other processes are therefore not counted. The working folder has links to the entries of the original
    one, for relative paths.
    """
    variables = ("TMPDIR", "TEMP", "TMP")
    old, default, here = {name: os.environ.get(name) for name in variables}, tempfile.tempdir, Path.cwd()
    left: list[str] = []
    with tempfile.TemporaryDirectory(prefix="smalltext-check-", ignore_cleanup_errors=True) as private:
        temporary, working = Path(private, "temporary"), Path(private, "working")
        temporary.mkdir()
        working.mkdir()
        with suppress(OSError):  # links are not supported, or the folder cannot be listed
            for path in here.iterdir():
                (working / path.name).symlink_to(path)
        linked = _names(working)
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


def _names(folder: Path) -> set[str]:
    """Return the names in a folder, without Python's bytecode."""
    return {path.name for path in folder.iterdir()} - {"__pycache__"}
