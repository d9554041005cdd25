"""Training, validating, embedding, sampling: tests of fine-tuning beyond those of all torch backends."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle

import numpy as np
import psutil
import pytest
import torch
import transformers

from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_testing.sample_data import training_texts, unseen_texts
from smalltext_torch import EarlyStopping, Metric, NoopEarlyStopping
from smalltext_transformers import TransformerBasedClassification, TransformersDataset
from smalltext_transformers import classifier as classifier_module
from transformers_backend.conftest import QUICK
from transformers_backend.tiny_models import ARCHITECTURES, SIZES, WITH_DECODER, tiny_model, tiny_tokenizer

TEXTS = TextDataset(["the goal of the team", "butter and onion", "", "the goal of the team"])


def test_the_signature_is_the_documented_one():
    documented = [
        *("transformer_model", "num_classes", "multi_label", "num_epochs", "lr", "mini_batch_size"),
        *("validation_set_size", "validations_per_epoch", "early_stopping_no_improvement", "early_stopping_acc"),
        *(
            "model_selection",
            "fine_tuning_arguments",
            "device",
            "memory_fix",
            "class_weight",
            "verbosity",
            "cache_dir",
        ),
    ]
    parameters = list(inspect.signature(TransformerBasedClassification).parameters.values())
    assert [p.name for p in parameters[: len(documented)]] == documented
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[len(documented) :])


def test_the_defaults_are_the_documented_ones():
    classifier = TransformerBasedClassification("a-model", 2)
    assert (classifier.num_epochs, classifier.lr, classifier.mini_batch_size) == (10, 2e-5, 12)
    assert (classifier.validation_set_size, classifier.validations_per_epoch) == (0.1, 1)
    assert (classifier.model_selection, classifier.memory_fix, classifier.precision) == (True, 1, "float32")


def test_topics_are_learned(learned):
    assert (learned.predict(training_texts(3, multi_label=False)) == training_texts(3, multi_label=False).y).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_encoder_can_be_trained_and_predicts(trained, architecture):
    classifier = trained(architecture)
    assert classifier.predict_proba(TEXTS, dropout_sampling=2).shape == (4, 2, 2)
    assert classifier.embed(TEXTS).shape == (4, 32)


@pytest.mark.parametrize("architecture", WITH_DECODER)
def test_models_with_a_decoder_can_be_trained_and_predict(trained, architecture):
    classifier = trained(architecture)
    assert classifier.predict_proba(TEXTS).shape == (4, 2)
    for layer in (0, 1, -1):
        assert classifier.embed(TEXTS, hidden_layer_index=layer).shape == (4, 32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_training_the_vocabulary_in_use_makes_the_model_that_training_all_of_it_makes(
    make, topics, architecture, monkeypatch
):
    def trained():
        rows = []
        adamw = classifier_module.adamw

        def noted(groups, lr):
            rows.append(max(len(parameter) for parameter in groups[0]["params"]))
            return adamw(groups, lr)

        with monkeypatch.context() as patch:
            patch.setattr(classifier_module, "adamw", noted)
            return make(model=tiny_model(architecture), num_epochs=2, lr=0.002).fit(topics).model, rows[0]

    sparing, rows = trained()
    monkeypatch.setattr(TransformerBasedClassification, "get_input_embeddings", lambda *_: None)
    whole, all_rows = trained()
    assert rows < all_rows == len(tiny_tokenizer())
    assert sparing.get_input_embeddings().weight.shape == whole.get_input_embeddings().weight.shape
    for name, parameter in whole.named_parameters():
        torch.testing.assert_close(sparing.get_parameter(name), parameter, rtol=1e-3, atol=2e-5)


def test_the_learning_rate_falls_to_nothing(make, topics):
    history = make(num_epochs=4, lr=0.01).fit(topics, early_stopping="none").history_
    rates = [record["learning_rate"] for record in history]
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.001


def test_t01_an_optimizer_needs_no_scheduler(make, topics):
    make().fit(topics, optimizer=lambda network: torch.optim.SGD(network.parameters(), lr=0.1))


def test_t01b_a_scheduler_needs_an_optimizer(make, topics):
    with pytest.raises(InvalidInputError, match="also pass an optimizer"):
        make().fit(topics, scheduler=lambda optimizer: None)


def test_t02_two_labels_may_apply_at_once(make, labelled_twice):
    proba = make(multi_label=True).fit(labelled_twice).predict_proba(labelled_twice)
    assert proba.shape == (len(labelled_twice), 2)


def test_t03_embeddings_do_not_depend_on_padding(learned):
    alone = np.concatenate([learned.embed(TEXTS[row]) for row in range(4)])
    together = learned.embed(TextDataset([*TEXTS.x, "the goal of the team " * 10]))[:4]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_average_is_over_the_tokens_of_the_text(learned):
    ids = TransformersDataset.from_texts(TEXTS.x[:1], None, tiny_tokenizer()).x[0]
    with torch.no_grad():
        tokens = torch.from_numpy(ids.astype(np.int64))[None]
        network = copy.deepcopy(learned.model).cpu()
        states = network(tokens, output_hidden_states=True).hidden_states
    for layer in (0, 1, -1):
        expected = states[layer][0].mean(dim=0).numpy()
        np.testing.assert_allclose(learned.embed(TEXTS[:1], hidden_layer_index=layer)[0], expected, atol=1e-5)
    first = learned.embed(TEXTS[:1], embedding_method="cls")[0]
    np.testing.assert_allclose(first, states[-1][0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"embedding_method": "mean"},
        {"embedding_method": np.array(["avg", "cls"])},
        {"hidden_layer_index": 3},
        {"hidden_layer_index": -4},
    ],
    ids=str,
)
def test_wrong_embeddings_are_refused(learned, wrong):
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        learned.embed(TEXTS, **wrong)


@pytest.mark.parametrize("architecture", {**ARCHITECTURES, **WITH_DECODER})
def test_a_classifier_that_has_embedded_can_be_pickled(trained, architecture):
    classifier = trained(architecture)
    embeddings = classifier.embed(TEXTS)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.embed(TEXTS), embeddings)


def test_embeddings_of_no_texts_have_no_rows(learned):
    assert learned.embed(TEXTS[:0]).shape == (0, 32)


def test_t05_without_model_selection_the_last_model_is_kept(make, topics):
    history = make(num_epochs=3, model_selection=False).fit(topics).history_
    assert not any(record["best"] for record in history)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_t06_an_epoch_has_the_requested_number_of_validations(make, topics, times):
    history = make(num_epochs=2, validations_per_epoch=times).fit(topics).history_
    steps = -(-len(topics) * 9 // 10 // QUICK["mini_batch_size"]) + 1
    assert [record["epoch"] for record in history] == [1] * times + [2] * times
    assert history[-1]["step"] == 2 * history[times - 1]["step"] <= 2 * steps


def test_t07_stopping_in_the_middle_of_an_epoch_stops_training(make, topics):
    class Second(NoopEarlyStopping):
        calls = 0

        def check_early_stop(self, epoch, measured_values):
            self.calls += 1
            return self.calls == 2

    stopping = Second()
    history = make(num_epochs=5, validations_per_epoch=3).fit(topics, early_stopping=stopping).history_
    assert (stopping.calls, len(history)) == (2, 2)


def test_t09_two_classes_are_trained_with_cross_entropy(make):
    texts = TextDataset(["the goal"] * 30, [0, 0, 1] * 10)
    proba = make(num_epochs=15, lr=0.005).fit(texts, early_stopping="none").predict_proba(texts[:1])
    assert proba[0, 1] == pytest.approx(1 / 3, abs=0.08)


def test_t10_embedding_builds_no_graph(learned, monkeypatch):
    seen = []
    model = learned.model
    handle = model.register_forward_hook(lambda *given: seen.append(given[2].logits.requires_grad))
    try:
        learned.embed(TEXTS)
    finally:
        handle.remove()
    assert seen
    assert not any(seen)


def test_t11_probabilities_returned_with_embeddings_are_those_of_predict_proba(make, labelled_twice):
    classifier = make(multi_label=True).fit(labelled_twice)
    _, proba = classifier.embed(TEXTS, return_proba=True)
    np.testing.assert_array_equal(proba, classifier.predict_proba(TEXTS))


def test_t17_a_seed_gives_the_same_bits_without_changing_the_global_state(make, topics):
    before = torch.get_rng_state()
    one, other = (make(seed=3).fit(topics) for _ in range(2))
    for name, parameter in one.model.named_parameters():
        assert torch.equal(parameter, other.model.get_parameter(name))
    assert torch.equal(torch.get_rng_state(), before)


def test_all_samples_of_a_text_differ(learned):
    samples = learned.predict_proba(TEXTS, dropout_sampling=20)
    assert all(len(np.unique(text[:, 0])) == 20 for text in samples)
    assert (samples[0] != samples[3]).any(axis=1).all()


@pytest.mark.slow
def test_samples_are_distributed_as_passes_in_training_mode_are(learned):
    text = TextDataset(["the goal of the soup"])
    ids = torch.from_numpy(TransformersDataset.from_texts(text.x, None, tiny_tokenizer()).x[0].astype(np.int64))[
        None
    ]
    network = copy.deepcopy(learned.model).cpu()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        network.train()
        passes = network(ids.expand(3000, -1)).logits.softmax(-1).numpy()  # each row has a separate dropout mask
        network.eval()
    samples = learned.predict_proba(text, dropout_sampling=3000)[0]
    np.testing.assert_allclose(samples.mean(axis=0), passes.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(samples.std(axis=0), passes.std(axis=0), atol=0.02)


def test_attention_dropout_is_sampled_too(make, topics, tmp_path):
    from transformers_backend.tiny_models import save_tiny_model

    folder = save_tiny_model(tmp_path / "model", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.4)
    classifier = make(model=folder).fit(topics)
    samples = classifier.predict_proba(TEXTS[:1], dropout_sampling=10)
    assert len(np.unique(samples[0, :, 0])) == 10


def test_predicting_with_auto_precision_changes_little(learned):
    exact = learned.predict_proba(unseen_texts(3)[:4])
    learned.precision = "auto"
    try:
        rounded = learned.predict_proba(unseen_texts(3)[:4])
    finally:
        learned.precision = "float32"
    np.testing.assert_allclose(exact, rounded, atol=0.05)


def test_a_model_that_autocast_does_not_fit_computes_in_float32(make, topics, tmp_path, monkeypatch):
    monkeypatch.setattr("smalltext_torch.device._cpu_multiplies_bfloat16", lambda: True)
    changes = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
    config = transformers.DebertaConfig(**{**SIZES, "vocab_size": len(tiny_tokenizer()), **changes})
    transformers.DebertaModel(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    auto, exact = (make(model=tmp_path, precision=given).fit(topics) for given in ("auto", "float32"))
    np.testing.assert_array_equal(auto.predict_proba(TEXTS), exact.predict_proba(TEXTS))


def test_an_unknown_precision_is_refused():
    with pytest.raises(InvalidInputError, match="precision"):
        TransformerBasedClassification("a-model", 2, precision="int8")


def test_deprecated_parameters_work_and_warn(make, topics):
    with pytest.warns(DeprecationWarning, match=r"fit\(early_stopping=...\)"):
        classifier = make(num_epochs=9, lr=1e-9, early_stopping_no_improvement=1)
    assert len(classifier.fit(topics).history_) <= 9


def test_early_stopping_of_fit_is_used(make, topics):
    stopping = EarlyStopping(Metric("train_acc", lower_is_better=False), patience=-1, threshold=0.01)
    assert len(make(num_epochs=5).fit(topics, early_stopping=stopping).history_) == 1


def test_warm_start_continues(make, topics):
    classifier = make(warm_start=True, num_epochs=3)
    first = classifier.fit(topics).history_[0]["train_loss"]
    assert classifier.fit(topics).history_[0]["train_loss"] < first


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [10, pytest.param(40, marks=pytest.mark.nightly)])
def test_many_rounds_leak_no_memory(make, topics, rounds, record_property):
    process, seen = psutil.Process(), []
    classifier = make(num_epochs=1)
    for _ in range(rounds):
        classifier.fit(topics).predict_proba(TEXTS)
        gc.collect()
        seen.append(process.memory_info().rss)
    record_property("MiB more", (seen[-1] - seen[4]) >> 20)
    assert seen[-1] - seen[4] < 20 << 20
