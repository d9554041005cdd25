"""The types of checks and their results, and comparisons: of exceptions, arrays, and the state of the process."""

from __future__ import annotations

import locale
import os
import pickle
import random
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from smalltext_core.lazy_import import raised_by_signal

Status = Literal["passed", "failed", "skipped", "expected failure"]
Returned = TypeVar("Returned")

_FOLDER = "the working directory"
_NUMPY = "numpy's error handling"
_FILTERS = "the warning filters"
_LOCALE = "the locale"
_VARIABLE = "the environment variable "
_TORCH = {
    "torch's default dtype": ("get_default_dtype", "set_default_dtype"),
    "torch's deterministic mode": ("get_deterministic_debug_mode", "set_deterministic_debug_mode"),
    "torch's gradient mode": ("is_grad_enabled", "set_grad_enabled"),
    "torch's number of threads": ("get_num_threads", "set_num_threads"),
}
"""Settings of torch, and the names of the functions that return and set them."""

_original: dict[str, Any] = {}
"""The settings that checks have changed in this process, as they were before."""


class ConformanceError(AssertionError):
    """A classifier or its plugin breaks at least one rule."""


class BrokenRuleError(AssertionError):
    """Raised by a check if a rule is broken."""

    def __init__(self, seen: str, expected: str) -> None:
        super().__init__(f"seen: {seen}; expected: {expected}")
        self.seen = seen
        self.expected = expected


class NotApplicableError(Exception):
    """Raised by a check that does not apply to the classifier; the message is the reason."""


@dataclass(frozen=True)
class Check:
    """A check of one rule.

    Parameters
    ----------
    name : str
        The name of its function, such as "check_one_text_works".
    rule : int
        The number of its rule, 1 to 11; 0 for checks of a plugin.
    summary : str
        The rule in one sentence.
    reason : str
        Why the rule exists.
    remedy : str
        How to fix a classifier that breaks the rule.
    function : callable
        Takes the classifier or plugin under test, and raises if the rule is broken.

    Examples
    --------
    >>> from smalltext_testing import checks
    >>> checks()[0].name, checks()[0].rule
    ('check_probabilities_are_dense_float32', 1)
    """

    name: str
    rule: int
    summary: str
    reason: str
    remedy: str
    function: Callable[[Any], None]

    @property
    def family(self) -> str:
        """The subject of the check: "the plugin", or the number of the rule."""
        return f"rule {self.rule}" if self.rule else "the plugin"


def rule(number: int) -> Callable[[Callable[[Any], None]], Check]:
    """Turn a function into a check; its docstring states the rule, "Why: " and "What to do: "."""

    def as_check(function: Callable[[Any], None]) -> Check:
        summary, _, rest = " ".join((function.__doc__ or "").split()).partition(" Why: ")
        reason, _, remedy = rest.partition(" What to do: ")
        return Check(function.__name__, number, summary, reason, remedy, function)

    return as_check


def checks_in(module: ModuleType) -> tuple[Check, ...]:
    """Return the checks that a module defines, in the order of definition."""
    return tuple(each for each in vars(module).values() if isinstance(each, Check))


@dataclass(frozen=True)
class Result:
    """The result of one check.

    Parameters
    ----------
    check : Check
        The check that was run.
    status : "passed", "failed", "skipped" or "expected failure"
        A failure is expected if the caller named the check as known to fail.
    seen : str, default=""
        The observation of a failed check.
    expected : str, default=""
        The requirement of the rule.
    reason : str, default=""
        Why the check was skipped, or why its failure was expected.
    error : BaseException or None, default=None
        The exception that was raised.

    Examples
    --------
    >>> import smalltext_core as st
    >>> from smalltext_testing import run_checks
    >>> factory = st.create_factory("sklearn", num_classes=2)
    >>> [result.status for result in run_checks(factory, only=["check_one_text_works"])]
    ['passed']
    """

    check: Check
    status: Status
    seen: str = ""
    expected: str = ""
    reason: str = ""
    error: BaseException | None = None

    def __str__(self) -> str:
        """Return one line, or a paragraph that explains a failure."""
        head = f"{self.check.name} ({self.check.family}): {self.status}"
        if self.status != "failed":
            return f"{head}, {self.reason}" if self.reason else head
        parts = {
            "rule": self.check.summary,
            "seen": self.seen,
            "expected": self.expected,
            "why": self.check.reason,
            "what to do": self.check.remedy,
        }
        return "\n".join([head, *(_labelled(label, text) for label, text in parts.items() if text)])


