"""Untrusted folders: any invalid content raises a ModelFolderError, and nothing outside the folder is read."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import MANIFEST, load, model_folder, read_manifest


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    with model_folder(folder, classifier="c", distribution="d", version="1", parameters={}) as staging:
        (staging / "weights.bin").write_bytes(b"weights")
    return folder


def rewrite(model, **changes) -> None:
    content = json.loads((model / MANIFEST).read_text()) | changes
    (model / MANIFEST).write_text(json.dumps(content))


def refused(model, match) -> None:
    with pytest.raises(ModelFolderError, match=match):
        read_manifest(model)
    with pytest.raises(ModelFolderError):
        load(model)


def test_a_folder_without_a_manifest_is_not_a_model(tmp_path):
    refused(tmp_path, "is not a saved model: it has no smalltext.json")
    refused(tmp_path / "nowhere", "is not a saved model")


def test_a_manifest_cut_short_at_any_byte_is_refused(model):
    content = (model / MANIFEST).read_bytes()
    for length in range(len(content) - 2):
        (model / MANIFEST).write_bytes(content[:length])
        with pytest.raises(ModelFolderError, match="damaged"):
            read_manifest(model)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"\x80", b"[" * 100_000, b'{"a":' * 100_000, b"NaN", b"9" * 5000, b"\x00" * 10],
    ids=["empty", "bom", "not utf-8", "deep list", "deep object", "nan", "huge number", "zeros"],
)
def test_a_manifest_that_is_not_json_is_refused(model, content):
    (model / MANIFEST).write_bytes(content)
    refused(model, "damaged")


def test_nan_is_refused_anywhere_in_a_manifest(model):
    rewrite(model, parameters={"lr": float("nan")})
    refused(model, "NaN is not a JSON value")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["format_version", "classifier", "distribution", "version", "parameters", "label_names", "files"]


@given(json_values)
def test_any_json_is_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("any")
    (folder / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(ModelFolderError):
        read_manifest(folder)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values))
def test_fields_of_any_type_are_read_or_refused_and_nothing_else(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("any")
    sound = {
        "format_version": 1,
        "classifier": "c",
        "distribution": "d",
        "version": "1",
        "parameters": {},
        "files": {},
    }
    (folder / MANIFEST).write_text(json.dumps(sound | changes))
    try:
        manifest = read_manifest(folder)
    except ModelFolderError:
        return
    assert isinstance(manifest.classifier, str)
    assert isinstance(manifest.parameters, dict)
    assert manifest.names is None or all(isinstance(name, str) for name in manifest.names.names)


@pytest.mark.parametrize("field", [field for field in FIELDS if field != "label_names"])
def test_a_field_that_is_missing_is_refused(model, field):
    content = json.loads((model / MANIFEST).read_text())
    del content[field]
    (model / MANIFEST).write_text(json.dumps(content))
    refused(model, "fields are missing or of the wrong type")


@pytest.mark.parametrize("names", [["a", "a"], ["a", 1], "ab", {"a": 0}], ids=str)
def test_invalid_label_names_are_refused(model, names):
    rewrite(model, label_names=names)
    refused(model, "wrong type")


def test_a_newer_format_names_the_package_to_upgrade(model):
    rewrite(model, format_version=2, files="a new kind of field")
    refused(model, "format version 2, and this smalltext-core reads up to 1.*pip install --upgrade smalltext-core")


@pytest.mark.parametrize("version", [0, -1, "1", None, 1.5])
def test_an_unknown_format_is_refused(model, version):
    rewrite(model, format_version=version)
    refused(model, "damaged")


def test_a_file_that_changed_is_refused(model):
    (model / "weights.bin").write_bytes(b"weightS")
    with pytest.raises(ModelFolderError, match=r"weights\.bin is not the file that was saved: its SHA-256"):
        read_manifest(model)
    assert read_manifest(model, verify=False).files


def test_a_file_that_is_missing_is_refused(model):
    (model / "weights.bin").unlink()
    refused(model, r"incomplete: 'weights\.bin' is missing")


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "a/../../secret",
        "..",
        "a/..",
        "..\\secret",
        "C:\\secret",
        "\\\\host\\share",
        "",
        "a\x00b",
        "{absolute}",
    ],
    ids=repr,
)
@pytest.mark.parametrize("verify", [True, False])
def test_a_path_outside_the_folder_is_refused_without_reading_the_file(model, tmp_path, name, verify):
    (tmp_path / "secret").write_text("secret")
    rewrite(model, files={name.replace("{absolute}", str(tmp_path / "secret")): "0" * 64})
    with pytest.raises(ModelFolderError, match="outside the folder; it is not read"):
        read_manifest(model, verify=verify)


@pytest.mark.parametrize("link", ["weights.bin", MANIFEST])
def test_a_link_out_of_the_folder_is_refused(model, tmp_path, link):
    (model / link).rename(tmp_path / "secret")
    (model / link).symlink_to(tmp_path / "secret")
    refused(model, "outside the folder; it is not read")


def test_a_folder_in_between_that_is_a_link_out_is_refused(model, tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "weights.bin").write_bytes(b"weights")
    (model / "part").symlink_to(tmp_path / "else")
    rewrite(model, files={"part/weights.bin": "0" * 64})
    refused(model, "outside the folder")


def test_a_link_inside_the_folder_is_a_file_like_any_other(model):
    (model / "weights.bin").rename(model / "blob")
    (model / "weights.bin").symlink_to("blob")
    assert read_manifest(model).files


def test_a_folder_reached_through_a_link_is_a_model_like_any_other(model, tmp_path):
    (tmp_path / "current").symlink_to(model)
    assert read_manifest(tmp_path / "current").files


@pytest.mark.parametrize(
    "name", ["x" * 5000, "\ud800", "circle", "pipe", "folder", "."], ids=lambda name: name[:8]
)
def test_a_name_of_an_unreadable_file_is_refused(model, name):
    (model / "circle").symlink_to("circle")
    (model / "folder").mkdir()
    os.mkfifo(model / "pipe")
    rewrite(model, files={name: "0" * 64})
    refused(model, "cannot be read|is missing")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_manifest_that_may_not_be_read_is_refused(model):
    (model / MANIFEST).chmod(0)
    refused(model, "cannot be read")
