"""Warnings about a model, its thresholds and its calibration, in `train`, `evaluate`, `predict` and `info`."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import f1_score

import smalltext_core as st
from cli.sample_evaluations import evaluation
from security.attacks import sign
from smalltext_cli.diagnostics import calibration_text, threshold_text, warnings_of, without_class_note
from smalltext_cli.evaluation import Probabilities, thresholds_of
from smalltext_cli.metrics import score
from smalltext_cli.report import render_report
from smalltext_core.calibration import Calibration, prior_temperature

NAMES = ["ham", "spam", "other"]
FITTED = Calibration("temperature", (0.5,), (0.0,), 120, (0.61, 0.52), (0.12, 0.05))


def plain_model(**attributes):
    return SimpleNamespace(**{"class_weight": None, "calibration": "none", "multi_label": False, **attributes})


def single_label(truth, predicted, confidence=0.9):
    """Score predictions of one confidence, the rest of which is shared by the other classes."""
    proba = np.full((len(truth), len(NAMES)), (1 - confidence) / (len(NAMES) - 1))
    proba[np.arange(len(truth)), predicted] = confidence
    return score(np.array(truth), proba, multi_label=False)


def multi_label(truth, proba, threshold=0.5):
    return score(csr_matrix(np.array(truth)), np.array(proba), multi_label=True, threshold=threshold)


def test_a_model_that_predicts_one_class_alone_gets_one_warning_that_names_class_weight():
    truth = [0] * 36 + [1] * 3 + [2]
    (found,) = warnings_of(plain_model(), single_label(truth, [0] * 40), NAMES)
    assert found == (
        "the class 'ham' is predicted for all 40 texts. Train with --set class_weight=balanced, or label more "
        "texts of the other classes."
    )


def test_a_model_no_better_than_the_most_frequent_class_is_named_so():
    truth = [0] * 30 + [1] * 10
    predicted = [0] * 27 + [2] * 3 + [0] * 9 + [1]
    (found,) = warnings_of(plain_model(), single_label(truth, predicted, 0.7), NAMES)
    assert found.startswith("an accuracy of 0.700 is no better than that of always predicting 'ham' (0.750).")


def test_balanced_weights_may_cost_accuracy_and_are_not_advised_again():
    truth = [0] * 30 + [1] * 10
    predicted = [0] * 20 + [1] * 20
    assert warnings_of(plain_model(class_weight="balanced"), single_label(truth, predicted, 0.75), NAMES) == []
    (found,) = warnings_of(plain_model(class_weight="balanced"), single_label(truth, [0] * 40, 0.75), NAMES)
    assert found.endswith("texts. Label more texts of the other classes.")


def test_classes_that_are_never_predicted_share_one_warning():
    truth = [0] * 20 + [1] * 17 + [2] * 3
    (found,) = warnings_of(plain_model(), single_label(truth, [0] * 20 + [1] * 17 + [0] * 3, 0.92), NAMES)
    assert found == (
        "never predicted, although texts have it: 'other' (3 texts). Train with --set class_weight=balanced, or "
        "label more texts of it."
    )


@pytest.mark.parametrize(
    ("confidence", "start"),
    [
        (0.97, "the model is overconfident: its mean confidence is 0.970, but its accuracy 0.750."),
        (0.45, "the model is underconfident: its mean confidence is 0.450, but its accuracy 0.750."),
    ],
)
def test_confidence_that_is_not_accuracy_gets_a_warning_that_names_calibration(confidence, start):
    truth = [0, 1, 2, 0] * 30
    predicted = [0, 1, 2, 1] * 30
    (found,) = warnings_of(plain_model(), single_label(truth, predicted, confidence), NAMES)
    assert found.startswith(start)
    assert found.endswith("train with --set calibration=auto.")
    (calibrated,) = warnings_of(plain_model(calibration="auto"), single_label(truth, predicted, confidence), NAMES)
    assert "calibration=auto" not in calibrated


def test_a_gap_within_the_interval_or_of_a_few_points_gets_no_warning():
    assert warnings_of(plain_model(), single_label([0, 1, 2, 0], [0, 1, 2, 0]), NAMES) == []
    many = [0, 1, 2, 0, 1] * 1000
    wrong = [0, 1, 2, 0, 2] * 1000
    assert single_label(many, wrong, 0.84).miscalibration == "over"
    assert warnings_of(plain_model(), single_label(many, wrong, 0.84), NAMES) == []


def test_a_classifier_without_class_weight_is_not_advised_to_set_it():
    (found,) = warnings_of(SimpleNamespace(), single_label([0] * 9 + [1], [0] * 10), NAMES)
    assert found.endswith("texts. Label more texts of the other classes.")


def test_multi_label_advises_thresholds_for_a_class_that_is_never_predicted():
    truth = [[1, 1, 0], [1, 0, 0]] * 20
    proba = [[0.9, 0.45, 0.1], [0.9, 0.3, 0.1]] * 20
    model = plain_model(multi_label=True, multi_label_threshold=0.5)
    (found,) = warnings_of(model, multi_label(truth, proba), NAMES)
    assert found == (
        "never predicted, although texts have it: 'spam' (20 texts). Let training choose the thresholds: "
        "--set multi_label_threshold=auto."
    )


def test_multi_label_probabilities_are_compared_with_the_classes_that_apply():
    truth = [[1, 0, 0], [0, 0, 0]] * 50
    model = plain_model(multi_label=True, multi_label_threshold="auto")
    (found,) = warnings_of(model, multi_label(truth, [[0.9, 0.4, 0.4], [0.6, 0.4, 0.4]] * 50, 0.7), NAMES)
    assert found.startswith(
        "the model is overconfident: by its probabilities, 1.55 classes apply to a text on average, but 0.50 do."
    )


def test_texts_without_a_class_are_counted_with_what_they_cost():
    truth = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0]])
    proba = np.array([[0.9, 0.1, 0.1], [0.1, 0.4, 0.2], [0.2, 0.1, 0.1], [0.45, 0.4, 0.1]])
    scores = multi_label(truth, proba)
    filled = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]])
    found = scores.without_class
    assert (found.texts, found.right, found.missed) == (3, 1, 3)
    assert found.micro_f1_with_top == pytest.approx(f1_score(truth, filled, average="micro"))
    assert found.macro_f1_with_top == pytest.approx(f1_score(truth[:, :2], filled[:, :2], average="macro"))
    assert without_class_note(scores).startswith(
        "3 of 4 texts get no label, since no class is above its threshold: 1 of them correctly; 3 true labels are "
        "missed. With the most probable class of each, micro F1 would be "
    )
    assert without_class_note(multi_label(truth, proba, 0.05)) == ""


def test_each_class_may_have_a_threshold():
    truth = [[1, 0], [0, 1]]
    scores = multi_label(truth, [[0.4, 0.4], [0.2, 0.6]], [0.3, 0.5])
    assert scores.accuracy == 1.0
    assert scores.as_dict(["a", "b"])["thresholds"] == {"a": 0.3, "b": 0.5}


def test_fitted_thresholds_come_before_the_parameter():
    assert thresholds_of(SimpleNamespace()) == 0.5
    assert thresholds_of(SimpleNamespace(multi_label_threshold="auto", multi_label_threshold_=None)) == 0.5
    assert thresholds_of(SimpleNamespace(multi_label_threshold=0.3)) == 0.3
    fitted = np.array([0.2, 0.4])
    model = SimpleNamespace(multi_label_threshold="auto", multi_label_threshold_=fitted, multi_label=True)
    assert thresholds_of(model) is fitted
    assert Probabilities.of(model, ["a", "b"]).thresholds == {"a": 0.2, "b": 0.4}


def test_a_calibration_is_described_with_its_effect():
    assert calibration_text(FITTED) == (
        "temperature 2.00, fitted to held-out predictions of 120 texts; log loss 0.610 before, 0.520 after; "
        "calibration error 0.120 before, 0.050 after"
    )
    assert calibration_text(prior_temperature(2.0)).startswith(
        "temperature 2.00, assumed: there were too few texts"
    )
    logistic = Calibration("logistic", (1.0, 1.0), (0.0, 0.1), 1)
    assert calibration_text(logistic).startswith(
        "a logistic map for each class (mean temperature 1.00), fitted to held-out predictions of 1 text"
    )


def test_many_thresholds_are_given_by_their_range():
    assert threshold_text({f"c{k}": k / 20 for k in range(1, 15)}) == "from 0.05 to 0.7"


def test_the_report_shows_calibration_and_thresholds():
    rng = np.random.default_rng(0)
    truth = csr_matrix(rng.random((50, 2)) < 0.3, dtype=np.int32)
    calibration = Calibration("logistic", (1.0, 0.5), (0.0, 0.1), 80, (0.4, 0.3), (0.1, 0.02))
    made = evaluation(["ham", "spam"], truth, rng.random((50, 2)) / 2, multi_label=True, calibration=calibration)
    page = render_report(made)
    assert "log loss 0.400 before, 0.300 after" in page
    assert '<td id="thresholds"><bdi>0.5</bdi></td>' in page
    assert '<li id="without-class"><strong>50 texts</strong> get no label' in page


REGULARISED = ("--set", 'estimator_parameters={"C": 0.01}')
"""Settings of a model that does not fit the noise in its training texts."""


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Two files of 100 texts of two classes, a tenth of which are of one that cannot be told apart."""
    words = ["meeting", "lunch", "report", "project", "please", "tomorrow"]
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("rare")
    labels = ["odd" if row % 10 == 0 else "usual" for row in range(100)]
    for name in ("train", "test"):
        texts = [" ".join(rng.choice(words, 4)) + f" {name}{row}" for row in range(100)]
        pl.DataFrame({"text": texts, "label": labels}).write_csv(folder / f"{name}.csv")
    return folder


