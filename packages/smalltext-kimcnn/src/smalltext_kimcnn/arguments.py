"""Checks of the parameters of the classifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smalltext_core.conversion import is_number
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.validation import check_count
from smalltext_kimcnn.network import as_float32

_MAX_PADDING = 2**12


def check_heights(kernel_heights: Sequence[int]) -> tuple[int, ...]:
    """Return kernel heights, or raise InvalidInputError."""
    sequence = isinstance(kernel_heights, Iterable) and not isinstance(kernel_heights, (str, bytes))
    heights = list(kernel_heights) if sequence and getattr(kernel_heights, "ndim", 1) != 0 else []
    if not heights:
        raise InvalidInputError("kernel_heights", shown(kernel_heights), "one or more whole numbers, 1 or above")
    return tuple(check_count("kernel_heights", height) for height in heights)


def check_dropout(dropout: object) -> float:
    """Return a dropout probability, or raise InvalidInputError."""
    if not is_number(dropout) or not 0 <= dropout < 1:
        raise InvalidInputError("dropout", shown(dropout), "a number from 0 to below 1")
    return float(dropout)


def check_max_norm(max_norm: float | None) -> float | None:
    """Return the maximum norm of a row of the last layer, or raise InvalidInputError."""
    if max_norm is None:
        return None
    if not is_number(max_norm) or not max_norm > 0:
        raise InvalidInputError("max_norm", shown(max_norm), "None, or a number above 0")
    return float(max_norm)


def check_room(max_seq_len: int, filter_padding: int) -> None:
    """Raise InvalidInputError if the padding before and after a text leaves no room for a token."""
    if max_seq_len <= 2 * filter_padding:
        given = f"{brief(max_seq_len)} with filter_padding={brief(filter_padding)}"
        allowed = "room for one token between the padding: more than twice filter_padding"
        raise InvalidInputError("max_seq_len", given, allowed)


def check_matrix(matrix: Any) -> Any:
    """Return an embedding matrix, or raise InvalidInputError."""
    if matrix is None:
        return None
    allowed = "None, or a tensor or array of finite floats, shape (words, dimensions)"
    if not isinstance(matrix, (Tensor, np.ndarray)):
        raise InvalidInputError("embedding_matrix", type(matrix).__name__, allowed)
    is_float = matrix.dtype.kind == "f" if isinstance(matrix, np.ndarray) else matrix.is_floating_point()
    is_dense = isinstance(matrix, np.ndarray) or matrix.layout is torch.strided
    if matrix.ndim != 2 or 0 in matrix.shape or not is_float or not is_dense:
        kind = matrix.dtype if is_dense else f"a sparse tensor of {matrix.dtype}"
        raise InvalidInputError("embedding_matrix", f"{kind} of shape {tuple(matrix.shape)}", allowed)
    if not as_float32(matrix).isfinite().all():
        raise InvalidInputError("embedding_matrix", "NaN, infinity or a value beyond float32", allowed)
    return matrix


def check_saved_padding(padding: int) -> None:
    """Reject a filter padding of a saved model that would exhaust memory, since it is added to every text."""
    if padding > _MAX_PADDING:
        raise InvalidInputError("filter_padding", str(padding), f"up to {_MAX_PADDING}")
