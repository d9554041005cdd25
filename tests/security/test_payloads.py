"""The payloads run without protection, since an attack that cannot succeed would prove nothing."""

import importlib
import pickle

import pytest

from security import attacks
from smalltext_core.errors import ModelFolderError


def test_the_pickle_leaves_its_marker(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(attacks.payload_pickle(marker))
    assert marker.exists()


def test_the_module_leaves_its_marker(tmp_path, monkeypatch):
    marker = tmp_path / "marker"
    monkeypatch.syspath_prepend(tmp_path)
    name = attacks.payload_module(tmp_path, marker, "payload_of_this_test")
    importlib.import_module(name)
    assert marker.exists()


def test_an_attack_that_succeeds_is_noticed(tmp_path):
    marker = tmp_path / "marker"
    marker.touch()
    with pytest.raises(AssertionError, match="payload ran"), attacks.refused(marker):
        raise ModelFolderError("too late")
