"""Features with labels: dense or CSR, and views without copies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csc_matrix, csr_matrix
from sklearn.feature_extraction.text import CountVectorizer

from smalltext_core.errors import InvalidInputError, ReadOnlyError
from smalltext_sklearn import SklearnDataset

X = np.arange(12.0).reshape(4, 3)


@pytest.fixture(params=[np.array, csr_matrix], ids=["dense", "csr"])
def dataset(request):
    return SklearnDataset(request.param(X), [0, 1, 0, 1])


def dense(x):
    return x if isinstance(x, np.ndarray) else x.toarray()


@pytest.mark.parametrize("indices", [2, slice(None, None, -1), [3, 0], np.array([True, False, True, False])])
def test_a_view_has_the_selected_rows(dataset, indices):
    expected = X[[indices]] if isinstance(indices, int) else X[indices]
    assert_array_equal(dense(dataset[indices].x), expected)


def test_a_slice_of_dense_features_is_the_same_memory():
    dataset = SklearnDataset(X, [0, 1, 0, 1])
    assert np.shares_memory(dataset[1:3].x, dataset.x)


def test_the_features_of_a_view_cannot_be_changed(dataset):
    x = dataset[1:3].x
    values = x if isinstance(x, np.ndarray) else x.data
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 5


def test_labels_of_a_view_cannot_be_set(dataset):
    with pytest.raises(ReadOnlyError, match=r"clone\(\)"):
        dataset[1:3].y = [0, 0]


def test_a_clone_of_a_view_is_independent(dataset):
    clone = dataset[[1, 2]].clone()
    clone.y = [1, 1]
    assert dataset.y.tolist() == [0, 1, 0, 1]
    assert_array_equal(dense(dataset.x), X)


def test_other_sparse_formats_become_csr():
    assert isinstance(SklearnDataset(csc_matrix(X)).x, csr_matrix)


def test_pools_are_vectorized_once_with_the_vectorizer_of_the_training_texts():
    vectorizer = CountVectorizer()
    train = SklearnDataset.from_texts(["red blue", "blue"], [0, 1], vectorizer)
    pool = SklearnDataset.from_texts(["blue green"], vectorizer=vectorizer, train=False)
    assert pool.x.toarray().tolist() == [[1, 0]]
    assert train.x.shape == (2, 2)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (["a text"], "For plain texts, use smalltext_core.TextDataset"),
        (np.array([1.0, 2.0]), r"shape \(2,\)"),
        (np.array([[1.0, np.nan]]), "NaN or infinity"),
        (csr_matrix([[np.inf]]), "NaN or infinity"),
    ],
)
def test_an_invalid_feature_matrix_is_refused(x, message):
    with pytest.raises(InvalidInputError, match=message):
        SklearnDataset(x)


def test_masked_features_are_refused():
    with pytest.raises(InvalidInputError, match="^x: got a masked feature at row 1"):
        SklearnDataset(np.ma.array(np.eye(2), mask=[[0, 0], [0, 1]]))
    assert_array_equal(SklearnDataset(np.ma.array(np.eye(2))).x, np.eye(2))
