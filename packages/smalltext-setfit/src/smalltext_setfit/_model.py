"""Loading of, and inference with, the network: a sentence transformer with a linear head."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer, SentenceTransformerModelCardData
from torch import nn

from smalltext_core.atomic import expanded
from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.probabilities import Probabilities
from smalltext_setfit._embedding_cache import SentenceEmbeddingCache
from smalltext_setfit._head import make_linear
from smalltext_setfit.arguments import ModelKwargs, SetFitModelArguments
from smalltext_setfit.training_args import HeadTrainingArgs
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.device import Precision, TorchRandomness, with_dropout
from smalltext_torch.inference import BatchInference, Loss
from smalltext_torch.model_loading import check_source_exists
from smalltext_torch.sentence_transformer import (
    ALLOWED,
    downloaded,
    load_pretrained,
    load_saved,
    num_dimensions,
    prompt_length,
)
from smalltext_torch.tokenization import SentenceTokenizer, tokens_of, truncate_and_warn
from smalltext_torch.training_set import TRAINING_TOKENS, tokens_read, training_length

MIN_PROBABILITY = 1e-7
"""Lower bound of probabilities in the validation loss; a class without training texts has probability 0."""


@dataclass(frozen=True)
class UniqueTexts:
    """The distinct texts of a dataset, in order of first occurrence, and their token ids.

    `of_row` holds for each row of the dataset the index of its text; `padding` is the id of the padding token.
    """

    texts: list[str]
    tokens: Ragged
    of_row: NDArray[np.intp]
    padding: int

    def take(self, numbers: NDArray[np.intp]) -> UniqueTexts:
        """Return some of the texts, each as one row."""
        texts = [self.texts[number] for number in numbers]
        return replace(self, texts=texts, tokens=self.tokens.take(numbers), of_row=np.arange(len(numbers)))

    @classmethod
    def of(cls, data_set: Dataset[Any], tokenizer: SentenceTokenizer) -> UniqueTexts:
        """Tokenize the distinct texts of a dataset, and warn about truncated texts.

        Raises
        ------
        InvalidInputError
            If the dataset is not a TextDataset, or the model has no embedding for a token.
        """
        if not isinstance(data_set, TextDataset):
            given = type(data_set).__name__
            raise InvalidInputError("data_set", given, "a TextDataset", "Give the texts themselves.")
        prompted = TextDataset(tokenizer.prompted(data_set.x)) if tokenizer.prompt else data_set
        tokens = tokens_of(prompted, tokenizer.tokenizer, tokenizer.tokenizer_id)
        tokens = truncate_and_warn(tokens, tokenizer.max_length, tokenizer.special_tokens)
        tokenizer.check(tokens)
        numbers: dict[str, int] = {}
        of_row = np.array([numbers.setdefault(text, len(numbers)) for text in data_set.x], dtype=np.intp)
        first = np.empty(len(numbers), dtype=np.intp)
        first[of_row[::-1]] = np.arange(len(of_row))[::-1]
        return cls(list(numbers), tokens.take(first), of_row, tokenizer.padding)

    def for_training(self, tokenizer: SentenceTokenizer, passes: float) -> UniqueTexts:
        """Return the texts for training with `passes` passes over a text in total, truncated to limit its time."""
        length = training_length(self.tokens.lengths, passes, tokenizer.max_length)
        return replace(self, tokens=tokenizer.special_tokens.truncated(self.tokens, length))

    def max_steps(self, texts_per_step: float) -> float:
        """Return the number of training steps that read `TRAINING_TOKENS` tokens."""
        return TRAINING_TOKENS / max(tokens_read(self.tokens.lengths, texts_per_step), 1)


class ModelCard(SentenceTransformerModelCardData):
    """A model card with a weak reference to its sentence transformer.

    A reference cycle between them would keep an unused network in memory until the next garbage collection.
    """

    @property
    def model(self) -> Any:
        """The sentence transformer; None after it was deleted."""
        return None if self._model is None else self._model()

    @model.setter
    def model(self, model: Any) -> None:
        self._model = None if model is None else weakref.ref(model)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the weak reference, which cannot be pickled; `SentenceClassifier` restores it."""
        return {**self.__dict__, "_model": None}


