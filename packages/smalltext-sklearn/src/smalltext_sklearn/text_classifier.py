"""`TextClassifier`: any registered classifier as a scikit-learn estimator over raw texts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from smalltext_core import AnyClassifier, TextDataset, classifier_spec, create_factory
from smalltext_core.conversion import is_whole
from smalltext_core.errors import (
    AmbiguousNameError,
    InvalidInputError,
    PluginError,
    UnknownClassifierError,
    UnsupportedError,
)
from smalltext_core.factory import builder_parameters, check_parameters
from smalltext_core.messages import shown
from smalltext_core.probabilities import Probabilities
from smalltext_core.validation import check_weights
from smalltext_sklearn._inputs import Classes, as_text_column, check_several_classes, read_targets

if TYPE_CHECKING:
    from sklearn.utils import Tags
    from typing_extensions import Self

_INFERRED_FROM_Y = ("num_classes", "multi_label")

_NUMERIC_CHECKS = """
    classifier_data_not_an_array classifiers_classes classifiers_multilabel_output_format_decision_function
    classifiers_multilabel_output_format_predict classifiers_multilabel_output_format_predict_proba
    classifiers_multilabel_representation_invariance classifiers_train dict_unchanged
    dont_overwrite_parameters dtype_object estimators_dtypes estimators_fit_returns_self
    estimators_overwrite_params estimators_pickle f_contiguous_array_estimator fit2d_predict1d
    fit_check_is_fitted fit_idempotent fit_score_takes_y methods_sample_order_invariance
    methods_subset_invariance pipeline_consistency positive_only_tag_during_fit readonly_memmap_input
    sample_weight_equivalence_on_dense_data sample_weights_list sample_weights_not_an_array
    sample_weights_not_overwritten sample_weights_pandas_series sample_weights_shape supervised_y_2d
