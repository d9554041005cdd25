import copy
import inspect
import pickle

import numpy as np
import pytest
import torch

import smalltext_core as st
from smalltext_core import LABEL_UNLABELED, TextDataset, list_to_csr
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_core.factory import builder_parameters
from smalltext_kimcnn import KimCNNClassifier, KimCNNFactory, PytorchTextClassificationDataset, Vectors, Vocabulary
from smalltext_testing import changed_generators, global_random_state

QUICK = {"num_epochs": 2, "embedding_dim": 8, "out_channels": 4, "seed": 1}
TEXTS = TextDataset(["a fine film", "dull", "", "words that nobody has seen"])


def fine_and_dull(dimensions=5):
    """Vectors of some words that occur in the texts and of some that do not."""
    words = ("[PAD]", "fine", "dull", "splendid", "dreary", "Capital")
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(len(words), dimensions)).astype(np.float32)
    matrix[3:5] = matrix[1:3]
    return Vectors(words, matrix)


def encoded(dataset):
    return PytorchTextClassificationDataset.from_texts(dataset.x, dataset.y)


# Documented behaviour


def test_the_documented_parameters_have_their_order_and_defaults():
    parameters = [
        p for p in inspect.signature(KimCNNClassifier).parameters.values() if p.kind is not p.KEYWORD_ONLY
    ]
    assert {parameter.name: parameter.default for parameter in parameters} == {
        "num_classes": inspect.Parameter.empty,
        "multi_label": False,
        "embedding_matrix": None,
        "device": None,
        "num_epochs": 10,
        "mini_batch_size": 25,
        "lr": 0.001,
        "max_seq_len": 60,
        "out_channels": 100,
        "filter_padding": 0,
        "dropout": 0.5,
        "validation_set_size": 0.1,
        "padding_idx": 0,
        "kernel_heights": (3, 4, 5),
        "early_stopping": 5,
        "early_stopping_acc": -1,
        "class_weight": None,
        "verbosity": 20,
    }


def test_the_parameters_of_fit_have_the_documented_order():
    names = list(inspect.signature(KimCNNClassifier.fit).parameters)[1:8]
    assert names == [
        "train_set",
        "validation_set",
        "weights",
        "early_stopping",
        "model_selection",
        "optimizer",
        "scheduler",
    ]


def test_three_classes_are_learned_with_a_few_words(learned):
    assert learned.predict(TextDataset(["the green one", "red", "one of blue"])).tolist() == [1, 0, 2]


@pytest.mark.parametrize("parameter", [{"early_stopping": 3}, {"early_stopping_acc": 0.9}])
def test_deprecated_parameters_work_and_warn(parameter):
    with pytest.warns(DeprecationWarning, match=f"{next(iter(parameter))} is deprecated"):
        KimCNNClassifier(2, **parameter)


# Vectors


@pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray])
def test_the_matrix_of_the_caller_is_never_written_to(films, kind):
    train_set = encoded(films)
    matrix = np.random.default_rng(0).normal(size=(len(train_set.vocabulary), 6)).astype(np.float32)
    before = matrix.copy()
    classifier = KimCNNClassifier(2, embedding_matrix=kind(matrix), num_epochs=3, lr=0.1, seed=1).fit(train_set)
    np.testing.assert_array_equal(matrix, before)
    assert not np.allclose(classifier.model.embedding.weight.detach().cpu().numpy(), before)


def test_static_vectors_are_frozen_and_others_are_trained(films):
    train_set = encoded(films)
    matrix = torch.rand(len(train_set.vocabulary), 6)
    for static in (True, False):
        classifier = KimCNNClassifier(2, embedding_matrix=matrix, static=static, num_epochs=2, seed=1).fit(
            train_set
        )
        assert torch.equal(classifier.model.embedding.weight.cpu(), matrix) == static


