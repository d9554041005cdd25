"""Calibration of probabilities on held-out texts: temperature scaling and Platt scaling.

A classifier computes logits for texts that it was not trained on, fits a `Calibration` to them, and then applies
it to all logits before they become probabilities. A calibration fitted to the training texts would be wrong, since
a classifier is more confident about them than about new texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from smalltext_core.errors import ModelFolderError
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import brief
from smalltext_core.validation import check_choice, checked_weights

CalibrationChoice: TypeAlias = Literal["auto", "none"]
"""Whether probabilities are calibrated on held-out texts: the parameter `calibration` of a classifier."""

Floats: TypeAlias = "NDArray[np.floating[Any]]"

TEMPERATURES = (0.2, 20.0)
"""The bounds of fitted temperatures."""

_SCALE_SD, _OFFSET_SD = 0.5, 1.0
"""Standard deviations of the priors on the log scale and the offset of a logistic map."""

_BOUND = 1e4
"""The largest scale or offset that a saved calibration may have."""


def check_calibration(value: CalibrationChoice) -> CalibrationChoice:
    """Return the parameter `calibration`, "auto" or "none", or raise InvalidInputError."""
    return check_choice("calibration", value, ("auto", "none"))


@dataclass(frozen=True)
class Calibration:
    """A map from the logits of a classifier to those of calibrated probabilities: ``scale * logits + offset``.

    Attributes
    ----------
    method : {"temperature", "logistic"}
        "temperature" divides all logits of a single-label problem by one number, which changes no label (Guo et
        al. 2017, https://arxiv.org/abs/1706.04599). "logistic" has a scale above 0 and an offset for each class of
        a multi-label problem (Platt scaling, https://scikit-learn.org/stable/modules/calibration.html).
    scale : tuple of float
        Above 0. A single number, 1 / temperature, or one per class.
    offset : tuple of float
        A single zero, or one number per class.
    n_texts : int
        The number of held-out texts it was fitted on; 0 if only a prior was used.
    log_loss : (float, float), optional
        The mean log loss on these texts, without and with the calibration, in nats.
    calibration_error : (float, float), optional
        The expected calibration error on these texts, without and with the calibration.

    Examples
    --------
    >>> calibration = prior_temperature(2.0)
    >>> calibration.temperature
    2.0
    >>> calibration.probabilities(np.array([[0.0, 4.0]])).round(3).tolist()
    [[0.119, 0.881]]
    """

    method: Literal["temperature", "logistic"]
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    n_texts: int = 0
    log_loss: tuple[float, float] | None = None
    calibration_error: tuple[float, float] | None = None

    @property
    def temperature(self) -> float:
        """The temperature, above 1 for an overconfident classifier; for a logistic map, the geometric mean."""
        return 1.0 / math.exp(sum(map(math.log, self.scale)) / len(self.scale))

    def apply(self, logits: Floats) -> NDArray[np.float64]:
        """Return calibrated logits.

        Parameters
        ----------
        logits : ndarray of float, shape (..., num_classes)
            Logits or log-probabilities; -inf stays -inf.
        """
        return np.asarray(logits * np.array(self.scale) + np.array(self.offset), dtype=np.float64)

    def probabilities(self, logits: Floats) -> NDArray[np.float64]:
        """Return calibrated probabilities: the softmax, or the sigmoid for a logistic map, of `apply`.

        Parameters
        ----------
        logits : ndarray of float, shape (..., num_classes)
            Logits or log-probabilities.
        """
        return probabilities_of(self.apply(logits), multi_label=self.method == "logistic")

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a JSON-serialisable dict."""
        values = asdict(self).items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}

    @classmethod
    def from_json(cls, value: object, num_classes: int, multi_label: bool) -> Calibration | None:
        """Restore a calibration from the output of `to_json`; None stays None.

        Parameters
        ----------
        value : dict or None
            The value in a saved model.
        num_classes : int
            The number of classes of the classifier.
        multi_label : bool
            Whether the classifier is multi-label.

        Raises
        ------
        ModelFolderError
            If anything is missing, of another type or out of range.
        """
        if value is None:
            return None
        fields = {"method", "scale", "offset", "n_texts", "log_loss", "calibration_error"}
        method: Literal["temperature", "logistic"] = "logistic" if multi_label else "temperature"
        if not isinstance(value, Mapping) or set(value) != fields or value["method"] != method:
            raise ModelFolderError(
                f"The saved calibration is {brief(value)}, not one by {method} with {sorted(fields)}."
            )
        length = num_classes if multi_label else 1
        scale = _saved_numbers(value, "scale", length, least=1 / _BOUND)
        offset = _saved_numbers(value, "offset", length, least=-_BOUND)
        n_texts = value["n_texts"]
        if not isinstance(n_texts, int) or isinstance(n_texts, bool) or n_texts < 0:
            raise ModelFolderError(f"n_texts of the saved calibration is {brief(n_texts)}, not a whole number.")
        measured: list[tuple[float, float] | None] = []
        for name in ("log_loss", "calibration_error"):
            pair = None if value[name] is None else _saved_numbers(value, name, 2, least=0.0)
            measured.append(None if pair is None else (pair[0], pair[1]))
        return cls(method, scale, offset, n_texts, *measured)


def prior_temperature(temperature: float) -> Calibration:
    """Return the calibration of a classifier without held-out texts: a temperature known in advance.

    Parameters
    ----------
    temperature : float
        Above 0.
    """
    return Calibration("temperature", (1.0 / temperature,), (0.0,))


def fit_temperature(
    logits: Floats,
    y: NDArray[np.integer[Any]],
    weights: ArrayLike | None = None,
    *,
    prior_mean: float = 0.0,
    prior_sd: float = 0.3,
    bounds: tuple[float, float] = TEMPERATURES,
) -> Calibration:
    """Fit a temperature to held-out texts by maximum a posteriori, with a normal prior on its logarithm.

    The prior keeps the temperature stable if there are few texts: with the defaults, it weighs about as much as
    30 texts. Texts of a class whose logit is -inf are ignored, since no temperature changes their probability.

    Parameters
    ----------
    logits : ndarray of float, shape (n, num_classes)
        Logits or log-probabilities of texts that the classifier was not trained on.
    y : ndarray of int, shape (n,)
        The classes of these texts.
    weights : array-like of float, shape (n,), optional
        The weight of each text, 0 or greater; only ratios matter.
    prior_mean : float, default=0.0
        The prior mean of the log temperature.
    prior_sd : float, default=0.3
        The prior standard deviation of the log temperature. Above 0.
    bounds : (float, float), default=TEMPERATURES
        The minimum and maximum temperature.

    Examples
    --------
    >>> logits = np.tile([[0.0, 6.0]], (2000, 1))  # very confident
    >>> y = np.arange(2000) % 5 > 0  # but correct four times in five
    >>> round(float(fit_temperature(logits, y.astype(int)).probabilities(logits)[0, 1]), 2)
    0.81
    """
    logits = np.asarray(logits, dtype=np.float64)
    usable = np.isfinite(logits[np.arange(len(y)), y])
    logits, y, weight = logits[usable], y[usable], checked_weights(weights, len(usable))[usable]
    if len(y) == 0:
        return prior_temperature(float(np.clip(math.exp(prior_mean), *bounds)))
    rows = np.arange(len(y))
    margins = logits - logits[rows, y][:, None]

    def loss(log_temperature: float) -> float:
        losses = scipy.special.logsumexp(margins * math.exp(-log_temperature), axis=1)
        return float(weight @ losses) + 0.5 * ((log_temperature - prior_mean) / prior_sd) ** 2

    limits = (math.log(bounds[0]), math.log(bounds[1]))
    found = scipy.optimize.minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-5})
    fitted = prior_temperature(math.exp(float(found.x)))
    return _measured(fitted, logits, y, weight)


