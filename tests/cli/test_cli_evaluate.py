import csv
import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

import smalltext_core as st
from smalltext_cli import app
from smalltext_cli.metrics import score

TEXTS = ["a fine film", "a dull film", "fine acting", "dull plot", "so fine", "so dull"] * 4
LABELS = ["good", "bad"] * 12


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "single"
    data = st.TextDataset.from_labels(TEXTS, LABELS)
    st.create_classifier("sklearn", num_classes=2, seed=0).fit(data).save(folder)
    return folder


@pytest.fixture(scope="module")
def tagging_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "multi"
    labels = [[label, "film"] if "film" in text else [label] for text, label in zip(TEXTS, LABELS, strict=True)]
    data = st.TextDataset.from_labels(TEXTS, labels)
    classifier = st.create_classifier(
        "sklearn", num_classes=3, multi_label=True, multi_label_threshold=0.4, seed=0
    )
    classifier.fit(data).save(folder)
    return folder


@pytest.fixture
def smalltext(monkeypatch, capsys):
    """Call the command in this process; what it returns is what a shell sees."""

    def call(*arguments):
        with monkeypatch.context() as patched, warnings.catch_warnings():
            patched.setattr(app.signal, "signal", lambda *_: None)
            patched.setattr(sys, "argv", ["smalltext", *map(str, arguments)])
            try:
                app.main()
                code = 0
            except SystemExit as stop:
                code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


def write_csv(path, rows, header=("text", "label")):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def data(tmp_path):
    rows = [("a fine film", "good"), ("a dull film", "bad"), ("dull acting", "good")]
    return write_csv(tmp_path / "test.csv", rows)


def test_json_holds_the_scores_of_the_model(smalltext, model, data):
    code, out, _ = smalltext("evaluate", model, data, "--json")

    texts = st.TextDataset(["a fine film", "a dull film", "dull acting"])
    expected = score(np.array([1, 0, 1]), st.load(model).predict_proba(texts), multi_label=False)
    found = json.loads(out)
    assert code == 0
    assert expected.as_dict(["bad", "good"]).items() <= found.items()
    assert (found["classifier"], found["data"]) == ("sklearn", "test.csv")


def test_tables_show_figures_classes_and_confusions(smalltext, model, data):
    code, out, _ = smalltext("evaluate", model, data)

    assert code == 0
    for word in (
        "accuracy",
        "0.6667",
        "macro F1",
        "micro F1",
        "log loss",
        "calibration error",
        "precision",
        "bad",
        "good",
    ):
        assert word in out
    assert "true / predicted" in out