def test_train_and_evaluate_warn_of_a_majority_class_model_once(smalltext, rare, tmp_path):
    trained = smalltext("train", rare / "train.csv", "-c", "sklearn", "-o", tmp_path / "model", *REGULARISED)
    evaluated = smalltext("evaluate", tmp_path / "model", rare / "test.csv")
    for ended, texts in ((trained, 20), (evaluated, 100)):
        assert ended.code == 0
        warning = f"Warning: the class 'usual' is predicted for all {texts} texts. Train with --set class_weight="
        assert ended.err.count(warning) == 1
        assert "never predicted" not in ended.err


def test_balanced_weights_end_the_warning(smalltext, rare, tmp_path):
    settings = (*REGULARISED, "--set", "class_weight=balanced")
    ended = smalltext("train", rare / "train.csv", "-c", "sklearn", "-o", tmp_path / "m", *settings)
    assert ended.code == 0
    assert "is predicted for all" not in ended.err


def test_commands_say_how_many_texts_get_no_label(smalltext, tagged, tmp_path):
    settings = ("--multi-label", "--set", "multi_label_threshold=0.9")
    trained = smalltext("train", tagged, "-c", "sklearn", "-o", tmp_path / "model", *settings)
    assert "texts get no label, since no class is above its threshold" in trained.err
    assert "\nThresholds: 0.9\n" in trained.out
    evaluated = smalltext("evaluate", tmp_path / "model", tagged, "--json")
    found = json.loads(evaluated.out)["without_class"]
    assert found["texts"] > found["right"]
    assert "true labels are missed. With the most probable class of each, micro F1 would be" in evaluated.err
    predicted = smalltext("predict", tmp_path / "model", tagged, "-o", tmp_path / "labelled.jsonl")
    assert f"Note: no class is above its threshold for {found['texts']} of 120 texts." in predicted.err
    labels = pl.read_ndjson(tmp_path / "labelled.jsonl")["predicted_label"]
    assert labels.list.len().eq(0).sum() == found["texts"]


