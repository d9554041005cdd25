"""Datasets compared with a model: a list of texts, and a list of their labels.

After any sequence of selecting, cloning, relabelling and pickling, a dataset equals the lists, and rejected
operations change nothing.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from scipy.sparse import csr_matrix

from smalltext_core import LABEL_IGNORED, LABEL_UNLABELED, Dataset, TextDataset, csr_to_list, list_to_csr
from smalltext_core.errors import InvalidInputError, ReadOnlyError

CLASSES = 4
single = st.integers(-2, CLASSES - 1)
several = st.one_of(
    st.none(), st.just([LABEL_IGNORED]), st.lists(st.integers(0, CLASSES - 1), unique=True, max_size=CLASSES)
)


@dataclass
class Pair:
    """A dataset and its expected content. Views of the same dataset share `shared`."""

    dataset: Dataset[Any]
    texts: list[str]
    shared: dict[str, list[Any]]
    rows: list[int]
    view: bool

    @property
    def labels(self) -> list[Any]:
        return [self.shared["labels"][row] for row in self.rows]


def as_y(labels: list[Any], multi_label: bool) -> Any:
    if not multi_label:
        return labels
    matrix = np.zeros((len(labels), CLASSES), dtype=np.int64)
    for row, label in enumerate(labels):
        if label is None:
            matrix[row, 0] = LABEL_UNLABELED
        elif label == [LABEL_IGNORED]:
            matrix[row, 1] = LABEL_IGNORED
        else:
            matrix[row, label] = 1
    return csr_matrix(matrix)


def as_list(y: Any) -> list[Any]:
    """Return labels in the form of the model, without using the library's conversion."""
    if isinstance(y, csr_matrix):
        found: list[Any] = []
        for row in y.toarray():
            if (row == LABEL_IGNORED).any():
                found.append([LABEL_IGNORED])
            else:
                found.append(None if (row == LABEL_UNLABELED).any() else np.flatnonzero(row).tolist())
        return found
    return y.tolist()


def ordered(labels: list[Any]) -> list[Any]:
    return [sorted(label) if isinstance(label, list) else label for label in labels]


class Lists(RuleBasedStateMachine):
    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Pair] = []

    def keep(self, pair: Pair) -> Pair:
        self.known.append(pair)
        return pair

    @initialize(
        target=pairs, data=st.data(), multi_label=st.booleans(), texts=st.lists(st.text(max_size=3), max_size=8)
    )
    def begin(self, data, multi_label, texts):
        self.multi_label = multi_label
        count = len(texts)
        labels = data.draw(st.lists(several if multi_label else single, min_size=count, max_size=count))
        dataset = TextDataset(texts, as_y(labels, multi_label), target_labels=range(CLASSES))
        return self.keep(Pair(dataset, list(texts), {"labels": labels}, list(range(count)), view=False))

    @rule(target=pairs, pair=pairs, data=st.data())
    def select(self, pair, data):
        count = len(pair.texts)
        numbers = st.integers(-count, count - 1)
        rows = st.lists(numbers, max_size=10) if count else st.just([])
        masks = st.lists(st.booleans(), min_size=count, max_size=count)
        index = data.draw(
            st.one_of(
                st.slices(count),
                st.builds(slice, *[st.none() | st.integers(-12, 12)] * 2, st.sampled_from([None, 1, 2, -1, -3])),
                rows,
                rows.map(lambda numbers: np.array(numbers, dtype=np.int64)),
                masks.map(lambda mask: np.array(mask, dtype=bool)),
                *([numbers, numbers.map(np.int32)] if count else []),
            )
        )
        if isinstance(index, slice):
            chosen = list(range(count))[index]
        elif isinstance(index, np.ndarray) and index.dtype == bool:
            chosen = [row for row, wanted in enumerate(index) if wanted]
        else:
            chosen = [int(row) % count for row in np.atleast_1d(np.asarray(index, dtype=int))]
        view = pair.dataset[index]
        rows = [pair.rows[row] for row in chosen]
        return self.keep(Pair(view, [pair.texts[row] for row in chosen], pair.shared, rows, view=True))

    @rule(target=pairs, pair=pairs)
    def clone(self, pair):
        labels = list(pair.labels)
        return self.keep(
            Pair(pair.dataset.clone(), list(pair.texts), {"labels": labels}, list(range(len(labels))), view=False)
        )

    @rule(target=pairs, pair=consumes(pairs))
    def pickle(self, pair):
        self.known.remove(pair)
        twin = pickle.loads(pickle.dumps(pair.dataset))
        return self.keep(Pair(twin, pair.texts, {"labels": list(pair.shared["labels"])}, pair.rows, pair.view))

    @rule(pair=pairs, data=st.data())
    def label(self, pair, data):
        count = len(pair.texts)
        labels = data.draw(st.lists(several if self.multi_label else single, min_size=count, max_size=count))
        if pair.view:
            with pytest.raises(ReadOnlyError):
                pair.dataset.y = as_y(labels, self.multi_label)
        else:
            pair.dataset.y = as_y(labels, self.multi_label)
            pair.shared["labels"] = labels

    @rule(pair=pairs, extra=st.integers(1, 3))
    def label_wrongly(self, pair, extra):
        if not pair.view:
            wrong = [[0]] * (len(pair.texts) + extra) if self.multi_label else [0] * (len(pair.texts) + extra)
            with pytest.raises(InvalidInputError):
                pair.dataset.y = as_y(wrong, self.multi_label)

    @rule(pair=pairs, beyond=st.integers(0, 5), below=st.booleans())
    def select_what_is_not_there(self, pair, beyond, below):
        row = -len(pair.texts) - 1 - beyond if below else len(pair.texts) + beyond
        for index in (row, [row], np.array([row])):
            with pytest.raises(IndexError):
                pair.dataset[index]

    @invariant()
    def everything_holds_what_its_list_holds(self):
        for pair in self.known:
            assert len(pair.dataset) == len(pair.texts)
            assert pair.dataset.x == pair.texts
            assert pair.dataset.is_view == pair.view
            assert pair.dataset.is_multi_label == self.multi_label
            assert ordered(as_list(pair.dataset.y)) == ordered(pair.labels)
            assert [one.x for one in pair.dataset] == [[text] for text in pair.texts]


TestDatasetsAreLists = Lists.TestCase
TestDatasetsAreLists.settings = settings(max_examples=40, stateful_step_count=15, deadline=None, derandomize=True)


def test_the_model_of_several_labels_is_that_of_the_library():
    labels = [[0, 2], [], [3]]
    assert csr_to_list(list_to_csr(labels, CLASSES)) == as_list(as_y(labels, multi_label=True)) == labels
