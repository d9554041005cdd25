"""The skeleton of a plugin: its name in every form, its files, and the folder they are written to."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from smalltext_cli.errors import OutputError, UsageError
from smalltext_core import plugins
from smalltext_core.registry import FIRST_PARTY

if TYPE_CHECKING:
    from importlib.abc import Traversable

_PREFIX = "smalltext-"
_LONGEST = 30
_OURS = {*FIRST_PARTY.values(), "smalltext-core", "smalltext-testing", "smalltext-torch", "smalltext-cli"}
_ENDING = ".j2"


@dataclass(frozen=True)
class PluginName:
    """What a new plugin is called.

    Parameters
    ----------
    name : str
        What users call the classifier, such as "word-votes".

    Examples
    --------
    >>> plugin = PluginName("word-votes")
    >>> plugin.distribution, plugin.package, plugin.classifier
    ('smalltext-word-votes', 'smalltext_word_votes', 'WordVotesClassifier')
    """

    name: str

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"{_PREFIX}{self.name}"

    @property
    def package(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")

    @property
    def classifier(self) -> str:
        """The class."""
        return "".join(part.capitalize() for part in self.name.split("-")) + "Classifier"


def plugin_name(given: str) -> PluginName:
    """Read a name in whichever form it was typed, or say what is wrong with it.

    Raises
    ------
    UsageError
        If it cannot be the name of a plugin, or belongs to somebody already.

    Examples
    --------
    >>> plugin_name("smalltext_Word_Votes").name
    'word-votes'
    """
    name = re.sub(r"[-_.\s]+", "-", given.strip()).lower().removeprefix(_PREFIX)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            f"NAME: {given!r} cannot be the name of a plugin. Begin with a letter; letters a to z, digits and "
            "dashes may follow, as in word-votes."
        )
    if len(name) > _LONGEST:
        raise UsageError(f"NAME: {given!r} has {len(name)} characters; at most {_LONGEST} are allowed.")
    found = PluginName(name)
    _refuse_taken(found)
    return found


def _refuse_taken(found: PluginName) -> None:
    another = f"Choose another name, such as my-{found.name}"
    if found.name in FIRST_PARTY or found.distribution in _OURS:
        raise UsageError(f"NAME: {found.name!r} belongs to smalltext itself, as {found.distribution}. {another}.")
    for plugin in plugins():
        if plugin.distribution == found.distribution or found.name in (spec.name for spec in plugin.specs):
            who = f"{plugin.distribution} {plugin.version}, which is installed"
            raise UsageError(f"NAME: {found.name!r} is taken by {who}. {another}, or uninstall that.")
    if importlib.util.find_spec(found.package) is not None:
        raise UsageError(f"NAME: a package {found.package!r} is installed already. {another}, or uninstall that.")


def skeleton(plugin: PluginName) -> dict[str, str]:
    """Return the files of a new plugin: what each holds, by its path.

    Examples
    --------
    >>> sorted(skeleton(PluginName("votes")))[-2:]
    ['tests/test_classifier.py', 'tests/test_rules.py']
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 - no HTML is made here
        variable_start_string="<<",
        variable_end_string=">>",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    names = {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "package": plugin.package,
        "classifier": plugin.classifier,
    }
    found = _templates(files("smalltext_cli") / "templates" / "plugin", PurePosixPath())
    return {
        _destination(path, plugin): environment.from_string(template.read_text(encoding="utf-8")).render(names)
        for path, template in found
    }


def _templates(folder: Traversable, at: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _templates(entry, at / entry.name)
        elif entry.name.endswith(_ENDING):
            yield at / entry.name, entry


def _destination(path: PurePosixPath, plugin: PluginName) -> str:
    """Return where a template goes: without its ending, hidden if it begins with "dot_"."""
    parts = [plugin.package if part == "package" else re.sub(r"^dot_", ".", part) for part in path.parts]
    return "/".join(parts).removesuffix(_ENDING)


def write_skeleton(plugin: PluginName, folder: Path) -> list[str]:
    """Write a new plugin into a folder that does not exist yet, whole or not at all.

    Returns
    -------
    list of str
        The paths in the folder that were written, sorted.

    Raises
    ------
    OutputError
        If there is something at `folder` already; it stays as it is.
    """
    if folder.is_symlink() or folder.exists():
        raise _in_the_way(folder)
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    except OSError as error:
        what = f"{folder} cannot be made: {folder.parent}: {error.strerror}"
        raise OutputError(f"{what}. Choose another --output.") from error
    try:
        written = skeleton(plugin)
        for name, content in written.items():
            path = room / folder.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        try:
            (room / folder.name).rename(folder)
        except OSError as error:
            if folder.exists():  # somebody was quicker
                raise _in_the_way(folder) from error
            raise
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return sorted(written)


def _in_the_way(folder: Path) -> OutputError:
    return OutputError(f"{folder} exists already, and is left as it is. Choose another --output, or move it away.")
