"""``~`` is the home folder in every path argument, and never a folder of that name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import smalltext_core as st
from smalltext_core.atomic import expanded, staged_folder
from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import check_destination, read_manifest, save_with_files

TEXTS = st.TextDataset(["a fine film", "a dull film", "dull"], [1, 0, 0])


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    work = tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.chdir(work)
    yield folder
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("kind", [str, Path])
def test_a_model_is_saved_to_and_loaded_from_the_home_folder(home, kind):
    classifier = st.create_classifier("sklearn", 2, seed=1).fit(TEXTS)
    classifier.save(kind("~/models/spam"))
    save_with_files(classifier, kind("~/models/ham"), {"notes.txt": b"x"})
    assert (home / "models" / "spam" / "smalltext.json").is_file()
    for name in ("spam", "ham"):
        place = kind(f"~/models/{name}")
        assert read_manifest(place).classifier == "sklearn"
        assert check_destination(place) == []
        for again in (st.load(place), type(classifier).load(place)):
            np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))


def test_folders_are_staged_in_the_home_folder(home):
    with staged_folder("~/staged") as staging:
        (staging / "x").write_text("x")
    assert (home / "staged" / "x").is_file()
    with pytest.raises(ModelFolderError, match="home"):
        st.load("~/nothing")


def test_only_home_folders_are_expanded(home):
    assert expanded("~") == str(home)
    assert expanded(Path("~/x")) == home / "x"
    for path in ("~nobody-is-called-so/x", "x~", "-", "", None, Path("a/~/b")):
        assert expanded(path) == path
