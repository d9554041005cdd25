"""Each parameter is declared in one place, its class: name, type, default and description; all else reads them."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from architecture.docstrings import documented, sections
from smalltext_cli.parameters import builder_parameters
from smalltext_core import classifier_spec
from smalltext_core.factory import builder_parameters as parameters_by_name
from smalltext_core.registry import classifiers

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

FROM_THE_MODEL = {
    "embeddings": set(),
    "kimcnn": set(),
    "setfit": {"model", "model_loading_strategy"},
    "sklearn": {"estimator", "estimator_parameters", "vectorizer_parameters"},
    "transformers": {"model", "tokenizer", "config", "model_loading_strategy"},
}
"""Parameters of a builder for creating the model, estimator or vectorizer that the class takes as an object."""

FROM_KEYWORDS = {
    "embeddings": set(),
    "kimcnn": set(),
    "setfit": {
        *("num_epochs", "head_num_epochs", "lr", "head_lr", "max_steps", "sampling_strategy", "num_iterations"),
        *("loss", "normalize_embeddings", "cache_dir"),
    },
    "sklearn": set(),
    "transformers": {"layerwise_gradient_decay", "gradual_unfreezing"},
}
"""Parameters of a builder that the class takes inside a mapping or an object."""

NOT_SHOWN = {
    "embeddings": set(),
    "kimcnn": {"embedding_matrix", "padding_idx", "early_stopping", "early_stopping_acc", "verbosity"},
    "setfit": {"setfit_model_args", "model_kwargs", "trainer_kwargs"},
    "sklearn": {"model"},
    "transformers": {
        *("transformer_model", "fine_tuning_arguments", "peft_config", "memory_fix", "verbosity"),
        *("early_stopping_no_improvement", "early_stopping_acc"),
    },
}
"""Parameters of the class that ``smalltext info`` does not show: objects, and those under "Other Parameters"."""

OBJECT_OR_NAME = {"sklearn": {"vectorizer"}, "embeddings": {"encoder"}}
"""Parameters that a builder redeclares: it takes a dotted name, or none, where the class takes an object."""

NAMES = [name for name in NOT_SHOWN if name in classifiers()]


def parameters_of_class(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(classifier_spec(name).resolve("classifier")).parameters)


def functions(module: str) -> Iterator[ast.FunctionDef]:
    """Yield the functions and methods in the source of a module."""
    source = inspect.getsource(importlib.import_module(module))
    yield from (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))


def with_default(function: ast.FunctionDef) -> set[str]:
    """Return the parameters of a function that have a default."""
    positional = [*function.args.posonlyargs, *function.args.args]
    found = {one.arg for one in positional[len(positional) - len(function.args.defaults) :]}
    keyword_only = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return found | {one.arg for one, default in keyword_only if default is not None}


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_of_the_class_describes_each_parameter_once_in_order(name):
    doc = inspect.getdoc(classifier_spec(name).resolve("classifier"))
    described = [
        list(documented(f"Parameters\n----------\n{sections(doc).get(title, '')}"))
        for title in ("Parameters", "Other Parameters")
    ]
    declared = list(parameters_of_class(name))
    assert Counter(described[0] + described[1]) == Counter(declared)
    for names in described:
        assert names == [one for one in declared if one in names]


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_of_the_class_states_the_defaults_of_the_signature(name):
    entries = documented(inspect.getdoc(classifier_spec(name).resolve("classifier")))
    for parameter in parameters_of_class(name).values():
        kind = entries[parameter.name].type
        if parameter.default is inspect.Parameter.empty:
            assert "default" not in kind
            assert "optional" not in kind
        elif parameter.default is None:
            assert kind.endswith(", optional")
        elif parameter.name == "verbosity":
            assert kind.endswith("default=VERBOSITY_MORE_VERBOSE")
        else:
            stated = ast.literal_eval(kind.partition("default=")[2])
            assert (stated, type(stated)) == (parameter.default, type(parameter.default))


@pytest.mark.parametrize("name", NAMES)
def test_no_factory_and_no_builder_declares_a_parameter_again(name):
    again = set(parameters_of_class(name)) - {"num_classes"} - OBJECT_OR_NAME.get(name, set())
    spec = classifier_spec(name)
    for module in {part.partition(":")[0] for part in (spec.factory, spec.builder) if part}:
        for function in functions(module):
            assert not with_default(function) & again
            assert not set(documented(ast.get_docstring(function) or "")) & again


@pytest.mark.parametrize("name", NAMES)
def test_created_by_name_it_has_the_parameters_of_the_class(name):
    declared, taken = parameters_of_class(name), parameters_by_name(name)
    by_name = getattr(classifier_spec(name).resolve("builder"), "by_name", {})
    assert by_name.keys() <= declared.keys()
    given_as_object = {"encoder", "setfit_model_args", "model_kwargs", "trainer_kwargs", "transformer_model"}
    given_as_object |= {"fine_tuning_arguments", "model", "num_classes", "multi_label"}
    for parameter in declared.keys() - given_as_object:
        assert taken[parameter].default == by_name.get(parameter, declared[parameter].default)


@pytest.mark.parametrize("name", NAMES)
def test_info_shows_the_parameters_of_the_class_and_those_that_create_the_model(name):
    shown = builder_parameters(classifier_spec(name).resolve("builder")).named
    declared = parameters_of_class(name).keys() - {"num_classes", "multi_label"} - NOT_SHOWN[name]
    assert shown.keys() == declared | FROM_THE_MODEL[name] | FROM_KEYWORDS[name]
    assert all(one.meaning.endswith(".") for one in shown.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_shows_the_class_and_all_declarations_of_its_parameters(name):
    page = (REFERENCE / f"{name}.md").read_text(encoding="utf-8")
    spec = classifier_spec(name)
    builder = spec.resolve("builder")
    for declaring in {spec.resolve("classifier"), builder, *getattr(builder, "parameter_sources", {}).values()}:
        assert f"::: {declaring.__module__}.{declaring.__qualname__}\n" in page
