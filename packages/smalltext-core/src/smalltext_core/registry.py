"""Installed classifiers by name, and the creation of factories and classifiers from a name."""

from __future__ import annotations

import difflib
import importlib
import inspect
import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NoReturn, TypeAlias, cast, get_args, overload

from smalltext_core.classifier import PROTOCOL_VERSION, AnyClassifier, ClassifierFactory, SavingClassifier
from smalltext_core.discovery import (
    Plugin,
    canonical,
    discover,
    forget_modules_of_removed,
    plugin_manager,
    updated,
)
from smalltext_core.errors import (
    AmbiguousNameError,
    InvalidInputError,
    PluginError,
    ProtocolVersionError,
    UnknownClassifierError,
    UnsupportedError,
)
from smalltext_core.factory import ConstructorFactory
from smalltext_core.messages import install_command, shown
from smalltext_core.process import hold_across_forks
from smalltext_core.spec import ClassifierSpec
from smalltext_core.validation import check_num_classes

FirstPartyName: TypeAlias = Literal["kimcnn", "setfit", "sklearn", "transformers"]
"""The names that belong to this project, as a type: what is made by one of them can be saved."""

FIRST_PARTY: Mapping[str, str] = MappingProxyType({name: f"smalltext-{name}" for name in get_args(FirstPartyName)})
"""The names that belong to this project, and the distributions that bring them."""


class Registry:
    """The plugins of one moment, and the names that follow from them."""

    def __init__(self, plugins: list[Plugin]) -> None:
        self.plugins = tuple(plugins)
        self.registered = plugin_manager.get_plugins()
        # For each bare name, who registers it and as what.
        self._claims: dict[str, list[tuple[Plugin, ClassifierSpec]]] = {}
        for plugin in self.plugins:
            for spec in plugin.specs:
                self._claims.setdefault(spec.name, []).append((plugin, spec))
        self.classifiers: Mapping[str, ClassifierSpec] = MappingProxyType(dict(sorted(self._usable().items())))
        """The classifiers that can be used, by the shortest name that finds them, sorted."""

    def _usable(self) -> dict[str, ClassifierSpec]:
        usable: dict[str, ClassifierSpec] = {}
        for name, claims in self._claims.items():
            owner = self._owner(name)
            for plugin, spec in claims:
                if spec.protocol == PROTOCOL_VERSION:
                    shortest = name if plugin.distribution == owner else f"{plugin.distribution}:{name}"
                    usable.setdefault(shortest, spec)
        return usable

    def _owner(self, name: str) -> str | None:
        """Return the distribution of a name without a prefix; None if there is none, or if it is ambiguous."""
        claimants = {plugin.distribution for plugin, _ in self._claims.get(name, ())}
        if name in FIRST_PARTY:
            return FIRST_PARTY[name] if FIRST_PARTY[name] in claimants else None
        return claimants.pop() if len(claimants) == 1 else None

    def spec(self, name: str) -> ClassifierSpec:
        """Return the spec of a name, or raise an error that says what to do instead."""
        if not isinstance(name, str):
            raise InvalidInputError("name", shown(name), "the name of a classifier, a str")
        distribution, _, bare = name.rpartition(":")
        owner = canonical(distribution) if distribution else self._owner(bare)
        claims = self._claims.get(bare, [])
        found = next((claim for claim in claims if claim[0].distribution == owner), None)
        if found is None:
            self._refuse_unusable(name, bare, owner)
            if claims and not distribution:
                self._refuse_clash(bare)
            self._refuse_unknown(name, bare)
        plugin, spec = found
        if spec.protocol != PROTOCOL_VERSION:
            _refuse_broken(name, plugin)
        return spec

    def _refuse_unusable(self, name: str, bare: str, distribution: str | None) -> None:
        """Raise if the plugin that should bring a name is broken or blocked."""
        distribution = distribution or FIRST_PARTY.get(bare)
        for plugin in self.plugins:
            if plugin.distribution == distribution or (distribution is None and plugin.name == bare):
                if plugin.blocked_by is not None:
                    why = f"which the environment variable {plugin.blocked_by} blocks"
                    raise UnknownClassifierError(f"{shown(name)} is brought by {plugin}, {why}.")
                if plugin.error is not None and not plugin.specs:
                    _refuse_broken(name, plugin)

    def _refuse_clash(self, name: str) -> NoReturn:
        claimants = [plugin for plugin, _ in self._claims[name]]
        full = " or ".join(shown(f"{plugin.distribution}:{name}") for plugin in claimants)
        providers = " and ".join(plugin.origin for plugin in claimants)
        message = f"{shown(name)} is registered by {providers}. Ask for {full}."
        if name in FIRST_PARTY:
            message += f" The bare name is that of {FIRST_PARTY[name]}: {install_command(FIRST_PARTY[name])}"
        raise AmbiguousNameError(message)

    def _refuse_unknown(self, name: str, bare: str) -> NoReturn:
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
    what = f"The plugin {plugin} that should bring {shown(name)} could not be loaded"
    raise PluginError(f"{what}: {type(plugin.error).__name__}: {plugin.error}") from plugin.error