def test_info_on_a_folder_describes_the_saved_model(smalltext, model):
    ended = smalltext("info", model)
    assert ended.code == 0
    shown = ended.out
    for word in (
        "smalltext-sklearn",
        "'ham' (38)",
        "calibration",
        "accuracy",
        "class_weight",
        "on 120 texts",
        "scikit-learn",
    ):
        assert word in shown
    content = json.loads(smalltext("info", model, "--json").out)
    assert content["labels"] == ["grüße", "ham", "spam"]
    assert content["scores"] == json.loads((model / "scores.json").read_text())
    assert content["training"]["classes"] == {"grüße": 43, "ham": 38, "spam": 39}
    assert not {"probe", "n_features", "scikit_learn"} & content["parameters"].keys()
    assert {"calibration", "thresholds", "parameters", "bytes", "version"} <= content.keys()


def test_info_on_a_folder_shows_a_setting_that_the_classifier_saves_as_an_object(smalltext, mails, tmp_path):
    setting = ("--set", "estimator=sklearn.svm.LinearSVC", "--set", "calibration=none")
    assert smalltext("train", mails, "-c", "sklearn", *setting, "-o", tmp_path / "m").code == 0
    (row,) = [line.split() for line in smalltext("info", tmp_path / "m").out.splitlines() if "estimator" in line]
    assert row == ["estimator", '"sklearn.svm.LinearSVC"']


