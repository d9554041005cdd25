"""``smalltext list`` and ``smalltext info``: the installed classifiers, their parameters, and saved models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalltext_cli import commands, completion
from smalltext_cli.console import (
    UsageError,
    counted,
    jsonable,
    plain,
    print_columns,
    print_json,
    print_line,
    results,
    working,
)
from smalltext_core import ClassifierSpec, Plugin, classifier_spec, classifiers, plugins
from smalltext_core.atomic import expanded
from smalltext_core.label_names import shown_name
from smalltext_core.messages import LIMIT, install_command, one_line, shown
from smalltext_core.saving import damage_explained

if TYPE_CHECKING:
    from smalltext_cli.evaluation import Model
    from smalltext_cli.parameters import Parameters


_MAX_LISTED = 50


def list_classifiers(*, as_json: commands.AsJson = False) -> None:
    """List the classifiers that are installed.

    Plugins that are broken, or blocked by SMALLTEXT_PLUGINS or SMALLTEXT_DISABLE_PLUGINS, are listed with a
    reason.
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
        rows = [
            [
                one["name"],
                f"{one['distribution']} {one['version']}".rstrip(),
                f"{one['summary']} ({', '.join(one['abilities']) or 'no optional abilities'})",
            ]
            for one in found
        ]
        print_columns(["name", "from", "description"], rows)
    else:
        print_line(f"No classifier is installed. A good start: {install_command('smalltext-sklearn')}")
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
            autocompletion=completion.classifiers_and_models,
        ),
    ],
    *,
    trust: commands.Trust = None,
    as_json: commands.AsJson = False,
) -> None:
    """Show the abilities and parameters (for `train --set`) of a classifier, or describe a saved model.

    Examples
    --------
        smalltext info sklearn

        smalltext info mails-model
    """
    from smalltext_cli.shipped_parameters import parameters_of

    if name not in classifiers() and (Path(name).is_dir() or Path(name).name != name):
        from smalltext_cli.evaluation import load_model

        with working(f"Loading {name} ..."):
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
    parameters = parameters_of(spec)
    provider = next(plugin for plugin in plugins() if any(one is spec for one in plugin.specs))
    if as_json:
        print_json(_as_dict(name, spec, provider, parameters))
    else:
        _show_info(name, spec, provider, parameters)


def _as_dict(name: str, spec: ClassifierSpec, provider: Plugin, parameters: Parameters) -> dict[str, Any]:
    from smalltext_cli.shipped_parameters import as_json

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
        "parameters": as_json(parameters),
    }


def _show_info(name: str, spec: ClassifierSpec, provider: Plugin, parameters: Parameters) -> None:
    print_line(f"{name}: {spec.summary}", style="bold")
    facts = {
        "from": provider.origin,
        "abilities": ", ".join(spec.abilities) or "none beyond fit and predict",
        "classifier": spec.classifier,
        "dataset": spec.dataset or "only TextDataset",
    }
    print_columns(["", ""], [list(fact) for fact in facts.items()])
    print_line()
    if not parameters.named:
        print_line("It has no parameters.")
        return
    rows = [
        [
            one.name,
            one.type_text,
            "required" if one.is_required else shown(jsonable(one.default)),
            one.meaning,
        ]
        for one in parameters.named.values()
    ]
    print_columns(["parameter", "type", "default", "meaning"], rows)
    print_line()
    print_line(f"Set one: smalltext train DATA --classifier {name} --output FOLDER --set parameter=value")


def _model_as_dict(model: Model, folder: str) -> dict[str, Any]:
    """Return a description of a model folder as JSON values, with scores and counts recorded by `train`."""
    from smalltext_cli.evaluation import model_parameters
    from smalltext_cli.training_record import SCORES, TRAINING, json_in_model

    manifest = model.manifest
    return {
        "model": folder,
        "classifier": manifest.classifier,
        "distribution": manifest.distribution,
        "version": manifest.version,
        "multi_label": model.multi_label,
        "labels": list(model.names.names),
        "bytes": sum(Path(folder, name).stat().st_size for name in manifest.files),
        "training": json_in_model(folder, manifest, TRAINING),
        "scores": json_in_model(folder, manifest, SCORES),
        **model.probabilities.as_dict(),
        "parameters": {name: json.loads(value) for name, value in model_parameters(manifest, limit=None).items()},
    }


def _show_model(model: Model, content: dict[str, Any]) -> None:
    with damage_explained(content["model"]):  # the record of the training is a file like others
        facts, values = _model_facts(model, content), _model_settings(model, content)
    print_line(content["model"], style="bold")
    print_columns(["", ""], [list(fact) for fact in facts.items()])
    print_line()
    print_columns(["parameter", "value"], [list(one) for one in values.items()])


def _model_facts(model: Model, content: dict[str, Any]) -> dict[str, str]:
    """Return what the table about a model shows above its parameters."""
    from smalltext_cli.diagnostics import scores_text

    names, scores, training = content["labels"], content["scores"], content["training"] or {}
    kind = "any number per text" if model.multi_label else "one per text"
    counts = training.get("classes", {})
    labels = [
        f"{shown_name(one)} ({counts[one]:,})" if one in counts else shown_name(one) for one in names[:_MAX_LISTED]
    ]
    facts = {
        "classifier": content["classifier"],
        "written by": f"{content['distribution']} {content['version']}",
        "classes": f"{len(names):,}, {kind}: {', '.join(labels)}{', ...' if len(names) > _MAX_LISTED else ''}",
        **model.probabilities.as_text(),
        "size": f"{content['bytes'] / 1e3:,.0f} kB",
    }
    if training:
        facts["trained"] = f"{training['trained_at']}, on {counted(training['texts'], 'text')}"
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in training["versions"].items())
    if scores is not None:
        facts["scores"] = f"{scores_text(scores)}, on {counted(scores['texts'], 'text')}"
    return facts


def _model_settings(model: Model, content: dict[str, Any]) -> dict[str, str]:
    """Return the parameters of a model as JSON, by name.

    The classifier may save an object in place of a parameter, such as an estimator in place of its name.
    """
    from smalltext_cli.evaluation import model_parameters

    settings = (content["training"] or {}).get("settings", {})
    given = {name: json.dumps(value, ensure_ascii=False) for name, value in settings.items()}
    return dict(sorted({**given, **model_parameters(model.manifest)}.items()))
