"""The classifier: the encoding of texts, and the network. The rest is implemented by smalltext-torch."""

import json
from pathlib import Path
from typing import Any

from smalltext_core import Dataset, TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.validation import ClassWeight
from smalltext_torch import Ragged, TorchClassifier
from torch import nn

from smalltext_bag import __version__
from smalltext_bag.network import Bag

Vocabulary = dict[str, int]
UNKNOWN = 1  # 0 is the padding


class BagOfEmbeddings(TorchClassifier[Vocabulary]):
    """The mean of learned word vectors, and a linear layer.

    Parameters
    ----------
    num_classes : int
    multi_label : bool, default=False
    dimensions : int, default=16
        The length of a word vector.
    dropout : float, default=0.2
        The dropout probability in training.
    num_epochs : int, default=30
        The maximum number of epochs; training stops early if the validation loss stops improving.
    lr : float, default=0.05
        The learning rate of the optimizer, Adam.
    mini_batch_size : int, default=8
        The training batch size.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss; "balanced" weights classes inversely to their frequency.
    device : str, optional
        The device to compute on, such as "cpu" or "cuda"; by default the best one available.
    seed : int, optional
        The random seed. The same seed, data and machine give bitwise identical results.
    **training
        Further parameters of `smalltext_torch.TorchClassifier`.
    """

    name = "bag"
    distribution = "smalltext-bag"
    version = __version__

    def __init__(
        self,
        num_classes: int,
        multi_label: bool = False,
        *,
        dimensions: int = 16,
        dropout: float = 0.2,
        num_epochs: int = 30,
        lr: float = 0.05,
        mini_batch_size: int = 8,
        class_weight: ClassWeight = None,
        device: str | None = None,
        seed: int | None = None,
        **training: Any,
    ) -> None:
        training |= {
            "num_epochs": num_epochs,
            "lr": lr,
            "mini_batch_size": mini_batch_size,
        }
        training |= {"class_weight": class_weight, "device": device, "seed": seed}
        super().__init__(num_classes, multi_label, **training)
        if dimensions < 1:
            raise InvalidInputError(
                "dimensions", repr(dimensions), "a whole number, 1 or above"
            )
        if not 0 <= dropout < 1:
            raise InvalidInputError(
                "dropout", repr(dropout), "a number from 0 to below 1"
            )
        self.dimensions = dimensions
        self.dropout = dropout
        self._given = {"dimensions": dimensions, "dropout": dropout, **training}

    def make_encoder(self, train_set: Dataset[Any]) -> Vocabulary:
        words = sorted({word for text in train_set.x for word in split(text)})
        return {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}

    def encode(self, encoder: Vocabulary, data_set: Dataset[Any]) -> Ragged:
        if not isinstance(data_set, TextDataset):
            raise InvalidInputError(
                "data_set", type(data_set).__name__, "a TextDataset"
            )
        return Ragged.from_sequences(
            [
                [encoder.get(word, UNKNOWN) for word in split(text)]
                for text in data_set.x
            ]
        )

    def make_network(self, encoder: Vocabulary) -> nn.Module:
        return Bag(
            len(encoder) + UNKNOWN + 1, self.num_classes, self.dimensions, self.dropout
        )

    def save_encoder(self, encoder: Vocabulary, folder: Path) -> None:
        (folder / "vocabulary.json").write_text(json.dumps(encoder), encoding="utf-8")

    def load_encoder(self, folder: Path) -> Vocabulary:
        vocabulary: Vocabulary = json.loads(
            (folder / "vocabulary.json").read_text("utf-8")
        )
        return vocabulary

    def parameters_to_save(self) -> dict[str, Any]:
        return {
            "num_classes": self.num_classes,
            "multi_label": self.multi_label,
            **self._given,
        }


def split(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    return text.lower().split()