def test_words_outside_the_training_texts_have_their_pretrained_vectors(films):
    classifier = KimCNNClassifier(
        2, embeddings=fine_and_dull(), static=True, kernel_heights=(1,), num_epochs=20, lr=0.01, seed=1
    ).fit(films)
    fine, splendid, dull, dreary = classifier.predict_proba(TextDataset(["fine", "splendid", "dull", "dreary"]))
    np.testing.assert_allclose(fine, splendid, rtol=1e-5)
    np.testing.assert_allclose(dull, dreary, rtol=1e-5)
    assert fine[1] > dull[1]


def test_words_that_lowercased_texts_cannot_contain_are_left_out(films):
    classifier = KimCNNClassifier(2, embeddings=fine_and_dull(), num_epochs=1, seed=1).fit(films)
    assert classifier._state.encoder.vocabulary.words[-2:] == ("splendid", "dreary")


def test_the_builder_accepts_a_file_of_vectors(films, tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("fine 1 0\ndull 0 1\nsplendid 1 0\n")
    classifier = st.create_classifier("kimcnn", 2, embeddings=str(path), static=True, num_epochs=1, seed=1)
    classifier.fit(films)
    row = classifier._state.encoder.vocabulary.numbers["fine"]
    assert classifier.model.embedding.weight[row].tolist() == [1, 0]


def test_a_file_that_changes_is_read_again(films, tmp_path):
    path = tmp_path / "glove.txt"
    dimensions = []
    for content in ("fine 1 0\n", "fine 1 0 0 0\n"):
        path.write_text(content)
        classifier = KimCNNClassifier(2, embeddings=path, num_epochs=1, seed=1).fit(films)
        dimensions.append(classifier.model.embedding.embedding_dim)
    assert dimensions == [2, 4]


def test_a_matrix_without_a_vocabulary_is_refused(films):
    with pytest.raises(InvalidInputError, match="train_set: got TextDataset"):
        KimCNNClassifier(2, embedding_matrix=torch.rand(9, 4)).fit(films)


def test_a_matrix_of_another_size_than_the_vocabulary_is_refused(films):
    with pytest.raises(InvalidInputError, match="embedding_matrix: got 3 rows"):
        KimCNNClassifier(2, embedding_matrix=torch.rand(3, 4)).fit(encoded(films))


def test_vectors_and_a_matrix_are_refused_together():
    with pytest.raises(InvalidInputError, match="embeddings"):
        KimCNNClassifier(2, embedding_matrix=torch.rand(3, 4), embeddings="glove.txt")


@pytest.mark.parametrize(
    "kind",
    [
        lambda matrix: matrix[:, ::-1][:, ::-1],
        lambda matrix: matrix[:, ::-1].copy()[:, ::-1],
        np.asfortranarray,
        lambda matrix: matrix.astype(">f8"),
        lambda matrix: matrix.astype(np.longdouble),
        lambda matrix: torch.from_numpy(matrix).double().T.contiguous().T,
    ],
)
def test_a_matrix_of_any_layout_and_precision_gives_the_same_network(films, kind):
    train_set = encoded(films)
    matrix = np.random.default_rng(0).normal(size=(len(train_set.vocabulary), 6)).astype(np.float32)
    given = {"static": True, "num_epochs": 1, "seed": 1}
    plain, other = (
        KimCNNClassifier(2, embedding_matrix=one, **given).fit(train_set) for one in (matrix, kind(matrix))
    )
    assert torch.equal(other.model.embedding.weight, plain.model.embedding.weight)
    np.testing.assert_array_equal(other.predict_proba(train_set), plain.predict_proba(train_set))


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.0]],
        np.ones((2, 2), dtype=int),
        np.ones(3),
        np.ones((0, 2)),
        np.full((2, 2), np.nan),
        np.full((2, 2), 1e300),
        np.full((2, 2), "a"),
        torch.ones(2, 2, dtype=torch.int64),
        torch.eye(4).to_sparse(),
        torch.full((2, 2), 1e300, dtype=torch.float64),
    ],
)
def test_an_invalid_embedding_matrix_is_refused(matrix):
    with pytest.raises(InvalidInputError, match="embedding_matrix"):
        KimCNNClassifier(2, embedding_matrix=matrix)


