"""What a check is, how it says what it saw, and the list of all of them in the order of the rules."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smalltext_testing.plugin_promises import Promises
    from smalltext_testing.subject import Subject

CheckFunction = Callable[["Subject"], None]
PromiseFunction = Callable[["Promises"], None]


class ConformanceError(AssertionError):
    """A classifier breaks at least one of the rules that every smalltext classifier keeps."""


class BrokenRuleError(AssertionError):
    """Raised inside a check: what was seen is not what the rule asks for."""

    def __init__(self, seen: str, expected: str) -> None:
        super().__init__(f"seen: {seen}; expected: {expected}")
        self.seen = seen
        self.expected = expected


class NotApplicableError(Exception):
    """Raised inside a check: the rule says nothing about this classifier, and why."""


def expect(condition: object, *, seen: str, expected: str) -> None:
    """Go on if the condition holds; else stop the check, telling what was seen and what was expected."""
    if not condition:
        raise BrokenRuleError(seen, expected)


def not_applicable(reason: str) -> NotApplicableError:
    """Return the exception that skips a check."""
    return NotApplicableError(reason)


@dataclass(frozen=True)
class Check:
    """One rule as something that can be run.

    Parameters
    ----------
    name : str
        The name of its function, such as "check_rows_sum_to_one".
    rule : int
        The number of the rule that it belongs to, 1 to 11; 0 for what a plugin promises beside them.
    function : callable
        Takes a `Subject` (`Promises` where the rule is 0); returns if the rule is kept.
    """

    name: str
    rule: int
    function: CheckFunction | PromiseFunction

    @property
    def family(self) -> str:
        """What it belongs to, in words."""
        return f"rule {self.rule}" if self.rule else "the plugin"

    def _paragraph(self, number: int) -> str:
        paragraphs = (inspect.getdoc(self.function) or "").split("\n\n")
        return " ".join(paragraphs[number].split()) if number < len(paragraphs) else ""

    @property
    def summary(self) -> str:
        """The rule in one sentence."""
        return self._paragraph(0)

    @property
    def reason(self) -> str:
        """Why the rule exists."""
        return self._paragraph(1)

    @property
    def remedy(self) -> str:
        """What to do about a classifier that breaks it."""
        return self._paragraph(2).removeprefix("What to do: ")


_checks: dict[str, Check] = {}


def rule(number: int) -> Callable[[CheckFunction], CheckFunction]:
    """Mark a function as the check of a rule.

    Its docstring is what a person reads whose classifier fails: one paragraph each for the rule, the reason
    that it exists, and (after "What to do: ") the remedy.
    """

    def register(function: CheckFunction) -> CheckFunction:
        _checks[function.__name__] = Check(function.__name__, number, function)
        return function

    return register


def registered() -> tuple[Check, ...]:
    """Return the checks of all families that have been imported, in the order of the rules."""
    return tuple(sorted(_checks.values(), key=lambda check: check.rule))
