"""Kim's network as a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smalltext_core import validation
from smalltext_core.calibration import CalibrationChoice
from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.probabilities import Probabilities
from smalltext_core.validation import ClassWeight, Threshold, check_count
from smalltext_kimcnn import __version__
from smalltext_kimcnn.arguments import (
    check_dropout,
    check_heights,
    check_matrix,
    check_max_norm,
    check_room,
    check_saved_padding,
)
from smalltext_kimcnn.dataset import PytorchTextClassificationDataset
from smalltext_kimcnn.inference import EmbeddingMethod, TableInference
from smalltext_kimcnn.network import RANDOM_RANGE, EmbeddingInit, KimCNN, mix_with_lsa, random_vectors
from smalltext_kimcnn.vectors import Vectors, check_source, load_vectors
from smalltext_kimcnn.vocabulary import Encoder, Vocabulary
from smalltext_torch.base import TorchState
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.calibration import TemperaturePrior
from smalltext_torch.classifier import WEIGHTS, TorchClassifier
from smalltext_torch.device import PrecisionName
from smalltext_torch.model_loading import abbreviated, check_shapes, shapes_of
from smalltext_torch.progress import VERBOSITY_MORE_VERBOSE, described

_NOT_SAVED = "vectors that were passed as an object, and not saved with the model"


class KimCNNClassifier(TorchClassifier[Encoder]):
    """Convolutional network for text classification (Kim, 2014).

    Parameters
    ----------
    num_classes : int
        The number of classes, including those without training texts. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    embedding_matrix : Tensor or ndarray of float, shape (words, dimensions), optional
        The initial word vectors, one row for each word in the vocabulary of the training set; they are copied. By
        default those of `embeddings`, or random ones (CNN-rand).
    device : str or torch.device, optional
        The device to compute on, such as "cpu" or "cuda"; by default the best one available.
    num_epochs : int, default=10
        The maximum number of epochs, at least 1. Training stops early if the validation loss stops improving.
    mini_batch_size : int, default=25
        The training batch size, per process in data-parallel training. At least 1.
    lr : float, default=0.001
        The learning rate of the default optimizer, Adam. Above 0.
    max_seq_len : int, default=60
        The maximum number of tokens per text, including filter padding; longer texts are truncated.
    out_channels : int, default=100
        The number of filters for each kernel height. At least 1.
    filter_padding : int, default=0
        The number of padding tokens before and after each text. At least 0.
    dropout : float, default=0.5
        The dropout probability of the pooled features. From 0 to below 1.
    validation_set_size : float or "auto", default=0.1
        The share of the training texts that is held out for validation if no validation set is passed to `fit`.
        From 0 (no validation: the last model is kept) to below 1. "auto" is 0.1, or 0 if that is fewer than 20
        texts or lacks a class.
    kernel_heights : sequence of int, default=(3, 4, 5)
        The heights of the convolution kernels, in tokens. Each at least 1.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss, by class name (by number if classes have no names); "balanced"
        weights classes inversely to their frequency. A class that is not in the mapping has a weight of 1.
    embeddings : str, path or Vectors, optional
        Pretrained word vectors, or a file that `fit` reads: GloVe or word2vec text, or .npy or .safetensors with a
        list of words in another file; by default, vectors are learned from scratch. All words with a pretrained
        vector are in the vocabulary, even if they occur in no training text. See `read_vectors`.
    embedding_dim : int, default=300
        The number of dimensions of word vectors that are learned from scratch. At least 1.
    embedding_init : {"random", "lsa"}, default="random"
        The initial values of word vectors that are learned from scratch: random, or a mixture of random vectors
        and those of latent semantic analysis of the training texts.
    static : bool, default=False
        Whether word vectors are frozen (CNN-static).
    max_norm : float or None, default=3.0
        The maximum L2 norm of the weights of each class in the last layer, above 0; None for no constraint.
    max_gradient_norm : float, default=3.0
        The maximum L2 norm of the gradient, for gradient clipping. Above 0.
    min_frequency : int, default=1
        The minimum number of occurrences in the training texts of a word in the vocabulary, at least 1. Applies to
        a `TextDataset`.
    lowercase : bool, default=True
        Whether texts are lowercased. Applies to a `TextDataset`.
    multi_label_threshold : float, sequence of float or "auto", default=0.5
        In multi-label problems, the probability above which a class applies, or one per class; from 0 to below 1.
        "auto" chooses one per class, for the greatest F1 on the validation texts, or 0.5 for fewer than 20 texts.
    precision : {"float32", "auto"}, default="float32"
        The floating-point precision; "auto" is bfloat16 or float16 on devices that are faster with it.
    warm_start : bool, default=False
        Whether `fit` continues from the model of the previous `fit`, instead of a new one.
    seed : int, optional
        The random seed, from 0 to 2**32 - 1. The same seed, data and machine give bitwise identical results.
    min_steps : int or "auto", default=0
        The minimum number of training steps, at least 0, for which epochs are added; the early stopping patience
        is increased in proportion. "auto" is 400; a classifier by name with `num_epochs` has no minimum.
    calibration : {"auto", "none"}, default="none"
        Whether to calibrate probabilities on the validation texts: by temperature scaling, estimated from the
        training texts if there are none; if multi-label, by Platt scaling, given 20 texts and no `class_weight`.

    Other Parameters
    ----------------
    padding_idx : int, default=0
        The token id of padding. At least 0.
    early_stopping : int, default=5
        Deprecated, use ``fit(early_stopping=...)``: the early stopping patience on the validation loss, in epochs;
        0 disables it.
    early_stopping_acc : float, default=-1
        Deprecated, use ``fit(early_stopping=...)``: training stops above this training accuracy; -1 disables it.
    verbosity : int, default=VERBOSITY_MORE_VERBOSE
        The amount of logging: one of the constants of `smalltext_torch.progress`.

    Raises
    ------
    InvalidInputError
        If a parameter has the wrong type or is out of range; the message names it, its value and what is allowed.

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

    name, distribution, version = "kimcnn", "smalltext-kimcnn", __version__
    no_improvement_parameter = "early_stopping"
    auto_min_steps, training_tokens = 400, 65536  # Each pass computes a gradient of the whole embedding matrix.
    temperature_prior = TemperaturePrior(4.0, class_exponent=0.3, skill_exponent=0.9, usual_skill=0.95)

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
        validation_set_size: float | Literal["auto"] = 0.1,
        padding_idx: int = 0,
        kernel_heights: Sequence[int] = (3, 4, 5),
        early_stopping: int = 5,
        early_stopping_acc: float = -1,
        class_weight: ClassWeight = None,
        verbosity: int = VERBOSITY_MORE_VERBOSE,
        *,
        embeddings: str | Path | Vectors | None = None,
        embedding_dim: int = 300,
        embedding_init: EmbeddingInit = "random",
        static: bool = False,
        max_norm: float | None = 3.0,
        max_gradient_norm: float = 3.0,
        min_frequency: int = 1,
        lowercase: bool = True,
        multi_label_threshold: Threshold | Sequence[float] = 0.5,
        precision: PrecisionName = "float32",
        warm_start: bool = False,
        seed: int | None = None,
        min_steps: int | Literal["auto"] = 0,
        calibration: CalibrationChoice = "none",
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
            min_steps=min_steps,
            calibration=calibration,
            max_gradient_norm=max_gradient_norm,
            warm_start=warm_start,
        )
        self.early_stopping = early_stopping
        self.out_channels = check_count("out_channels", out_channels)
        self.kernel_heights = check_heights(kernel_heights)
        self.filter_padding = check_count("filter_padding", filter_padding, 0)
        self.max_seq_len = check_count("max_seq_len", max_seq_len)
        check_room(self.max_seq_len, self.filter_padding)
        self.dropout = check_dropout(dropout)
        self.padding_idx = check_count("padding_idx", padding_idx, 0)
        self.embedding_matrix = check_matrix(embedding_matrix)
        self.embeddings = check_source(embeddings, embedding_matrix)
        self.embedding_dim = check_count("embedding_dim", embedding_dim)
        self.embedding_init = validation.check_choice("embedding_init", embedding_init, ("random", "lsa"))
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
        """Compute the embeddings of texts.

        Parameters
        ----------
        data_set : TextDataset or PytorchTextClassificationDataset
            Texts; labels are ignored.
        return_proba : bool, default=False
            Whether to return the probabilities as well.
        embedding_method : {"pooled", "gradient"}, default="pooled"
            "pooled": the features after max-over-time pooling. "gradient": the gradients of the loss with respect
            to the weights of the last layer, with each class as the label; see `last_layer_gradients`.
        pbar : {"tqdm", None}, default="tqdm"
            None shows no progress bar, even if bars are enabled.

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
        >>> classifier = KimCNNClassifier(2, num_epochs=1, out_channels=2, kernel_heights=(2, 3)).fit(texts)
        >>> classifier.embed(texts).shape, classifier.embed(texts, embedding_method="gradient").shape
        ((20, 4), (20, 16))
        """
        validation.check_choice("embedding_method", embedding_method, ("pooled", "gradient"))
        validation.check_flag("return_proba", return_proba)
        state = self.require_fitted()
        data_set = validation.prediction_data(data_set, fitted=True, classifier=self)
        strategy = self.inference_strategy(state, data_set, described("embed", pbar))
        embeddings, proba = strategy.embeddings(embedding_method)
        return (embeddings, proba) if return_proba else embeddings

    def __repr__(self) -> str:
        """Name the number of classes."""
        kind = ", multi_label=True" if self.multi_label else ""
        return f"{type(self).__name__}(num_classes={self.num_classes}{kind})"

    def make_encoder(self, train_set: Dataset[Any]) -> Encoder:
        matrix = self.embedding_matrix
        if isinstance(train_set, PytorchTextClassificationDataset):
            train_set.check_padding(self.padding_idx)
            vocabulary = train_set.vocabulary
        elif matrix is None:
            limits = {"min_frequency": self.min_frequency, "padding_idx": self.padding_idx}
            vocabulary = Vocabulary.from_texts(train_set.x, lowercase=self.lowercase, **limits)
        else:
            allowed = "a PytorchTextClassificationDataset, whose vocabulary has a row each in embedding_matrix"
            advice = "Or pass embeddings, which contain the words and their vectors."
            raise InvalidInputError("train_set", type(train_set).__name__, allowed, advice)
        words = len(vocabulary)
        if matrix is not None:
            if len(matrix) != words:
                allowed = f"one for each word of the training set's vocabulary, {words}"
                raise InvalidInputError("embedding_matrix", f"{len(matrix)} rows", allowed)
            return Encoder(vocabulary, words, int(matrix.shape[1]))
        if self.embeddings is None:
            return Encoder(vocabulary, words, self.embedding_dim)
        vectors = load_vectors(self.embeddings)
        return Encoder(vectors.extend(vocabulary), words, vectors.dimensions)

    def encode(self, encoder: Encoder, data_set: Dataset[Any]) -> Ragged:
        if isinstance(data_set, TextDataset):
            texts = Ragged(*encoder.vocabulary.encode(data_set.x))
        else:
            texts = PytorchTextClassificationDataset.of(data_set).ids_in(encoder.vocabulary)
        return texts.truncated(self.max_seq_len - 2 * self.filter_padding)

    def make_network(self, encoder: Encoder) -> KimCNN:
        if self.embedding_matrix is not None:
            return self._network_of(self.embedding_matrix)
        generator = np.random.default_rng(int(torch.randint(2**62, (1,))))
        if self.embeddings is None:
            matrix = random_vectors(encoder.vocabulary, self.embedding_dim, RANDOM_RANGE, generator)
            return self._network_of(matrix)
        vectors = load_vectors(self.embeddings)
        matrix, further = vectors.lay_out(encoder.trained_vocabulary(), generator), encoder.further_words
        return self._network_of(matrix, torch.from_numpy(vectors.of(further)) if further else None)

    def initialize(self, network: Any, texts: Ragged) -> None:
        if self.embedding_init == "lsa" and self.embeddings is None and self.embedding_matrix is None:
            generator = np.random.default_rng(int(torch.randint(2**62, (1,))))
            mix_with_lsa(network.embedding.weight.detach().numpy(), texts, generator)

    def make_empty_network(self, encoder: Encoder) -> KimCNN:
        further = len(encoder.further_words)
        return self._network_of(
            torch.zeros(encoder.trained_words, encoder.dimensions),
            torch.zeros(further, encoder.dimensions) if further else None,
        )

    def load_network(self, encoder: Encoder, folder: Path) -> nn.Module:
        check_saved_padding(self.filter_padding)
        with torch.device("meta"):  # the expected shapes of the weights, without allocating memory
            network = self.make_empty_network(encoder)
        check_shapes(network, shapes_of([folder / WEIGHTS]), folder / WEIGHTS)
        return super().load_network(encoder, folder)

    def _network_of(self, embedding_matrix: Any, further_vectors: Tensor | None = None) -> KimCNN:
        return KimCNN(
            embedding_matrix,
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

    def inference_strategy(
        self, state: TorchState[Encoder], data_set: Dataset[Any], description: str | None = "predict"
    ) -> TableInference:
        assert isinstance(state.network, KimCNN)
        return TableInference(state.network, state.loss, self.encode(state.encoder, data_set), description)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        return cast("Tensor", network(batch.tokens))

    def padding(self, encoder: Encoder) -> int:
        return encoder.vocabulary.padding_idx

    def save_encoder(self, encoder: Encoder, folder: Path) -> None:
        encoder.save(folder)

    def load_encoder(self, folder: Path) -> Encoder:
        return Encoder.load(folder)

    def parameters_to_save(self) -> dict[str, Any]:
        # The weights contain the vectors, so these are not saved again; `fit` of a loaded model reads their file.
        source = None if self.embeddings is None else abbreviated(str(self.embeddings))
        if isinstance(self.embeddings, Vectors) or self.embedding_matrix is not None:
            source = _NOT_SAVED
        return {**super().parameters_to_save(), "embedding_matrix": None, "embeddings": source}

    @classmethod
    def parameters_from_saved(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        source = saved["embeddings"]
        expanded = str(Path(source).expanduser()) if isinstance(source, str) else source
        return {**super().parameters_from_saved(saved), "embeddings": expanded}
