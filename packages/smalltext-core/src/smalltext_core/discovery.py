"""Finding the plugins that are installed, and loading each so that a broken one harms no other."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points

import pluggy

from smalltext_core import spec
from smalltext_core.classifier import PROTOCOL_VERSION
from smalltext_core.errors import PluginError, ProtocolVersionError
from smalltext_core.messages import NEEDED_TOO, install_command, shown
from smalltext_core.process import raised_by_signal, random_state_kept
from smalltext_core.spec import PROJECT, ClassifierSpec

ALLOW_VARIABLE = "SMALLTEXT_PLUGINS"
FORBID_VARIABLE = "SMALLTEXT_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Plugin:
    """One entry point of the group ``smalltext``, and what became of it.

    Parameters
    ----------
    name, distribution, version : str
        The entry point, and the distribution that brings it.
    specs : tuple of ClassifierSpec
        The classifiers that it registers, if it could be loaded.
    error : BaseException or None
        Why it could not be loaded, or why one of its classifiers cannot be used.
    blocked_by : str or None
        The environment variable that keeps it from being loaded.
    module : str
        Where its hook lives.
    """

    name: str
    distribution: str
    version: str
    specs: tuple[ClassifierSpec, ...] = ()
    error: BaseException | None = None
    blocked_by: str | None = None
    module: str = ""

    @property
    def status(self) -> str:
        """Return "ready", "broken" or "blocked"."""
        if self.blocked_by is not None:
            return "blocked"
        return "ready" if self.error is None else "broken"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (entry point {self.name!r})"


def canonical(distribution: str) -> str:
    """Return the name of a distribution as package indexes compare them: smalltext-sklearn."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def discover() -> list[Plugin]:
    """Load every installed plugin that the environment allows, sorted by distribution and name.

    ``SMALLTEXT_PLUGINS`` names the only distributions that are loaded, separated by commas (set but empty,
    it allows none); ``SMALLTEXT_DISABLE_PLUGINS`` names some that are not. Neither imports anything.
    """
    found = [(*_distribution(entry), entry) for entry in entry_points(group=PROJECT)]
    return [_load(*each) for each in sorted(found, key=lambda each: (each[0], each[2].name))]


def forget_modules_of_removed(former: Iterable[Plugin]) -> None:
    """Drop the modules of plugins whose distributions are no longer installed."""
    installed = {_distribution(entry)[0] for entry in entry_points(group=PROJECT)}
    for plugin in former:
        if plugin.distribution not in installed:
            package = plugin.module.rpartition(".")[0] or plugin.module
            for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
                del sys.modules[name]


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Return name and version of the distribution behind an entry point, if its metadata is whole."""
    try:
        return canonical(entry.dist.name), entry.dist.version  # type: ignore[union-attr]
    except Exception:  # half removed by hand, say; each version of Python fails in its own way
        return "unknown", "unknown"


def _load(distribution: str, version: str, entry: EntryPoint) -> Plugin:
    plugin = Plugin(entry.name, distribution, version, module=entry.value.partition(":")[0].strip())
    blocked_by = _blocked_by(distribution)
    if blocked_by is not None:
        return replace(plugin, blocked_by=blocked_by)
    try:
        specs = _specs(entry)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # whatever its module raises stays with the plugin
        if raised_by_signal(error):
            raise
        return replace(plugin, error=error)
    strange = [spec for spec in specs if spec.protocol != PROTOCOL_VERSION]
    mismatch = _protocol_error(strange[0], distribution, version) if strange else None
    return replace(plugin, specs=specs, error=mismatch)


def _specs(entry: EntryPoint) -> tuple[ClassifierSpec, ...]:
    """Import a plugin's module and call its hook.

    Each plugin gets a manager of its own: pluggy would otherwise report one plugin's mistakes on the next.
    """
    with random_state_kept(entry.module):
        module = entry.load()
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(spec)
    manager.register(module)
    manager.check_pending()
    answers = manager.hook.smalltext_classifiers()
    if not answers:
        advice = "mark a function smalltext_classifiers() with @smalltext_core.hookimpl, and return the specs"
        raise PluginError(f"{entry.value} names no classifiers; {advice}.")
    specs = tuple(answers[0])
    for one in specs:
        if not isinstance(one, ClassifierSpec):
            raise PluginError(f"smalltext_classifiers() of {entry.value} gave {shown(one)}, not a ClassifierSpec.")
    return specs


def _protocol_error(spec: ClassifierSpec, distribution: str, version: str) -> ProtocolVersionError:
    newer = spec.protocol > PROTOCOL_VERSION
    behind = "smalltext-core" if newer else distribution
    known = behind in NEEDED_TOO  # no command is recommended for a package of somebody else
    advice = f"Upgrade it: {install_command(behind, upgrade=True)}" if known else f"Upgrade {behind}."
    return ProtocolVersionError(
        f"The classifier {spec.name!r} of {distribution} {version} was written for version {spec.protocol} of the "
        f"protocol, and the installed smalltext-core has version {PROTOCOL_VERSION}: "
        f"{behind} is the older one. {advice}"
    )


def _blocked_by(distribution: str) -> str | None:
    if ALLOW_VARIABLE in os.environ and distribution not in _named(ALLOW_VARIABLE):
        return ALLOW_VARIABLE
    return FORBID_VARIABLE if distribution in _named(FORBID_VARIABLE) else None


def _named(variable: str) -> set[str]:
    return {canonical(name.strip()) for name in os.environ.get(variable, "").split(",") if name.strip()}