def test_multi_label_is_known_from_the_model_and_so_is_its_threshold(smalltext, tagging_model, tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text('{"text": "a fine film", "label": ["good", "film"]}\n{"text": "so dull", "label": []}\n')

    code, out, _ = smalltext("evaluate", tagging_model, path, "--json")

    found = json.loads(out)
    assert code == 0
    assert (found["multi_label"], set(found["thresholds"].values())) == (True, {0.4})
    assert found["labels"] == ["bad", "film", "good"]


def test_multi_label_tables_show_decisions(smalltext, tagging_model, tmp_path):
    path = write_csv(tmp_path / "test.csv", [("a fine film", "good;film"), ("so dull", "bad")])

    code, out, _ = smalltext("evaluate", tagging_model, path, "--separator", ";")

    assert code == 0
    assert "false positives" in out
    assert "Hamming loss" in out


def test_train_scores_at_the_threshold_of_the_model_too(smalltext, data, tmp_path):
    path = write_csv(tmp_path / "train.csv", zip(TEXTS, LABELS, strict=True))
    threshold = ("--multi-label", "--set", "multi_label_threshold=0.3")

    smalltext("train", path, "-c", "sklearn", "-o", tmp_path / "model", *threshold, "--validation", data)

    assert json.loads((tmp_path / "model" / "scores.json").read_text())["thresholds"] == {"bad": 0.3, "good": 0.3}


def test_many_classes_show_the_most_frequent_confusions(smalltext, tmp_path):
    names = [f"class-{k}" for k in range(12)]
    training = st.TextDataset.from_labels([f"word{k}" for k in range(12)], names)
    st.create_classifier("sklearn", num_classes=12).fit(training).save(tmp_path / "model")
    path = write_csv(tmp_path / "test.csv", [("word1", "class-2"), ("word1", "class-1")])

    _, out, _ = smalltext("evaluate", tmp_path / "model", path)

    assert "most frequent prediction" in out


def test_the_report_is_written_and_announced_on_standard_error(smalltext, model, data, tmp_path):
    report = tmp_path / "report.html"

    code, out, err = smalltext("evaluate", model, data, "--report", report, "--json")

    assert code == 0
    assert "66.7%" in report.read_text(encoding="utf-8")
    assert json.loads(out)
    assert str(report) in err


def test_the_report_says_where_a_mistake_stands_in_the_file(smalltext, model, tmp_path):
    path = write_csv(tmp_path / "test.csv", [("two\nlines, fine", "good"), ("dull acting", "good")])

    smalltext("evaluate", model, path, "--report", tmp_path / "report.html")

    assert "line 4" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_columns_can_be_named(smalltext, model, tmp_path):
    path = write_csv(tmp_path / "test.csv", [("good", "a fine film")], header=("verdict", "body"))

    code, out, _ = smalltext(
        "evaluate", model, path, "--text-column", "body", "--label-column", "verdict", "--json"
    )

    assert (code, json.loads(out)["accuracy"]) == (0, 1.0)


def test_unknown_labels_are_named_with_the_lines_and_nothing_is_written(smalltext, model, tmp_path):
    path = write_csv(tmp_path / "test.csv", [("a", "good"), ("b", "splendid"), ("c", "awful"), ("d", "awful")])
    report = tmp_path / "report.html"

    code, out, err = smalltext("evaluate", model, path, "--report", report)

    assert (code, out) == (2, "")
    assert "line 3: the model does not know the label 'splendid' (line 3), 'awful' (line 4)" in err
    assert "It knows 'bad', 'good'" in err
    assert not report.exists()


def test_untrusted_names_do_not_control_the_terminal(smalltext, tmp_path):
    names = ["[red]x[/red]", "\x1b[31mred", "plain"]
    training = st.TextDataset.from_labels(["one", "two", "three"], names)
    st.create_classifier("sklearn", num_classes=3).fit(training).save(tmp_path / "model")
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps({"text": "one", "label": name}) + "\n" for name in names))

    code, out, _ = smalltext("evaluate", tmp_path / "model", path)

    assert code == 0
    assert "[red]x[/red]" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("text,label\n", "there are no texts in it"),
        ("text,tag\nfine,good\n", "there is no column 'label'"),
        ("text,label\nfine,\n", "the label is missing"),
        (b"text,label\nfine\xff,good\n", "UTF-8"),
        (b"PAR1\x00", "this is Parquet, not CSV"),
    ],
)
def test_bad_data_ends_with_2_and_one_line(smalltext, model, tmp_path, content, message):
    path = tmp_path / "test.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = tmp_path / "report.html"

    code, out, err = smalltext("evaluate", model, path, "--report", report)

    assert (code, out) == (2, "")
    assert message in err
    assert str(path) in err
    assert err.strip().count("\n") == 0
    assert not report.exists()


def test_several_labels_for_a_model_of_one_label_are_refused(smalltext, model, tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text('{"text": "fine", "label": ["good"]}\n')

    code, _, err = smalltext("evaluate", model, path)

    assert code == 2
    assert "the label is a list" in err


def test_a_folder_that_is_no_model_is_refused(smalltext, data, tmp_path):
    code, _, err = smalltext("evaluate", tmp_path, data)

    assert code == 2
    assert "is not a saved model" in err


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("nowhere/report.html", "there is no folder"),
        (".", "this is a folder"),
        ("test.csv", "this is the input as well"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_any_work(smalltext, model, data, report, message):
    before = data.read_bytes()

    code, out, err = smalltext("evaluate", model, data, "--report", data.parent / report)

    assert (code, out) == (2, "")
    assert message in err
    assert data.read_bytes() == before


def test_a_report_to_standard_output_is_refused(smalltext, model, data):
    code, _, err = smalltext("evaluate", model, data, "--report", "-")

    assert code == 2
    assert "standard output is for the results" in err


def test_a_former_report_stays_whole_when_writing_fails(smalltext, model, data, tmp_path, monkeypatch):
    report = tmp_path / "report.html"
    report.write_text("former")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("smalltext_cli.writers.os.fsync", full)
    code, _, err = smalltext("evaluate", model, data, "--report", report)

    assert code == 2
    assert "No space left on device" in err
    assert report.read_text() == "former"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "test.csv"]


@pytest.mark.slow
def test_a_shell_gets_the_exit_code_and_no_traceback(process, model, tmp_path):
    path = write_csv(tmp_path / "test.csv", [("a", "splendid")])

    done = process("evaluate", model, path)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Error: ")
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_data_may_come_through_a_pipe(process, model):
    done = process("evaluate", model, "-", "--json", stdin=b"text,label\na fine film,good\n")

    assert json.loads(done.stdout)["data"] == "standard input"


@pytest.mark.slow
def test_scoring_and_reporting_import_no_scikit_learn():
    modules = "smalltext_cli.app, smalltext_cli.evaluation, smalltext_cli.report"
    program = f"import {modules}, sys; print('sklearn' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
