"""Where setfit does its work: the one module that knows the inside of its trainer.

The trainer is given two things of ours. Batches come from a `PairSource`, as token ids of their distinct texts;
and the loss, passed in where setfit takes one, encodes each distinct text once and compares the pairs.
"""

from __future__ import annotations

import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from smalltext_setfit.accelerate_state import accelerate_state_aside
from smalltext_setfit.keywords import TrainingKeywords
from smalltext_setfit.pairs import PairBatch, PairSource
from smalltext_setfit.sentence_encoder import SentenceClassifier, quiet
from smalltext_setfit.setfit_library import ModelCardCallback, SetFitModel, Trainer, TrainingArguments, losses
from smalltext_torch.batching import Ragged
from smalltext_torch.device import Precision
from smalltext_torch.optimization import rows_in_use

Rows = NDArray[np.intp]
Features = dict[str, torch.Tensor]


class PairLoss(nn.Module):
    """A loss of sentence-transformers, over pairs of texts each of which is encoded once.

    Parameters
    ----------
    network : SentenceClassifier
        Whose body is trained.
    name : str
        The name of the loss.
    precision : Precision
    """

    def __init__(self, network: SentenceClassifier, name: str, precision: Precision) -> None:
        super().__init__()
        self.body = network.body
        self.compare = getattr(losses, name)(model=_Given())
        self._embed = network.embed
        self._precision = precision

    @property
    def device(self) -> torch.device:
        """The device to train on."""
        return self._precision.device

    def forward(self, groups: list[Features], labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        groups : list of dict
            The distinct texts of the batch in groups of like length, each padded for itself. The first one says
            which texts, of all groups one after the other, are the first and the second of every pair.
        labels : Tensor of float32, shape (pairs,)
        """
        with self._precision.autocast():
            found = [self._embed(group["input_ids"], group["attention_mask"]) for group in groups]
        embeddings = torch.cat(found)
        columns = [{"sentence_embedding": embeddings[groups[0][side]]} for side in ("first", "second")]
        loss: torch.Tensor = self.compare(columns, labels)
        return loss


class _Given(nn.Module):
    """Stands in for a model where there are embeddings already."""

    def forward(self, features: Features) -> Features:
        return features


class _Batches(IterableDataset[Features]):
    """The batches of an epoch, as the trainer of sentence-transformers takes them."""

    def __init__(self, source: PairSource, tokens: Ragged, of_row: Rows, batch_size: int, padding: int) -> None:
        self._source = source
        self._tokens = tokens
        self._of_row = of_row
        self._batch_size = batch_size
        self._padding = padding

    def __len__(self) -> int:
        return self._source.batches_per_epoch(self._batch_size)

    def __iter__(self) -> Iterator[Features]:
        for pairs in self._source.epoch(self._batch_size):
            yield self._collated(pairs)

    def _collated(self, pairs: PairBatch) -> Features:
        both = self._of_row[np.concatenate([pairs.first, pairs.second])]
        texts, places = np.unique(both, return_inverse=True)
        order = np.argsort(self._tokens.lengths[texts], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        places = rank[places.reshape(-1)]
        features: Features = {"label": torch.from_numpy(pairs.alike)}
        for number, group in enumerate(like_lengths(self._tokens.lengths[texts[order]])):
            ids, lengths = self._tokens.padded(texts[order[group]], self._padding)
            mask = np.arange(ids.shape[1]) < lengths[:, None]
            features[f"group{number}_input_ids"] = torch.from_numpy(ids)
            features[f"group{number}_attention_mask"] = torch.from_numpy(mask.astype(np.int64))
        features["group0_first"] = torch.from_numpy(places[: len(pairs)])
        features["group0_second"] = torch.from_numpy(places[len(pairs) :])
        return features


OVERHEAD = 128
"""Passing one more group of texts through the network costs as much as so many tokens."""


def like_lengths(ascending: NDArray[np.int64]) -> list[slice]:
    """Cut texts, sorted by length, into groups, so that padding and the number of groups cost least together."""
    count = len(ascending)
    cost, start_of = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=np.intp)
    cost[0] = 0
    for stop in range(1, count + 1):
        starts = np.arange(stop)
        costs = cost[:stop] + OVERHEAD + (stop - starts) * ascending[stop - 1]
        start_of[stop] = costs.argmin()
        cost[stop] = costs[start_of[stop]]
    groups, stop = [], count
    while stop:
        groups.append(slice(int(start_of[stop]), stop))
        stop = int(start_of[stop])
    return groups[::-1]


class _Trainer(Trainer):  # type: ignore[misc]  # setfit has no types
    """setfit's trainer, over batches and a loss that exist."""

    def __init__(self, batches: _Batches, loss: PairLoss, **options: Any) -> None:
        self._batches, self._loss = batches, loss
        super().__init__(**options)
        for callback in (PrinterCallback, ProgressCallback, ModelCardCallback):
            self.remove_callback(callback)
        loader: DataLoader[Features] = DataLoader(batches, batch_size=None)
        self.st_trainer.get_train_dataloader = lambda: loader
        # One device, the one that the classifier was given, whatever else there is. The constructor chooses an
        # accelerator wherever there is one, and has moved the network to it.
        loss.to(loss.device)
        self.st_trainer.args._n_gpu = 1
        vars(self.st_trainer.args)["_setup_devices"] = loss.device  # what `args.device` returns
        self.st_trainer.place_model_on_device = False
        self.st_trainer.accelerator.device_placement = False
        self.st_trainer._prepare_inputs = self._on_device
        # This would collect garbage, of which there is none, and that takes longer than a short training.
        self.st_trainer.accelerator.free_memory = lambda *objects: objects

    def get_dataset(self, *_: Any, **__: Any) -> tuple[_Batches, PairLoss]:
        return self._batches, self._loss

    def _on_device(self, inputs: Features) -> Features:
        return {name: tensor.to(self._loss.device) for name, tensor in inputs.items()}


class _Progress(TrainerCallback):
    """Says after every step that it has been made."""

    def __init__(self, advance: Callable[[], object]) -> None:
        self._advance = advance

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._advance()


def contrast(
    network: SentenceClassifier,
    tokens: Ragged,
    of_row: Rows,
    source: PairSource,
    keywords: TrainingKeywords,
    *,
    batch_size: int,
    padding: int,
    precision: Precision,
    seed: int,
    advance: Callable[[], object],
) -> None:
    """Train the body of a network to put texts that are alike near one another, and others apart.

    Parameters
    ----------
    network : SentenceClassifier
        On the device to train on; trained in place.
    tokens : Ragged
        Of the distinct texts.
    of_row : ndarray of intp
        Which of these each labelled text is.
    source : PairSource
    keywords : TrainingKeywords
    batch_size : int
        How many pairs a step sees.
    padding : int
    precision : Precision
    seed : int
        The global generators carry its state when this returns; see `global_generators_kept`.
    advance : callable
        Is called after every step.
    """
    with (
        tempfile.TemporaryDirectory(prefix="smalltext-setfit-") as folder,
        quiet(),
        warnings.catch_warnings(),
        accelerate_state_aside(),
        rows_in_use(network.body, network.word_embedding, [tokens], padding),
    ):
        warnings.simplefilter("ignore")
        batches = _Batches(source, tokens, of_row, batch_size, padding)
        loss = PairLoss(network, keywords.loss_name, precision)
        arguments = _arguments(folder, batch_size, seed, keywords)
        trainer = _Trainer(
            batches,
            loss,
            model=SetFitModel(model_body=network.body),
            args=arguments,
            callbacks=[*keywords.callbacks, _Progress(advance)],
        )
        try:
            trainer.train_embeddings([], args=arguments)
        finally:
            # Both refer to themselves; what they hold, the body and the state of the optimizer, would wait for the
            # next garbage collection.
            trainer.st_trainer.__dict__.clear()
            trainer.model.__dict__.clear()
    network.eval()


def _arguments(folder: str, batch_size: int, seed: int, keywords: TrainingKeywords) -> Any:
    return TrainingArguments(
        output_dir=folder,
        batch_size=batch_size,
        num_epochs=keywords.epochs,
        max_steps=keywords.max_steps,
        sampling_strategy=keywords.sampling_strategy,
        num_iterations=keywords.num_iterations,
        body_learning_rate=keywords.body_learning_rates,
        head_learning_rate=keywords.head_learning_rate,
        warmup_proportion=keywords.warmup_proportion,
        l2_weight=keywords.l2_weight or 0.0,
        seed=seed,
        show_progress_bar=False,
        report_to="none",
        save_strategy="no",
        logging_strategy=keywords.logging_strategy,
        logging_first_step=keywords.logging_first_step,
        logging_steps=keywords.logging_steps,
    )


@contextmanager
def global_generators_kept() -> Iterator[None]:
    """Put the states of the global generators of Python, numpy and CUDA back; torch's own are lent elsewhere."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
