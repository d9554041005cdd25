"""Probabilities are calibrated on out-of-fold predictions, with a vectorizer that is refitted in each fold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC

import smalltext_core as st
from smalltext_core.calibration import expected_calibration_error
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.saving import MANIFEST
from smalltext_sklearn import SklearnClassifier, SklearnDataset, _out_of_fold
from smalltext_sklearn._estimators import Training, default_estimator
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer

UNDERCONFIDENT = LogisticRegression(C=0.3)


def noisy(count, seed=0, multi_label=False):
    """Return texts of words that indicate a class, which is wrong for a fifth of the texts, and of other words."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    hinted = np.where(rng.random(count) < 0.2, rng.integers(0, 3, count), y)
    texts = [
        " ".join([f"hint{hint}x{rng.integers(0, 8)}", *(f"word{one}" for one in rng.integers(0, 300, 12))])
        for hint in hinted
    ]
    if not multi_label:
        return st.TextDataset(texts, y)
    also = np.flatnonzero(rng.random(count) < 0.15)
    targets = np.zeros((count, 4), dtype=np.int32)
    targets[np.arange(count), y] = 1
    targets[also, 3] = 1
    return st.TextDataset(texts, csr_matrix(targets))


def by_name(num_classes=3, **parameters):
    return st.create_classifier("sklearn", num_classes, **parameters)


def log_loss(proba, y):
    return -np.log(np.maximum(proba[np.arange(len(y)), y], 1e-9)).mean()


def test_calibration_is_the_default_only_by_name():
    train_set = noisy(60)
    assert SklearnClassifier(LogisticRegression(), 3).fit(train_set).calibration_ is None
    assert by_name().fit(train_set).calibration_.n_texts == 60


def test_other_values_are_refused():
    with pytest.raises(InvalidInputError, match="calibration: got 'isotonic'; allowed: 'auto' or 'none'"):
        SklearnClassifier(LogisticRegression(), 3, calibration="isotonic")


def test_calibration_changes_no_label_and_lowers_the_calibration_error_of_new_texts():
    train_set, test_set = noisy(200), noisy(1000, seed=1)
    calibrated = by_name(estimator=UNDERCONFIDENT).fit(train_set)
    plain = by_name(estimator=UNDERCONFIDENT, calibration="none").fit(train_set)
    assert_array_equal(calibrated.predict(test_set), plain.predict(test_set))
    after, before = calibrated.predict_proba(test_set), plain.predict_proba(test_set)
    assert expected_calibration_error(after, test_set.y) < expected_calibration_error(before, test_set.y)
    assert log_loss(after, test_set.y) < log_loss(before, test_set.y)


def test_the_calibration_reports_its_effect_on_held_out_texts():
    calibration = by_name(estimator=UNDERCONFIDENT).fit(noisy(200)).calibration_
    assert calibration.method == "temperature"
    assert calibration.log_loss[1] < calibration.log_loss[0]
    assert calibration.calibration_error[1] < calibration.calibration_error[0]


@pytest.mark.parametrize(
    "vectorizer",
    [
        WordCharTfidfVectorizer(),
        TfidfVectorizer(norm=None, smooth_idf=False, binary=True, ngram_range=(2, 2), analyzer="char"),
        TfidfVectorizer(min_df=2),
        TfidfVectorizer(max_features=20),
        TfidfVectorizer(max_df=0.5, use_idf=False),
        CountVectorizer(),
        make_pipeline(CountVectorizer(), MaxAbsScaler()),
    ],
    ids=["default", "char", "min_df", "max_features", "max_df", "counts", "pipeline"],
)
def test_the_features_of_a_fold_are_those_of_a_vectorizer_that_is_fitted_to_its_training_texts(vectorizer):
    data = noisy(40)
    training = Training(default_estimator(), data.y, 3, None, None)
    fitted = clone(vectorizer)
    x = fitted.fit_transform(data.x)
    train, held_out = np.arange(30), np.arange(30, 40)
    found = _out_of_fold._fold_features(x, data.x, fitted, training)(train, held_out)
    again = clone(vectorizer)
    assert_allclose(found[0].toarray(), again.fit_transform(data.x[:30]).toarray(), rtol=1e-15, atol=1e-16)
    assert_allclose(found[1].toarray(), again.transform(data.x[30:]).toarray(), rtol=1e-15, atol=1e-16)
    assert_allclose(fitted.transform(data.x).toarray(), x.toarray(), rtol=1e-15, atol=1e-16)


