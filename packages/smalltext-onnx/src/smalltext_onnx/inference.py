"""Inference with an exported graph: tokenized texts, batches of token ids, and the session of onnxruntime."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import one_line
from smalltext_onnx.settings import TextSettings
from smalltext_tokenizers import TokenizerError, check_tokenizer, encodable

TOKENIZER = "tokenizer.json"
"""The tokenizer file, in the format of the tokenizers library."""

INPUTS = ("input_ids", "attention_mask")
"""The inputs of a graph, int64 of shape (texts, tokens)."""

OUTPUT = "probabilities"
"""The output of a graph, float32 of shape (texts, num_classes)."""

Ids = NDArray[np.int64]

_THREADS_VARIABLE = "OMP_NUM_THREADS"

_TOKENIZED_AT_ONCE = 256
"""The number of texts tokenized per call: the output of a call takes far more memory than the token ids."""

_BATCH_TOKENS = 640
"""The maximum number of tokens per batch, including padding: more are no faster on a CPU, and take more memory."""


class TextEncoder:
    """Turns texts into token ids in the same way as the exported classifier.

    Parameters
    ----------
    tokenizer : str
        The tokenizer, in the JSON format of the tokenizers library. An untrusted one must have been checked.
    settings : TextSettings
    """

    def __init__(self, tokenizer: str, settings: TextSettings) -> None:
        self.json = tokenizer
        self.settings = settings

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self.json)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode(self, texts: Sequence[str]) -> tuple[list[Ids], NDArray[np.int64]]:
        """Return the token ids of texts, or of their windows, and the number of windows of each text.

        Raises InvalidInputError if the model has no embedding for a token.
        """
        settings = self.settings
        encoded = list(self._ids(texts))
        largest = max((int(ids.max()) for ids in encoded), default=0)
        if largest >= settings.vocabulary_size:
            allowed = f"ids that the model knows, 0 to {settings.vocabulary_size - 1}"
            raise InvalidInputError("data_set", f"a text to which the tokenizer gives the id {largest}", allowed)
        if settings.windows:
            windows = [self._windows(ids) for ids in encoded]
            return [ids for parts in windows for ids in parts], np.array([len(parts) for parts in windows])
        longer = sum(len(ids) > settings.max_length for ids in encoded)
        if longer:
            warnings.warn(
                f"{longer} of {len(texts)} texts have more than {settings.max_length} tokens and are truncated.",
                UserWarning,
                stacklevel=4,
            )
        return [self._cut(ids) for ids in encoded], np.ones(len(texts), dtype=np.int64)

    def _ids(self, texts: Sequence[str]) -> Iterator[Ids]:
        prompt, filler = self.settings.prompt, self.settings.filler
        for start in range(0, len(texts), _TOKENIZED_AT_ONCE):
            some = [prompt + encodable(text) for text in texts[start : start + _TOKENIZED_AT_ONCE]]
            for encoding in self._tokenizer.encode_batch_fast(some):
                yield np.array(encoding.ids or [filler], dtype=np.int64)

    def _cut(self, ids: Ids) -> Ids:
        """Truncate a text, keeping the special tokens at its end."""
        most, after = self.settings.max_length, self.settings.after
        return ids if len(ids) <= most else np.concatenate([ids[: most - after], ids[len(ids) - after :]])

    def _windows(self, ids: Ids) -> list[Ids]:
        """Divide a text into windows, each of which begins in the middle of the previous one."""
        settings = self.settings
        if len(ids) <= settings.max_length:
            return [ids]
        begin, end = ids[: settings.before], ids[len(ids) - settings.after :]
        inner = ids[settings.before : len(ids) - settings.after]
        room = settings.max_length - settings.before - settings.after
        starts = [*range(0, len(inner) - room, max(room // 2, 1)), len(inner) - room]
        return [np.concatenate([begin, inner[start : start + room], end]) for start in starts]

    def batches(self, encoded: Sequence[Ids]) -> Iterator[tuple[NDArray[np.intp], Ids, Ids]]:
        """Yield the row numbers, token ids and attention masks of batches of texts of similar length.

        Token ids and mask have the shape (texts, longest); texts are padded on the right.
        """
        lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        rows = np.argsort(lengths, kind="stable")
        start = 0
        while start < len(rows):
            # Lengths are ascending, so the last text of a batch determines its number of tokens including padding.
            candidates = lengths[rows[start : start + _BATCH_TOKENS]]
            fitting = candidates * np.arange(1, len(candidates) + 1) <= _BATCH_TOKENS
            stop = start + max(int(np.argmin(fitting)) if not fitting.all() else len(fitting), 1)
            chosen = rows[start:stop]
            mask = np.arange(lengths[chosen[-1]]) < lengths[chosen][:, None]
            tokens = np.full(mask.shape, self.settings.padding, dtype=np.int64)
            tokens[mask] = np.concatenate([encoded[row] for row in chosen])
            yield chosen, tokens, mask.astype(np.int64)
            start = stop


class Runtime:
    """A graph, and the session that runs it; pickles and copies contain only the graph.

    Parameters
    ----------
    model : bytes
        The content of an ONNX file, which has been checked if it is not trusted.
    num_classes : int
    threads : int or None
        The number of threads; None means that of the environment, or else the default of onnxruntime.
    """

    def __init__(self, model: bytes, num_classes: int, threads: int | None) -> None:
        self.model = model
        self._num_classes = num_classes
        self._threads = threads

    @property
    def threads(self) -> int:
        """The number of threads; 0 means the default of onnxruntime."""
        if self._threads is not None:
            return self._threads
        given = os.environ.get(_THREADS_VARIABLE, "").partition(",")[0].strip()
        return int(given) if given.isdecimal() and len(given) < 4 else 0

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised as exceptions anyway
        options.use_deterministic_compute = True
        # Busy-waiting threads would slow down everything else on a shared machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The fallback would print errors, which quote the graph, and try the same provider again.
        further = {"providers": ["CPUExecutionProvider"], "enable_fallback": False}
        return onnxruntime.InferenceSession(self.model, options, **further)

    def run(self, tokens: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the probabilities of a batch, shape (texts, num_classes), or raise ModelFolderError."""
        try:
            (proba,) = self._session.run([OUTPUT], dict(zip(INPUTS, (tokens, mask), strict=True)))
        except Exception as error:  # onnxruntime's exceptions have no more specific base class
            what = f"onnxruntime cannot compute the exported model: {one_line(str(error))}"
            raise ModelFolderError(f"{what}. It is damaged: export it again.") from error
        if proba.shape != (len(tokens), self._num_classes) or proba.dtype != np.float32:
            what = f"The exported model gives {proba.dtype} of shape {proba.shape} for {len(tokens)} texts"
            raise ModelFolderError(f"{what}, not a probability for each of {self._num_classes} classes.")
        return cast("NDArray[np.float32]", proba)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_session"}


def mean_of_windows(proba: NDArray[np.float32], counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean over the windows of each text, given the number of windows per text."""
    if len(proba) == len(counts):
        return proba
    sums = np.add.reduceat(proba, np.cumsum(counts) - counts, axis=0, dtype=np.float64)
    return np.asarray(sums / counts[:, None], dtype=np.float32)


def check_tokenizer_file(content: str) -> None:
    """Reject a tokenizer from an untrusted folder that would exhaust memory; raise ModelFolderError.

    Token ids, text replacements, and special tokens around a text are limited. A tokenizer cannot run code.
    """
    try:
        loaded = json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(
            f"{TOKENIZER} is damaged: it is not JSON ({error}). Copy the folder again."
        ) from error
    if not isinstance(loaded, dict):
        raise ModelFolderError(f"{TOKENIZER} is damaged: it holds no JSON object. Copy the folder again.")
    try:
        check_tokenizer(loaded)
    except TokenizerError as error:
        raise ModelFolderError(f"{TOKENIZER}: {one_line(str(error))}. Export the model again.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Reject duplicate keys, for which the tokenizers library may use another value."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an object has the same key twice")
    return dict(pairs)
