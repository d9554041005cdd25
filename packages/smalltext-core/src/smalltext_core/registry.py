"""The plugins of this process, and the classifiers that they register by name.

A plugin that raises, misspells its hook or takes wrong arguments is unregistered and listed with its error; it
does not affect others. With ``SMALLTEXT_TRACE_PLUGINS=1`` in the environment, hook calls are traced to stderr.
"""

from __future__ import annotations

import difflib
import importlib
import os
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Literal, NoReturn, TypeAlias, get_args

import pluggy

from smalltext_core import spec as hooks
from smalltext_core.classifier import PROTOCOL_VERSION
from smalltext_core.errors import (
    AmbiguousNameError,
    InvalidInputError,
    PluginError,
    ProtocolVersionError,
    UnknownClassifierError,
)
from smalltext_core.lazy_import import raised_by_signal, random_state_kept
from smalltext_core.messages import REQUIREMENTS, install_command, printable, shown
from smalltext_core.spec import PROJECT, ClassifierSpec

FirstPartyName: TypeAlias = Literal["embeddings", "kimcnn", "setfit", "sklearn", "transformers"]
"""The classifier names reserved for this project, as a type: these classifiers can be saved."""

FIRST_PARTY: Mapping[str, str] = MappingProxyType({name: f"smalltext-{name}" for name in get_args(FirstPartyName)})
"""The classifier names reserved for this project, and their distributions."""

ALLOW_VARIABLE = "SMALLTEXT_PLUGINS"
FORBID_VARIABLE = "SMALLTEXT_DISABLE_PLUGINS"
TRACE_VARIABLE = "SMALLTEXT_TRACE_PLUGINS"

IN_PROCESS = "in-process"
"""The distribution name of plugins that a program registers itself."""

plugin_manager = pluggy.PluginManager(PROJECT)
"""The plugins of this process. ``plugin_manager.register(plugin)`` adds one that is not installed."""
plugin_manager.add_hookspecs(hooks)
if os.environ.get(TRACE_VARIABLE, "0") not in ("", "0"):
    plugin_manager.trace.root.setwriter(lambda line: sys.stderr.write(printable(line, None, keep="\n")))
    plugin_manager.enable_tracing()


@dataclass(frozen=True)
class Plugin:
    """A plugin that is installed, or registered with `plugin_manager`, with its classifiers or its error.

    Parameters
    ----------
    name : str
        The name of the entry point in the group ``smalltext``, or that in the plugin manager.
    distribution : str
        The distribution that contains it, or "in-process".
    version : str
        The version of the distribution; empty for a plugin without one.
    specs : tuple of ClassifierSpec, default=()
        The classifiers that it registers, if it could be loaded.
    error : BaseException, optional
        Why it could not be loaded, or why one of its classifiers cannot be used.
    blocked_by : str, optional
        The environment variable that blocks it.
    module : str, default=""
        The module of its hook; empty for a plugin without a distribution.
    registered : object, optional
        The object in the plugin manager; None if the plugin is blocked or could not be loaded.

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
    registered: object = field(default=None, repr=False, compare=False)

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

    ``SMALLTEXT_PLUGINS`` is an allowlist of distributions, separated by commas (set but empty, it allows none);
    ``SMALLTEXT_DISABLE_PLUGINS`` lists distributions that are not loaded. Blocked plugins are not imported.
    """
    found = [(*_distribution(entry), entry) for entry in entry_points(group=PROJECT)]
    return [_load(*one) for one in sorted(found, key=lambda one: (one[0], one[2].name))]


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    """Return name and version of the distribution of an entry point, if its metadata is complete."""
    try:
        return canonical(entry.dist.name), entry.dist.version  # type: ignore[union-attr]
    except Exception:  # for example, partly deleted; the exception depends on the version of Python
        return "unknown", "unknown"


def _load(distribution: str, version: str, entry: EntryPoint) -> Plugin:
    plugin = Plugin(entry.name, distribution, version, module=entry.value.partition(":")[0].strip())
    for variable, blocks in ((ALLOW_VARIABLE, False), (FORBID_VARIABLE, True)):
        named = {canonical(name.strip()) for name in os.environ.get(variable, "").split(",")}
        if variable in os.environ and (distribution in named) is blocks:
            return replace(plugin, blocked_by=variable)
    return _with_specs(plugin, f"{distribution}:{entry.name}", entry=entry)


def _with_specs(
    plugin: Plugin, name: str, *, entry: EntryPoint | None = None, registered: object = None
) -> Plugin:
    """Import the object of an entry point, call its hook, and add the specs, or the error that was raised."""
    try:
        if entry is not None:  # of importlib_metadata, not of importlib.metadata, once that has been imported
            with random_state_kept(entry.module):
                registered = entry.load()
        specs = _specs(registered, name)
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        plugin_manager.trace("unregister", name, type(error).__name__, error)
        if registered is not None and plugin_manager.is_registered(registered):
            plugin_manager.unregister(registered)
        if raised_by_signal(error):
            raise
        return replace(plugin, error=error)
    other = next((spec for spec in specs if spec.protocol != PROTOCOL_VERSION), None)
    problem = None if other is None else _protocol_error(other, plugin)
    return replace(plugin, specs=specs, error=problem, registered=registered)