def _labelled(label: str, text: str) -> str:
    indent = " " * 14
    lines = [
        textwrap.fill(line, 110, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
        for line in text.splitlines()
    ]
    return f"  {label + ':':<12}" + "\n".join(lines).removeprefix(indent)


def attempt(
    call: Callable[..., Returned], *arguments: Any, **named: Any
) -> tuple[Returned | None, BaseException | None]:
    """Return the result of a call and the exception that it raises, except exceptions of signal handlers.

    SystemExit is included: a classifier that ends the process has failed.
    """
    try:
        return call(*arguments, **named), None
    except (Exception, SystemExit) as error:
        if raised_by_signal(error):
            raise
        return None, error


def with_article(kind: type) -> str:
    """Return the name of a type with its article: an ndarray, a csr_matrix."""
    name = kind.__name__
    return f"{'an' if name == 'ndarray' or name[0].lower() in 'aeiou' else 'a'} {name}"


def expect(condition: object, *, seen: str, expected: str) -> None:
    """Raise BrokenRuleError unless a condition holds."""
    if not condition:
        raise BrokenRuleError(seen, expected)


def expect_error(
    kind: type[BaseException], expected: str, what: str, call: Callable[..., object], *arguments: Any, **named: Any
) -> BaseException:
    """Raise BrokenRuleError unless a call raises an exception of some type; return that exception."""
    _, error = attempt(call, *arguments, **named)
    if isinstance(error, kind):
        return error
    outcome = "succeeds" if error is None else f"raises {type(error).__name__}: {str(error)[:200]}"
    raise BrokenRuleError(f"{what} {outcome}", expected) from error


def expect_same_bits(
    found: ArrayLike | None, wanted: ArrayLike, seen: str = "other probabilities", expected: str = "the same bits"
) -> None:
    """Raise BrokenRuleError unless two arrays have the same shape, type and bits."""
    expect(same_bits(found, wanted), seen=f"{seen}: {difference(found, wanted)}", expected=expected)


def same_bits(one: ArrayLike | None, other: ArrayLike | None) -> bool:
    """Return whether two arrays have the same shape, type and bits."""
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def difference(one: ArrayLike | None, other: ArrayLike | None) -> str:
    """Describe how two arrays of probabilities differ."""
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype} of shape {one.shape} and {other.dtype} of shape {other.shape}"
    gaps = np.abs(one.astype(np.float64) - other.astype(np.float64))
    rows = int((gaps > 0).any(axis=-1).sum())
    return f"{rows} of {len(one)} rows differ, by up to {np.nanmax(gaps, initial=0.0):.3g}"