def load_pretrained_body(arguments: SetFitModelArguments, kwargs: ModelKwargs) -> SentenceTransformer:
    """Load a pretrained sentence transformer on the CPU, in float32.

    Raises
    ------
    InvalidInputError
        If there is no such model, or it cannot be fine-tuned.
    """
    argument, source = "sentence_transformer_model", arguments.sentence_transformer_model
    check_source_exists(argument, source, ALLOWED)

    def find() -> Path:
        if Path(source).is_dir():
            return Path(source)
        return downloaded(
            source,
            cache_dir=expanded(kwargs.cache_dir),
            revision=kwargs.revision,
            token=kwargs.token,
            **arguments.model_loading_strategy.arguments(),
        )

    card = ModelCard(local_files_only=True)
    return load_pretrained(argument, source, find, model_card_data=card)


def load_saved_body(folder: Path, dimensions: int) -> SentenceTransformer:
    """Load the sentence transformer of a saved classifier, whose head takes `dimensions` features, on the CPU.

    Raises
    ------
    ModelFolderError
        If anything in the folder is not allowed, or does not match the weights and the head.
    """
    body = load_saved(folder, model_card_data=ModelCard(local_files_only=True))
    if num_dimensions(body) != dimensions:
        what = f"{folder}: the sentence transformer has {num_dimensions(body)} dimensions, its head {dimensions}"
        raise ModelFolderError(f"{what}. Save the model again.")
    return body


