"""``smalltext new-plugin NAME``: create a package with a working classifier from the plugin template."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import OutputError, UsageError, print_json, print_line
from smalltext_core import plugins
from smalltext_core.atomic import expanded
from smalltext_core.messages import REQUIREMENTS

if TYPE_CHECKING:
    from importlib.abc import Traversable

_GUIDE = "https://smalltext.github.io/smalltext/how-to/write-a-plugin/"
_PREFIX = "smalltext-"
_MAX_LENGTH = 30
_OURS = {*REQUIREMENTS, *chain(*REQUIREMENTS.values())}
_TEMPLATE_SUFFIX = ".j2"


def new_plugin(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of the new classifier, such as word-votes.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The folder to create. By default smalltext-NAME in the current folder.",
            show_default=False,
            callback=expanded,
        ),
    ] = None,
    as_json: commands.AsJson = False,
) -> None:
    """Create a plugin: a package with a working classifier, tests, and workflows that test and publish it.

    The classifier is small, but works. Replace it with your own, and run the tests to see what is missing. The
    plugin passes its own tests, ruff, and strict mypy. Existing folders are never changed.

    Examples
    --------
        smalltext new-plugin word-votes

        cd smalltext-word-votes

        python -m pip install --editable ".[dev]"

        pytest
    """
    plugin = parse_plugin_name(name)
    folder = Path(plugin.distribution) if output is None else output
    written = write_plugin(plugin, folder)
    if as_json:
        names = {"name": plugin.name, "distribution": plugin.distribution, "package": plugin.package}
        print_json({**names, "classifier": plugin.classifier, "folder": str(folder), "files": written})
    else:
        _show(plugin, folder, written)


def _show(plugin: PluginName, folder: Path, written: list[str]) -> None:
    source = f"src/{plugin.package}"
    meanings = {
        f"{source}/classifier.py": f"{plugin.classifier}, a working classifier: replace it with yours",
        f"{source}/plugin.py": "the specs: the name, the summary, the abilities",
        "tests/test_rules.py": "the rules that every classifier follows, one test each",
        "tests/test_classifier.py": "tests of this classifier",
        "pyproject.toml": "the metadata and the dependencies",
    }
    width = max(map(len, meanings))
    print_line(f"{folder}: {len(written)} files of a plugin whose classifier is called {plugin.name}")
    for path, meaning in meanings.items():
        print_line(f"  {path:<{width}}  {meaning}")
    print_line("\nTest it now, and after every change:")
    print_line(f"  cd {shlex.quote(str(folder))}")
    print_line('  python -m pip install --editable ".[dev]"')
    print_line("  pytest")
    print_line(f"  smalltext check {plugin.name}")
    print_line(f"\nThe guide, up to a published wheel: {_GUIDE}")


@dataclass(frozen=True)
class PluginName:
    """The names of a new plugin, derived from the name of its classifier.

    Examples
    --------
    >>> plugin = PluginName("word-votes")
    >>> plugin.distribution, plugin.package, plugin.classifier
    ('smalltext-word-votes', 'smalltext_word_votes', 'WordVotesClassifier')
    """

    name: str

    @property
    def distribution(self) -> str:
        """The name that pip installs."""
        return f"{_PREFIX}{self.name}"

    @property
    def package(self) -> str:
        """The name that Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def classifier(self) -> str:
        """The name of the class."""
        return "".join(part.capitalize() for part in self.name.split("-")) + "Classifier"


def parse_plugin_name(given: str) -> PluginName:
    """Normalize the name of a plugin, or reject a name that is invalid or taken.

    Raises
    ------
    UsageError

    Examples
    --------
    >>> parse_plugin_name("smalltext_Word_Votes").name
    'word-votes'
    """
    name = re.sub(r"[-_.\s]+", "-", given.strip()).lower().removeprefix(_PREFIX)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"NAME: {given!r} cannot be the name of a plugin. Begin with a letter; letters a to z, digits and "
            "dashes may follow, as in word-votes."
        )
    if len(name) > _MAX_LENGTH:
        raise UsageError(f"NAME: {given!r} has {len(name)} characters; at most {_MAX_LENGTH} are allowed.")
    found = PluginName(name)
    _check_is_free(found)
    return found


def _check_is_free(found: PluginName) -> None:
    another = f"Choose another name, such as my-{found.name}"
    if found.distribution in _OURS:
        raise UsageError(f"NAME: {found.name!r} belongs to smalltext itself, as {found.distribution}. {another}.")
    for plugin in plugins():
        if plugin.distribution == found.distribution or found.name in (spec.name for spec in plugin.specs):
            who = f"{plugin.distribution} {plugin.version}, which is installed"
            raise UsageError(f"NAME: {found.name!r} is taken by {who}. {another}, or uninstall that.")
    if importlib.util.find_spec(found.package) is not None:
        raise UsageError(f"NAME: a package {found.package!r} is installed already. {another}, or uninstall that.")


def render_plugin(plugin: PluginName) -> dict[str, str]:
    """Return the contents of the files of a new plugin, by path.

    Examples
    --------
    >>> sorted(render_plugin(PluginName("votes")))[-2:]
    ['tests/test_classifier.py', 'tests/test_rules.py']
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 - no HTML is made here
        variable_start_string="<<",
        variable_end_string=">>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    names = {name: getattr(plugin, name) for name in ("name", "distribution", "package", "classifier")}
    found = _templates(files("smalltext_cli") / "templates" / "plugin", PurePosixPath())
    return {
        _destination(path, plugin): environment.from_string(template.read_text(encoding="utf-8")).render(names)
        for path, template in found
    }


def _templates(folder: Traversable, at: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, at / entry.name)
        elif entry.name.endswith(_TEMPLATE_SUFFIX):
            yield at / entry.name, entry


def _destination(path: PurePosixPath, plugin: PluginName) -> str:
    """Return the output path of a template: without its suffix, and with "dot_" replaced by a dot."""
    parts = [plugin.package if part == "package" else re.sub(r"^dot_", ".", part) for part in path.parts]
    return "/".join(parts).removesuffix(_TEMPLATE_SUFFIX)


def write_plugin(plugin: PluginName, folder: Path) -> list[str]:
    """Write a new plugin into a folder that does not exist yet, and return the sorted paths of its files.

    Raises
    ------
    OutputError
        If `folder` already exists; it is left unchanged.
    """
    if folder.is_symlink() or folder.exists():
        raise _exists(folder)
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        problem = f"{folder} cannot be made: {folder.parent}: {error.strerror}"
        raise OutputError(f"{problem}. Choose another --output.") from error
    try:
        written = render_plugin(plugin)
        for name, content in written.items():
            path = staging / folder.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        try:
            (staging / folder.name).rename(folder)
        except OSError as error:
            if folder.exists():  # created by another process in the meantime
                raise _exists(folder) from error
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return sorted(written)


def _exists(folder: Path) -> OutputError:
    return OutputError(f"{folder} exists already, and is left as it is. Choose another --output, or move it away.")
