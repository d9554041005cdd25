"""lime explains every classifier: it asks for the probabilities of a text with words left out."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import smalltext_core as st
from robustness.backends import NAMES, parameters
from smalltext_sklearn import TextClassifier
from smalltext_testing.sample_data import training_texts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lime_text = pytest.importorskip("lime.lime_text")

NAMES_OF_CLASSES = ["football", "cooking"]
KNOWN = training_texts(2, multi_label=False)


def explanation(text, probabilities, **options):
    explainer = lime_text.LimeTextExplainer(class_names=NAMES_OF_CLASSES, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return explainer.explain_instance(text, probabilities, num_features=4, num_samples=60, **options)


@pytest.mark.parametrize("name", NAMES)
def test_lime_explains_a_classifier_without_changing_it(name):
    classifier = st.create_classifier(name, 2, seed=1, **parameters(name)).fit(KNOWN)
    before = classifier.predict_proba(KNOWN)
    text = KNOWN.x[0]
    found = explanation(text, lambda texts: classifier.predict_proba(st.TextDataset(texts)), labels=(0, 1))
    assert {word for word, _ in found.as_list(label=1)} <= set(text.split())
    np.testing.assert_allclose(found.predict_proba, classifier.predict_proba(KNOWN[:1])[0], rtol=1e-6)
    np.testing.assert_array_equal(classifier.predict_proba(KNOWN), before)


@pytest.mark.parametrize("name", NAMES)
def test_lime_takes_the_estimator_without_an_adapter(name):
    labels = [NAMES_OF_CLASSES[number] for number in KNOWN.y]
    estimator = TextClassifier(name, random_state=1, **parameters(name)).fit(KNOWN.x, labels)
    found = explanation(KNOWN.x[0], estimator.predict_proba)
    assert len(found.as_list()) == min(4, len(set(KNOWN.x[0].split())))


def test_the_word_that_decides_is_found():
    texts = [f"{word} number {number}" for number in range(20) for word in ("splendid", "dreadful")]
    classifier = TextClassifier("sklearn", random_state=1).fit(texts, ["good", "bad"] * 20)
    word, weight = explanation("a splendid number 7", classifier.predict_proba).as_list()[0]
    assert (word, weight > 0) == ("splendid", True)
