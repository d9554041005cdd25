import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import smalltext_core as st
from cli.sample_evaluations import evaluation, multi_label, single_label
from embeddings_backend.tiny_encoders import HashedWords
from smalltext_cli.evaluation import model_parameters
from smalltext_cli.report import render_report, text_statistics
from smalltext_cli.report_texts import least_confident_right, most_confident_mistakes, texts_of_cells
from smalltext_core.saving import Manifest, read_manifest

NEWS = ["business", "entertainment", "politics", "sport", "tech"]


def shown(page, key):
    return re.search(rf'id="{key}"[^>]*>([^<]*)<', page).group(1)


@pytest.mark.parametrize("make", [single_label, multi_label])
@pytest.mark.parametrize("classes", [2, 5, 60])
def test_the_page_shows_the_figures_of_the_scores(make, classes):
    sample = make([f"class {k}" for k in range(classes)])

    page = render_report(sample)

    assert shown(page, "accuracy") == f"{sample.scores.accuracy:.1%}"
    assert shown(page, "macro-f1") == f"{sample.scores.macro_f1:.3f}"
    assert shown(page, "micro-f1") == f"{sample.scores.micro_f1:.3f}"
    assert shown(page, "log-loss") == f"{sample.scores.log_loss:.3f}"
    assert shown(page, "ece") == f"{sample.scores.expected_calibration_error:.3f}"
    assert shown(page, "brier") == f"{sample.scores.brier:.3f}"


def test_the_same_evaluation_gives_the_same_page():
    assert render_report(single_label(NEWS)) == render_report(single_label(NEWS))


@pytest.mark.parametrize("make", [single_label, multi_label])
def test_the_page_refers_to_nothing_outside_itself(make):
    page = render_report(make(NEWS)).replace('xmlns="http://www.w3.org/2000/svg"', "")

    assert not re.search(
        r"https?:|//\w|@import|url\(|<script|<iframe|<link(?! rel=\"icon\" href=\"data:,\")| src=", page
    )
    assert "default-src 'none'" in page


def test_untrusted_texts_and_names_are_escaped():
    evil = "</style><script>alert(1)</script>"
    page = render_report(single_label([evil, "b"], texts=[evil] * 400))

    assert "<script" not in page
    assert page.count("</style>") == 1


def test_a_lone_surrogate_does_not_break_the_page():
    page = render_report(single_label(["\ud800", "b"], texts=["\udfff"] * 400))

    page.encode("utf-8")


def test_control_characters_of_texts_are_escaped():
    page = render_report(single_label(["a", "b"], texts=["one\0two\x1b[31mthree\x9f👩\u200d👧"] * 400))

    assert not re.search("[\0-\x09\x0b-\x1f\x7f-\x9f]", page), "HTML allows none of them, and browsers drop NUL"
    assert r"one\x00two\x1b[31mthree\x9f👩‍👧" in page


def test_sixty_classes_fall_back_to_the_most_confused_ones():
    page = render_report(single_label([f"class {k}" for k in range(60)]))

    assert "Of 60 classes, the 20 with the most mistakes are shown." in page


def test_a_model_without_mistakes_has_a_page():
    page = render_report(single_label(["a", "b"], sharpness=40.0))

    assert "None: every text has its right class." in page


def test_one_text_has_a_page():
    assert "1 text ·" in render_report(single_label(["a", "b"], count=1))


def test_truths_of_probability_zero_are_pointed_out():
    sample = evaluation(["a", "b"], np.array([0, 1]), np.array([[0.0, 1.0], [0.5, 0.5]]), multi_label=False)

    assert "Once the true label had a probability of exactly zero." in " ".join(render_report(sample).split())


def test_classes_without_texts_show_a_dash():
    sample = evaluation(
        ["a", "b", "c"], np.array([0, 1]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]]), multi_label=False
    )

    assert re.search(
        r"<bdi>c</bdi></th><td class=\"number\">\u2013</td><td class=\"number\">\u2013</td>", render_report(sample)
    )


def test_mistakes_come_surest_first_with_where_they_stand():
    proba = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    sample = evaluation(
        ["a", "b"], np.array([1, 1, 1]), proba, multi_label=False, texts=["first", "second", "third"]
    )

    found = most_confident_mistakes(sample)

    assert [(one.text, one.line, one.truth, one.predicted) for one in found] == [
        ("second", 3, ("b",), ("a",)),
        ("first", 2, ("b",), ("a",)),
    ]
    assert found[0].confidence == pytest.approx(0.9)


def test_a_multi_label_mistake_is_as_sure_as_its_worst_decision():
    proba = np.array([[0.9, 0.05], [0.6, 0.9]], dtype=np.float32)
    sample = evaluation(["a", "b"], csr_matrix(np.array([[1, 1], [0, 1]])), proba, multi_label=True)

    found = most_confident_mistakes(sample)

    assert [(one.truth, one.predicted) for one in found] == [(("a", "b"), ("a",)), (("b",), ("a", "b"))]
    assert [one.confidence for one in found] == pytest.approx([0.95, 0.6])


def test_a_multi_label_text_without_classes_is_a_mistake_when_it_gets_one():
    sample = evaluation(["a"], csr_matrix((1, 1), dtype=np.int32), np.array([[0.9]]), multi_label=True)

    (found,) = most_confident_mistakes(sample)

    assert (found.truth, found.predicted) == ((), ("a",))
    assert "no class" in render_report(sample)


def test_right_predictions_come_least_sure_first():
    proba = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.55, 0.45]], dtype=np.float32)
    sample = evaluation(["a", "b"], np.array([0, 0, 0, 1]), proba, multi_label=False, texts=[*"pqrs"])

    found = least_confident_right(sample)

    assert [(one.text, one.line, one.truth, one.predicted) for one in found] == [
        ("p", 2, ("a",), ("a",)),
        ("q", 3, ("a",), ("a",)),
    ]
    assert found[0].confidence == pytest.approx(0.6)


