"""``smalltext list``: the classifiers that are installed, and the plugins that do not work."""

from __future__ import annotations

from typing import Any

from smalltext_cli.commands.options import AsJson
from smalltext_cli.console import plain, print_json, results
from smalltext_core import classifiers, plugins
from smalltext_core.messages import LIMIT, install_command, one_line


def list_classifiers(*, as_json: AsJson = False) -> None:
    """List the classifiers that are installed.

    Plugins that are broken, or blocked by SMALLTEXT_PLUGINS or SMALLTEXT_DISABLE_PLUGINS, are listed with
    the reason.
    """
    found, problems = _classifiers(), _problems()
    if as_json:
        print_json({"classifiers": found, "problems": problems})
        return
    _show(found, problems)


def _classifiers() -> list[dict[str, Any]]:
    providers = {id(spec): plugin for plugin in plugins() for spec in plugin.specs}
    return [
        {
            "name": name,
            "summary": spec.summary,
            "distribution": providers[id(spec)].distribution,
            "version": providers[id(spec)].version,
            "abilities": list(spec.abilities),
        }
        for name, spec in classifiers().items()
    ]


def _problems() -> list[dict[str, Any]]:
    return [
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


def _show(found: list[dict[str, Any]], problems: list[dict[str, Any]]) -> None:
    from rich.table import Table

    console = results()
    if found:
        table = Table("name", "what it is", "from", "abilities", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for one in found:
            table.add_row(
                plain(one["name"], style="bold"),
                plain(one["summary"]),
                plain(f"{one['distribution']} {one['version']}".rstrip()),
                plain(", ".join(one["abilities"])),
            )
        console.print(table)
    else:
        advice = install_command("smalltext-sklearn")
        console.print(f"No classifier is installed. A good first one: {advice}", markup=False, soft_wrap=True)
    for one in problems:
        origin = f"{one['distribution']} {one['version']} (plugin {one['plugin']!r})"
        console.print(
            plain(f"{one['status']}: {origin}: {one_line(one['reason'])}", 4 * LIMIT),
            style="red" if one["status"] == "broken" else "yellow",
            soft_wrap=True,
        )
