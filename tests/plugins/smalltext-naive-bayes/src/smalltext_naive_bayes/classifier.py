"""The classifier: naive Bayes that implements the protocol of smalltext directly."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from smalltext_core import (
    Dataset,
    LabelNames,
    ProbabilisticClassifier,
    TextDataset,
    validation,
)
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError
from smalltext_core.probabilities import Probabilities, empty_probabilities
from smalltext_core.saving import model_folder, read_manifest

from smalltext_naive_bayes.model import Floats, Model, train
from smalltext_naive_bayes.vocabulary import Vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self

NAME = "naive-bayes"
DISTRIBUTION = "smalltext-naive-bayes"


class NaiveBayesClassifier(ProbabilisticClassifier):
    """Multinomial naive Bayes, calibrated by a temperature.

    A multi-label problem is a binary problem for each class.

    Parameters
    ----------
    num_classes : int
    multi_label : bool, default=False
    smoothing : float, default=0.5
        The additive (Lidstone) smoothing parameter: the count that is added to each word in each class.

    Examples
    --------
    >>> classifier = NaiveBayesClassifier(num_classes=2)
    >>> train_set = TextDataset(["a fine film", "a dull film"], [1, 0])
    >>> classifier.fit(train_set).predict(TextDataset(["fine"])).tolist()
    [1]
    """

    def __init__(
        self, num_classes: int, multi_label: bool = False, *, smoothing: float = 0.5
    ) -> None:
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = multi_label
        if not 0 < smoothing < float("inf"):
            raise InvalidInputError("smoothing", repr(smoothing), "a number above 0")
        self.smoothing = smoothing
        self.fitted_: tuple[Vocabulary, list[Model], LabelNames | None] | None = None

    def fit(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Train on labelled texts, optionally with weights."""
        chosen, checked = validation.training_data(
            train_set,
            weights,
            num_classes=self.num_classes,
            multi_label=self.multi_label,
        )
        texts = _texts(chosen, "train_set")
        vocabulary = Vocabulary.of(texts)
        counts = vocabulary.count(texts)
        counted = np.ones(len(texts)) if checked is None else checked
        self.fitted_ = (
            vocabulary,
            self._train(counts, chosen.y, counted),
            chosen.label_names,
        )
        return self

    def _train(self, counts: csr_matrix, y: Any, weights: Floats) -> list[Model]:
        if not self.multi_label:
            return [train(counts, y, self.num_classes, weights, self.smoothing)]
        return [
            train(counts, applies, 2, weights, self.smoothing)
            for applies in y.toarray().T
        ]

    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Return the probability of each class for each text: float32, shape (n, num_classes)."""
        validation.prediction_data(
            data_set, fitted=self.fitted_ is not None, classifier=self
        )
        assert self.fitted_ is not None
        vocabulary, models, _ = self.fitted_
        texts = _texts(data_set, "data_set")
        if not texts:
            return empty_probabilities(self.num_classes)
        counts = vocabulary.count(texts)
        if not self.multi_label:
            return models[0].probabilities(counts).astype(np.float32)
        return np.column_stack(
            [model.probabilities(counts)[:, 1] for model in models]
        ).astype(np.float32)

    def save(self, folder: str | Path) -> None:
        """Write the fitted classifier to a folder atomically."""
        if self.fitted_ is None:
            raise NotFittedError(self)
        vocabulary, models, label_names = self.fitted_
        with model_folder(
            folder,
            classifier=NAME,
            distribution=DISTRIBUTION,
            version=version(DISTRIBUTION),
            parameters={
                "num_classes": self.num_classes,
                "multi_label": self.multi_label,
                "smoothing": self.smoothing,
            },
            label_names=label_names,
        ) as staging:
            (staging / "vocabulary.json").write_text(
                json.dumps(vocabulary.words), encoding="utf-8"
            )
            np.save(staging / "log_prior.npy", [model.log_prior for model in models])
            np.save(staging / "log_words.npy", [model.log_words for model in models])
            np.save(
                staging / "temperature.npy", [model.temperature for model in models]
            )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Load a classifier from a folder that `save` wrote; no code in the folder is run."""
        folder, manifest = Path(folder), read_manifest(folder)
        if manifest.classifier != NAME:
            raise ModelFolderError(
                f"{folder} holds a {manifest.classifier!r} classifier, not {NAME!r}."
            )
        classifier = cls(**manifest.parameters)
        words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        arrays = [
            np.load(folder / f"{name}.npy")
            for name in ("log_prior", "log_words", "temperature")
        ]
        models = [
            Model(prior, table, float(one))
            for prior, table, one in zip(*arrays, strict=True)
        ]
        classifier.fitted_ = Vocabulary(words), models, manifest.names
        return classifier


def _texts(data_set: Dataset[Any], argument: str) -> list[str]:
    if not isinstance(data_set, TextDataset):
        raise InvalidInputError(
            argument, f"a {type(data_set).__name__}", "a TextDataset"
        )
    return list(data_set.x)