def fit_logistic(logits: Floats, y: scipy.sparse.csr_matrix, weights: ArrayLike | None = None) -> Calibration:
    """Fit a logistic map per class of a multi-label problem to held-out texts, by maximum a posteriori.

    First, a common map for all classes is fitted, then one per class with a normal prior centred on the common
    one, so that the map of a class with few texts stays close to it.

    Parameters
    ----------
    logits : ndarray of float, shape (n, num_classes)
        Logits of texts that the classifier was not trained on, clipped to [-30, 30].
    y : csr_matrix of int, shape (n, num_classes)
        The classes of these texts.
    weights : array-like of float, shape (n,) or (n, num_classes), optional
        The weight of each text, or of each text for each class, 0 or greater; only ratios matter.
    """
    clipped = np.clip(np.asarray(logits, dtype=np.float64), -30, 30)
    targets = _targets(y)
    weight = _weights_of_classes(weights, clipped.shape)
    flat = [part.reshape(-1, 1) for part in (clipped, targets, weight)]
    common = _logistic_maps(flat[0], flat[1], flat[2], np.zeros((2, 1)))
    maps = _logistic_maps(clipped, targets, weight, np.repeat(common, clipped.shape[1], axis=1))
    fitted = Calibration("logistic", tuple(np.exp(maps[0]).tolist()), tuple(maps[1].tolist()))
    return _measured(fitted, clipped, y, weight)


