"""What the page for people who come from small-text says of both libraries, for every classifier and dataset."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix, issparse
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import smalltext_core as st
from integrations.page import says
from integrations.toy_reviews import LABELS, TEXTS, kimcnn, of_words, our_kimcnn, our_texts
from smalltext_core.errors import InvalidInputError, NotFittedError, ReadOnlyError, UnsupportedError
from smalltext_kimcnn import KimCNNClassifier
from smalltext_sklearn import SklearnClassifier, SklearnDataset

small_text = pytest.importorskip("small_text")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*target_labels.*"),
    pytest.mark.filterwarnings("ignore:.*loss.*:UserWarning"),
]

FEATURES = csr_matrix(
    np.array([[word in text for word in ("good", "bad", "film")] for text in TEXTS], dtype=float)
)


def sets(y=LABELS, classes=2):
    """Return the same features and labels as a dataset of either library."""
    y = y if issparse(y) else np.array(y)
    targets = np.arange(classes)
    return small_text.SklearnDataset(FEATURES, y, target_labels=targets), SklearnDataset(FEATURES, y, targets)


def classifiers(classes=2, multi_label=False, estimator=LogisticRegression):
    return (
        small_text.SklearnClassifier(estimator(), classes, multi_label=multi_label),
        SklearnClassifier(estimator(), classes, multi_label=multi_label),
    )


SEVERAL = csr_matrix(np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 1]] * 5))


def test_types_of_answers():
    assert says("`predict_proba` is float64, and predictions are int64 | float32 and int32")
    for theirs, ours in [
        [one.fit(data) for one, data in zip(classifiers(), sets(), strict=True)],
        [kimcnn().fit(of_words()), our_kimcnn().fit(our_texts())],
    ]:
        data = sets()[0] if isinstance(ours, SklearnClassifier) else of_words()
        mine = sets()[1] if isinstance(ours, SklearnClassifier) else our_texts()
        assert [one.dtype for one in theirs.predict(data, return_proba=True)] == [np.int64, np.float64]
        assert [one.dtype for one in ours.predict(mine, return_proba=True)] == [np.int32, np.float32]


def test_no_texts():
    assert says("no texts give predictions of shape (0, num_classes) | shape (0,)")
    theirs, ours = (one.fit(data) for one, data in zip(classifiers(), sets(), strict=True))
    assert theirs.predict(sets()[0][[]]).shape == (0, 2)
    assert ours.predict(sets()[1][[]]).shape == (0,)


def test_probabilities_of_several_labels():
    assert says("gives a sparse matrix of the predicted labels' probabilities | the full dense matrix")
    theirs, ours = (one.fit(data) for one, data in zip(classifiers(3, True), sets(SEVERAL, 3), strict=True))
    assert issparse(theirs.predict(sets(SEVERAL, 3)[0], return_proba=True)[1])
    assert isinstance(ours.predict(sets(SEVERAL, 3)[1], return_proba=True)[1], np.ndarray)


def test_a_missing_class():
    assert says("a class without a training text has no column, and predictions are column numbers")
    labels = [2 * label for label in LABELS]
    theirs, ours = (one.fit(data) for one, data in zip(classifiers(3), sets(labels, 3), strict=True))
    data, mine = sets(labels, 3)
    assert theirs.predict_proba(data).shape == (20, 2)
    assert set(theirs.predict(data)) == {0, 1}
    assert ours.predict_proba(mine).shape == (20, 3)
    assert set(ours.predict(mine)) == {0, 2}


def test_labels_that_are_no_classes():
    assert says("labels at or above `num_classes` fail late, or are dropped | refused before any work")
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        kimcnn().fit(of_words([label + 1 for label in LABELS], num_classes=3))
    with pytest.raises(InvalidInputError):
        our_kimcnn().fit(our_texts([label + 1 for label in LABELS]))


def test_weights_of_several_labels():
    assert says("multi-label with weights is refused")
    theirs, ours = classifiers(3, True)
    with pytest.raises(ValueError, match="not supported for multi-label"):
        theirs.fit(sets(SEVERAL, 3)[0], weights=np.ones(20))
    ours.fit(sets(SEVERAL, 3)[1], weights=np.ones(20))


def test_weights_of_zero_and_in_lists():
    assert says("weights are an array, all above zero | any sequence; zero is allowed")
    theirs, ours = classifiers()
    with pytest.raises(ValueError, match="greater zero"):
        theirs.fit(sets()[0], weights=np.array([0.0] + [1.0] * 19))
    with pytest.raises(AttributeError):
        theirs.fit(sets()[0], weights=[1.0] * 20)
    ours.fit(sets()[1], weights=[0.0] + [1.0] * 19)


def test_weights_after_the_split(monkeypatch):
    assert says("with an automatic validation split, weights go to the wrong texts")
    classifier, handed_over = kimcnn(), []
    train = classifier._train

    def spy(sub_train, sub_valid, weights, *further):
        handed_over.append((len(sub_train), len(weights)))
        return train(sub_train, sub_valid, weights, *further)

    monkeypatch.setattr(classifier, "_train", spy)
    classifier.fit(of_words(), weights=np.ones(20))
    assert handed_over[0] == (18, 20)


def test_class_weights():
    assert says("`class_weight` is 'balanced' or None; a training set of one class gives NaN | also a mapping")
    with pytest.raises(ValueError, match="class_weight"):
        kimcnn(class_weight={0: 2.0}).fit(of_words())
    of_one_class = of_words([0] * 20, num_classes=3)
    assert np.isnan(kimcnn(3, class_weight="balanced").fit(of_one_class).predict_proba(of_one_class)).all()
    assert np.isfinite(
        our_kimcnn(class_weight="balanced").fit(our_texts([0] * 20)).predict_proba(our_texts())
    ).all()
    our_kimcnn(class_weight={0: 2.0}).fit(our_texts())


def test_the_loss_of_two_classes():
    assert says("two classes are trained with one loss per class and predicted with softmax")
    theirs = kimcnn().fit(of_words())
    assert isinstance(theirs.criterion, torch.nn.BCEWithLogitsLoss)
    np.testing.assert_allclose(theirs.predict_proba(of_words()).sum(axis=1), 1, rtol=1e-5)


def test_two_classes_of_which_several_apply():
    assert says("multi-label with two classes fails in torch classifiers | works")
    with pytest.raises(RuntimeError, match="one_hot"):
        kimcnn(multi_label=True).fit(of_words([[label] for label in LABELS], multi_label=True))
    our_kimcnn(multi_label=True).fit(our_texts(st.list_to_csr([[label] for label in LABELS], 2)))


def test_the_number_of_classes():
    assert says("`None` as `num_classes` is inferred from the labels | `num_classes` is required")
    assert kimcnn(None).fit(of_words()).num_classes == 2
    with pytest.raises(InvalidInputError, match="num_classes"):
        KimCNNClassifier(None)


def test_the_device():
    assert says("`device` is a string | a string or a `torch.device`")
    with pytest.raises(AttributeError):
        kimcnn(device=torch.device("cpu")).fit(of_words())
    our_kimcnn(device=torch.device("cpu")).fit(our_texts())


def test_predicting_before_fit():
    assert says("predicting before `fit` raises an unspecific error | `NotFittedError`")
    with pytest.raises(AttributeError):
        kimcnn().predict(of_words())
    with pytest.raises(NotFittedError):
        our_kimcnn().predict(our_texts())


def test_a_second_fit():
    assert says("a second `fit` of KimCNN and transformers continues from the first | starts again")
    theirs = kimcnn().fit(of_words())
    network = theirs.model
    assert theirs.fit(of_words()).model is network
    once, twice = our_kimcnn().fit(our_texts()), our_kimcnn().fit(our_texts()).fit(our_texts())
    np.testing.assert_array_equal(once.predict_proba(our_texts()), twice.predict_proba(our_texts()))


def test_random_state():
    assert says("the global random state of numpy and torch is used | `seed=`")
    for fit, moves in ((lambda: kimcnn().fit(of_words()), True), (lambda: our_kimcnn().fit(our_texts()), False)):
        before, of_numpy = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        position = np.random.get_state()[2]  # noqa: NPY002
        fit()
        moved = not torch.equal(before, torch.random.get_rng_state())
        of_numpy_moved = (
            position != np.random.get_state()[2]  # noqa: NPY002
            or (of_numpy != np.random.get_state()[1]).any()  # noqa: NPY002
        )
        assert (moved, of_numpy_moved) == (moves, moves)


class Failing:
    """A scheduler that fails at the second step."""

    steps = 0

    def step(self):
        self.steps += 1
        if self.steps == 2:
            raise RuntimeError("no more steps")


def test_a_fit_that_fails():
    assert says("a `fit` that fails may leave a half trained model | leaves the previous model")
    theirs, ours = kimcnn(mini_batch_size=5).fit(of_words()), our_kimcnn(mini_batch_size=5).fit(our_texts())
    before, mine = copy.deepcopy(theirs.model.state_dict()), ours.predict_proba(our_texts())
    with pytest.raises(RuntimeError, match="no more steps"):
        theirs.fit(of_words(), optimizer=torch.optim.SGD(theirs.model.parameters(), lr=1.0), scheduler=Failing())
    assert any((before[name] != value).any() for name, value in theirs.model.state_dict().items())
    with pytest.raises(RuntimeError, match="no more steps"):
        ours.fit(
            our_texts(),
            optimizer=lambda network: torch.optim.SGD(network.parameters(), lr=1.0),
            scheduler=lambda optimizer: Failing(),
        )
    np.testing.assert_array_equal(ours.predict_proba(our_texts()), mine)


def test_saving():
    assert says("pickle is the only way to save")
    assert not hasattr(small_text.SklearnClassifier, "save")
    assert not hasattr(small_text.KimCNNClassifier, "save")


def test_validation():
    assert says("the loss of `validate` depends on the batch size; no texts raise ZeroDivisionError | a mean over")
    theirs, ours = kimcnn().fit(of_words()), our_kimcnn().fit(our_texts())
    losses = []
    for theirs.mini_batch_size in (1, 20):
        losses.append(theirs.validate(of_words())[0])
    assert losses[0] == pytest.approx(20 * losses[1], rel=1e-3)
    mine = []
    for ours.mini_batch_size in (1, 20):
        mine.append(ours.validate(our_texts())[0])
    assert mine[0] == pytest.approx(mine[1], rel=1e-5)
    with pytest.raises(ZeroDivisionError):
        theirs.validate(of_words()[[]])
    with pytest.raises(InvalidInputError):
        ours.validate(our_texts()[[]])


def test_defaults_that_are_shared():
    assert says("defaults such as `kwargs={}`")
    first = small_text.SklearnClassifierFactory(LogisticRegression(), 2)
    first.kwargs["multi_label"] = True
    try:
        assert small_text.SklearnClassifierFactory(LogisticRegression(), 2).kwargs == {"multi_label": True}
    finally:
        del first.kwargs["multi_label"]


def test_an_estimator_without_weights():
    assert says("An estimator whose `fit` takes no `sample_weight` fails there even without weights")
    theirs, ours = classifiers(estimator=KNeighborsClassifier)
    with pytest.raises(TypeError, match="sample_weight"):
        theirs.fit(sets()[0])
    ours.fit(sets()[1])
    with pytest.raises(UnsupportedError, match="weights"):
        ours.fit(sets()[1], weights=[2.0] + [1.0] * 19)


def test_datasets():
    assert says("`x` can be set | `x` cannot be set")
    theirs, ours = sets()
    theirs.x = FEATURES
    with pytest.raises(AttributeError):
        ours.x = FEATURES
    assert says("`target_labels=None` warns | does not")
    with pytest.warns(UserWarning, match="target_labels"):
        small_text.TextDataset(["a"], np.array([0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        st.TextDataset(["a"], [0])
    assert says("`None` among the texts is accepted | refused, with the row")
    small_text.TextDataset(["a", None], np.array([0, 1]), target_labels=np.array([0, 1]))
    with pytest.raises(InvalidInputError, match="row 1"):
        st.TextDataset(["a", None], [0, 1])


def test_views():
    assert says("Setting `y` raises `ReadOnlyError`")
    assert says("Views have no `.dataset`")
    theirs, ours = sets()
    with pytest.raises(small_text.data.exceptions.UnsupportedOperationException):
        theirs[[0]].y = np.array([1])
    with pytest.raises(ReadOnlyError):
        ours[[0]].y = [1]
    assert theirs[[0]].dataset is theirs
    assert not hasattr(ours[[0]], "dataset")
    mask = np.arange(20) < 3
    assert says("a boolean mask, or a numpy int may fail or give wrong rows there")
    rows = of_words()
    assert len(rows[mask]) == 20
    with pytest.raises(TypeError):
        len(rows[np.int64(3)])
    assert [len(ours[mask]), len(ours[np.int64(3)])] == [3, 1]


def test_labels_that_are_to_be_ignored():
    assert says("`LABEL_IGNORED` is `-inf`, for the active learner alone | [is -2]")
    assert (-np.inf, -2) == (small_text.LABEL_IGNORED, st.LABEL_IGNORED)
    assert small_text.LABEL_UNLABELED == st.LABEL_UNLABELED


def test_unlabelled_rows_of_several_labels():
    assert says('an unlabelled row in multi-label training counts as "no class" | a marked row is refused')
    theirs, ours = classifiers(3, True)
    some = SEVERAL.toarray()
    some[:4] = 0
    theirs.fit(sets(csr_matrix(some), 3)[0])
    marked = st.list_to_csr([None] * 4 + st.csr_to_list(SEVERAL)[4:], 3)
    with pytest.raises(InvalidInputError):
        ours.fit(SklearnDataset(FEATURES, marked))


def test_lists_of_labels():
    assert says("`list_to_csr(labels, shape)` works")
    lists, shape = [[0, 2], [], [1]], (3, 4)
    expected = small_text.list_to_csr(lists, shape)
    for found in (st.list_to_csr(lists, shape), st.list_to_csr(lists, shape=shape), st.list_to_csr(lists, 4)):
        np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert st.csr_to_list(expected) == small_text.csr_to_list(expected) == lists