# Datasets


def test_token_ids_of_another_vocabulary_are_refused(fitted):
    other = PytorchTextClassificationDataset.from_texts(["quite other words"])
    with pytest.raises(InvalidInputError, match="token ids of another vocabulary"):
        fitted.predict(other)


def test_a_vocabulary_with_another_padding_id_is_refused(films):
    elsewhere = PytorchTextClassificationDataset.from_texts(films.x, films.y, padding_idx=1)
    with pytest.raises(InvalidInputError, match="padding_idx=1"):
        KimCNNClassifier(2, **QUICK).fit(elsewhere)
    KimCNNClassifier(2, padding_idx=1, **QUICK).fit(elsewhere)


def test_a_pool_is_encoded_once_and_learned_from_by_views(films):
    pool = encoded(films)
    pool.y = [LABEL_UNLABELED] * len(pool)
    labelled = pool[[0, 1, 2, 3, 4, 5, 6, 7]].clone()
    labelled.y = films.y[:8]
    assert KimCNNClassifier(2, **QUICK).fit(labelled).predict(pool[8:]).shape == (16,)


def test_a_dataset_of_another_kind_is_refused(fitted):
    class Other(TextDataset.__base__):
        _count, _select = staticmethod(len), staticmethod(lambda x, rows: x)

    with pytest.raises(InvalidInputError, match="data_set: got Other"):
        fitted.predict(Other(["a"]))


@pytest.mark.parametrize("ask", ["predict", "predict_proba", "embed", "validate"])
def test_other_objects_than_datasets_are_refused(fitted, ask):
    for strange in (None, ["a fine film"]):
        with pytest.raises(InvalidInputError, match="Wrap texts and labels"):
            getattr(fitted, ask)(strange)


# Known defects of small-text


def test_two_labels_of_which_both_may_apply(labelled_twice):
    classifier = KimCNNClassifier(2, multi_label=True, **QUICK).fit(labelled_twice)
    assert classifier.predict(labelled_twice).shape == (24, 2)


def test_a_device_may_be_an_object(films):
    assert KimCNNClassifier(2, device=torch.device("cpu"), **QUICK).fit(films).predict(films).shape == (24,)


@pytest.mark.parametrize("y", [[0] * 8, [0, 1] * 4])
def test_balanced_weights_of_one_class_or_two_give_probabilities(y):
    classifier = KimCNNClassifier(3, class_weight="balanced", **QUICK).fit(TextDataset(["a b"] * 8, y))
    assert np.isfinite(classifier.predict_proba(TEXTS)).all()


def test_labels_and_probabilities_of_nothing_have_their_shapes_and_types(fitted):
    labels, proba = fitted.predict(TextDataset([]), return_proba=True)
    assert (labels.shape, labels.dtype) == ((0,), np.int32)
    assert (proba.shape, proba.dtype) == ((0, 2), np.float32)


def test_probabilities_of_several_labels_are_dense_and_the_same_both_ways(labelled_twice):
    classifier = KimCNNClassifier(2, multi_label=True, **QUICK).fit(labelled_twice)
    labels, proba = classifier.predict(labelled_twice, return_proba=True)
    np.testing.assert_array_equal(proba, classifier.predict_proba(labelled_twice))
    assert proba.dtype == np.float32
    np.testing.assert_array_equal(labels.toarray(), proba > 0.5)


@pytest.mark.parametrize(
    "ask",
    [
        lambda classifier: classifier.predict(TEXTS),
        lambda classifier: classifier.predict_proba(TEXTS, dropout_sampling=2),
        lambda classifier: classifier.validate(TextDataset(["a"], [0])),
        lambda classifier: classifier.save("nowhere"),
    ],
)
def test_asking_before_fitting_is_refused(ask):
    with pytest.raises(NotFittedError, match="KimCNNClassifier is not fitted"):
        ask(KimCNNClassifier(2))


