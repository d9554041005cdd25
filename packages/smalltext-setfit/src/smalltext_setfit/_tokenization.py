"""Tokenization of the texts of a dataset with the tokenizer of a sentence transformer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_torch.batching import Ragged
from smalltext_torch.tokenization import Frame, check_length, positions, tokenizer_id, tokens_of, within

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedTokenizerBase

_UNLIMITED = 2**31 - 1


@dataclass(frozen=True)
class UniqueTexts:
    """The distinct texts of a dataset, in order of first occurrence, and their token ids.

    `of_row` holds for each row of the dataset the index of its text; `padding` is the id of the padding token.
    """

    texts: list[str]
    tokens: Ragged
    of_row: NDArray[np.intp]
    padding: int


@dataclass(frozen=True)
class SentenceTokenizer:
    """Turns texts into token ids: `prompt` before each text, truncated to `max_length` with its special tokens."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    frame: Frame
    tokenizer_id: str
    padding: int
    prompt: str = ""
    vocabulary_size: int = _UNLIMITED

    @classmethod
    def of(cls, body: SentenceTransformer, max_seq_len: int) -> SentenceTokenizer:
        """Return the tokenizer of a sentence transformer, for at most `max_seq_len` tokens."""
        tokenizer, transformer = body.tokenizer, cast("Any", body[0]).auto_model
        frame = Frame.of(tokenizer)
        limit = positions(transformer.config)
        length = check_length("max_seq_len", max_seq_len, frame)
        return cls(
            tokenizer,
            length if limit is None else min(length, limit),
            frame,
            tokenizer_id(tokenizer),
            tokenizer.pad_token_id or 0,
            (body.prompts or {}).get(body.default_prompt_name or "", "") or "",
            getattr(transformer.get_input_embeddings(), "num_embeddings", _UNLIMITED),
        )

    def tokenize(self, data_set: Dataset[Any]) -> UniqueTexts:
        """Return the distinct texts of a dataset with their token ids, and warn of truncated texts.

        Raises
        ------
        InvalidInputError
            If it is not a TextDataset, or the model has no embedding for a token.
        """
        if not isinstance(data_set, TextDataset):
            given = type(data_set).__name__
            raise InvalidInputError("data_set", given, "a TextDataset", "Give the texts themselves.")
        prompted = TextDataset([self.prompt + text for text in data_set.x]) if self.prompt else data_set
        tokens = tokens_of(prompted, self.tokenizer, self.tokenizer_id)
        tokens = within(tokens, self.max_length, self.frame, "what the model is given")
        largest = int(tokens.tokens.max(initial=0))
        if largest >= self.vocabulary_size:
            allowed = f"ids that the model knows, 0 to {self.vocabulary_size - 1}"
            raise InvalidInputError("data_set", f"a text to which the tokenizer gives the id {largest}", allowed)
        numbers: dict[str, int] = {}
        of_row = np.array([numbers.setdefault(text, len(numbers)) for text in data_set.x], dtype=np.intp)
        first = np.empty(len(numbers), dtype=np.intp)
        first[of_row[::-1]] = np.arange(len(of_row))[::-1]
        return UniqueTexts(list(numbers), tokens.take(first), of_row, self.padding)
