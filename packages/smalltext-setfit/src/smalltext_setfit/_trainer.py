"""Training of a network: contrastive training with setfit's trainer, then of the head; or both end to end.

setfit's trainer gets its batches and its loss from this module: batches of pairs, as the token ids of their
distinct texts, and a loss that encodes each distinct text once. The module is imported when training begins, since
importing setfit takes seconds.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState
from numpy.typing import NDArray
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerCallback

from smalltext_setfit._head import (
    HeadSettings,
    HeadTargets,
    fit_head,
    make_differentiable_head,
    train_by_gradients,
    with_temperature,
)
from smalltext_setfit._model import SentenceClassifier, UniqueTexts
from smalltext_setfit.sampler import PairBatch, PairSampler
from smalltext_setfit.training_args import TrainingArgs
from smalltext_torch.batching import Batch, Ragged, make_batch
from smalltext_torch.device import Precision, Randomness, keep_global_generators
from smalltext_torch.inference import BatchInference, DivergedError
from smalltext_torch.optimization import averaged_with_initial, rows_in_use
from smalltext_torch.progress import progress_bar
from smalltext_torch.sentence_transformer import quiet_libraries

# Importing setfit adds a warning filter that precedes all others, and raises the level of loggers.
with warnings.catch_warnings(), quiet_libraries():
    from setfit import SetFitHead, SetFitModel, Trainer, TrainingArguments
    from setfit.compat import losses
    from setfit.model_card import ModelCardCallback

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["FewShotTrainer", "PairLoss", "SetFitHead", "SetFitModel", "Trainer", "TrainingArguments", "losses"]

Features = dict[str, torch.Tensor]

TRAINING_COST = 3
"""The cost of a text in training, relative to embedding it: a forward pass, and a backward pass of twice that."""

GROUP_COST = 128
"""The cost of another group of texts in a batch, in tokens."""

MAX_BATCH_COST, MAX_GROUP_COST = 12_288, 6_144
"""The maximum `memory_cost` of a batch without gradient checkpointing, and of a group of several texts.

