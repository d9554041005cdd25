"""The training set: validation, the split into training and held-out texts, and truncation of long texts."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, hstack

from smalltext_core import validation
from smalltext_core.classifier import ProbabilisticClassifier
from smalltext_core.conversion import is_number
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames, shown_name
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import shown
from smalltext_torch.batching import Lengths, Ragged, RowNumbers

if TYPE_CHECKING:
    from typing_extensions import TypeIs

Counts = NDArray[np.int64]

ValidationSetSize: TypeAlias = "float | Literal['auto']"

AUTO_SIZE, MIN_HELD_OUT = 0.1, 20
"""The share and the minimum number of held-out texts with the size "auto"."""

TRAINING_TOKENS = 160_000
"""The maximum number of tokens for fine-tuning on a few texts, over all epochs; see decision 51."""

MIN_TRAINING_LENGTH = 128
"""The minimum length, in tokens, to which texts are truncated."""

FEW_TEXTS = 200
"""The texts of larger training sets are not truncated, since the cost in accuracy was not measured."""

LOGGER = logging.getLogger("smalltext")


@dataclass(frozen=True)
class Examples:
    """Labelled texts as token ids, and the weight of each text's loss, if any (see `Loss.text_weights`)."""

    texts: Ragged
    y: Labels
    weights: NDArray[np.float32] | None = None

    def weights_of(self, rows: RowNumbers, device: torch.device) -> torch.Tensor | None:
        """Return the weights of some texts, on a device."""
        return None if self.weights is None else torch.from_numpy(self.weights[rows]).to(device)

    def take(self, rows: RowNumbers) -> Examples:
        """Return some of the texts."""
        return Examples(self.texts.take(rows), self.y[rows], None if self.weights is None else self.weights[rows])

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)


def check_fit_data(
    classifier: ProbabilisticClassifier,
    train_set: Dataset[Any],
    validation_set: Dataset[Any] | None,
    weights: ArrayLike | None,
) -> tuple[Dataset[Any], Dataset[Any] | None, NDArray[np.float64] | None]:
    """Check the datasets and weights passed to `fit`, and drop texts of weight zero."""
    classes: Any = {"num_classes": classifier.num_classes, "multi_label": classifier.multi_label}
    if validation_set is not None and not isinstance(validation_set, Dataset):
        raise InvalidInputError(
            "validation_set",
            type(validation_set).__name__,
            "a Dataset, or None",
            "The second argument of fit is the validation set; pass weights=... by keyword.",
        )
    train_set, checked = validation.training_data(train_set, weights, **classes)
    if validation_set is not None:
        validation_set, _ = validation.training_data(validation_set, **classes, argument="validation_set")
        check_names(validation_set, train_set.label_names, "validation_set")
    return train_set, validation_set, checked


def check_names(data_set: Dataset[Any], expected: LabelNames | None, argument: str) -> None:
    """Raise InvalidInputError if a class has another name than in training, since only its number would count."""
    given = data_set.label_names
    if given is None or expected is None:
        return
    for number, (name, other) in enumerate(zip(given.names, expected.names, strict=False)):
        if name != other:
            raise InvalidInputError(
                f"{argument}.label_names",
                f"{shown_name(name)} as the name of class {number}",
                f"{shown_name(other)}, as in training",
                "Give all datasets the same names: TextDataset.from_labels(texts, labels, label_names=names).",
            )


def names_after(former: LabelNames | None, given: LabelNames | None) -> LabelNames | None:
    """Return the names of the classes after a warm start: all former ones, if only the first are given.

    `check_names` has compared them; the network still predicts the classes that have no name in the training set.
    """
    if former is None or given is None or len(given.names) >= len(former.names):
        return given
    return former


def is_auto(value: object) -> TypeIs[Literal["auto"]]:
    """Return whether the value of a parameter is "auto"; comparing an array with a string would raise."""
    return isinstance(value, str) and value == "auto"


def check_validation_set_size(size: object) -> ValidationSetSize:
    """Return the share of the held-out set, "auto" or from 0 to below 1, or raise InvalidInputError."""
    if is_auto(size):
        return "auto"
    if not is_number(size) or not 0 <= size < 1:
        raise InvalidInputError("validation_set_size", shown(size), "a number from 0 to below 1, or 'auto'")
    return float(size)


