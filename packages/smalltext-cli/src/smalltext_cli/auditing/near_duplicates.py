"""Near-duplicate detection by MinHash, in time linear in the number of characters rather than of pairs."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SHINGLE = 5
"""The length of a shingle in characters, which unlike words exist in every script."""

_BINS = 64
_ROWS_PER_BAND = 4
_CHARACTERS_AT_ONCE = 2_000_000
_TEXTS_KEPT = 4_096
_TOLERANCE = 0.2
"""How far the similarity of two signatures may be below the threshold: at least four standard deviations."""

_EMPTY = np.uint32(0xFFFFFFFF)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def normalized(text: str) -> str:
    r"""Return a text normalised in Unicode form (NFKC), case and whitespace.

    Examples
    --------
    >>> normalized(" Win  a PRIZE\n") == normalized("win a prize")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def near_duplicates(texts: Sequence[str], threshold: float = 0.8) -> list[list[int]]:
    """Return groups of similar texts: each is similar to at least one other text of its group.

    The similarity of two texts is the Jaccard index of their sets of shingles: runs of five characters, after
    `normalized`. Candidates share four consecutive values of their MinHash signatures, which are computed with one
    permutation and densification [1]_. Candidates are then compared exactly. Two texts with a similarity of 0.8
    are candidates with a probability above 0.999.

    Parameters
    ----------
    texts : sequence of str
        Distinct texts; empty ones are in no group.
    threshold : float, default=0.8
        The minimum similarity of two near duplicates, from 0.5 to 1.

    Returns
    -------
    list of list of int
        The positions of the texts in each group, in ascending order; the largest group comes first.

    References
    ----------
    .. [1] Anshumali Shrivastava, Optimal Densification for Fast and Accurate Minwise Hashing, ICML 2017.

    Examples
    --------
    >>> near_duplicates(["the meeting is at three o'clock", "buy pills", "The meeting is at three o'clock!"])
    [[0, 2]]
    """
    texts = [normalized(text) for text in texts]
    groups: dict[int, list[int]] = {}
    for row, root in enumerate(_connected(texts, _candidates(_signatures(texts), threshold), threshold)):
        groups.setdefault(root, []).append(row)
    found = [group for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: (-len(group), group[0]))


def similarity(first: str, second: str) -> float:
    """Return the Jaccard index of the shingles of two texts, from 0 to 1.

    Examples
    --------
    >>> similarity("win a prize", "Win a  prize"), similarity("win a prize", "lunch at one")
    (1.0, 0.0)
    """
    return _jaccard(_shingles(normalized(first)), _shingles(normalized(second)))


def _jaccard(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> float:
    common = len(np.intersect1d(first, second, assume_unique=True))
    union = len(first) + len(second) - common
    return common / union if union else 1.0


def _shingles(text: str) -> NDArray[np.uint64]:
    """Return the distinct hashes of the shingles of a normalized text."""
    hashes, _ = _hashes([text])
    return np.unique(hashes)


def _hashes(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """Return the hash of each shingle, and the position of its text; a shorter text is a single shingle."""
    padded = [text.ljust(_SHINGLE, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded], dtype=np.intp)
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    count = max(len(codes) - _SHINGLE + 1, 0)
    hashes = np.zeros(count, dtype=np.uint64)
    for offset in range(_SHINGLE):
        hashes = (hashes + codes[offset : offset + count]) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    owner = np.repeat(np.arange(len(padded)), lengths)
    within = owner[:count] == owner[_SHINGLE - 1 :]  # no shingle spans two texts
    return hashes[within] * _MIX, owner[:count][within]


def _signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return the MinHash signatures of normalized texts, shape (n, bins)."""
    signatures = np.full((len(texts), _BINS), _EMPTY, dtype=np.uint32)
    begin = 0
    while begin < len(texts):
        end, characters = begin, 0
        while end < len(texts) and (end == begin or characters + len(texts[end]) <= _CHARACTERS_AT_ONCE):
            characters += len(texts[end])
            end += 1
        hashes, owner = _hashes(texts[begin:end])
        places = owner * _BINS + (hashes >> np.uint64(58)).astype(np.intp)
        values = (hashes >> np.uint64(26)).astype(np.uint32)
        np.minimum.at(signatures[begin:end].reshape(-1), places, values)
        begin = end
    _fill_empty_bins(signatures)
    return signatures


def _fill_empty_bins(signatures: NDArray[np.uint32]) -> None:
    """Fill each empty bin with the value of another bin, in the same order for all texts."""
    rng = np.random.default_rng(0)
    given = signatures != _EMPTY
    rows = np.flatnonzero(~given.all(axis=1))
    filled = signatures[rows]
    given = given[rows]
    for _ in range(_BINS):
        sources = rng.permutation(_BINS)
        takes = (filled == _EMPTY) & given[:, sources]
        filled[takes] = signatures[rows][:, sources][takes]
        rest = (filled == _EMPTY).any(axis=1)
        if not rest.any():
            break
    # Bins that are still empty take the value of the first non-empty bin.
    first = np.take_along_axis(signatures[rows], given.argmax(axis=1)[:, None], axis=1)
    signatures[rows] = np.where(filled == _EMPTY, first, filled)


def _candidates(signatures: NDArray[np.uint32], threshold: float) -> NDArray[np.intp]:
    """Return candidates, shape (pairs, 2): texts that agree in a band and have sufficiently similar signatures."""
    found = [np.empty((0, 2), dtype=np.intp)]
    for band in range(0, _BINS, _ROWS_PER_BAND):
        columns = np.ascontiguousarray(signatures[:, band : band + _ROWS_PER_BAND])
        keys = columns.view(np.dtype((np.void, columns.dtype.itemsize * _ROWS_PER_BAND))).ravel()
        _, bucket = np.unique(keys, return_inverse=True)
        order = np.argsort(bucket, kind="stable")
        is_first = np.diff(bucket[order], prepend=-1) != 0
        leader = order[np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))]
        # In a large bucket, each text is only compared with the first and the previous one.
        found.append(np.stack([leader, order], axis=1)[~is_first])
        found.append(np.stack([np.roll(order, 1), order], axis=1)[~is_first])
    pairs = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    agree = np.empty(len(pairs))
    for begin in range(0, len(pairs), _CHARACTERS_AT_ONCE // _BINS):
        some = pairs[begin : begin + _CHARACTERS_AT_ONCE // _BINS]
        agree[begin : begin + len(some)] = (signatures[some[:, 0]] == signatures[some[:, 1]]).mean(axis=1)
    return pairs[agree >= threshold - _TOLERANCE]


def _connected(texts: Sequence[str], pairs: NDArray[np.intp], threshold: float) -> list[int]:
    """Return the representative of each text's group; pairs that are already connected are not compared."""
    shingles = lru_cache(maxsize=_TEXTS_KEPT)(lambda row: _shingles(texts[row]))
    parents = list(range(len(texts)))

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = row = parents[parents[row]]
        return row

    for one, other in pairs.tolist():
        if not texts[one] or not texts[other] or root(one) == root(other):
            continue
        if _jaccard(shingles(one), shingles(other)) >= threshold:
            parents[root(other)] = root(one)
    return [root(row) for row in range(len(texts))]
