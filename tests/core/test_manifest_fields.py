"""The fields of a manifest are checked for type, range and size before use."""

from __future__ import annotations

import json

import pytest

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.manifest import MAX_MANIFEST_BYTES, is_version, manifest_from_json
from smalltext_core.saving import model_folder

SOUND = {
    "format_version": 1,
    "classifier": "shelf",
    "distribution": "acme-shelf",
    "version": "1.0",
    "parameters": {"num_classes": 2},
    "label_names": ["no", "yes"],
    "files": {"weights.bin": "0" * 64},
}


def read(**changes):
    return manifest_from_json(json.dumps(SOUND | changes).encode(), "model/smalltext.json")


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


def test_a_valid_one_is_read():
    manifest = read()
    assert (manifest.classifier, manifest.distribution, manifest.version) == ("shelf", "acme-shelf", "1.0")
    assert manifest.label_names == ("no", "yes")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"classifier": "Shelf"}, "classifier"),
        ({"classifier": "a" * 129}, "classifier"),
        ({"classifier": "a\n"}, "classifier"),
        ({"distribution": ""}, "distribution"),
        ({"distribution": "evil; rm -rf ~"}, "distribution"),
        ({"distribution": "--index-url=http://x evil"}, "distribution"),
        ({"distribution": "-evil"}, "distribution"),
        ({"distribution": "evil\x1b[2J"}, "distribution"),
        ({"distribution": "evıl"}, "distribution"),
        ({"distribution": "evil\n"}, "distribution"),
        ({"distribution": "e" * 129}, "distribution"),
        ({"distribution": ["smalltext-sklearn"]}, "distribution"),
        ({"version": "1.0 evil"}, "version"),
        ({"version": "1.0\n"}, "version"),
        ({"version": "\u0661.0"}, "version"),
        ({"version": "latest"}, "version"),
        ({"version": 1.0}, "version"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"a": nested(40)}}, "levels deep"),
        ({"parameters": {"a": nested(900)}}, "levels deep"),
        ({"parameters": {"seed": 2**63}}, "64 bits"),
        ({"parameters": {"a": {"b": [10**400]}}}, "64 bits"),
        ({"label_names": ["a", "b", "c"]}, "3 names for 2 classes"),
        ({"label_names": ["a", "a"]}, "twice"),
        ({"label_names": ["a", 1]}, "label_names"),
        ({"files": {"a": "0" * 63}}, "SHA-256"),
        ({"files": {"a": "G" * 64}}, "SHA-256"),
        ({"files": {"a": None}}, "SHA-256"),
        ({"files": []}, "files"),
        ({"format_version": True}, "format_version"),
        ({"format_version": 1.0}, "format_version"),
    ],
    ids=str,
)
def test_an_invalid_field_is_refused_by_name(changes, field):
    with pytest.raises(ModelFolderError, match=field) as caught:
        read(**changes)
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


def test_a_number_that_overflows_to_infinity_is_refused():
    content = json.dumps(SOUND).replace('"num_classes": 2', '"num_classes": 2, "lr": 1e999')
    with pytest.raises(ModelFolderError, match="lr.* is not a finite number"):
        manifest_from_json(content.encode(), "smalltext.json")


def test_a_manifest_of_many_megabytes_is_refused_unread():
    with pytest.raises(ModelFolderError, match="bytes"):
        manifest_from_json(b" " * (MAX_MANIFEST_BYTES + 1), "smalltext.json")


@pytest.mark.parametrize("name", ["a", "A1", "smalltext-sklearn", "smalltext_sklearn", "a.b-c_d"])
def test_valid_distribution_names_are_accepted(name):
    assert read(distribution=name).distribution == name


@pytest.mark.parametrize(
    "version", ["1", "0.1.0", "1!2.0", "2.0a1", "1.0rc2", "1.0.post1", "1.0.dev3", "v1.0", "1.0+local.7", "1.0-1"]
)
def test_valid_versions_are_accepted(version):
    assert is_version(version)
    assert read(version=version).version == version


@pytest.mark.parametrize(
    ("argument", "value"), [("classifier", "My SVM"), ("distribution", "acme shelf"), ("version", "newest")]
)
def test_values_that_could_not_be_loaded_are_not_written(tmp_path, argument, value):
    said = {"classifier": "c", "distribution": "d", "version": "1", "parameters": {}} | {argument: value}
    with pytest.raises(InvalidInputError, match=argument), model_folder(tmp_path / "m", **said):
        pass
    assert list(tmp_path.iterdir()) == []