def split_rows(y: Labels, size: ValidationSetSize, order: np.random.Generator) -> tuple[RowNumbers, RowNumbers]:
    """Split texts into a training set and a held-out set, stratified by class.

    Every class has its share of the held-out set, with at least one text in each set if it has enough texts. The
    only text of a class (or label) goes to the training set. The held-out set has ``size * n`` texts, rounded, but
    at least one unless the size is 0; it is smaller, or empty, only if too many classes have a single text.

    Parameters
    ----------
    y : ndarray of int, shape (n,), or csr_matrix, shape (n, num_classes)
        Multi-label texts are divided so that each label has its share (iterative stratification, Sechidis et al.,
        2011, https://doi.org/10.1007/978-3-642-23808-6_10).
    size : float or "auto"
        The share of texts in the held-out set, from 0 to below 1. "auto" is `AUTO_SIZE`, or 0 (which is logged) if
        there would be fewer than `MIN_HELD_OUT` held-out texts or, in single-label problems, a class would be
        missing.
    order : numpy.random.Generator
        The same state gives the same rows.

    Returns
    -------
    train, validation : ndarray of row numbers, ascending

    Raises
    ------
    InvalidInputError
        If `size` is neither "auto" nor from 0 to below 1.

    Examples
    --------
    >>> y = np.array([0] * 8 + [1] * 2)
    >>> train, validation = split_rows(y, 0.2, np.random.default_rng(1))
    >>> y[validation].tolist()
    [0, 1]
    """
    size = check_validation_set_size(size)
    count, share = y.shape[0], AUTO_SIZE if size == "auto" else size
    wanted = min(max(1, math.floor(count * share + 0.5)), count - 1)
    everything = np.arange(count), np.empty(0, dtype=np.intp)
    if share == 0 or (size == "auto" and wanted < MIN_HELD_OUT):
        what = "" if share == 0 else f": {wanted} of {count} texts would be too few to select a model on"
        LOGGER.info("no texts are held out%s", what)
        return everything
    chosen = _by_label(y, wanted, order) if is_multi_label(y) else _by_class(np.asarray(y), wanted, order)
    if size == "auto" and not is_multi_label(y) and len(np.unique(y[chosen])) < len(np.unique(y)):
        LOGGER.info("no texts are held out: a class has too few of them")
        return everything
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _by_class(y: NDArray[np.integer[Any]], wanted: int, order: np.random.Generator) -> NDArray[np.bool_]:
    _, numbers, counts = np.unique(y, return_inverse=True, return_counts=True)
    quotas = _apportion(counts, wanted, order)
    shuffled = order.permutation(len(y))
    by_class = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    rank = np.empty(len(y), dtype=np.intp)
    rank[by_class] = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen: NDArray[np.bool_] = rank < quotas[numbers]
    return chosen


def _apportion(counts: Counts, wanted: int, order: np.random.Generator) -> Counts:
    """Allocate held-out texts to classes by largest remainder; each class gets one, and keeps one for training.

    The last training text of a class with several texts is taken only if there are still too few.
    """
    most: Counts = np.where(counts > 1, counts - 1, 0)
    if most.sum() < wanted:
        most = _grow(most, np.where(counts > 1, counts, 0), wanted - most.sum(), counts.astype(float))
    wanted = min(wanted, int(most.sum()))
    share = counts * (wanted / counts.sum())
    least = np.minimum(most, 1) if wanted >= np.count_nonzero(most) else np.zeros_like(most)
    quotas: Counts = np.clip(np.floor(share).astype(np.int64), least, most)
    noise = order.uniform(0, 1e-9, len(counts))  # breaks ties
    while (missing := wanted - int(quotas.sum())) > 0:
        quotas = _grow(quotas, most, missing, share - quotas + noise)
    while (excess := int(quotas.sum()) - wanted) > 0:
        quotas = -_grow(-quotas, -least, excess, quotas - share + noise)
    return quotas


def _grow(quotas: Counts, most: Counts, missing: int, need: NDArray[np.float64]) -> Counts:
    """Add one text to up to `missing` classes below their maximum, in order of need."""
    below = np.flatnonzero(quotas < most)
    chosen = below[np.argsort(-need[below], kind="stable")][:missing]
    grown: Counts = quotas.copy()
    grown[chosen] += 1
    return grown


