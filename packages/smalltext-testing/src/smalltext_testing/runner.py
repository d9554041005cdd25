"""Running checks over a factory: one result each, or one error that lists all that is wrong."""

from __future__ import annotations

import difflib
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from smalltext_core.classifier import ClassifierFactory
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.process import raised_by_signal
from smalltext_testing import (  # noqa: F401 - importing a family registers its checks
    batching,
    datasets,
    inputs,
    labels,
    probabilities,
    processes,
    refitting,
    refusals,
    saving,
    seeds,
    weights,
)
from smalltext_testing.check import BrokenRuleError, Check, ConformanceError, NotApplicableError, registered
from smalltext_testing.subject import ROOTS, Subject

Status = Literal["passed", "failed", "skipped", "expected failure"]


@dataclass(frozen=True)
class Result:
    """What became of one check.

    Parameters
    ----------
    check : Check
    status : "passed", "failed", "skipped" or "expected failure"
    seen, expected : str
        What a failed check saw, and what the rule asks for.
    reason : str
        Why it was skipped, or why its failure was expected.
    error : BaseException or None
        What was raised.
    """

    check: Check
    status: Status
    seen: str = ""
    expected: str = ""
    reason: str = ""
    error: BaseException | None = None

    def __str__(self) -> str:
        """Return a line, or (failed) a paragraph for somebody who has never read the check."""
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
    wrapped = [
        textwrap.fill(line, 110, initial_indent=" " * 14, subsequent_indent=" " * 14, break_long_words=False)
        for line in text.splitlines()
    ]
    return f"  {label + ':':<12}" + "\n".join(wrapped).removeprefix(" " * 14)


def checks() -> tuple[Check, ...]:
    """Return all checks in the order of the rules.

    Examples
    --------
    >>> [check.name for check in checks()][0]
    'check_probabilities_are_dense_float32'
    """
    return registered()


def run_check(check: Check, subject: Any) -> Result:
    """Run one check."""
    try:
        check.function(subject)
    except NotApplicableError as error:
        return Result(check, "skipped", reason=str(error))
    except BrokenRuleError as error:
        return Result(check, "failed", seen=error.seen, expected=error.expected, error=error)
    except (Exception, SystemExit) as error:  # a classifier that leaves the process has failed, like any other
        if raised_by_signal(error):
            raise
        known = subject.known_failure(check.name, error) if isinstance(subject, Subject) else None
        if known is not None:
            return Result(check, "skipped", reason=known)
        seen = f"{type(error).__name__}: {str(error)[:1000]}{_origin(error, _home(subject))}"
        return Result(check, "failed", seen=seen, expected="no exception here", error=error)
    return Result(check, "passed")


def _home(subject: object) -> str:
    """Return the package that the classifier comes from."""
    try:
        return type(subject.unfitted).__module__.partition(".")[0] if isinstance(subject, Subject) else ""
    except (Exception, SystemExit) as error:  # it cannot even be made
        if raised_by_signal(error):
            raise
        return ""


def _origin(error: BaseException, home: str) -> str:
    """Say where an exception comes from at first: the last line in a package, else the last of all."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [
        line
        for line in traceback.walk_tb(error.__traceback__)
        if not line[0].f_code.co_filename.startswith("<frozen")
    ]
    own = [line for line in lines if str(line[0].f_globals.get("__name__")).partition(".")[0] == home]
    if not lines:
        return ""
    frame, number = (own or lines)[-1]
    return f" (in {frame.f_code.co_name}, {frame.f_code.co_filename}:{number})"


def run_checks(
    factory: ClassifierFactory,
    *,
    num_classes: int | None = None,
    multi_label: bool | None = None,
    expected_failures: Mapping[str, str] | None = None,
    only: Sequence[str] | None = None,
) -> Iterator[Result]:
    """Run the checks over the classifiers of a factory, and yield a result for each as it comes.

    Parameters
    ----------
    factory : ClassifierFactory
        Best with a seed, and with settings that learn from a few dozen short texts within seconds.
    num_classes : int, optional
        By default what the classifier says, else the factory, else what it does with two classes.
    multi_label : bool, optional
        By default what the classifier says, else the factory, else False.
    expected_failures : mapping of str to str, optional
        Names of checks that are known to fail, and why. One that passes nevertheless has failed: the entry has
        to go.
    only : sequence of str, optional
        The names of the checks to run; all of them by default. If nothing can be told because training or
        predicting fails, the check that reports this is run as well.

    Yields
    ------
    Result

    Raises
    ------
    InvalidInputError
        If a name is not that of a check, or a reason is missing.
    """
    expected = expected_reasons(expected_failures)
    chosen = checks() if only is None else [find_check(name, "only") for name in only]
    subject = Subject(factory, num_classes, multi_label)
    unheard = dict(ROOTS)
    for check in chosen:
        unheard.pop(check.name, None)
    pending: list[Check] = []
    for check in chosen:
        result = run_check(check, subject)
        pending += [find_check(name, "only") for name, reason in unheard.items() if reason == result.reason]
        yield _with_expectation(result, expected.get(check.name))
    for check in dict.fromkeys(pending):
        yield _with_expectation(run_check(check, subject), expected.get(check.name))


def _with_expectation(result: Result, reason: str | None) -> Result:
    if reason is None or result.status == "skipped":
        return result
    if result.status == "failed":
        return Result(result.check, "expected failure", result.seen, result.expected, reason, result.error)
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
    """Run all checks over the classifiers of a factory, and raise one error that lists every broken rule.

    Parameters
    ----------
    factory, num_classes, multi_label, expected_failures
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

    Examples
    --------
    >>> import smalltext_core as st
    >>> from smalltext_testing import check_classifier
    >>> results = check_classifier(st.create_factory("sklearn", num_classes=2, seed=1))
    >>> {result.status for result in results} <= {"passed", "skipped"}
    True
    """
    return all_kept(
        f"The classifiers of {type(factory).__name__}",
        run_checks(factory, num_classes=num_classes, multi_label=multi_label, expected_failures=expected_failures),
    )


def all_kept(who: str, results: Iterable[Result]) -> list[Result]:
    """Return the results of checks, or raise one error that lists those that failed."""
    results = list(results)
    if not results:
        raise ConformanceError(f"{who}: no check was run, so that nothing is known.")
    failed = [result for result in results if result.status == "failed"]
    if failed:
        names = ", ".join(result.check.name for result in failed)
        raise ConformanceError(
            f"{who} fail {len(failed)} of {len(results)} checks: {names}\n\n"
            + "\n\n".join(f"{number}. {result}" for number, result in enumerate(failed, 1))
        )
    return results


def find_check(name: str, argument: str) -> Check:
    """Return a check by its name, or say which name is near."""
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


def expected_reasons(expected_failures: Mapping[str, str] | None) -> dict[str, str]:
    """Return the checks that are expected to fail with their reasons, or say which entry is wrong."""
    reasons: dict[str, str] = {}
    for name, reason in (expected_failures or {}).items():
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidInputError("expected_failures", f"{shown(reason)} for {name}", "a reason, as a sentence")
        reasons[find_check(name, "expected_failures").name] = reason
    return reasons
