"""What scikit-learn and its users call X, where X is texts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array

from smalltext_core.dataset import as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.values import check_ordered, columns_of

_ALLOWED = "strings: a list, an array or a series of shape (n,), or a single column of shape (n, 1)"
_NEXT_STEP = "For features that are numbers already, use a classifier of scikit-learn itself."


def as_text_column(X: Any) -> list[str]:
    """Return texts as a list of str, or say what they have to be.

    Parameters
    ----------
    X : list, array, pandas.Series or other iterable of str, shape (n,); or an array or frame, shape (n, 1)

    Raises
    ------
    InvalidInputError
        If there are several columns, or something that is not a string.
    """
    if issparse(X):
        raise InvalidInputError("X", f"a sparse matrix of {X.dtype}, shape {X.shape}", _ALLOWED, _NEXT_STEP)
    if not hasattr(X, "__array__"):
        return as_texts(X, "X")
    array = np.asarray(X)
    if array.ndim == 0 or array.dtype.kind in "biufcmM":
        given = f"an array of {array.dtype}, shape {array.shape}"
        try:
            check_array(array, dtype=None)
        except (TypeError, ValueError) as error:  # what scikit-learn refuses as well, in its words
            raise InvalidInputError("X", given, _ALLOWED, str(error)) from error
        raise InvalidInputError("X", given, _ALLOWED, _NEXT_STEP)
    if array.ndim > 1 and array.shape[1:] != (1,):
        if columns_of(X) is not None:
            check_ordered(X, "X", _ALLOWED, "text")
        raise InvalidInputError("X", f"an array of shape {array.shape}", _ALLOWED, "Select the texts.")
    return as_texts(array.ravel(), "X")
