"""Predictions do not depend on changes that a user makes to the modes of a network or of torch after training."""

from __future__ import annotations

import copy
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from numpy.testing import assert_allclose, assert_array_equal

from robustness import backends
from smalltext_core import TextDataset, create_classifier, load
from smalltext_testing.sample_data import training_texts, unseen_texts

NETWORKS = [
    *backends.NETWORKS,
    *["embeddings"] * ("embeddings" in backends.NAMES and find_spec("sentence_transformers") is not None),
]
VARIANTS = [
    *[(name, {}) for name in NETWORKS],
    *[("transformers", {"long_texts": "window"})] * ("transformers" in NETWORKS),
    *[("setfit", {"use_differentiable_head": True})] * ("setfit" in NETWORKS),
]
TEXTS = unseen_texts(3)
LABELLED = training_texts(3, multi_label=False)

pytestmark = pytest.mark.skipif(not NETWORKS, reason="no backend with a network is installed")


def trained(name, parameters):
    if name == "embeddings":
        from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer

        Path(tiny_sentence_transformer(), "modules.json").touch()  # so that the encoder is loaded again
        parameters = {"encoder": tiny_sentence_transformer(), "embedding_cache_size": 0}
    else:
        parameters = {**backends.parameters(name), **parameters}
    return create_classifier(name, 3, seed=1, **parameters).fit(LABELLED)


def network(classifier):
    """Return the network of a classifier, or of its frozen encoder."""
    return classifier.model if hasattr(classifier, "model") else classifier.encoder.loaded.body


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: "-".join([variant[0], *variant[1]]))
def classifier(request):
    return trained(*request.param)


def results(classifier):
    """Return all results that a classifier computes with its network."""
    labels, proba = classifier.predict(TEXTS, return_proba=True)
    embeddings, again = classifier.embed(TEXTS, return_proba=True)
    found = {
        "predict": labels,
        "return_proba": proba,
        "predict_proba": classifier.predict_proba(TEXTS),
        "embed": embeddings,
        "embed with probabilities": again,
    }
    if hasattr(classifier, "validate"):
        found["validate"] = classifier.validate(LABELLED)
        found["dropout_sampling"] = classifier.predict_proba(TEXTS, dropout_sampling=2)
    return found


def modes(classifier):
    return [module.training for module in network(classifier).modules()]


def on_accelerator():
    import torch

    return torch.accelerator.is_available()


def assert_same(found, expected, *, exact=True):
    for name, value in expected.items():
        if name == "validate":  # sums of float32, which depend on memory alignment
            assert_allclose(found[name], value, rtol=1e-6)
        elif (
            on_accelerator() or not exact
        ) and name != "predict":  # whose kernels depend on whether gradients are enabled
            assert_allclose(found[name], value, rtol=0, atol=1e-6, err_msg=name)
        else:
            assert_array_equal(found[name], value, err_msg=name)


def test_after_model_train_all_results_are_the_same_and_the_mode_is_kept(classifier):
    expected = results(classifier)
    network(classifier).train()
    try:
        assert_same(results(classifier), expected)
        assert all(modes(classifier))
    finally:
        network(classifier).eval()


def test_single_modules_in_training_mode_stay_in_it(classifier):
    import torch

    expected = results(classifier)
    dropouts = [module for module in network(classifier).modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts
    for module in dropouts:
        module.train()
    before = modes(classifier)
    try:
        assert_same(results(classifier), expected)
        assert modes(classifier) == before
    finally:
        network(classifier).eval()


def test_copies_and_saved_models_of_a_network_in_training_mode_predict_the_same(classifier, tmp_path):
    expected = classifier.predict_proba(TEXTS)
    network(classifier).train()
    try:
        classifier.save(tmp_path / "model")
        assert_array_equal(copy.deepcopy(classifier).predict_proba(TEXTS), expected)
        assert all(modes(classifier))
    finally:
        network(classifier).eval()
    assert_array_equal(load(tmp_path / "model").predict_proba(TEXTS), expected)


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "trainable"])
def test_results_do_not_depend_on_which_parameters_are_trainable(classifier, frozen):
    expected = results(classifier)
    before = [parameter.requires_grad for parameter in network(classifier).parameters()]
    try:
        network(classifier).requires_grad_(not frozen)
        assert_same(results(classifier), expected, exact=not frozen)  # torch rounds the last bit differently
        assert all(parameter.requires_grad is not frozen for parameter in network(classifier).parameters())
        assert all(parameter.grad is None for parameter in network(classifier).parameters())
    finally:
        for parameter, value in zip(network(classifier).parameters(), before, strict=True):
            parameter.requires_grad_(value)


@contextmanager
def double_precision():
    import torch

    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def caller_in(name):
    """Return a context that a caller may use."""
    import torch

    return {
        "inference_mode": torch.inference_mode,
        "no_grad": torch.no_grad,
        "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        "float64": double_precision,
    }[name]()


CONTEXTS = ("inference_mode", "no_grad", "autocast", "float64")


@pytest.mark.parametrize("context", CONTEXTS)
def test_predictions_do_not_depend_on_the_context_of_the_caller(classifier, context):
    expected = results(classifier)
    with caller_in(context):
        found = results(classifier)
    assert_same(found, expected)


@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=str)
def test_training_and_loading_do_not_depend_on_the_context_of_the_caller(name, parameters, tmp_path):
    expected = trained(name, parameters).predict_proba(TEXTS)
    with ExitStack() as stack:
        for context in CONTEXTS:
            stack.enter_context(caller_in(context))
        again = trained(name, parameters)
        again.save(tmp_path / "model")
        loaded = load(tmp_path / "model")
    assert_array_equal(again.predict_proba(TEXTS), expected)
    assert_array_equal(loaded.predict_proba(TEXTS), expected)
    assert not any(parameter.is_inference() for parameter in network(loaded).parameters())


@pytest.mark.skipif("setfit" not in NETWORKS, reason="setfit is not installed")
def test_a_head_is_refitted_on_embeddings_made_in_evaluation_mode():
    more = TextDataset([*TEXTS.x, *LABELLED.x], [*LABELLED.y[: len(TEXTS)], *LABELLED.y])
    probabilities = []
    for training in (False, True):
        classifier = trained("setfit", {})
        network(classifier).train(training)
        probabilities.append(classifier.refit_head(more).predict_proba(TEXTS))
    assert_array_equal(*probabilities)