def test_features_are_held_out_unchanged():
    data = noisy(60)
    features = SklearnDataset.from_texts(data.x, data.y, TfidfVectorizer())
    classifier = SklearnClassifier(LogisticRegression(C=30), 3, calibration="auto").fit(features)
    assert classifier.calibration_.n_texts == 60


@pytest.mark.parametrize("estimator", [LinearSVC(), MultinomialNB(), KNeighborsClassifier()], ids=str)
@pytest.mark.parametrize("multi_label", [False, True], ids=["single-label", "multi-label"])
def test_every_estimator_is_calibrated(estimator, multi_label):
    train_set, num_classes = noisy(80, multi_label=multi_label), 4 if multi_label else 3
    classifier = SklearnClassifier(estimator, num_classes, multi_label, calibration="auto", seed=1).fit(train_set)
    assert classifier.calibration_.log_loss[1] <= classifier.calibration_.log_loss[0]
    proba = classifier.predict_proba(noisy(20, seed=2))
    assert np.isfinite(proba).all()
    if not multi_label:
        assert_allclose(proba.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "n_texts"),
    [
        pytest.param([0, 1], 0, id="one text of each class"),
        pytest.param([0, 0, 0, 1], 0, id="one text of all classes but one"),
        pytest.param([0, 0, 1, 1], 4, id="two texts of each class"),
        pytest.param([0, 0, 0, 1, 1, 1, 2], 6, id="a single text of a class is not counted"),
    ],
)
def test_few_texts_are_held_out_in_fewer_folds_or_not_at_all(labels, n_texts):
    texts = [f"topic{label} word{row}" for row, label in enumerate(labels)]
    classifier = by_name().fit(st.TextDataset(texts, labels))
    assert classifier.calibration_.n_texts == n_texts
    if n_texts == 0:
        assert classifier.calibration_.scale == (1.0,)


def test_an_estimator_that_needs_more_texts_than_a_fold_has_is_not_calibrated():
    train_set = st.TextDataset([f"topic{label} word" for label in (0, 0, 1, 1, 1)], [0, 0, 1, 1, 1])
    classifier = SklearnClassifier(KNeighborsClassifier(n_neighbors=5), 2, calibration="auto").fit(train_set)
    assert classifier.predict_proba(train_set).shape == (5, 2)
    lonely = SklearnClassifier(LinearSVC(), 2, calibration="auto").fit(train_set)
    assert lonely.calibration_.n_texts == 0


def test_classes_without_a_text_keep_the_probability_zero():
    proba = by_name(num_classes=5).fit(noisy(60)).predict_proba(noisy(5))
    assert_array_equal(proba[:, 3:], 0)


