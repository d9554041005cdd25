"""Paths that are not UTF-8, such as those of old file systems: every format is read from and written to them."""

from __future__ import annotations

import os
import sys

import polars as pl
import pytest

from cli.test_cli_workbooks import workbook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="file names are Unicode")

TEXTS = [f"buy cheap pills {number}" for number in range(5)]


@pytest.fixture(params=[b"caf\xe9", "café".encode()], ids=["latin-1", "utf-8"])
def folder(request, tmp_path):
    path = tmp_path / os.fsdecode(request.param)
    path.mkdir()
    return path


@pytest.fixture
def name(folder):
    """Return a name, without extension, in the encoding of the folder."""
    return folder.name


def written(path):
    with path.open("rb") as file:
        return (pl.read_parquet if path.suffix == ".parquet" else pl.read_csv)(file)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_every_format_is_read(smalltext, model, folder, name, tmp_path, ending):
    path, frame = folder / f"{name}.{ending}", pl.DataFrame({"text": TEXTS})
    if ending == "xlsx":
        pytest.importorskip("fastexcel")
        workbook(path, S=[["text"], *([text] for text in TEXTS)])
    else:
        with path.open("wb") as file:
            {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[ending](file)
    ended = smalltext("predict", model, path, "--output", tmp_path / "out.csv")
    assert ended.code == 0, ended.err
    assert written(tmp_path / "out.csv")["text"].to_list() == TEXTS


@pytest.fixture
def new(folder, name):
    path = folder / f"{name}.csv"
    with path.open("wb") as file:
        pl.DataFrame({"text": TEXTS}).write_csv(file)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_format_is_written(smalltext, model, new, folder, name, ending):
    output = folder / f"{name}-out.{ending}"
    ended = smalltext("predict", model, new, "--output", output)
    assert ended.code == 0, ended.err
    assert written(output)["text"].to_list() == TEXTS
    assert sorted(os.listdir(folder)) == sorted([new.name, output.name])  # noqa: PTH208


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_shards_are_written_and_merged(smalltext, model, new, folder, name, ending):
    shards = folder / f"{name}-shards"
    for number in (1, 2):
        ended = smalltext("predict", model, new, "--output", shards, "--shard", f"{number}/2", "--part-rows", 1)
        assert ended.code == 0, ended.err
    output = folder / f"{name}-merged.{ending}"
    ended = smalltext("merge", shards, "--output", output)
    assert ended.code == 0, ended.err
    assert written(output)["text"].to_list() == TEXTS