def test_an_empty_training_set_is_refused():
    with pytest.raises(InvalidInputError, match="train_set: got an empty dataset"):
        KimCNNClassifier(2).fit(TextDataset([], []))


def test_one_text_is_enough_to_train_on():
    classifier = KimCNNClassifier(2, **QUICK).fit(TextDataset(["fine"], [1]))
    assert classifier.predict_proba(TEXTS).shape == (4, 2)


def test_labels_beyond_num_classes_are_refused():
    with pytest.raises(InvalidInputError, match="the label 3"):
        KimCNNClassifier(3).fit(TextDataset(["a", "b"], [0, 3]))


def test_labels_beyond_num_classes_are_refused_where_several_may_apply():
    with pytest.raises(InvalidInputError, match="4 columns"):
        KimCNNClassifier(3, multi_label=True).fit(TextDataset(["a", "b"], list_to_csr([[0], [3]], num_classes=4)))


def test_fit_starts_from_scratch(films):
    classifier = KimCNNClassifier(2, **QUICK)
    first = classifier.fit(films).predict_proba(films)
    np.testing.assert_array_equal(classifier.fit(films).predict_proba(films), first)


def test_a_seed_gives_the_same_bits_without_changing_the_global_random_state(films):
    before = global_random_state()
    one, other = (KimCNNClassifier(2, **QUICK).fit(films).predict_proba(films) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert changed_generators(before) == []


@pytest.mark.parametrize("multi_label", [True, False])
def test_labels_of_the_other_kind_are_refused(films, labelled_twice, multi_label):
    with pytest.raises(InvalidInputError, match=r"train_set\.y"):
        KimCNNClassifier(2, multi_label).fit(films if multi_label else labelled_twice)


def test_parameters_of_one_factory_do_not_leak_into_another():
    KimCNNFactory("kimcnn", 2).kwargs["multi_label"] = True
    assert KimCNNFactory("kimcnn", 2).new().multi_label is False


def test_an_empty_validation_set_is_refused(fitted):
    with pytest.raises(InvalidInputError, match="validation_set: got an empty dataset"):
        fitted.validate(TextDataset([], []))


def test_training_with_nothing_to_validate_with_is_refused(films):
    with pytest.raises(InvalidInputError, match="validation_set: got an empty dataset"):
        KimCNNClassifier(2).fit(films, validation_set=TextDataset([], []))


# Parameters


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("max_seq_len", 0),
        ("out_channels", 0),
        ("filter_padding", -1),
        ("dropout", 1.0),
        ("dropout", float("nan")),
        ("padding_idx", -1),
        ("kernel_heights", ()),
        ("kernel_heights", (3, 0)),
        ("kernel_heights", "345"),
        ("embedding_dim", 0),
        ("embeddings", 5),
        ("max_norm", 0),
        ("max_norm", 10**400),
        ("filter_padding", np.timedelta64(2, "s")),
        ("dropout", np.timedelta64(0, "s")),
        ("min_frequency", 0),
        ("lr", -1),
        ("num_epochs", 0),
        ("mini_batch_size", 0),
        ("validation_set_size", 1.0),
        ("class_weight", "even"),
        ("seed", -1),
        ("device", "toaster"),
    ],
)
def test_an_invalid_parameter_is_refused_by_name(parameter, value):
    with pytest.raises(InvalidInputError, match=parameter):
        KimCNNClassifier(2, **{parameter: value})


def test_filter_padding_has_to_leave_room_for_a_word():
    with pytest.raises(InvalidInputError, match="max_seq_len"):
        KimCNNClassifier(2, max_seq_len=8, filter_padding=4)


def test_created_by_name_it_takes_every_parameter_of_the_class():
    parameters = inspect.signature(KimCNNClassifier).parameters
    assert list(builder_parameters("kimcnn")) == list(parameters)[2:]
    for name in ("embedding_dim", "verbosity", "early_stopping"):
        given = {name: parameters[name].default}
        assert getattr(st.create_factory("kimcnn", 2, **given).new(), name) == parameters[name].default