def stratified_folds(y: Labels, n_splits: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the fold of each text, from 0 to ``n_splits - 1``, stratified by class.

    Multi-label texts are stratified by the rarest of their classes.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The classes of the texts.
    n_splits : int
        The number of folds, 2 or above.
    rng : numpy Generator
        The generator that shuffles the texts of each class.
    """
    if is_multi_label(y):
        targets = _targets(y)
        count = targets.sum(axis=0)
        strata = np.where(targets > 0, count, np.inf).argmin(axis=1)
        strata[targets.sum(axis=1) == 0] = -1
    else:
        strata = np.asarray(y)
    order = rng.permutation(len(strata))
    folds = np.empty(len(strata), dtype=np.intp)
    folds[order[np.argsort(strata[order], kind="stable")]] = np.arange(len(strata)) % n_splits
    return folds


def expected_calibration_error(
    proba: Floats, y: Labels, bins: int = 15, weights: ArrayLike | None = None
) -> float:
    """Return the expected calibration error: the mean absolute gap between confidence and accuracy.

    Single-label: the probability of the predicted class is compared, in bins of equal width, with the accuracy
    (Guo et al. 2017, https://arxiv.org/abs/1706.04599). Multi-label: every probability is compared with the share
    of texts that the class applies to.

    Parameters
    ----------
    proba : ndarray of float, shape (n, num_classes)
        Predicted probabilities.
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        The true classes.
    bins : int, default=15
        The number of bins.
    weights : array-like of float, shape (n,), optional
        The weight of each text; if multi-label, also one per text and class, shape (n, num_classes).

    Examples
    --------
    >>> expected_calibration_error(np.array([[0.2, 0.8], [0.1, 0.9]]), np.array([1, 1])).__round__(2)
    0.15
    """
    proba = np.asarray(proba, dtype=np.float64)
    if is_multi_label(y):
        return _calibration_error(proba, y, _weights_of_classes(weights, proba.shape), bins)
    return _calibration_error(proba, y, checked_weights(weights, len(proba)), bins)


def _calibration_error(proba: Floats, y: Labels, weight: Floats, bins: int = 15) -> float:
    if is_multi_label(y):
        confidence, correct = proba, _targets(y)
    else:
        confidence, correct = proba.max(axis=1), (proba.argmax(axis=1) == np.asarray(y)).astype(np.float64)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of.ravel(), weights=(weight * (confidence - correct)).ravel(), minlength=bins)
    return float(np.abs(gaps).sum() / weight.sum()) if weight.size else 0.0


def _measured(fitted: Calibration, logits: Floats, y: Labels, weight: Floats) -> Calibration:
    """Add the log loss and calibration error, without and with the calibration, to a fitted calibration."""
    multi_label = fitted.method == "logistic"
    both = [probabilities_of(np.asarray(logits, dtype=np.float64), multi_label), fitted.probabilities(logits)]
    losses = [_log_loss(proba, y, weight) for proba in both]
    errors = [_calibration_error(proba, y, weight) for proba in both]
    before_after = (losses[0], losses[1])
    return replace(fitted, n_texts=len(logits), log_loss=before_after, calibration_error=(errors[0], errors[1]))


def _log_loss(proba: Floats, y: Labels, weight: Floats) -> float:
    if is_multi_label(y):
        probable = np.where(_targets(y) > 0, proba, 1 - proba)
    else:
        probable = proba[np.arange(len(proba)), np.asarray(y)]
    return float(np.average(-np.log(np.maximum(probable, 1e-15)), weights=weight))


def _logistic_maps(logits: Floats, targets: Floats, weight: Floats, prior: Floats) -> Floats:
    """Return the logarithm of the scale, and the offset, of each column: shape (2, columns)."""
    deviations = np.array([[_SCALE_SD], [_OFFSET_SD]])

    def loss(flat: Floats) -> tuple[float, Floats]:
        maps = flat.reshape(2, -1)
        scaled = np.exp(maps[0]) * logits
        mapped = scaled + maps[1]
        losses = np.logaddexp(0.0, mapped) - targets * mapped
        residuals = weight * (scipy.special.expit(mapped) - targets)
        distance = (maps - prior) / deviations
        gradient = np.array([(residuals * scaled).sum(axis=0), residuals.sum(axis=0)]) + distance / deviations
        return float((weight * losses).sum() + 0.5 * (distance**2).sum()), gradient.ravel()

    limits = [(-3.0, 3.0)] * prior.shape[1] + [(-30.0, 30.0)] * prior.shape[1]
    found = scipy.optimize.minimize(
        loss, prior.ravel(), jac=True, method="L-BFGS-B", bounds=limits, options={"maxiter": 200}
    )
    maps: Floats = found.x.reshape(2, -1)
    return maps


def _weights_of_classes(weights: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the weight of each text for each class, shape (n, num_classes), with a mean of 1."""
    if weights is not None and np.ndim(weights) == 2:
        return checked_weights(np.asarray(weights).ravel(), math.prod(shape)).reshape(shape)
    return np.repeat(checked_weights(weights, shape[0])[:, None], shape[1], axis=1)


def _targets(y: scipy.sparse.csr_matrix) -> NDArray[np.float64]:
    return np.asarray(y.toarray() > 0, dtype=np.float64)


def probabilities_of(logits: Floats, multi_label: bool) -> NDArray[np.float64]:
    """Return the sigmoid (multi-label) or the softmax of logits, shape (..., num_classes)."""
    if multi_label:
        return np.asarray(scipy.special.expit(logits), dtype=np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))  # scipy.special takes 0.2 s to import
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True), dtype=np.float64)


def _saved_numbers(value: Mapping[str, Any], name: str, length: int, least: float) -> tuple[float, ...]:
    """Return finite numbers of a saved calibration, or raise ModelFolderError."""
    numbers = value[name]
    if (
        not isinstance(numbers, (list, tuple))
        or len(numbers) != length
        or not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers)
        or not all(least <= one <= _BOUND for one in numbers)
    ):
        allowed = f"{length} numbers from {least:g} to {_BOUND:g}"
        raise ModelFolderError(f"{name} of the saved calibration is {brief(numbers)}, not {allowed}.")
    return tuple(map(float, numbers))