def _by_label(y: csr_matrix, wanted: int, order: np.random.Generator) -> NDArray[np.bool_]:
    """Choose texts label by label, beginning with the rarest, which leaves the least choice."""
    y = _with_label_for_none(y)
    by_label = y.tocsc()
    counts = np.diff(by_label.indptr)
    kept = _kept_for_training(y, by_label, counts, wanted, order)
    wanted = min(wanted, int(np.count_nonzero(~kept)))
    lacking = counts * (wanted / max(y.shape[0], 1))
    chosen = np.zeros(y.shape[0], dtype=np.bool_)
    undecided = ~kept
    for label in np.argsort(counts, kind="stable"):
        rows = _of_label(by_label, label)
        rows = rows[undecided[rows]]
        quota = min(max(math.floor(lacking[label] + 0.5), 0), wanted - int(chosen.sum()))
        picked = order.permutation(rows)[:quota]
        chosen[picked] = True
        undecided[rows] = False
        lacking -= _occurrences(y, picked)
    return _filled_up(chosen, kept, wanted, y, lacking, order)


def _with_label_for_none(y: csr_matrix) -> csr_matrix:
    """Append a label that applies to the texts without any label."""
    return csr_matrix(hstack([y, csr_matrix((np.diff(y.indptr) == 0)[:, None], dtype=y.dtype)]))


def _occurrences(y: csr_matrix, rows: RowNumbers) -> NDArray[np.float64]:
    occurrences: NDArray[np.float64] = np.bincount(y[rows].indices, minlength=y.shape[1]).astype(np.float64)
    return occurrences


def _kept_for_training(
    y: csr_matrix, by_label: Any, counts: NDArray[np.integer[Any]], wanted: int, order: np.random.Generator
) -> NDArray[np.bool_]:
    """Reserve one text per label for training, rare labels first, as far as the requested size permits."""
    kept = np.zeros(y.shape[0], dtype=np.bool_)
    covered = counts == 0
    for label in np.argsort(counts, kind="stable"):
        spare = y.shape[0] - int(kept.sum()) > wanted
        if not covered[label] and (spare or counts[label] == 1):
            row = order.choice(_of_label(by_label, label))
            kept[row] = True
            covered[y[row].indices] = True
    return kept


def _filled_up(
    chosen: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    wanted: int,
    y: csr_matrix,
    lacking: NDArray[np.float64],
    order: np.random.Generator,
) -> NDArray[np.bool_]:
    """Choose further texts up to the requested number, several at a time, for the most lacking labels first."""
    while (missing := wanted - int(chosen.sum())) > 0:
        candidates = order.permutation(np.flatnonzero(~chosen & ~kept))
        fit = (y[candidates] @ lacking) / np.diff(y.indptr)[candidates]
        picked = candidates[np.argsort(-fit, kind="stable")][: -(-missing // 4)]
        chosen[picked] = True
        lacking = lacking - _occurrences(y, picked)
    return chosen


def _of_label(by_label: Any, label: int) -> RowNumbers:
    rows: RowNumbers = by_label.indices[by_label.indptr[label] : by_label.indptr[label + 1]].astype(np.intp)
    return rows


def training_length(lengths: Lengths, passes: float, longest: int) -> int:
    """Return the maximum length of texts for which training reads at most `TRAINING_TOKENS` tokens.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n,)
        The number of tokens of each text.
    passes : float
        The total number of texts that training reads, including repetitions.
    longest : int
        The maximum length in inference, which is never exceeded.

    Returns
    -------
    int
        At least `MIN_TRAINING_LENGTH`, or `longest` if that is less.

    Examples
    --------
    >>> few, many = np.full(16, 400), np.full(160, 400)
    >>> training_length(few, 800, 512), training_length(many, 1600, 512)
    (200, 128)
    """
    if tokens_read(lengths, passes, longest) <= TRAINING_TOKENS:
        return longest
    low, high = min(MIN_TRAINING_LENGTH, longest), longest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if tokens_read(lengths, passes, middle) <= TRAINING_TOKENS else (low, middle - 1)
        )
    cut = int((lengths > low).sum())
    if cut:
        words = "training reads the first %d tokens of %d of %d texts; set max_seq_len for another length"
        LOGGER.info(words, low, cut, len(lengths))
    return low


def tokens_read(lengths: Lengths, passes: float, longest: float = np.inf) -> float:
    """Return the number of tokens in texts that are truncated to a maximum length."""
    return passes * float(np.minimum(lengths, longest).mean())
