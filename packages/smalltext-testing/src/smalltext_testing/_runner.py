"""Running the checks of a classifier, with a list of results, one error, or a pytest test per check."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smalltext_core import ClassifierFactory
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_testing import _inputs, _predictions, _probabilities, _saving, _training
from smalltext_testing._check import (
    BrokenRuleError,
    Check,
    ConformanceError,
    NotApplicableError,
    Result,
    attempt,
    checks_in,
    recording_settings,
)
from smalltext_testing._context import SKIPPED_FOR, CheckContext

_MODULES = (_probabilities, _predictions, _training, _inputs, _saving)


def checks() -> tuple[Check, ...]:
    """Return all checks of a classifier, in the order of the rules."""
    return tuple(sorted((each for module in _MODULES for each in checks_in(module)), key=lambda each: each.rule))


def find_check(name: str, argument: str) -> Check:
    """Return a check of a classifier by its name.

    Parameters
    ----------
    name : str
        Such as "check_one_text_works".
    argument : str
        The name of the caller's argument, for the message.

    Raises
    ------
    InvalidInputError
        If there is no such check; the message suggests the closest name.
    """
    found = {check.name: check for check in checks()}
    if name in found:
        return found[name]
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.3)
    raise InvalidInputError(
        argument,
        shown(name),
        "the names of checks, see smalltext_testing.checks()",
        f"Did you mean {near[0]!r}?" if near else "",
    )


def run_check(check: Check, context: object) -> Result:
    """Run one check."""
    with recording_settings():
        _, error = attempt(check.function, context)
    if error is None:
        return Result(check, "passed")
    if isinstance(error, NotApplicableError):
        return Result(check, "skipped", reason=str(error))
    if isinstance(error, BrokenRuleError):
        return Result(check, "failed", error.seen, error.expected, error=error)
    package = ""
    if isinstance(context, CheckContext):
        known = context.known_failure(check.name, error)
        if known:
            return Result(check, "skipped", reason=known)
        package = context.package
    seen = f"{type(error).__name__}: {str(error)[:1000]}{_origin(error, package)}"
    return Result(check, "failed", seen, "no exception", error=error)


def _origin(error: BaseException, package: str) -> str:
    """Return where an exception was raised: the last frame in a package, else the last frame."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = list(traceback.walk_tb(error.__traceback__))
    frames = [each for each in frames if not each[0].f_code.co_filename.startswith("<frozen")]
    own = [each for each in frames if str(each[0].f_globals.get("__name__")).partition(".")[0] == package]
    if not frames:
        return ""
    frame, line = (own or frames)[-1]
    return f" (in {frame.f_code.co_name}, {frame.f_code.co_filename}:{line})"


def run_checks(
    factory: ClassifierFactory,
    *,
    num_classes: int | None = None,
    multi_label: bool | None = None,
    expected_failures: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
) -> Iterator[Result]:
    """Run the checks on the classifiers of a factory, and yield each result as soon as it is available.

    Parameters
    ----------
    factory : ClassifierFactory
        A factory with a seed, and with settings that learn from a few dozen short texts within seconds.
    num_classes : int, optional
        By default the attribute of the classifier, else of the factory, else the result of training on two
        classes.
    multi_label : bool, optional
        By default the attribute of the classifier, else of the factory, else False.
    expected_failures : mapping of str to str, optional
        The names of checks that are known to fail, and the reasons. If one of them passes, it is reported as
        failed.
    only : sequence of str, optional
        The names of the checks to run; by default, all. If a check cannot run because training or prediction
        fails, the check that reports this is run, too.

    Yields
    ------
    Result

    Raises
    ------
    InvalidInputError
        If a check does not exist, or a reason is missing.
    """
    expected = _reasons(expected_failures)
    chosen = checks() if only is None else [find_check(name, "only") for name in only]
    context = CheckContext(factory, num_classes, multi_label)
    not_chosen = {name: reason for name, reason in SKIPPED_FOR.items() if find_check(name, "only") not in chosen}
    pending: list[Check] = []
    for check in chosen:
        result = run_check(check, context)
        pending += [find_check(name, "only") for name, reason in not_chosen.items() if reason == result.reason]
        yield _with_expectation(result, expected.get(check.name))
    for check in dict.fromkeys(pending):
        yield _with_expectation(run_check(check, context), expected.get(check.name))


def _reasons(expected_failures: Mapping[str, str] | None) -> dict[str, str]:
    """Check the names and reasons of expected failures."""
    reasons: dict[str, str] = {}
    for name, reason in (expected_failures or {}).items():
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidInputError("expected_failures", f"{shown(reason)} for {name}", "a reason, as a sentence")
        reasons[find_check(name, "expected_failures").name] = reason
    return reasons


