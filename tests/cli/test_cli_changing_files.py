"""A file that somebody changes while it is read is refused: what was read is neither the old one nor the new."""

from __future__ import annotations

import os

import polars as pl
import pytest

from smalltext_cli import readers
from smalltext_cli.console import InputFileError
from smalltext_cli.predictions import Predictor
from smalltext_cli.readers import Reader

ROWS = 20_000
FRAME = pl.DataFrame(
    {"text": [f"buy cheap pills {n}" for n in range(ROWS)], "label": ["spam", "ham"] * (ROWS // 2)}
)
OTHER = FRAME.with_columns(text=pl.lit("another text"))


def write(path, frame=FRAME):
    if path.suffix == ".parquet":
        frame.write_parquet(path, row_group_size=5_000)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def cut_to_nothing(path):
    os.truncate(path, 0)


def appended(path):
    with path.open("ab") as file:
        file.write(path.read_bytes()[-200:])


def replaced(path):
    write(path.with_name(f"new{path.suffix}"), OTHER).replace(path)


def written_over(path):
    with path.open("r+b") as file:
        file.write(write(path.with_name(f"new{path.suffix}"), OTHER).read_bytes())


def removed(path):
    path.unlink()


CHANGES = [truncated, cut_to_nothing, appended, replaced, written_over, removed]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_reading_on_in_a_file_that_changed_ends_in_an_error(tmp_path, capfd, ending, change):
    path = write(tmp_path / f"data.{ending}")
    found = Reader(text_column="text", label_column="label").rows(str(path))
    for _ in range(17_000):
        next(found)
    change(path)
    with pytest.raises(InputFileError, match=rf"^{path}: it was changed while it was read\. Try again once"):
        list(found)
    assert capfd.readouterr().err == ""  # no stack of a panic either


def test_a_reader_that_stops_early_gets_no_error(tmp_path):
    path = write(tmp_path / "data.csv")
    found = Reader(text_column="text").rows(str(path))
    next(found)
    appended(path)
    found.close()


@pytest.mark.parametrize("change", [truncated, appended, replaced])
def test_predict_keeps_the_former_output(smalltext, model, tmp_path, monkeypatch, change):
    path, output = write(tmp_path / "data.csv"), tmp_path / "labelled.csv"
    output.write_bytes(b"the former one")
    table = Predictor.table

    def table_meanwhile(self, texts):
        if path.exists() and texts[0].endswith(" 0"):
            change(path)
        return table(self, texts)

    monkeypatch.setattr(Predictor, "table", table_meanwhile)
    ended = smalltext("predict", model, path, "-o", output)
    assert ended.code == 2
    assert ended.err.count("Error: ") == ended.err.count("\n") == 1
    assert "changed while it was read" in ended.err
    assert output.read_bytes() == b"the former one"
    assert not [left for left in tmp_path.iterdir() if left.name.startswith(".")]


@pytest.mark.parametrize("change", [truncated, appended, replaced])
def test_train_begins_nothing(smalltext, tmp_path, monkeypatch, change):
    path = write(tmp_path / "data.csv")
    parse_text, calls = readers.parse_text, []

    def parse_text_meanwhile(value):
        calls.append(value)
        if len(calls) == 15_000:
            change(path)
        return parse_text(value)

    monkeypatch.setattr(readers, "parse_text", parse_text_meanwhile)
    ended = smalltext("train", path, "-c", "sklearn", "-o", tmp_path / "model")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "changed while it was read" in ended.err
    assert not (tmp_path / "model").exists()
