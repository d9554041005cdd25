"""``smalltext list`` and ``smalltext info NAME``: the installed classifiers and their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smalltext_cli import commands
from smalltext_cli.console import jsonable, new_table, plain, print_json, print_line, results
from smalltext_core import ClassifierSpec, Plugin, classifier_spec, classifiers, plugins
from smalltext_core.messages import LIMIT, install_command, one_line, printable, shown

if TYPE_CHECKING:
    from smalltext_cli.parameters import Parameters


def list_classifiers(*, as_json: commands.AsJson = False) -> None:
    """List the classifiers that are installed.

    Plugins that are broken, or blocked by SMALLTEXT_PLUGINS or SMALLTEXT_DISABLE_PLUGINS, are listed with
    the reason.
    """
    providers = {id(spec): plugin for plugin in plugins() for spec in plugin.specs}
    found = [
        {
            "name": name,
            "summary": spec.summary,
            "distribution": providers[id(spec)].distribution,
            "version": providers[id(spec)].version,
            "abilities": list(spec.abilities),
        }
        for name, spec in classifiers().items()
    ]
    problems = [
        {
            "plugin": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": plugin.status,
            "reason": f"blocked by the environment variable {plugin.blocked_by}"
            if plugin.blocked_by is not None
            else f"{type(plugin.error).__name__}: {plugin.error}",
        }
        for plugin in plugins()
        if plugin.status != "ready"
    ]
    if as_json:
        print_json({"classifiers": found, "problems": problems})
    else:
        _show_list(found, problems)


def _show_list(found: list[dict[str, Any]], problems: list[dict[str, Any]]) -> None:
    if found:
        table = new_table("name", "what it is", "from", "abilities", left=(0, 1, 2, 3))
        for one in found:
            table.add_row(
                plain(one["name"], style="bold"),
                plain(one["summary"]),
                plain(f"{one['distribution']} {one['version']}".rstrip()),
                plain(", ".join(one["abilities"])),
            )
        results().print(table)
    else:
        print_line(f"No classifier is installed. A good first one: {install_command('smalltext-sklearn')}")
    for one in problems:
        origin = f"{one['distribution']} {one['version']}".rstrip() + f" (plugin {one['plugin']!r})"
        results().print(
            plain(f"{one['status']}: {origin}: {one_line(one['reason'])}", 4 * LIMIT),
            style="red" if one["status"] == "broken" else "yellow",
            soft_wrap=True,
        )


def info(name: commands.ClassifierName, *, as_json: commands.AsJson = False) -> None:
    """Show the abilities of a classifier, and the parameters that `train --set` takes."""
    from smalltext_cli.parameters import builder_parameters

    spec = classifier_spec(name)
    parameters = builder_parameters(spec.resolve("builder"))
    provider = next(plugin for plugin in plugins() if any(one is spec for one in plugin.specs))
    if as_json:
        print_json(_as_dict(name, spec, provider, parameters))
    else:
        _show_info(name, spec, provider, parameters)


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
                "required": one.is_required,
                "default": None if one.is_required else jsonable(one.default),
                "meaning": one.meaning,
            }
            for one in parameters.named.values()
        ],
    }


def _show_info(name: str, spec: ClassifierSpec, provider: Plugin, parameters: Parameters) -> None:
    from rich.text import Text

    console = results()
    console.print(Text.assemble((printable(name), "bold"), f": {printable(spec.summary)}"))
    facts = new_table(show_header=False)
    facts.add_row("from", plain(provider.origin))
    facts.add_row("abilities", plain(", ".join(spec.abilities) or "none beyond fit and predict"))
    facts.add_row("classifier", plain(spec.classifier))
    facts.add_row("dataset", plain(spec.dataset or "TextDataset alone"))
    console.print(facts)
    console.print()
    table = new_table("parameter", "type", "default", "meaning", left=(0, 1, 2, 3))
    for one in parameters.named.values():
        default = "required" if one.is_required else shown(one.default)
        meaning = plain(one.meaning, 4 * LIMIT)
        table.add_row(plain(one.name, style="bold"), plain(one.type_text), plain(default), meaning)
    console.print(table)
    console.print()
    console.print(
        f"Set one: smalltext train DATA --classifier {name} --output FOLDER --set parameter=value", markup=False
    )