_lock = threading.RLock()
_registry: Registry | None = None
_looking = False

hold_across_forks(_lock)


def registry() -> Registry:
    """Return the registry of this process, made on first use and kept until `refresh`.

    It follows what a program registers with `plugin_manager`, or unregisters, without looking at installed plugins
    again.
    """
    global _registry, _looking
    with _lock:
        if _registry is not None and _registry.registered == plugin_manager.get_plugins():
            return _registry
        if _looking:
            what = "A plugin asks which classifiers are installed while it is being loaded"
            raise PluginError(f"{what}, so that nobody knows yet. Ask on first use, in a function.")
        _looking = True
        try:
            found = discover() if _registry is None else updated(_registry.plugins)
        finally:
            _looking = False
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
        if _registry is not None:
            forget_modules_of_removed(_registry.plugins)
        _registry = None


def classifiers() -> Mapping[str, ClassifierSpec]:
    """Return the classifiers that are installed and can be used, by name; imports no backend.

    Examples
    --------
    >>> import smalltext_core as st
    >>> "sklearn" in st.classifiers()
    True
    """
    return registry().classifiers


def plugins() -> tuple[Plugin, ...]:
    """Return every plugin that is installed, the broken and the blocked ones too, with their errors."""
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


def create_factory(
    name: str, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> ClassifierFactory:
    """Create a factory of classifiers by name.

    Parameters
    ----------
    name : str
        A name from `classifiers`, or ``distribution:name``; raises what `classifier_spec` raises.
    num_classes : int
        2 or more (1 or more if multi-label).
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    **parameters
        What the classifier's builder takes; ``smalltext info NAME`` lists it. InvalidInputError names a wrong one.

    Examples
    --------
    >>> import smalltext_core as st
    >>> factory = st.create_factory("sklearn", num_classes=2, seed=1)
    >>> classifier = factory.new().fit(st.TextDataset(["good film", "bad film"], [1, 0]))
    """
    spec = classifier_spec(name)
    check_num_classes(num_classes, multi_label)
    _check_multi_label(name, spec, multi_label)
    builder = spec.resolve("builder")
    check_parameters(name, parameters)
    if spec.builder is None:
        return ConstructorFactory(builder, num_classes, multi_label=bool(multi_label), **parameters)
    return cast("ClassifierFactory", builder(num_classes, multi_label=multi_label, **parameters))


@overload
def create_classifier(
    name: FirstPartyName, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> SavingClassifier: ...
@overload
def create_classifier(
    name: str, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> AnyClassifier: ...
def create_classifier(
    name: str, num_classes: int, *, multi_label: bool = False, **parameters: Any
) -> AnyClassifier:
    """Create an unfitted classifier by name.

    Parameters
    ----------
    name : str
        A name from `classifiers`, or ``distribution:name``.
    num_classes : int
        The number of classes: 2 or more, or 1 or more if `multi_label`.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    **parameters
        The parameters of the classifier, which ``smalltext info NAME`` lists.

    Examples
    --------
    >>> import smalltext_core as st
    >>> classifier = st.create_classifier("sklearn", num_classes=2, seed=1)
    >>> classifier = classifier.fit(st.TextDataset(["good film", "bad film"], [1, 0]))
    >>> classifier.predict(st.TextDataset(["good"])).tolist()
    [1]
    """
    return create_factory(name, num_classes, multi_label=multi_label, **parameters).new()


def _check_multi_label(name: str, spec: ClassifierSpec, multi_label: bool) -> None:
    if multi_label and "multi_label" not in spec.abilities:
        able = [other for other, found in classifiers().items() if "multi_label" in found.abilities]
        hint = f" These can do more: {', '.join(able)}." if able else ""
        raise UnsupportedError(
            f"multi_label=True: the classifier {name!r} is for single-label problems; its plugin does not declare "
            f"the ability multi_label.{hint}"
        )


def builder_parameters(name: str) -> Mapping[str, inspect.Parameter]:
    """Import a classifier's builder and return its parameters without `num_classes` and `multi_label`."""
    known = inspect.signature(classifier_spec(name).resolve("builder")).parameters
    return {parameter: known[parameter] for parameter in known if parameter not in ("num_classes", "multi_label")}


def check_parameters(name: str, parameters: Iterable[str]) -> None:
    """Raise InvalidInputError, which names those that there are, if a classifier has no such parameter."""
    known = builder_parameters(name)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for parameter in parameters:
        if parameter not in known:
            near = difflib.get_close_matches(parameter, known, n=1)
            advice = f"Did you mean {near[0]!r}?" if near else ""
            given = f"{shown(parameter)} for the classifier {name!r}"
            raise InvalidInputError("parameters", given, ", ".join(known), advice)
