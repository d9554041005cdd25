import numpy as np
import pytest

from smalltext_core import LABEL_UNLABELED, TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError, ReadOnlyError
from smalltext_kimcnn import PytorchTextClassificationDataset, Vocabulary

TEXTS = ["a fine film", "dull", "", "a film of films"]


@pytest.fixture
def dataset():
    return PytorchTextClassificationDataset.from_texts(TEXTS, [1, 0, 0, 1])


def tokens(dataset):
    return [dataset.x[i].tolist() for i in range(len(dataset))]


def test_token_ids_are_unpadded_and_lie_in_one_flat_array(dataset):
    assert [len(ids) for ids in tokens(dataset)] == [3, 1, 0, 4]
    assert dataset.x.tokens.dtype == np.int32
    assert len(dataset.x.tokens) == 8


def test_the_vocabulary_maps_ids_to_words(dataset):
    assert [dataset.vocabulary.words[i] for i in dataset.x[0]] == ["a", "fine", "film"]


@pytest.mark.parametrize("vocabulary", [["fine", "film"], {"[PAD]": 0, "[UNK]": 1, "fine": 2, "film": 3}])
def test_a_vocabulary_that_exists_is_taken(vocabulary):
    dataset = PytorchTextClassificationDataset.from_texts(["a fine film"], vocabulary=vocabulary)
    assert tokens(dataset) == [[1, 2, 3]]


def test_the_vocabulary_of_another_dataset_is_taken(dataset):
    pool = PytorchTextClassificationDataset.from_texts(["fine plot"], vocabulary=dataset.vocabulary)
    assert pool.vocabulary is dataset.vocabulary
    assert tokens(pool)[0][1] == dataset.vocabulary.unknown_idx


def test_token_ids_can_be_passed():
    vocabulary = Vocabulary.from_words(["a", "b"])
    dataset = PytorchTextClassificationDataset([[2, 3], []], [0, 1], vocabulary=vocabulary)
    assert tokens(dataset) == [[2, 3], []]


@pytest.mark.parametrize("strange", [4, -1])
def test_ids_outside_the_vocabulary_are_refused(strange):
    with pytest.raises(InvalidInputError, match=f"the token id {strange}"):
        PytorchTextClassificationDataset([[2, strange]], [0], vocabulary=Vocabulary.from_words(["a", "b"]))


def test_none_among_the_texts_is_refused():
    with pytest.raises(InvalidInputError, match="None at row 1"):
        PytorchTextClassificationDataset.from_texts(["a", None])


@pytest.mark.parametrize("indices", [[3, 0], np.array([3, 0]), np.array([-1, 0])])
def test_a_view_has_the_selected_rows_in_order(dataset, indices):
    view = dataset[indices]
    assert tokens(view) == [dataset.x[3].tolist(), dataset.x[0].tolist()]
    assert view.y.tolist() == [1, 1]
    assert view.vocabulary is dataset.vocabulary


def test_a_boolean_mask_selects_the_rows_that_it_marks(dataset):
    view = dataset[np.array([True, False, False, True])]
    assert (len(view), len(view.x), len(view.y)) == (2, 2, 2)


def test_a_numpy_int_selects_one_row(dataset):
    assert tokens(dataset[np.int64(1)]) == [dataset.x[1].tolist()]


def test_a_slice_copies_no_token(dataset):
    assert np.shares_memory(dataset[1:].x.tokens, dataset.x.tokens)


def test_a_view_cannot_be_changed_and_its_clone_can(dataset):
    view = dataset[[0, 1]]
    with pytest.raises(ReadOnlyError):
        view.y = [0, 0]
    clone = view.clone()
    clone.y = [0, 0]
    assert dataset.y.tolist() == [1, 0, 0, 1]


def test_clones_of_views_of_views_stay_multi_label():
    y = list_to_csr([[0], [0, 1], [], [1]], num_classes=2)
    dataset = PytorchTextClassificationDataset.from_texts(TEXTS, y)
    clone = dataset[[3, 1, 0]][[0, 1]].clone()
    assert clone.is_multi_label
    assert clone.y.toarray().tolist() == [[0, 1], [1, 1]]


def test_texts_without_labels_are_unlabelled():
    assert PytorchTextClassificationDataset.from_texts(TEXTS).y.tolist() == [LABEL_UNLABELED] * 4


def test_a_text_dataset_is_encoded_with_its_labels_and_their_names(dataset):
    texts = TextDataset(TEXTS, [1, 0, 0, 1], label_names=["bad", "good"])
    encoded = PytorchTextClassificationDataset.from_dataset(texts, dataset.vocabulary)
    assert tokens(encoded) == tokens(dataset)
    assert encoded.label_names == texts.label_names