def test_weights_of_texts_count_in_the_calibration():
    """Texts with right labels have the highest weights, so that the classifier is more confident."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    wrong = rng.random(200) < 0.3
    texts = [f"hint{label ^ flip} word{rng.integers(0, 50)}" for label, flip in zip(y, wrong, strict=True)]
    train_set = st.TextDataset(texts, y)
    temperatures = [
        SklearnClassifier(LogisticRegression(), 2, calibration="auto").fit(train_set, weights=weights).calibration_
        for weights in (np.where(wrong, 0.01, 1.0), np.where(wrong, 1.0, 1.0))
    ]
    assert temperatures[0].temperature < temperatures[1].temperature


def test_class_weights_are_not_undone_by_the_calibration():
    """Platt scaling on equally weighted texts would undo class_weight="balanced"."""
    data = noisy(400, multi_label=True)
    rare = [
        by_name(num_classes=4, multi_label=True, class_weight=class_weight).fit(data).predict_proba(data)[:, 3]
        for class_weight in (None, "balanced")
    ]
    assert rare[1].mean() > 2 * rare[0].mean()


def test_a_seed_gives_the_same_bits_and_no_seed_does_too():
    train_set = noisy(80)
    for seed in (None, 3):
        first, second = (by_name(seed=seed).fit(train_set).predict_proba(train_set) for _ in range(2))
        assert_array_equal(first, second)


def test_embeddings_come_with_calibrated_probabilities():
    classifier = by_name().fit(noisy(80))
    _, proba = classifier.embed(noisy(10), return_proba=True)
    assert_array_equal(proba, classifier.predict_proba(noisy(10)))


def test_a_part_of_very_many_texts_is_held_out(monkeypatch):
    monkeypatch.setattr(_out_of_fold, "_MAX_SCORES", 150)
    assert by_name().fit(noisy(120)).calibration_.n_texts == 50


def test_classes_that_are_represented_by_means_have_a_scale_already(monkeypatch):
    monkeypatch.setattr("smalltext_sklearn._estimators.MANY_CLASSES", 3)
    monkeypatch.setattr("smalltext_sklearn._estimators.MEMORY_LIMIT", 1)
    with pytest.warns(UserWarning, match="too many for logistic regression"):
        assert by_name().fit(noisy(60)).calibration_.n_texts == 0


def test_a_failed_fit_keeps_the_previous_calibration(monkeypatch):
    classifier = by_name().fit(noisy(60))
    former = classifier.calibration_
    monkeypatch.setattr(_out_of_fold, "fit_calibration", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        classifier.fit(noisy(80))
    assert classifier.calibration_ is former


def test_multi_label_thresholds_are_chosen_by_name():
    train_set, test_set = noisy(400, multi_label=True), noisy(400, seed=1, multi_label=True)
    words = {"char_weight": 0}  # characters are uninformative for these words
    classifier = by_name(num_classes=4, multi_label=True, vectorizer_parameters=words).fit(train_set)
    assert classifier.calibration_.method == "logistic"
    assert classifier.multi_label_threshold_.shape == (4,)
    labels, proba = classifier.predict(test_set, return_proba=True)
    assert_array_equal(labels.toarray(), proba > classifier.multi_label_threshold_.astype(np.float32))
    assert expected_calibration_error(proba, test_set.y) < 0.03


def test_thresholds_are_chosen_without_calibration_too():
    data = noisy(200, multi_label=True)
    classifier = by_name(num_classes=4, multi_label=True, calibration="none").fit(data)
    assert classifier.calibration_ is None
    assert (classifier.multi_label_threshold_ < 0.5).any()


def test_ten_texts_are_needed_for_thresholds():
    data = noisy(9, multi_label=True)
    classifier = by_name(num_classes=4, multi_label=True).fit(data)
    assert classifier.calibration_ is None
    assert_array_equal(classifier.multi_label_threshold_, 0.5)


@pytest.fixture(scope="module")
def trained():
    return by_name(num_classes=4, multi_label=True).fit(noisy(60, multi_label=True))


@pytest.fixture
def saved(trained, tmp_path):
    trained.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("multi_label", [False, True], ids=["single-label", "multi-label"])
def test_calibration_and_thresholds_are_saved(multi_label, tmp_path):
    data = noisy(60, multi_label=multi_label)
    classifier = by_name(num_classes=4, multi_label=multi_label).fit(data)
    classifier.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert (loaded.calibration, loaded.multi_label_threshold) == ("auto", "auto")
    assert loaded.calibration_ == classifier.calibration_
    assert_array_equal(loaded.multi_label_threshold_, classifier.multi_label_threshold_)
    assert_array_equal(loaded.predict_proba(data), classifier.predict_proba(data))
    assert_array_equal(loaded.fit(data).predict_proba(data), classifier.predict_proba(data))


def test_explicit_thresholds_are_saved(tmp_path):
    classifier = SklearnClassifier(LogisticRegression(), 4, True, multi_label_threshold=[0.1, 0.2, 0.3, 0.4])
    data = noisy(60, multi_label=True)
    classifier.fit(data).save(tmp_path / "model")
    assert st.load(tmp_path / "model").multi_label_threshold == (0.1, 0.2, 0.3, 0.4)
    assert (st.load(tmp_path / "model").predict(data) != classifier.predict(data)).nnz == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("calibration_", {"method": "temperature", "scale": [1.0], "offset": [0.0]}),
        ("calibration_", [1.0]),
        ("multi_label_threshold_", [0.5]),
        ("multi_label_threshold_", [0.5, 0.5, 0.5, "auto"]),
        ("multi_label_threshold_", "auto"),
        ("multi_label_threshold_", 0.5),
        ("multi_label_threshold_", [0.5, 0.5, 0.5, 1.5]),
        ("multi_label_threshold", ["auto"]),
        ("calibration", "isotonic"),
    ],
)
def test_a_saved_calibration_is_checked(field, value, saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    manifest["parameters"][field] = value
    (saved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelFolderError):
        st.load(saved)


def test_a_calibration_without_a_scale_that_was_changed_is_noticed(saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    manifest["parameters"]["calibration_"]["scale"][0] *= 3
    (saved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelFolderError, match="something else than when it was saved"):
        st.load(saved)


def test_calibration_fits_the_model_to_five_folds_and_once_to_all_texts(monkeypatch):
    sizes = []
    fit = LogisticRegression.fit

    def counted(self, features, *given, **weights):
        sizes.append(features.shape[0])
        return fit(self, features, *given, **weights)

    monkeypatch.setattr(LogisticRegression, "fit", counted)
    by_name(calibration="auto").fit(noisy(1500))
    assert sorted(sizes) == [1200] * 5 + [1500]
