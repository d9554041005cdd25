"""``smalltext info NAME``: what a classifier can do, and every parameter that it takes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from smalltext_cli.commands.options import AsJson
from smalltext_cli.console import jsonable, plain, print_json, results
from smalltext_cli.parameters import REQUIRED, Parameters, builder_parameters
from smalltext_core import ClassifierSpec, Plugin, classifier_spec, plugins
from smalltext_core.messages import LIMIT, printable, shown


def info(
    name: Annotated[str, typer.Argument(help="The name of a classifier, as `smalltext list` shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a classifier can do, and the parameters that `train --set` takes."""
    spec = classifier_spec(name)
    parameters = builder_parameters(spec.resolve("builder"))
    provider = next(plugin for plugin in plugins() if any(one is spec for one in plugin.specs))
    if as_json:
        print_json(_as_dict(name, spec, provider, parameters))
    else:
        _show(name, spec, provider, parameters)


def _as_dict(name: str, spec: ClassifierSpec, provider: Plugin, parameters: Parameters) -> dict[str, Any]:
    return {
        "name": name,
        "summary": spec.summary,
        "distribution": provider.distribution,
        "version": provider.version,
        "abilities": list(spec.abilities),
        "classifier": spec.classifier,
        "factory": spec.factory,
        "builder": spec.builder,
        "dataset": spec.dataset,
        "parameters": [
            {
                "name": one.name,
                "type": one.type_text,
                "required": one.default is REQUIRED,
                "default": None if one.default is REQUIRED else jsonable(one.default),
                "meaning": one.meaning,
            }
            for one in parameters.named.values()
        ],
    }


def _show(name: str, spec: ClassifierSpec, provider: Plugin, parameters: Parameters) -> None:
    from rich.table import Table
    from rich.text import Text

    console = results()
    console.print(Text.assemble((printable(name), "bold"), f": {printable(spec.summary)}"))
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_row("from", plain(provider.origin))
    facts.add_row("abilities", plain(", ".join(spec.abilities) or "none beyond fit and predict"))
    facts.add_row("classifier", plain(spec.classifier))
    facts.add_row("dataset", plain(spec.dataset or "TextDataset alone"))
    console.print(facts)
    console.print()
    table = Table("parameter", "type", "default", "meaning", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for one in parameters.named.values():
        default = "required" if one.default is REQUIRED else shown(one.default)
        meaning = plain(one.meaning, 4 * LIMIT)
        table.add_row(plain(one.name, style="bold"), plain(one.type_text), plain(default), meaning)
    console.print(table)
    console.print()
    console.print(
        f"Set one: smalltext train DATA --classifier {name} --output FOLDER --set parameter=value", markup=False
    )