def _specs(plugin: object, name: str) -> tuple[ClassifierSpec, ...]:
    """Return the answer of one plugin's hook, registering it first if necessary."""
    if not plugin_manager.is_registered(plugin):  # two entry points may name one module
        plugin_manager.register(plugin, name)
    plugin_manager.trace("plugin", name)
    for caller in plugin_manager.get_hookcallers(plugin) or ():  # check_pending stops at another plugin's mistake
        required = [one for one in caller.get_hookimpls() if one.plugin is plugin and not one.optionalhook]
        if required and not caller.has_spec():
            raise pluggy.PluginValidationError(plugin, f"unknown hook {caller.name!r}")
    others = [other for other in plugin_manager.get_plugins() if other is not plugin]
    answers = plugin_manager.subset_hook_caller("smalltext_classifiers", others)()
    if not answers:
        advice = "mark a function smalltext_classifiers() with @smalltext_core.hookimpl, and return the specs"
        raise PluginError(f"The plugin {shown(name)} names no classifiers; {advice}.")
    specs = tuple(answers[0])
    for spec in specs:
        if not isinstance(spec, ClassifierSpec):
            what = f"smalltext_classifiers() of the plugin {shown(name)} gave {shown(spec)}"
            raise PluginError(f"{what}, not a ClassifierSpec.")
    return specs


def _protocol_error(spec: ClassifierSpec, plugin: Plugin) -> ProtocolVersionError:
    behind = "smalltext-core" if spec.protocol > PROTOCOL_VERSION else plugin.distribution
    known = behind in REQUIREMENTS  # no command is recommended for a package of another project
    advice = f"Upgrade it: {install_command(behind, upgrade=True)}" if known else f"Upgrade {behind}."
    return ProtocolVersionError(
        f"The classifier {spec.name!r} of {plugin.origin} was written for version {spec.protocol} of the "
        f"protocol, and the installed smalltext-core has version {PROTOCOL_VERSION}: "
        f"{behind} is the older one. {advice}"
    )


def _with_registered(former: Iterable[Plugin]) -> list[Plugin]:
    """Update a list of plugins with those that the program has registered or unregistered since.

    If two plugins of the program register the same name, the later one comes first. Broken ones stay listed until
    they are registered again, or until `refresh`.
    """
    plugins = [one for one in former if _is_current(one)]
    installed = [one.registered for one in plugins]
    for name, registered in reversed(plugin_manager.list_name_plugin()):
        if registered is not None and not any(registered is one for one in installed):
            plugins.append(_with_specs(Plugin(name, IN_PROCESS, ""), name, registered=registered))
    return plugins


def _is_current(plugin: Plugin) -> bool:
    if plugin.distribution == IN_PROCESS:  # those that are registered are queried again
        return plugin.registered is None and not plugin_manager.has_plugin(plugin.name)
    return plugin.registered is None or plugin_manager.is_registered(plugin.registered)


