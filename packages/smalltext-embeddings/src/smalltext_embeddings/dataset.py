"""`EmbeddingDataset`: the embeddings of texts, with their labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from smalltext_cache import EmbeddingCache
from smalltext_core.conversion import as_array, positions
from smalltext_core.dataset import Dataset, as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import frozen
from smalltext_core.messages import shown
from smalltext_embeddings.encoder_choice import as_encoder
from smalltext_embeddings.encoders import Vectors, unit_vectors

if TYPE_CHECKING:
    from typing_extensions import Self


class EmbeddingDataset(Dataset[Vectors]):
    """The embeddings of texts, scaled to unit length, and their labels.

    Parameters
    ----------
    x : array-like of float, shape (n, dimensions)
        A vector for each text. The `x` of the dataset is read-only.
    y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
        Class numbers; None marks every text as unlabelled.
    target_labels : array-like of int, optional
        The class numbers that may occur; by default, from 0 to the last one in `y` or with a name.
    fingerprint : str, optional
        The fingerprint of the encoder; a classifier with another encoder rejects the dataset. By default, only the
        number of dimensions is compared.
    label_names : LabelNames or sequence of str, optional
        The names of the classes in the order of their numbers; no names by default.

    Raises
    ------
    InvalidInputError
        If `x` is not a matrix, contains NaN or infinity, or differs from `y` in length.

    Examples
    --------
    >>> dataset = EmbeddingDataset([[3.0, 4.0], [0.0, 2.0]], [1, 0])
    >>> dataset.x[1].tolist(), dataset[1].y.tolist()
    ([0.0, 1.0], [0])
    """

    def __init__(
        self,
        x: ArrayLike,
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        fingerprint: str | None = None,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None:
        if fingerprint is not None and not isinstance(fingerprint, str):
            raise InvalidInputError("fingerprint", shown(fingerprint), "that of an encoder, a str, or None")
        super().__init__(_as_vectors(x), y, target_labels, label_names=label_names)
        self.fingerprint = fingerprint

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        encoder: Any,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> Self:
        """Encode texts once, for all rounds of active learning.

        Parameters
        ----------
        texts : sequence of str
            Texts.
        y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
            Class numbers; None marks every text as unlabelled.
        target_labels : array-like of int, optional
            The class numbers that may occur; by default, from 0 to the last one in `y` or with a name.
        encoder : str, path, Encoder or object
            As for `EmbeddingClassifier`.
        label_names : LabelNames or sequence of str, optional
            The names of the classes in the order of their numbers; no names by default.

        Returns
        -------
        EmbeddingDataset

        Raises
        ------
        InvalidInputError
            If `encoder` is not an encoder, or the texts or labels are invalid.
        """
        found = as_encoder(encoder)
        vectors = EmbeddingCache().vectors(as_texts(texts, "texts"), found)
        return cls(vectors, y, target_labels, fingerprint=found.fingerprint, label_names=label_names)

    _count = staticmethod(lambda x: len(x))
    _select = staticmethod(lambda x, rows: frozen(x[positions(rows)]))
    _view = staticmethod(lambda x: x.view())
    _copy = staticmethod(lambda x: x)  # its memory is read-only

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._storage.x.flags.writeable = False  # arrays become writable when they are pickled or copied


def _as_vectors(x: ArrayLike) -> Vectors:
    allowed = "finite numbers, shape (n, dimensions)"
    given = as_array(x, "x", allowed, "vector")
    if given.ndim != 2 or given.dtype.kind not in "biuf" or given.shape[1] == 0:
        advice = "For plain texts, use smalltext_core.TextDataset."
        raise InvalidInputError("x", f"an array of {given.dtype}, shape {given.shape}", allowed, advice)
    vectors = given.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise InvalidInputError("x", "NaN, infinity, or numbers beyond single precision", allowed)
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    other = ~(np.abs(lengths - 1) < 1e-5)  # vectors of length 1 stay unchanged, bit for bit
    vectors[other] = unit_vectors(vectors[other])
    vectors.flags.writeable = False
    return vectors
