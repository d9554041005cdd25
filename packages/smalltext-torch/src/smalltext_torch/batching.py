"""Sequences of token ids of different lengths, and batches of them with little padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smalltext_core.conversion import Rows, are_whole, as_array, read_only
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import brief, shown

if TYPE_CHECKING:
    from typing_extensions import Self

Lengths = NDArray[np.int64]
RowNumbers = NDArray[np.intp]

WINDOW = 16
"""The number of training batches whose texts are drawn together at random and then sorted by length."""

JITTER = 0.1
"""The relative noise added to lengths before sorting, so that the batches of small sets vary between epochs."""


class Ragged:
    """Sequences of token ids in one flat array, without padding.

    Parameters
    ----------
    tokens : array-like of int, shape (total,)
        All sequences, joined; held as int32.
    offsets : array-like of int, shape (n + 1,)
        Sequence i is ``tokens[offsets[i]:offsets[i + 1]]``; held as int64.

    Raises
    ------
    InvalidInputError
        If the offsets do not increase from 0 to the number of tokens, or a value is not an integer.

    Examples
    --------
    >>> texts = Ragged.from_sequences([[5, 6, 7], [], [8]])
    >>> len(texts), texts.lengths.tolist(), texts[0].tolist()
    (3, [3, 0, 1], [5, 6, 7])
    >>> texts.take(np.array([2, 0])).tokens.tolist()
    [8, 5, 6, 7]
    """

    __slots__ = ("offsets", "tokens")

    def __init__(self, tokens: NDArray[np.integer], offsets: NDArray[np.integer]) -> None:
        self.tokens: NDArray[np.int32] = _as_integers(tokens, np.int32, "tokens")
        self.offsets: NDArray[np.int64] = _as_integers(offsets, np.int64, "offsets")
        ends = self.offsets[[0, -1]].tolist() if self.offsets.size else None
        if ends != [0, self.tokens.size] or (np.diff(self.offsets) < 0).any():
            allowed = f"increasing numbers from 0 to {self.tokens.size}, one more than texts"
            raise InvalidInputError("offsets", brief(self.offsets.tolist()), allowed)

    @classmethod
    def from_sequences(cls, sequences: Iterable[Sequence[int] | NDArray[np.integer]]) -> Ragged:
        """Concatenate sequences of token ids.

        Parameters
        ----------
        sequences : iterable of sequences of int
            The token ids of each text.

        Returns
        -------
        Ragged

        Raises
        ------
        InvalidInputError
            If a sequence is not one-dimensional, or holds something other than integers.
        """
        if not isinstance(sequences, Iterable):
            raise InvalidInputError("sequences", shown(sequences), "a sequence of token numbers for each text")
        arrays = [np.empty(0, dtype=np.int32), *(_as_integers(one, np.int32, "sequences") for one in sequences)]
        return cls(np.concatenate(arrays), np.cumsum([len(array) for array in arrays]))

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        """Return one sequence, without a copy."""
        row = range(len(self))[row]
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def __repr__(self) -> str:
        """Show the numbers of sequences and tokens."""
        return f"{type(self).__name__}(n={len(self)}, tokens={self.tokens.size})"

    @property
    def lengths(self) -> Lengths:
        """The number of tokens of each sequence, int64 of shape (n,)."""
        return np.diff(self.offsets)

    def take(self, rows: Rows) -> Ragged:
        """Select sequences.

        Parameters
        ----------
        rows : range or array-like of int, shape (k,)
            The rows to select, in this order. A range with step 1 selects them without a copy.

        Returns
        -------
        Ragged
        """
        if isinstance(rows, range) and rows.step == 1:
            offsets = self.offsets[rows.start : max(rows.stop, rows.start) + 1]
            return Ragged(self.tokens[offsets[0] : offsets[-1]], offsets - offsets[0])
        numbers = np.asarray(rows, dtype=np.intp)
        return self._cut(self.offsets[numbers], self.lengths[numbers])

    def copy(self) -> Ragged:
        """Return a copy of the sequences."""
        return Ragged(self.tokens.copy(), self.offsets.copy())

    def read_only(self) -> Ragged:
        """Return the same sequences with read-only memory; writable memory is copied."""
        return self._over(read_only(self.tokens), read_only(self.offsets))

    def make_read_only(self) -> Ragged:
        """Make the memory of these sequences read-only, without a copy, and return them."""
        self.tokens.flags.writeable = self.offsets.flags.writeable = False
        return self

    def view(self) -> Ragged:
        """Return a new object over the same memory."""
        return self._over(self.tokens, self.offsets)

    @classmethod
    def _over(cls, tokens: NDArray[np.int32], offsets: NDArray[np.int64]) -> Ragged:
        made = cls.__new__(cls)
        made.tokens, made.offsets = tokens, offsets
        return made

    def truncated(self, max_length: int) -> Ragged:
        """Truncate sequences on the right; this object is returned if no sequence is longer.

        Parameters
        ----------
        max_length : int
            The maximum number of tokens of a sequence.
        """
        lengths = self.lengths
        if not (lengths > max_length).any():
            return self
        return self._cut(self.offsets[:-1], np.minimum(lengths, max_length))

    def padded(self, rows: RowNumbers, padding: int = 0, multiple: int = 1) -> tuple[NDArray[np.int64], Lengths]:
        """Pad sequences on the right to the longest of them.

        Parameters
        ----------
        rows : ndarray of int, shape (k,)
            The rows of the sequences.
        padding : int, default=0
            The token id of the padding.
        multiple : int, default=1
            The width is rounded up to a multiple of this number, but not beyond the longest of all sequences.

        Returns
        -------
        tokens : ndarray of int64, shape (k, width)
            The padded token ids; the width is at least 1.
        lengths : ndarray of int64, shape (k,)
            The number of tokens of each sequence, without padding.
        """
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        longest = int(lengths.max(initial=1))
        if longest % multiple:
            longest = min(longest + multiple - longest % multiple, int(self.lengths.max()))
        columns = np.arange(max(longest, 1))
        inside = columns < lengths[:, None]
        tokens = np.full(inside.shape, padding, dtype=np.int64)
        tokens[inside] = self.tokens[(starts[:, None] + columns)[inside]]
        return tokens, lengths

    def _cut(self, starts: NDArray[np.int64], lengths: Lengths) -> Ragged:
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        sources = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return Ragged(self.tokens[sources], offsets)


def _as_integers(given: object, dtype: type[np.integer[Any]], argument: str) -> NDArray[Any]:
    """Return a sequence of integers; raise InvalidInputError for other values, which numpy would round or wrap."""
    array = as_array(given, argument, "integers", "token")
    fits = are_whole(array) and (np.can_cast(array.dtype, dtype) or bool((array.astype(dtype) == array).all()))
    if array.ndim != 1 or (array.size and not fits):
        raise InvalidInputError(argument, shown(given), f"a sequence of integers up to {np.iinfo(dtype).max}")
    return array.astype(dtype, copy=False)


class RaggedDataset(Dataset[Ragged]):
    """A dataset of texts as token ids, encoded once.

    Parameters
    ----------
    x : Ragged
        The token ids, copied unless their memory is read-only; the `x` of the dataset is read-only.
    y : array-like of int, shape (n,), or csr_matrix, shape (n, num_classes), default=None
        Class numbers; None marks every text as unlabelled.
    target_labels : array-like of int, optional
        The class numbers that may occur. Inferred by default.
    label_names : LabelNames or sequence of str, optional
        The names of the classes, in the order of their numbers. By default they have none.

    Raises
    ------
    InvalidInputError
        If `x` is not a Ragged, the lengths of `x` and `y` differ, or the labels are not class numbers.

    Examples
    --------
    >>> dataset = RaggedDataset(Ragged.from_sequences([[5, 6], [7]]), [1, 0])
    >>> len(dataset), dataset.x[0].tolist()
    (2, [5, 6])
    """

    def __init__(
        self,
        x: Ragged,
        y: object = None,
        target_labels: ArrayLike | None = None,
        *,
        label_names: LabelNames | Iterable[str] | None = None,
    ) -> None:
        if not isinstance(x, Ragged):
            raise InvalidInputError(
                "x", brief(x), "a Ragged", "Convert lists of token ids: Ragged.from_sequences(x)."
            )
        super().__init__(x.read_only(), y, target_labels, label_names=label_names)

    @staticmethod
    def _count(x: Ragged) -> int:
        return len(x)

    @staticmethod
    def _select(x: Ragged, rows: Rows) -> Ragged:
        return x.take(rows).make_read_only()

    @staticmethod
    def _view(x: Ragged) -> Ragged:
        return x.view()

    @staticmethod
    def _copy(x: Ragged) -> Ragged:
        return x.view()  # Its memory is read-only.

    @classmethod
    def of(cls, data_set: Dataset[Any]) -> Self:
        """Return a dataset unchanged; raise InvalidInputError for one of another class.

        Parameters
        ----------
        data_set : Dataset
            Texts as token ids.
        """
        if not isinstance(data_set, cls):
            allowed = f"a TextDataset or a {cls.__name__}"
            raise InvalidInputError("data_set", type(data_set).__name__, allowed, "Give the texts themselves.")
        return data_set

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._storage.x.make_read_only()  # unpickled and copied arrays are writable


@dataclass(frozen=True)
class Batch:
    """A batch of texts, the input of a network.

    Parameters
    ----------
    tokens : Tensor of int64, shape (n, longest)
        Padded on the right to the longest text of the batch.
    lengths : Tensor of int64, shape (n,)
        The number of tokens of each text, without padding; can be 0.

    Examples
    --------
    >>> batch = Batch(torch.tensor([[5, 6, 7], [8, 0, 0]]), torch.tensor([3, 1]))
    >>> batch.mask.tolist()
    [[True, True, True], [True, False, False]]
    """

    tokens: torch.Tensor
    lengths: torch.Tensor

    @property
    def mask(self) -> torch.Tensor:
        """The attention mask, bool, shape (n, longest): False for padding."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < self.lengths[:, None]

    def __len__(self) -> int:
        """Return the number of texts."""
        return self.tokens.shape[0]

    def repeated(self, times: int) -> Batch:
        """Return a batch in which each text is repeated.

        Parameters
        ----------
        times : int
            The number of copies of each text, which follow one another.

        Returns
        -------
        Batch
            A batch of ``times * n`` texts.
        """
        return Batch(self.tokens.repeat_interleave(times, 0), self.lengths.repeat_interleave(times, 0))