"""
EXPECTED_FAILED_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        **{
            f"check_{name}": "The check trains on a matrix of numbers, which fit refuses, since texts are strings."
            for name in _NUMERIC_CHECKS.split()
        },
        **{
            f"check_{name}": "The check varies the number of columns of a matrix; texts are a single column."
            for name in ("fit2d_1feature", "n_features_in", "n_features_in_after_fitting")
        },
        "check_estimators_nan_inf": "The check trains on numbers before it adds NaN; for a missing text, fit "
        "names the row.",
    }
)
"""Reasons by name, for ``check_estimator(TextClassifier(), expected_failed_checks=EXPECTED_FAILED_CHECKS)``."""


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier of raw texts that wraps any installed classifier, selected by name.

    It can be used like any classifier of scikit-learn: in cross-validation, grid search, pipelines, calibration,
    and libraries built on them. The number of classes, and whether the problem is multi-label, are inferred from
    `y`.

    Parameters
    ----------
    name : str, default="sklearn"
        A name from `smalltext_core.classifiers`.
    random_state : int, RandomState instance or None, default=None
        The random seed. An int is passed to the classifier as ``seed``; from a RandomState instance, each `fit`
        draws a seed; None leaves `seed` unchanged. It is ignored for classifiers without a `seed`.
    **parameters
        Parameters of the classifier, such as ``num_epochs``; ``smalltext info NAME`` lists them. The keys of a
        ``class_weight`` are labels, as they occur in `y`. Parameters that are scikit-learn estimators have
        nested parameters: ``estimator__C``. Parameters are checked by `fit` and `set_params`. With
        ``warm_start=True``, for classifiers that have this parameter, `fit` continues from the model of the
        previous `fit` if `name` and the parameters are unchanged; `y` must then have the same classes.

    Attributes
    ----------
    classes_ : ndarray, shape (classes,)
        The labels, sorted: column k of the probabilities belongs to ``classes_[k]``. In multi-label problems, the
        column numbers of `y`.
    classifier_ : smalltext_core.AnyClassifier
        The trained classifier, with further methods such as ``classifier_.save(folder)``.

    Notes
    -----
    There is no ``n_features_in_``, as in the vectorizers of scikit-learn that take raw texts.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> texts = ["a fine film", "a dull film", "fine acting", "dull acting"] * 5
    >>> labels = ["good", "bad", "good", "bad"] * 5
    >>> classifier = TextClassifier("sklearn", random_state=1)
    >>> float(cross_val_score(classifier, texts, labels).mean())
    1.0
    >>> classifier.fit(texts, labels).predict(["what a fine day"]).tolist()
    ['good']
    """

    classifier_: AnyClassifier
    _classes: Classes
    _fitted_with: tuple[Any, ...]

    def __init__(
        self,
        name: str = "sklearn",
        *,
        random_state: int | np.random.RandomState | None = None,
        **parameters: Any,
    ) -> None:
        self.name = name
        self.random_state = random_state
        self._parameters = parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return `name`, `random_state` and the parameters of the classifier.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of nested estimators.

        Returns
        -------
        dict of str to any value
        """
        parameters = {**super().get_params(deep), **self._parameters}
        if deep:
            for name, value in self._parameters.items():
                if hasattr(value, "get_params") and not isinstance(value, type):
                    nested = value.get_params(deep)
                    parameters.update({f"{name}__{inner}": nested[inner] for inner in nested})
        return parameters

    def set_params(self, **params: Any) -> Self:
        """Set `name`, `random_state`, parameters of the classifier, and nested parameters.

        Parameters
        ----------
        **params
            New values by name; ``estimator__C`` sets a parameter of a nested estimator.

        Returns
        -------
        TextClassifier
            This object.

        Raises
        ------
        InvalidInputError
            If the classifier, or the nested estimator, has no such parameter; the message lists its parameters,
            and nothing is set. For a classifier that is not installed, `fit` raises instead.
        """
        name = params.get("name", self.name)
        own = {key: params[key] for key in params if key in ("name", "random_state")}
        given = {key: params[key] for key in params if key not in own}
        known = _known_parameters(name)
        nested = [key for key in given if "__" in key and key not in {*self._parameters, *(known or ())}]
        direct = {key: given[key] for key in given if key not in nested}
        if known is not None:
            _check_names(name, direct)
        parameters = {**self._parameters, **direct}
        inner: dict[str, dict[str, Any]] = {}
        for key in nested:
            holder, _, rest = key.partition("__")
            if not hasattr(parameters.get(holder), "set_params"):
                allowed = f"parameters of estimators that were given: {', '.join(parameters) or 'none'}"
                raise InvalidInputError("parameters", shown(key), allowed, f"Give {holder} as an object first.")
            inner.setdefault(holder, {})[rest] = given[key]
        for holder, values in inner.items():
            _check_nested(holder, parameters[holder], values)
        for holder, values in inner.items():
            parameters[holder].set_params(**values)
        for key, value in own.items():
            setattr(self, key, value)
        self._parameters = parameters
        return self

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Train a new classifier.

        Parameters
        ----------
        X : list, array or series of str, shape (n,), or a single column, shape (n, 1)
            Texts.
        y : array-like, shape (n,), or indicator matrix, shape (n, classes), dense or sparse
            Labels of one sortable type: strings, ints, bools. An indicator matrix of zeros and ones has a column
            for each class; `sklearn.preprocessing.MultiLabelBinarizer` converts lists of labels.
        sample_weight : array-like of float, shape (n,), optional
            The weight of each text, 0 or greater; all equal by default. Use ``set_fit_request`` to route it in
            meta-estimators.

        Returns
        -------
        TextClassifier
            This object.

        Raises
        ------
        InvalidInputError
            If texts, labels, weights or parameters are invalid; the previous model is kept.
        UnknownClassifierError
            If no installed classifier has this name.
        UnsupportedError
            If the classifier does not support weights or multi-label problems.
        """
        classes, numbers = read_targets(y)
        count = numbers.shape[0]
        weights = None if sample_weight is None else check_weights(sample_weight, count, "sample_weight")
        check_several_classes(classes, numbers, weights)
        texts = as_text_column(X)
        try:
            check_consistent_length(texts, numbers)
        except ValueError as error:  # the message of scikit-learn
            allowed = f"as many as there are texts, {len(texts)}"
            raise InvalidInputError("y", f"{count} labels", allowed, str(error)) from error
        if weights is not None and "weights" not in classifier_spec(self.name).abilities:
            raise UnsupportedError(f"The classifier {self.name!r} takes no weights. Leave sample_weight out.")
        settings = (self.name, self.random_state, dict(self._parameters))
        if self._continues(settings):
            _check_same_classes(self._classes, classes)
            classifier = self.classifier_
        else:
            parameters = self._builder_parameters(classes)
            classifier = create_factory(
                self.name, len(classes), multi_label=classes.multi_label, **parameters
            ).new()
        train_set = TextDataset(texts, numbers, label_names=classes.names)
        options = {} if weights is None else {"weights": weights}
        self.classifier_ = classifier.fit(train_set, **options)
        self._fitted_with = settings
        self.classes_ = classes.labels
        self._classes = classes
        return self

    def predict(self, X: Any) -> Any:
        """Predict labels.

        Parameters
        ----------
        X : list, array or series of str, shape (n,), or a single column, shape (n, 1)
            Texts.

        Returns
        -------
        ndarray, shape (n,), or multi-label indicator matrix, shape (n, classes)
            Labels as in training; the matrix is sparse if the training matrix was.
        """
        check_is_fitted(self, "classifier_")
        return self._classes.decode(self.classifier_.predict(TextDataset(as_text_column(X))))

    def predict_proba(self, X: Any) -> Probabilities:
        """Predict the probability of each class.

        Parameters
        ----------
        X : list, array or series of str, shape (n,), or a single column, shape (n, 1)
            Texts.

        Returns
        -------
        ndarray of float32, shape (n, classes)
            Columns are in the order of `classes_`.
        """
        check_is_fitted(self, "classifier_")
        return self.classifier_.predict_proba(TextDataset(as_text_column(X)))

    def __sklearn_tags__(self) -> Tags:
        """Declare support for strings and multi-label targets."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags

    def _continues(self, settings: tuple[Any, ...]) -> bool:
        """Return whether `fit` continues from the previous model: warm_start is set and nothing else changed."""
        if self._parameters.get("warm_start") is not True or not hasattr(self, "classifier_"):
            return False
        return _equal(self._fitted_with, settings)

    def _builder_parameters(self, classes: Classes) -> dict[str, Any]:
        """Return the arguments of the factory: parameters, class weights by class, and the seed."""
        _check_names(self.name, self._parameters)
        parameters = dict(self._parameters)
        if isinstance(parameters.get("class_weight"), Mapping):
            parameters["class_weight"] = classes.weights(parameters["class_weight"])
        if self.random_state is None:
            return parameters
        if parameters.get("seed") is not None:
            raise InvalidInputError("random_state", shown(self.random_state), "None where seed is given")
        if "seed" in builder_parameters(self.name):
            parameters["seed"] = _seed(self.random_state)
        return parameters


def _check_same_classes(former: Classes, classes: Classes) -> None:
    """Raise InvalidInputError if the classes differ from those of the previous model."""
    same = former.multi_label == classes.multi_label and np.array_equal(former.labels, classes.labels)
    if not same:
        raise InvalidInputError(
            "y",
            f"{len(classes)} classes that are not those of the former fit",
            f"the same {len(former)} classes, since warm_start=True",
            "Set warm_start=False, or fit a clone, to start again.",
        )


def _equal(one: Any, other: Any) -> bool:
    """Return whether parameters are equal, also if some are arrays, for which == returns no bool."""
    if one is other:
        return True
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _seed(random_state: Any) -> int:
    if is_whole(random_state):
        return int(random_state)
    try:
        return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    except ValueError as error:
        allowed = "None, a whole number from 0 to 2**32 - 1, or a numpy.random.RandomState"
        raise InvalidInputError("random_state", shown(random_state), allowed) from error


def _known_parameters(name: str) -> list[str] | None:
    """Return the parameters of a classifier, or None if it cannot be loaded."""
    try:
        return list(builder_parameters(name))
    except (UnknownClassifierError, AmbiguousNameError, PluginError, InvalidInputError):
        return None


def _check_names(name: str, parameters: Mapping[str, Any]) -> None:
    for parameter in _INFERRED_FROM_Y:
        if parameter in parameters:
            allowed = "the parameters of the classifier without it"
            raise InvalidInputError("parameters", shown(parameter), allowed, "It follows from y.")
    check_parameters(name, parameters)


def _check_nested(holder: str, estimator: Any, values: Mapping[str, Any]) -> None:
    """Raise InvalidInputError if a nested estimator refuses parameters, which it would set one by one."""
    try:
        clone(estimator, safe=False).set_params(**values)
    except ValueError as error:  # the message of scikit-learn
        listed = ", ".join(f"{holder}__{name}" for name in values)
        raise InvalidInputError("parameters", listed, f"parameters of {holder}", str(error)) from error
