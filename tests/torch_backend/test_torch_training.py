"""The training loop, run by a classifier: early stopping, model selection, metrics, divergence."""

from __future__ import annotations

import copy
import logging
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from smalltext_core import TextDataset
from smalltext_torch import DivergedError, EarlyStopping, HistoryRecord, Metric, ModelSelection
from smalltext_torch.batching import validation_batches
from smalltext_torch.device import Precision, Randomness
from smalltext_torch.inference import Loss
from smalltext_torch.model_selection import BestWeights
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_multi_label_texts, some_texts

TEXTS = some_texts()


class StopsAfter:
    def __init__(self, checks: int) -> None:
        self.checks = checks
        self.seen: list[Any] = []

    def check_early_stop(self, epoch: int, measured_values: Any) -> bool:
        self.seen.append((epoch, dict(measured_values)))
        return len(self.seen) >= self.checks


class SpySelection(ModelSelection):
    def __init__(self) -> None:
        super().__init__()
        self.added: list[str] = []

    def add_model(self, model_id: str, *arguments: Any, **more: Any) -> str:
        self.added.append(model_id)
        return super().add_model(model_id, *arguments, **more)


def weights_of(classifier: BagOfEmbeddings) -> dict[str, torch.Tensor]:
    assert classifier.model is not None
    return {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_training_learns() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=15).fit(TEXTS)

    assert (classifier.predict(some_texts(90, seed=1)) == some_texts(90, seed=1).y).mean() > 0.8


def test_an_early_stopping_handler_is_called_after_every_epoch() -> None:
    handler = StopsAfter(3)

    BagOfEmbeddings(3).fit(TEXTS, early_stopping=handler)

    assert [epoch for epoch, _ in handler.seen] == [1, 2, 3]
    assert set(handler.seen[0][1]) == {"train_loss", "train_acc", "val_loss", "val_acc"}


def test_t07_a_stop_in_the_middle_of_an_epoch_ends_training() -> None:
    handler = StopsAfter(2)

    BagOfEmbeddings(3, validations_per_epoch=4).fit(TEXTS, early_stopping=handler)

    assert [epoch for epoch, _ in handler.seen] == [1, 1]


def test_one_handler_serves_two_trainings() -> None:
    handler = EarlyStopping(Metric("val_loss"), patience=0)
    classifier = BagOfEmbeddings(3, num_epochs=20)
    first = classifier.fit(TEXTS, early_stopping=handler).history_

    second = classifier.fit(TEXTS, early_stopping=handler).history_

    assert [record["val_loss"] for record in first] == [record["val_loss"] for record in second]


def test_none_switches_early_stopping_off() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=30, lr=1.0)

    assert len(classifier.fit(TEXTS, early_stopping="none").history_) == 30
    assert len(classifier.fit(TEXTS).history_) < 30


@pytest.mark.parametrize("times", [1, 2, 3, 5, 7])
def test_t06_an_epoch_has_the_requested_number_of_validations(times: int) -> None:
    for batches in range(times, 20):
        validated = validation_batches(batches, times)
        assert len(validated) == times
        assert max(validated) == batches


def test_more_validations_than_batches_are_one_a_batch_and_a_warning() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=1, mini_batch_size=30, validations_per_epoch=9)

    with pytest.warns(RuntimeWarning, match="validations_per_epoch=9"):
        classifier.fit(TEXTS)

    assert len(classifier.history_) == 2


def test_an_explicit_model_selection_handler_is_used() -> None:
    handler = SpySelection()

    BagOfEmbeddings(3, num_epochs=3).fit(TEXTS, model_selection=handler)

    assert handler.added == ["1-0", "2-0", "3-0"]


def test_one_model_selection_handler_serves_two_trainings() -> None:
    handler = SpySelection()
    classifier = BagOfEmbeddings(3, num_epochs=2)

    classifier.fit(TEXTS, model_selection=handler).fit(TEXTS, model_selection=handler)

    assert handler.added == ["1-0", "2-0"] * 2


def test_the_selected_weights_are_those_of_the_best_validation() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=20, lr=1.0)
    until_best = BagOfEmbeddings(3, num_epochs=5, lr=1.0)

    classifier.fit(TEXTS, early_stopping="none", model_selection=ChoosesEpoch(5))
    until_best.fit(TEXTS, early_stopping="none", model_selection="none")

    assert equal(weights_of(classifier), weights_of(until_best))


class ChoosesEpoch(ModelSelection):
    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def _rank(self, model: Any, names: Any) -> tuple[float, ...]:
        return (float(model.model_id != f"{self.epoch}-0"),)


def test_the_model_that_reached_the_threshold_can_be_selected() -> None:
    handler = EarlyStopping(Metric("train_acc", lower_is_better=False), patience=-1, threshold=0.7)
    classifier = BagOfEmbeddings(3, num_epochs=50).fit(TEXTS, early_stopping=handler)

    last = classifier.history_[-1]
    assert last["train_acc"] > 0.7
    assert last["best"]


