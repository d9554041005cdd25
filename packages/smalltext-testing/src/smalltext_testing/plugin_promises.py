"""What a plugin promises beside the rules: that its spec tells the truth, and that naming it costs nothing."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from smalltext_core.discovery import Plugin, canonical
from smalltext_core.errors import AmbiguousNameError, UnknownClassifierError
from smalltext_core.registry import classifier_spec, create_factory, plugins
from smalltext_core.spec import PROJECT, ClassifierSpec
from smalltext_testing.check import (
    BrokenRuleError,
    Check,
    PromiseFunction,
    expect,
    not_applicable,
)
from smalltext_testing.child import environment
from smalltext_testing.runner import Result, all_kept, run_check

_METHODS = {"validate": ("validate",), "embed": ("embed",), "save": ("save", "load")}
"""The methods that an ability consists of."""
_ARGUMENTS = {"weights": ("fit", "weights"), "dropout_sampling": ("predict_proba", "dropout_sampling")}
"""The method and its argument that an ability consists of."""

_REQUIRED = ("check_plugin_can_be_loaded", "check_spec_leads_to_what_is_there")
"""Where one of these fails, nothing can be said about the others."""

_promises: list[Check] = []


def promise(function: PromiseFunction) -> PromiseFunction:
    """Mark a function as the check of a promise; its docstring is what a person reads who breaks it."""
    _promises.append(Check(function.__name__, 0, function))
    return function


class Promises:
    """A classifier as its plugin describes it, and as it turns out to be.

    Parameters
    ----------
    name : str
        What the plugin calls it.
    num_classes : int
    parameters : mapping of str to Any
        What its builder is given.
    """

    def __init__(self, name: str, num_classes: int, parameters: Mapping[str, Any]) -> None:
        self.name = name
        self.num_classes = num_classes
        self.parameters = parameters

    @cached_property
    def spec(self) -> ClassifierSpec:
        """What the plugin says."""
        return classifier_spec(self.name)

    @cached_property
    def plugin(self) -> Plugin:
        """Who says it."""
        return next(plugin for plugin in plugins() if any(spec is self.spec for spec in plugin.specs))

    @cached_property
    def classifier(self) -> Any:
        """The class behind the spec."""
        return self.spec.resolve("classifier")

    def factory(self, *, multi_label: bool = False) -> Any:
        """Return a factory, made by name."""
        return create_factory(self.name, self.num_classes, multi_label=multi_label, **self.parameters)

    @cached_property
    def has(self) -> tuple[str, ...]:
        """The abilities that can be seen from the class: methods and arguments that are there."""
        seen = [name for name, methods in _METHODS.items() if all(map(self._callable, methods))]
        for name, (method, argument) in _ARGUMENTS.items():
            if self._callable(method):
                known = inspect.signature(getattr(self.classifier, method)).parameters
                if argument in known or any(one.kind is one.VAR_KEYWORD for one in known.values()):
                    seen.append(name)
        return tuple(seen)

    def _callable(self, method: str) -> bool:
        return callable(getattr(self.classifier, method, None))


@promise
def check_plugin_can_be_loaded(promises: Promises) -> None:
    """The plugin's module can be imported, its hook names the classifier, and its protocol is that of this core.

    A plugin that cannot be loaded is listed with its error, and nobody can use it.

    What to do: import the module that the entry point in pyproject.toml names, in a fresh Python, and see what it
    says; install the package again after a change of its entry points.
    """
    assert promises.spec


@promise
def check_spec_leads_to_what_is_there(promises: Promises) -> None:
    """Each part that the spec names as "module:attribute" can be imported.

    They are strings, so that nothing heavy is imported to list classifiers; no tool notices that a class was
    renamed.

    What to do: correct the string in the spec, and install what the module needs.
    """
    for part in ("classifier", "factory", "builder", "dataset"):
        if getattr(promises.spec, part) is not None:
            promises.spec.resolve(part)


@promise
def check_plugin_module_is_light(promises: Promises) -> None:
    """The module with the hook imports nothing but itself, smalltext_core and the standard library.

    It is imported whenever anybody lists classifiers, on the command line too: with torch at its top, everybody
    who has it installed waits for seconds.

    What to do: keep the hook in a module of its own, name the classes as strings, and import nothing heavy in the
    package's __init__.py, which is run as well.
    """
    module = _module(promises.plugin)
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
        said = (done.stderr.strip().splitlines() or [""])[-1]
        raise BrokenRuleError(f"importing {module} in a new Python process fails: {said}", "it can be imported")
    heavy = json.loads(done.stdout.splitlines()[-1])
    expect(not heavy, seen=f"{module} imports {', '.join(heavy)}", expected="no other package")


def _module(plugin: Plugin) -> str:
    """Return the module behind a plugin's entry point."""
    found = entry_points(group=PROJECT, name=plugin.name)
    return next(
        entry.module
        for entry in found
        if entry.dist is not None and canonical(entry.dist.name) == plugin.distribution
    )


