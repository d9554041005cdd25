"""``smalltext new-plugin NAME``: a plugin that works, to put one's own classifier into."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli.commands.options import AsJson
from smalltext_cli.console import print_json, results
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_cli.skeleton import PluginName

_GUIDE = "https://smalltext.github.io/smalltext/how-to/write-a-plugin/"


def new_plugin(
    name: Annotated[str, typer.Argument(help="What users will call the classifier, such as word-votes.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="A folder that does not exist yet. By default smalltext-NAME, here.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a plugin: a package with a working classifier, its tests, and what publishes it.

    The classifier is a small real one. Put your own in its place, and let the tests say what is missing. What is
    written passes its own tests, ruff, and strict mypy. An existing folder is never touched.

    For example:

        smalltext new-plugin word-votes

        cd smalltext-word-votes

        python -m pip install --editable ".[dev]"

        pytest
    """
    from smalltext_cli.skeleton import plugin_name, write_skeleton

    plugin = plugin_name(name)
    folder = Path(plugin.distribution) if output is None else output
    written = write_skeleton(plugin, folder)
    if as_json:
        names = {"name": plugin.name, "distribution": plugin.distribution, "package": plugin.package}
        print_json({**names, "classifier": plugin.classifier, "folder": str(folder), "files": written})
    else:
        _show(plugin, folder, written)


def _show(plugin: PluginName, folder: Path, written: list[str]) -> None:
    def say(text: str = "") -> None:
        results().print(text, markup=False, soft_wrap=True)

    source = f"src/{plugin.package}"
    said = {
        f"{source}/classifier.py": f"{plugin.classifier}, a working classifier: put yours in its place",
        f"{source}/plugin.py": "what smalltext finds: the name, one line, the abilities",
        "tests/test_rules.py": "the rules that every classifier keeps, one test each",
        "tests/test_classifier.py": "what is particular to this one",
        "pyproject.toml": "what it is called, and what it needs",
    }
    width = max(map(len, said))
    say(f"{folder}: {len(written)} files of a plugin whose classifier is called {plugin.name}")
    for path, meaning in said.items():
        say(f"  {path:<{width}}  {meaning}")
    say()
    say("Try it as it is, and again after every change:")
    say(f"  cd {shlex.quote(str(folder))}")
    say('  python -m pip install --editable ".[dev]"')
    say("  pytest")
    say(f"  smalltext check {plugin.name}")
    say()
    say(f"The whole way, to a wheel that others install: {_GUIDE}")
