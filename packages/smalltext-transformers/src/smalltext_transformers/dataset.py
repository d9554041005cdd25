"""The dataset of this backend: token ids from a tokenizer, and labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from smalltext_core.dataset import as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import brief
from smalltext_torch.batching import Ragged, RaggedDataset
from smalltext_torch.tokenization import SpecialTokens, check_length, tokenize, tokenizer_id, truncate_and_warn

if TYPE_CHECKING:
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase
    from typing_extensions import Self


class TransformersDataset(RaggedDataset):
    """Texts as the token ids of a tokenizer, in one flat array without padding.

    An active learner encodes its pool once, with `from_texts`, and takes views of it.

    Parameters
    ----------
    x : Ragged or sequence of sequences of int
        The token ids of each text, special tokens included.
    y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
        Class numbers; None marks every text as unlabelled.
    target_labels : array-like of int, optional
        The class numbers that may occur. Inferred by default.
    label_names : LabelNames or sequence of str, optional
        The names of the classes, in the order of their numbers. By default they have none.
    tokenizer_id : str, optional
        The fingerprint of the tokenizer, set by `from_texts`. A classifier rejects token ids of another tokenizer;
        with None, the default, it cannot check them.

    Raises
    ------
    InvalidInputError
        If a token id is negative, a text has no tokens, the lengths differ, or the labels are not class numbers.

    Examples
    --------
    >>> dataset = TransformersDataset([[101, 1037, 102], [101, 102]], [1, 0])
    >>> dataset
    TransformersDataset(n=2, single-label, 2 classes)
    >>> dataset.x[0].tolist()
    [101, 1037, 102]
    """

    def __init__(
        self,
        x: Ragged | Iterable[Sequence[int]],
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
        tokenizer_id: str | None = None,
    ) -> None:
        texts = x if isinstance(x, Ragged) else Ragged.from_sequences(x).make_read_only()
        if texts.tokens.min(initial=0) < 0:
            raise InvalidInputError("x", f"the token id {texts.tokens.min()}", "token ids, 0 or above")
        if texts.lengths.min(initial=1) < 1:
            row = int(texts.lengths.argmin())
            raise InvalidInputError(
                "x", f"no token at row {row}", "a token, if only a special one, for every text"
            )
        super().__init__(texts, y, target_labels, label_names=label_names)
        self._tokenizer_id = tokenizer_id

    @property
    def tokenizer_id(self) -> str | None:
        """The fingerprint of the tokenizer, or None if it is not known."""
        return self._tokenizer_id

    def ids_of(self, tokenizer_id: str) -> Ragged:
        """Return the token ids for a classifier with a tokenizer.

        Parameters
        ----------
        tokenizer_id : str
            The fingerprint of the classifier's tokenizer.

        Returns
        -------
        Ragged

        Raises
        ------
        InvalidInputError
            If the token ids are from another tokenizer.
        """
        if self.tokenizer_id not in (None, tokenizer_id):
            raise InvalidInputError(
                "data_set",
                "token ids of another tokenizer",
                "those of the model's tokenizer",
                "Encode with TransformersDataset.from_texts and the model's tokenizer, or give a TextDataset.",
            )
        return self.x

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        y: object = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
        target_labels: ArrayLike | None = None,
        max_length: int | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> Self:
        """Tokenize texts, in batches.

        Parameters
        ----------
        texts : iterable of str
            The texts to tokenize; an empty string is a text.
        y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
            Class numbers; None marks every text as unlabelled.
        tokenizer : PreTrainedTokenizerBase
            The tokenizer of the model, such as ``AutoTokenizer.from_pretrained`` returns; it is not changed. It is
            required; the default exists only because `y` is optional.
        target_labels : array-like of int, optional
            The class numbers that may occur. Inferred by default.
        max_length : int, optional
            The maximum number of tokens per text, including special tokens. Longer texts are truncated, and a
            warning reports their number. By default, texts are not truncated here, but later by the classifier, to
            the maximum length of its model.
        label_names : LabelNames or sequence of str, optional
            The names of the classes, in the order of their numbers. By default they have none.

        Raises
        ------
        InvalidInputError
            If there is no tokenizer, a text is not a string, or `max_length` leaves no room for a text.
        """
        checked = as_texts(texts, "texts")
        if not callable(getattr(tokenizer, "get_vocab", None)):
            allowed = "a tokenizer, such as transformers.AutoTokenizer.from_pretrained(...) returns"
            raise InvalidInputError("tokenizer", brief(tokenizer), allowed)
        assert tokenizer is not None
        x = tokenize(checked, tokenizer)
        if max_length is not None:
            special_tokens = SpecialTokens.of(tokenizer)
            x = truncate_and_warn(x, check_length("max_length", max_length, special_tokens), special_tokens)
        return cls(
            x.make_read_only(), y, target_labels, label_names=label_names, tokenizer_id=tokenizer_id(tokenizer)
        )
