"""A cache of the embeddings of a sentence transformer, keyed by a fingerprint of its weights and settings.

The fingerprint is computed before each use, so that a network whose weights have changed never gets embeddings
of its previous weights.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from smalltext_cache import EmbeddingCache

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LANES = 1021
"""The number of sums that a tensor is reduced to; a prime, so that swapped rows change them."""

_NOT_SETTINGS = frozenset({"training", "name_or_path", "transformers_version", "dtype", "torch_dtype"})
"""Attributes of modules and configurations that do not change embeddings, or that differ after loading."""


class SentenceEmbeddingCache:
    """A cache of embeddings, and the fingerprint of the network that computed them last.

    Parameters
    ----------
    limit : int
        The maximum size in bytes of the embeddings kept in memory.
    folder : path or None
        The folder in which embeddings are stored for later processes.
    """

    def __init__(self, limit: int, folder: Path | None) -> None:
        self.embeddings = EmbeddingCache(limit, folder, portion=sys.maxsize)
        self._signature = self._fingerprint = b""

    def fingerprint(self, body: nn.Module, settings: Iterable[object]) -> str:
        """Return a hash of the weights and settings of a network, and of further settings.

        Hashing all weights takes as long as encoding several texts, so it is done only if a checksum, which is
        ten times as fast, has changed.
        """
        structure = "\n".join(chain(map(repr, settings), _structure(body))).encode("utf-8", "surrogatepass")
        signature = hashlib.sha256(structure)
        for tensor in _tensors(body):
            signature.update(_checksum(tensor))
        if signature.digest() != self._signature:
            full = hashlib.sha256(structure)
            for tensor in _tensors(body):
                full.update(_bytes_of(tensor).data)
            self._signature, self._fingerprint = signature.digest(), full.digest()
        return self._fingerprint.hex()


def _tensors(body: nn.Module) -> Iterator[torch.Tensor]:
    yield from body.parameters()
    yield from body.buffers()


def _bytes_of(tensor: torch.Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return found


def _checksum(tensor: torch.Tensor) -> bytes:
    """Return sums of a tensor's bits, its memory address, and the number of its in-place changes."""
    data = _bytes_of(tensor)
    lanes = len(data) // (8 * _LANES)
    whole: NDArray[np.int64] = data[: lanes * 8 * _LANES].view(np.int64).reshape(lanes, _LANES).sum(axis=0)
    changes = 0 if tensor.is_inference() else tensor._version
    return b"".join(
        (f"{tensor.data_ptr()} {changes}".encode(), whole.tobytes(), data[lanes * 8 * _LANES :].tobytes())
    )


def _structure(body: nn.Module) -> Iterator[str]:
    """Yield descriptions of the modules of a network and of their settings, without the weights."""
    for name, tensor in chain(body.named_parameters(), body.named_buffers()):
        yield f"{name}: {tensor.dtype} {tuple(tensor.shape)}"
    for name, module in body.named_modules():
        kind = type(module)
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
        yield f"{name}: {kind.__module__}.{kind.__qualname__}, {hooks} hooks, {_settings(vars(module))}"
        config = getattr(module, "config", None)
        if config is not None:
            attention = getattr(config, "_attn_implementation", None)
            yield f"{name}.config: {attention}, {_settings(vars(config))}"


def _settings(attributes: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(
        (name, value)
        for name, value in attributes.items()
        if name[0] != "_" and name not in _NOT_SETTINGS and _is_plain(value)
    )


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
