"""`EmbeddingClassifier`: a frozen encoder of texts with a linear head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_cache import CACHE_SIZE, CacheInfo, EmbeddingCache
from smalltext_core import Classifier, Dataset, ProbabilisticClassifier, TextDataset, validation
from smalltext_core.atomic import as_path
from smalltext_core.calibration import CalibrationChoice, check_calibration
from smalltext_core.conversion import is_whole
from smalltext_core.dataset import as_texts
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import brief, shown
from smalltext_core.probabilities import Probabilities
from smalltext_core.validation import ClassWeight, by_number, check_class_weight, class_weights
from smalltext_embeddings import _saving
from smalltext_embeddings._head import Head, HeadChoice, Problem, check_head, fit_head, with_descriptions
from smalltext_embeddings.dataset import EmbeddingDataset
from smalltext_embeddings.encoder_choice import as_encoder
from smalltext_embeddings.encoders import Encoder, Vectors

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

NEW_CLASS_THRESHOLD = 0.5
"""The threshold of classes that a warm start adds, if each class has its own threshold."""

LabelTexts: TypeAlias = "Mapping[str, str | Sequence[str]] | Mapping[int, str | Sequence[str]] | None"
"""Descriptions of classes, by class name, or by class number if classes have no names."""


class EmbeddingClassifier(ProbabilisticClassifier, Classifier):
    """Text classifier with a frozen encoder and logistic regression on its embeddings.

    Parameters
    ----------
    encoder : str, path, Encoder or object
        "use-multilingual" (16 languages, needs only numpy, no download); the folder or hub name of a model2vec
        static model or of a sentence transformer; or any object with ``encode(list of str)`` that returns an array
        of shape (n, dimensions).
    num_classes : int
        The number of classes, including those without training texts. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    head : float, "auto" or LogisticRegression, default="auto"
        The logistic regression on the embeddings: its `C`, the inverse regularisation strength; "auto" chooses it
        by stratified cross-validation, or uses 10 if classes have fewer than three texts. "auto" also gives
        coefficients a larger prior variance along directions of sentiment, unless cross-validation predicts better
        without, or the encoder is an object of another library than sentence-transformers and model2vec. For
        another penalty or solver, pass an unfitted scikit-learn LogisticRegression.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss, by class name (by number if classes have no names); "balanced"
        weights classes inversely to their frequency. A class that is not in the mapping has a weight of 1.
    calibration : {"auto", "none"}, default="none"
        Whether probabilities are calibrated on held-out texts, by cross-validation of the head.
    multi_label_threshold : float, sequence of float or "auto", default=0.5
        In multi-label problems, the probability above which a class applies, or one probability per class, from 0
        to below 1; "auto" chooses one per class on held-out texts.
    label_texts : mapping of str (or int) to str or list of str, optional
        Descriptions of classes, by class name (by number if classes have no names). They are used as additional
        training texts, so that a first ranking needs few labelled texts, or none.
    warm_start : bool, default=False
        Whether a later `fit` accepts new classes: `num_classes` grows if the labels or label names require it. The
        head is fitted from scratch, so that it does not depend on earlier ones. If `multi_label_threshold` has one
        threshold per class, new classes get 0.5.
    seed : int, optional
        The random seed for the folds of cross-validation, from 0 to 2**32 - 1.
    device : str or torch.device, optional
        The device that a sentence transformer runs on, such as "cpu" or "cuda"; by default the best one available.
    precision : {"float32", "auto"}, default="float32"
        The floating-point precision of a sentence transformer; "auto" is bfloat16 or float16 on devices that are
        faster with it.
    embedding_cache_size : int, default=536870912
        The maximum size in bytes of the embeddings kept in memory, shared by all classifiers of the process.
    embedding_cache_dir : path, optional
        A folder in which embeddings are stored for later processes; by default they are kept only in memory.

    Attributes
    ----------
    head_ : Head
        The fitted coefficients and intercepts, and the chosen C.
    calibration_ : Calibration or None
        The calibration of the probabilities.
    multi_label_threshold_ : ndarray of float64, shape (num_classes,), or None
        The chosen thresholds.
    label_names_ : LabelNames or None
        The names of the classes, if the training set has any.

    Raises
    ------
    InvalidInputError
        If a parameter has the wrong type or is out of range; the message names it, its value and what is allowed.
    PluginError
        If the package of the encoder is not installed; the message contains the command that installs it.

    Examples
    --------
    >>> class Letters:
    ...     def encode(self, texts):
    ...         return np.array([[text.count(letter) + 0.1 for letter in "fd"] for text in texts])
    >>> train_set = TextDataset(["a fine film", "a dull film", "fine", "dull"], [1, 0, 1, 0])
    >>> classifier = EmbeddingClassifier(Letters(), num_classes=2).fit(train_set)
    >>> classifier.predict(TextDataset(["fine, fine"])).tolist()
    [1]
    """

    def __init__(
        self,
        encoder: str | Path | Encoder | Any,
        num_classes: int,
        multi_label: bool = False,
        *,
        head: HeadChoice = "auto",
        class_weight: ClassWeight = None,
        calibration: CalibrationChoice = "none",
        multi_label_threshold: validation.Threshold = 0.5,
        label_texts: LabelTexts = None,
        warm_start: bool = False,
        seed: int | None = None,
        device: str | torch.device | None = None,
        precision: Literal["float32", "auto"] = "float32",
        embedding_cache_size: int = CACHE_SIZE,
        embedding_cache_dir: str | Path | None = None,
    ) -> None:
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.head = check_head(head)
        check_class_weight(class_weight, self.num_classes)
        self.class_weight = class_weight
        self.calibration = check_calibration(calibration)
        self.multi_label_threshold = validation.check_thresholds(multi_label_threshold, self.num_classes)
        self.label_texts = _checked_label_texts(label_texts, self.num_classes)
        self.warm_start = validation.check_flag("warm_start", warm_start)
        self.seed = validation.check_seed(seed)
        self.embedding_cache_size = validation.check_count("embedding_cache_size", embedding_cache_size, minimum=0)
        self.embedding_cache_dir = _as_cache_dir(embedding_cache_dir)
        self.encoder = as_encoder(encoder, device=device, precision=precision)
        self.device = getattr(self.encoder, "device", None)
        self.precision = getattr(self.encoder, "precision", "float32")

    def fit(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Train the head.

        Parameters
        ----------
        train_set : TextDataset or EmbeddingDataset
            Labelled texts, or their embeddings, of at least two classes. Classes with `label_texts` need none.
        weights : array-like of float, shape (n,), optional
            The weight of each text, 0 or greater; all equal by default.

        Returns
        -------
        EmbeddingClassifier
            This object. If InvalidInputError is raised, the previous model is kept.
        """
        num_classes, text_weights = self._num_classes_with(train_set), None
        described, numbers = self._descriptions(train_set, num_classes)
        if not described or not isinstance(train_set, Dataset) or len(train_set) > 0:
            train_set, text_weights = validation.training_data(
                train_set, weights, num_classes=num_classes, multi_label=self.multi_label
            )
        vectors, y, names = self._vectors(train_set, "train_set"), train_set.y, train_set.label_names
        if described:
            vectors = np.concatenate([vectors, self._cache.vectors(described, self.encoder)])
            y = with_descriptions(y, numbers, num_classes, self.multi_label)
            text_weights = None if text_weights is None else np.append(text_weights, np.ones(len(described)))
        if not self.multi_label and len(np.unique(y)) < 2:
            given = f"one class only, {y[0]}"
            raise InvalidInputError("train_set.y", given, "texts of two or more classes", "Label another text.")
        of_class = class_weights(self.class_weight, y, num_classes, names)
        head = fit_head(
            Problem(vectors, y, num_classes, text_weights, of_class),
            self.head,
            calibrate=self.calibration == "auto",
            choose_threshold=self.multi_label and self.multi_label_threshold == "auto",
            rng=np.random.default_rng(self.seed),
            directions=self.encoder.sentiment_directions if isinstance(self.head, str) else None,
        )
        before = (self.warm_start and names and getattr(self, "label_names_", None)) or names
        if isinstance(self.multi_label_threshold, tuple):
            # By name, since a new class changes the numbers of those that come after it.
            known = dict(zip(_classes(before, num_classes), self.multi_label_threshold, strict=False))
            new = _classes(names, num_classes)
            self.multi_label_threshold = tuple(known.get(name, NEW_CLASS_THRESHOLD) for name in new)
        self.num_classes = num_classes
        self._restore(head, names)
        return self

    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Predict the probability of each class.

        Parameters
        ----------
        data_set : TextDataset or EmbeddingDataset
            Texts, or their embeddings by the same encoder.

        Returns
        -------
        ndarray of float32, shape (n, num_classes)
            The columns of classes without training texts are zero.
        """
        return self.embed(data_set, return_proba=True)[1]

    @overload
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: Literal[False] = False,
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> NDArray[np.float32]: ...
    @overload
    def embed(
        self, data_set: Dataset[Any], return_proba: Literal[True], *, pbar: Literal["tqdm"] | None = "tqdm"
    ) -> tuple[NDArray[np.float32], Probabilities]: ...
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: bool = False,
        *,
        pbar: Literal["tqdm"] | None = "tqdm",  # noqa: ARG002 - active learners pass it to every classifier
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], Probabilities]:
        """Compute the embeddings of texts: the encoder's vectors, scaled to unit length.

        Parameters
        ----------
        data_set : TextDataset or EmbeddingDataset
            Texts, or their embeddings by the same encoder.
        return_proba : bool, default=False
            Whether to return the probabilities as well.
        pbar : {"tqdm", None}, default="tqdm"
            Ignored; active learners pass it.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, dimensions)
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.
        """
        validation.prediction_data(data_set, fitted=hasattr(self, "head_"), classifier=self)
        validation.check_flag("return_proba", return_proba)
        vectors = self._vectors(data_set, "data_set")
        return (vectors, self.head_.probabilities(vectors, self.multi_label)) if return_proba else vectors

    def cache_info(self) -> CacheInfo:
        """Return the hits, misses and size of the embedding cache.

        Returns
        -------
        CacheInfo
            Hits and misses are counted per classifier; texts and sizes are those of the memory cache of the
            process.
        """
        return self._cache.info()

    def save(self, folder: str | Path, *, with_encoder: bool | None = None) -> None:
        """Save the classifier to a folder.

        Parameters
        ----------
        folder : str or path
            A new folder, or a saved model, which is replaced.
        with_encoder : bool, optional
            Whether to save the encoder itself rather than just its name. By default, static models and
            "use-multilingual" are saved if they take less than 100 MB. Sentence transformers are saved by name, or
            with True as files if their weights are safetensors. In any case the encoder's fingerprint is saved,
            and loading rejects an encoder with another one.

        Raises
        ------
        NotFittedError, InvalidInputError
            If the classifier was not fitted, or with `with_encoder=True` if the encoder cannot be saved as files.
        ModelFolderError
            If the folder exists and is not a saved model.
        """
        if not hasattr(self, "head_"):
            raise NotFittedError(self)
        _saving.save(folder, self, with_encoder)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        encoder: str | Path | Encoder | Any = None,
        device: str | torch.device | None = None,
        embedding_cache_dir: str | Path | None = None,
    ) -> Self:
        """Load a classifier from a folder that `save` wrote.

        Parameters
        ----------
        folder : str or path
            A saved model.
        encoder : str, path, Encoder or object, optional
            The encoder that the classifier was trained with, if it is not in the folder. By default, the saved
            encoder or the one with the saved name.
        device : str or torch.device, optional
            The device that a sentence transformer runs on; by default the best one available.
        embedding_cache_dir : path, optional
            A folder in which embeddings are stored; it is not part of a saved model.

        Returns
        -------
        EmbeddingClassifier
            A fitted classifier, whose probabilities equal those of the saved one bit for bit. ModelFolderError is
            raised if the folder is not a saved model or is damaged, or if the encoder differs.
        """
        classifier, head, manifest = _saving.load(folder, encoder, device, cls)
        classifier.embedding_cache_dir = _as_cache_dir(embedding_cache_dir)
        classifier._restore(head, manifest.names)
        return classifier

    def __repr__(self) -> str:
        kind = ", multi_label=True" if self.multi_label else ""
        return f"{type(self).__name__}({self.encoder.name!r}, num_classes={self.num_classes}{kind})"

    def __getstate__(self) -> dict[str, Any]:
        # Embeddings stay in the process that computed them.
        return {name: value for name, value in vars(self).items() if name != "_cache"}

    def _restore(self, head: Head, label_names: LabelNames | None) -> None:
        self.head_ = head
        self.calibration_ = head.calibration
        self.multi_label_threshold_ = head.thresholds
        self.label_names_ = label_names

    @cached_property
    def _cache(self) -> EmbeddingCache:
        return EmbeddingCache(self.embedding_cache_size, self.embedding_cache_dir)

    def _vectors(self, data_set: Dataset[Any], argument: str) -> Vectors:
        if isinstance(data_set, TextDataset):
            return self._cache.vectors(data_set.x, self.encoder)
        if not isinstance(data_set, EmbeddingDataset):
            allowed = "a TextDataset or an EmbeddingDataset"
            raise InvalidInputError(argument, type(data_set).__name__, allowed, "Give the texts themselves.")
        advice = "Encode the texts with the classifier's encoder: EmbeddingDataset.from_texts(..., encoder=...)."
        if data_set.fingerprint not in (None, self.encoder.fingerprint):
            raise InvalidInputError(argument, "embeddings of another encoder", repr(self.encoder), advice)
        if (vectors := data_set.x).shape[1] != self.encoder.dimensions:
            allowed = f"{self.encoder.dimensions}, as {self.encoder!r} has"
            raise InvalidInputError(argument, f"vectors of {vectors.shape[1]} numbers", allowed, advice)
        return vectors

    def _num_classes_with(self, train_set: object) -> int:
        """Return the number of classes, which a training set may increase with a warm start."""
        if not self.warm_start or not isinstance(train_set, Dataset):
            return self.num_classes
        columns = train_set.y.shape[1] if train_set.is_multi_label else int(train_set.y.max(initial=-1)) + 1
        return max(self.num_classes, len(train_set.label_names or ()), columns)

    def _descriptions(self, train_set: object, num_classes: int) -> tuple[list[str], list[int]]:
        """Return the class descriptions of `label_texts`, and their class numbers."""
        described = self.label_texts or {}
        names = train_set.label_names if isinstance(train_set, Dataset) else None
        try:
            numbers: Any = by_number(dict.fromkeys(described, 1.0), num_classes, names)
        except InvalidInputError as error:
            raise InvalidInputError("label_texts", error.given, error.allowed, error.next_step) from None
        texts = list(chain.from_iterable(described.values()))
        return texts, np.repeat([*numbers], [*map(len, described.values())]).tolist()


def _classes(names: LabelNames | None, num_classes: int) -> list[str | int]:
    """Return the name of each class, or its number if it has none."""
    return [*(() if names is None else names.names), *range(len(names or ()), num_classes)]


def _as_cache_dir(folder: str | Path | None) -> Path | None:
    return None if folder is None else as_path(folder, "embedding_cache_dir")


def _checked_label_texts(label_texts: LabelTexts, num_classes: int) -> dict[Any, list[str]] | None:
    """Return lists of descriptions by class; raise InvalidInputError unless all are strings."""
    if label_texts is None:
        return None
    allowed = "a mapping from names (or numbers) of classes to a description, or a list of descriptions"
    if not isinstance(label_texts, Mapping):
        raise InvalidInputError("label_texts", shown(label_texts), allowed)
    checked: dict[Any, list[str]] = {}
    for label, given in label_texts.items():
        if not isinstance(label, str) and not (is_whole(label) and 0 <= int(label) < num_classes):
            raise InvalidInputError("label_texts", f"the class {brief(label)}", allowed)
        try:
            checked[label] = [given] if isinstance(given, str) else as_texts(given, "label_texts")
        except InvalidInputError as error:
            raise InvalidInputError("label_texts", f"{brief(label)}: {error.given}", allowed) from None
    return checked
