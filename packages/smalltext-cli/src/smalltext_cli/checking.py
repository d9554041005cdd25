"""Running the conformance kit over a classifier that is known by its name."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from smalltext_cli.console import jsonable
from smalltext_cli.parameters import Parameters, builder_parameters
from smalltext_cli.settings import settings_of, values_of
from smalltext_core import ClassifierFactory, ClassifierSpec, LabelNames, classifier_spec, create_factory
from smalltext_core.errors import PluginError, SmallTextError
from smalltext_core.process import raised_by_signal
from smalltext_testing import Check, Result, checks, find_check, plugin_checks, run_checks, run_plugin_checks
from smalltext_testing.sample_data import class_names

Kind = Literal["plugin", "single-label", "multi-label"]


@dataclass(frozen=True)
class Part:
    """Checks that belong together, none of which has run yet.

    Parameters
    ----------
    kind : "plugin", "single-label" or "multi-label"
    checks : tuple of Check
        In the order in which they run.
    results : iterator of Result
        Runs them: one for each, and one more for a check on which they depend and which fails.
    """

    kind: Kind
    checks: tuple[Check, ...]
    results: Iterator[Result]

    @property
    def title(self) -> str:
        """What is checked, in words."""
        return "The plugin" if self.kind == "plugin" else f"{self.kind.capitalize()} problems"


@dataclass(frozen=True)
class Checked:
    """What became of one check.

    Parameters
    ----------
    kind : "plugin", "single-label" or "multi-label"
    result : Result
    seconds : float
    """

    kind: Kind
    result: Result
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        check = self.result.check
        return {
            "part": self.kind,
            "check": check.name,
            "rule": check.rule or None,
            "status": self.result.status,
            "what": check.summary,
            "why": check.reason,
            "what_to_do": check.remedy,
            "seen": self.result.seen,
            "expected": self.result.expected,
            "reason": self.result.reason,
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Plan:
    """Which classifier is checked, made with what, and by which checks.

    Parameters
    ----------
    name : str
    parameters : dict of str to Any
        What its builder is given.
    parts : list of Part
        That of the rules is missing where the classifier cannot be made; then a check of the plugin fails.
    """

    name: str
    parameters: dict[str, Any]
    parts: list[Part]

    @property
    def rules_are_checked(self) -> bool:
        """Whether the classifier can be made, and so be checked."""
        return any(part.kind != "plugin" for part in self.parts)

    @property
    def described(self) -> str:
        """The classifier and what it was made with, in words."""
        given = ", ".join(f"{name}={jsonable(value)!r}" for name, value in self.parameters.items())
        return f"{self.name} with {given}" if given else self.name


def plan(
    name: str,
    settings: Sequence[str],
    *,
    num_classes: int,
    multi_label: bool | None = None,
    only: Sequence[str] = (),
    seed: int | None = None,
    device: str | None = None,
) -> Plan:
    """Find out what to check, and refuse what cannot be meant; nothing has been trained then.

    Parameters
    ----------
    name : str
        Of a classifier; of a plugin, where that cannot be loaded.
    settings : sequence of str
        Each ``key=value``.
    num_classes : int
    multi_label : bool, optional
        One kind of problems alone; by default, those that the classifier declares.
    only : sequence of str, default=()
        The names of the checks to run; by default, all.
    seed : int, optional
        By default 1, if the classifier takes one.
    device : str, optional

    Raises
    ------
    UnknownClassifierError, AmbiguousNameError
        If no plugin registers the name, or several do.
    UsageError, InvalidInputError
        If a setting, or the name of a check, is wrong.
    """
    chosen = [_known(each) for each in only]
    try:
        spec = classifier_spec(name)
        builder = builder_parameters(spec.resolve("builder"))
    except PluginError:  # which the checks of the plugin report
        return Plan(name, {}, _of_plugin(name, max(num_classes, 2), {}, chosen, broken=True))
    values = _values(name, builder, settings, num_classes, seed, device)
    rules = [
        part for kind in _kinds(spec, multi_label) for part in _of_rules(name, kind, num_classes, values, chosen)
    ]
    broken = not rules and any(check.rule for check in chosen)
    return Plan(name, values, _of_plugin(name, max(num_classes, 2), values, chosen, broken=broken) + rules)


def run(part: Part, *, silently: bool) -> Iterator[Check | Checked]:
    """Run the checks of a part one after the other: yield each before it runs, and then what became of it.

    With `silently`, what a classifier prints goes to standard error, and not among the results.
    """
    waiting = iter(part.checks)
    while True:
        check = next(waiting, None)
        if check is not None:
            yield check
        started = time.perf_counter()
        with redirect_stdout(sys.stderr) if silently else nullcontext():
            result = next(part.results, None)
        if result is None:
            return
        yield Checked(part.kind, result, time.perf_counter() - started)


def _known(name: str) -> Check:
    found = {check.name: check for check in plugin_checks()}
    return found[name] if name in found else find_check(name, "--only")


def _values(
    name: str,
    parameters: Parameters,
    settings: Sequence[str],
    num_classes: int,
    seed: int | None,
    device: str | None,
) -> dict[str, Any]:
    given = settings_of(name, parameters, settings, seed=seed, device=device)
    if "seed" in parameters.named:
        given.setdefault("seed", "1")  # without one, the rules on seeds could not be checked
    return values_of(parameters, given, LabelNames(tuple(class_names(num_classes))))


def _kinds(spec: ClassifierSpec, multi_label: bool | None) -> list[Kind]:
    if multi_label is not None:
        return ["multi-label" if multi_label else "single-label"]
    return ["single-label", "multi-label"] if "multi_label" in spec.abilities else ["single-label"]


def _of_plugin(
    name: str, num_classes: int, values: dict[str, Any], chosen: list[Check], *, broken: bool
) -> list[Part]:
    """Return the checks of the plugin that were chosen; where it is `broken`, also those that say how."""
    results = run_plugin_checks(name, num_classes, **values)
    wanted = [check for check in plugin_checks() if not chosen or check in chosen]
    if not wanted and not broken:
        return []
    shown = (result for result in results if result.check in wanted or (broken and result.status == "failed"))
    return [Part("plugin", tuple(wanted), shown)]


def _of_rules(name: str, kind: Kind, num_classes: int, values: dict[str, Any], chosen: list[Check]) -> list[Part]:
    wanted = tuple(check for check in checks() if not chosen or check in chosen)
    make = partial(create_factory, name, num_classes, multi_label=kind == "multi-label", **values)
    factory = _made(make)
    if factory is None or not wanted:
        return []
    results = run_checks(
        factory,
        num_classes=num_classes,
        multi_label=kind == "multi-label",
        only=[check.name for check in wanted],
    )
    return [Part(kind, wanted, results)]


def _made(make: partial[ClassifierFactory]) -> ClassifierFactory | None:
    """Return a factory; None if the plugin fails to make one, which the checks of the plugin report."""
    try:
        return make()
    except PluginError:
        return None
    except SmallTextError:  # a setting that it does not allow
        raise
    except (Exception, SystemExit) as error:
        if raised_by_signal(error):
            raise
        return None
