"""Models of every backend are saved to and loaded from folders with any name that the system allows."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

import smalltext_core as st
from robustness.backends import NAMES, TRAIN_SET, fitted


@pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode")
@pytest.mark.parametrize("folder", [b"caf\xe9", "café".encode(), b"a b\n\\"], ids=["latin-1", "utf-8", "odd"])
@pytest.mark.parametrize("name", NAMES)
def test_folders_may_have_any_name(name, folder, tmp_path):
    classifier, parent = fitted(name), tmp_path / os.fsdecode(folder)
    proba = classifier.predict_proba(TRAIN_SET)
    for _ in range(2):  # the second time, the folder is replaced
        classifier.save(parent / "model")
    assert os.listdir(parent) == ["model"]  # noqa: PTH208
    np.testing.assert_array_equal(st.load(parent / "model").predict_proba(TRAIN_SET), proba)
    classifier.save(tmp_path / "plain")
    (tmp_path / "plain").rename(parent / os.fsdecode(folder))
    loaded = st.load(parent / os.fsdecode(folder))
    np.testing.assert_array_equal(loaded.predict_proba(TRAIN_SET), proba)
    loaded.save(tmp_path / "again")
    np.testing.assert_array_equal(st.load(tmp_path / "again").predict_proba(TRAIN_SET), proba)
