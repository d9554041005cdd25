"""A model saved by another version of scikit-learn gives the same results, or is rejected with that version."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression

import smalltext_core as st
from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import MANIFEST
from smalltext_sklearn import SklearnClassifier, SklearnDataset


def saved(folder, train_set, **parameters):
    classifier = SklearnClassifier(LogisticRegression(), 3, **parameters).fit(train_set)
    classifier.save(folder)
    return classifier


def pretend(folder, **changes):
    """Change the data in the manifest about the saving of the model."""
    content = json.loads((folder / MANIFEST).read_text("utf-8"))
    content["parameters"] |= changes
    (folder / MANIFEST).write_text(json.dumps(content), "utf-8")


def test_models_of_another_version_with_the_same_predictions_are_loaded_without_a_warning(topics, tmp_path):
    classifier = saved(tmp_path, topics)
    pretend(tmp_path, scikit_learn="1.3.7")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = st.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(topics), classifier.predict_proba(topics))


def test_models_with_other_predictions_are_refused_with_both_versions(topics, tmp_path):
    saved(tmp_path, topics)
    pretend(tmp_path, scikit_learn="1.3.7", probe=[0.1, 0.1, 0.8])
    with pytest.raises(
        ModelFolderError,
        match=rf"saved with scikit-learn 1\.3\.7, and cannot be used with {sklearn.__version__}, .*something else "
        r"than when it was saved.*pip install scikit-learn==1\.3\.7",
    ):
        st.load(tmp_path)


def test_models_that_cannot_predict_are_refused_with_both_versions(topics, tmp_path):
    classifier = SklearnClassifier(LogisticRegression(), 3).fit(topics)
    del classifier.model_.coef_  # as if scikit-learn had renamed it
    classifier.save(tmp_path)
    pretend(tmp_path, scikit_learn="1.3.7", probe=[0.1, 0.1, 0.8])
    with pytest.raises(ModelFolderError, match=r"1\.3\.7.*has no attribute 'coef_'.*pip install scikit-learn==1"):
        st.load(tmp_path)


def test_a_file_that_cannot_be_read_is_refused_with_both_versions(topics, tmp_path, monkeypatch):
    saved(tmp_path, topics)
    pretend(tmp_path, scikit_learn="1.3.7")
    monkeypatch.delattr(sklearn.linear_model._logistic, "LogisticRegression")
    with pytest.raises(ModelFolderError, match=r"saved with scikit-learn 1\.3\.7.*pip install"):
        st.load(tmp_path)


@pytest.mark.parametrize("kind", ["features", "hashed", "forest"])
def test_every_kind_of_model_is_tested_after_loading(topics, tmp_path, kind):
    if kind == "features":
        saved(tmp_path, SklearnDataset.from_texts(topics.x, topics.y, vectorizer=CountVectorizer()))
    elif kind == "hashed":
        saved(tmp_path, topics, vectorizer=HashingVectorizer(n_features=64))
    else:
        SklearnClassifier(RandomForestClassifier(5), 3, seed=1).fit(topics).save(tmp_path)
    assert st.load(tmp_path).num_classes == 3
    pretend(tmp_path, scikit_learn="1.3.7")
    st.load(tmp_path)
    pretend(tmp_path, probe=[1.0, 0.0, 0.0])
    with pytest.raises(ModelFolderError, match="something else"):
        st.load(tmp_path)


def test_a_model_that_cannot_predict_the_sample_is_loaded(topics, tmp_path):
    saved(tmp_path, topics)
    pretend(tmp_path, scikit_learn="1.3.7", probe=None)
    assert st.load(tmp_path).num_classes == 3
