from __future__ import annotations

import errno
import hashlib
import json
import os
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import smalltext_core
from smalltext_core import ClassifierSpec, LabelNames, Plugin, registry, saving
from smalltext_core.errors import InvalidInputError, ModelFolderError, ModelNotSavedError
from smalltext_core.saving import MANIFEST, model_folder, read_manifest, save_with_files


def save(folder, files=None, **changes) -> None:
    said = {"classifier": "shelf", "distribution": "acme", "version": "1.2", "parameters": {}} | changes
    with model_folder(folder, **said) as staging:
        for name, content in (files or {"weights.bin": b"\x00\x01"}).items():
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_bytes(content)


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_the_manifest_describes_the_saved_model(tmp_path):
    names = LabelNames(("ham", "スパム"))
    save(
        tmp_path / "m",
        {"a": b"1", "deep/er/b": b""},
        parameters={"lr": 0.1, "sizes": [3, None]},
        label_names=names,
    )
    manifest = read_manifest(tmp_path / "m")
    assert (manifest.classifier, manifest.distribution, manifest.version) == ("shelf", "acme", "1.2")
    assert manifest.parameters == {"lr": 0.1, "sizes": [3, None]}
    assert manifest.names == names
    assert set(manifest.files) == {"a", "deep/er/b"}
    assert manifest.format_version == 1
    assert json.loads((tmp_path / "m" / MANIFEST).read_text(encoding="utf-8"))["label_names"] == ["ham", "スパム"]


