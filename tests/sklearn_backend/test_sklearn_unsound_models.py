"""Saved models with numbers that give no probabilities: `load` raises ModelFolderError, for any text."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

import smalltext_core as st
from security.attacks import edit_json, sign
from smalltext_core.errors import ModelFolderError
from smalltext_sklearn import SklearnClassifier
from smalltext_sklearn._trusted_types import KNOWN_TYPES
from smalltext_testing.sample_data import training_texts

TEXTS = training_texts(3, multi_label=False)


def change_model(folder, change):
    """Change the fitted estimator in a saved model, and save it again with its hash."""
    content = skops.io.load(folder / "model.skops", trusted=sorted(KNOWN_TYPES))
    change(content["model_"])
    skops.io.dump(content, folder / "model.skops")
    sign(folder)


def nan_in(attribute, owner=lambda model: model):
    def change(model):
        getattr(owner(model), attribute).flat[0] = np.nan

    return change


WITH_NAN = {
    "linear": (LogisticRegression(), nan_in("intercept_")),
    "gradient": (SGDClassifier(loss="log_loss"), nan_in("intercept_")),
    "bayes": (MultinomialNB(), nan_in("class_log_prior_")),
    "features of bayes": (MultinomialNB(), nan_in("feature_log_prob_")),
    "centroids": (NearestCentroid(), nan_in("class_prior_")),
    "calibrated": (
        CalibratedClassifierCV(LinearSVC(), cv=2),
        nan_in("intercept_", lambda model: model.calibrated_classifiers_[0].estimator),
    ),
}


@pytest.mark.parametrize(("estimator", "change"), WITH_NAN.values(), ids=WITH_NAN)
def test_nan_is_refused(tmp_path, estimator, change):
    SklearnClassifier(estimator, 3, seed=1).fit(TEXTS).save(tmp_path / "model")
    change_model(tmp_path / "model", change)
    with pytest.raises(ModelFolderError, match="NaN|probabilities"):
        st.load(tmp_path / "model")


@pytest.mark.parametrize("member", [DecisionTreeClassifier(max_depth=2), MultinomialNB()])
def test_a_member_with_fewer_classes_than_numbers_is_refused(tmp_path, member):
    """Whether its class exists would otherwise depend on the text."""
    SklearnClassifier(AdaBoostClassifier(member, n_estimators=3), 3, seed=1).fit(TEXTS).save(tmp_path / "model")
    assert st.load(tmp_path / "model").predict(TEXTS).shape == (len(TEXTS),)

    def change(model):
        model.estimators_[0].classes_ = model.estimators_[0].classes_[:2]

    change_model(tmp_path / "model", change)
    with pytest.raises(ModelFolderError, match="of other classes|for each class"):
        st.load(tmp_path / "model")


def test_words_of_a_folder_cannot_make_the_sample_endless(tmp_path, monkeypatch):
    """A sound pattern, too, may take thousands of steps for each character."""
    SklearnClassifier(LogisticRegression(), 3, vectorizer=CountVectorizer(), seed=1).fit(TEXTS).save(tmp_path)
    edit_json(tmp_path / "vocabulary.json", lambda vocabularies: vocabularies[0].__setitem__(0, "a" * 10**6))
    sign(tmp_path)
    read = []

    def record(_, data_set):
        read.extend(map(len, data_set.x))
        return np.full((1, 3), np.nan)

    monkeypatch.setattr(SklearnClassifier, "predict_proba", record)
    with pytest.raises(ModelFolderError, match="something else"):
        st.load(tmp_path)
    assert read == [100_000]
