"""Pickles are recognised by their content, regardless of the file name."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from smalltext_testing._saving import pickles_in, reason_to_see_a_pickle


def zipped(name, content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def as_npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_of_any_protocol_is_found(protocol):
    assert reason_to_see_a_pickle("weights.bin", pickle.dumps(Path("model"), protocol)) == "a pickle stream"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.joblib", b"compressed somehow"),
        ("model.pt", zipped("archive/data.pkl", pickle.dumps([1]))),
        ("model.bin", pickle.dumps({"a": 1}) + pickle.dumps([2]) + b"raw numbers"),
        ("array.npy", as_npy(np.array([None, "a"], dtype=object))),
        ("arrays.npz", zipped("array.npy", as_npy(np.array([None], dtype=object)))),
    ],
)
def test_hidden_pickle_is_found(name, content):
    assert reason_to_see_a_pickle(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.txt", b""),
        ("config.json", json.dumps({"layers": 2}).encode()),
        ("vocabulary.txt", b"0.\n1.\n"),
        ("words.txt", "straße\n東京\n".encode()),
        ("array.npy", as_npy(np.arange(3.0))),
        ("model.skops", zipped("schema.json", b"{}")),
        ("model.safetensors", (2).to_bytes(8, "little") + b"{}" + bytes(range(256))),
    ],
)
def test_data_files_are_not_pickles(name, content):
    assert reason_to_see_a_pickle(name, content) == ""


def test_folders_are_searched_to_the_bottom(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "notes").write_bytes(pickle.dumps([1, 2]))
    (tmp_path / "readme.txt").write_text("hello")
    assert pickles_in(tmp_path) == ["deep/er/notes (a pickle stream)"]
