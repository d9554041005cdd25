"""`SklearnDataset`: the feature vectors of texts, and their labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix, issparse

from smalltext_core.conversion import Rows, as_array, positions, read_only
from smalltext_core.dataset import Dataset, as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import frozen, view_of
from smalltext_core.messages import brief

if TYPE_CHECKING:
    from typing_extensions import Self


class SklearnDataset(Dataset[Any]):
    """The feature vectors of texts, and their labels.

    Parameters
    ----------
    x : ndarray or sparse matrix of numbers, shape (n, features)
        One row for each text. Sparse formats other than CSR are converted. The matrix is copied unless its memory
        is read-only; the `x` of the dataset is read-only.
    y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
        Class numbers; None marks every text as unlabelled.
    target_labels : array-like of int, optional
        The class numbers that may occur; by default, from 0 to the last one in `y` or with a name.
    label_names : LabelNames or sequence of str, optional
        The names of the classes in the order of their numbers; no names by default.

    Raises
    ------
    InvalidInputError
        If `x` is not a matrix, contains NaN or infinity, or differs from `y` in length.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> dataset = SklearnDataset.from_texts(["good film", "bad film"], [1, 0], TfidfVectorizer())
    >>> dataset.x.shape, dataset[1].y.tolist()
    ((2, 3), [0])
    """

    def __init__(
        self,
        x: Any,
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None:
        super().__init__(_owned(_as_features(x)), y, target_labels, label_names=label_names)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        y: object = None,
        vectorizer: Any = None,
        target_labels: ArrayLike | None = None,
        train: bool = True,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> Self:
        """Vectorize texts once, for all rounds of active learning.

        Parameters
        ----------
        texts : sequence of str
            Texts.
        y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
            Class numbers; None marks every text as unlabelled.
        vectorizer : scikit-learn transformer, default=None
            Converts texts to features, such as TfidfVectorizer. It is required; the default exists only because
            `y` is optional.
        target_labels : array-like of int, optional
            The class numbers that may occur; by default, from 0 to the last one in `y` or with a name.
        train : bool, default=True
            Whether to fit the vectorizer on these texts; with False, it must be fitted already.
        label_names : LabelNames or sequence of str, optional
            The names of the classes in the order of their numbers; no names by default.

        Returns
        -------
        SklearnDataset

        Raises
        ------
        InvalidInputError
            If `vectorizer` is not a transformer, or the texts or labels are invalid.
        """
        if not hasattr(vectorizer, "transform"):
            raise InvalidInputError("vectorizer", brief(vectorizer), "a transformer, such as TfidfVectorizer()")
        checked = as_texts(texts, "texts")
        x = vectorizer.fit_transform(checked) if train else vectorizer.transform(checked)
        if issparse(x) or isinstance(x, np.ndarray):
            for array in _arrays(x.tocsr() if issparse(x) else x):
                array.flags.writeable = False  # no other reference exists, so it need not be copied
        return cls(x, y, target_labels, label_names=label_names)

    @staticmethod
    def _count(x: Any) -> int:
        return int(x.shape[0])

    @staticmethod
    def _select(x: Any, rows: Rows) -> Any:
        return frozen(x[positions(rows)])

    @staticmethod
    def _view(x: Any) -> Any:
        return view_of(x)

    @staticmethod
    def _copy(x: Any) -> Any:
        return x  # Its memory is read-only.

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for array in _arrays(self._storage.x):
            array.flags.writeable = False  # unpickled and copied arrays are writable


def _arrays(x: Any) -> tuple[NDArray[Any], ...]:
    return (x.data, x.indices, x.indptr) if issparse(x) else (x,)


def _owned(x: Any) -> Any:
    """Return features in read-only memory, copied if other code may write to it."""
    if not issparse(x):
        return read_only(x)
    canonical = x if x.has_canonical_format else x.copy()
    canonical.sum_duplicates()  # while it is still writable
    arrays = tuple(read_only(array) for array in _arrays(canonical))
    matrix = csr_matrix(arrays, shape=x.shape, copy=False)
    matrix.has_canonical_format = True
    return matrix


def _as_features(x: Any) -> Any:
    allowed = "numbers of shape (n, features), dense or sparse"
    if isinstance(x, np.ma.MaskedArray):
        x = as_array(x, "x", allowed, "feature")
    features: Any = csr_matrix(x) if issparse(x) else np.asarray(x)
    numeric = features.dtype.kind in "biuf"
    if features.ndim != 2 or not numeric:
        given = f"an array of {features.dtype}, shape {features.shape}"
        raise InvalidInputError("x", given, allowed, "For plain texts, use smalltext_core.TextDataset.")
    values: NDArray[Any] = features.data if issparse(features) else features
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise InvalidInputError("x", "NaN or infinity", "finite numbers")
    return features
