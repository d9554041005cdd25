"""The plugin manager, and the plugins in it: those that are installed, and those that a program registers.

A plugin that raises, misspells its hook or takes wrong arguments is unregistered and listed with its error; it
harms no other. With ``SMALLTEXT_TRACE_PLUGINS=1`` in the environment, calls of hooks are traced to stderr.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points

import pluggy

from smalltext_core import spec
from smalltext_core.classifier import PROTOCOL_VERSION
from smalltext_core.errors import PluginError, ProtocolVersionError
from smalltext_core.messages import NEEDED_TOO, install_command, printable, shown
from smalltext_core.process import raised_by_signal, random_state_kept
from smalltext_core.spec import PROJECT, ClassifierSpec

ALLOW_VARIABLE = "SMALLTEXT_PLUGINS"
FORBID_VARIABLE = "SMALLTEXT_DISABLE_PLUGINS"
TRACE_VARIABLE = "SMALLTEXT_TRACE_PLUGINS"

IN_PROCESS = "in-process"
"""What stands for the distribution of a plugin that a program registers itself."""

plugin_manager = pluggy.PluginManager(PROJECT)
"""The plugins of this process. ``plugin_manager.register(plugin)`` adds one that is not installed."""
plugin_manager.add_hookspecs(spec)
if os.environ.get(TRACE_VARIABLE, "0") not in ("", "0"):
    plugin_manager.trace.root.setwriter(lambda line: sys.stderr.write(printable(line, None, keep="\n")))
    plugin_manager.enable_tracing()

_installed: dict[str, object] = {}
"""The plugins of installed distributions, by the names under which they are registered."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that is installed, or registered with `plugin_manager`, with its classifiers or its error.

    Parameters
    ----------
    name : str
        The name of the entry point in the group ``smalltext``, or that in the plugin manager.
    distribution : str
        The distribution that brings it, or "in-process".
    version : str
        The version of the distribution; empty for a plugin without one.
    specs : tuple of ClassifierSpec, default=()
        The classifiers that it registers, if it could be loaded.
    error : BaseException, optional
        Why it could not be loaded, or why one of its classifiers cannot be used.
    blocked_by : str, optional
        The environment variable that keeps it from being loaded.
    module : str, default=""
        The module of its hook; empty for a plugin without a distribution.

    Examples
    --------
    >>> import smalltext_core as st
    >>> {plugin.name: plugin.status for plugin in st.plugins()}["sklearn"]
    'ready'
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

    @property
    def origin(self) -> str:
        """Return the distribution and its version."""
        return f"{self.distribution} {self.version}".rstrip()

    def __str__(self) -> str:
        kind = "plugin" if self.distribution == IN_PROCESS else "entry point"
        return f"{self.origin} ({kind} {self.name!r})"


