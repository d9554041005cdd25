"""The dataset of this backend: texts as token ids, and their vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from smalltext_core.dataset import TextDataset, as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames
from smalltext_kimcnn.vocabulary import Vocabulary
from smalltext_torch.batching import Ragged, RaggedDataset

if TYPE_CHECKING:
    from typing_extensions import Self


class PytorchTextClassificationDataset(RaggedDataset):
    """Texts as token ids, unpadded, with their vocabulary.

    An active learner encodes its pool once, with `from_texts`, and takes views of it.

    Parameters
    ----------
    x : Ragged or sequence of sequences of int
        The token ids of each text.
    y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
        Class numbers; None marks every text as unlabelled.
    target_labels : array-like of int, optional
        The class numbers that may occur. Inferred by default.
    vocabulary : Vocabulary
        The vocabulary of the token ids.
    label_names : LabelNames or sequence of str, optional
        The names of the classes, in the order of their numbers. By default they have none.

    Raises
    ------
    InvalidInputError
        If a token id is not in the vocabulary, the lengths differ, or the labels are not class numbers.

    Examples
    --------
    >>> dataset = PytorchTextClassificationDataset.from_texts(["a fine film", "a dull film"], [1, 0])
    >>> dataset
    PytorchTextClassificationDataset(n=2, single-label, 2 classes)
    >>> dataset.x[0].tolist(), dataset.vocabulary.words
    ([2, 5, 3], ('[PAD]', '[UNK]', 'a', 'film', 'dull', 'fine'))
    >>> pool = PytorchTextClassificationDataset.from_texts(["dull plot"], vocabulary=dataset.vocabulary)
    >>> pool.x[0].tolist()
    [4, 1]
    """

    def __init__(
        self,
        x: Ragged | Iterable[Sequence[int]],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        vocabulary: Vocabulary,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None:
        if not isinstance(vocabulary, Vocabulary):
            raise InvalidInputError(
                "vocabulary", f"{type(vocabulary).__name__}", "a Vocabulary", "For plain texts, use from_texts."
            )
        texts = x if isinstance(x, Ragged) else Ragged.from_sequences(x).make_read_only()
        for extreme in (texts.tokens.min(initial=0), texts.tokens.max(initial=0)):
            if not 0 <= extreme < len(vocabulary):
                allowed = f"ids of the vocabulary, 0 to {len(vocabulary) - 1}"
                raise InvalidInputError("x", f"the token id {extreme}", allowed)
        super().__init__(texts, y, target_labels, label_names=label_names)
        self._vocabulary = vocabulary

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary of the token ids."""
        return self._vocabulary

    def check_padding(self, padding_idx: int) -> None:
        """Check the token id of the padding.

        Parameters
        ----------
        padding_idx : int
            The padding token id of a classifier.

        Raises
        ------
        InvalidInputError
            If the vocabulary has another padding token id.
        """
        if self.vocabulary.padding_idx != padding_idx:
            given = f"a vocabulary with padding_idx={self.vocabulary.padding_idx}"
            raise InvalidInputError("train_set", given, f"padding_idx={padding_idx}, as the classifier")

    def ids_in(self, vocabulary: Vocabulary) -> Ragged:
        """Return the token ids for a classifier with a vocabulary.

        Parameters
        ----------
        vocabulary : Vocabulary
            The vocabulary that the classifier was trained with.

        Returns
        -------
        Ragged

        Raises
        ------
        InvalidInputError
            If a token id stands for another word in it.
        """
        if not vocabulary.begins_with(self.vocabulary):
            raise InvalidInputError(
                "data_set",
                "token ids of another vocabulary",
                "the vocabulary of the training set",
                "Encode with from_texts(texts, vocabulary=train_set.vocabulary), or give a TextDataset.",
            )
        return self.x

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        vocabulary: Vocabulary | Sequence[str] | Mapping[str, int] | None = None,
        min_frequency: int = 1,
        max_words: int | None = None,
        lowercase: bool = True,
        padding_idx: int = 0,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> Self:
        """Encode texts with an existing vocabulary, or with a new one that is made from them.

        Parameters
        ----------
        texts : iterable of str
            The texts to encode; an empty string is a text.
        y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
            Class numbers; None marks every text as unlabelled.
        target_labels : array-like of int, optional
            The class numbers that may occur. Inferred by default.
        vocabulary : Vocabulary, sequence of str, or mapping of str to int, optional
            The vocabulary to use. ``[PAD]`` and ``[UNK]`` are prepended to a list of words; a mapping from words
            to token ids has to contain them. By default, a vocabulary is made from `texts`, with the next two
            parameters.
        min_frequency : int, default=1
            The minimum number of occurrences of a word. At least 1.
        max_words : int, optional
            The maximum number of words; the most frequent are kept. By default there is no limit.
        lowercase : bool, default=True
            Whether texts are lowercased. Ignored if `vocabulary` is a Vocabulary, which has this attribute.
        padding_idx : {0, 1}, default=0
            The token id of the padding; the other one is that of unknown words. Ignored if `vocabulary` is a
            Vocabulary or a mapping.
        label_names : LabelNames or sequence of str, optional
            The names of the classes, in the order of their numbers. By default they have none.

        Raises
        ------
        InvalidInputError
            If a text is not a string, or an argument has the wrong type or is out of range.
        """
        checked = as_texts(texts, "texts")
        if vocabulary is None:
            vocabulary = Vocabulary.from_texts(
                checked,
                min_frequency=min_frequency,
                max_words=max_words,
                padding_idx=padding_idx,
                lowercase=lowercase,
            )
        elif isinstance(vocabulary, Mapping):
            vocabulary = Vocabulary.from_numbers(vocabulary, lowercase)
        elif not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary.from_words(as_texts(vocabulary, "vocabulary"), padding_idx, lowercase)
        x = Ragged(*vocabulary.encode(checked)).make_read_only()
        return cls(x, y, target_labels, vocabulary=vocabulary, label_names=label_names)

    @classmethod
    def from_dataset(cls, dataset: TextDataset, vocabulary: Vocabulary) -> Self:
        """Encode a dataset of plain texts, keeping its labels and label names.

        Parameters
        ----------
        dataset : TextDataset
            The texts and labels.
        vocabulary : Vocabulary
            The vocabulary to encode the texts with.

        Returns
        -------
        PytorchTextClassificationDataset
        """
        x = Ragged(*vocabulary.encode(dataset.x)).make_read_only()
        return cls(x, dataset.y, vocabulary=vocabulary, label_names=dataset.label_names)
