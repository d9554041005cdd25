"""``smalltext check NAME``: the conformance kit over a classifier that is installed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli.commands.options import AsJson, Device
from smalltext_cli.console import jsonable, messages, print_json, results, working

if TYPE_CHECKING:
    from smalltext_cli.checking import Checked, Plan
    from smalltext_testing import Result


def check(
    name: Annotated[str, typer.Argument(help="The name of a classifier, as `smalltext list` shows it.")],
    *,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A parameter of the classifier; `smalltext info NAME` lists them. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    multi_label: Annotated[
        bool | None,
        typer.Option(
            "--multi-label/--single-label",
            help="Check problems of this kind alone. By default, those that the classifier is for.",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        int, typer.Option(metavar="N", min=1, help="How many classes the texts to train on have.")
    ] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECK", help="Run this check alone, by its name. Repeat for several.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of every rule why it exists, and how to keep it.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="By default 1, if the classifier takes one.", show_default=False),
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Check that an installed classifier keeps the rules of smalltext, and that its plugin declares it correctly.

    The classifier is trained many times, on a few dozen short texts. Let it learn from them within seconds: for a
    neural network, more epochs and fewer units than in earnest. Ends with exit code 1 if a rule is broken, or if
    no check could be run.

    For example:

        smalltext check sklearn

        smalltext check kimcnn --set num_epochs=20 --set lr=0.01 --set embedding_dim=50

        smalltext check transformers --set model=FOLDER --only check_one_text_works --explain
    """
    from smalltext_cli.checking import plan

    planned = plan(
        name,
        settings or [],
        num_classes=classes,
        multi_label=multi_label,
        only=only or [],
        seed=seed,
        device=device,
    )
    checked = _run(planned, shown=not as_json, explain=explain)
    counts = Counter(str(one.result.status) for one in checked)
    if as_json:
        print_json(
            {
                "classifier": name,
                "parameters": jsonable(planned.parameters),
                "num_classes": classes,
                "rules_checked": planned.rules_are_checked,
                **{status: counts[status] for status in ("passed", "failed", "skipped")},
                "checks": [one.as_dict() for one in checked],
            }
        )
    else:
        if not planned.rules_are_checked and (not only or counts["failed"]):
            _say("\nThe rules were not checked: no classifier can be made, as said above.")
        _show_end(name, checked, counts)
    if counts["failed"] or not counts["passed"]:
        raise typer.Exit(1)


def _run(planned: Plan, *, shown: bool, explain: bool) -> list[Checked]:
    """Run all checks; results are shown as they come, and on a terminal what runs meanwhile."""
    from smalltext_cli.checking import Checked, run

    console = results()
    live = shown and console.is_terminal
    checked = []
    if shown:
        _say(planned.described)
    with working("Checking ...", console if live else messages()) as status:
        for part in planned.parts:
            if shown:
                _say(f"\n{part.title}")
            for event in run(part, silently=not live):
                if not isinstance(event, Checked):
                    status.update(f"{part.title}: {event.name} ...")
                    continue
                checked.append(event)
                if shown:
                    _show(event.result, explain=explain)
    return checked


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
    for label, text in _details(result, explain=explain).items():
        table.add_row("", "", Text.assemble((f"{label}: ", "bold"), text))
    results().print(table)


def _details(result: Result, *, explain: bool) -> dict[str, str]:
    """Return what there is to say beside the rule itself."""
    check = result.check
    details = {"because": result.reason, "seen": result.seen, "expected": result.expected}
    if explain or result.status == "failed":
        details |= {"why": check.reason, "what to do": check.remedy, "check": check.name}
    return {label: text for label, text in details.items() if text}


def _show_end(name: str, checked: list[Checked], counts: Counter[str]) -> None:
    told = ", ".join(f"{counts[status]} {status}" for status in ("passed", "failed", "skipped"))
    _say(f"\n{told}, in {sum(one.seconds for one in checked):.1f} s")
    if not counts["passed"] and not counts["failed"]:
        _say("No check could be run, so that nothing is known.")
    failed = next((one.result.check.name for one in checked if one.result.status == "failed"), None)
    if failed is not None:
        _say(f"One alone, when you have changed something: smalltext check {name} --only {failed}")


def _say(text: str) -> None:
    results().print(text, markup=False, soft_wrap=True)
