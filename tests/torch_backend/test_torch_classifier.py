from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from smalltext_core import TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError, NotFittedError, PluginError
from smalltext_torch.inference import Loss
from smalltext_torch.training import Trainer
from smalltext_torch.training_set import Examples
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_multi_label_texts, some_texts

TEXTS = some_texts()


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the arguments of training: training texts, validation texts, and the loss."""
    given: list[Any] = []
    run = Trainer.fit_loop

    def watched(self: Trainer[Any], examples: Examples, validation: Examples | None) -> Any:
        given.append((examples, validation, self.loss))
        return run(self, examples, validation)

    monkeypatch.setattr(Trainer, "fit_loop", watched)
    return given


def rows_of(examples: Examples) -> list[tuple[int, ...]]:
    return [tuple(examples.texts[row].tolist()) for row in range(len(examples))]


def test_weights_are_split_along_with_the_texts(caught: list[Any]) -> None:
    """Each text is one unique word, and its weight is its position."""
    texts = TextDataset([f"word{row:02d}" for row in range(20)], np.arange(20) % 2)

    BagOfEmbeddings(2, validation_set_size=0.2).fit(texts, weights=np.arange(1, 21))

    for examples in caught[0][:2]:
        places = np.array([tokens[0] - 1 for tokens in rows_of(examples)])
        np.testing.assert_allclose(examples.weights * places.mean(), places, rtol=1e-6)


def test_an_explicit_validation_set_is_used_unchanged(caught: list[Any]) -> None:
    BagOfEmbeddings(3).fit(TEXTS, validation_set=some_texts(9, seed=3), weights=np.arange(60) + 1)

    examples, validation, _ = caught[0]
    assert (len(examples), len(validation)) == (60, 9)
    assert validation.weights is None


def test_the_split_is_stratified(caught: list[Any]) -> None:
    y = np.array([0] * 45 + [1] * 10 + [2] * 5)
    texts = TextDataset(TEXTS.x, y)

    BagOfEmbeddings(3, validation_set_size=0.2).fit(texts)

    assert np.bincount(caught[0][1].y).tolist() == [9, 2, 1]


def test_the_same_seed_gives_the_same_split(caught: list[Any]) -> None:
    for seed in (1, 1, 2):
        BagOfEmbeddings(3, seed=seed).fit(TEXTS)

    one, other, third = (rows_of(validation) for _, validation, _ in caught)
    assert one == other != third


def test_a_single_text_can_be_trained_on() -> None:
    proba = BagOfEmbeddings(3).fit(TextDataset(["one"], [2])).predict_proba(TextDataset(["one", "two"]))

    assert np.isfinite(proba).all()
    assert proba[0].argmax() == 2


def test_with_one_text_per_class_nothing_is_held_out(caught: list[Any]) -> None:
    BagOfEmbeddings(3).fit(some_texts(3))

    examples, validation, _ = caught[0]
    assert len(examples) == 3
    assert validation is None


@pytest.mark.parametrize("multi_label", [False, True])
def test_balanced_weights_of_a_single_class_are_finite(multi_label: bool) -> None:
    y: Any = list_to_csr([[0]] * 12, 3) if multi_label else [0] * 12
    classifier = BagOfEmbeddings(3, multi_label, class_weight="balanced").fit(TextDataset(TEXTS.x[:12], y))

    assert np.isfinite(classifier.predict_proba(TEXTS)).all()


def test_balanced_weights_favour_the_rare_and_leave_out_the_missing(caught: list[Any]) -> None:
    y = np.array([0] * 8 + [1] * 4)

    BagOfEmbeddings(3, class_weight="balanced").fit(TextDataset(TEXTS.x[:12], y), validation_set=TEXTS)

    loss: Loss = caught[0][2]
    assert loss.class_weights is not None
    assert loss.class_weights.tolist() == [0.75, 1.5, 1.0]


def test_class_weights_affect_training() -> None:
    texts = TextDataset(["same"] * 20, [0] * 15 + [1] * 5)
    classifiers = [
        BagOfEmbeddings(2, class_weight=weight, num_epochs=20) for weight in (None, "balanced", {1: 9.0})
    ]

    proba = [classifier.fit(texts, texts).predict_proba(texts[:1])[0, 1] for classifier in classifiers]

    assert proba == pytest.approx([0.25, 0.5, 0.75], abs=0.05)


def test_label_weights_affect_training() -> None:
    texts = TextDataset(["same"] * 20, list_to_csr([[0]] * 5 + [[]] * 15, 1))
    classifiers = [BagOfEmbeddings(1, True, class_weight=weight, num_epochs=20) for weight in (None, "balanced")]

    proba = [classifier.fit(texts, texts).predict_proba(texts[:1])[0, 0] for classifier in classifiers]

    assert proba == pytest.approx([0.25, 0.5], abs=0.05)


@pytest.mark.parametrize("size", [1, 20])
def test_text_weights_count_for_every_batch_size(size: int) -> None:
    texts = TextDataset(["same"] * 20, [0, 1] * 10)
    classifier = BagOfEmbeddings(2, mini_batch_size=size, num_epochs=60, lr=0.01)

    proba = classifier.fit(texts, texts, weights=[9.0, 1.0] * 10, model_selection="none").predict_proba(texts[:1])

    assert proba[0, 0] == pytest.approx(0.9, abs=0.06)


def test_the_scale_of_weights_does_not_matter() -> None:
    weights = np.arange(60) + 1.0
    one, other = (BagOfEmbeddings(3).fit(TEXTS, weights=scale * weights) for scale in (1, 1024))

    assert (one.predict_proba(TEXTS) == other.predict_proba(TEXTS)).all()


def test_multi_label_with_two_classes() -> None:
    texts = TextDataset(TEXTS.x, list_to_csr([[row % 2] for row in range(60)], 2))

    labels, proba = BagOfEmbeddings(2, True).fit(texts).predict(texts, return_proba=True)

    assert ((proba > 0.5) == labels.toarray().astype(bool)).all()


def test_the_threshold_decides_which_labels_apply() -> None:
    texts = some_multi_label_texts()
    classifier = BagOfEmbeddings(3, True, multi_label_threshold=0.3).fit(texts)

    labels, proba = classifier.predict(texts, return_proba=True)

    assert ((proba > 0.3) == labels.toarray().astype(bool)).all()


def test_validating_with_no_texts_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="validation_set"):
        BagOfEmbeddings(3).fit(TEXTS).validate(TextDataset([], []))


def test_training_with_an_empty_validation_set_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="validation_set"):
        BagOfEmbeddings(3).fit(TEXTS, validation_set=TextDataset([], []))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "validate", "save"])
def test_methods_that_need_a_model_raise_not_fitted(method: str) -> None:
    with pytest.raises(NotFittedError, match="BagOfEmbeddings is not fitted"):
        getattr(BagOfEmbeddings(3), method)(TEXTS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"early_stopping": "never"}, "early_stopping"),
        ({"early_stopping": 5}, "early_stopping"),
        ({"model_selection": "best"}, "model_selection"),
        ({"model_selection": True}, "model_selection"),
        ({"validation_set": np.ones(60)}, "validation_set"),
        ({"validation_set": some_multi_label_texts()}, "validation_set"),
        ({"callbacks": 5}, "callbacks"),
        ({"callbacks": np.array(5)}, "callbacks"),
    ],
)
def test_invalid_arguments_of_fit_are_refused_before_any_work(
    arguments: dict[str, Any], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BagOfEmbeddings, "make_network", lambda *_: pytest.fail("a network was built"))

    with pytest.raises(InvalidInputError, match=named):
        BagOfEmbeddings(3).fit(TEXTS, **arguments)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("num_classes", 1),
        ("num_epochs", 0),
        ("lr", 0),
        ("lr", float("nan")),
        ("mini_batch_size", 2.5),
        ("validation_set_size", "none"),
        ("min_steps", -1),
        ("min_steps", "all"),
        ("calibration", "isotonic"),
        ("multi_label_threshold", "best"),
        ("multi_label_threshold", (0.5, 0.5)),
        ("validation_set_size", -0.5),
        ("validation_set_size", 1),
        ("validations_per_epoch", 0),
        ("early_stopping_no_improvement", "5"),
        ("early_stopping_acc", 1.5),
        ("class_weight", "unbalanced"),
        ("class_weight", {5: 1.0}),
        ("verbosity", "loud"),
        ("seed", -1),
        ("multi_label_threshold", 1.0),
        ("max_gradient_norm", 0),
        ("max_gradient_norm", 10**400),
        ("lr", 10**400),
        ("lr", np.complex64(1)),
        ("num_epochs", np.timedelta64(2, "s")),
        ("multi_label", "no"),
        ("warm_start", "no"),
    ],
)
def test_invalid_parameters_are_refused(parameter: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=parameter):
        BagOfEmbeddings(**{"num_classes": 3, parameter: value})


@pytest.mark.parametrize(
    ("parameter", "value"), [("early_stopping_no_improvement", 3), ("early_stopping_acc", 0.9)]
)
def test_deprecated_parameters_warn_and_name_the_replacement(parameter: str, value: float) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{parameter} is deprecated; use fit\(early_stopping=\.\.\.\)"):
        BagOfEmbeddings(3, **{parameter: value})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_deprecated_early_stopping_works() -> None:
    by_accuracy = BagOfEmbeddings(3, num_epochs=50, early_stopping_acc=0.8).fit(TEXTS).history_
    never = BagOfEmbeddings(3, num_epochs=50, lr=1.0, early_stopping_no_improvement=0).fit(TEXTS).history_

    assert by_accuracy[-1]["train_acc"] > 0.8 > by_accuracy[0]["train_acc"]
    assert len(by_accuracy) < 50
    assert len(never) == 50


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numpy_numbers_are_accepted_for_early_stopping() -> None:
    classifier = BagOfEmbeddings(
        3, early_stopping_no_improvement=np.int64(3), early_stopping_acc=np.float32(0.5), num_epochs=50
    )

    assert len(classifier.fit(TEXTS).history_) < 50


@pytest.mark.filterwarnings("ignore:validations_per_epoch=:RuntimeWarning")
def test_patience_counts_epochs_however_often_an_epoch_is_validated() -> None:
    def epochs(validations_per_epoch: int) -> int:
        classifier = BagOfEmbeddings(
            3, num_epochs=60, lr=1e-9, mini_batch_size=30, validations_per_epoch=validations_per_epoch
        )
        return classifier.fit(TEXTS).history_[-1]["epoch"]

    assert epochs(validations_per_epoch=9) == epochs(validations_per_epoch=2) < 60


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_arguments_of_fit_take_precedence_over_the_constructor_with_a_warning() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=8, early_stopping_acc=0.01)

    with pytest.warns(UserWarning, match="early_stopping_acc: fit\\(\\) decides"):
        classifier.fit(TEXTS, early_stopping="none")

    assert len(classifier.history_) == 8


def test_fit_starts_from_scratch_without_warm_start() -> None:
    cold, warm = BagOfEmbeddings(3), BagOfEmbeddings(3, warm_start=True)

    first, second = (cold.fit(TEXTS).history_[0]["train_loss"] for _ in range(2))
    begin, later = (warm.fit(TEXTS).history_[0]["train_loss"] for _ in range(2))

    assert first == second == begin > later


def test_a_failed_warm_start_keeps_the_previous_model() -> None:
    classifier = BagOfEmbeddings(3, warm_start=True).fit(TEXTS)
    before = classifier.predict_proba(TEXTS)

    with pytest.raises(ZeroDivisionError):
        classifier.fit(TEXTS, callbacks=[lambda _: 1 / 0])

    assert (classifier.predict_proba(TEXTS) == before).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_and_pickles_predict_the_same(copied: Any) -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)

    again = copied(classifier)

    assert (again.predict_proba(TEXTS) == classifier.predict_proba(TEXTS)).all()
    assert again.history_ == classifier.history_


def test_a_deep_copy_is_trained_without_changing_the_original() -> None:
    classifier = BagOfEmbeddings(3, warm_start=True).fit(TEXTS)
    before = classifier.predict_proba(TEXTS)

    copy.deepcopy(classifier).fit(some_texts(seed=5))

    assert (classifier.predict_proba(TEXTS) == before).all()


def test_a_classifier_for_a_missing_device_can_be_loaded() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)
    classifier.device = "cuda:99"

    again = pickle.loads(pickle.dumps(classifier))

    assert (again.predict_proba(TEXTS) == classifier.predict_proba(TEXTS)).all()


def test_a_warm_start_keeps_the_names_of_classes_that_it_is_not_given(tmp_path: Any) -> None:
    all_named = TextDataset(TEXTS.x, TEXTS.y, label_names=["a", "b", "c"])
    first_two = all_named[TEXTS.y < 2]
    two_named = TextDataset(first_two.x, first_two.y, label_names=["a", "b"])
    warm, cold = (BagOfEmbeddings(3, warm_start=start).fit(all_named).fit(two_named) for start in (True, False))

    assert warm.label_names_ == all_named.label_names
    warm.save(tmp_path / "model")
    assert BagOfEmbeddings.load(tmp_path / "model").label_names_ == all_named.label_names
    assert cold.label_names_ == two_named.label_names


def test_label_names_are_kept() -> None:
    texts = TextDataset(TEXTS.x, TEXTS.y, label_names=["a", "b", "c"])

    names = BagOfEmbeddings(3).fit(texts).label_names_

    assert names is not None
    assert names.names == ("a", "b", "c")


def test_previous_networks_are_freed() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)
    assert classifier.model is not None
    former = weakref.ref(classifier.model)

    classifier.fit(TEXTS)
    gc.collect()

    assert former() is None


def test_a_handler_that_counts_as_false_is_used_like_any_other() -> None:
    class Calls(list[int]):
        def check_early_stop(self, epoch: int, measured_values: Any) -> bool:
            self.append(epoch)
            return epoch == 2

    handler = Calls()
    BagOfEmbeddings(3, num_epochs=4).fit(TEXTS, early_stopping=handler)

    assert handler == [1, 2]


def test_predictions_keep_no_graph() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)
    assert classifier.model is not None
    inference = []
    classifier.model.linear.register_forward_hook(lambda *_: inference.append(torch.is_inference_mode_enabled()))

    classifier.predict(TEXTS)
    classifier.predict_proba(TEXTS, dropout_sampling=2)
    classifier.validate(TEXTS)

    assert set(inference) == {True}


def scheduler_of_its_own() -> StepLR:
    return StepLR(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1), 1)


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("encode", lambda _: [[1, 2]] * 60, r"\[\[1, 2\].*; .* Ragged"),
        ("encode", lambda texts: texts.take(range(59)), r"59 sequences for 60 texts"),
        ("make_network", lambda _: None, r"None; .* Module"),
        ("precision_for", lambda _: "bfloat16", r"'bfloat16'; .* Precision"),
        ("training_texts", lambda texts: texts.take(range(3)), r"3 sequences for 60 texts"),
        ("training_texts", lambda _: [[1, 2]] * 60, r"\[\[1, 2\].*; .* Ragged"),
        ("get_input_embeddings", lambda _: torch.zeros(2, 3), r"tensor.*; .* Embedding"),
        ("configure_optimizer", lambda _: None, r"None; .* Optimizer"),
        ("configure_scheduler", lambda _: 5, r"5; .* Scheduler"),
        ("configure_scheduler", lambda _: scheduler_of_its_own(), "a scheduler of another optimizer"),
        ("padding", lambda _: None, r"None; .* int"),
        ("default_early_stopping", lambda _: "none", r"'none'; .* EarlyStoppingHandler"),
        ("default_early_stopping", lambda _: None, r"None; .* EarlyStoppingHandler"),
        ("default_model_selection", lambda _: 5, r"5; .* ModelSelectionHandler"),
        ("forward", lambda logits: (logits, None), r"\(tensor.*; .* Tensor"),
        ("forward", lambda logits: logits[:, :2], r"logits of shape \(\d+, 2\);.* \(\d+, 3\)"),
        ("forward", lambda logits: logits.repeat(1, 2), r"logits of shape \(\d+, 6\);.* \(\d+, 3\)"),
        ("forward", lambda logits: logits[0], r"logits of shape \(3,\);.* \(\d+, 3\)"),
    ],
)
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_backend_whose_method_returns_something_else_is_told_so(
    method: str, wrong: Any, message: str, multi_label: bool
) -> None:
    inherited = getattr(BagOfEmbeddings, method)
    broken = type("Broken", (BagOfEmbeddings,), {method: lambda *given: wrong(inherited(*given))})
    train_set = some_multi_label_texts() if multi_label else TEXTS
    classifier = broken(num_classes=3, multi_label=multi_label, validation_set_size=0)
    with pytest.raises(PluginError, match=rf"^Broken.{method}\(\) returned {message}"):
        classifier.fit(train_set)
    assert classifier.model is None


def test_a_backend_without_a_way_to_predict_is_told_so() -> None:
    class Silent(BagOfEmbeddings):
        def inference_strategy(self, state: Any, data_set: Any) -> Any:
            return None

    with pytest.raises(PluginError, match=r"^Silent.inference_strategy\(\) returned None; .* InferenceStrategy"):
        Silent(num_classes=3).fit(TEXTS).predict(TEXTS)


def test_a_backend_that_leaves_out_texts_in_prediction_is_told_so() -> None:
    class Forgetful(BagOfEmbeddings):
        def encode(self, encoder: Any, data_set: Any) -> Any:
            return super().encode(encoder, data_set[[bool(text) for text in data_set.x]])

    classifier = Forgetful(num_classes=3).fit(TEXTS)
    for predict in (classifier.predict_proba, classifier.validate):
        with pytest.raises(PluginError, match=r"^Forgetful.encode\(\) returned 1 sequences for 2 texts"):
            predict(TextDataset(["own1", ""], [1, 0]))
