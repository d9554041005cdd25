import re

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from tests.cli.sample_evaluations import evaluation, multi_label, single_label

from smalltext_cli.evaluation import model_parameters
from smalltext_cli.report import most_confident_mistakes, render_report, text_statistics
from smalltext_core.saving import Manifest

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


def test_texts_and_names_of_strangers_are_escaped():
    evil = "</style><script>alert(1)</script>"
    page = render_report(single_label([evil, "b"], texts=[evil] * 400))

    assert "<script" not in page
    assert page.count("</style>") == 1


def test_a_lone_surrogate_does_not_break_the_page():
    page = render_report(single_label(["\ud800", "b"], texts=["\udfff"] * 400))

    page.encode("utf-8")


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

    assert "Once the truth had been given a probability of exactly zero." in " ".join(
        render_report(sample).split()
    )


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
    manifest = Manifest("sklearn", "smalltext-sklearn", "1.0", {"words": ["word"] * 1000, "C": 1.0})

    (name, value), (_, words) = model_parameters(manifest).items()

    assert (name, value) == ("C", "1.0")
    assert words.endswith(" …")
    assert len(words) < 310


def test_the_baseline_is_the_share_of_the_most_frequent_class():
    sample = evaluation(["a", "b"], np.array([0, 0, 0, 1]), np.full((4, 2), 0.5), multi_label=False)

    assert sample.scores.majority_baseline == 0.75


@pytest.mark.parametrize(("confidence", "verdict"), [(0.99, "over"), (0.55, "under"), (0.8, "")])
def test_the_verdict_says_whether_a_model_is_surer_than_it_is_right(confidence, verdict):
    y = np.array([0] * 80 + [1] * 20)
    proba = np.tile([confidence, 1 - confidence], (100, 1))

    assert evaluation(["a", "b"], y, proba, multi_label=False).scores.miscalibration == verdict
