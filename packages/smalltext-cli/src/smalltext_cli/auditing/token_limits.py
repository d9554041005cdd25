"""How many texts are longer than what the installed classifiers, or a given model, read of a text."""

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
"""The number of tokens that most pretrained encoders take."""

READ_IN_TRAINING = 128
"""The number of tokens of each text that training reads at least, if its limit is that of the model."""

_PIECES_PER_WORD = 1.2
"""Measured for English with the tokenizer of BERT: 1.07 (news) to 1.21 (mails)."""

_SPECIAL_TOKENS = 2

# Scripts without spaces: a character is about a token.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    r"|[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[^\w\s]"
)


@dataclass(frozen=True)
class TokenLimit:
    """What a classifier reads of the texts.

    Parameters
    ----------
    name : str
        The name of the classifier, or the folder of the model.
    max_tokens : int or None
        The most tokens that it reads of a text; None for no limit.
    texts : int
        The number of texts that are longer.
    share : float
        The share of all tokens that is cut off, from 0 to 1.
    longest : int
        The tokens of the longest text.
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
    """Return the number of words and punctuation marks in each text; of scripts without spaces, of characters.

    Examples
    --------
    >>> word_counts(["Win a prize!", "日本"]).tolist()
    [4, 2]
    """
    return np.array([len(_WORD.findall(text)) for text in texts], dtype=np.int64)


def limits_of_classifiers(words: NDArray[np.int64]) -> Iterator[TokenLimit]:
    """Yield what each installed classifier reads of the texts by default, given the words of each.

    A classifier with a model to choose splits words into pieces, whose number is estimated; if its limit is that
    of the model, it reads 512 tokens, as most pretrained encoders do, and in training possibly fewer.
    """
    pieces = np.ceil(words * _PIECES_PER_WORD).astype(np.int64) + _SPECIAL_TOKENS
    for name, spec in classifiers().items():
        with suppress(SmallTextError):  # a broken plugin, which `smalltext list` shows
            parameters = parameters_of(spec).named
            if _LIMIT not in parameters:
                yield TokenLimit.of(name, None, words, "words")
            elif "model" in parameters:
                limit, counted = parameters[_LIMIT].default, f"estimated: {_PIECES_PER_WORD} tokens a word"
                if not isinstance(limit, int):
                    limit = _OF_MOST_ENCODERS
                    counted += f"; training may stop at {READ_IN_TRAINING}"
                yield TokenLimit.of(name, limit, pieces, counted)
            else:
                yield TokenLimit.of(name, parameters[_LIMIT].default, words, "words")


def limit_of_model(folder: str, texts: Sequence[str]) -> TokenLimit:
    """Return what a model reads of the texts, counted with its own tokenizer.

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
        raise InputFileError(str(path), f"this is no tokenizer ({error})", "Copy the folder again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokens = np.array([len(found.ids) for found in tokenizer.encode_batch(list(texts))], dtype=np.int64)
    return TokenLimit.of(folder, _max_tokens(Path(folder)), tokens, "its tokenizer")


def _max_tokens(folder: Path) -> int | None:
    """Return the least of the limits that the files of a model state."""
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
    """Return the positive numbers with a key, however deep."""
    if not isinstance(content, dict):
        return []
    found = [number for value in content.values() for number in _numbers(value, key)]
    value = content.get(key)
    return [*found, value] if isinstance(value, int) and 0 < value < 10**9 else found
