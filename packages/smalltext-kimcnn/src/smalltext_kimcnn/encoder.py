"""What a fitted classifier knows of words: their numbers, and for how many of them vectors were trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_kimcnn.dataset import PytorchTextClassificationDataset
from smalltext_kimcnn.vocabulary import Vocabulary
from smalltext_torch.batching import Ragged
from smalltext_torch.untrusted_json import checked_object, read_object, refuse

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
    """Turns datasets into token ids.

    Parameters
    ----------
    vocabulary : Vocabulary
    trained_words : int
        How many of its words belong to the training set; the pretrained words after them are as they were.
    dimensions : int
        The length of a word vector.
    """

    vocabulary: Vocabulary
    trained_words: int
    dimensions: int

    def encode(self, data_set: Dataset[Any]) -> Ragged:
        """Return the token ids of the texts of a dataset.

        Raises
        ------
        InvalidInputError
            If it is neither plain texts nor token ids, or its ids mean other words.
        """
        if isinstance(data_set, TextDataset):
            return Ragged(*self.vocabulary.encode(data_set.x))
        if not isinstance(data_set, PytorchTextClassificationDataset):
            raise InvalidInputError(
                "data_set",
                type(data_set).__name__,
                "a TextDataset or a PytorchTextClassificationDataset",
                "Give the texts themselves.",
            )
        if not self.vocabulary.begins_with(data_set.vocabulary):
            raise InvalidInputError(
                "data_set",
                "token ids of another vocabulary",
                "the vocabulary of the training set",
                "Encode with from_texts(texts, vocabulary=train_set.vocabulary), or give a TextDataset.",
            )
        return data_set.x

    def save(self, folder: Path) -> None:
        """Write what `load` reads."""
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
        """Read what `save` wrote."""
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