def _with_expectation(result: Result, reason: str | None) -> Result:
    if reason is None or result.status == "skipped":
        return result
    if result.status == "failed":
        return replace(result, status="expected failure", reason=reason)
    return Result(
        result.check,
        "failed",
        seen=f"it passes, and was expected to fail ({reason})",
        expected="a failure; take the check out of expected_failures",
    )


def check_classifier(
    factory: ClassifierFactory,
    *,
    num_classes: int | None = None,
    multi_label: bool | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> list[Result]:
    """Run all checks on the classifiers of a factory, and raise one error that lists all broken rules.

    Parameters
    ----------
    factory : ClassifierFactory
        As for `run_checks`.
    num_classes, multi_label, expected_failures : optional
        As for `run_checks`.

    Returns
    -------
    list of Result
        One for each check: passed, skipped (with the reason), or an expected failure.

    Raises
    ------
    ConformanceError
        With the name of each check that failed, what was seen, what was expected, why the rule exists, and what
        to do.
    InvalidInputError
        If a check does not exist, or a reason is missing.

    Examples
    --------
    >>> import smalltext_core as st
    >>> results = check_classifier(st.create_factory("sklearn", 2, calibration="none", seed=1))
    >>> {result.status for result in results} <= {"passed", "skipped"}
    True
    """
    return require_success(
        f"The classifiers of {type(factory).__name__}",
        run_checks(factory, num_classes=num_classes, multi_label=multi_label, expected_failures=expected_failures),
    )


def require_success(what: str, results: Iterable[Result]) -> list[Result]:
    """Return results, or raise one ConformanceError that lists the failures."""
    results = list(results)
    if not results:
        raise ConformanceError(f"{what}: no check was run.")
    failed = [result for result in results if result.status == "failed"]
    if failed:
        names = ", ".join(result.check.name for result in failed)
        raise ConformanceError(
            f"{what}: {len(failed)} of {len(results)} checks failed: {names}\n\n"
            + "\n\n".join(f"{number}. {result}" for number, result in enumerate(failed, 1))
        )
    return results


@dataclass(frozen=True)
class BoundCheck:
    """A check of a classifier, as the argument of a test function."""

    check: Check
    context: CheckContext

    def __call__(self) -> None:
        """Run the check; skip the test, or raise ConformanceError."""
        import pytest

        result = run_check(self.check, self.context)
        if result.status == "skipped":
            pytest.skip(result.reason)
        if result.status == "failed":
            raise ConformanceError(f"{type(self.context.factory).__name__}: {result}") from result.error


def parametrize_checks(
    *factories: ClassifierFactory,
    ids: Sequence[str] | None = None,
    num_classes: int | None = None,
    multi_label: bool | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[[Any], Any]:
    """Decorate a test function, so that pytest runs it once for each factory and check.

    The function takes one argument, ``check``, and calls it. Requires pytest (``smalltext-testing[pytest]``).

    Parameters
    ----------
    *factories : ClassifierFactory
        Factories with a seed, and with settings that learn from a few dozen short texts within seconds.
    ids : sequence of str, optional
        The names of the factories in the test ids; by default, their types.
    num_classes, multi_label : int and bool, optional
        As for `run_checks`.
    expected_failures : mapping of str to str, optional
        The names of checks that are known to fail, and the reasons; these tests are ``xfail(strict=True)``.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    InvalidInputError
        If there is no factory, the number of `ids` is wrong, a check does not exist, or a reason is missing.

    Examples
    --------
    >>> import smalltext_core as st
    >>> @parametrize_checks(st.create_factory("sklearn", num_classes=3, seed=1))
    ... def test_rules(check):
    ...     check()
    """
    import pytest

    if not factories:
        raise InvalidInputError("factories", "none", "at least one factory")
    types = [type(factory).__name__ for factory in factories]
    numbers = [types[: place + 1].count(name) if types.count(name) > 1 else "" for place, name in enumerate(types)]
    numbered = [f"{name}{number}" for name, number in zip(types, numbers, strict=True)]
    names = numbered if ids is None else list(ids)
    if len(names) != len(factories):
        raise InvalidInputError("ids", f"{len(names)} of them", f"one for each factory, {len(factories)}")
    expected = _reasons(expected_failures)
    parameters = []
    for name, factory in zip(names, factories, strict=True):
        context = CheckContext(factory, num_classes, multi_label)
        for check in checks():
            marks = []
            if check.name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check.name], strict=True, raises=ConformanceError))
            parameters.append(pytest.param(BoundCheck(check, context), id=f"{name}-{check.name}", marks=marks))
    return pytest.mark.parametrize("check", parameters)