With a small encoder, such a batch takes about 2 GB; a batch of 64 texts of 512 tokens would take 15 GB.
"""


@dataclass(frozen=True)
class FewShotTrainer:
    """Trains the body of a network in place, for a number of steps, and replaces its head.

    `texts` are truncated for training; `untruncated` has all their tokens, for the embeddings that the head is
    fitted to. Texts without a row are only embedded. `randomness` is used for the body, `head_randomness` for a
    head that is trained alone; they are separate so that `refit_head` gives the same head for the same texts.
    """

    network: SentenceClassifier
    texts: UniqueTexts
    untruncated: Ragged
    targets: HeadTargets
    sampler: PairSampler
    steps: int
    pretrained_share: float
    args: TrainingArgs
    head: HeadSettings
    precision: Precision
    randomness: Randomness
    head_randomness: Randomness

    def train(self) -> NDArray[np.float32]:
        """Train with one progress bar, and return the embeddings of the distinct texts.

        Raises
        ------
        DivergedError
            If the embeddings or the weights of the head are not finite.
        """
        end_to_end = self.head.differentiable and self.args.end_to_end
        seen = TRAINING_COST * self.targets.y.shape[0] * self.args.epochs[1] if end_to_end else 0
        cost = self.steps * self._cost_of_step + len(self.texts.texts) + seen
        with progress_bar(cost, "train", "text") as bar:
            if self.steps:
                with self.randomness.network.as_global(), keep_global_generators():
                    self._train_contrastively(bar)
            if end_to_end:
                self._train_end_to_end(bar)
            embeddings = self._embed(bar)
            if not end_to_end:
                self._fit_head(embeddings, bar)
        return embeddings

    @property
    def _cost_of_step(self) -> int:
        """The cost of a step, relative to embedding one text, for the expected number of distinct texts."""
        return max(round(TRAINING_COST * self.sampler.texts_per_batch(self.head.batch_size)), 1)

    def _train_contrastively(self, bar: tqdm[None]) -> None:
        """Train the body to make the texts of positive pairs similar, and those of negative pairs dissimilar."""
        network, texts, batch_size = self.network, self.texts, self.head.batch_size
        # Small gradients do not underflow in bfloat16; float16 would need loss scaling.
        half = self.precision.dtype is torch.float16
        loss = PairLoss(network, self.args.loss_name, Precision(self.precision.device) if half else self.precision)
        batches = PairBatches(self.sampler, texts, batch_size)
        cost = self._cost_of_step
        seed = int(self.randomness.order.integers(2**31))
        with (
            tempfile.TemporaryDirectory(prefix="smalltext-setfit-") as folder,
            quiet_libraries(),
            warnings.catch_warnings(),
            _separate_accelerate_state(),
            rows_in_use(network.body, network.word_embedding, [texts.tokens], texts.padding),
            averaged_with_initial(network.body, self.pretrained_share),
        ):
            warnings.simplefilter("ignore")
            arguments = _setfit_arguments(self.args, self.steps, folder, batch_size, seed)
            trainer = _Trainer(
                batches,
                loss,
                model=SetFitModel(model_body=network.body),
                args=arguments,
                callbacks=[*self.args.callbacks, _StepCallback(lambda: bar.update(cost))],
            )
            try:
                trainer.train_embeddings([], args=arguments)
            finally:
                # Both are in reference cycles, which would keep the body and the state of the optimizer in memory
                # until the next garbage collection.
                trainer.st_trainer.__dict__.clear()
                trainer.model.__dict__.clear()
        network.eval()

    def _embed(self, bar: tqdm[None]) -> NDArray[np.float32]:
        self.network.eval()

        def embedded(batch: Batch) -> torch.Tensor:
            bar.update(len(batch))
            embeddings: torch.Tensor = self.network(batch)[0]
            return embeddings

        batches = BatchInference(self.untruncated, self.precision, self.texts.padding, description=None)
        embeddings = batches.compute(self.network, embedded, self.network.dimensions)
        if not np.isfinite(embeddings).all():
            raise DivergedError(
                "The embeddings are no longer finite numbers; lower body_learning_rate. "
                "The classifier is unchanged."
            )
        return embeddings

    def _fit_head(self, embeddings: NDArray[np.float32], bar: tqdm[None]) -> None:
        head = fit_head(
            embeddings[self.texts.of_row],
            self.targets,
            self.head,
            self.args.head_training,
            self.head_randomness,
            lambda _: bar.refresh(),
        )
        self.network.head = head.to(self.precision.device)

    def _train_end_to_end(self, bar: tqdm[None]) -> None:
        """Train the body together with a differentiable head."""
        network, texts, device = self.network, self.texts, self.precision.device
        with self.randomness.network.as_global():
            head = make_differentiable_head(network.head.in_features, self.head).to(device)
        network.head = head
        network.train()

        def logits_of(rows: NDArray[np.intp]) -> torch.Tensor:
            batch = make_batch(texts.tokens, texts.of_row[rows], device, texts.padding)
            logits: torch.Tensor = network(batch)[1] / self.head.temperature
            return logits

        with self.randomness.network.as_global():
            train_by_gradients(
                logits_of,
                [
                    {"params": list(network.body.parameters()), "lr": self.args.body_learning_rates[1]},
                    {"params": list(head.parameters()), "lr": self.args.head_learning_rate},
                ],
                self.targets,
                self.args.head_training,
                self.head.batch_size,
                self.randomness.order,
                lambda count: bar.update(TRAINING_COST * count),
            )
        network.head = with_temperature(head, self.head.temperature).to(device)


class PairLoss(nn.Module):
    """A loss of sentence-transformers on pairs of texts that encodes each distinct text once."""

    def __init__(self, network: SentenceClassifier, name: str, precision: Precision) -> None:
        super().__init__()
        self.body = network.body
        self.compare = getattr(losses, name)(model=_Identity())
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
            The distinct texts of the batch in groups of similar length, each padded separately. The first group
            also has the indices, into the texts of all groups, of the first and the second text of every pair.
        labels : Tensor of float32, shape (pairs,)
        """
        embed: Callable[..., torch.Tensor] = self._embed
        if sum(memory_cost(*group["input_ids"].shape) for group in groups) > MAX_BATCH_COST:
            # To save memory, the backward pass recomputes the activations of each group (gradient checkpointing).
            embed = partial(checkpoint, embed, use_reentrant=False)
        with self._precision.autocast():
            found = [embed(group["input_ids"], group["attention_mask"]) for group in groups]
        embeddings = torch.cat(found)
        columns = [{"sentence_embedding": embeddings[groups[0][side]]} for side in ("first", "second")]
        loss: torch.Tensor = self.compare(columns, labels)
        return loss


class _Identity(nn.Module):
    """The model for a loss whose inputs are already embeddings."""

    def forward(self, features: Features) -> Features:
        return features


