"""What a scikit-learn estimator needs before it is an honest classifier of texts.

It is cloned, seeded, calibrated if it has no probabilities of its own, given weights only if it takes them,
and given dense features only if it refuses sparse ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_core.messages import shown

DENSE_LIMIT = 2 * 1024**3
"""The most bytes that the features of a training set may take for an estimator without sparse input."""


def check_estimator(model: object) -> None:
    """Refuse what cannot become a classifier with probabilities."""
    allowed = "a scikit-learn classifier with fit and predict_proba (or decision_function, to be calibrated)"
    if isinstance(model, type):
        raise InvalidInputError("model", f"the class {model.__name__}", allowed, f"Give {model.__name__}().")
    if not isinstance(model, BaseEstimator) or not hasattr(model, "fit"):
        raise InvalidInputError("model", shown(model), allowed)
    if not hasattr(model, "predict_proba") and not hasattr(model, "decision_function"):
        raise InvalidInputError(
            "model",
            f"{type(model).__name__}, which has neither predict_proba nor decision_function",
            allowed,
            "sklearn.linear_model.LogisticRegression is a good one for texts.",
        )


def seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """Return a clone whose open random states are drawn from `rng`, never from numpy's global one."""
    twin = clone(estimator)
    parameters = twin.get_params(deep=True)
    states = sorted(name for name in parameters if name == "random_state" or name.endswith("__random_state"))
    open_states = {name: int(rng.integers(2**31)) for name in states if parameters[name] is None}
    return twin.set_params(**open_states) if open_states else twin


def takes_weights(estimator: Any) -> bool:
    """Tell whether `fit` honours sample weights, looking through pipelines and calibration."""
    return _weights_parameter(estimator) is not None


def _weights_parameter(estimator: Any) -> str | None:
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = _weights_parameter(last)
        return None if inner is None else f"{name}__{inner}"
    if isinstance(estimator, CalibratedClassifierCV) and estimator.estimator is not None:
        return "sample_weight" if takes_weights(estimator.estimator) else None
    return "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None


def fit_estimator(estimator: Any, x: Any, y: NDArray[Any], weights: NDArray[np.float64] | None) -> Any:
    """Return a fitted clone of an estimator, calibrated if it has no probabilities of its own.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Seeded; it is left as it is.
    x : ndarray or csr_matrix, shape (n, features)
    y : ndarray of int, shape (n,)
        At least two classes.
    weights : ndarray of float64, shape (n,), or None

    Raises
    ------
    UnsupportedError
        If there are weights and the estimator takes none.
    InvalidInputError
        If it needs calibration and a class has one text only, or it needs more dense memory than is sane.
    """
    if weights is not None and not takes_weights(estimator):
        raise UnsupportedError(
            f"{type(estimator).__name__}.fit takes no sample_weight, so weights and class_weight cannot be "
            "honoured. Leave them out, or use an estimator that takes them, such as LogisticRegression."
        )
    prepared = clone(estimator) if hasattr(estimator, "predict_proba") else _calibrated(estimator, y)
    options = {} if weights is None else {_weights_parameter(prepared) or "sample_weight": weights}
    try:
        return prepared.fit(x, y, **options)
    except TypeError as error:
        if not issparse(x) or not _asks_for_dense(error):
            raise
    return clone(prepared).fit(_dense(x, type(estimator).__name__), y, **options)


def _calibrated(estimator: Any, y: NDArray[Any]) -> CalibratedClassifierCV:
    """Wrap an estimator that only has `decision_function` in Platt scaling, fitted by cross-validation."""
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        name = type(estimator).__name__
        raise InvalidInputError(
            "train_set.y",
            f"one text of class {classes[counts.argmin()]}",
            f"two or more of each class, to calibrate {name}, which has no predict_proba",
            "Label one more, or use an estimator with predict_proba, such as LogisticRegression.",
        )
    folds = int(min(5, counts.min()))
    return CalibratedClassifierCV(clone(estimator), method="sigmoid", cv=folds, ensemble=False)


def probabilities(estimator: Any, x: Any) -> NDArray[Any]:
    """Return the probabilities of a fitted estimator, shape (n, classes it knows)."""
    try:
        return np.asarray(estimator.predict_proba(x))
    except TypeError as error:
        if not issparse(x) or not _asks_for_dense(error):
            raise
    rows = max(1, int(2**26 // (8 * max(1, x.shape[1]))))
    blocks = [estimator.predict_proba(x[start : start + rows].toarray()) for start in range(0, x.shape[0], rows)]
    return np.concatenate(blocks)


def _asks_for_dense(error: TypeError) -> bool:
    return "dense" in str(error).lower() and "sparse" in str(error).lower()


def _dense(x: Any, name: str) -> NDArray[Any]:
    size = x.shape[0] * x.shape[1] * x.dtype.itemsize
    if size > DENSE_LIMIT:
        raise InvalidInputError(
            "model",
            f"{name}, which takes dense features only ({size / 2**30:.1f} GiB here)",
            f"at most {DENSE_LIMIT / 2**30:.0f} GiB of dense features",
            "Reduce them first, for example vectorizer_parameters={'max_features': 5000}.",
        )
    dense: NDArray[Any] = x.toarray()
    return dense
