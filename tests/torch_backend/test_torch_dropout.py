from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_torch import Batch, Ragged
from smalltext_torch.device import Precision, TorchRandomness, with_dropout
from smalltext_torch.inference import BatchInference
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_multi_label_texts, some_texts

CPU = torch.device("cpu")
TEXTS = some_texts()


class Attention(nn.Module):
    """Attention with functional dropout: there is no dropout module."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        attended = functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5 if self.training else 0.0)
        return attended.mean(dim=1)


class Channels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 4)
        self.dropout = nn.Dropout1d(0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        dropped: torch.Tensor = self.dropout(self.embedding(tokens).transpose(1, 2))
        return dropped.mean(dim=2)


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        dropped: torch.Tensor = self.dropout(self.norm(self.embedding(tokens).mean(dim=1)))
        return dropped


def samples(network: nn.Module, count: int = 5, texts: int = 6) -> Any:
    scoring = BatchInference(Ragged.from_sequences([[row + 1, 7, 8] for row in range(texts)]), Precision(CPU))
    sampled = with_dropout(network)
    return scoring.sample(lambda batch: sampled(batch.tokens), count, 4, TorchRandomness(1, CPU))


@pytest.mark.parametrize("network", [Attention, Channels, Normalised], ids=lambda network: network.__name__)
def test_dropout_of_every_kind_is_sampled(network: Callable[[], nn.Module]) -> None:
    drawn = samples(network().eval())

    assert drawn.std(axis=1).max(axis=1).all()


def test_every_text_has_its_own_masks() -> None:
    """The same text twice in one batch has different samples."""
    network = Channels().eval()
    texts = Ragged.from_sequences([[1, 2, 3], [1, 2, 3]])
    sampled = with_dropout(network)

    drawn = BatchInference(texts, Precision(CPU)).sample(
        lambda batch: sampled(batch.tokens), 30, 4, TorchRandomness(1, CPU)
    )

    assert (drawn[0] != drawn[1]).any()


def test_the_network_is_unchanged_even_if_sampling_fails() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)
    assert classifier.model is not None
    broken = classifier.model.linear
    classifier.model.linear = Fails()

    with pytest.raises(RuntimeError, match="half-way"):
        classifier.predict_proba(TEXTS, dropout_sampling=3)
    classifier.model.linear = broken

    assert not any(module.training for module in classifier.model.modules())


class Fails(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("half-way")


def test_sampling_shares_the_weights_and_does_not_touch_the_network() -> None:
    network = Normalised().eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    samples(network)

    shared = zip(with_dropout(network).parameters(), network.parameters(), strict=True)
    assert all(one is other for one, other in shared)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize("multi_label", [False, True])
def test_samples_are_probabilities(multi_label: bool) -> None:
    texts = some_multi_label_texts() if multi_label else TEXTS
    proba = BagOfEmbeddings(3, multi_label).fit(texts).predict_proba(texts, dropout_sampling=4)

    assert proba.shape == (60, 4, 3)
    assert proba.dtype == np.float32
    assert ((proba >= 0) & (proba <= 1)).all()
    if not multi_label:
        np.testing.assert_allclose(proba.sum(axis=-1), 1, atol=1e-6)


def test_samples_vary_around_the_probabilities() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)

    drawn = classifier.predict_proba(TEXTS, dropout_sampling=300)

    assert drawn.std(axis=1).mean() > 0.005
    np.testing.assert_allclose(drawn.mean(axis=1), classifier.predict_proba(TEXTS), atol=0.1)


def test_equal_samples_cause_a_warning() -> None:
    classifier = BagOfEmbeddings(3, dropout=0.0).fit(TEXTS)

    with pytest.warns(UserWarning, match="all 4 samples of dropout_sampling are the same"):
        classifier.predict_proba(TEXTS, dropout_sampling=4)


def test_one_sample_means_no_sampling() -> None:
    classifier = BagOfEmbeddings(3).fit(TEXTS)

    assert (classifier.predict_proba(TEXTS, dropout_sampling=1) == classifier.predict_proba(TEXTS)).all()


def test_with_a_seed_the_same_samples_are_drawn_every_time() -> None:
    classifier = BagOfEmbeddings(3, seed=7).fit(TEXTS)

    one, other = (classifier.predict_proba(TEXTS, dropout_sampling=3) for _ in range(2))

    assert (one == other).all()


def test_without_a_seed_others_are_drawn() -> None:
    classifier = BagOfEmbeddings(3, seed=None).fit(TEXTS)

    one, other = (classifier.predict_proba(TEXTS, dropout_sampling=3) for _ in range(2))

    assert (one != other).any()


def test_no_texts_have_no_samples() -> None:
    assert BagOfEmbeddings(3).fit(TEXTS).predict_proba(TextDataset([]), dropout_sampling=4).shape == (0, 4, 3)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3"])
def test_an_invalid_number_of_samples_is_refused(count: Any) -> None:
    with pytest.raises(InvalidInputError, match="dropout_sampling"):
        BagOfEmbeddings(3).fit(TEXTS).predict_proba(TEXTS, dropout_sampling=count)


def test_never_more_than_a_batch_of_repeats_is_computed_at_once() -> None:
    sizes: list[int] = []

    def forward(batch: Batch) -> torch.Tensor:
        sizes.append(batch.tokens.numel())
        return torch.zeros(len(batch), 2)

    texts = Ragged.from_sequences([range(100)] * 40)
    BatchInference(texts, Precision(CPU)).sample(forward, 50, 2, TorchRandomness(1, CPU))

    assert max(sizes) <= 1024
    assert sum(sizes) == 100 * 40 * 50


def test_a_few_texts_are_repeated_in_one_pass() -> None:
    passes: list[int] = []

    def forward(batch: Batch) -> torch.Tensor:
        passes.append(len(batch))
        return torch.zeros(len(batch), 2)

    BatchInference(Ragged.from_sequences([[1, 2, 3]]), Precision(CPU)).sample(
        forward, 20, 2, TorchRandomness(1, CPU)
    )

    assert passes == [20]