def test_history_has_a_record_of_every_validation() -> None:
    history = BagOfEmbeddings(3, num_epochs=3, validations_per_epoch=2).fit(TEXTS).history_

    assert [record["epoch"] for record in history] == [1, 1, 2, 2, 3, 3]
    assert all(type(record) is dict and set(record) == set(HistoryRecord.__annotations__) for record in history)
    assert [record["step"] for record in history] == [4, 7, 11, 14, 18, 21]
    assert history[0]["seconds"] <= history[-1]["seconds"]


def test_one_record_is_marked_best() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=20, lr=1.0).fit(TEXTS, validation_set=TEXTS, early_stopping="none")

    best = [record for record in classifier.history_ if record["best"]]

    assert len(best) == 1
    assert best[0]["val_loss"] == min(record["val_loss"] for record in classifier.history_)
    assert classifier.validate(TEXTS) == (best[0]["val_loss"], best[0]["val_acc"])


def test_callbacks_receive_every_record() -> None:
    told: list[HistoryRecord] = []

    classifier = BagOfEmbeddings(3, num_epochs=3).fit(TEXTS, callbacks=[told.append])

    assert [record["val_loss"] for record in told] == [record["val_loss"] for record in classifier.history_]


def test_a_callback_that_raises_keeps_the_previous_model() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)
    before = classifier.predict_proba(TEXTS)

    with pytest.raises(RuntimeError, match="enough"):
        classifier.fit(some_texts(seed=5), callbacks=[Raises()])

    assert (classifier.predict_proba(TEXTS) == before).all()


class Raises:
    def __call__(self, record: HistoryRecord) -> None:
        raise RuntimeError("enough")


class Explodes(BagOfEmbeddings):
    def forward(self, network: nn.Module, batch: Any) -> torch.Tensor:
        return super().forward(network, batch) * math.nan


@pytest.mark.parametrize("texts", [TEXTS, some_texts(3)], ids=["with-validation", "without"])
def test_a_nan_loss_ends_training_and_keeps_the_previous_model(texts: TextDataset) -> None:
    classifier = Explodes(3)
    classifier._state = BagOfEmbeddings(3).fit(TEXTS)._state
    before = weights_of(classifier)

    with pytest.raises(DivergedError, match=r"loss.*not a finite number"):
        classifier.fit(texts)

    assert equal(weights_of(classifier), before)


def test_weights_that_are_not_finite_are_never_kept() -> None:
    """The last step makes the weights invalid, and there is no validation set."""

    def spoiling(network: nn.Module) -> torch.optim.Optimizer:
        return Spoils(network.parameters())

    with pytest.raises(DivergedError, match="weight"):
        BagOfEmbeddings(3, num_epochs=1).fit(some_texts(3), optimizer=spoiling)


class Spoils(torch.optim.SGD):
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(math.nan)


def test_t12_the_best_weights_are_one_copy_in_memory() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    best = BestWeights(network, torch.optim.SGD(network.parameters(), lr=0.1))
    best.keep()
    addresses = [tensor.data_ptr() for tensor in best._kept]

    best.keep()

    assert [tensor.data_ptr() for tensor in best._kept] == addresses
    assert len(addresses) == len(network.state_dict())


def test_t12_without_selection_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BestWeights, "keep", lambda _: pytest.fail("weights were copied"))

    BagOfEmbeddings(3, num_epochs=2).fit(TEXTS, model_selection="none")


