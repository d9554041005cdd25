"""The number of texts that exceed the token limit of the installed classifiers or of a given model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.console import InputFileError
from smalltext_cli.shipped_parameters import parameters_of
from smalltext_core import classifiers
from smalltext_core.errors import SmallTextError

_LIMIT = "max_seq_len"

_OF_MOST_ENCODERS = 512
"""The token limit of most pretrained encoders."""

_OF_DEFAULT_ENCODER = 1024
"""The token limit of the default encoder, for classifiers with the parameter ``encoder``."""

READ_IN_TRAINING = 128
"""The minimum token limit in training, for classifiers whose limit is that of the model."""

_PIECES_PER_WORD = 1.2
"""The number of tokens per word, measured on English with BERT's tokenizer: 1.07 (news) to 1.21 (emails)."""

_SPECIAL_TOKENS = 2

# In scripts without spaces, a character is about one token.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[^\w\s]"
)


@dataclass(frozen=True)
class TokenLimit:
    """The token limit of a classifier, and its effect on the texts.

    Parameters
    ----------
    name : str
        The name of the classifier, or the folder of the model.
    max_tokens : int or None
        The maximum number of tokens it reads per text; None if there is no limit.
    texts : int
        The number of longer texts.
    share : float
        The share of all tokens that are truncated, from 0 to 1.
    longest : int
        The number of tokens of the longest text.
    counted : str
        How tokens were counted.
    """

    name: str
    max_tokens: int | None
    texts: int
    share: float
    longest: int
    counted: str

    @classmethod
    def of(cls, name: str, max_tokens: int | None, tokens: NDArray[np.int64], counted: str) -> TokenLimit:
        """Count the texts that are longer than a limit."""
        longest = int(tokens.max(initial=0))
        if max_tokens is None:
            return cls(name, None, 0, 0.0, longest, counted)
        cut = np.maximum(tokens - max_tokens, 0)
        return cls(
            name, max_tokens, int((cut > 0).sum()), float(cut.sum() / max(tokens.sum(), 1)), longest, counted
        )


def word_counts(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return the number of words and punctuation marks in each text, or of characters in scripts without spaces.

    Examples
    --------
    >>> word_counts(["Win a prize!", "日本"]).tolist()
    [4, 2]
    """
    return np.array([len(_WORD.findall(text)) for text in texts], dtype=np.int64)


def limits_of_classifiers(words: NDArray[np.int64]) -> Iterator[TokenLimit]:
    """Yield the default token limit of each installed classifier, given the number of words of each text.

    Classifiers with a pretrained model or encoder split words into subwords, whose number is estimated. If their
    limit is that of the model, it is assumed to be 512 tokens, as for most pretrained encoders, and possibly lower
    in training.
    """
    estimated = f"estimated: {_PIECES_PER_WORD} tokens per word"
    pieces = np.ceil(words * _PIECES_PER_WORD).astype(np.int64) + _SPECIAL_TOKENS
    for name, spec in classifiers().items():
        with suppress(SmallTextError):  # a broken plugin, which `smalltext list` reports
            parameters = parameters_of(spec).named
            if "encoder" in parameters:
                yield TokenLimit.of(name, _OF_DEFAULT_ENCODER, pieces, estimated)
            elif _LIMIT not in parameters:
                yield TokenLimit.of(name, None, words, "words")
            elif "model" in parameters:
                limit, counted = parameters[_LIMIT].default, estimated
                if not isinstance(limit, int):
                    limit = _OF_MOST_ENCODERS
                    counted += f"; training may stop at {READ_IN_TRAINING}"
                yield TokenLimit.of(name, limit, pieces, counted)
            else:
                yield TokenLimit.of(name, parameters[_LIMIT].default, words, "words")


def limit_of_model(folder: str, texts: Sequence[str]) -> TokenLimit:
    """Return the token limit of a model, with tokens counted by its own tokenizer.

    Parameters
    ----------
    folder : str
        A model that ``smalltext train`` saved, or a pretrained model, with a ``tokenizer.json``.
    texts : sequence of str

    Raises
    ------
    InputFileError
        If there is no tokenizer, or it cannot be read.
    """
    path = next(iter(sorted(Path(folder).rglob("tokenizer.json"))), None)
    if path is None:
        problem = "there is no tokenizer.json in this folder, so its tokens cannot be counted"
        raise InputFileError(folder, problem, "Give the folder of a pretrained model, or of one trained from it.")
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise InputFileError(
            folder, "its tokens cannot be counted without the package tokenizers", "pip install tokenizers"
        ) from None
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise InputFileError(str(path), f"this is not a tokenizer ({error})", "Copy the folder again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokens = np.array([len(found.ids) for found in tokenizer.encode_batch(list(texts))], dtype=np.int64)
    return TokenLimit.of(folder, _max_tokens(Path(folder)), tokens, "its tokenizer")


def _max_tokens(folder: Path) -> int | None:
    """Return the lowest token limit in the files of a model."""
    wanted = {
        "smalltext.json": _LIMIT,
        "encoder.json": "max_length",
        "sentence_bert_config.json": "max_seq_length",
        "tokenizer_config.json": "model_max_length",
        "config.json": "max_position_embeddings",
    }
    found = []
    for file, key in wanted.items():
        for path in folder.rglob(file):
            with suppress(OSError, ValueError, RecursionError):
                found += _numbers(json.loads(path.read_bytes()), key)
    return min(found, default=None)


def _numbers(content: Any, key: str) -> list[int]:
    """Return the positive numbers with a given key, at any depth."""
    if not isinstance(content, dict):
        return []
    found = [number for value in content.values() for number in _numbers(value, key)]
    value = content.get(key)
    return [*found, value] if isinstance(value, int) and 0 < value < 10**9 else found