def canonical(distribution: str) -> str:
    """Return the name of a distribution as package indexes compare them: smalltext-sklearn."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def discover() -> list[Plugin]:
    """Load every installed plugin that the environment allows, sorted by distribution and name.

    ``SMALLTEXT_PLUGINS`` names the only distributions that are loaded, separated by commas (set but empty,
    it allows none); ``SMALLTEXT_DISABLE_PLUGINS`` names some that are not. Neither imports anything. What the
    program registered itself comes last.
    """
    for name in list(_installed):
        _unregister(name)
    found = [(*_distribution(entry), entry) for entry in entry_points(group=PROJECT)]
    return updated([_load(*each) for each in sorted(found, key=lambda each: (each[0], each[2].name))])


def updated(former: Iterable[Plugin]) -> list[Plugin]:
    """Bring a list of plugins up to date with what the program has registered and unregistered since.

    Of two plugins of the program that register one name, the later one comes first. Those that are broken stay
    listed until they are registered again, or until the next `discover`.
    """
    plugins = [plugin for plugin in former if not _unregistered(plugin)]
    for name, registered in reversed(plugin_manager.list_name_plugin()):
        if registered is not None and name not in _installed:
            plugin = Plugin(name, IN_PROCESS, "")
            plugins.append(_with_specs(plugin, partial(_call_hook, registered, name)))
    return plugins


def _unregistered(plugin: Plugin) -> bool:
    """Return whether the program has unregistered a plugin, or registered it again."""
    if plugin.distribution == IN_PROCESS:
        return plugin.error is None or plugin_manager.has_plugin(plugin.name)
    installed = _installed.get(f"{plugin.distribution}:{plugin.name}")
    return installed is not None and not plugin_manager.is_registered(installed)


def forget_modules_of_removed(former: Iterable[Plugin]) -> None:
    """Drop the modules of plugins whose distributions are no longer installed."""
    installed = {_distribution(entry)[0] for entry in entry_points(group=PROJECT)}
    for plugin in former:
        if plugin.module and plugin.distribution not in installed:
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
    return _with_specs(plugin, lambda: _specs(entry))


def _with_specs(plugin: Plugin, specs: Callable[[], tuple[ClassifierSpec, ...]]) -> Plugin:
    """Return a plugin with its specs, or with the error that it raised, whatever that is."""
    try:
        found = specs()
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if raised_by_signal(error):
            raise
        return replace(plugin, error=error)
    foreign = next((one for one in found if one.protocol != PROTOCOL_VERSION), None)
    return replace(plugin, specs=found, error=None if foreign is None else _protocol_error(foreign, plugin))


def _specs(entry: EntryPoint) -> tuple[ClassifierSpec, ...]:
    """Import the plugin behind an entry point, register it, and call its hook."""
    with random_state_kept(entry.module):
        plugin = entry.load()
    name = f"{_distribution(entry)[0]}:{entry.name}"
    _installed[name] = plugin
    return _call_hook(plugin, name)


def _call_hook(plugin: object, name: str) -> tuple[ClassifierSpec, ...]:
    """Return the specs of one plugin, registered if it is not; unregister it if that fails."""
    try:
        if not plugin_manager.is_registered(plugin):  # two entry points may name one module
            plugin_manager.register(plugin, name)
        plugin_manager.trace("plugin", name)
        _check_pending(plugin)
        others = [other for other in plugin_manager.get_plugins() if other is not plugin]
        answers = plugin_manager.subset_hook_caller("smalltext_classifiers", others)()
        if not answers:
            advice = "mark a function smalltext_classifiers() with @smalltext_core.hookimpl, and return the specs"
            raise PluginError(f"The plugin {shown(name)} names no classifiers; {advice}.")
        specs = tuple(answers[0])
        for one in specs:
            if not isinstance(one, ClassifierSpec):
                what = f"smalltext_classifiers() of the plugin {shown(name)} gave {shown(one)}"
                raise PluginError(f"{what}, not a ClassifierSpec.")
    except BaseException as error:
        plugin_manager.trace("unregister", name, type(error).__name__, error)
        _unregister(name)
        raise
    return specs


def _check_pending(plugin: object) -> None:
    """Raise PluginValidationError if a plugin has a hook that does not exist, whatever others have."""
    for caller in plugin_manager.get_hookcallers(plugin) or ():
        if not caller.has_spec():
            impls = [impl for impl in caller.get_hookimpls() if impl.plugin is plugin]
            if not all(impl.optionalhook for impl in impls):
                raise pluggy.PluginValidationError(plugin, f"unknown hook {caller.name!r}")


def _unregister(name: str) -> None:
    _installed.pop(name, None)
    if plugin_manager.has_plugin(name):
        plugin_manager.unregister(name=name)


def _protocol_error(spec: ClassifierSpec, plugin: Plugin) -> ProtocolVersionError:
    behind = "smalltext-core" if spec.protocol > PROTOCOL_VERSION else plugin.distribution
    known = behind in NEEDED_TOO  # no command is recommended for a package of another project
    advice = f"Upgrade it: {install_command(behind, upgrade=True)}" if known else f"Upgrade {behind}."
    return ProtocolVersionError(
        f"The classifier {spec.name!r} of {plugin.origin} was written for version {spec.protocol} of the "
        f"protocol, and the installed smalltext-core has version {PROTOCOL_VERSION}: "
        f"{behind} is the older one. {advice}"
    )


def _blocked_by(distribution: str) -> str | None:
    if ALLOW_VARIABLE in os.environ and distribution not in _named(ALLOW_VARIABLE):
        return ALLOW_VARIABLE
    return FORBID_VARIABLE if distribution in _named(FORBID_VARIABLE) else None


def _named(variable: str) -> set[str]:
    return {canonical(name.strip()) for name in os.environ.get(variable, "").split(",") if name.strip()}
