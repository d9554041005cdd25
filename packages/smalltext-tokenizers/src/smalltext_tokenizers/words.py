"""The tokens of texts, joined from the cached tokens of their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_tokenizers.inputs import encodable, steps

_PER_CHARACTER = frozenset({"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"})
_AT_SPACES = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_MAX_WORDS = 200_000
"""The number of words whose tokens are cached."""


def is_wordwise(content: Mapping[str, Any]) -> bool:
    """Return whether an ASCII text can be tokenized word by word with the same result.

    Parameters
    ----------
    content : mapping
        The content of a tokenizer.json.

    Examples
    --------
    >>> is_wordwise({"normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}})
    True
    >>> is_wordwise({"normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Metaspace"}})
    False
    """
    normalizers = steps(content.get("normalizer"), "normalizers")
    pretokenizers = steps(content.get("pre_tokenizer"), "pretokenizers")
    added = content.get("added_tokens") or []
    return (
        all(step["type"] in _PER_CHARACTER for step in normalizers)
        and bool(pretokenizers)
        and pretokenizers[0]["type"] in _AT_SPACES
        and all(step["type"] in _AT_SPACES | {"Digits", "Punctuation"} for step in pretokenizers)
        and not any(" " in each["content"] or each["lstrip"] or each["rstrip"] for each in added)
    )


class CachedWordTokenizer:
    """The tokens of texts, joined from the tokens of their words, each of which is tokenized once.

    Texts share most of their words, so looking them up is several times as fast as tokenizing the texts.

    Parameters
    ----------
    tokenize : callable
        Returns the token ids of each text of a list, without special tokens.
    max_tokens : int
        The number of tokens at which `tokenize` truncates a text. Texts of more characters are tokenized as a
        whole, since it may truncate them.
    max_characters : int
        The number of characters at which texts are cut before they are tokenized.
    by_word : bool
        Whether the tokenizer `is_wordwise`; otherwise all texts are tokenized as a whole.

    Examples
    --------
    >>> tokenizer = CachedWordTokenizer(lambda texts: [[len(text)] for text in texts], 512, 4096, by_word=True)
    >>> ids, starts = tokenizer(["a fine film", "fine"])
    >>> ids.tolist(), starts.tolist()
    ([1, 4, 4, 4], [0, 3, 4])
    """

    def __init__(
        self,
        tokenize: Callable[[list[str]], Sequence[Sequence[int]]],
        max_tokens: int,
        max_characters: int,
        *,
        by_word: bool,
    ) -> None:
        self.tokenize, self.max_tokens, self.max_characters = tokenize, max_tokens, max_characters
        self.by_word = by_word
        self.known: dict[str, Sequence[int]] = {}

    def __call__(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the tokens of all texts, and the start of each text in them, followed by their number."""
        texts = list(map(encodable, texts))
        longest = self.max_tokens if self.by_word else -1
        plain = [len(text) <= longest and text.isascii() and text.isprintable() for text in texts]
        parts = [text.split() if simple else [text] for text, simple in zip(texts, plain, strict=True)]
        known = self.known
        fresh = [part for part in dict.fromkeys(chain.from_iterable(parts)) if part not in known]
        found = dict(zip(fresh, self.tokenize([part[: self.max_characters] for part in fresh]), strict=True))
        whole = {text for text, simple in zip(texts, plain, strict=True) if not simple}
        known.update((part, ids) for part, ids in found.items() if part not in whole)
        tokens = [
            list(chain.from_iterable(map(known.__getitem__, words))) if simple else found[words[0]]
            for words, simple in zip(parts, plain, strict=True)
        ]
        if len(known) > _MAX_WORDS:
            self.known = {}  # replaced rather than cleared, since other threads may use it
        starts = np.append(0, np.cumsum(list(map(len, tokens)), dtype=np.int64))
        return np.fromiter(chain.from_iterable(tokens), dtype=np.int64, count=starts[-1]), starts
