"""Models that the first release of each package saved can be loaded, and give the same predictions."""

from __future__ import annotations

import json
from importlib.metadata import version

import numpy as np
import pytest
from packaging.version import Version

from robustness import backends
from robustness.freeze import EXPECTED, FROZEN
from smalltext_core import TextDataset, load
from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import read_manifest

TOLERANCE = 2e-5
"""Sums of float32 differ in their last bits if another processor, or another version of a library, adds in
another order: by about 1e-7, and more after several layers. A model that is read wrongly differs by 1e-2."""

FOLDERS = sorted(path for path in FROZEN.iterdir() if path.name.partition("-")[0] in backends.NAMES)


def loaded(folder):
    """Load a frozen model; it may be rejected if scikit-learn is older than the version that saved it."""
    try:
        return load(folder / "model")
    except ModelFolderError as error:
        saved_with = read_manifest(folder / "model").parameters.get("scikit_learn")
        older = saved_with is not None and Version(version("scikit-learn")) < Version(saved_with)
        if older and f"pip install scikit-learn=={saved_with}" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_frozen_model_predicts_the_same(folder):
    expected = json.loads((folder / EXPECTED).read_bytes())
    classifier = loaded(folder)
    labels, proba = classifier.predict(TextDataset(expected["texts"]), return_proba=True)
    np.testing.assert_allclose(proba, expected["probabilities"], rtol=0, atol=TOLERANCE)
    decided = np.array(expected["probabilities"])
    # Folders without labels were frozen by versions without chosen thresholds.
    of_old = (decided > 0.5).astype(int) if classifier.multi_label else decided.argmax(axis=1)
    found = labels.toarray() if classifier.multi_label else labels
    np.testing.assert_array_equal(found, expected.get("labels", of_old.tolist()))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_frozen_model_is_unchanged_and_can_be_saved_again(folder, tmp_path):
    expected = json.loads((folder / EXPECTED).read_bytes())
    manifest = read_manifest(folder / "model")
    assert (manifest.version, manifest.label_names) == (expected["version"], ("football", "cooking", "space"))
    before = loaded(folder)
    before.save(tmp_path / "again")
    again, texts = load(tmp_path / "again"), TextDataset(expected["texts"])
    np.testing.assert_array_equal(again.predict_proba(texts), before.predict_proba(texts))


def test_every_backend_has_frozen_models():
    assert {folder.name.partition("-")[0] for folder in FOLDERS} == set(backends.NAMES)