class SentenceClassifier(nn.Module):
    """A sentence transformer (`body`) with a linear layer (`head`) on its embeddings.

    With `normalize`, the embeddings are first scaled to unit length. The first `prompt_length` tokens of every
    text, if any, are excluded from pooling.
    """

    def __init__(
        self, body: SentenceTransformer, head: nn.Linear, *, normalize: bool, prompt_length: int | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.normalize = normalize
        self.prompt_length = prompt_length

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the reference of the model card, which is neither pickled nor copied."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.body.model_card_data.register_model(self.body)

    @property
    def dimensions(self) -> int:
        """The length of an embedding."""
        return self.head.in_features

    @property
    def word_embedding(self) -> nn.Embedding | None:
        """The token embeddings of the body; None if it has no plain embedding layer."""
        layer = cast("Any", self.body[0]).auto_model.get_input_embeddings()
        return layer if isinstance(layer, nn.Embedding) else None

    def with_head(self, head: nn.Linear) -> SentenceClassifier:
        """Return a network with the same body and another head."""
        other = SentenceClassifier(self.body, head, normalize=self.normalize, prompt_length=self.prompt_length)
        return other.eval()

    def embed(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of texts before normalization, float32 of shape (n, dimensions)."""
        features: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask}
        if self.prompt_length is not None:
            features["prompt_length"] = self.prompt_length
        embeddings: torch.Tensor = self.body(features)["sentence_embedding"].float()
        return embeddings

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the input of the head and its logits."""
        embeddings = self.embed(batch.tokens, batch.mask.long())
        if self.normalize:
            embeddings = nn.functional.normalize(embeddings, p=2, dim=1)
        return embeddings, self.head(embeddings)


def make_network(
    body: SentenceTransformer, tokenizer: SentenceTokenizer, num_classes: int, normalize: bool
) -> SentenceClassifier:
    """Return a network whose head is initialized with zeros."""
    body.max_seq_length = tokenizer.max_length
    head = make_linear(np.zeros((num_classes, num_dimensions(body))), np.zeros(num_classes))
    left_out = prompt_length(body, tokenizer.prompt)
    return SentenceClassifier(body, head, normalize=normalize, prompt_length=left_out)


@dataclass(frozen=True)
class TrainedEmbeddings:
    """Embeddings, shape (n, dimensions), of the texts that `fit` fitted the head to; `rows` maps texts to rows.

    They are not in the cache, which predictions use, so that a model that was loaded in another process, without
    the training texts, gives bitwise identical predictions.
    """

    rows: dict[str, int]
    embeddings: NDArray[np.float32]

    @classmethod
    def of(cls, texts: list[str], embeddings: NDArray[np.float32]) -> TrainedEmbeddings:
        """Return the embeddings of distinct texts."""
        return cls({text: row for row, text in enumerate(texts)}, embeddings)


@dataclass(frozen=True)
class SetFitState:
    """The result of training, including the training arguments of the head for `refit_head`."""

    tokenizer: SentenceTokenizer
    network: SentenceClassifier
    loss: Loss
    label_names: LabelNames | None
    trained: TrainedEmbeddings = field(repr=False)
    head_training: HeadTrainingArgs

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(iter(self.network.parameters())).device

    def evaluate(self, proba: Probabilities, y: Labels) -> tuple[float, float]:
        """Return (loss, accuracy) of probabilities: means over texts and, if multi-label, labels."""
        loss = self.loss
        clipped = np.clip(proba.astype(np.float64), MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        if is_multi_label(y):
            applies = y.toarray() > 0
            positive = np.ones(proba.shape[1]) if loss.class_weights is None else loss.class_weights
            losses = -np.where(applies, positive * np.log(clipped), np.log1p(-clipped)).mean(axis=1)
            return float(losses.mean()), float(((proba > loss.threshold) == applies).mean(axis=1).mean())
        losses = -np.log(clipped[np.arange(len(y)), y])
        weights = loss.text_weights(y)
        losses = losses if weights is None else losses * weights
        return float(losses.mean()), float((proba.argmax(axis=1) == y).mean())


@dataclass(frozen=True)
class SetFitInference:
    """The inference strategy: each distinct text passes through the sentence transformer once.

    Texts in the `cache`, if any, are not encoded again. The head is applied to all embeddings at once, so that
    probabilities do not depend on which of them were cached.
    """

    state: SetFitState
    texts: UniqueTexts
    precision: Precision
    description: str | None = "predict"
    cache: SentenceEmbeddingCache | None = None

    def probabilities(self) -> Probabilities:
        """Return the probability of each class for each text, float32, shape (n, num_classes)."""
        return self.probabilities_of(self.unique_embeddings())[self.texts.of_row]

    def sampled_probabilities(self, samples: int, randomness: TorchRandomness) -> NDArray[np.float32]:
        """Return samples of the probabilities under dropout, float32, shape (n, samples, num_classes)."""
        network, loss = with_dropout(self.state.network), self.state.loss
        return self._batches(self.texts.tokens.take(self.texts.of_row)).sample(
            lambda batch: loss.probabilities(network(batch)[1]), samples, network.head.out_features, randomness
        )

    def embeddings(self) -> tuple[NDArray[np.float32], Probabilities]:
        """Return the input of the head and the probabilities for each text."""
        unique = self.unique_embeddings()
        return unique[self.texts.of_row], self.probabilities_of(unique)[self.texts.of_row]

    def unique_embeddings(self) -> NDArray[np.float32]:
        """Return the input of the head for each distinct text."""
        if self.cache is None:
            return self.compute(self.texts)
        return self.cache.embeddings.vectors(self.texts.texts, _Embedder(self, self.cache))

    def with_trained(self, trained: TrainedEmbeddings) -> NDArray[np.float32]:
        """Return the embeddings of each text; for texts of `fit`, those that `fit` computed."""
        rows = np.array([trained.rows.get(text, -1) for text in self.texts.texts], dtype=np.intp)
        others = np.flatnonzero(rows < 0)
        unique = trained.embeddings[rows] if len(others) < len(rows) else self.unique_embeddings()
        if 0 < len(others) < len(rows):
            unique[others] = replace(self, texts=self.texts.take(others)).unique_embeddings()
        return unique[self.texts.of_row]

    def compute(self, texts: UniqueTexts) -> NDArray[np.float32]:
        """Embed texts with the sentence transformer."""
        network = self.state.network
        return self._batches(texts.tokens).compute(network, lambda batch: network(batch)[0], network.dimensions)

    def probabilities_of(self, embeddings: NDArray[np.float32]) -> Probabilities:
        """Apply the head in float64, so that the result, rounded to float32, does not depend on other texts."""
        head = self.state.network.head
        with torch.inference_mode(), Precision(torch.device("cpu")).autocast():
            vectors = torch.from_numpy(embeddings).double()
            logits = nn.functional.linear(vectors, head.weight.cpu().double(), head.bias.cpu().double())
            proba: Probabilities = self.state.loss.probabilities(logits).float().numpy()
        return proba

    def _batches(self, tokens: Ragged) -> BatchInference:
        return BatchInference(tokens, self.precision, self.texts.padding, self.description)


class _Embedder:
    """The adapter of the sentence transformer for the cache, for the distinct texts of a dataset."""

    def __init__(self, inference: SetFitInference, cache: SentenceEmbeddingCache) -> None:
        self._inference = inference
        self._cache = cache

    @property
    def dimensions(self) -> int:
        return self._inference.state.network.dimensions

    @cached_property
    def fingerprint(self) -> str:
        state, precision = self._inference.state, self._inference.precision
        network, tokenizer = state.network, state.tokenizer
        settings = (network.normalize, network.prompt_length, precision.dtype, precision.device.type)
        texts = (tokenizer.tokenizer_id, tokenizer.max_length, tokenizer.prompt, tokenizer.padding)
        return self._cache.fingerprint(network.body, (*settings, *texts))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {text: number for number, text in enumerate(self._inference.texts.texts)}

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        numbers = np.array([self._numbers[text] for text in texts], dtype=np.intp)
        return self._inference.compute(self._inference.texts.take(numbers))
