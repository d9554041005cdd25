"""Kim's network as a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from smalltext_core import validation
from smalltext_core.class_weights import ClassWeight
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.probabilities import Probabilities
from smalltext_core.validation import check_count
from smalltext_kimcnn._version import __version__
from smalltext_kimcnn.dataset import PytorchTextClassificationDataset
from smalltext_kimcnn.embedding import EmbeddingMethod, last_layer_gradients
from smalltext_kimcnn.encoder import Encoder
from smalltext_kimcnn.initial import InitialVectors
from smalltext_kimcnn.network import KimCNN
from smalltext_kimcnn.parameters import (
    check_heights,
    check_matrix,
    check_max_norm,
    check_saved_padding,
    check_share,
    check_source,
)
from smalltext_kimcnn.scoring import pooled_features
from smalltext_kimcnn.vectors import Vectors
from smalltext_kimcnn.vocabulary import Vocabulary
from smalltext_torch.backend import WEIGHTS, Fitted
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.classifier import TorchClassifier
from smalltext_torch.device import Precision, PrecisionName
from smalltext_torch.inference import inference
from smalltext_torch.model_loading import abbreviated
from smalltext_torch.progress import VERBOSITY_MORE_VERBOSE, described, progress_bar
from smalltext_torch.randomness import Randomness
from smalltext_torch.weight_files import check_shapes, shapes_of

_NUMBERS_AT_ONCE = 1 << 20
"""At most so many features are sampled from, or gradients computed, at once."""

_NOT_SAVED = "vectors that were handed over as an object, and not saved with the model"


class KimCNNClassifier(TorchClassifier[Encoder]):
    """Classifies texts with the convolutional network of Kim (2014).

    Parameters
    ----------
    num_classes : int
        The number of classes, those without a training text included.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    embedding_matrix : Tensor or ndarray of float, shape (words, dimensions), optional
        The word vectors to begin with, one for each word of the training set's vocabulary; never written to. By
        default they are those of `embeddings`, or drawn at random (CNN-rand).
    device : str or torch.device, optional
        Where to compute; None is the best there is.
    num_epochs : int, default=10
        How often training goes over the texts, at most.
    mini_batch_size : int, default=25
        How many texts a step of training sees.
    lr : float, default=0.001
        The learning rate of the default optimizer, Adam.
    max_seq_len : int, default=60
        How many tokens of a text are looked at, filter padding included.
    out_channels : int, default=100
        How many filters there are of each height.
    filter_padding : int, default=0
        How many padding tokens stand before each text, and after it.
    dropout : float, default=0.5
        The share of features that is left out in training.
    validation_set_size : float, default=0.1
        The share of the training texts to set aside if `fit` is given no validation set.
    padding_idx : int, default=0
        The token id of the padding.
    kernel_heights : sequence of int, default=(3, 4, 5)
        How many words the filters see.
    early_stopping : int, default=5
        Deprecated: how many epochs the validation loss may bring no improvement; 0: any number.
    early_stopping_acc : float, default=-1
        Deprecated: stop once the accuracy on the training texts is above this; -1: whatever it is.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        How much each class counts; see `smalltext_core.class_weights`.
    verbosity : int, default=VERBOSITY_MORE_VERBOSE
        How much is logged; see `smalltext_torch.progress`.
    embeddings : path or Vectors, optional
        Pretrained word vectors, or the file to read them from at `fit`; see `read_vectors`. All of its words are
        known afterwards, those that no training text has too.
    embedding_dim : int, default=300
        The length of random word vectors.
    static : bool, default=False
        Whether the word vectors stay as they are (CNN-static).
    max_norm : float or None, default=3.0
        The length that no class's weights in the last layer exceed; None lets them grow.
    max_gradient_norm : float, default=3.0
        Longer gradients are shortened to this.
    min_frequency : int, default=1
        How often a word has to occur in the training texts to be known. For a TextDataset.
    lowercase : bool, default=True
        Whether words that differ in case alone are one word. For a TextDataset.
    multi_label_threshold : float, default=0.5
        In multi-label problems a class applies if its probability is greater than this.
    precision : {"float32", "auto"}, default="float32"
        "auto" multiplies in bfloat16 or float16 where the device is faster with it.
    warm_start : bool, default=False
        Whether `fit` goes on from the model of the `fit` before, instead of starting again.
    seed : int, optional
        The same seed, data and machine give the same bits.
    mixed_precision : bool, optional
        The former name of `precision`: True is "auto", False is "float32".

    Raises
    ------
    InvalidInputError
        If a parameter is not what is described above.

    References
    ----------
    Yoon Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014,
    https://aclanthology.org/D14-1181.

    Examples
    --------
    >>> from smalltext_core import TextDataset
    >>> train_set = TextDataset(["a fine film", "fine acting", "a dull film", "dull plot"] * 10, [1, 1, 0, 0] * 10)
    >>> classifier = KimCNNClassifier(num_classes=2, seed=1).fit(train_set)
    >>> classifier.predict(TextDataset(["fine", "so dull"])).tolist()
    [1, 0]
    """

    name = "kimcnn"
    distribution = "smalltext-kimcnn"
    version = __version__
    no_improvement_parameter = "early_stopping"

    def __init__(
        self,
        num_classes: int,
        multi_label: bool = False,
        embedding_matrix: Tensor | NDArray[np.floating[Any]] | None = None,
        device: str | torch.device | None = None,
        num_epochs: int = 10,
        mini_batch_size: int = 25,
        lr: float = 0.001,
        max_seq_len: int = 60,
        out_channels: int = 100,
        filter_padding: int = 0,
        dropout: float = 0.5,
        validation_set_size: float = 0.1,
        padding_idx: int = 0,
        kernel_heights: Sequence[int] = (3, 4, 5),
        early_stopping: int = 5,
        early_stopping_acc: float = -1,
        class_weight: ClassWeight = None,
        verbosity: int = VERBOSITY_MORE_VERBOSE,
        *,
        embeddings: str | Path | Vectors | None = None,
        embedding_dim: int = 300,
        static: bool = False,
        max_norm: float | None = 3.0,
        max_gradient_norm: float = 3.0,
        min_frequency: int = 1,
        lowercase: bool = True,
        multi_label_threshold: float = 0.5,
        precision: PrecisionName = "float32",
        warm_start: bool = False,
        seed: int | None = None,
        mixed_precision: bool | None = None,
    ) -> None:
        super().__init__(
            num_classes,
            multi_label,
            num_epochs=num_epochs,
            lr=lr,
            mini_batch_size=mini_batch_size,
            validation_set_size=validation_set_size,
            early_stopping_no_improvement=early_stopping,
            early_stopping_acc=early_stopping_acc,
            class_weight=class_weight,
            device=device,
            verbosity=verbosity,
            seed=seed,
            multi_label_threshold=multi_label_threshold,
            precision=precision,
            mixed_precision=mixed_precision,
            max_gradient_norm=max_gradient_norm,
            warm_start=warm_start,
        )
        self.early_stopping = early_stopping
        self.out_channels = check_count("out_channels", out_channels)
        self.kernel_heights = check_heights(kernel_heights)
        self.filter_padding = check_count("filter_padding", filter_padding, 0)
        self.max_seq_len = check_count("max_seq_len", max_seq_len)
        if self.max_seq_len <= 2 * self.filter_padding:
            raise InvalidInputError(
                "max_seq_len",
                f"{brief(max_seq_len)} with filter_padding={brief(filter_padding)}",
                "room for one token between the padding: more than twice filter_padding",
            )
        self.dropout = check_share("dropout", dropout)
        self.padding_idx = check_count("padding_idx", padding_idx, 0)
        self.embedding_matrix = check_matrix(embedding_matrix)
        self.embeddings = check_source(embeddings, embedding_matrix)
        self.embedding_dim = check_count("embedding_dim", embedding_dim)
        self.static = validation.check_flag("static", static)
        self.max_norm = check_max_norm(max_norm)
        self.min_frequency = check_count("min_frequency", min_frequency)
        self.lowercase = validation.check_flag("lowercase", lowercase)

    @overload
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: Literal[False] = False,
        embedding_method: EmbeddingMethod = "pooled",
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> NDArray[np.float32]: ...
    @overload
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: Literal[True],
        embedding_method: EmbeddingMethod = "pooled",
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> tuple[NDArray[np.float32], Probabilities]: ...
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: bool = False,
        embedding_method: EmbeddingMethod = "pooled",
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], Probabilities]:
        """Turn texts into vectors.

        Parameters
        ----------
        data_set : TextDataset or PytorchTextClassificationDataset
        return_proba : bool, default=False
            Whether to return the probabilities as well.
        embedding_method : {"pooled", "gradient"}, default="pooled"
            "pooled": each filter's greatest answer. "gradient": for each class, the gradient of the loss by the
            weights of the last layer if that were the label; see `last_layer_gradients`.
        pbar : {"tqdm", None}, default="tqdm"
            None shows no progress bar, even where bars are wanted.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, features)
            ``features = out_channels * len(kernel_heights)``; for "gradient", ``num_classes ** 2`` times as many.
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.

        Examples
        --------
        >>> from smalltext_core import TextDataset
        >>> texts = TextDataset(["a fine film", "a dull film"] * 10, [1, 0] * 10)
        >>> classifier = KimCNNClassifier(2, seed=1, num_epochs=1, out_channels=2, kernel_heights=(2, 3)).fit(
        ...     texts
        ... )
        >>> classifier.embed(texts).shape, classifier.embed(texts, embedding_method="gradient").shape
        ((20, 4), (20, 16))
        """
        if not isinstance(embedding_method, str) or embedding_method not in ("pooled", "gradient"):
            raise InvalidInputError("embedding_method", shown(embedding_method), "'pooled' or 'gradient'")
        description = described("embed", pbar)
        validation.check_flag("return_proba", return_proba)
        fitted = self._require_fitted()
        texts = self._scoring(fitted, validation.prediction_data(data_set, fitted=True, classifier=self)).texts
        network = self._network(fitted)
        width = network.last.in_features * (self.num_classes**2 if embedding_method == "gradient" else 1)
        embeddings = np.empty((len(texts), width), dtype=np.float32)
        proba = np.empty((len(texts), self.num_classes), dtype=np.float32)
        with inference(network, Precision(fitted.device)):
            for rows, pooled in _pooled(network, texts, description, max(_NUMBERS_AT_ONCE // width, 1)):
                logits = network.last(pooled)
                proba[rows] = fitted.loss.probabilities(logits).cpu().numpy()
                if embedding_method == "gradient":
                    pooled = last_layer_gradients(pooled, logits, multi_label=self.multi_label)
                embeddings[rows] = pooled.cpu().numpy()
        return (embeddings, proba) if return_proba else embeddings

    def __repr__(self) -> str:
        """Name the number of classes."""
        kind = ", multi_label=True" if self.multi_label else ""
        return f"{type(self).__name__}(num_classes={self.num_classes}{kind})"

    def _make_encoder(self, train_set: Dataset[Any]) -> Encoder:
        return self._initial_vectors().encoder(self._vocabulary(train_set))

    def _vocabulary(self, train_set: Dataset[Any]) -> Vocabulary:
        if not isinstance(train_set, PytorchTextClassificationDataset):
            if self.embedding_matrix is not None:
                raise InvalidInputError(
                    "train_set",
                    type(train_set).__name__,
                    "a PytorchTextClassificationDataset, whose vocabulary says which word each row of "
                    "embedding_matrix is for",
                    "Or pass embeddings, in which the words stand beside their vectors.",
                )
            return Vocabulary.from_texts(
                train_set.x,
                min_frequency=self.min_frequency,
                padding_idx=self.padding_idx,
                lowercase=self.lowercase,
            )
        if train_set.vocabulary.padding_idx != self.padding_idx:
            raise InvalidInputError(
                "train_set",
                f"a vocabulary with padding_idx={train_set.vocabulary.padding_idx}",
                f"padding_idx={self.padding_idx}, as the classifier",
            )
        return train_set.vocabulary

    def _initial_vectors(self) -> InitialVectors:
        return InitialVectors(self.embedding_matrix, self.embeddings, self.embedding_dim)

    def _encode(self, encoder: Encoder, data_set: Dataset[Any]) -> Ragged:
        return encoder.encode(data_set).truncated(self.max_seq_len - 2 * self.filter_padding)

    def _make_network(self, encoder: Encoder) -> KimCNN:
        generator = np.random.default_rng(int(torch.randint(2**62, (1,))))
        return self._network_of(*self._initial_vectors().matrices(encoder, generator))

    def _empty_network(self, encoder: Encoder) -> KimCNN:
        further = len(encoder.vocabulary) - encoder.trained_words
        return self._network_of(
            torch.zeros(encoder.trained_words, encoder.dimensions),
            torch.zeros(further, encoder.dimensions) if further else None,
        )

    def _load_network(self, encoder: Encoder, folder: Path) -> nn.Module:
        check_saved_padding(self.filter_padding)
        with torch.device("meta"):  # what the weights are to be, without taking memory for it
            network = self._empty_network(encoder)
        check_shapes(network, shapes_of([folder / WEIGHTS]), folder / WEIGHTS)
        return super()._load_network(encoder, folder)

    def _network_of(self, embedding_matrix: Tensor, further_vectors: Tensor | None = None) -> KimCNN:
        return KimCNN(
            embedding_matrix.float(),
            self.num_classes,
            max_seq_len=self.max_seq_len,
            out_channels=self.out_channels,
            kernel_heights=self.kernel_heights,
            filter_padding=self.filter_padding,
            padding_idx=self.padding_idx,
            dropout=self.dropout,
            static=self.static,
            max_norm=self.max_norm,
            further_vectors=further_vectors,
        )

    def _predicted(self, fitted: Fitted[Encoder], data_set: Dataset[Any], samples: int) -> NDArray[np.float32]:
        # All dropout is behind the pooling, so the features are computed once for all samples.
        texts = self._scoring(fitted, data_set).texts
        network = self._network(fitted)
        randomness = Randomness(self.seed, fitted.device).network
        shape = (samples, self.num_classes) if samples > 1 else (self.num_classes,)
        proba = np.empty((len(texts), *shape), dtype=np.float32)
        at_once = max(_NUMBERS_AT_ONCE // (samples * network.last.in_features), 1)
        with inference(network, Precision(fitted.device)):
            for rows, pooled in _pooled(network, texts, "predict", at_once):
                if samples > 1:
                    with randomness.lent():
                        pooled = functional.dropout(
                            pooled.repeat_interleave(samples, 0), self.dropout, inplace=True
                        )
                drawn = fitted.loss.probabilities(network.last(pooled))
                proba[rows] = drawn.cpu().numpy().reshape(-1, *shape)
        return proba

    def _network(self, fitted: Fitted[Encoder]) -> KimCNN:
        assert isinstance(fitted.network, KimCNN)
        return fitted.network

    def _forward(self, network: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = network(batch.tokens)
        return logits

    def _padding(self, encoder: Encoder) -> int:
        return encoder.vocabulary.padding_idx

    def _save_encoder(self, encoder: Encoder, folder: Path) -> None:
        encoder.save(folder)

    def _load_encoder(self, folder: Path) -> Encoder:
        return Encoder.load(folder)

    def _saved_parameters(self) -> dict[str, Any]:
        # Vectors are not written twice: the weights hold what became of them. To train again a model that was
        # loaded, they have to be there; `fit` then finds the file under its path, or says what is missing.
        saved = {**super()._saved_parameters(), "embedding_matrix": None}
        if isinstance(self.embeddings, Vectors) or self.embedding_matrix is not None:
            return {**saved, "embeddings": _NOT_SAVED}
        return {**saved, "embeddings": None if self.embeddings is None else abbreviated(str(self.embeddings))}

    @classmethod
    def _loaded_parameters(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        source = saved["embeddings"]
        expanded = str(Path(source).expanduser()) if isinstance(source, str) else source
        return {**super()._loaded_parameters(saved), "embeddings": expanded}


def _pooled(
    network: KimCNN, texts: Ragged, description: str | None, at_once: int
) -> Iterator[tuple[slice, Tensor]]:
    """Yield the pooled features of so many texts at once, and which texts these are."""
    with progress_bar(len(texts), description, "text") as bar:
        for rows, pooled in pooled_features(network, texts):
            for start in range(rows.start, rows.stop, at_once):
                some = slice(start, min(start + at_once, rows.stop))
                yield some, pooled[some.start - rows.start : some.stop - rows.start]
            bar.update(rows.stop - rows.start)
