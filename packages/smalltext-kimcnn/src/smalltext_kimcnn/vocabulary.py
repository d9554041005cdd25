"""Vocabulary and tokenizer: how a text becomes token ids.

Texts are tokenized like the corpora of GloVe and word2vec: ``don't`` into ``do`` and ``n't``, punctuation marks as
tokens, numbers as one token, and scripts that are written without spaces into characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_tokenizers import encodable
from smalltext_torch.untrusted_json import checked_object, read_object, refuse

PADDING = "[PAD]"
UNKNOWN = "[UNK]"

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_SPACED = rf"[\w&&[^{_UNSPACED}]]"
_WORDS = (
    r"\d+(?:[.,]\d+)*"  # 3.5
    rf"|{_SPACED}+?(?=n['\u2019]t\b)|n['\u2019]t\b"  # do n't
    r"|['\u2019](?:s|ve|re|d|ll|m)\b"  # film 's
    rf"|[{_UNSPACED}]|{_SPACED}+"
    r"|[^\w\s]"
)
_ENCODED_AT_ONCE = 2_000


class Vocabulary:
    """Words in the order of their token ids, including one for padding and one for unknown words.

    Parameters
    ----------
    words : sequence of str
        All words, including the two reserved ones: the token id of ``words[i]`` is i.
    padding_idx : int, default=0
        The token id of the padding.
    unknown_idx : int, default=1
        The token id of all words that are not in `words`.
    lowercase : bool, default=True
        Whether texts are lowercased.

    Raises
    ------
    InvalidInputError
        If a word occurs twice, or `padding_idx` and `unknown_idx` are not the ids of two different words.

    Examples
    --------
    >>> vocabulary = Vocabulary.from_texts(["A fine film.", "A film"])
    >>> vocabulary.words
    ('[PAD]', '[UNK]', 'a', 'film', '.', 'fine')
    >>> ids, offsets = vocabulary.encode(["A film", "What a film"])
    >>> ids.tolist(), offsets.tolist()
    ([2, 3, 1, 2, 3], [0, 2, 5])
    """

    def __init__(
        self, words: Sequence[str], padding_idx: int = 0, unknown_idx: int = 1, lowercase: bool = True
    ) -> None:
        self.words = tuple(words)
        self.padding_idx = padding_idx
        self.unknown_idx = unknown_idx
        self.lowercase = lowercase
        self._check()

    def _check(self) -> None:
        if len(self.numbers) != len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self.numbers[word] != i)
            raise InvalidInputError("words", f"{shown(twice)} more than once", "distinct words")
        allowed = f"a word's number, 0 to {len(self) - 1}, and another one for padding than for unknown words"
        for argument in ("padding_idx", "unknown_idx"):
            number = getattr(self, argument)
            if not isinstance(number, int) or not 0 <= number < len(self):
                raise InvalidInputError(argument, shown(number), allowed, "words begins with the reserved ones.")
        if self.padding_idx == self.unknown_idx:
            raise InvalidInputError("unknown_idx", shown(self.unknown_idx), allowed)

    @classmethod
    def from_words(cls, words: Iterable[str], padding_idx: int = 0, lowercase: bool = True) -> Vocabulary:
        """Make a vocabulary of words without the reserved ones, which come first.

        Parameters
        ----------
        words : iterable of str
            The words, in the order of their token ids, which begin at 2.
        padding_idx : {0, 1}, default=0
            The token id of the padding; the other one is that of unknown words.
        lowercase : bool, default=True
            Whether texts are lowercased.

        Returns
        -------
        Vocabulary

        Raises
        ------
        InvalidInputError
            If `padding_idx` is neither 0 nor 1, or a word occurs twice.
        """
        if not is_whole(padding_idx) or padding_idx not in (0, 1):
            raise InvalidInputError(
                "padding_idx", shown(padding_idx), "0 or 1", "For another number, make a Vocabulary of all words."
            )
        reserved = (PADDING, UNKNOWN) if padding_idx == 0 else (UNKNOWN, PADDING)
        rest = (word for word in words if word not in reserved)
        return cls((*reserved, *rest), padding_idx, 1 - padding_idx, lowercase)

    @classmethod
    def from_numbers(cls, numbers: Mapping[str, int], lowercase: bool = True) -> Vocabulary:
        """Make a vocabulary of a mapping from words to token ids.

        Parameters
        ----------
        numbers : mapping of str to int
            The token id of each word, from 0 to n - 1, including those of ``[PAD]`` and ``[UNK]``.
        lowercase : bool, default=True
            Whether texts are lowercased.

        Returns
        -------
        Vocabulary

        Raises
        ------
        InvalidInputError
            If the ids are not 0 to n - 1, or a reserved word is missing.
        """
        words = sorted(numbers, key=numbers.__getitem__)
        if [numbers[word] for word in words] != list(range(len(words))) or not {
            PADDING,
            UNKNOWN,
        } <= numbers.keys():
            raise InvalidInputError(
                "vocabulary",
                f"a mapping of {len(words)} words",
                f"the numbers 0 to n - 1, each once, {PADDING!r} and {UNKNOWN!r} among the words",
                "To number the words in their order, pass a list: list(words).",
            )
        return cls(words, numbers[PADDING], numbers[UNKNOWN], lowercase)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        min_frequency: int = 1,
        max_words: int | None = None,
        padding_idx: int = 0,
        lowercase: bool = True,
    ) -> Vocabulary:
        """Make a vocabulary of the words that occur in texts, the most frequent first.

        Parameters
        ----------
        texts : iterable of str
            The texts to tokenize.
        min_frequency : int, default=1
            The minimum number of occurrences of a word. At least 1.
        max_words : int, optional
            The maximum number of words; the most frequent are kept. All by default.
        padding_idx : {0, 1}, default=0
            The token id of the padding; the other one is that of unknown words.
        lowercase : bool, default=True
            Whether texts are lowercased.

        Returns
        -------
        Vocabulary

        Raises
        ------
        InvalidInputError
            If `min_frequency`, `max_words` or `padding_idx` is out of range.
        """
        for argument, number in (("min_frequency", min_frequency), ("max_words", max_words)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise InvalidInputError(argument, shown(number), "a whole number, 1 or above")
        tokenizer = _splitter(models.WordLevel({}), lowercase)
        trainer = trainers.WordLevelTrainer(
            vocab_size=max_words or 2**31,
            min_frequency=min_frequency,
            show_progress=False,
            special_tokens=[],
        )
        tokenizer.train_from_iterator(map(encodable, texts), trainer)
        numbers = tokenizer.get_vocab()
        return cls.from_words(sorted(numbers, key=numbers.__getitem__), padding_idx, lowercase)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The token id of each word."""
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return _splitter(models.WordLevel(self.numbers, unk_token=self.words[self.unknown_idx]), self.lowercase)

    def encode(self, texts: Iterable[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Encode texts as token ids.

        Parameters
        ----------
        texts : iterable of str
            The texts to tokenize.

        Returns
        -------
        ids : ndarray of int32, shape (total,)
            The token ids of all texts, concatenated.
        offsets : ndarray of int64, shape (n + 1,)
            Text i is ``ids[offsets[i]:offsets[i + 1]]``.
        """
        ids = [np.empty(0, dtype=np.int32)]
        lengths = [np.zeros(1, dtype=np.int64)]
        for batch in _batches(texts):
            encoded = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(batch)]
            lengths.append(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)))
            ids.append(np.array([number for row in encoded for number in row], dtype=np.int32))
        return np.concatenate(ids), np.cumsum(np.concatenate(lengths))

    def begins_with(self, other: Vocabulary) -> bool:
        """Return whether every token id of another vocabulary stands for the same word in this one.

        Parameters
        ----------
        other : Vocabulary
            The vocabulary that this one may be an extension of.

        Returns
        -------
        bool
        """
        return other is self or (
            self.words[: len(other)] == other.words
            and (self.padding_idx, self.unknown_idx) == (other.padding_idx, other.unknown_idx)
        )

    def extended(self, words: Iterable[str]) -> Vocabulary:
        """Return a vocabulary with further words appended.

        Parameters
        ----------
        words : iterable of str
            The words to append; those that are in the vocabulary are skipped.

        Returns
        -------
        Vocabulary
        """
        more = (word for word in dict.fromkeys(words) if word not in self.numbers)
        return Vocabulary((*self.words, *more), self.padding_idx, self.unknown_idx, self.lowercase)

    def __len__(self) -> int:
        """Return the number of words, including the reserved ones."""
        return len(self.words)

    def __eq__(self, other: object) -> bool:
        """Return whether both encode every text as the same token ids."""
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return self.lowercase == other.lowercase and len(self) == len(other) and self.begins_with(other)

    def __hash__(self) -> int:
        return hash((self.words, self.padding_idx, self.unknown_idx, self.lowercase))

    def __repr__(self) -> str:
        """Name the size."""
        return f"Vocabulary(n={len(self)}, lowercase={self.lowercase})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is derived from the words."""
        return {key: value for key, value in vars(self).items() if key not in ("numbers", "_tokenizer")}


def _splitter(model: models.Model, lowercase: bool) -> Tokenizer:
    # The reserved words are words of the model, not special tokens: a text that says "[PAD]" is split like
    # any other, into words that are never one of them.
    tokenizer = Tokenizer(model)
    steps = [normalizers.NFC(), normalizers.Lowercase()] if lowercase else [normalizers.NFC()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True)
    return tokenizer


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(texts)
    while batch := list(map(encodable, islice(rest, _ENCODED_AT_ONCE))):
        yield batch


VOCABULARY = "vocabulary.json"

_SAVED = {
    "words": list,
    "padding_idx": int,
    "unknown_idx": int,
    "lowercase": bool,
    "trained_words": int,
    "dimensions": int,
}


@dataclass(frozen=True)
class Encoder:
    """The vocabulary that a classifier encodes texts with, and the dimensions of its word vectors.

    The first `trained_words` words of the vocabulary are those of the training set; the vectors of the pretrained
    words after them are not trained.
    """

    vocabulary: Vocabulary
    trained_words: int
    dimensions: int

    def trained_vocabulary(self) -> Vocabulary:
        """Return the vocabulary of the words of the training set."""
        vocabulary = self.vocabulary
        words = vocabulary.words[: self.trained_words]
        return Vocabulary(words, vocabulary.padding_idx, vocabulary.unknown_idx, vocabulary.lowercase)

    @property
    def further_words(self) -> tuple[str, ...]:
        """The pretrained words that do not occur in the training set."""
        return self.vocabulary.words[self.trained_words :]

    def save(self, folder: Path) -> None:
        """Save the vocabulary in a folder, from which `load` restores it."""
        content = {
            "words": self.vocabulary.words,
            "padding_idx": self.vocabulary.padding_idx,
            "unknown_idx": self.vocabulary.unknown_idx,
            "lowercase": self.vocabulary.lowercase,
            "trained_words": self.trained_words,
            "dimensions": self.dimensions,
        }
        (folder / VOCABULARY).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        """Load the vocabulary that `save` wrote."""
        path = folder / VOCABULARY
        content = checked_object(path, read_object(path), _SAVED)
        missing = sorted(_SAVED.keys() - content.keys())
        if missing:
            refuse(path, missing[0], "it is missing")
        words = content["words"]
        if not all(type(word) is str for word in words):
            refuse(path, "words", "it holds something else than strings")
        if not 0 < content["trained_words"] <= len(words):
            refuse(path, "trained_words", f"it holds {content['trained_words']}", f"1 to {len(words)}")
        vocabulary = Vocabulary(words, content["padding_idx"], content["unknown_idx"], content["lowercase"])
        return cls(vocabulary, content["trained_words"], content["dimensions"])
