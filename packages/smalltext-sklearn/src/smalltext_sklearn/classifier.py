"""`SklearnClassifier`: any scikit-learn estimator as a text classifier."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from smalltext_core import Classifier, Dataset, ProbabilisticClassifier, TextDataset, validation
from smalltext_core.calibration import CalibrationChoice, check_calibration
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.lazy_import import random_state_kept
from smalltext_core.messages import shown
from smalltext_core.probabilities import Probabilities, empty_probabilities
from smalltext_core.validation import ClassWeight, check_class_weight, class_weights
from smalltext_sklearn import _estimators, _out_of_fold
from smalltext_sklearn.dataset import SklearnDataset
from smalltext_sklearn.word_char_tfidf import WordCharTfidfVectorizer

if TYPE_CHECKING:
    from typing_extensions import Self

    from smalltext_core import LabelNames
    from smalltext_core.calibration import Calibration
    from smalltext_sklearn._saving import ModelState

_MAX_SCORES = 2**25
"""The maximum number of probabilities computed at once, in double precision."""


class SklearnClassifier(ProbabilisticClassifier, Classifier):
    """Text classifier around any scikit-learn estimator.

    Parameters
    ----------
    model : scikit-learn estimator
        A classifier with `fit` and `predict_proba`, or with `decision_function`, which is then calibrated by Platt
        scaling. `fit` trains a clone.
    num_classes : int
        The number of classes, including those without training texts. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text; one clone of `model` is then trained per class.
    vectorizer : scikit-learn transformer, optional
        Computes the features of texts; by default a `WordCharTfidfVectorizer`. `fit` fits a clone.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss, by class name (by number if classes have no names); "balanced"
        weights classes inversely to their frequency. A class that is not in the mapping has a weight of 1.
    multi_label_threshold : float, array-like of float of shape (num_classes,), or "auto", default=0.5
        In multi-label problems, the probability above which a class applies, or one per class; from 0 to below 1.
        "auto" chooses one per class, for the greatest F1 on out-of-fold probabilities.
    seed : int, optional
        The random seed for every ``random_state`` that is None, from 0 to 2**32 - 1. The same seed and data give
        bitwise identical results.
    calibration : {"none", "auto"}, default="none"
        "auto" calibrates probabilities on out-of-fold predictions of five-fold cross-validation, in which the
        vectorizer and the estimator are refitted: by temperature scaling, which changes no label, or, if
        multi-label, by Platt scaling. `fit` takes up to six times as long. The features of a `SklearnDataset` are
        used unchanged; if their vectorizer was fitted to the same texts, the model will be overconfident.

    Attributes
    ----------
    model_ : scikit-learn estimator, or list of them
        The fitted clone; in multi-label problems, one per class, or the constant 0.0 or 1.0 for a class that
        applies to none or all of the training texts.
    vectorizer_ : scikit-learn transformer or None
        The fitted clone; None if the training set consists of features already.
    calibration_ : Calibration or None
        The calibration of the probabilities, with the log loss and calibration error before and after it; None
        without calibration, and in multi-label problems with too few texts.
    multi_label_threshold_ : ndarray of float64, shape (num_classes,), or None
        The chosen thresholds.
    label_names_ : LabelNames or None
        The names of the classes, if the training set has any.

    Raises
    ------
    InvalidInputError
        If a parameter has the wrong type or is out of range; the message names it, its value and what is allowed.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from smalltext_core import TextDataset
    >>> train_set = TextDataset(["a fine film", "a dull film", "fine", "dull"], [1, 0, 1, 0])
    >>> classifier = SklearnClassifier(LogisticRegression(), num_classes=2).fit(train_set)
    >>> classifier.predict(TextDataset(["fine acting"])).tolist()
    [1]
    """

    model_: _estimators.FittedModel
    vectorizer_: Any
    calibration_: Calibration | None
    multi_label_threshold_: NDArray[np.float64] | None
    label_names_: LabelNames | None
    n_features_: int

    def __init__(
        self,
        model: BaseEstimator,
        num_classes: int,
        multi_label: bool = False,
        *,
        vectorizer: BaseEstimator | None = None,
        class_weight: ClassWeight = None,
        multi_label_threshold: float | Sequence[float] | NDArray[np.floating[Any]] | Literal["auto"] = 0.5,
        seed: int | None = None,
        calibration: CalibrationChoice = "none",
    ) -> None:
        _estimators.check_estimator(model)
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        check_class_weight(class_weight, self.num_classes)
        if vectorizer is not None and not hasattr(vectorizer, "fit_transform"):
            raise InvalidInputError("vectorizer", shown(vectorizer), "a transformer, such as TfidfVectorizer()")
        self.model = model
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.vectorizer = vectorizer
        self.class_weight = class_weight
        self.multi_label_threshold = validation.check_thresholds(multi_label_threshold, self.num_classes)
        self.seed = validation.check_seed(seed)
        self.calibration = check_calibration(calibration)

    def fit(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Train clones of the vectorizer and the estimator.

        Parameters
        ----------
        train_set : TextDataset or SklearnDataset
            Labelled texts, or their features, of at least two classes.
        weights : array-like of float, shape (n,), optional
            The weight of each text, 0 or greater; all equal by default.

        Returns
        -------
        SklearnClassifier
            This object.

        Raises
        ------
        InvalidInputError
            If labels, weights or texts are invalid; the previous model is kept.
        UnsupportedError
            If there are weights (or a class_weight), and the estimator does not support them.

        Notes
        -----
        For a thousand classes or more, logistic regression with the default parameters may need more than 3.5 GiB.
        Each class is then represented by the mean of the features of its texts instead, with a UserWarning; with
        few texts per class, the accuracy differs by a few hundredths. Any other estimator, or other parameters
        (such as ``C=10``), are used unchanged.
        """
        train_set, sample_weights = validation.training_data(
            train_set, weights, num_classes=self.num_classes, multi_label=self.multi_label
        )
        y = train_set.y
        balance = None
        if self.class_weight is not None:
            balance = class_weights(self.class_weight, y, self.num_classes, train_set.label_names)
        if not self.multi_label and len(np.unique(y)) < 2:
            raise InvalidInputError(
                "train_set.y", f"one class only, {y[0]}", "texts of two or more classes", "Label another text."
            )
        rng = np.random.default_rng(self.seed)
        vectorizer, x = self._fit_vectorizer(train_set, rng)
        model = _estimators.seeded_clone(self.model, rng)
        training = _estimators.Training(model, y, self.num_classes, sample_weights, balance)
        fitted = training.fit(x)
        calibration, thresholds = self._calibrate(training, x, train_set, vectorizer)
        vars(self).update(  # in one step: other threads must not see a new model with the previous vectorizer
            model_=fitted,
            vectorizer_=vectorizer,
            calibration_=calibration,
            multi_label_threshold_=thresholds,
            label_names_=train_set.label_names,
            n_features_=int(x.shape[1]),
        )
        return self

    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Predict the probability of each class.

        Parameters
        ----------
        data_set : TextDataset or SklearnDataset
            Texts, or their features if the classifier was trained on features.

        Returns
        -------
        ndarray of float32, shape (n, num_classes)
            The columns of classes without training texts are zero.

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        InvalidInputError
            If the type of the dataset, or the number of its features, differs from training.
        """
        validation.prediction_data(data_set, fitted=hasattr(self, "model_"), classifier=self)
        if len(data_set) == 0:
            return empty_probabilities(self.num_classes)
        fitted = copy.copy(self)  # `fit` in another thread does not affect it
        return fitted._proba(fitted._features(data_set))

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
        pbar: Literal["tqdm"] | None = "tqdm",  # noqa: ARG002 - too fast for a progress bar
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], Probabilities]:
        """Compute the embeddings of texts: their features, projected to 512 random dimensions if there are more.

        Parameters
        ----------
        data_set : TextDataset or SklearnDataset
            Texts, or their features if the classifier was trained on features.
        return_proba : bool, default=False
            Whether to return the probabilities as well.
        pbar : {"tqdm", None}, default="tqdm"
            Ignored; active learners pass it.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, min(features, 512))
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.
        """
        validation.prediction_data(data_set, fitted=hasattr(self, "model_"), classifier=self)
        validation.check_flag("return_proba", return_proba)
        if len(data_set) == 0:
            vectors = np.empty((0, min(self.n_features_, _estimators.EMBEDDING_DIMENSIONS)), dtype=np.float32)
            return (vectors, empty_probabilities(self.num_classes)) if return_proba else vectors
        fitted = copy.copy(self)  # as in `predict_proba`
        x = fitted._features(data_set)
        vectors = _estimators.dense_embeddings(x)
        return (vectors, fitted._proba(x)) if return_proba else vectors

    def save(self, folder: str | Path) -> None:
        """Save the classifier to a folder with skops, without pickles.

        Parameters
        ----------
        folder : str or path
            A new folder, or a saved model, which is replaced.

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        ModelFolderError
            If the folder exists and is not a saved model.
        """
        if not hasattr(self, "model_"):
            raise NotFittedError(self)
        with random_state_kept("smalltext_sklearn._saving"):
            from smalltext_sklearn import _saving
        _saving.save(self, _saving.ModelState.of(copy.copy(self)), folder)

    @classmethod
    def load(cls, folder: str | Path, *, trusted: list[str] | None = None) -> Self:
        """Load a classifier from a folder that `save` wrote.

        Parameters
        ----------
        folder : str or path
            A saved model.
        trusted : list of str, optional
            The dotted names of types that the folder may contain although their attributes cannot be checked: your
            own estimators, or some of scikit-learn's, such as ``sklearn.svm._classes.SVC``. Also token patterns
            that may take exponential time on some texts. List only what you trust.

        Returns
        -------
        SklearnClassifier
            A fitted classifier, whose probabilities equal those of the saved one bit for bit.

        Raises
        ------
        UntrustedModelError
            If the folder contains a type, or a token pattern, that is not trusted; the message names it.
        ModelFolderError
            If the folder is not a saved model, or is damaged.
        """
        with random_state_kept("smalltext_sklearn._saving"):
            from smalltext_sklearn import _saving

        return _saving.load(folder, trusted, cls._restored)

    @classmethod
    def _restored(cls, state: ModelState) -> Self:
        classifier = cls(state.model, vectorizer=state.vectorizer, **state.parameters)
        classifier.model_ = state.fitted_model
        classifier.vectorizer_ = state.fitted_vectorizer
        classifier.label_names_ = state.label_names
        classifier.n_features_ = state.n_features
        classifier.calibration_ = state.calibration
        classifier.multi_label_threshold_ = state.thresholds
        return classifier

    def __repr__(self) -> str:
        """Name the estimator and the number of classes."""
        kind = ", multi_label=True" if self.multi_label else ""
        return f"{type(self).__name__}({self.model!r}, num_classes={self.num_classes}{kind})"

    def _fit_vectorizer(self, train_set: Dataset[Any], rng: np.random.Generator) -> tuple[Any, Any]:
        if isinstance(train_set, SklearnDataset):
            return None, train_set.x
        _check_kind(train_set, "train_set")
        template = WordCharTfidfVectorizer() if self.vectorizer is None else self.vectorizer
        vectorizer = _estimators.seeded_clone(template, rng)
        try:
            return vectorizer, vectorizer.fit_transform(train_set.x, None if self.multi_label else train_set.y)
        except ValueError as error:
            if "empty vocabulary" not in str(error):
                raise
            raise InvalidInputError(
                "train_set.x",
                "texts in which the vectorizer finds no word",
                "texts with words",
                "Give a vectorizer for them, such as TfidfVectorizer(analyzer='char').",
            ) from error

    def _calibrate(
        self, training: _estimators.Training, x: Any, train_set: Dataset[Any], vectorizer: Any
    ) -> tuple[Calibration | None, NDArray[np.float64] | None]:
        """Return the calibration and the multi-label thresholds, fitted on out-of-fold predictions."""
        choose = self.multi_label and self.multi_label_threshold == "auto"
        if self.calibration == "none" and not choose:
            return None, None
        rng = np.random.default_rng(0 if self.seed is None else self.seed)
        texts = None if vectorizer is None else train_set.x
        held_out = _out_of_fold.out_of_fold_logits(training, x, texts, vectorizer, rng)
        calibration = None if self.calibration == "none" else _out_of_fold.fit_calibration(training, held_out)
        thresholds = _out_of_fold.fit_thresholds(training, held_out, calibration) if choose else None
        return calibration, thresholds

    def _features(self, data_set: Dataset[Any]) -> Any:
        if isinstance(data_set, SklearnDataset):
            if data_set.x.shape[1] != self.n_features_:
                raise InvalidInputError(
                    "data_set.x",
                    f"{data_set.x.shape[1]} features",
                    f"{self.n_features_}, as in training",
                    "Vectorize with the vectorizer that was fitted on the training texts (train=False).",
                )
            return data_set.x
        _check_kind(data_set, "data_set")
        if self.vectorizer_ is None:
            raise InvalidInputError(
                "data_set",
                "a TextDataset",
                "a SklearnDataset, as in training",
                "Fit on a TextDataset, and the classifier vectorizes texts by itself.",
            )
        return self.vectorizer_.transform(data_set.x)

    def _proba(self, x: Any) -> Probabilities:
        proba = np.empty((x.shape[0], self.num_classes), dtype=np.float32)
        rows = max(1, _MAX_SCORES // self.num_classes)
        for start in range(0, x.shape[0], rows):
            block = slice(start, start + rows)
            if self.calibration_ is None:
                proba[block] = _estimators.class_probabilities(self.model_, x[block], self.num_classes)
            else:
                logits = _estimators.class_logits(self.model_, x[block], self.num_classes)
                proba[block] = self.calibration_.probabilities(logits)
        if not np.isfinite(proba).all():
            row = int(np.flatnonzero(~np.isfinite(proba).all(axis=1))[0])
            raise InvalidInputError(
                "model", f"{type(self.model).__name__}, whose predict_proba gave NaN at row {row}", "probabilities"
            )
        return proba


def _check_kind(data_set: Dataset[Any], argument: str) -> None:
    if not isinstance(data_set, TextDataset):
        raise InvalidInputError(
            argument, type(data_set).__name__, "a TextDataset or a SklearnDataset", "Give the texts themselves."
        )