def make_batch(
    texts: Ragged, rows: RowNumbers, device: torch.device, padding: int = 0, multiple: int = 1
) -> Batch:
    """Pad some texts to the longest of them (see `Ragged.padded`) and put them on a device."""
    tokens, lengths = texts.padded(rows, padding, multiple)
    return Batch(
        torch.from_numpy(tokens).to(device, non_blocking=True),
        torch.from_numpy(lengths).to(device, non_blocking=True),
    )


def training_batches(lengths: Lengths, batch_size: int, order: np.random.Generator) -> list[RowNumbers]:
    """Divide all texts into batches of texts of similar length.

    The texts are shuffled, sorted by length within windows of a few batches, and the batches are shuffled.

    Parameters
    ----------
    lengths : ndarray of int64, shape (n,)
    batch_size : int
        The size of the largest batch; sizes differ by at most one within a window, so that no batch is tiny.
    order : numpy.random.Generator
        The same state gives the same batches.

    Returns
    -------
    list of ndarray of row numbers
        Of ceil(n / batch_size) batches.
    """
    shuffled = order.permutation(len(lengths))
    blurred = lengths[shuffled] * order.uniform(1 - JITTER, 1 + JITTER, len(lengths))
    batches: list[RowNumbers] = []
    for start in range(0, len(lengths), WINDOW * batch_size):
        window = slice(start, start + WINDOW * batch_size)
        rows = shuffled[window][np.argsort(blurred[window], kind="stable")]
        batches.extend(np.array_split(rows, -(-len(rows) // batch_size)))
    return [batches[number] for number in order.permutation(len(batches))]


def validation_batches(batches: int, validations_per_epoch: int) -> set[int]:
    """Return the batches of an epoch after which to validate: evenly spaced, and always the last one."""
    times = min(validations_per_epoch, batches)
    return {-(-batches * number // times) for number in range(1, times + 1)}


def prediction_batches(lengths: Lengths, token_budget: int, multiple: int = 1) -> Iterator[RowNumbers]:
    """Divide texts, sorted by length, into batches that fit a budget of tokens, including padding.

    A text that is longer than the budget is a batch by itself. Widths are rounded up to multiples of a number.

    Examples
    --------
    >>> [rows.tolist() for rows in prediction_batches(np.array([9, 1, 2, 2]), token_budget=6)]
    [[1, 2, 3], [0]]
    """
    rows = np.argsort(lengths, kind="stable")
    ascending = -(-np.maximum(lengths[rows], 1) // multiple) * multiple
    start = 0
    while start < len(rows):
        stop = _last_within(ascending, start, token_budget)
        yield rows[start:stop]
        start = stop


def _last_within(ascending: Lengths, start: int, token_budget: int) -> int:
    """Return the end of the batch that starts at `start`, by bisection."""
    low, high = start + 1, min(len(ascending), start + max(token_budget // int(ascending[start]), 1))
    while low < high:
        middle = (low + high + 1) // 2
        if (middle - start) * int(ascending[middle - 1]) <= token_budget:
            low = middle
        else:
            high = middle - 1
    return low