@pytest.mark.parametrize("file", ["training.json", "scores.json"])
def test_a_damaged_record_of_the_training_is_shown_or_reported_in_one_line(smalltext, model, tmp_path, file):
    folder = shutil.copytree(model, tmp_path / "m")
    original = (folder / file).read_text("utf-8")
    for key in json.loads(original):
        for value in (..., {"\x1b[31mred": "\x1b[31mred"}):
            changed = json.loads(original) | {key: value}
            (folder / file).write_text(json.dumps({one: held for one, held in changed.items() if held is not ...}))
            sign(folder)
            ended = smalltext("info", folder)
            assert ended.code in (0, 2), (key, value)
            assert ended.code == 0 or ended.err.count("\n") == 1, ended.err
            assert "\x1b" not in ended.out + ended.err


def test_info_on_a_model_saved_from_python_has_no_scores(smalltext, tmp_path):
    data = st.TextDataset.from_labels(["a fine film", "a dull film"] * 5, ["good", "bad"] * 5)
    st.create_classifier("sklearn", num_classes=2).fit(data).save(tmp_path / "m")
    assert json.loads(smalltext("info", tmp_path / "m", "--json").out)["scores"] is None
    assert "scores" not in smalltext("info", tmp_path / "m").out


def test_info_on_a_folder_that_is_no_model_says_so(smalltext, tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        ended = smalltext("info", folder)
        assert ended.code == 2
        assert "is not a saved model" in ended.err
    assert "--trust is for the folder of a saved model" in smalltext("info", "sklearn", "--trust", "a.b").err


def test_a_calibrated_model_is_shown_as_such_by_every_command(smalltext, mails, tagged, tmp_path):
    trained = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "mails", "--seed", 1)
    words = next(line for line in trained.out.splitlines() if line.startswith("Calibration: temperature "))
    assert "fitted to held-out predictions of 120 texts; log loss" in words
    evaluated = smalltext("evaluate", tmp_path / "mails", mails, "--report", tmp_path / "report.html")
    assert words.lower() in evaluated.out
    assert words.removeprefix("Calibration: ") in (tmp_path / "report.html").read_text()
    content = json.loads(smalltext("info", tmp_path / "mails", "--json").out)
    assert content["calibration"] == st.load(tmp_path / "mails").calibration_.to_json()
    smalltext("train", tagged, "-c", "sklearn", "-o", tmp_path / "tagged", "--multi-label", "--seed", 1)
    evaluated = json.loads(smalltext("evaluate", tmp_path / "tagged", tagged, "--json").out)
    fitted = st.load(tmp_path / "tagged").multi_label_threshold_
    assert list(evaluated["thresholds"].values()) == fitted.tolist()
    assert evaluated["calibration"]["method"] == "logistic"
    assert len(set(fitted.tolist())) > 1


def test_calibration_can_be_left_out(smalltext, mails, tmp_path):
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--set", "calibration=none")
    assert "\nCalibration: none\n" in ended.out
