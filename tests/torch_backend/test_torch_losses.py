from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from smalltext_core import list_to_csr
from smalltext_torch.inference import Loss

CPU = torch.device("cpu")
LOGITS = torch.tensor([[2.0, -1.0], [0.5, 0.5], [-3.0, 1.0]])


def test_two_classes_are_trained_with_cross_entropy() -> None:
    loss, y = Loss(multi_label=False), np.array([0, 1, 1])

    losses = loss.per_text(LOGITS, loss.targets(y, CPU))

    chosen = loss.probabilities(LOGITS)[torch.arange(3), torch.from_numpy(y)]
    torch.testing.assert_close(losses, -chosen.log())


def test_labels_are_trained_with_binary_cross_entropy_each() -> None:
    loss, y = Loss(multi_label=True), list_to_csr([[0], [0, 1], []], 2)

    losses = loss.per_text(LOGITS, loss.targets(y, CPU))

    proba, targets = loss.probabilities(LOGITS), torch.from_numpy(y.toarray()).float()
    expected = functional.binary_cross_entropy(proba, targets, reduction="none").mean(dim=1)
    torch.testing.assert_close(losses, expected)


def test_class_weights_of_labels_weigh_the_positive_texts() -> None:
    y = list_to_csr([[0], [0, 1], []], 2)
    plain, weighted = Loss(multi_label=True), Loss(multi_label=True, class_weights=np.array([3.0, 1.0]))

    one, other = (loss.per_text(LOGITS, loss.targets(y, CPU)) for loss in (plain, weighted))

    positive = functional.softplus(-LOGITS[:, 0]) * torch.tensor([1.0, 1.0, 0.0])
    torch.testing.assert_close(other - one, 2 * positive / 2)


def test_class_weights_multiply_the_weights_of_texts() -> None:
    loss = Loss(multi_label=False, class_weights=np.array([1.0, 3.0]))

    weights = loss.text_weights(np.array([0, 1, 1]), np.array([2.0, 1.0, 1.0]))

    assert weights is not None
    np.testing.assert_allclose(weights, np.array([2, 3, 3]) * 3 / 8, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_the_scale_of_weights_does_not_matter(scale: float) -> None:
    weights = Loss(multi_label=False).text_weights(np.array([0, 1, 1]), scale * np.array([1.0, 2.0, 3.0]))

    assert weights is not None
    np.testing.assert_allclose(weights, [0.5, 1.0, 1.5], rtol=1e-6)


def test_without_weights_there_are_no_text_weights() -> None:
    assert Loss(multi_label=False).text_weights(np.array([0, 1])) is None


def test_hits_are_the_share_of_labels_that_are_right() -> None:
    loss, y = Loss(multi_label=True), list_to_csr([[0], [0], [0]], 2)

    assert loss.accuracies(LOGITS, loss.targets(y, CPU)).tolist() == [1.0, 0.5, 0.0]


def test_probabilities_are_float32_for_every_precision_of_the_network() -> None:
    assert Loss(multi_label=False).probabilities(LOGITS.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize("multi_label", [False, True])
def test_logits_of_probabilities_mean_these_probabilities(multi_label: bool) -> None:
    loss = Loss(multi_label)
    proba = torch.cat([loss.probabilities(LOGITS), torch.tensor([[0.0, 1.0]])])

    logits = loss.logits(proba)

    assert logits.isfinite().all()
    torch.testing.assert_close(loss.probabilities(logits), proba)