class Registry:
    """A snapshot of the plugins and of the classifiers that they register."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self.registered = plugin_manager.get_plugins()
        # For each bare name, the distributions that register it.
        self._claims: dict[str, dict[str, tuple[Plugin, ClassifierSpec]]] = {}
        for plugin in self.plugins:
            for spec in plugin.specs:
                self._claims.setdefault(spec.name, {}).setdefault(plugin.distribution, (plugin, spec))
        usable = {
            name if distribution == self._owner(name) else f"{distribution}:{name}": spec
            for name, claims in self._claims.items()
            for distribution, (_, spec) in claims.items()
            if spec.protocol == PROTOCOL_VERSION and spec.trainable
        }
        self.classifiers: Mapping[str, ClassifierSpec] = MappingProxyType(dict(sorted(usable.items())))
        """The classifiers that can be trained, by the shortest unambiguous name, sorted."""

    def _owner(self, name: str) -> str | None:
        """Return the distribution that a bare name refers to; None if no distribution or several register it."""
        claims = self._claims.get(name, {})
        if name in FIRST_PARTY:
            return FIRST_PARTY[name] if FIRST_PARTY[name] in claims else None
        return next(iter(claims)) if len(claims) == 1 else None

    def spec(self, name: str) -> ClassifierSpec:
        """Return the spec of a name, or raise an error with advice."""
        if not isinstance(name, str):
            raise InvalidInputError("name", shown(name), "the name of a classifier, a str")
        distribution, _, bare = name.rpartition(":")
        owner = canonical(distribution) if distribution else self._owner(bare)
        found = self._claims.get(bare, {}).get(owner or "")
        if found is None:
            self._refuse(name, bare, owner)
        plugin, spec = found
        if spec.protocol != PROTOCOL_VERSION:
            _refuse_broken(name, plugin)
        return spec

    def _refuse(self, name: str, bare: str, owner: str | None) -> NoReturn:
        """Explain why a name is not usable: its plugin is blocked, broken or missing, or the name is ambiguous."""
        expected = owner or FIRST_PARTY.get(bare)
        for plugin in self.plugins:
            if plugin.distribution == expected or (expected is None and plugin.name == bare):
                if plugin.blocked_by is not None:
                    why = f"which the environment variable {plugin.blocked_by} blocks"
                    raise UnknownClassifierError(f"{shown(name)} is part of {plugin}, {why}.")
                if plugin.error is not None and not plugin.specs:
                    _refuse_broken(name, plugin)
        claims = self._claims.get(bare)
        if claims and name == bare:
            providers = " and ".join(plugin.origin for plugin, _ in claims.values())
            full = " or ".join(shown(f"{distribution}:{name}") for distribution in claims)
            message = f"{shown(name)} is registered by {providers}. Ask for {full}."
            if name in FIRST_PARTY:
                message += f" The bare name is that of {FIRST_PARTY[name]}: {install_command(FIRST_PARTY[name])}"
            raise AmbiguousNameError(message)
        message = f"No classifier is called {shown(name)}. Installed: {', '.join(self.classifiers) or 'none'}."
        near = difflib.get_close_matches(bare, [*self.classifiers, *FIRST_PARTY], n=1)
        if near and near[0] != name:
            message += f" Did you mean {near[0]!r}?"
        if near and near[0] not in self.classifiers:
            message += f" It comes with: {install_command(FIRST_PARTY[near[0]])}"
        broken = [plugin for plugin in self.plugins if plugin.status == "broken"]
        if broken:
            message += f" Broken plugins, whose classifiers are not known: {', '.join(map(str, broken))}."
        raise UnknownClassifierError(message) from (broken[0].error if broken else None)


def _refuse_broken(name: str, plugin: Plugin) -> NoReturn:
    if isinstance(plugin.error, ProtocolVersionError):
        raise ProtocolVersionError(str(plugin.error)) from plugin.error
    what = f"The plugin {plugin} that should register {shown(name)} could not be loaded"
    raise PluginError(f"{what}: {type(plugin.error).__name__}: {plugin.error}") from plugin.error


_lock = threading.RLock()
_registry: Registry | None = None
_loading = False

if hasattr(os, "register_at_fork"):  # a child process has the lock, but not the thread that would release it
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


def registry() -> Registry:
    """Return the registry of this process, which is created on first use and kept until `refresh`.

    Plugins that a program registers with `plugin_manager`, or unregisters, are taken into account without reading
    the installed distributions again.
    """
    global _registry, _loading
    with _lock:
        if _registry is not None and _registry.registered == plugin_manager.get_plugins():
            return _registry
        if _loading:
            what = "A plugin asks which classifiers are installed while it is being loaded"
            raise PluginError(f"{what}, before the list is complete. Ask on first use, in a function.")
        _loading = True
        try:
            found = _with_registered(discover() if _registry is None else _registry.plugins)
        finally:
            _loading = False
        _registry = Registry(found)
        return _registry


def refresh() -> None:
    """Discard the registry, so that the next call discovers the installed plugins again.

    The modules of removed plugins are unloaded, so that another version is imported once it is installed. The
    loaded code of an upgraded plugin stays in use until Python is restarted.
    """
    global _registry
    with _lock:
        importlib.invalidate_caches()
        former = () if _registry is None else _registry.plugins
        installed = {_distribution(entry)[0] for entry in entry_points(group=PROJECT)} if former else set()
        for plugin in former:
            if plugin.distribution == IN_PROCESS:
                continue
            if plugin.registered is not None and plugin_manager.is_registered(plugin.registered):
                plugin_manager.unregister(plugin.registered)
            if plugin.module and plugin.distribution not in installed:
                package = plugin.module.rpartition(".")[0] or plugin.module
                for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
                    del sys.modules[name]
        _registry = None


def classifiers() -> Mapping[str, ClassifierSpec]:
    """Return the usable classifiers by name, without importing a backend.

    Examples
    --------
    >>> import smalltext_core as st
    >>> "sklearn" in st.classifiers()
    True
    """
    return registry().classifiers


def plugins() -> tuple[Plugin, ...]:
    """Return every installed plugin, including broken and blocked ones with their errors."""
    return registry().plugins


def classifier_spec(name: str) -> ClassifierSpec:
    """Return the spec of a classifier.

    Parameters
    ----------
    name : str
        A name from `classifiers`, or ``distribution:name``.

    Raises
    ------
    UnknownClassifierError, AmbiguousNameError
        If no distribution registers the name, or several do.
    PluginError
        If its plugin is broken, with the cause chained.
    """
    return registry().spec(name)
