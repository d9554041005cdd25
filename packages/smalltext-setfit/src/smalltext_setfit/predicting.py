"""What a fitted network says of texts, each of which it is given once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from smalltext_core.probabilities import Probabilities
from smalltext_setfit.fitted import Fitted
from smalltext_setfit.text_encoder import DistinctTexts
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.device import Precision
from smalltext_torch.inference import BatchInference, with_dropout
from smalltext_torch.randomness import TorchRandomness


def probabilities(
    fitted: Fitted, texts: DistinctTexts, precision: Precision, description: str | None
) -> Probabilities:
    """Return the probability of each class for each text, under a progress bar of this description, if any."""
    found = _scoring(fitted, texts.tokens, precision, description).compute(
        fitted.network,
        lambda batch: fitted.loss.probabilities(fitted.network(batch)[1]),
        fitted.network.head.out_features,
    )
    return found[texts.of_row]


def sampled_probabilities(
    fitted: Fitted, texts: DistinctTexts, precision: Precision, samples: int, randomness: TorchRandomness
) -> NDArray[np.float32]:
    """Return samples of each text, shape (n, samples, num_classes), each with a dropout mask of its own."""
    network = with_dropout(fitted.network)
    return _scoring(fitted, texts.tokens.take(texts.of_row), precision, "predict").sample(
        lambda batch: fitted.loss.probabilities(network(batch)[1]),
        samples,
        fitted.network.head.out_features,
        randomness,
    )


def embeddings_and_probabilities(
    fitted: Fitted, texts: DistinctTexts, precision: Precision, description: str | None
) -> tuple[NDArray[np.float32], Probabilities]:
    """Return what the head is given of each text, and what it makes of that."""

    def together(batch: Batch) -> torch.Tensor:
        embeddings, logits = fitted.network(batch)
        return torch.cat([embeddings.float(), fitted.loss.probabilities(logits)], dim=1)

    head = fitted.network.head
    scoring = _scoring(fitted, texts.tokens, precision, description)
    both = scoring.compute(fitted.network, together, head.in_features + head.out_features)[texts.of_row]
    embeddings, proba = both[:, : head.in_features], both[:, head.in_features :]
    return np.ascontiguousarray(embeddings), np.ascontiguousarray(proba)


def _scoring(fitted: Fitted, tokens: Ragged, precision: Precision, description: str | None) -> BatchInference:
    return BatchInference(tokens, precision, fitted.encoder.padding, description)
