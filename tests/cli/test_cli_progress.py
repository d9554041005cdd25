"""On a terminal, one thing at a time says how far a command is."""

from __future__ import annotations

import io
import os
import shutil
from contextlib import nullcontext

import polars as pl
import pytest
from rich.console import Console

from smalltext_cli import console
from smalltext_cli.console import UsageError, working
from smalltext_cli.readers import Reader, given_texts

BARS = "SMALL_TEXT_PROGRESS_BARS"


def test_backends_draw_no_bars_beside_the_message_of_the_command(monkeypatch):
    monkeypatch.delenv(BARS, raising=False)
    with working("Labelling ..."):
        assert os.environ[BARS] == "0"
    assert BARS not in os.environ


def test_the_users_setting_for_progress_bars_is_restored(monkeypatch):
    monkeypatch.setenv(BARS, "1")
    with working("Labelling ..."):
        assert os.environ[BARS] == "0"
    assert os.environ[BARS] == "1"


def test_quiet_commands_print_results_and_warnings_alone(smalltext, mails, tmp_path, monkeypatch):
    monkeypatch.setenv("SMALL_TEXT_PROGRESS_BARS", "1")
    contradictory = tmp_path / "mails.csv"
    contradictory.write_text(mails.read_text() + "cheap pills,spam\ncheap pills,ham\n")
    trained = smalltext("train", contradictory, "-c", "sklearn", "-o", tmp_path / "m", "--quiet")
    assert [line.partition(":")[0] for line in trained.err.splitlines()] == ["Warning"]
    assert "accuracy" in trained.out
    evaluated = smalltext("evaluate", tmp_path / "m", mails, "-q")  # on texts that the model was trained on
    assert [line.partition(":")[0] for line in evaluated.err.splitlines()] == ["Warning"]
    assert smalltext("predict", tmp_path / "m", mails, "-o", tmp_path / "x.csv", "-q").err == ""
    assert "Labelled" in smalltext("predict", tmp_path / "m", mails, "-o", tmp_path / "x.csv").err


@pytest.mark.parametrize(
    "command",
    ["info {0}", "evaluate {0} {1}", "predict {0} {1}", "suggest {0} {1}", "export {0} --format onnx -o {2}"],
    ids=lambda command: command.split()[0],
)
def test_a_spinner_turns_before_a_model_is_loaded(smalltext, model, mails, tmp_path, monkeypatch, command):
    shown = []

    def refuse(*_, **__):
        raise UsageError("this is where it loads")

    def record(self, message):
        shown.append(message)
        return nullcontext()

    monkeypatch.setattr("smalltext_cli.evaluation.load_model", refuse)
    monkeypatch.setattr(Console, "status", record)
    assert "this is where it loads" in smalltext(*command.format(model, mails, tmp_path / "onnx").split()).err
    assert shown == [f"Loading {model} ..."]


@pytest.mark.parametrize(("options", "is_logged"), [((), False), (("-v",), True)], ids=["", "-v"])
def test_only_verbose_commands_print_what_is_logged(process, mails, tmp_path, options, is_logged):
    pytest.importorskip("smalltext_kimcnn")
    settings = ("--set", "num_epochs=1", "--set", "embedding_dim=4", "--set", "min_steps=0")
    ended = process("train", mails, "-c", "kimcnn", "-o", tmp_path / "m", *settings, *options)
    assert ended.returncode == 0, ended.stderr
    assert (b"epoch" in ended.stderr.lower()) == is_logged


def test_quiet_and_verbose_contradict_each_other(smalltext, mails, tmp_path):
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "-q", "-v")
    assert (ended.code, ended.out) == (2, "")
    assert "--quiet and --verbose contradict each other" in ended.err


def test_the_share_of_a_file_that_was_read_is_known_but_not_of_a_pipe(tmp_path):
    table = pl.DataFrame({"text": ["buy pills now"] * 30_000})
    for name, write in (("a.csv", table.write_csv), ("a.parquet", table.write_parquet)):
        write(tmp_path / name)
        with Reader("text").open(str(tmp_path / name)) as opened:
            next(opened.rows)
            assert 0 < opened.source.fraction < 0.6
            list(opened.rows)
            assert opened.source.fraction == 1
    with given_texts(["buy"], "text") as opened:
        assert opened.source.fraction is None


def test_a_bar_with_a_total_is_drawn_on_a_terminal_alone(monkeypatch):
    for is_terminal in (True, False):
        file = io.StringIO()
        shown = Console(file=file, force_terminal=is_terminal, width=100)
        monkeypatch.setattr(console, "messages", lambda shown=shown: shown)
        with console.progress_bar("Labelling") as update:
            update(10, None)
            update(50, 0.5)
        assert ("50%" in file.getvalue()) == is_terminal


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_an_interrupted_training_says_what_was_kept(smalltext, model, mails, tmp_path, monkeypatch):
    monkeypatch.setattr("smalltext_cli.training_run.create_classifier", interrupted)
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m")
    assert ended.code == 130
    assert ended.err.endswith("Error: Interrupted. No model was written.\n")
    shutil.copytree(model, tmp_path / "m")
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m")
    assert ended.err.endswith(f"Error: Interrupted. The model in {tmp_path / 'm'} is unchanged.\n")


def test_an_interrupted_prediction_says_what_was_kept(smalltext, model, mails, tmp_path, monkeypatch):
    monkeypatch.setattr("smalltext_cli.predictions.Predictor.table", interrupted)
    ended = smalltext("predict", model, mails, "-o", tmp_path / "out.csv")
    assert ended.err.endswith(f"Error: Interrupted. {tmp_path / 'out.csv'} was not written.\n")