@pytest.mark.parametrize("selection", [None, "none"])
def test_nothing_is_written_to_disk(selection: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(torch, "save", lambda *_, **__: pytest.fail("something was saved"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    BagOfEmbeddings(3, num_epochs=2).fit(TEXTS, model_selection=selection)

    assert list(tmp_path.iterdir()) == []


def test_restored_weights_include_parameters_that_were_frozen_later() -> None:
    network = nn.Linear(2, 2)
    best = BestWeights(network, torch.optim.SGD(network.parameters(), lr=0.1))
    before = copy.deepcopy(network.state_dict())
    best.keep()

    with torch.no_grad():
        network.weight.requires_grad_(False).add_(1)
    best.restore()

    assert equal(network.state_dict(), before)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_loss_is_a_mean_over_texts_for_every_batch_size(multi_label: bool) -> None:
    texts = some_multi_label_texts() if multi_label else TEXTS
    classifier = BagOfEmbeddings(3, multi_label).fit(texts)
    losses = set()

    for size in (1, 10, 100):
        classifier.mini_batch_size = size
        losses.add(classifier.validate(texts)[0])

    proba = classifier.predict_proba(texts).astype(float)
    if multi_label:
        y = texts.y.toarray()
        expected = -np.log(np.where(y, proba, 1 - proba)).mean()
    else:
        expected = -np.log(proba[np.arange(len(proba)), texts.y]).mean()
    assert len(losses) == 1
    assert losses.pop() == pytest.approx(expected, rel=1e-5)


def test_the_training_loss_is_a_mean_over_texts_too() -> None:
    """With a tiny learning rate, it is the same for all batch sizes."""
    classifiers = [Still(3, num_epochs=1, lr=1e-12, mini_batch_size=size) for size in (1, 7, 54)]

    losses = [classifier.fit(TEXTS).history_[0]["train_loss"] for classifier in classifiers]

    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


class Still(BagOfEmbeddings):
    def make_network(self, encoder: Any) -> nn.Module:
        network = super().make_network(encoder)
        network.dropout = nn.Identity()
        return network


@pytest.mark.parametrize("multi_label", [False, True])
def test_accuracy_is_the_share_that_is_right(multi_label: bool) -> None:
    texts = some_multi_label_texts() if multi_label else TEXTS
    classifier = BagOfEmbeddings(3, multi_label).fit(texts)

    wrong = classifier.predict(texts) != texts.y
    share = wrong.toarray().mean() if multi_label else wrong.mean()

    assert classifier.validate(texts)[1] == pytest.approx(1 - share)


def test_gradients_are_clipped() -> None:
    norms: list[float] = []

    class Watches(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))

    BagOfEmbeddings(3, num_epochs=1, max_gradient_norm=1e-3).fit(
        TEXTS, optimizer=lambda network: Watches(network.parameters())
    )

    assert norms
    assert max(norms) <= 1e-3 * 1.001


def test_mixed_precision_is_used_on_devices_that_are_faster_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smalltext_torch.device._cpu_multiplies_bfloat16", lambda: True)
    dtypes = set()

    class Watches(BagOfEmbeddings):
        def forward(self, network: nn.Module, batch: Any) -> torch.Tensor:
            logits = super().forward(network, batch)
            dtypes.add(logits.dtype)
            return logits

    proba = Watches(3, device="cpu", precision="auto").fit(TEXTS).predict_proba(TEXTS)

    assert dtypes == {torch.bfloat16}
    assert proba.dtype == np.float32


def test_float32_is_the_default_precision() -> None:
    assert Precision.of(torch.device("cpu"), mixed=False).dtype is None


def test_verbosity_is_that_of_the_classifier(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told = {}
    classifiers = {
        level: BagOfEmbeddings(3, num_epochs=2, verbosity=level) for level in (0, np.int64(10), 20, 100)
    }

    for level, classifier in classifiers.items():
        caplog.clear()
        classifier.fit(TEXTS)
        told[level] = [record.getMessage().partition(" ")[0] for record in caplog.records]

    assert told == {
        0: [],
        10: ["training"],
        20: ["training", "epoch", "epoch"],
        100: ["training", "epoch", "epoch"],
    }


def test_an_existing_logger_is_not_affected() -> None:
    logging.getLogger(BagOfEmbeddings.__module__).setLevel(logging.INFO)
    before = logging.getLoggerClass()
    try:
        BagOfEmbeddings(3, num_epochs=1).fit(TEXTS)
    finally:
        logging.getLogger(BagOfEmbeddings.__module__).setLevel(logging.NOTSET)

    assert logging.getLoggerClass() is before


def test_training_causes_no_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BagOfEmbeddings(3, num_epochs=2).fit(TEXTS)


def test_randomness_of_the_parts_does_not_depend_on_one_another() -> None:
    one, other = (Randomness(1, torch.device("cpu")) for _ in range(2))
    one.split.random(100)

    assert one.order.random() == other.order.random()


def test_weights_of_texts_count_in_the_loss() -> None:
    loss = Loss(multi_label=False)

    assert loss.text_weights(np.array([0, 1]), np.array([1.0, 3.0])).tolist() == [0.5, 1.5]


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2.0, len(TEXTS))])
def test_a_batch_in_parts_takes_the_step_of_the_whole_batch(monkeypatch, weights) -> None:
    def trained(budget: int) -> tuple[dict[str, torch.Tensor], int]:
        passes: list[int] = []
        monkeypatch.setattr(BagOfEmbeddings, "training_tokens", budget)

        class Counting(BagOfEmbeddings):
            def make_network(self, encoder: Any) -> nn.Module:
                network = super().make_network(encoder)
                network.dropout.p = 0.0
                return network

            def forward(self, network: nn.Module, batch: Any) -> torch.Tensor:
                passes.extend([batch.tokens.numel()] * network.training)
                return super().forward(network, batch)

        classifier = Counting(3, num_epochs=3).fit(TEXTS, weights=weights, early_stopping="none")
        assert max(passes) <= max(budget, 12)
        return weights_of(classifier), len(passes)

    whole, passes = trained(10_000)
    parts, more_passes = trained(20)

    assert more_passes > passes
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-4, atol=1e-5)
