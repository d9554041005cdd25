"""``smalltext list`` and ``smalltext info``: the installed classifiers, their parameters, and saved models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    UsageError,
    counted,
    jsonable,
    listed_names,
    new_table,
    plain,
    print_json,
    print_line,
    results,
)
from smalltext_core import ClassifierSpec, Plugin, classifier_spec, classifiers, plugins
from smalltext_core.atomic import expanded
from smalltext_core.messages import LIMIT, install_command, one_line, printable, shown

if TYPE_CHECKING:
    from smalltext_cli.evaluation import Model
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


def info(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|MODEL",
            help="A classifier, as `smalltext list` shows it, or a folder that `smalltext train` wrote.",
            callback=expanded,
        ),
    ],
    *,
    trust: commands.Trust = None,
    as_json: commands.AsJson = False,
) -> None:
    """Show what a classifier can do and the parameters that `train --set` takes; or what a saved model is.

    Examples
    --------
        smalltext info sklearn

        smalltext info mails-model
    """
    from smalltext_cli.parameters import builder_parameters

    if name not in classifiers() and (Path(name).is_dir() or Path(name).name != name):
        from smalltext_cli.evaluation import load_model

        model = load_model(name, trusted=trust)
        content = _model_as_dict(model, name)
        if as_json:
            print_json(content)
        else:
            _show_model(model, content)
        return
    if trust:
        raise UsageError(f"--trust is for the folder of a saved model, which {name!r} is not. Leave it out.")
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


def _model_as_dict(model: Model, folder: str) -> dict[str, Any]:
    """Return what a model folder holds, as JSON values; its scores are those that `train` measured."""
    from smalltext_cli.evaluation import SCORES

    manifest = model.manifest
    scores = Path(folder, SCORES).read_text(encoding="utf-8") if SCORES in manifest.files else "null"
    return {
        "model": folder,
        "classifier": manifest.classifier,
        "distribution": manifest.distribution,
        "version": manifest.version,
        "multi_label": model.multi_label,
        "labels": list(model.names.names),
        "bytes": sum(Path(folder, name).stat().st_size for name in manifest.files),
        "scores": json.loads(scores),
        **model.probabilities.as_dict(),
        "parameters": dict(sorted(manifest.parameters.items())),
    }


def _show_model(model: Model, content: dict[str, Any]) -> None:
    from smalltext_cli.diagnostics import scores_text
    from smalltext_cli.evaluation import model_parameters

    names, scores = content["labels"], content["scores"]
    kind = "any number of them a text" if model.multi_label else "one a text"
    facts = {
        "classifier": content["classifier"],
        "written by": f"{content['distribution']} {content['version']}",
        "classes": f"{len(names):,}, {kind}: {listed_names(names)}",
        **model.probabilities.as_text(),
        "size": f"{content['bytes'] / 1e3:,.0f} kB",
    }
    if scores is not None:
        facts["scores"] = f"{scores_text(scores)}, on {counted(scores['texts'], 'text')}"
    print_line(content["model"], style="bold")
    table = new_table(show_header=False)
    for name, words in facts.items():
        table.add_row(name, plain(words, 4 * LIMIT))
    results().print(table)
    print_line()
    table = new_table("parameter", "value", left=(0, 1))
    for name, value in model_parameters(model.manifest).items():
        table.add_row(plain(name, style="bold"), plain(value, 4 * LIMIT))
    results().print(table)
