"""`TextClassifier`: any registered classifier as a scikit-learn estimator, with labels of any type."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import coo_array, csr_matrix, dia_matrix, dok_array, issparse, lil_matrix
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

import smalltext_core as st
from smalltext_core.errors import InvalidInputError, UnknownClassifierError
from smalltext_sklearn import TextClassifier

GOALS = ["the striker scored a goal", "a late goal won the match", "the goalkeeper saved the match"] * 3
RATES = ["the bank raised its rates", "shares of the bank fell", "rates and shares rose at the bank"] * 3
TEXTS = GOALS + RATES
UNSEEN = ["a goal", "the bank"]


def labelled(sport, money):
    return [sport] * len(GOALS) + [money] * len(RATES)


@pytest.fixture
def classifier():
    return TextClassifier("sklearn", random_state=1)


@pytest.mark.parametrize(
    ("sport", "money"),
    [("sport", "money"), (1, 0), (-1, 1), (7, -3), (True, False), (1.0, 2.0), ("", " "), ("ja", "näe")],
    ids=repr,
)
def test_predictions_have_the_type_of_the_labels(classifier, sport, money):
    classifier.fit(TEXTS, labelled(sport, money))
    assert classifier.predict(UNSEEN).tolist() == [sport, money]
    assert classifier.classes_.tolist() == sorted([sport, money])


def test_columns_of_probabilities_are_the_classes_in_their_order(classifier):
    proba = classifier.fit(TEXTS, labelled("sport", "money")).predict_proba(UNSEEN)
    assert proba.dtype == np.float32
    assert classifier.classes_[proba.argmax(axis=1)].tolist() == ["sport", "money"]


@pytest.mark.parametrize(
    "as_x",
    [
        list,
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: np.array(texts, dtype=object)[:, None],
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string", index=range(100, 100 + len(texts))),
        lambda texts: pd.DataFrame({"text": texts}),
        lambda texts: (text for text in texts),
    ],
    ids=["list", "tuple", "str array", "object array", "column", "series", "string series", "frame", "generator"],
)
def test_texts_come_in_any_container(classifier, as_x):
    y = labelled("sport", "money")
    assert classifier.fit(as_x(TEXTS), y).predict(as_x(UNSEEN)).tolist() == ["sport", "money"]


@pytest.mark.parametrize(
    "as_y", [np.array, pd.Series, pd.Categorical, tuple], ids=["array", "series", "category", "tuple"]
)
def test_labels_come_in_any_container(classifier, as_y):
    assert classifier.fit(TEXTS, as_y(labelled("sport", "money"))).predict(UNSEEN).tolist() == ["sport", "money"]


def test_labels_in_a_column_are_taken_with_a_warning(classifier):
    with pytest.warns(DataConversionWarning):
        classifier.fit(TEXTS, np.array(labelled(1, 0))[:, None])
    assert classifier.predict(UNSEEN).tolist() == [1, 0]


def test_names_of_classes_travel_with_the_saved_model(classifier, tmp_path):
    classifier.fit(TEXTS, labelled("sport", "money")).classifier_.save(tmp_path / "model")
    loaded = st.load(tmp_path / "model")
    assert loaded.label_names_.decode(loaded.predict(st.TextDataset(UNSEEN))) == ["sport", "money"]


@pytest.mark.parametrize("as_y", [np.array, csr_matrix, list], ids=["dense", "sparse", "list"])
def test_indicator_matrices_give_multi_label_problems_and_predictions_of_the_same_form(classifier, as_y):
    indicators = [[1, 0, 1]] * len(GOALS) + [[0, 1, 1]] * len(RATES)
    classifier.fit(TEXTS, as_y(indicators))
    predicted = classifier.predict(UNSEEN)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert issparse(predicted) == (as_y is csr_matrix)
    assert (predicted.toarray() if issparse(predicted) else predicted).tolist() == [[1, 0, 1], [0, 1, 1]]
    assert classifier.predict_proba(UNSEEN).shape == (2, 3)
    assert classifier.score(TEXTS, as_y(indicators)) == 1.0


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([None, *labelled("a", "b")[1:]], "None at row 0, which is not a label"),
        (["a", float("nan"), *labelled("a", "b")[2:]], "nan at row 1, which is not a label"),
        ([0.0, np.nan, *labelled(0, 1)[2:]], "nan at row 1, which is not a label"),
        (pd.Series([pd.NA, *labelled("a", "b")[1:]]), "row 0, which is not a label"),
        (labelled("a", "a"), "one class only, 'a'"),
        (labelled("a", 1), "strings and labels of type int"),
        (labelled({"a"}, {"b"}), "MultiLabelBinarizer"),
        (labelled(["a"], ["a", "b"]), "MultiLabelBinarizer"),
        (labelled(("a", "b"), ("b", "c")), "MultiLabelBinarizer"),
        (np.array(labelled([0, 2], [1, 1])), "MultiLabelBinarizer"),
        (labelled(0.5, 1.5), "Unknown label type: continuous"),
        (np.array(labelled(len, int)), "Unknown label type: unknown"),
        (np.array(labelled(b"a", b"b")), "labels represented as bytes"),
        (np.array(labelled(1j, 2j)), "Complex data"),
        (None, "requires y to be passed"),
        ("labels", "allowed: a label for each text"),
        ([], "0 samples"),
        (labelled("a", "b")[1:], "inconsistent numbers of samples"),
    ],
    ids=str,
)
def test_invalid_labels_are_refused_with_the_reason(classifier, y, said):
    with pytest.raises(ValueError, match=said):
        classifier.fit(TEXTS, y)


@pytest.mark.parametrize("labels", [(0.5, 1.5), (1j, 2j), (b"a", b"b"), (len, int)], ids=str)
def test_labels_that_scikit_learn_refuses_are_refused_as_input(classifier, labels):
    with pytest.raises(InvalidInputError, match="y: got "):
        classifier.fit(TEXTS, np.array(labelled(*labels)))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        ("one text", "One text"),
        (np.zeros((18, 2)), r"X: got an array of float64, shape \(18, 2\); allowed: strings"),
        (csr_matrix(np.ones((18, 2))), "X: got a sparse matrix"),
        ([*TEXTS[1:], None], "None at row 17"),
        (pd.DataFrame({"title": TEXTS, "body": TEXTS}), r"X: got a table .*such as df\['title'\]"),
        (list(range(18)), "0 at row 0"),
    ],
    ids=["one text", "numbers", "sparse", "missing", "two columns", "list of numbers"],
)
def test_invalid_texts_are_refused_in_training_and_prediction(classifier, x, said):
    y = labelled("a", "b")
    with pytest.raises(InvalidInputError, match=said):
        classifier.fit(x, y)
    classifier.fit(TEXTS, y)
    with pytest.raises(InvalidInputError, match=said):
        classifier.predict(x)


def test_a_failed_fit_keeps_the_previous_model(classifier):
    before = classifier.fit(TEXTS, labelled("sport", "money")).predict_proba(UNSEEN)
    with pytest.raises(InvalidInputError):
        classifier.fit(TEXTS, labelled("a", "a"))
    np.testing.assert_array_equal(classifier.predict_proba(UNSEEN), before)


def test_a_text_of_weight_zero_has_no_effect(classifier):
    wrong = ["the bank"] * 20
    y = [*labelled("sport", "money"), *["sport"] * 20]
    weights = [1.0] * len(TEXTS) + [0.0] * 20
    weighted = classifier.fit(TEXTS + wrong, y, sample_weight=weights).predict_proba(UNSEEN)
    np.testing.assert_array_equal(
        weighted, classifier.fit(TEXTS, labelled("sport", "money")).predict_proba(UNSEEN)
    )


@pytest.mark.parametrize("weights", [[1.0], [-1.0] * 18, [0.0] * 18, ["heavy"] * 18, np.ones((18, 1))], ids=str)
def test_invalid_weights_are_named(classifier, weights):
    with pytest.raises(InvalidInputError, match="^sample_weight: got"):
        classifier.fit(TEXTS, labelled(0, 1), sample_weight=weights)


def test_keys_of_class_weight_are_labels(classifier):
    y = labelled("sport", "money")
    even = classifier.fit(TEXTS, y).predict_proba(["goal bank"])
    heavy = (
        classifier.set_params(class_weight={"sport": 9.0, "money": 1.0}).fit(TEXTS, y).predict_proba(["goal bank"])
    )
    assert heavy[0, 1] > even[0, 1]
    with pytest.raises(
        InvalidInputError, match="class_weight: got 'sprot'; allowed: the labels in y: 'money', 'sport'"
    ):
        classifier.set_params(class_weight={"sprot": 9.0}).fit(TEXTS, y)


def test_a_fold_may_lack_a_class_that_has_a_weight(classifier):
    weights = {"sport": 2.0, "money": 1.0, "music": 5.0}
    classifier.set_params(class_weight=weights).fit(TEXTS, labelled("sport", "money"))
    assert classifier.classes_.tolist() == ["money", "sport"]


def test_the_same_random_state_gives_the_same_bits():
    parameters = {
        "estimator": "sklearn.ensemble.RandomForestClassifier",
        "estimator_parameters": {"n_estimators": 5},
    }
    y = labelled(0, 1)
    one, two, other, seeded = (
        TextClassifier("sklearn", **chosen, **parameters).fit(TEXTS, y).predict_proba(UNSEEN)
        for chosen in ({"random_state": 3}, {"random_state": 3}, {"random_state": 4}, {"seed": 3})
    )
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, seeded)
    assert (one != other).any()


def test_of_a_random_state_instance_each_fit_draws_a_seed():
    state = np.random.RandomState(0)
    classifier = TextClassifier(random_state=state)
    seeds = [classifier.fit(TEXTS, labelled(0, 1)).classifier_.seed for _ in range(2)]
    assert seeds == np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=2).tolist()


def test_a_seed_together_with_a_random_state_is_refused():
    with pytest.raises(InvalidInputError, match="random_state: got 1; allowed: None where seed is given"):
        TextClassifier(seed=1, random_state=1).fit(TEXTS, labelled(0, 1))


def test_get_params_returns_the_given_values():
    parameters = {"name": "sklearn", "random_state": None, "estimator": MultinomialNB(alpha=0.5), "seed": 3}
    classifier = TextClassifier(**parameters)
    assert classifier.get_params(deep=False) == parameters
    assert classifier.get_params()["estimator__alpha"] == 0.5
    assert repr(TextClassifier("sklearn", seed=3)) == "TextClassifier(seed=3)"


def test_nested_parameters_are_set_on_the_estimator():
    classifier = TextClassifier(estimator=LogisticRegression(), vectorizer=TfidfVectorizer())
    classifier.set_params(estimator__C=3.0, vectorizer__max_features=5)
    assert classifier.fit(TEXTS, labelled(0, 1)).classifier_.model_.C == 3.0
    assert len(classifier.classifier_.vectorizer_.vocabulary_) == 5


def test_a_nested_parameter_without_an_estimator_is_refused():
    with pytest.raises(InvalidInputError, match="'estimator__C'.*Give estimator as an object first"):
        TextClassifier().set_params(estimator__C=3.0)


def test_a_clone_has_the_parameters_and_nothing_that_was_learned():
    classifier = TextClassifier("sklearn", random_state=1, estimator=LogisticRegression(C=7)).fit(
        TEXTS, labelled(0, 1)
    )
    twin = clone(classifier)
    assert twin.get_params()["estimator__C"] == 7
    assert twin.get_params()["estimator"] is not classifier.get_params()["estimator"]
    with pytest.raises(NotFittedError):
        twin.predict(UNSEEN)


def test_an_unknown_parameter_is_refused_with_a_list_of_the_known_ones():
    with pytest.raises(
        InvalidInputError, match="'estimater' for the classifier 'sklearn'; allowed: estimator, .*Did you"
    ):
        TextClassifier().set_params(estimater=None)
    with pytest.raises(InvalidInputError, match="'estimater' for the classifier 'sklearn'"):
        TextClassifier(estimater=None).fit(TEXTS, labelled(0, 1))


@pytest.mark.parametrize("parameter", ["num_classes", "multi_label"])
def test_values_inferred_from_the_labels_are_not_parameters(parameter):
    with pytest.raises(InvalidInputError, match=f"{parameter}.*It follows from y"):
        TextClassifier(**{parameter: 2}).fit(TEXTS, labelled(0, 1))


def test_a_refused_parameter_leaves_the_others_as_they_were():
    classifier = TextClassifier(seed=1)
    with pytest.raises(InvalidInputError):
        classifier.set_params(seed=2, unknown=3)
    assert classifier.get_params(deep=False) == {"name": "sklearn", "random_state": None, "seed": 1}


def test_fit_reports_a_name_that_is_not_installed():
    classifier = TextClassifier().set_params(name="nothing-like-it", depth=3)
    with pytest.raises(UnknownClassifierError, match="nothing-like-it"):
        classifier.fit(TEXTS, labelled(0, 1))


def test_set_params_can_choose_another_classifier():
    classifier = TextClassifier().set_params(
        name="kimcnn", num_epochs=2, embedding_dim=8, out_channels=4, random_state=1
    )
    assert type(classifier.fit(TEXTS, labelled(0, 1)).classifier_).__name__ == "KimCNNClassifier"


@pytest.mark.parametrize("protocol", [pickle.dumps, None], ids=["pickle", "joblib"])
def test_unpickled_classifiers_give_the_same_bits(classifier, protocol, tmp_path):
    classifier.fit(TEXTS, labelled("sport", "money"))
    if protocol is None:
        joblib.dump(classifier, tmp_path / "classifier.joblib")
        twin = joblib.load(tmp_path / "classifier.joblib")
    else:
        twin = pickle.loads(protocol(classifier))
    np.testing.assert_array_equal(twin.predict_proba(UNSEEN), classifier.predict_proba(UNSEEN))
    assert twin.predict(UNSEEN).tolist() == ["sport", "money"]


def test_its_html_shows_its_parameters(classifier):
    assert "sklearn" in classifier.set_params(seed=None, vectorizer=TfidfVectorizer())._repr_html_()


def test_a_table_of_several_columns_is_refused_with_advice(classifier):
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    columns = {"text": ["a fine film", "a dull film"], "label": ["x", "y"]}
    classifier.fit(columns["text"], columns["label"])
    for table in (pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
        for call in (lambda: classifier.predict(table), lambda: classifier.fit(table, columns["label"])):  # noqa: B023
            with pytest.raises(InvalidInputError, match=r"^X: got a table .* such as df\['text'\]"):
                call()
    for wrong in (columns, set(columns["text"]), b"ab"):
        with pytest.raises(InvalidInputError, match=r"^X: got "):
            classifier.predict(wrong)


def test_labels_may_be_a_generator_and_mappings_tables_and_bytes_are_refused(classifier):
    import pyarrow as pa

    texts, labels = ["a fine film", "a dull film"], ["x", "y"]
    assert classifier.fit(iter(texts), iter(labels)).predict(texts).tolist() == labels
    for wrong in (
        {"x": 1, "y": 2},
        {"x", "y"},
        "xy",
        b"xy",
        bytearray(b"xy"),
        [b"x", b"y"],
        pa.table({"a": labels, "b": labels}),
        np.array("x"),
        5,
    ):
        with pytest.raises(InvalidInputError, match=r"^y: got "):
            classifier.fit(texts, wrong)
    with pytest.raises(InvalidInputError, match=r"^X: got an array of .*shape \(\)"):
        classifier.predict(np.array("a fine film"))


@pytest.mark.parametrize(
    "as_y",
    [
        lil_matrix,
        dok_array,
        coo_array,
        dia_matrix,
        lambda y: pd.DataFrame(y).astype("Int64"),
        lambda y: pd.DataFrame(y).astype("boolean"),
        lambda y: np.array(y, dtype=object),
    ],
    ids=["lil", "dok", "coo", "dia", "nullable integers", "nullable booleans", "objects"],
)
def test_indicator_matrices_of_any_type_are_read(classifier, as_y):
    indicators = [[1, 0, 1]] * len(GOALS) + [[0, 1, 1]] * len(RATES)
    predicted = classifier.fit(TEXTS, as_y(indicators)).predict(UNSEEN)
    assert (predicted.toarray() if issparse(predicted) else predicted).tolist() == [[1, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.zeros((len(TEXTS), 0)), r"^y: got a matrix without columns, shape \(18, 0\)"),
        (lil_matrix(2 * np.ones((len(TEXTS), 2))), "^y: got an array of .* of other values than 0 and 1"),
        (pd.DataFrame([[0, None]] * len(TEXTS)).astype("Int64"), "^y: got an array of .* of other values than 0"),
    ],
    ids=["no columns", "other values", "missing"],
)
def test_matrices_that_are_no_indicators_are_refused(classifier, y, said):
    with pytest.raises(InvalidInputError, match=said):
        classifier.fit(TEXTS, y)


@pytest.mark.parametrize(
    "wrong", [{"estimator__C": 3.0, "estimator__D": 1}, {"estimator__C": 3.0, "vectorizer__D": 1}], ids=str
)
def test_a_refused_nested_parameter_leaves_all_parameters_as_they_were(wrong):
    classifier = TextClassifier(estimator=LogisticRegression(), vectorizer=TfidfVectorizer())
    with pytest.raises(InvalidInputError, match="^parameters: got .*__D; allowed: .* Invalid parameter 'D' for"):
        classifier.set_params(random_state=5, **wrong)
    assert classifier.get_params()["estimator__C"] == 1.0
    assert classifier.random_state is None


@pytest.mark.parametrize("random_state", ["1", 1.5, np.random.default_rng(0)], ids=["str", "float", "generator"])
def test_an_invalid_random_state_is_refused_by_its_name(random_state):
    with pytest.raises(InvalidInputError, match="^random_state: got .* a numpy.random.RandomState"):
        TextClassifier(random_state=random_state).fit(TEXTS, labelled(0, 1))


@pytest.mark.parametrize(
    ("later", "continues"),
    [({"kernel_heights": np.array([2, 3])}, True), ({"kernel_heights": np.array([2, 4])}, False), ({}, True)],
    ids=["equal", "other", "unpickled"],
)
def test_a_warm_start_continues_if_parameters_that_are_arrays_are_equal(later, continues, tmp_path):
    settings = {"num_epochs": 1, "out_channels": 4, "kernel_heights": np.array([2, 3]), "warm_start": True}
    classifier = TextClassifier("kimcnn", random_state=1, **settings).fit(TEXTS, labelled(0, 1))
    joblib.dump(classifier, tmp_path / "classifier.joblib")  # which restores each array as an object of its own
    twin = joblib.load(tmp_path / "classifier.joblib").set_params(**later)
    former = twin.classifier_
    assert (twin.fit(TEXTS, labelled(0, 1)).classifier_ is former) == continues


MASK = [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("X", {"X": np.ma.array(["fine", "dull", "good", "bad"], mask=MASK)}),
        ("y", {"y": np.ma.array(["p", "n", "p", "n"], mask=MASK)}),
        ("y", {"y": np.ma.array([1, 0, 1, 0], mask=MASK)}),
        ("y", {"y": np.ma.array(np.eye(4, 2, dtype=int), mask=np.eye(4, 2))}),
        ("sample_weight", {"sample_weight": np.ma.array([1.0, 1.0, 1.0, 1.0], mask=MASK)}),
    ],
)
def test_masked_values_are_refused(argument, change):
    given = {"X": ["fine", "dull", "good", "bad"], "y": ["p", "n", "p", "n"], **change}
    with pytest.raises(InvalidInputError, match=f"^{argument}: got a masked"):
        TextClassifier("sklearn").fit(**given)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 2 has this type")
def test_strings_of_numpy_are_texts_and_labels():
    dtype = np.dtypes.StringDType(na_object=None)
    texts, labels = np.array(["fine", "dull"] * 4, dtype=dtype), np.array(["p", "n"] * 4, dtype=dtype)
    assert TextClassifier("sklearn").fit(texts, labels).predict(texts).tolist() == labels.tolist()
    labels[3] = None
    with pytest.raises(InvalidInputError, match="^y: got None at row 3, which is not a label"):
        TextClassifier("sklearn").fit(texts, labels)
