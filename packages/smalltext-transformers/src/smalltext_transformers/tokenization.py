"""What a fitted classifier encodes texts with: its tokenizer, and how many tokens its model takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief
from smalltext_torch.batching import Ragged
from smalltext_torch.tokenization import Frame, check_length, tokenizer_id, tokens_of, within
from smalltext_torch.untrusted_json import checked_object, read_object, refuse
from smalltext_transformers import pretrained
from smalltext_transformers.dataset import TransformersDataset

ENCODER = "encoder.json"


@dataclass(frozen=True)
class Encoder:
    """Encodes datasets as token ids, truncated to `max_length` tokens."""

    tokenizer: PreTrainedTokenizerBase
    config: PretrainedConfig
    max_length: int
    frame: Frame
    tokenizer_id: str

    @classmethod
    def of(
        cls, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, max_seq_len: int | None = None
    ) -> Encoder:
        """Return the encoder of a model, of whose window (the default) only a part may be used.

        Raises
        ------
        InvalidInputError
            If `max_seq_len` is more than the model takes.
        """
        frame = Frame.of(tokenizer)
        most = pretrained.window(config, tokenizer)
        length = most if max_seq_len is None else check_length("max_seq_len", max_seq_len, frame)
        if length > most:
            raise InvalidInputError("max_seq_len", brief(length), f"up to {most}, which is what the model takes")
        return cls(tokenizer, config, length, frame, tokenizer_id(tokenizer))

    @property
    def padding(self) -> int:
        """The token that batches are padded with, which is in the vocabulary of the model."""
        known = (
            getattr(self.config, "pad_token_id", None),
            self.tokenizer.pad_token_id,
            self.tokenizer.eos_token_id,
        )
        return next((number for number in known if number is not None and self._is_known(number)), 0)

    def encode(self, data_set: Dataset[Any]) -> Ragged:
        """Return the token ids of the texts of a dataset, and warn of texts that had to be cut.

        Raises
        ------
        InvalidInputError
            If it is neither plain texts nor token ids, or its ids are those of another tokenizer.
        """
        return within(self.whole(data_set), self.max_length, self.frame, "what the model is given")

    def windows(self, data_set: Dataset[Any]) -> tuple[Ragged, NDArray[np.int64]]:
        """Return the token ids of all windows of the texts of a dataset, and how many belong to each text."""
        return self.frame.windows(self.whole(data_set), self.max_length)

    def whole(self, data_set: Dataset[Any]) -> Ragged:
        """Return the token ids of the texts of a dataset, however long they are."""
        tokens = self._tokens(data_set)
        greatest = int(tokens.tokens.max(initial=0))
        if not self._is_known(greatest):
            allowed = f"ids that the model knows, 0 to {self.config.vocab_size - 1}"
            raise InvalidInputError("data_set", f"the token id {greatest}", allowed)
        return self._with_one_end(tokens) if self.config.is_encoder_decoder else tokens

    def _is_known(self, token: int) -> bool:
        size = getattr(self.config, "vocab_size", None)
        return token >= 0 and (size is None or token < size)

    def _with_one_end(self, texts: Ragged) -> Ragged:
        """Return texts in which end tokens that are not at the end are unknown ones.

        The heads of models with a decoder look for them, and refuse texts of which one has more than another.
        """
        inside = np.isin(texts.tokens, self.config.eos_token_id)
        for number in range(1, max(self.frame.after, 1) + 1):
            inside[texts.offsets[1:][texts.lengths >= number] - number] = False
        if not inside.any():
            return texts
        changed, unknown = texts.copy(), self.tokenizer.unk_token_id
        changed.tokens[inside] = self.padding if unknown is None else unknown
        return changed

    def _tokens(self, data_set: Dataset[Any]) -> Ragged:
        if isinstance(data_set, TextDataset):
            return tokens_of(data_set, self.tokenizer, self.tokenizer_id)
        if not isinstance(data_set, TransformersDataset):
            raise InvalidInputError(
                "data_set",
                type(data_set).__name__,
                "a TextDataset or a TransformersDataset",
                "Give the texts themselves.",
            )
        if data_set.tokenizer_id not in (None, self.tokenizer_id):
            raise InvalidInputError(
                "data_set",
                "token ids of another tokenizer",
                "those of the model's tokenizer",
                "Encode with TransformersDataset.from_texts and the model's tokenizer, or give a TextDataset.",
            )
        return data_set.x

    def save(self, folder: Path) -> None:
        """Save the tokenizer in a folder; the configuration is saved with the network."""
        self.tokenizer.save_pretrained(folder)
        pretrained.tidy(folder)
        content = {"max_length": self.max_length, "tokenizer_id": self.tokenizer_id}
        (folder / ENCODER).write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        """Load the tokenizer that `save` wrote."""
        path = folder / ENCODER
        content = checked_object(path, read_object(path), {"max_length": int, "tokenizer_id": str})
        if content.keys() != {"max_length", "tokenizer_id"}:
            refuse(path, "", "max_length or tokenizer_id is missing")
        tokenizer = pretrained.saved_tokenizer(folder)
        config = pretrained.saved_config(folder)
        frame, most = Frame.of(tokenizer), pretrained.window(config, tokenizer)
        if not frame.before + frame.after < content["max_length"] <= most:
            refuse(path, "max_length", f"it holds {content['max_length']}", f"up to {most}, which the model takes")
        return cls(tokenizer, config, content["max_length"], frame, content["tokenizer_id"])
