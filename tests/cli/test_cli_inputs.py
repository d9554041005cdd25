"""``smalltext predict`` on several files: globs and folders, in sorted order, with the same columns."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl
import pytest

from smalltext_cli import readers
from smalltext_cli.readers import Reader, binary

FRAME = pl.DataFrame({"id": range(9), "text": [f"buy cheap pills {n}" for n in range(9)]})


def write(frame, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.name.partition(".")[2]
    if kind == "json":
        path.write_text(json.dumps(frame.to_dicts()))
    else:
        {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[kind](path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three files with three rows each, and files that are none of texts."""
    for number in range(3):
        write(FRAME[3 * number : 3 * number + 3], tmp_path / "texts" / f"{'cab'[number]}.csv")
    (tmp_path / "texts" / "notes.md").write_text("mine")
    (tmp_path / "texts" / "_SUCCESS").write_text("")
    (tmp_path / "texts" / ".hidden.csv").write_text("other")
    return tmp_path / "texts"


def ids(smalltext, model, *data):
    ended = smalltext("predict", model, *data, "--output-format", "jsonl")
    assert ended.code == 0, ended.err
    return [int(json.loads(line)["id"]) for line in ended.out.splitlines()], ended.err


IN_ORDER = [3, 4, 5, 6, 7, 8, 0, 1, 2]


def test_a_folder_stands_for_its_files_sorted_by_name(smalltext, model, folder):
    found, said = ids(smalltext, model, folder)
    assert found == IN_ORDER
    assert f"Note: {folder}: left out 1 file of no known format: 'notes.md'." in said


def test_files_and_globs_are_sorted_as_well(smalltext, model, folder):
    assert ids(smalltext, model, folder / "*.csv")[0] == IN_ORDER
    assert ids(smalltext, model, folder / "c.csv", folder / "a.csv", folder / "[b]*")[0] == IN_ORDER
    assert ids(smalltext, model, folder.parent / "**" / "a.csv")[0] == [3, 4, 5]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(smalltext, model, tmp_path):
    write(FRAME[:2], tmp_path / "[ab].csv")
    write(FRAME[2:3], tmp_path / "a.csv")
    assert ids(smalltext, model, tmp_path / "[ab].csv")[0] == [0, 1]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_all_formats_can_be_several_files(smalltext, model, tmp_path, ending):
    for number in range(2):
        write(FRAME[number * 4 : number * 4 + 4], tmp_path / f"part-{number}.{ending}")
    assert ids(smalltext, model, tmp_path / f"part-?.{ending}")[0] == list(range(8))


def test_the_columns_may_be_in_another_order(smalltext, model, tmp_path):
    for ending in ("csv", "parquet"):
        write(FRAME[:2], tmp_path / f"a.{ending}")
        write(FRAME[2:4].select("text", "id"), tmp_path / f"b.{ending}")
        ended = smalltext("predict", model, tmp_path / f"?.{ending}")
        lines = [line.rsplit(",", 2)[0] for line in ended.out.splitlines()]
        assert lines == ["id,text", *(f"{n},buy cheap pills {n}" for n in range(4))]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (FRAME.select("text"), "its columns are not those of {first}: it lacks 'id'"),
        (FRAME.with_columns(lang=pl.lit("en")), "its columns are not those of {first}: it has also 'lang'"),
        (FRAME.cast({"id": pl.String}), "its column 'id' has the type String, but that of {first} Int64"),
    ],
)
def test_a_file_with_other_columns_is_named_before_any_work(smalltext, model, tmp_path, other, said, monkeypatch):
    monkeypatch.setattr("smalltext_cli.predictions.Predictor.table", None)
    write(FRAME, tmp_path / "1.parquet")
    write(FRAME, tmp_path / "2.parquet")
    write(other, tmp_path / "3.parquet")
    ended = smalltext("predict", model, tmp_path / "*.parquet")
    assert ended.code == 2
    assert f"{tmp_path / '3.parquet'}: {said.format(first=tmp_path / '1.parquet')}" in ended.err


@contextmanager
def pipes(*contents):
    """Yield the path of a pipe for each content, which is less than a pipe holds, and their descriptors."""
    with ExitStack() as stack:
        reading = []
        for content in contents:
            one, other = os.pipe()
            stack.callback(os.close, one)
            reading.append(one)
            with os.fdopen(other, "wb") as end:
                end.write(content)
        reading.sort(key=str)  # paths are read in this order
        yield [f"/dev/fd/{one}" for one in reading], reading


