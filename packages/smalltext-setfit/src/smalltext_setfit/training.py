"""One training from beginning to end: pairs are contrasted, texts embedded, and a head is fitted to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smalltext_setfit.heads import (
    HeadSettings,
    LabelledRows,
    fit_head,
    new_head,
    scaled,
    temperature,
    train_by_gradients,
)
from smalltext_setfit.keywords import TrainingKeywords
from smalltext_setfit.pairs import PairSource
from smalltext_setfit.sentence_encoder import SentenceClassifier, embed_all
from smalltext_setfit.text_encoder import DistinctTexts
from smalltext_torch.batching import make_batch
from smalltext_torch.device import Precision
from smalltext_torch.losses import DivergedError
from smalltext_torch.progress import progress_bar
from smalltext_torch.randomness import Randomness

if TYPE_CHECKING:
    from tqdm import tqdm

THERE_AND_BACK = 3
"""Training on a text costs as much as embedding it three times: once forward, twice backward."""


@dataclass(frozen=True)
class FewShotTraining:
    """One training of one network.

    Parameters
    ----------
    network : SentenceClassifier
        On the device to train on; its body is trained in place, its head replaced.
    texts : DistinctTexts
        The training texts.
    padding : int
        The token that batches are padded with.
    rows : LabelledRows
        What is known of each text.
    source : PairSource
    keywords : TrainingKeywords
    head : HeadSettings
    batch_size : int
        How many pairs a step sees.
    precision : Precision
    randomness : Randomness
    head_randomness : Randomness
        Of its own, so that a head that is fitted later to the same texts is the same.
    """

    network: SentenceClassifier
    texts: DistinctTexts
    padding: int
    rows: LabelledRows
    source: PairSource
    keywords: TrainingKeywords
    head: HeadSettings
    batch_size: int
    precision: Precision
    randomness: Randomness
    head_randomness: Randomness

    def run(self) -> NDArray[np.float32]:
        """Train, under one progress bar, and return the embeddings of the distinct texts.

        Raises
        ------
        DivergedError
            If the embeddings, or the weights of the head, are not finite numbers.
        """
        with progress_bar(self._work(), "train", "text") as bar:
            self._contrast(bar)
            if self._end_to_end:
                self._train_end_to_end(bar)
            embeddings = self._embed(bar)
            if not self._end_to_end:
                self._fit_head(embeddings, bar)
        return embeddings

    @property
    def _end_to_end(self) -> bool:
        return self.head.differentiable and self.keywords.end_to_end

    @property
    def _steps(self) -> int:
        """How many batches of pairs are contrasted."""
        if not self.source.counts.drawn:
            return 0
        if self.keywords.max_steps > 0:
            return self.keywords.max_steps
        return self.keywords.epochs[0] * self.source.batches_per_epoch(self.batch_size)

    @property
    def _work_of_step(self) -> int:
        """How many embeddings a step costs as much as: the texts that a batch of pairs has, on average."""
        count, drawn = len(self.texts.texts), 2 * min(self.batch_size, self.source.counts.drawn)
        return max(round(THERE_AND_BACK * count * (1 - (1 - 1 / count) ** drawn)), 1)

    def _work(self) -> int:
        """Return how many embeddings all of it costs as much as."""
        passes = len(self.rows.y.indptr) - 1 if hasattr(self.rows.y, "indptr") else len(self.rows.y)
        seen = THERE_AND_BACK * passes * self.keywords.epochs[1] if self._end_to_end else 0
        return self._steps * self._work_of_step + len(self.texts.texts) + seen

    def _contrast(self, bar: tqdm[None]) -> None:
        if not self._steps:
            return
        from smalltext_setfit.contrastive import contrast, global_generators_kept

        # Rounded to bfloat16 a gradient is small, not 0; float16 would need its loss to be scaled.
        precision = (
            self.precision if self.precision.dtype is not torch.float16 else Precision(self.precision.device)
        )
        with self.randomness.network.lent(), global_generators_kept():
            contrast(
                self.network,
                self.texts.tokens,
                self.texts.of_row,
                self.source,
                self.keywords,
                batch_size=self.batch_size,
                padding=self.padding,
                precision=precision,
                seed=int(self.randomness.order.integers(2**31)),
                advance=lambda: bar.update(self._work_of_step),
            )

    def _embed(self, bar: tqdm[None]) -> NDArray[np.float32]:
        self.network.eval()
        embeddings = embed_all(self.network, self.texts.tokens, self.precision, self.padding, bar.update)
        if not np.isfinite(embeddings).all():
            raise DivergedError(
                "The embeddings are no longer finite numbers; lower body_learning_rate. "
                "The classifier is what it was before."
            )
        return embeddings

    def _fit_head(self, embeddings: NDArray[np.float32], bar: tqdm[None]) -> None:
        layer = fit_head(
            embeddings[self.texts.of_row],
            self.rows,
            self.head,
            self.keywords.head_training,
            self.head_randomness,
            lambda _: bar.refresh(),
        )
        self.network.head = checked(layer).to(self.precision.device)

    def _train_end_to_end(self, bar: tqdm[None]) -> None:
        network, device = self.network, self.precision.device
        with self.randomness.network.lent():
            head = new_head(network.head.in_features, self.head.num_classes, self.head.parameters).to(device)
        network.head, divisor = head, temperature(self.head.parameters)
        network.train()

        def logits_of(numbers: NDArray[np.intp]) -> torch.Tensor:
            batch = make_batch(self.texts.tokens, self.texts.of_row[numbers], device, self.padding)
            logits: torch.Tensor = network(batch)[1] / divisor
            return logits

        with self.randomness.network.lent():
            train_by_gradients(
                logits_of,
                [
                    {"params": list(network.body.parameters()), "lr": self.keywords.body_learning_rates[1]},
                    {"params": list(head.parameters()), "lr": self.keywords.head_learning_rate},
                ],
                self.rows,
                self.keywords.head_training,
                self.head.batch_size,
                self.randomness.order,
                lambda count: bar.update(THERE_AND_BACK * count),
            )
        network.head = checked(scaled(head, divisor)).to(device)


def checked(layer: nn.Linear) -> nn.Linear:
    """Return a head as it is, or say that its training went wrong."""
    if not torch.isfinite(layer.weight).all() or torch.isnan(layer.bias).any():
        raise DivergedError(
            "The weights of the head are no longer finite numbers; lower head_learning_rate. "
            "The classifier is what it was before."
        )
    return layer