def test_a_right_multi_label_prediction_is_as_sure_as_its_closest_decision():
    proba = np.array([[0.9, 0.4], [0.7, 0.9], [0.1, 0.9]], dtype=np.float32)
    sample = evaluation(["a", "b"], csr_matrix(np.array([[1, 0], [1, 1], [1, 1]])), proba, multi_label=True)

    assert [one.confidence for one in least_confident_right(sample)] == pytest.approx([0.6, 0.7])


def test_cells_of_the_matrix_have_their_surest_mistakes_and_least_sure_right_texts():
    top = np.array([0.6, 0.9, 0.8, 0.7, 0.95, 0.51])
    proba = np.stack([top, 1 - top], axis=1)
    sample = evaluation(["a", "b"], np.array([1, 1, 1, 1, 0, 0]), proba, multi_label=False, texts=[*"pqrstu"])

    wrong, right = texts_of_cells(sample)

    assert (wrong.truth, wrong.predicted, wrong.count, wrong.is_right) == ("b", "a", 4, False)
    assert [one.text for one in wrong.texts] == ["q", "r", "s"]
    assert (right.truth, right.predicted, right.count, right.is_right) == ("a", "a", 2, True)
    assert [one.text for one in right.texts] == ["u", "t"]
    page = render_report(sample)
    assert page.index("predicted as") < page.index("predicted correctly")


def test_classes_of_multi_label_problems_have_texts_in_which_they_are_missed_or_wrong():
    proba = np.array([[0.9, 0.2], [0.8, 0.1], [0.1, 0.9]], dtype=np.float32)
    truth = csr_matrix(np.array([[0, 1], [0, 0], [0, 1]]))
    sample = evaluation(["a", "b"], truth, proba, multi_label=True, texts=[*"pqr"])

    found = [
        (cell.truth, cell.predicted, cell.count, [one.text for one in cell.texts])
        for cell in texts_of_cells(sample)
    ]

    assert found == [("", "a", 2, ["p", "q"]), ("b", "", 1, ["p"])]
    assert "is predicted wrongly" in render_report(sample)


def test_many_classes_have_the_largest_cells(monkeypatch):
    monkeypatch.setattr("smalltext_cli.report_texts._MAX_CELLS", 7)
    cells = texts_of_cells(single_label([str(k) for k in range(30)], count=900, sharpness=0.5))

    assert [cell.is_right for cell in cells] == [False] * 7 + [True] * 7
    assert [cell.count for cell in cells[:7]] == sorted((cell.count for cell in cells[:7]), reverse=True)


def test_the_page_says_which_model_the_scores_are_of_and_how_many_texts_it_was_trained_on():
    sample = replace(single_label(["a", "b"]), scored_model="The scores are of 5 models.", seen=12)
    page = render_report(sample)

    assert "The scores are of 5 models." in page
    assert "The model was trained on 12 of these texts" in page
    assert "was trained on" not in render_report(single_label(["a", "b"]))


def test_a_long_text_is_cut_at_a_word():
    sample = evaluation(
        ["a", "b"], np.array([1]), np.array([[0.9, 0.1]]), multi_label=False, texts=["word " * 1000]
    )

    (found,) = most_confident_mistakes(sample)

    assert found.text.endswith("word …")
    assert len(found.text) <= 402


def test_the_statistics_of_the_texts_count_duplicates_and_empty_texts():
    sample = single_label(["a", "b"], count=4, texts=["x", "x", "  ", "yyy"])

    assert text_statistics(sample.texts) == {"duplicates": 1, "empty": 1, "median_length": 2}
    assert shown(render_report(sample), "num-texts") == "4"


def test_long_parameters_are_cut():
    manifest = Manifest(
        "sklearn", "smalltext-sklearn", "1.0", {"vectorizer": ["word"] * 1000, "seed": 1, "probe": [0.5]}
    )

    (name, value), (_, words) = model_parameters(manifest).items()

    assert (name, value) == ("seed", "1")
    assert words.endswith(" …")
    assert len(words) < 310


@pytest.mark.parametrize("name", ["sklearn", "kimcnn", "embeddings"])
def test_parameters_are_those_that_were_given_not_those_that_were_fitted(tmp_path, name):
    pytest.importorskip(f"smalltext_{name}")
    given = {"class_weight": "balanced", "calibration": "auto", "seed": 3}
    further = {"kimcnn": {"num_epochs": 1}, "embeddings": {"encoder": HashedWords()}}.get(name, {})
    train_set = st.TextDataset(["a fine film", "a dull film", "fine", "dull"] * 10, [1, 0, 1, 0] * 10)
    st.create_classifier(name, 2, **given, **further).fit(train_set).save(tmp_path / "model")

    found = model_parameters(read_manifest(tmp_path / "model"), limit=None)

    assert {key: json.loads(found[key]) for key in given} == given
    assert ("encoder" in found) == (name == "embeddings")


def test_the_baseline_is_the_share_of_the_most_frequent_class():
    sample = evaluation(["a", "b"], np.array([0, 0, 0, 1]), np.full((4, 2), 0.5), multi_label=False)

    assert sample.scores.majority_baseline == 0.75


@pytest.mark.parametrize(("confidence", "verdict"), [(0.99, "over"), (0.55, "under"), (0.8, "")])
def test_the_verdict_says_whether_a_model_is_overconfident(confidence, verdict):
    y = np.array([0] * 80 + [1] * 20)
    proba = np.tile([confidence, 1 - confidence], (100, 1))

    assert evaluation(["a", "b"], y, proba, multi_label=False).scores.miscalibration == verdict
