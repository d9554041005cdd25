from __future__ import annotations

import dataclasses
import pickle

import pytest

from smalltext_core import ClassifierSpec
from smalltext_core.errors import InvalidInputError, PluginError

SPEC = ClassifierSpec(
    name="majority",
    summary="Always the most frequent class",
    protocol=1,
    classifier="smalltext_core.dataset:TextDataset",
    factory="smalltext_core.dataset:TextDataset.from_labels",
    builder="smalltext_core.no_such_module:build",
    abilities=["weights", "save"],
)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        *(("name", name) for name in ("", "My-SVM", "my svm", "-a", "a-", "a--b", "a:b", "a/b", None, "a\n")),
        *(("summary", summary) for summary in ("", "  ", "two\nlines", None)),
        *(("protocol", protocol) for protocol in ("1", 1.0, None, True)),
        *(
            ("classifier", target)
            for target in ("module", "module:", ":attribute", "a.b.c", "a:b:c", "a b:c", None, 3)
        ),
        ("factory", "module"),
        ("builder", "module"),
        ("dataset", "module"),
        *(("abilities", wrong) for wrong in (("flying",), "weights", None, 3, (["save"],), ("save", None))),
    ],
    ids=repr,
)
def test_a_malformed_field_is_refused_by_name(field, wrong):
    with pytest.raises(InvalidInputError) as caught:
        dataclasses.replace(SPEC, **{field: wrong})
    assert caught.value.argument == field


def test_abilities_as_a_string_are_shown_whole():
    with pytest.raises(InvalidInputError, match="abilities: got 'save'; allowed: a tuple of some of "):
        dataclasses.replace(SPEC, abilities="save")


@pytest.mark.parametrize("name", ["a", "my-svm", "my_svm", "svm.v2", "3gram"])
def test_names_of_lower_case_letters_and_digits_are_allowed(name):
    assert dataclasses.replace(SPEC, name=name).name == name


def test_a_spec_is_a_value():
    assert SPEC.abilities == ("weights", "save")
    assert pickle.loads(pickle.dumps(SPEC)) == SPEC
    assert hash(SPEC) == hash(dataclasses.replace(SPEC))


def test_parts_are_imported_lazily():
    from smalltext_core import TextDataset

    assert SPEC.resolve("classifier") is TextDataset
    assert SPEC.resolve("factory") == TextDataset.from_labels


def test_a_part_that_cannot_be_imported_raises_with_the_cause():
    with pytest.raises(PluginError, match=r"builder of the classifier 'majority'.*no_such_module:build") as caught:
        SPEC.resolve("builder")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_part_whose_attribute_is_missing_raises_with_the_cause():
    spec = dataclasses.replace(SPEC, classifier="smalltext_core.dataset:NoSuchThing")
    with pytest.raises(PluginError, match="^The class of the classifier 'majority'.*NoSuchThing") as caught:
        spec.resolve("classifier")
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_dataset_that_was_not_declared_says_what_to_use():
    with pytest.raises(PluginError, match="use TextDataset"):
        SPEC.resolve("dataset")
