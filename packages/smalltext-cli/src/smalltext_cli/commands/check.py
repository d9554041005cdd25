"""``smalltext check NAME``: run the conformance kit on an installed classifier."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from smalltext_cli import commands
from smalltext_cli.console import jsonable, messages, print_json, print_line, results, working
from smalltext_core import ClassifierFactory, LabelNames, classifier_spec, create_factory
from smalltext_core.errors import PluginError, SmallTextError
from smalltext_core.lazy_import import raised_by_signal

if TYPE_CHECKING:
    from smalltext_cli.parameters import Parameters
    from smalltext_testing import Check, Result

Kind: TypeAlias = Literal["plugin", "single-label", "multi-label"]


def check(
    name: commands.ClassifierName,
    *,
    settings: commands.Settings = None,
    multi_label: Annotated[
        bool | None,
        typer.Option(
            "--multi-label/--single-label",
            metavar="",
            help="Only check problems of this kind. By default, all kinds that the classifier supports.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        int, typer.Option(metavar="N", min=1, help="The number of classes of the texts to train on.")
    ] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK", help="Run only the check with this name. Repeat for several.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", metavar="", help="Explain why each rule exists, and how to comply with it."),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="The random state. By default 1, if the classifier takes one.",
            show_default=False,
        ),
    ] = None,
    device: commands.Device = None,
    as_json: commands.AsJson = False,
) -> None:
    """Check that an installed classifier follows the rules of smalltext, and is correctly declared by its plugin.

    The classifier is trained many times on a few dozen short texts. Set its parameters so that it learns them
    within seconds: a neural network with more epochs and fewer units than usual. The exit code is 1 if a check
    fails or no check could be run.

    Examples
    --------
        smalltext check sklearn

        smalltext check kimcnn --set num_epochs=20 --set lr=0.01 --set embedding_dim=50

        smalltext check transformers --set model=FOLDER --only check_one_text_works --explain
    """
    planned = plan(
        name,
        settings or [],
        num_classes=classes,
        multi_label=multi_label,
        only=only or [],
        seed=seed,
        device=device,
    )
    outcomes = _run(planned, shown=not as_json, explain=explain)
    counts = Counter(str(one.result.status) for one in outcomes)
    if as_json:
        print_json(
            {
                "classifier": name,
                "parameters": jsonable(planned.parameters),
                "num_classes": classes,
                "rules_checked": planned.rules_are_checked,
                **{status: counts[status] for status in ("passed", "failed", "skipped")},
                "checks": [one.as_dict() for one in outcomes],
            }
        )
    else:
        if not planned.rules_are_checked and (not only or counts["failed"]):
            print_line("\nThe rules were not checked: no classifier can be built, see above.")
        _show_counts(name, outcomes, counts)
    if counts["failed"] or not counts["passed"]:
        raise typer.Exit(1)


@dataclass(frozen=True)
class Part:
    """A group of checks that have not run yet, and an iterator that runs them.

    The iterator yields a result for each of them, and another one if a check that they depend on fails.
    """

    kind: Kind
    checks: tuple[Check, ...]
    results: Iterator[Result]

    @property
    def title(self) -> str:
        """The heading of the results."""
        return "The plugin" if self.kind == "plugin" else f"{self.kind.capitalize()} problems"

    def run(self, *, silently: bool) -> Iterator[Check | Outcome]:
        """Yield each check before it runs, and then its outcome; with `silently`, prints go to standard error."""
        waiting = iter(self.checks)
        while True:
            check = next(waiting, None)
            if check is not None:
                yield check
            started = time.perf_counter()
            with redirect_stdout(sys.stderr) if silently else nullcontext():
                result = next(self.results, None)
            if result is None:
                return
            yield Outcome(self.kind, result, time.perf_counter() - started)


@dataclass(frozen=True)
class Outcome:
    """The result of one check, and its duration in seconds."""

    kind: Kind
    result: Result
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
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
    """A classifier, the parameters to build it with, and the checks to run.

    If the classifier cannot be built, there are no checks of the rules, and a check of the plugin fails.
    """

    name: str
    parameters: dict[str, Any]
    parts: list[Part]

    @property
    def rules_are_checked(self) -> bool:
        """Whether the classifier can be built and checked."""
        return any(part.kind != "plugin" for part in self.parts)

    @property
    def described(self) -> str:
        """A description of the classifier and its parameters."""
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
    """Select the checks to run and validate the options of the command, without training.

    Raises
    ------
    UnknownClassifierError, AmbiguousNameError
        If no plugin registers the name, or several do.
    UsageError, InvalidInputError
        If a setting or the name of a check is invalid.
    """
    from smalltext_cli.parameters import builder_parameters
    from smalltext_testing import find_check, plugin_checks

    of_plugin = {check.name: check for check in plugin_checks()}
    chosen = [of_plugin[each] if each in of_plugin else find_check(each, "--only") for each in only]
    try:
        spec = classifier_spec(name)
        parameters = builder_parameters(spec.resolve("builder"))
    except PluginError:  # reported by the checks of the plugin
        return Plan(name, {}, _plugin_part(name, max(num_classes, 2), {}, chosen, broken=True))
    values = _values(name, parameters, settings, num_classes, seed, device)
    kinds: list[Kind] = ["single-label", "multi-label"] if "multi_label" in spec.abilities else ["single-label"]
    if multi_label is not None:
        kinds = ["multi-label" if multi_label else "single-label"]
    rules = [part for kind in kinds for part in _rules_part(name, kind, num_classes, values, chosen)]
    broken = not rules and any(check.rule for check in chosen)
    return Plan(name, values, _plugin_part(name, max(num_classes, 2), values, chosen, broken=broken) + rules)


def _values(
    name: str,
    parameters: Parameters,
    settings: Sequence[str],
    num_classes: int,
    seed: int | None,
    device: str | None,
) -> dict[str, Any]:
    from smalltext_cli.parameters import parse_assignments, parse_values
    from smalltext_testing.sample_data import class_names

    given = parse_assignments(name, parameters, settings, seed=seed, device=device)
    if "seed" in parameters.named:
        given.setdefault("seed", "1")  # without a seed, the rules on seeds could not be checked
    return parse_values(parameters, given, LabelNames(tuple(class_names(num_classes))))


def _plugin_part(
    name: str, num_classes: int, values: dict[str, Any], chosen: list[Check], *, broken: bool
) -> list[Part]:
    """Return the selected checks of the plugin; if it is `broken`, also those that fail."""
    from smalltext_testing import plugin_checks, run_plugin_checks

    wanted = [check for check in plugin_checks() if not chosen or check in chosen]
    if not wanted and not broken:
        return []
    found = run_plugin_checks(name, num_classes, **values)
    shown = (result for result in found if result.check in wanted or (broken and result.status == "failed"))
    return [Part("plugin", tuple(wanted), shown)]


def _rules_part(
    name: str, kind: Kind, num_classes: int, values: dict[str, Any], chosen: list[Check]
) -> list[Part]:
    from smalltext_testing import checks, run_checks

    wanted = tuple(check for check in checks() if not chosen or check in chosen)
    multi_label = kind == "multi-label"
    factory = _factory(name, num_classes, multi_label, values)
    if factory is None or not wanted:
        return []
    names = [check.name for check in wanted]
    return [Part(kind, wanted, run_checks(factory, num_classes=num_classes, multi_label=multi_label, only=names))]


def _factory(name: str, num_classes: int, multi_label: bool, values: dict[str, Any]) -> ClassifierFactory | None:
    """Return a factory; None if the plugin fails to create one, which the checks of the plugin report."""
    try:
        return create_factory(name, num_classes, multi_label=multi_label, **values)
    except PluginError:
        return None
    except SmallTextError:  # an invalid setting
        raise
    except (Exception, SystemExit) as error:
        if raised_by_signal(error):
            raise
        return None


def _run(planned: Plan, *, shown: bool, explain: bool) -> list[Outcome]:
    """Run all checks, showing results as they arrive, and on a terminal also the running check."""
    live = shown and results().is_terminal
    outcomes = []
    if shown:
        print_line(planned.described)
    with working("Checking ...", results() if live else messages()) as status:
        for part in planned.parts:
            if shown:
                print_line(f"\n{part.title}")
            for event in part.run(silently=not live):
                if isinstance(event, Outcome):
                    outcomes.append(event)
                    if shown:
                        _show(event.result, explain=explain)
                else:
                    status.update(f"{part.title}: {event.name} ...")
    return outcomes


def _show(result: Result, *, explain: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    check = result.check
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=len("skipped"))
    table.add_column(width=len("rule 11"))
    table.add_column(overflow="fold")
    style = {"passed": "green", "failed": "bold red"}.get(result.status, "yellow")
    table.add_row(Text(result.status, style=style), Text(check.family.removeprefix("the ")), Text(check.summary))
    details = {"because": result.reason, "seen": result.seen, "expected": result.expected}
    if explain or result.status == "failed":
        details |= {"why": check.reason, "what to do": check.remedy, "check": check.name}
    for label, text in details.items():
        if text:
            table.add_row("", "", Text.assemble((f"{label}: ", "bold"), text))
    results().print(table)


def _show_counts(name: str, outcomes: list[Outcome], counts: Counter[str]) -> None:
    listed = ", ".join(f"{counts[status]} {status}" for status in ("passed", "failed", "skipped"))
    print_line(f"\n{listed}, in {sum(one.seconds for one in outcomes):.1f} s")
    if not counts["passed"] and not counts["failed"]:
        print_line("No check could be run.")
    failed = next((one.result.check.name for one in outcomes if one.result.status == "failed"), None)
    if failed is not None:
        print_line(f"To run one check alone: smalltext check {name} --only {failed}")
