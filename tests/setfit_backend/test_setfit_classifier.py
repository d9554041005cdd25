"""Fitting, refitting the head, predicting, sampling, embedding, validating: tests beyond the conformance kit."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest
import torch

from setfit_backend.conftest import BOTH_HEADS
from setfit_backend.tiny_sentence_transformers import save_tiny_sentence_transformer
from smalltext_core import TextDataset, create_factory, list_to_csr, load
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_setfit import SetFitClassification, SetFitClassificationFactory, SetFitModelArguments, _model
from smalltext_setfit._model import load_pretrained_body
from smalltext_testing.sample_data import training_texts, unseen_texts
from smalltext_torch.inference import DivergedError

TEXTS = TextDataset(["the goal of the team", "butter and onion", "", "the goal of the team"])


def test_the_signature_is_the_documented_one():
    documented = ["setfit_model_args", "num_classes", "multi_label", "max_seq_len", "use_differentiable_head"]
    documented += ["mini_batch_size", "model_kwargs", "trainer_kwargs", "device"]
    parameters = inspect.signature(SetFitClassification).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == documented
    fit = list(inspect.signature(SetFitClassification.fit).parameters.values())
    assert [p.name for p in fit if p.kind is p.POSITIONAL_OR_KEYWORD][1:] == [
        "train_set",
        "validation_set",
        "setfit_train_kwargs",
    ]
    defaults = {p.name: p.default for p in parameters}
    assert (defaults["max_seq_len"], defaults["mini_batch_size"]) == (512, 32)


def test_one_class_only_is_refused(make):
    with pytest.raises(InvalidInputError, match="one class only, 1.*two or more classes.*Label another text"):
        make().fit(TextDataset(["goal", "team"], [1, 1]))


@BOTH_HEADS
def test_one_text_of_each_class_is_enough(make, use_differentiable_head):
    classifier = make(3, use_differentiable_head=use_differentiable_head)
    train_set = training_texts(3, multi_label=False)[[0, 1, 2]]
    proba = classifier.fit(train_set).predict_proba(train_set)
    assert (proba.argmax(axis=1) == train_set.y).all()


def test_a_missing_class_has_a_column_of_zeros_and_the_others_sum_to_one(make, topics):
    proba = make(4).fit(TextDataset(topics.x, topics.y * 2 + 1)).predict_proba(topics)
    assert (proba[:, [0, 2]] == 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)


def test_a_label_of_no_text_or_of_all_texts_is_certain(make, topics):
    y = list_to_csr([[1] if label else [1, 2] for label in topics.y], num_classes=3)
    proba = make(3, multi_label=True).fit(TextDataset(topics.x, y)).predict_proba(topics)
    assert (proba[:, 0] == 0).all()
    assert (proba[:, 1] == 1).all()
    assert (proba[:, 2] > 0).all()
    assert (proba[:, 2] < 1).all()


@BOTH_HEADS
def test_validate_returns_loss_and_accuracy(make, topics, use_differentiable_head):
    classifier = make(use_differentiable_head=use_differentiable_head).fit(topics, validation_set=topics)
    proba = classifier.predict_proba(topics).astype(np.float64)
    loss = -np.log(proba[np.arange(len(topics)), topics.y]).mean()
    assert classifier.validate(topics) == pytest.approx((loss, (proba.argmax(axis=1) == topics.y).mean()))
    assert classifier.validation_ == classifier.validate(topics)


@BOTH_HEADS
def test_validate_of_several_labels_counts_labels(make, labelled_twice, use_differentiable_head):
    classifier = make(multi_label=True, use_differentiable_head=use_differentiable_head).fit(labelled_twice)
    proba, y = classifier.predict_proba(labelled_twice).astype(np.float64), labelled_twice.y.toarray()
    loss = -np.log(np.where(y > 0, proba, 1 - proba)).mean()
    assert classifier.validate(labelled_twice) == pytest.approx((loss, ((proba > 0.5) == y).mean()), rel=1e-5)


def test_classes_count_in_the_validation_loss_as_in_training(make, topics):
    classifier = make(class_weight={"football": 3.0, "cooking": 1.0}).fit(topics)
    proba = classifier.predict_proba(topics).astype(np.float64)
    losses, weights = -np.log(proba[np.arange(len(topics)), topics.y]), np.where(topics.y == 0, 1.5, 0.5)
    assert classifier.validate(topics)[0] == pytest.approx((losses * weights).mean(), rel=1e-5)


@BOTH_HEADS
def test_class_weights_move_the_head(make, topics, use_differentiable_head):
    options = {"use_differentiable_head": use_differentiable_head, "trainer_kwargs": {"num_epochs": (0, 16)}}
    plain, heavier = (make(class_weight=weight, **options).fit(topics) for weight in (None, {"football": 20.0}))
    assert (heavier.predict_proba(TEXTS)[:, 0] > plain.predict_proba(TEXTS)[:, 0]).all()


@BOTH_HEADS
def test_label_weights_move_the_head(make, labelled_twice, use_differentiable_head):
    options = {"use_differentiable_head": use_differentiable_head, "trainer_kwargs": {"num_epochs": (0, 16)}}
    plain, heavier = (
        make(multi_label=True, class_weight=weight, **options).fit(labelled_twice) for weight in (None, {0: 20.0})
    )
    assert (heavier.predict_proba(TEXTS)[:, 0] > plain.predict_proba(TEXTS)[:, 0]).all()


def test_embeddings_are_the_input_of_the_head(fitted):
    embeddings, proba = fitted.embed(TEXTS, return_proba=True)
    assert (embeddings.dtype, embeddings.shape) == (np.float32, (4, 32))
    np.testing.assert_array_equal(fitted.embed(TEXTS), embeddings)
    np.testing.assert_allclose(proba, fitted.predict_proba(TEXTS), atol=1e-6)
    logits = copy.deepcopy(fitted.model.head).cpu()(torch.from_numpy(embeddings)).softmax(dim=1)
    np.testing.assert_allclose(logits.numpy(), proba, atol=1e-5)


def test_no_texts_have_no_embeddings(fitted):
    assert fitted.embed(TextDataset([])).shape == (0, 32)


def test_embeddings_can_be_of_length_one(make, topics):
    classifier = make(model_kwargs={"normalize_embeddings": True}).fit(topics)
    np.testing.assert_allclose(np.linalg.norm(classifier.embed(TEXTS), axis=1), 1, atol=1e-5)


@BOTH_HEADS
def test_dropout_is_sampled_in_the_encoder_and_the_mode_is_restored(make, topics, use_differentiable_head):
    classifier = make(use_differentiable_head=use_differentiable_head).fit(topics)
    samples = classifier.predict_proba(TEXTS, dropout_sampling=5)
    assert samples.shape == (4, 5, 2)
    assert (samples.std(axis=1) > 0).all()
    assert (samples[0] != samples[3]).any()
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS, dropout_sampling=5), samples)
    assert not any(module.training for module in classifier.model.modules())
    assert "eval" not in vars(classifier.model.body)


def test_an_exception_while_sampling_leaves_the_classifier_unchanged(fitted, monkeypatch):
    before = fitted.predict_proba(TEXTS)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_model.SentenceClassifier, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted.predict_proba(TEXTS, dropout_sampling=3)
    monkeypatch.undo()
    assert not any(module.training for module in fitted.model.modules())
    np.testing.assert_array_equal(fitted.predict_proba(TEXTS), before)


def test_a_text_that_occurs_often_is_encoded_once(fitted, monkeypatch):
    seen = []
    embed = _model.SentenceClassifier.embed
    monkeypatch.setattr(
        _model.SentenceClassifier,
        "embed",
        lambda self, tokens, mask: seen.append(len(tokens)) or embed(self, tokens, mask),
    )
    texts = [f"{text}, again and again" for text in TEXTS.x]  # not cached by other tests
    proba = fitted.predict_proba(TextDataset(texts * 50))
    assert sum(seen) == 3
    np.testing.assert_array_equal(proba, np.tile(proba[:4], (50, 1)))


def test_tokens_beyond_max_seq_len_are_ignored_and_reported(make, topics):
    classifier = make(max_seq_len=6)
    with pytest.warns(UserWarning, match="12 of 12 texts .* more than 6 tokens") as told:
        classifier.fit(topics)
    assert {one.filename for one in told} == {__file__}
    cut, whole = "goal team match fans", "goal team match"
    with pytest.warns(UserWarning, match="1 of 3 texts .* more than 6 tokens"):
        proba = classifier.predict_proba(TextDataset([f"{cut} oven", cut, whole]))
    np.testing.assert_allclose(proba[0], proba[1], atol=1e-7)
    assert (proba[1] != proba[2]).any()


def test_max_seq_len_may_exceed_the_setting_of_the_model(make, topics, tmp_path):
    folder = save_tiny_sentence_transformer(tmp_path / "short")
    settings = folder / "sentence_bert_config.json"
    body = load_pretrained_body(SetFitModelArguments(folder), make()._parsed_model_kwargs)
    body.max_seq_length = 5
    body.save(str(folder), create_model_card=False)
    assert settings.exists()
    classifier = make(model=folder, max_seq_len=30).fit(topics)
    beginning = "goal team match fans goal team match fans"
    proba = classifier.predict_proba(TextDataset([f"{beginning} oven", f"{beginning} star"]))
    assert (proba[0] != proba[1]).any()


def test_by_name_max_seq_len_is_the_setting_of_the_model(make, topics, tmp_path):
    folder = save_tiny_sentence_transformer(tmp_path / "short")
    body = load_pretrained_body(SetFitModelArguments(folder), make()._parsed_model_kwargs)
    body.max_seq_length = 7
    body.save(str(folder), create_model_card=False)
    classifier = create_factory("setfit", 2, model=folder, max_steps=1).new()
    assert classifier.max_seq_len == "auto"
    assert classifier.fit(topics).model.body.max_seq_length == 7
    classifier.save(tmp_path / "model")
    assert load(tmp_path / "model").max_seq_len == "auto"
    with pytest.raises(InvalidInputError, match="max_seq_len"):
        make(max_seq_len="longest")


def test_max_seq_len_is_at_most_the_number_of_positions(make, topics):
    classifier = make(max_seq_len=512).fit(topics)
    assert classifier.model.body.max_seq_length == 64


def test_max_seq_len_that_leaves_no_room_is_refused(make, topics):
    with pytest.raises(InvalidInputError, match="max_seq_len: got 2; allowed: 3 or above"):
        make(max_seq_len=2).fit(topics)


def test_refit_head_leaves_the_encoder_and_encodes_new_texts_alone(make, topics):
    classifier = make().fit(topics[:8])
    embeddings = classifier.embed(TEXTS)
    misses = [classifier.cache_info().misses]
    for _ in range(2):
        assert classifier.refit_head(topics) is classifier
        misses.append(classifier.cache_info().misses)
    assert np.diff(misses).tolist() == [4, 0]
    np.testing.assert_array_equal(classifier.embed(TEXTS), embeddings)
    flipped = classifier.refit_head(TextDataset(topics.x, 1 - topics.y))
    assert (flipped.predict(topics) == 1 - topics.y).all()


@BOTH_HEADS
def test_refit_head_on_the_same_texts_gives_the_head_of_fit(make, topics, use_differentiable_head):
    classifier = make(use_differentiable_head=use_differentiable_head).fit(topics)
    proba = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(classifier.refit_head(topics).predict_proba(TEXTS), proba)


def test_refit_head_uses_the_epochs_and_learning_rate_of_fit(make, topics):
    classifier = make(use_differentiable_head=True)
    classifier.fit(topics, None, {"num_epochs": (1, 40), "head_learning_rate": 0.5, "l2_weight": 0.0})
    proba = classifier.predict_proba(TEXTS)
    for twin in (classifier, pickle.loads(pickle.dumps(classifier))):
        np.testing.assert_array_equal(twin.refit_head(topics).predict_proba(TEXTS), proba)


def test_refit_head_takes_weights_and_a_failed_one_changes_nothing(make, topics):
    classifier = make().fit(topics)
    proba = classifier.predict_proba(TEXTS)
    for strange in (TextDataset([], []), TextDataset(topics.x, [0] * 12)):
        with pytest.raises(InvalidInputError):
            classifier.refit_head(strange)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), proba)
    heavier = classifier.refit_head(topics, weights=np.where(topics.y == 0, 20.0, 1.0)).predict_proba(TEXTS)
    assert (heavier[:, 0] > proba[:, 0]).all()


def test_refit_head_needs_a_fit(make, topics):
    with pytest.raises(NotFittedError):
        make().refit_head(topics)


def test_end_to_end_trains_body_and_head_together(make, topics):
    classifier = make(use_differentiable_head=True, trainer_kwargs={"num_epochs": (0, 16)}).fit(topics)
    before = classifier.embed(TEXTS)
    classifier.fit(topics, setfit_train_kwargs={"end_to_end": True, "body_learning_rate": (1e-3, 5e-3)})
    assert (classifier.embed(TEXTS) != before).any()
    assert classifier.validate(topics)[1] == 1


def test_no_epochs_of_pairs_leave_the_encoder_unchanged(make, topics):
    classifier = make(trainer_kwargs={"num_epochs": (0, 1)}).fit(topics)
    body = load_pretrained_body(classifier.setfit_model_args, classifier._parsed_model_kwargs)
    with torch.inference_mode():
        expected = body.eval().encode(["the goal of the team"])
    np.testing.assert_allclose(classifier.embed(TextDataset(["the goal of the team"])), expected, atol=1e-6)


@pytest.mark.parametrize("loss", ["ContrastiveLoss", "OnlineContrastiveLoss", "CoSENTLoss", "AnglELoss"])
def test_any_loss_of_pairs_trains(make, topics, loss):
    classifier = make(trainer_kwargs={"loss": loss}).fit(topics)
    assert classifier.validate(topics)[1] > 0.8


def test_diverging_training_is_refused_and_changes_nothing(make, topics):
    classifier = make().fit(topics)
    proba = classifier.predict_proba(TEXTS)
    with pytest.raises(DivergedError, match="lower body_learning_rate"):
        classifier.fit(topics, setfit_train_kwargs={"body_learning_rate": 1e30})
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), proba)


def test_more_pairs_than_the_limit_are_reported(make, topics):
    with pytest.warns(UserWarning, match="24 of 72 pairs of 12 texts .* raise pairs_per_text"):
        make(pairs_per_text=2, trainer_kwargs={"num_iterations": None}).fit(topics)


@BOTH_HEADS
def test_weights_may_differ_by_any_factor(make, topics, use_differentiable_head):
    classifier = make(use_differentiable_head=use_differentiable_head)
    classifier.fit(topics, weights=np.array([1e-300, 1e300] * 6))
    assert np.isfinite(classifier.predict_proba(TEXTS)).all()


def test_low_precision_changes_results_little(make, topics):
    exact, rounded = (
        make(precision=precision).fit(topics).predict_proba(TEXTS) for precision in ("float32", "auto")
    )
    assert abs(exact - rounded).max() < 0.1


@BOTH_HEADS
def test_a_fitted_classifier_can_be_copied_and_pickled(make, topics, use_differentiable_head):
    classifier = make(use_differentiable_head=use_differentiable_head).fit(topics)
    for twin in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        np.testing.assert_array_equal(twin.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
        twin.refit_head(topics)


@pytest.mark.parametrize("architecture", ["roberta", "distilbert", "mpnet", "modernbert"])
def test_architectures_other_than_bert_work(make, topics, tmp_path, architecture):
    model = save_tiny_sentence_transformer(tmp_path / "model", architecture)
    classifier = make(model=model).fit(topics)
    texts = unseen_texts(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        alone = np.concatenate([classifier.predict_proba(texts[row]) for row in range(len(texts))])
        np.testing.assert_allclose(classifier.predict_proba(texts), alone, atol=1e-5)


@pytest.mark.parametrize("model", ["/nowhere/at/all", "./nowhere"])
def test_a_folder_that_is_not_there_is_refused(make, topics, model):
    with pytest.raises(InvalidInputError, match="where there is no folder"):
        make(model=model).fit(topics)


def test_a_folder_without_a_model_is_refused(make, topics, tmp_path):
    with pytest.raises(InvalidInputError, match="sentence_transformer_model"):
        make(model=tmp_path).fit(topics)


@pytest.mark.parametrize("damage", ["weights", "tokenizer", "modules", "configuration"])
def test_a_damaged_model_is_refused_with_the_reason(make, topics, tmp_path, damage):
    model = save_tiny_sentence_transformer(tmp_path / "model")
    file, content = {
        "weights": ("model.safetensors", b"\xff" * 40),
        "tokenizer": ("tokenizer.json", b"{}"),
        "modules": ("modules.json", b"[5]"),
        "configuration": ("config.json", b'{"model_type": "bert", "hidden_size": 7}'),
    }[damage]
    (model / file).write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"sentence_transformer_model: .*Error"):
        make(model=model).fit(topics)


def test_the_home_folder_may_be_abbreviated(make, topics, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_tiny_sentence_transformer(tmp_path / "model")
    classifier = make(model="~/model", trainer_kwargs={"num_epochs": 0}).fit(topics)
    assert classifier.setfit_model_args.sentence_transformer_model == str(tmp_path / "model")


def test_a_factory_creates_identical_unfitted_classifiers():
    factory = SetFitClassificationFactory("a-model", 3, {"multi_label": True, "seed": 4})
    classifier = factory.new()
    assert (classifier.num_classes, classifier.multi_label, classifier.seed) == (3, True, 4)
    assert classifier.model is None
    assert repr(factory) == "SetFitClassificationFactory('a-model', num_classes=3)"
