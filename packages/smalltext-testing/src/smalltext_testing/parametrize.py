"""The entry for pytest: one test for each factory and check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalltext_core.classifier import ClassifierFactory
from smalltext_core.errors import InvalidInputError
from smalltext_testing.check import Check, ConformanceError
from smalltext_testing.runner import checks, expected_reasons, run_check
from smalltext_testing.subject import Subject


@dataclass(frozen=True)
class BoundCheck:
    """A check and the classifier that it is run on; call it."""

    check: Check
    subject: Subject

    def __call__(self) -> None:
        """Run the check: return, skip the test with the reason, or raise ConformanceError."""
        import pytest

        result = run_check(self.check, self.subject)
        if result.status == "skipped":
            pytest.skip(result.reason)
        if result.status == "failed":
            raise ConformanceError(f"{type(self.subject.factory).__name__}: {result}") from result.error


def parametrize_checks(
    *factories: ClassifierFactory,
    ids: Sequence[str] | None = None,
    num_classes: int | None = None,
    multi_label: bool | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Callable[[Any], Any]:
    """Decorate a test function, so that pytest runs it once for each factory and each check.

    The function takes one argument, ``check``, and calls it. Needs pytest (``smalltext-testing[pytest]``).

    Parameters
    ----------
    *factories : ClassifierFactory
        Best with a seed, and with settings that learn from a few dozen short texts within seconds.
    ids : sequence of str, optional
        What to call the factories in the names of the tests; by default, their types.
    num_classes, multi_label : int and bool, optional
        As for `smalltext_testing.run_checks`.
    expected_failures : mapping of str to str, optional
        Names of checks that are known to fail, and why: these tests become ``xfail(strict=True)``.

    Examples
    --------
    >>> import smalltext_core as st
    >>> from smalltext_testing import parametrize_checks
    >>> @parametrize_checks(st.create_factory("sklearn", num_classes=3, seed=1))
    ... def test_keeps_the_rules(check):
    ...     check()
    """
    import pytest

    if not factories:
        raise InvalidInputError("factories", "none", "at least one factory")
    names = _type_names(factories) if ids is None else list(ids)
    if len(names) != len(factories):
        raise InvalidInputError("ids", f"{len(names)} of them", f"one for each factory, {len(factories)}")
    expected = expected_reasons(expected_failures)
    parameters = []
    for name, factory in zip(names, factories, strict=True):
        subject = Subject(factory, num_classes, multi_label)
        for check in checks():
            marks = []
            if check.name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check.name], strict=True, raises=ConformanceError))
            parameters.append(pytest.param(BoundCheck(check, subject), id=f"{name}-{check.name}", marks=marks))
    return pytest.mark.parametrize("check", parameters)


def _type_names(factories: Sequence[ClassifierFactory]) -> list[str]:
    """Return the names of the factories' types, numbered where one occurs several times."""
    names = [type(factory).__name__ for factory in factories]
    count, seen, numbered = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name}{seen[name]}" if count[name] > 1 else name)
    return numbered
