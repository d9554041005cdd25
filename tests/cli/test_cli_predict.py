"""``smalltext predict``: order, formats, and files that appear whole or not at all."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fork_server
import smalltext_core as st
from smalltext_cli import writers
from smalltext_cli.evaluation import load_model
from smalltext_cli.predictions import row_chunks
from smalltext_cli.readers import Row

TEXTS = ["buy cheap pills", 'lunch, "tomorrow"', "", "добрый день", "zwei\nZeilen", "line\rend", "🙂" * 3]


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.csv"
    pl.DataFrame({"text": TEXTS}).write_csv(path)
    return path


def read(path):
    readers = {
        "csv": pl.read_csv,
        "tsv": partial(pl.read_csv, separator="\t"),
        "jsonl": pl.read_ndjson,
        "parquet": pl.read_parquet,
    }
    return readers[path.suffix[1:]](path)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_holds_the_texts_in_order_with_their_labels_and_probabilities(
    smalltext, model, new, tmp_path, ending
):
    output = tmp_path / f"out.{ending}"
    ended = smalltext("predict", model, new, "--output", output, "--proba", "--top", 2)
    assert ended.code == 0
    assert ended.out == ""
    frame = read(output)
    proba_columns = ["proba_grüße", "proba_ham", "proba_spam"]
    assert frame.columns == ["text", "label", "score", *proba_columns, "label_1", "proba_1", "label_2", "proba_2"]
    assert frame["text"].to_list() == TEXTS
    classifier = st.load(model)
    labels, proba = classifier.predict(st.TextDataset(TEXTS), return_proba=True)
    names = np.array(["grüße", "ham", "spam"])
    assert frame["label"].to_list() == names[labels].tolist() == frame["label_1"].to_list()
    np.testing.assert_array_equal(frame["score"].to_numpy().astype(np.float32), proba.max(axis=1))
    np.testing.assert_array_equal(frame.select(proba_columns).to_numpy().astype(np.float32), proba)
    assert (frame["proba_1"] >= frame["proba_2"]).all()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_several_labels_are_a_list(smalltext, multi_label_model, new, tmp_path, ending):
    output = tmp_path / f"out.{ending}"
    assert smalltext("predict", multi_label_model, new, "-o", output).code == 0
    labels = read(output)["label"].to_list()
    if ending == "csv":
        labels = [json.loads(cell) for cell in labels]
    model = load_model(str(multi_label_model))
    assert labels == model.names.decode(model.classifier.predict(st.TextDataset(TEXTS)))


def test_what_was_written_can_be_evaluated_again(smalltext, multi_label_model, tagged, tmp_path):
    texts = tmp_path / "texts.csv"
    pl.read_ndjson(tagged).select("text").write_csv(texts)
    for ending in ("csv", "jsonl", "parquet"):
        output = tmp_path / f"out.{ending}"
        smalltext("predict", multi_label_model, texts, "-o", output)
        ended = smalltext("evaluate", multi_label_model, output, "--json")
        assert json.loads(ended.out)["accuracy"] == 1.0


def test_standard_input_and_output(process, model):
    content = '{"text": "buy pills"}\n{"text": "добрый"}\n'.encode()
    ended = process("predict", model, "-", "--output", "-", "--output-format", "jsonl", stdin=content)
    assert [json.loads(line)["label"] for line in ended.stdout.splitlines()] == ["spam", "grüße"]


def test_standard_output_is_utf8_whatever_the_locale(new_process, model):
    text = "привет"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    ended = new_process("predict", model, "-", "-o", "-", stdin=f"text\n{text}\n".encode(), env=environment)
    assert ended.stdout.decode().startswith(f"text,label,score\n{text},grüße,0.")


def test_a_reader_that_has_seen_enough_is_no_error(model, tmp_path):
    data = tmp_path / "many.csv"
    pl.DataFrame({"text": ["buy pills"] * 50_000}).write_csv(data)
    with fork_server.Process(["-m", "smalltext_cli", "predict", model, data, "-o", "-"]) as running:
        assert running.stdout.readline() == b"text,label,score\n"
        running.stdout.close()
        assert b"Traceback" not in running.stderr.read()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_no_texts_give_no_rows(smalltext, model, tmp_path, ending):
    data = tmp_path / "none.csv"
    data.write_text("text\n")
    output = tmp_path / f"out.{ending}"
    assert smalltext("predict", model, data, "-o", output, "--proba", "--top", 1).code == 0
    if ending == "jsonl":
        assert output.read_bytes() == b""
    else:
        assert read(output).shape == (0, 8)


def test_more_classes_than_there_are_is_all_of_them(smalltext, model, new, tmp_path):
    smalltext("predict", model, new, "-o", tmp_path / "out.csv", "--top", 99)
    assert read(tmp_path / "out.csv").columns[-1] == "proba_3"


def test_chunks_are_bounded_in_number_and_length():
    def rows(count, text):
        return (Row(text, None, None, line) for line in range(count))

    assert [len(chunk) for chunk in row_chunks(rows(10_000, "a"))] == [4096, 4096, 1808]
    assert [len(chunk) for chunk in row_chunks(rows(3, "a" * 8_000_000))] == [1, 1, 1]
    assert list(row_chunks(rows(0, "a"))) == [[]]


@pytest.fixture
def broken(tmp_path):
    """More valid lines than two chunks hold, then an invalid one."""
    path = tmp_path / "broken.csv"
    path.write_bytes(b"text\n" + b"buy pills\n" * 9_000 + b"\xff\n")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_broken_line_far_down_leaves_the_former_output_and_nothing_else(
    smalltext, model, broken, tmp_path, ending
):
    output = tmp_path / f"out.{ending}"
    output.write_text("former")
    ended = smalltext("predict", model, broken, "-o", output)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "line 9002" in ended.err
    assert output.read_text() == "former"
    assert {path.name for path in tmp_path.iterdir()} == {"broken.csv", output.name}


@pytest.mark.parametrize(
    ("number", "ending"),
    [
        (signal.SIGINT, "csv"),
        (signal.SIGTERM, "parquet"),
        (signal.SIGHUP, "csv"),
        pytest.param(signal.SIGINT, "parquet", marks=pytest.mark.nightly),
        pytest.param(signal.SIGTERM, "csv", marks=pytest.mark.nightly),
    ],
)
def test_an_interrupted_run_leaves_nothing(model, tmp_path, number, ending):
    output = tmp_path / f"out.{ending}"
    command = ["-m", "smalltext_cli", "predict", model, "-", "--format", "csv", "-o", output]
    with fork_server.Process(command) as running:
        running.stdin.write(b"text\n" + b"buy pills\n" * 5_000)
        running.stdin.flush()
        while running.poll() is None and not any(path.is_file() for path in tmp_path.rglob("*")):
            time.sleep(0.02)
        running.send_signal(number)
        said = running.stderr.read()
    assert running.returncode == 128 + number
    assert b"Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["csv", pytest.param("jsonl", marks=pytest.mark.nightly), "parquet"])
def test_a_full_disk_leaves_no_file_and_is_reported(process, model, tmp_path, ending):
    data = tmp_path / "data.csv"
    draw = np.random.default_rng(0)
    pl.DataFrame({"text": [draw.bytes(20).hex() for _ in range(5_000)]}).write_csv(data)
    ended = process("predict", model, data, "-o", tmp_path / f"out.{ending}", file_size=50_000)
    assert ended.returncode == 2
    assert b"could not be written" in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_file_briefly_takes_twice_its_size_at_most(tmp_path, monkeypatch, ending):
    """As the guide on big files says."""
    output = tmp_path / f"out.{ending}"
    draw = np.random.default_rng(0)
    sizes = []

    def measured(copied, *arguments):
        copied(*arguments)
        sizes.append(sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()))

    monkeypatch.setattr(shutil, "copyfileobj", partial(measured, shutil.copyfileobj))
    with writers.table_writer(str(output), ending) as write:
        for _ in range(5):
            write(pl.DataFrame({"text": [draw.bytes(50).hex() for _ in range(1_000)]}))
    assert max(sizes, default=0) <= 2.2 * output.stat().st_size


def test_a_device_is_written_to_directly(process, model, new):
    ended = process("predict", model, new, "-o", "/dev/full", "--output-format", "csv")
    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines() == [
        "Error: /dev/full: this could not be written (No space left on device), and is unchanged."
    ]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_standard_output_that_cannot_be_written_is_called_so(model, new, file_format):
    """Rows may have been written before, so that nothing is said about what it holds."""
    command = [sys.executable, "-m", "smalltext_cli", "predict", model, new, "--output-format", file_format]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(list(map(str, command)), stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 2
    assert ended.stderr == "Error: standard output: this could not be written (No space left on device).\n"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("new.csv", "this is the input as well"),
        ("nowhere/out.csv", "there is no folder"),
        ("out.docx", "'.docx' is unknown"),
        (".", "no extension"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_refused_first(smalltext, model, new, tmp_path, output, said):
    ended = smalltext("predict", model, new, "-o", tmp_path / output)
    assert ended.code == 2
    assert said in ended.err
    assert new.read_bytes().startswith(b"text\n")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_neither_the_input_nor_the_model_is_written_over_by_any_name(smalltext, model, mails, tmp_path, command):
    data, folder = tmp_path / "data.csv", tmp_path / "model"
    shutil.copy(mails, data)
    shutil.copytree(model, folder)
    (tmp_path / "hard.csv").hardlink_to(data)
    (tmp_path / "soft.csv").symlink_to(data)
    option = ("--output-format", "csv", "--output") if command == "predict" else ("--report",)
    before = {path: path.read_bytes() for path in [data, *folder.iterdir()]}
    for place in (tmp_path / "hard.csv", tmp_path / "soft.csv", tmp_path / "model" / ".." / "data.csv"):
        ended = smalltext(command, folder, data, *option, place)
        assert ended.code == 2
        assert "this is the input as well" in ended.err
    for name in ("smalltext.json", "scores.json", "model.skops"):
        ended = smalltext(command, folder, data, *option, folder / name)
        assert ended.code == 2
        assert "this is a file of the model" in ended.err
    with data.open("rb") as redirected:
        ended = subprocess.run(
            [sys.executable, "-m", "smalltext_cli", command, folder, "-", *option, data],
            stdin=redirected,
            capture_output=True,
            check=False,
        )
    assert ended.returncode == 2
    assert b"this is the input as well" in ended.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_an_output_keeps_its_permissions_and_a_link_stays_a_link(smalltext, model, new, tmp_path):
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("former")
    real.chmod(0o640)
    link.symlink_to(real)
    assert smalltext("predict", model, new, "-o", link).code == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert read(real).height == len(TEXTS)


def test_classes_called_by_numbers_cannot_have_both_kinds_of_columns(smalltext, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text,label\na,1\nb,2\n")
    smalltext("train", data, "-c", "sklearn", "-o", tmp_path / "m", "--held-out", 0)
    ended = smalltext("predict", tmp_path / "m", data, "-o", tmp_path / "o.csv", "--proba", "--top", 1)
    assert ended.code == 2
    assert "'proba_1'" in ended.err


def many_texts(folder, ending, count, spaces):
    """Return a file of texts whose words are few, so that no cache of words grows with the file."""
    data = folder / f"{count}.{ending}"
    frame = pl.DataFrame({"text": [f"buy cheap pills {row % 10}{' ' * spaces}now" for row in range(count)]})
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[ending](data)
    return data


@pytest.mark.parametrize(
    "ending", ["csv", *(pytest.param(one, marks=pytest.mark.nightly) for one in ("jsonl", "parquet"))]
)
def test_objects_of_python_do_not_grow_with_the_file(smalltext, model, tmp_path, ending, monkeypatch):
    monkeypatch.setattr("smalltext_cli.predictions._CHUNK_ROWS", 1_024)
    output, peaks = tmp_path / f"out.{ending}", []
    first, *files = [many_texts(tmp_path, ending, count, spaces=100) for count in (2_047, 2_048, 4_096)]
    tracemalloc.start()
    try:
        smalltext("predict", model, first, "-o", output)  # what two chunks take is no growth
        for data in files:
            gc.collect()  # of the command before
            tracemalloc.reset_peak()
            smalltext("predict", model, data, "-o", output)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 150_000, "2,048 texts are 338,000 bytes"


PEAKS = """
import sys
from smalltext_cli.app import app
model, output, *files = sys.argv[1:]
for file in files:
    app(["predict", model, file, "--output", output], standalone_mode=False)
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def memory_peaks(*arguments):
    """Return how many MiB a process had used at most when it had predicted each of some files.

    Linux says so for the program itself; getrusage would count what the process was forked from as well.
    """
    ran = subprocess.run([sys.executable, "-c", PEAKS, *arguments], capture_output=True, check=True)
    return [int(line) / 1024 for line in ran.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.nightly
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_file(model, tmp_path, ending):
    files = [many_texts(tmp_path, ending, count, spaces=400) for count in (20_000, 100_000)]
    small, large = memory_peaks(model, tmp_path / f"out.{ending}", *files)
    assert large - small < 30, "100,000 texts are 41 MB, 80,000 of them 33 MB"


def test_a_parquet_file_may_come_through_a_pipe(process, model):
    buffer = io.BytesIO()
    pl.DataFrame({"text": ["buy pills"]}).write_parquet(buffer)
    ended = process("predict", model, "-", "-o", "-", stdin=buffer.getvalue())
    assert ended.stdout.startswith(b"text,label,score\nbuy pills,spam,0.")


def test_one_text_is_counted_as_one(smalltext, model, tmp_path):
    (tmp_path / "one.csv").write_text("text\nbuy pills\n")
    assert smalltext("predict", model, tmp_path / "one.csv", "-o", tmp_path / "x.csv").err.startswith(
        "Labelled 1 text in"
    )


def test_lists_of_labels_name_the_flag_that_is_missing(smalltext, tagged, model, tmp_path):
    for arguments in (("train", tagged, "-c", "sklearn", "-o", tmp_path / "m"), ("evaluate", model, tagged)):
        ended = smalltext(*arguments)
        assert ended.code == 2
        assert ended.err.endswith("the label is a list. For several labels per text, train with --multi-label.\n")