@given(st.lists(st.text(), unique=True))
def test_names_of_any_unicode_survive_the_manifest(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names") / "m"
    save(folder, label_names=LabelNames.saved(names))
    assert read_manifest(folder).names == LabelNames.saved(names)


def test_a_lone_surrogate_in_a_name_survives_the_manifest(tmp_path):
    save(tmp_path / "m", label_names=LabelNames.saved(("\ud800",)))
    assert read_manifest(tmp_path / "m").label_names == ("\ud800",)


def test_a_model_without_names_and_without_files_is_a_model(tmp_path):
    with model_folder(tmp_path / "m", classifier="c", distribution="d", version="1", parameters={}):
        pass
    manifest = read_manifest(tmp_path / "m")
    assert (manifest.names, manifest.files) == (None, {})


@pytest.mark.parametrize("parameters", [{"lr": float("nan")}, {"n": np.int64(1)}, {"f": print}], ids=str)
def test_parameters_that_are_not_json_keep_the_previous_model(tmp_path, parameters):
    save(tmp_path / "m", {"weights.bin": b"old"})
    with pytest.raises((TypeError, ValueError)):
        save(tmp_path / "m", {"weights.bin": b"new"}, parameters=parameters)
    assert read_manifest(tmp_path / "m").files
    assert (tmp_path / "m" / "weights.bin").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_saving_again_replaces_our_files_and_keeps_those_of_others(tmp_path):
    save(tmp_path / "m", {"weights.bin": b"old", "old.bin": b""})
    (tmp_path / "m" / "notes.md").write_text("mine")
    (tmp_path / "m" / "plots").mkdir()
    (tmp_path / "m" / "plots" / "roc.png").write_bytes(b"png")
    save(tmp_path / "m", {"weights.bin": b"new"})
    assert names_in(tmp_path / "m") == {MANIFEST, "weights.bin", "notes.md", "plots/roc.png"}
    assert (tmp_path / "m" / "weights.bin").read_bytes() == b"new"
    assert (tmp_path / "m" / "notes.md").read_text() == "mine"
    assert set(read_manifest(tmp_path / "m").files) == {"weights.bin"}


def test_other_links_are_kept_even_if_they_are_broken(tmp_path):
    save(tmp_path / "m")
    (tmp_path / "data").mkdir()
    (tmp_path / "m" / "data").symlink_to(tmp_path / "data")
    (tmp_path / "m" / "gone").symlink_to(tmp_path / "nowhere")
    save(tmp_path / "m")
    assert (tmp_path / "m" / "data").readlink() == tmp_path / "data"
    assert (tmp_path / "m" / "gone").readlink() == tmp_path / "nowhere"


def test_files_of_others_keep_their_permissions(tmp_path):
    save(tmp_path / "m")
    (tmp_path / "m" / "key").write_text("secret")
    (tmp_path / "m" / "key").chmod(0o600)
    save(tmp_path / "m")
    assert (tmp_path / "m" / "key").stat().st_mode & 0o777 == 0o600


def test_the_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(tmp_path)
    for folder in (".", tmp_path, "link", Path()):
        with pytest.raises(ModelFolderError, match="is the working directory.* such as .*model"):
            save(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
    save("m")
    assert read_manifest("m").files


def test_paths_of_bytes_are_refused(tmp_path):
    (tmp_path / "m").mkdir()
    with os.scandir(os.fsencode(tmp_path)) as entries:
        (entry,) = entries
    for call in (save, read_manifest, saving.load, saving.check_destination):
        with pytest.raises(InvalidInputError, match="^folder: got .*; allowed: a path.*bytes"):
            call(entry)


def test_links_that_lead_in_a_circle_are_refused(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    for folder in (tmp_path / "circle", tmp_path / "circle" / "m"):
        for call in (save, read_manifest, saving.load, saving.check_destination):
            with pytest.raises(InvalidInputError, match="^folder: got .*circle.* symbolic links"):
                call(folder)


def test_an_empty_folder_is_saved_into(tmp_path):
    (tmp_path / "m").mkdir()
    save(tmp_path / "m")
    assert names_in(tmp_path / "m") == {MANIFEST, "weights.bin"}


def test_a_folder_that_is_not_a_model_is_not_written_to(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelFolderError, match=r"is not a saved model.*Choose another folder"):
        save(tmp_path)
    assert names_in(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize(
    "message",
    [
        f"I/O error: No space left on device (os error {errno.ENOSPC})",
        f"Error while serializing: IoError(Os {{ code: {errno.ENOSPC}, kind: StorageFull }})",  # safetensors 0.4
    ],
)
def test_an_operating_system_error_in_the_message_of_a_rust_library_is_recognised(tmp_path, message):
    said = {"classifier": "shelf", "distribution": "acme", "version": "1.2", "parameters": {}}
    with pytest.raises(ModelNotSavedError) as caught, model_folder(tmp_path / "m", **said):
        raise RuntimeError(message)
    assert (caught.value.errno, caught.value.strerror) == (errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_not_overwritten(tmp_path):
    (tmp_path / "m").write_text("a file")
    with pytest.raises(ModelFolderError, match="is a file"):
        save(tmp_path / "m")
    assert (tmp_path / "m").read_text() == "a file"


def test_an_incomplete_model_can_be_saved_over(tmp_path):
    save(tmp_path / "m")
    (tmp_path / "m" / "weights.bin").unlink()
    with pytest.raises(ModelFolderError, match=r"incomplete.*save again"):
        read_manifest(tmp_path / "m")
    save(tmp_path / "m")
    assert read_manifest(tmp_path / "m").files


def test_invalid_targets_are_refused_before_any_work(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    opened = model_folder(tmp_path, classifier="c", distribution="d", version="1", parameters={})
    with pytest.raises(ModelFolderError):
        opened.__enter__()


class Saved:
    """Saves a model with the function of these tests."""

    def save(self, folder):
        save(folder, parameters={"n": 1}, label_names=LabelNames(("a",)))


def test_additional_files_are_in_the_manifest(tmp_path):
    save_with_files(Saved(), tmp_path / "m", {"scores.json": b"{}"})
    manifest = read_manifest(tmp_path / "m")
    assert set(manifest.files) == {"weights.bin", "scores.json"}
    assert (manifest.parameters, manifest.label_names) == ({"n": 1}, ("a",))
    (tmp_path / "m" / "scores.json").write_bytes(b"[]")
    with pytest.raises(ModelFolderError, match="SHA-256"):
        read_manifest(tmp_path / "m")


def test_additional_files_are_replaced_with_the_model_and_other_files_are_kept(tmp_path):
    save_with_files(Saved(), tmp_path / "m", {"scores.json": b"{}"})
    (tmp_path / "m" / "notes.txt").write_text("mine")
    save_with_files(Saved(), tmp_path / "m", {})
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"weights.bin", "notes.txt", MANIFEST}


def test_further_files_take_no_second_staging_folder_and_no_second_hash(tmp_path, monkeypatch):
    staged, hashed = [], []
    staged_folder, sha256 = saving.staged_folder, hashlib.sha256
    monkeypatch.setattr(saving, "staged_folder", lambda folder: staged.append(folder) or staged_folder(folder))
    monkeypatch.setattr(hashlib, "sha256", lambda: hashed.append("a file") or sha256())
    save_with_files(Saved(), tmp_path / "m", {"scores.json": b"{}"})
    assert staged == [tmp_path / "m"]
    assert len(hashed) == len(read_manifest(tmp_path / "m", verify=False).files) == 2
    save(tmp_path / "other")
    assert staged[1:] == [tmp_path / "other"]


class Shelf:
    """Stores one number, and replaces its folder by other models while it is being loaded."""

    loads = 0

    def __init__(self, number: int) -> None:
        self.number = number

    @classmethod
    def load(cls, folder, replace_by=()):
        cls.loads += 1
        number = read_manifest(folder).parameters["n"]
        if cls.loads == 1:
            for other in replace_by:
                save(folder, parameters={"n": other})
        return cls(number)


@pytest.fixture
def _shelf_installed(monkeypatch):
    monkeypatch.setattr(Shelf, "loads", 0)
    module = types.ModuleType("acme_shelf")
    module.Shelf = Shelf
    monkeypatch.setitem(__import__("sys").modules, "acme_shelf", module)
    target = "acme_shelf:Shelf"
    spec = ClassifierSpec("shelf", "Remembers", 1, target, target, target)
    monkeypatch.setattr(registry, "_registry", registry.Registry([Plugin("shelf", "acme", "1.2", (spec,))]))


@pytest.mark.usefixtures("_shelf_installed")
def test_load_finds_the_class_by_the_manifest(tmp_path):
    save(tmp_path / "m", parameters={"n": 3})
    for folder in (tmp_path / "m", str(tmp_path / "m")):
        loaded = smalltext_core.load(folder)
        assert (type(loaded), loaded.number) == (Shelf, 3)


@pytest.mark.usefixtures("_shelf_installed")
def test_load_reads_again_if_another_model_was_saved_meanwhile(tmp_path):
    save(tmp_path / "m", parameters={"n": 3})
    assert smalltext_core.load(tmp_path / "m", replace_by=[4]).number == 4
    assert Shelf.loads == 2


@pytest.mark.usefixtures("_shelf_installed")
def test_load_reads_again_if_another_model_and_then_the_same_one_were_saved_meanwhile(tmp_path):
    """The files that it read between the two may be those of the other model."""
    save(tmp_path / "m", parameters={"n": 3})
    assert smalltext_core.load(tmp_path / "m", replace_by=[4, 3]).number == 3
    assert Shelf.loads == 2


@pytest.mark.usefixtures("_shelf_installed")
def test_load_passes_on_exceptions_of_the_backend(tmp_path):
    save(tmp_path / "m", parameters={"n": 3})
    with pytest.raises(TypeError, match="no_such_option"):
        smalltext_core.load(tmp_path / "m", no_such_option=1)


@pytest.mark.usefixtures("_shelf_installed")
@pytest.mark.parametrize(
    ("distribution", "classifier", "advice"),
    [
        ("other", "shelf", "is not part of smalltext: install it if you know and trust its publisher"),
        ("acme", "attic", "written by 'acme'"),
        ("Smalltext_SetFit", "setfit", "Install it: pip install smalltext-setfit "),
        ("smalltext-evil", "no-such", "not usable here"),
    ],
)
def test_a_model_whose_classifier_is_not_installed_says_what_to_install(
    tmp_path, distribution, classifier, advice
):
    save(tmp_path / "m", distribution=distribution, classifier=classifier)
    with pytest.raises(ModelFolderError, match=advice) as caught:
        smalltext_core.load(tmp_path / "m")
    assert caught.value.__cause__ is not None


@pytest.mark.usefixtures("_shelf_installed")
def test_a_classifier_without_load_is_reported(tmp_path, monkeypatch):
    monkeypatch.delattr(Shelf, "load")
    save(tmp_path / "m")
    with pytest.raises(ModelFolderError, match=r"Shelf of acme has no load\(\)"):
        smalltext_core.load(tmp_path / "m")