def global_random_state() -> dict[str, bytes]:
    """Return the states of the global random number generators of this process.

    Returns
    -------
    dict of str to bytes
        By name: "random", "numpy.random" and, if torch was imported, "torch" and "torch.cuda".

    Examples
    --------
    >>> sorted(global_random_state())[:2]
    ['numpy.random', 'random']
    """
    state = {
        "random": pickle.dumps(random.getstate()),
        "numpy.random": pickle.dumps(np.random.get_state()),  # noqa: NPY002 - the global one
    }
    torch: Any = sys.modules.get("torch")  # the kit does not import it
    if torch is not None:
        state["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch.cuda.is_initialized():
            state["torch.cuda"] = b"".join(one.numpy().tobytes() for one in torch.cuda.get_rng_state_all())
    return state


def changed_generators(before: dict[str, bytes]) -> list[str]:
    """Return the names of the global random number generators whose state has changed.

    Parameters
    ----------
    before : dict of str to bytes
        The previous return value of `global_random_state`. Libraries that were imported since are not compared.

    Returns
    -------
    list of str
        Such as "numpy.random"; empty if nothing was drawn and no seed was set.

    Examples
    --------
    >>> before = global_random_state()
    >>> _ = random.random()
    >>> changed_generators(before)
    ['random']
    """
    after = global_random_state()
    return [name for name, state in before.items() if after.get(name) != state]


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed all global random number generators inside the block, and restore their states afterwards.

    Each generator draws one number, so that a classifier that sets the same seed globally changes its state.
    """
    torch: Any = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cpu = None if torch is None else torch.get_rng_state()
    cuda = None if torch is None or not torch.cuda.is_initialized() else torch.cuda.get_rng_state_all()
    random.seed(seed)
    random.random()  # noqa: S311 - no secret
    np.random.seed(seed)  # noqa: NPY002
    np.random.random()  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(seed)
        torch.rand(1)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if cpu is not None:
            torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def process_settings() -> dict[str, Any]:
    """Return settings of the process by name: folder, locale, variables, warnings, and those of libraries."""
    torch: Any = sys.modules.get("torch")  # the kit does not import it
    of_torch = {} if torch is None else {name: getattr(torch, get)() for name, (get, _) in _TORCH.items()}
    folder = None
    with suppress(FileNotFoundError):  # it was deleted
        folder = str(Path.cwd())
    return {
        _FOLDER: folder,
        _NUMPY: (np.geterr(), np.geterrcall()),
        _FILTERS: tuple(warnings.filters),
        _LOCALE: locale.setlocale(locale.LC_ALL),
        **of_torch,
        **{_VARIABLE + name: value for name, value in os.environ.items()},
    }


def changed_settings(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that have changed, with their previous values; None for a variable that was not set."""
    after = process_settings()
    return {name: before.get(name) for name in before | after.keys() if before.get(name) != after.get(name)}


@contextmanager
def recording_settings() -> Iterator[None]:
    """Remember the previous values of settings that change inside the block, for `original_settings`."""
    before = process_settings()
    try:
        yield
    finally:
        for name, value in changed_settings(before).items():
            _original.setdefault(name, value)


@contextmanager
def original_settings() -> Iterator[None]:
    """Give all settings inside the block the values that they had before checks changed them.

    A setting that has been changed already would not change again. Warnings are not shown inside the block, and
    their only filter is one that no library sets.
    """
    before = process_settings()
    with warnings.catch_warnings(record=True):
        restore_settings(_original)
        warnings.resetwarnings()
        warnings.filterwarnings("default", message="a filter of smalltext_testing")
        try:
            yield
        finally:
            restore_settings(changed_settings(before))


def restore_settings(values: Mapping[str, Any]) -> None:
    """Set settings of the process to values that `process_settings` or `changed_settings` returned."""
    for name, value in values.items():
        if name.startswith(_VARIABLE):
            variable = name.removeprefix(_VARIABLE)
            os.environ.pop(variable, None) if value is None else os.environ.update({variable: value})
        elif value is None:  # the folder had been deleted, or torch was not imported yet
            continue
        elif name in _TORCH:
            getattr(sys.modules["torch"], _TORCH[name][1])(value)
        elif name == _NUMPY:
            np.seterr(**value[0])
            np.seterrcall(value[1])
        elif name == _FILTERS:
            warnings.filters = list(value)
        elif name == _LOCALE:
            locale.setlocale(locale.LC_ALL, value)
        else:
            with suppress(OSError):  # the folder was deleted since
                os.chdir(value)


def environment() -> dict[str, str]:
    """Return the environment for a new process, with the same import path and number of threads as this one."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)}
    torch = sys.modules.get("torch")
    if torch is not None:
        variables["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    return variables
