"""What the parameters of the classifier have to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.validation import check_count
from smalltext_core.values import is_number
from smalltext_kimcnn.vectors import Vectors

_MOST_PADDING = 2**12


def check_heights(kernel_heights: Sequence[int]) -> tuple[int, ...]:
    """Return kernel heights, or say what they have to be."""
    sequence = isinstance(kernel_heights, Iterable) and not isinstance(kernel_heights, (str, bytes))
    heights = list(kernel_heights) if sequence and getattr(kernel_heights, "ndim", 1) != 0 else []
    if not heights:
        raise InvalidInputError("kernel_heights", shown(kernel_heights), "one or more whole numbers, 1 or above")
    return tuple(check_count("kernel_heights", height) for height in heights)


def check_saved_padding(padding: int) -> None:
    """Refuse a padding that would take all memory: every text becomes at least that long.

    Nobody pads with more tokens than the highest kernel has, but whoever made a saved model may have.
    """
    if padding > _MOST_PADDING:
        raise InvalidInputError("filter_padding", str(padding), f"up to {_MOST_PADDING}")


def check_share(argument: str, value: object) -> float:
    """Return a number that has to be from 0 to below 1, or say so."""
    if not is_number(value) or not 0 <= value < 1:
        raise InvalidInputError(argument, shown(value), "a number from 0 to below 1")
    return float(value)


def check_max_norm(max_norm: float | None) -> float | None:
    """Return a norm, or say what it has to be."""
    if max_norm is None:
        return None
    if not is_number(max_norm) or not max_norm > 0:
        raise InvalidInputError("max_norm", shown(max_norm), "None, or a number above 0")
    return float(max_norm)


def check_matrix(matrix: Any) -> Any:
    """Return an embedding matrix as it is, or say what it has to be."""
    if matrix is None:
        return None
    allowed = "None, or a tensor or array of finite floats, shape (words, dimensions)"
    if not isinstance(matrix, (Tensor, np.ndarray)):
        raise InvalidInputError("embedding_matrix", type(matrix).__name__, allowed)
    tensor = torch.as_tensor(matrix)
    if tensor.ndim != 2 or not tensor.is_floating_point() or not tensor.numel():
        raise InvalidInputError("embedding_matrix", f"{tensor.dtype} of shape {tuple(tensor.shape)}", allowed)
    if not tensor.isfinite().all():
        raise InvalidInputError("embedding_matrix", "NaN or infinity", allowed)
    return matrix


def check_source(embeddings: Any, embedding_matrix: Any) -> str | Path | Vectors | None:
    """Return where vectors come from as it is, or say what it has to be."""
    if embeddings is not None and not isinstance(embeddings, (str, Path, Vectors)):
        raise InvalidInputError(
            "embeddings", type(embeddings).__name__, "None, a path, or Vectors", "For a tensor: embedding_matrix."
        )
    if embeddings is not None and embedding_matrix is not None:
        raise InvalidInputError("embeddings", "vectors, and an embedding_matrix too", "one of the two")
    return embeddings
