"""What a fitted classifier encodes texts with: the tokenizer of its model, and how many tokens that takes."""

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


@dataclass(frozen=True)
class DistinctTexts:
    """The different texts of a dataset, as token ids.

    Parameters
    ----------
    texts : list of str
        Each text once, in the order in which they first occur.
    tokens : Ragged
        Of each of these.
    of_row : ndarray of intp, shape (n,)
        Which of these each text of the dataset is.
    """

    texts: list[str]
    tokens: Ragged
    of_row: NDArray[np.intp]


@dataclass(frozen=True)
class TextEncoder:
    """Turns texts into token ids, cut to what the model is given.

    Parameters
    ----------
    tokenizer : tokenizer of transformers
    max_length : int
        How many tokens of a text the model is given.
    frame : Frame
    tokenizer_id : str
    padding : int
        The token that batches are padded with.
    prompt : str
        What the model wants put before every text; usually nothing.
    known : int
        For how many token ids the model has an embedding.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    frame: Frame
    tokenizer_id: str
    padding: int
    prompt: str = ""
    known: int = 2**31 - 1

    @classmethod
    def of(cls, body: SentenceTransformer, max_seq_len: int) -> TextEncoder:
        """Return the encoder of a sentence transformer; of its window, at most `max_seq_len` tokens are used."""
        tokenizer, transformer = body.tokenizer, cast("Any", body[0])
        frame = Frame.of(tokenizer)
        most = positions(transformer.auto_model.config)
        length = check_length("max_seq_len", max_seq_len, frame)
        prompt = (body.prompts or {}).get(body.default_prompt_name or "", "")
        return cls(
            tokenizer,
            length if most is None else min(length, most),
            frame,
            tokenizer_id(tokenizer),
            tokenizer.pad_token_id or 0,
            prompt or "",
            getattr(transformer.auto_model.get_input_embeddings(), "num_embeddings", 2**31 - 1),
        )

    def distinct(self, data_set: Dataset[Any]) -> DistinctTexts:
        """Return the different texts of a dataset, and warn of texts that had to be cut.

        Raises
        ------
        InvalidInputError
            If it holds something else than plain texts.
        """
        if not isinstance(data_set, TextDataset):
            raise InvalidInputError(
                "data_set", type(data_set).__name__, "a TextDataset", "Give the texts themselves."
            )
        asked = data_set if not self.prompt else TextDataset([self.prompt + text for text in data_set.x])
        tokens = tokens_of(asked, self.tokenizer, self.tokenizer_id)
        tokens = within(tokens, self.max_length, self.frame, "what the model is given")
        greatest = int(tokens.tokens.max(initial=0))
        if greatest >= self.known:
            allowed = f"ids that the model knows, 0 to {self.known - 1}"
            raise InvalidInputError("data_set", f"a text to which the tokenizer gives the id {greatest}", allowed)
        numbers: dict[str, int] = {}
        of_row = np.array([numbers.setdefault(text, len(numbers)) for text in data_set.x], dtype=np.intp)
        first = np.empty(len(numbers), dtype=np.intp)
        first[of_row[::-1]] = np.arange(len(of_row))[::-1]
        return DistinctTexts(list(numbers), tokens.take(first), of_row)