def test_created_by_name_it_has_the_defaults_of_the_class_except_those_for_small_data():
    named, alone = st.create_classifier("kimcnn", 2), KimCNNClassifier(2)
    decided = dict.fromkeys(("min_steps", "validation_set_size", "calibration", "multi_label_threshold"), "auto")
    decided |= {"kernel_heights": (1, 2, 3), "max_seq_len": 500, "lr": 0.003, "embedding_init": "lsa"}
    for name in inspect.signature(KimCNNClassifier).parameters:
        assert getattr(named, name) == decided.get(name, getattr(alone, name))


def test_created_by_name_it_trains_for_the_requested_number_of_epochs():
    assert st.create_classifier("kimcnn", 2, num_epochs=3).min_steps == 0
    assert st.create_classifier("kimcnn", 2, num_epochs=3, min_steps=50).min_steps == 50


# Saving and loading


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_loaded_classifier_gives_the_same_bits(films, tmp_path, pretrained):
    vectors = {"embeddings": fine_and_dull()} if pretrained else {}
    classifier = KimCNNClassifier(2, kernel_heights=(1, 2), **QUICK, **vectors).fit(films)
    classifier.save(tmp_path / "model")
    again = st.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(TEXTS), classifier.predict_proba(TEXTS))
    np.testing.assert_array_equal(again.embed(TEXTS), classifier.embed(TEXTS))
    assert again.kernel_heights == (1, 2)


def test_a_saved_classifier_consists_of_safetensors_and_json(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "smalltext.json",
        "vocabulary.json",
        "weights.safetensors",
    ]


def test_rows_at_the_maximum_norm_are_saved_and_loaded_bit_for_bit(films, tmp_path):
    further = {**QUICK, "out_channels": 16, "num_epochs": 60, "lr": 0.05, "validation_set_size": 0}
    at_the_norm = 0
    for seed in range(12):
        classifier = KimCNNClassifier(2, **further | {"seed": seed}).fit(films)
        at_the_norm += bool((classifier.model.last.weight.norm(dim=1) > 2.999).any())
        expected = classifier.predict_proba(TEXTS)
        classifier.save(tmp_path / "model")
        np.testing.assert_array_equal(st.load(tmp_path / "model").predict_proba(TEXTS), expected)
        classifier.model.train().eval()
        np.testing.assert_array_equal(classifier.predict_proba(TEXTS), expected)
    assert at_the_norm > 3


def test_retraining_a_loaded_classifier_needs_its_initial_vectors(films, tmp_path):
    KimCNNClassifier(2, embeddings=fine_and_dull(), num_epochs=1, seed=1).fit(films).save(tmp_path / "model")
    with pytest.raises(InvalidInputError, match="embeddings: got 'vectors that were passed as an object"):
        st.load(tmp_path / "model").fit(films)


def test_a_loaded_classifier_can_be_trained_again(fitted, films, tmp_path):
    fitted.save(tmp_path / "model")
    again = st.load(tmp_path / "model").fit(films)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda classifier: pickle.loads(pickle.dumps(classifier))])
def test_copies_predict_the_same(fitted, copied):
    np.testing.assert_array_equal(copied(fitted).predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_unusual_words_can_be_saved(tmp_path):
    texts = TextDataset(["“日本語” \ud800 é", "naïve"] * 3, [0, 1] * 3)
    classifier = KimCNNClassifier(2, **QUICK).fit(texts)
    classifier.save(tmp_path / "model")
    np.testing.assert_array_equal(
        st.load(tmp_path / "model").predict_proba(texts), classifier.predict_proba(texts)
    )


def test_the_vocabulary_of_plain_texts_can_leave_out_rare_words(films):
    classifier = KimCNNClassifier(2, min_frequency=10, **QUICK).fit(films)
    kept = Vocabulary.from_texts(films.x, min_frequency=10)
    assert classifier._state.encoder.vocabulary == kept
