"""The command as tests call it, and a small model to call it on."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import fork_server
from smalltext_cli import app
from smalltext_cli.console import ending_signals

VOCABULARY = {
    "spam": ["buy", "cheap", "pills", "now", "win", "money", "free", "offer"],
    "ham": ["meeting", "tomorrow", "lunch", "project", "report", "please", "regards"],
    "grüße": ["привет", "мир", "добрый", "день", "друг", "спасибо"],
}


def in_a_process(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process that need not import the large libraries."""
    return fork_server.run(["-m", "smalltext_cli", *arguments], **options)


def in_a_new_process(
    *arguments: object, stdin: bytes | None = None, **options: object
) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a shell does, with all that the interpreter does as it starts and ends."""
    command = [sys.executable, "-m", "smalltext_cli", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, **options)


def run_here(*arguments: object) -> None:
    """Run the command in this process, for fixtures; it must succeed."""
    handlers, shown = {one: signal.getsignal(one) for one in ending_signals()}, warnings.showwarning
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["smalltext", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            app.main()
    for number, handler in handlers.items():
        signal.signal(number, handler)
    warnings.showwarning = shown
    assert not end.value.code


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    return in_a_process


@pytest.fixture
def new_process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    return in_a_new_process


def sentences(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Make labelled texts that are easy to tell apart."""
    draw = random.Random(seed)
    labels = [draw.choice(list(VOCABULARY)) for _ in range(count)]
    return [" ".join(draw.choices(VOCABULARY[label], k=6)) for label in labels], labels


@pytest.fixture(scope="session")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 texts in three classes, as CSV."""
    texts, labels = sentences(120)
    path = tmp_path_factory.mktemp("data") / "mails.csv"
    pl.DataFrame({"text": texts, "label": labels}).write_csv(path)
    return path


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 texts, each with the label of its words, some with a second one, some with none; JSON lines."""
    texts, labels = sentences(120, seed=1)
    tags = [
        [] if row % 10 == 0 else [label, "odd"] if row % 3 == 0 else [label] for row, label in enumerate(labels)
    ]
    path = tmp_path_factory.mktemp("data") / "tagged.jsonl"
    pl.DataFrame({"text": texts, "label": tags}).write_ndjson(path)
    return path


@pytest.fixture(scope="session")
def model(mails: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "mails"
    run_here("train", mails, "--classifier", "sklearn", "--output", folder, "--seed", 1)
    return folder


@pytest.fixture(scope="session")
def multi_label_model(tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tagged"
    run_here("train", tagged, "-c", "sklearn", "-o", folder, "--multi-label")
    return folder
