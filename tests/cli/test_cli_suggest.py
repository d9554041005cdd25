"""``smalltext suggest``: uncertain and different texts, as a file that `train` reads once labels are filled in."""

from __future__ import annotations

import json
import sys

import numpy as np
import polars as pl
import pytest

from cli.conftest import sentences
from smalltext_cli.query_strategies import SHORTLIST, most_uncertain, spread_out, uncertainty

CLEAR = ["buy cheap pills now", "meeting tomorrow, regards", "привет мир добрый"]
UNSURE = ["lunch offer", "money report", "win, please", "free meeting", "project pills"]


def read(path):
    readers = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}
    return readers[path.suffix[1:]](path)


def write(frame, path):
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[path.suffix[1:]](path)


@pytest.fixture
def pool(tmp_path):
    """Texts with ids and another column: clear ones, unsure ones, a copy, an empty one."""
    texts = [*CLEAR, *UNSURE, " Lunch  OFFER", ""]
    frame = pl.DataFrame({"id": [f"m{row:03}" for row in range(len(texts))], "text": texts, "day": ["mon"] * 10})
    path = tmp_path / "pool.csv"
    frame.write_csv(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_what_is_suggested_keeps_its_columns_and_is_trained_on_once_labels_are_filled_in(
    smalltext, model, pool, tmp_path, ending
):
    given, suggested, filled = (tmp_path / f"{name}.{ending}" for name in ("given", "next", "filled"))
    write(pl.read_csv(pool), given)
    ended = smalltext("suggest", model, given, "-n", 5, "--output", suggested)
    assert ended.code == 0
    assert ended.out == ""
    frame = read(suggested)
    assert frame.columns == ["id", "text", "day", "label", "uncertainty"]
    assert frame["label"].null_count() == 5
    originals = dict(pl.read_csv(pool).select("id", "text").iter_rows())
    assert all(originals[row["id"]] == row["text"] for row in frame.iter_rows(named=True))
    assert set(frame["text"]) <= {*CLEAR, *UNSURE}
    assert frame["uncertainty"].is_sorted(descending=True)

    ended = smalltext("train", suggested, "-c", "sklearn", "-o", tmp_path / "m")
    assert ended.code == 2
    assert "no text has a label yet. Fill in the column 'label'." in ended.err

    write(frame.with_columns(label=pl.Series(["spam", "ham", "spam", "ham", None])), filled)
    ended = smalltext("train", filled, "-c", "sklearn", "-o", tmp_path / "m")
    assert ended.code == 0
    assert "1 text without a label left out" in ended.err
    assert "4 texts in 2 classes" in ended.err


@pytest.fixture
def partly_labelled(tmp_path):
    """A file as exported in the middle of labelling: each third text has no label."""
    texts, labels = sentences(45)
    path = tmp_path / "some.csv"
    pl.DataFrame(
        {"text": texts, "label": [label if row % 3 else None for row, label in enumerate(labels)]}
    ).write_csv(path)
    return path


@pytest.mark.parametrize("command", ["train", "evaluate", "compare"])
def test_a_missing_label_in_other_files_is_refused_unless_it_may_be_skipped(
    smalltext, model, partly_labelled, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "train": (partly_labelled, "-c", "sklearn", "--held-out", 0),
        "evaluate": (model, partly_labelled),
        "compare": (partly_labelled, "--classifiers", "sklearn", "--shots", 3, "--repeats", 1, "-o", "compared"),
    }[command]
    ended = smalltext(command, *arguments)
    assert ended.code == 2
    assert "line 2: the label is missing, as are 14 more" in ended.err
    assert "--skip-unlabelled" in ended.err
    ended = smalltext(command, *arguments, "--skip-unlabelled")
    assert ended.code == 0
    assert "15 texts without a label left out" in ended.err


def test_nothing_known_empty_or_twice_is_suggested(smalltext, model, pool, tmp_path):
    known = tmp_path / "known.jsonl"
    pl.DataFrame({"text": [UNSURE[1], UNSURE[2].upper()], "label": ["ham", "spam"]}).write_ndjson(known)
    frame = pl.read_csv(pool)
    labels = ["spam" if text == UNSURE[3] else None for text in frame["text"]]
    frame.with_columns(label=pl.Series(labels)).write_csv(pool)
    ended = smalltext("suggest", model, pool, "-n", 99, "--exclude", known)
    rows = ended.out.splitlines()
    assert rows[0] == "id,text,day,label,uncertainty"
    assert sorted(row.split(",")[0] for row in rows[1:]) == ["m000", "m001", "m002", "m003", "m007"]
    assert "1 already labelled, 2 excluded, 1 empty, 1 repeated" in ended.err


def test_a_file_with_labels_is_not_replaced_by_accident(smalltext, model, pool, tmp_path):
    output = tmp_path / "next.csv"
    output.write_text("labels of a day")
    ended = smalltext("suggest", model, pool, "-o", output)
    assert ended.code == 2
    assert "pass --overwrite" in ended.err
    assert output.read_text() == "labels of a day"
    assert smalltext("suggest", model, pool, "-o", output, "--overwrite").code == 0


def test_several_labels_a_text(smalltext, multi_label_model, pool, tmp_path):
    output = tmp_path / "next.jsonl"
    assert smalltext("suggest", multi_label_model, pool, "-n", 4, "-o", output).code == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    for row, label in zip(rows, (["spam"], ["ham", "odd"], ["ham"], None), strict=True):
        row["label"] = label
    output.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = smalltext("train", output, "-c", "sklearn", "-o", tmp_path / "m", "--multi-label", "--held-out", 0)
    assert ended.code == 0
    assert "1 text without a label left out" in ended.err


def test_small_text_shows_no_progress_bar(smalltext, multi_label_model, pool):
    pytest.importorskip("small_text")
    strategy = "category-vector-inconsistency"
    ended = smalltext("suggest", multi_label_model, pool, "-n", 2, "--strategy", strategy, "--quiet")
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 3
    assert ended.err == ""


def test_the_margin_decides_on_one_label_and_the_threshold_on_several():
    proba = np.array([[0.5, 0.4, 0.1], [0.9, 0.1, 0.0], [0.34, 0.33, 0.33]])
    assert most_uncertain(uncertainty(proba), 3).tolist() == [2, 0, 1]
    sure_and_unsure = np.array([[0.0, 1.0, 0.2], [0.0, 1.0, 0.0], [0.6, 0.6, 0.6]])
    np.testing.assert_allclose(uncertainty(sure_and_unsure, [0.5, 0.5, 0.2]), [1, 0, 0.8])


def test_suggestions_are_spread_out_over_the_clusters_of_the_uncertain():
    rng = np.random.default_rng(0)
    centres = np.eye(4)
    vectors = np.repeat(centres, [30, 4, 4, 42], axis=0) + rng.normal(0, 0.01, (80, 4))
    scores = np.concatenate([np.full(38, 0.9), np.full(42, 0.1)]) + np.linspace(0, 0.01, 80)
    asked = []

    def embed(rows):
        asked.extend(rows.tolist())
        return vectors[rows]

    chosen = spread_out(scores, embed, 3)
    assert {int(np.argmax(vectors[row])) for row in chosen} == {0, 1, 2}
    assert len(asked) == 3 * SHORTLIST
    assert (np.diff(scores[chosen]) <= 0).all()
    assert spread_out(scores, embed, 3).tolist() == chosen.tolist()


def test_equal_embeddings_give_as_many_texts_as_are_asked_for():
    chosen = spread_out(np.linspace(0, 1, 50), lambda rows: np.ones((len(rows), 3)), 4)
    assert len(set(chosen.tolist())) == 4
    assert sorted(spread_out(np.ones(3), lambda rows: np.ones((len(rows), 3)), 4).tolist()) == [0, 1, 2]


def test_texts_are_chosen_at_random_without_a_library(smalltext, model, pool, monkeypatch):
    monkeypatch.setitem(sys.modules, "small_text", None)
    monkeypatch.setitem(sys.modules, "skactiveml", None)
    drawn = [
        smalltext("suggest", model, pool, "-n", 3, "--strategy", "random", "--seed", seed) for seed in (1, 1, 2)
    ]
    assert [one.code for one in drawn] == [0, 0, 0]
    first, again, other = (set(one.out.splitlines()[1:]) for one in drawn)
    assert len(first) == 3
    assert first == again != other


def test_uncertain_texts_that_differ_are_the_default(smalltext, model, pool):
    default, named = (
        smalltext("suggest", model, pool, "-n", 3, *options)
        for options in ([], ["--strategy", "diverse-uncertainty"])
    )
    assert default.code == 0
    assert default.out == named.out


def test_half_of_the_texts_are_chosen_at_random(smalltext, model, pool):
    def suggested(count, seed, *options):
        ended = smalltext("suggest", model, pool, "-n", count, "--seed", seed, *options)
        return ended.out.splitlines()[1:]

    drawn = [suggested(4, seed, "--strategy", "half-random") for seed in range(5)]
    assert [rows[:2] for rows in drawn] == [suggested(2, seed) for seed in range(5)]
    assert len({tuple(rows[2:]) for rows in drawn}) > 1


@pytest.mark.parametrize("strategy", ["breaking-ties", "contrastive", "greedy-coreset"])
def test_a_strategy_of_small_text_chooses_instead(smalltext, model, pool, tmp_path, strategy):
    pytest.importorskip("small_text")
    known = tmp_path / "known.csv"
    pl.DataFrame({"text": CLEAR}).write_csv(known)
    ended = smalltext("suggest", model, pool, "-n", 3, "--exclude", known, "--strategy", strategy)
    assert ended.code == 0
    names = {row.split(",")[1] for row in ended.out.splitlines()[1:]}
    assert len(names) == 3
    assert not names & set(CLEAR)


@pytest.mark.parametrize(
    ("strategy", "reason"),
    [
        ("guess", "There is no query strategy 'guess'. Known: random,"),
        (
            "category-vector-inconsistency",
            "The query strategy category-vector-inconsistency is for multi-label data.",
        ),
    ],
)
def test_an_unsuitable_strategy_is_refused_with_those_that_there_are(smalltext, model, pool, strategy, reason):
    ended = smalltext("suggest", model, pool, "--strategy", strategy)
    assert ended.code == 2
    assert ended.err.startswith(f"Error: {reason}")
    assert "breaking-ties" in ended.err


def test_what_the_model_was_trained_on_is_not_suggested(smalltext, model, mails):
    ended = smalltext("suggest", model, mails, "--label-column", "none")
    assert ended.code == 0
    assert ended.out.splitlines() == ["text,label,none,uncertainty"]
    assert "120 used in training" in ended.err


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_texts_that_doccano_exports_without_a_label_are_suggested(smalltext, model, tmp_path, ending):
    """Their label is an empty list, and null in the file to fill in, whose other rows are left out of training."""
    labels = [["spam"], *([] for _ in UNSURE)]
    texts = ["buy cheap pills now", *UNSURE]
    rows = [
        {"id": n, "text": text, "label": label} for n, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    pool, suggested = tmp_path / "all.jsonl", tmp_path / f"next.{ending}"
    pool.write_text("".join(json.dumps({**row, "Comments": []}) + "\n" for row in rows))
    ended = smalltext("suggest", model, pool, "-n", 3, "-o", suggested)
    assert "Suggested 3 of 6 texts" in ended.err
    assert "1 already labelled" in ended.err
    frame = read(suggested)
    assert frame["label"].null_count() == 3
    write(frame.with_columns(label=pl.Series(["spam", "ham", None])), suggested)
    ended = smalltext("train", suggested, "-c", "sklearn", "-o", tmp_path / "m")
    assert "2 texts in 2 classes" in ended.err


def test_an_empty_list_of_labels_is_a_decision_if_several_labels_may_apply(smalltext, multi_label_model, tmp_path):
    pool = tmp_path / "pool.jsonl"
    pool.write_text('{"text": "lunch offer", "label": []}\n{"text": "win, please"}\n')
    ended = smalltext("suggest", multi_label_model, pool)
    assert "Suggested 1 of 2 texts" in ended.err
    assert "1 already labelled" in ended.err


def test_the_texts_are_not_their_own_labels(smalltext, model, pool):
    ended = smalltext("suggest", model, pool, "--label-column", "text")
    assert ended.code == 2
    assert "One column cannot be two things: 'text'" in ended.err