@promise
def check_name_leads_to_the_class(promises: Promises) -> None:
    """What is made by name is of the class that the spec names, with the num_classes and multi_label asked for.

    Saved models are loaded by that class, and callers read these two attributes.

    What to do: name the class that the factory makes, and let its constructor keep both arguments as attributes.
    """
    classifier = promises.factory().new()
    expect(
        isinstance(classifier, promises.classifier),
        seen=f"a {type(classifier).__name__}",
        expected=f"a {promises.classifier.__name__}, as {promises.spec.classifier!r} says",
    )
    found = {name: getattr(classifier, name, None) for name in ("num_classes", "multi_label")}
    expected = {"num_classes": promises.num_classes, "multi_label": False}
    expect(found == expected, seen=f"the attributes {found}", expected=f"{expected}")


@promise
def check_declared_abilities_are_there(promises: Promises) -> None:
    """A classifier can do what its spec declares.

    Programs choose by abilities: `smalltext train` saves what declares "save".

    What to do: write the method or argument that is missing, or take the ability out of the spec.
    """
    missing = [ability for ability in promises.spec.abilities if ability in {**_METHODS, **_ARGUMENTS}]
    missing = [ability for ability in missing if ability not in promises.has]
    wanted = {ability: " and ".join(f"{name}()" for name in names) for ability, names in _METHODS.items()}
    wanted |= {ability: f"an argument {name!r} of {method}()" for ability, (method, name) in _ARGUMENTS.items()}
    expect(
        not missing,
        seen=f"{promises.classifier.__name__} declares {', '.join(missing)}",
        expected="; ".join(f"{wanted[ability]} for {ability!r}" for ability in missing),
    )
    if "multi_label" in promises.spec.abilities:
        kind = getattr(promises.factory(multi_label=True).new(), "multi_label", None)
        expect(
            kind is True,
            seen=f"made with multi_label=True, the classifier has the attribute multi_label={kind}",
            expected="True",
        )


@promise
def check_abilities_are_declared(promises: Promises) -> None:
    """What a classifier can do beyond the protocol stands in its spec.

    Nobody finds what is not declared: `smalltext train` refuses a classifier whose spec lacks "save", though it
    may have the method, and weights are refused for one that lacks "weights".

    What to do: add the ability to `abilities=` in the spec. Where fit() has an argument `weights` that the model
    cannot use, and therefore refuses by an UnsupportedError, leave "weights" out.
    """
    hidden = [ability for ability in promises.has if ability not in (*promises.spec.abilities, *_ARGUMENTS)]
    if not set(promises.has) - set(_ARGUMENTS):
        raise not_applicable("it has no validate(), embed() or save()")
    expect(
        not hidden,
        seen=f"{promises.classifier.__name__} can {', '.join(hidden)}, and its spec does not say so",
        expected=f"abilities=({', '.join(map(repr, (*promises.spec.abilities, *hidden)))},)",
    )


def promises() -> tuple[Check, ...]:
    """Return the checks of what a plugin promises.

    Examples
    --------
    >>> [check.name for check in promises()][0]
    'check_plugin_can_be_loaded'
    """
    return tuple(_promises)


def run_promises(name: str, num_classes: int = 3, **parameters: Any) -> Iterator[Result]:
    """Check what a plugin promises of one of its classifiers, and yield a result for each promise as it comes.

    Parameters
    ----------
    name : str
        Of an installed classifier; of a plugin, where that cannot be loaded.
    num_classes : int, default=3
    **parameters
        What the classifier's builder takes, above all what it needs.

    Raises
    ------
    UnknownClassifierError, AmbiguousNameError
        If no plugin registers the name, or several do.
    """
    described = Promises(name, num_classes, parameters)
    broken = ""
    for check in _promises:
        result = run_check(check, described) if not broken else Result(check, "skipped", reason=broken)
        if isinstance(result.error, (UnknownClassifierError, AmbiguousNameError)):
            raise result.error
        if result.status == "failed" and check.name in _REQUIRED:
            broken = f"the rest follows from {check.name}"
        yield result


def check_promises(name: str, num_classes: int = 3, **parameters: Any) -> list[Result]:
    """Check what a plugin promises of one of its classifiers, and raise one error that lists what does not hold.

    Parameters
    ----------
    name, num_classes, **parameters
        As for `run_promises`, which raises the same.

    Returns
    -------
    list of Result

    Raises
    ------
    ConformanceError
        With what was seen, what was expected, why it matters, and what to do.

    Examples
    --------
    >>> from smalltext_testing import check_promises
    >>> {result.status for result in check_promises("sklearn")}
    {'passed'}
    """
    return all_kept(f"The plugin of {name!r} and its promises", run_promises(name, num_classes, **parameters))