class PairBatches(IterableDataset[Features]):
    """The batches of an epoch, collated for the trainer of sentence-transformers."""

    def __init__(self, sampler: PairSampler, texts: UniqueTexts, batch_size: int) -> None:
        self._sampler = sampler
        self._texts = texts
        self._batch_size = batch_size

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._sampler.batches_per_epoch(self._batch_size)

    def __iter__(self) -> Iterator[Features]:
        """Draw the pairs, and yield the batches."""
        for pairs in self._sampler.epoch(self._batch_size):
            yield self._collate(pairs)

    def _collate(self, pairs: PairBatch) -> Features:
        tokens = self._texts.tokens
        both = self._texts.of_row[np.concatenate([pairs.first, pairs.second])]
        texts, places = np.unique(both, return_inverse=True)
        order = np.argsort(tokens.lengths[texts], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        places = rank[places.reshape(-1)]
        features: Features = {"label": torch.from_numpy(pairs.labels)}
        for number, group in enumerate(group_by_length(tokens.lengths[texts[order]])):
            ids, lengths = tokens.padded(texts[order[group]], self._texts.padding)
            mask = np.arange(ids.shape[1]) < lengths[:, None]
            features[f"group{number}_input_ids"] = torch.from_numpy(ids)
            features[f"group{number}_attention_mask"] = torch.from_numpy(mask.astype(np.int64))
        features["group0_first"] = torch.from_numpy(places[: len(pairs)])
        features["group0_second"] = torch.from_numpy(places[len(pairs) :])
        return features


def memory_cost(texts: Any, length: Any) -> Any:
    """Return the memory that the backward pass of a padded group needs, relative to that of one token.

    Attention needs memory for each pair of tokens: for a text of 256 tokens, as much as everything else.
    """
    return texts * length * (1 + length / 256)


def group_by_length(ascending: NDArray[np.int64]) -> list[slice]:
    """Divide texts, sorted by length, into groups that minimize the total cost of padding and of `GROUP_COST`.

    No group of several texts takes more memory than `MAX_GROUP_COST`.
    """
    count = len(ascending)
    cost, start_of = np.full(count + 1, np.inf), np.zeros(count + 1, dtype=np.intp)
    cost[0] = 0
    for stop in range(1, count + 1):
        sizes, longest = stop - np.arange(stop), ascending[stop - 1]
        costs = cost[:stop] + GROUP_COST + sizes * longest
        costs[(sizes > 1) & (memory_cost(sizes, longest) > MAX_GROUP_COST)] = np.inf
        start_of[stop] = costs.argmin()
        cost[stop] = costs[start_of[stop]]
    groups, stop = [], count
    while stop:
        groups.append(slice(int(start_of[stop]), stop))
        stop = int(start_of[stop])
    return groups[::-1]


class _Trainer(Trainer):  # type: ignore[misc]  # setfit has no types
    """setfit's trainer with custom batches and a custom loss."""

    def __init__(self, batches: PairBatches, loss: PairLoss, **options: Any) -> None:
        self._batches, self._loss = batches, loss
        super().__init__(**options)
        for callback in (PrinterCallback, ProgressCallback, ModelCardCallback):
            self.remove_callback(callback)
        loader: DataLoader[Features] = DataLoader(batches, batch_size=None)
        self.st_trainer.get_train_dataloader = lambda: loader
        # Train on the device of the classifier only. The constructor has moved the network to an accelerator if
        # there is one.
        loss.to(loss.device)
        self.st_trainer.args._n_gpu = 1
        vars(self.st_trainer.args)["_setup_devices"] = loss.device  # what `args.device` returns
        self.st_trainer.place_model_on_device = False
        self.st_trainer.accelerator.device_placement = False
        self.st_trainer._prepare_inputs = self._to_device
        # It would run a needless garbage collection, which takes longer than a short training run.
        self.st_trainer.accelerator.free_memory = lambda *objects: objects

    def get_dataset(self, *_: Any, **__: Any) -> tuple[PairBatches, PairLoss]:
        return self._batches, self._loss

    def _to_device(self, inputs: Features) -> Features:
        return {name: tensor.to(self._loss.device) for name, tensor in inputs.items()}


class _StepCallback(TrainerCallback):
    """Calls a function after every step."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._function()


def _setfit_arguments(args: TrainingArgs, steps: int, folder: str, batch_size: int, seed: int) -> Any:
    return TrainingArguments(
        output_dir=folder,
        batch_size=batch_size,
        num_epochs=args.epochs,
        max_steps=steps,
        sampling_strategy=args.sampling_strategy,
        num_iterations=args.num_iterations,
        body_learning_rate=args.body_learning_rates,
        head_learning_rate=args.head_learning_rate,
        warmup_proportion=args.warmup_proportion,
        l2_weight=args.l2_weight or 0.0,
        seed=seed,
        show_progress_bar=False,
        report_to="none",
        save_strategy="no",
        logging_strategy=args.logging_strategy,
        logging_first_step=args.logging_first_step,
        logging_steps=args.logging_steps,
    )


@contextmanager
def _separate_accelerate_state() -> Iterator[None]:
    """Replace the global state of accelerate by an empty one, and restore it afterwards."""
    states = (AcceleratorState, PartialState, GradientState)
    before = [(state, vars(state)["_shared_state"]) for state in states]
    variables = {name: value for name, value in os.environ.items() if name.startswith("ACCELERATE_")}
    for state in states:
        # A new dict, since objects of the caller keep a reference to the old one.
        state._shared_state = {}
    for name in variables:
        del os.environ[name]
    try:
        yield
    finally:
        for state, shared in before:
            state._shared_state = shared
        for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
            del os.environ[name]
        os.environ.update(variables)