WITH_PIPES = pytest.mark.skipif(not Path("/dev/fd").exists(), reason="pipes have no paths")


@WITH_PIPES
@pytest.mark.parametrize("ending", ["txt", "csv", "jsonl", "parquet"])
def test_pipes_are_read_once_and_whole(new_process, model, tmp_path, ending):
    frame = pl.DataFrame({"text": [f"buy cheap pills {n}" for n in range(1500)]})  # more than a reader buffers
    file = tmp_path / f"file.{ending}"
    if ending == "txt":
        file.write_text("".join(f"{text}\n" for text in frame["text"]))
    else:
        write(frame, file)
    output = tmp_path / "out.jsonl"
    with pipes(file.read_bytes(), file.read_bytes()) as (paths, descriptors):
        data = [*paths, file, "--format", ending]
        ended = new_process("predict", model, *data, "--output", output, pass_fds=descriptors)
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line)["text"] for line in output.read_text().splitlines()]
    assert found == 3 * frame["text"].to_list()


@WITH_PIPES
def test_a_pipe_with_other_columns_is_named(new_process, model, tmp_path):
    output = tmp_path / "out.csv"
    with pipes(b"text\none\n", b"text,id\ntwo,2\n") as (paths, descriptors):
        data = [*paths, "--format", "csv"]
        ended = new_process("predict", model, *data, "--output", output, pass_fds=descriptors)
    assert ended.returncode == 2
    assert f"{paths[1]}: its columns are not those of {paths[0]}" in ended.stderr.decode()
    assert not output.exists()


def test_files_of_different_formats_are_refused(smalltext, model, tmp_path):
    write(FRAME, tmp_path / "a.csv")
    write(FRAME, tmp_path / "b.parquet")
    ended = smalltext("predict", model, tmp_path)
    assert ended.code == 2
    assert f"{tmp_path / 'b.parquet'}: this is PARQUET, but {tmp_path / 'a.csv'} is CSV" in ended.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (["{0}/*.xlsx"], "{0}/*.xlsx: no file matches this glob"),
        (["{0}/empty"], "{0}/empty: there is no file of texts in this folder"),
        (["{0}", "{0}/a.csv"], "{0}/a.csv: this file is given twice"),
        (["{0}/a.csv", "-"], "standard input, which cannot be read together with files"),
        (["{0}/gone.csv"], "{0}/gone.csv: there is no such file"),
    ],
)
def test_what_is_not_there_or_there_twice_is_refused(smalltext, model, folder, data, said):
    (folder / "empty").mkdir()
    ended = smalltext("predict", model, *(one.format(folder) for one in data))
    assert ended.code == 2
    assert said.format(folder) in ended.err
    assert ended.err.count("\n") == 1


def test_an_output_that_is_one_of_the_inputs_is_refused(smalltext, model, folder):
    ended = smalltext("predict", model, folder, "-o", folder / "b.csv")
    assert ended.code == 2
    assert "this is the input as well" in ended.err


def test_progress_counts_all_files(folder):
    from smalltext_cli.readers.inputs import file_openers, opened_files

    paths = [str(folder / f"{name}.csv") for name in "abc"]
    with opened_files(file_openers(Reader("text"), paths)) as opened:
        assert opened.fraction is not None
        before = [opened.fraction for _ in opened.rows]
        assert before == sorted(before)
        assert opened.fraction == 1


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_rows_from_any_number_on(tmp_path, ending):
    path = write(FRAME, tmp_path / f"a.{ending}")
    for skip in (0, 1, 8, 9, 12):
        with Reader("text").open(str(path), skip) as opened:
            assert [row.text for row in opened.rows] == FRAME["text"].to_list()[skip:]


def test_rows_of_parquet_that_are_skipped_are_not_read(tmp_path, monkeypatch):
    path, asked, ask = write(FRAME, tmp_path / "a.parquet"), [], binary._ask
    monkeypatch.setattr(binary, "_ask", lambda *names, **request: asked.append(request) or ask(*names, **request))
    with Reader("text").open(str(path), 7) as opened:
        assert next(opened.rows) == readers.Row("buy cheap pills 7", None, None, 8)
    assert [request["start"] for request in asked if "start" in request] == [7]
