"""Checks of a plugin: whether its spec is correct, and whether importing it is fast."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from smalltext_core import ClassifierSpec, Plugin, classifier_spec, create_factory, plugins
from smalltext_core.errors import AmbiguousNameError, UnknownClassifierError
from smalltext_core.registry import canonical
from smalltext_core.spec import PROJECT
from smalltext_testing._check import (
    BrokenRuleError,
    Check,
    NotApplicableError,
    Result,
    checks_in,
    environment,
    expect,
    rule,
    with_article,
)
from smalltext_testing._runner import require_success, run_check

_ABILITIES: dict[str, list[tuple[str, str | None]]] = {
    "validate": [("validate", None)],
    "embed": [("embed", None)],
    "save": [("save", None), ("load", None)],
    "weights": [("fit", "weights")],
    "dropout_sampling": [("predict_proba", "dropout_sampling")],
}
"""The methods, and their arguments, that each ability requires."""
_MAY_BE_REFUSED = {"weights", "dropout_sampling"}
"""Abilities that a classifier may lack even if it has the argument."""
_REQUIRED = ("check_plugin_can_be_loaded", "check_spec_targets_can_be_imported")
"""Checks that must pass before the others can run."""


@dataclass
class PluginContext:
    """A classifier by name: the declarations of its plugin, and the members of its class."""

    name: str
    num_classes: int
    parameters: Mapping[str, Any]

    @cached_property
    def spec(self) -> ClassifierSpec:
        return classifier_spec(self.name)

    @cached_property
    def plugin(self) -> Plugin:
        """The plugin that brings the spec."""
        return next(one for one in plugins() if any(spec is self.spec for spec in one.specs))

    @cached_property
    def classifier(self) -> Any:
        """The class that the spec names."""
        return self.spec.resolve("classifier")

    def new(self, *, multi_label: bool = False) -> Any:
        """Return a classifier that is created by name."""
        return create_factory(self.name, self.num_classes, multi_label=multi_label, **self.parameters).new()

    @cached_property
    def abilities(self) -> list[str]:
        """The abilities for which the class has the methods and arguments."""
        return [name for name, needed in _ABILITIES.items() if all(self._has(*each) for each in needed)]

    def _has(self, method: str, argument: str | None) -> bool:
        function = getattr(self.classifier, method, None)
        if argument is None or not callable(function):
            return callable(function)
        known = inspect.signature(function).parameters
        return argument in known or any(one.kind is one.VAR_KEYWORD for one in known.values())


@rule(0)
def check_plugin_can_be_loaded(context: PluginContext) -> None:
    """The plugin's module can be imported, its hook names the classifier, and its protocol is that of this core.

    Why: A plugin that cannot be loaded is listed with its error, and its classifiers cannot be used.
    What to do: import the module of the entry point in pyproject.toml in a new Python process, and read the error;
    install the package again after a change of its entry points. Give each spec its own name.
    """
    named = [spec for spec in context.plugin.specs if spec.name == context.spec.name]
    expect(
        len(named) == 1,
        seen=f"{len(named)} specs with the name {context.spec.name!r}, of which only the first is found by name",
        expected="one",
    )


@rule(0)
def check_spec_targets_can_be_imported(context: PluginContext) -> None:
    """Each part that the spec names as "module:attribute" can be imported.

    Why: They are strings, so that listing imports nothing heavy; no tool notices that a class was renamed.
    What to do: correct the string in the spec, and install what the module needs.
    """
    for part in ("classifier", "factory", "builder", "dataset"):
        if getattr(context.spec, part) is not None:
            context.spec.resolve(part)


@rule(0)
def check_plugin_imports_no_other_package(context: PluginContext) -> None:
    """The module with the hook imports only its own package, smalltext_core and the standard library.

    Why: It is imported whenever classifiers are listed; with torch at its top that takes seconds.
    What to do: name the classes as strings, and import nothing heavy in the package's __init__.py, which runs too.
    """
    module = next(
        entry.module
        for entry in entry_points(group=PROJECT, name=context.plugin.name)
        if entry.dist is not None and canonical(entry.dist.name) == context.plugin.distribution
    )
    code = (
        "import importlib, json, sys, smalltext_core, smalltext_core.registry\n"
        "names = lambda: {name.partition('.')[0] for name in sys.modules}\n"
        "before = names() | set(sys.stdlib_module_names)\n"
        "importlib.import_module(sys.argv[1])\n"
        "print(json.dumps(sorted(names() - before - {sys.argv[1].partition('.')[0]})))"
    )
    done = subprocess.run(  # noqa: S603 - our own code, run by our own Python
        [sys.executable, "-c", code, module], env=environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise BrokenRuleError(f"importing {module} in a new Python process fails: {last}", "it can be imported")
    heavy = json.loads(done.stdout.splitlines()[-1])
    named = [name for name in heavy if not name.startswith("_")] or heavy  # not the extension modules of packages
    expect(not heavy, seen=f"{module} imports {', '.join(named)}", expected="no other package")


@rule(0)
def check_factory_makes_the_declared_class(context: PluginContext) -> None:
    """The classifier that is made by name is of the spec's class, with the given num_classes and multi_label.

    Why: Saved models are loaded by that class, and callers read these two attributes.
    What to do: name the class that the factory makes, and keep both arguments as attributes in its constructor.
    Every classifier that is found by name supports single-label problems, by default.
    """
    classifier = context.new()
    expect(
        isinstance(classifier, context.classifier),
        seen=with_article(type(classifier)),
        expected=f"{with_article(context.classifier)}, as {context.spec.classifier!r} says",
    )
    found = {name: getattr(classifier, name, None) for name in ("num_classes", "multi_label")}
    expected = {"num_classes": context.num_classes, "multi_label": False}
    expect(found == expected, seen=f"the attributes {found}", expected=f"{expected}")


@rule(0)
def check_declared_abilities_exist(context: PluginContext) -> None:
    """A classifier has the abilities that its spec declares.

    Why: Programs rely on them: `smalltext train` saves a classifier that declares "save".
    What to do: write the method or argument that is missing, or remove the ability from the spec.
    """
    missing = [name for name in context.spec.abilities if name in _ABILITIES and name not in context.abilities]
    needed = [
        f"{method}()" if argument is None else f"an argument {argument!r} of {method}()"
        for name in missing
        for method, argument in _ABILITIES[name]
    ]
    expect(
        not missing,
        seen=f"{context.classifier.__name__} declares {', '.join(missing)}",
        expected=", ".join(needed),
    )
    if "multi_label" in context.spec.abilities:
        found = getattr(context.new(multi_label=True), "multi_label", None)
        expect(
            found is True,
            seen=f"made with multi_label=True, the classifier has the attribute multi_label={found}",
            expected="True",
        )


@rule(0)
def check_abilities_are_declared(context: PluginContext) -> None:
    """The abilities of a classifier are declared in its spec.

    Why: Abilities that are not declared are not used: `smalltext train` refuses a classifier whose spec lacks
    "save", even if it has the method, and weights are refused for one that lacks "weights".
    What to do: add the ability to `abilities=` in the spec. If fit() has an argument `weights` that the model does
    not support, and therefore refuses with UnsupportedError, leave "weights" out.
    """
    if not set(context.abilities) - _MAY_BE_REFUSED:
        raise NotApplicableError("it has no validate(), embed() or save()")
    undeclared = [
        name for name in context.abilities if name not in context.spec.abilities and name not in _MAY_BE_REFUSED
    ]
    expect(
        not undeclared,
        seen=f"{context.classifier.__name__} has {', '.join(undeclared)}, which its spec does not declare",
        expected=f"abilities=({', '.join(map(repr, (*context.spec.abilities, *undeclared)))},)",
    )


def plugin_checks() -> tuple[Check, ...]:
    """Return the checks of a plugin, in the order in which they run."""
    return checks_in(sys.modules[__name__])


def run_plugin_checks(name: str, num_classes: int = 3, **parameters: Any) -> Iterator[Result]:
    """Check the plugin of a classifier, and yield each result as soon as it is available.

    Parameters
    ----------
    name : str
        The name of an installed classifier, or of a plugin that cannot be loaded.
    num_classes : int, default=3
        The number of classes for the classifier's builder.
    **parameters
        Other parameters of the builder, including all without a default.

    Yields
    ------
    Result

    Raises
    ------
    UnknownClassifierError, AmbiguousNameError
        If no plugin registers the name, or several do.
    """
    context = PluginContext(name, num_classes, parameters)
    failed = ""
    for check in plugin_checks():
        result = Result(check, "skipped", reason=f"{failed} failed") if failed else run_check(check, context)
        if isinstance(result.error, (UnknownClassifierError, AmbiguousNameError)):
            raise result.error
        if result.status == "failed" and check.name in _REQUIRED:
            failed = check.name
        yield result


def check_plugin(name: str, num_classes: int = 3, **parameters: Any) -> list[Result]:
    """Check the plugin of a classifier, and raise one error that lists all failures.

    Parameters
    ----------
    name : str
        As for `run_plugin_checks`.
    num_classes : int, default=3
        As for `run_plugin_checks`.
    **parameters
        As for `run_plugin_checks`.

    Returns
    -------
    list of Result
        One for each check, passed or skipped.

    Raises
    ------
    ConformanceError
        With what was seen, what was expected, why it matters, and what to do.
    UnknownClassifierError, AmbiguousNameError
        If no plugin registers the name, or several do.

    Examples
    --------
    >>> from smalltext_testing import check_plugin
    >>> {result.status for result in check_plugin("sklearn")}
    {'passed'}
    """
    return require_success(f"The plugin of {name!r}", run_plugin_checks(name, num_classes, **parameters))
