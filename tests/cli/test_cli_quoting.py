"""Every line of a file has an answer, or the command says what became of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalltext_cli.readers import Reader
from smalltext_core.errors import SmallTextError

BOUNDED = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def texts_and_notes(path):
    """Return the texts of a file, and the reasons why texts and lines differ in number."""
    with Reader(text_column="text").open(str(path)) as opened:
        return [row.text for row in opened.rows], list(opened.source.counts.notes())


@pytest.fixture
def films(tmp_path):
    """22 lines of TSV, some of which begin with a double quote that is not closed."""
    lines = [
        f"a fine film, number {row}\tgood" if row % 2 else f"a dull film, number {row}\tbad" for row in range(22)
    ]
    for row, text in {3: '"so good I saw it twice', 13: 'it ends"', 15: '"a must', 20: '"fine"'}.items():
        lines[row] = f"{text}\t{lines[row].split(chr(9))[1]}"
    path = tmp_path / "films.tsv"
    path.write_text("text\tlabel\n" + "\n".join(lines) + "\n")
    return path, [line.split("\t")[0] for line in lines]


def test_a_double_quote_in_tsv_is_part_of_the_text(films):
    path, texts = films
    assert Reader(text_column="text", label_column="label").read(str(path)).texts == texts


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_every_command_takes_all_lines_of_tsv(smalltext, films, tmp_path, command):
    path, texts = films
    model, output = tmp_path / "model", tmp_path / "out.jsonl"
    ended = smalltext("train", path, "-c", "sklearn", "-o", model, "--json")
    assert json.loads(ended.out)["data"]["texts"] == 22
    if command == "evaluate":
        ended = smalltext("evaluate", model, path, "--json")
        assert json.loads(ended.out)["texts"] == 22
    if command == "predict":
        ended = smalltext("predict", model, path, "-o", output)
        assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == texts
    assert "1 row with a field in double quotes, which were taken as part of it" in ended.err


def test_quoting_is_read_where_it_is_asked_for_or_the_header_has_it(tmp_path):
    for header, quoting in (("text\tlabel", "minimal"), ('"text"\t"label"', None)):
        path = tmp_path / "a.tsv"
        path.write_text(f'{header}\n"one\ttwo"\tgood\n"so ""so"""\tbad\n')
        found = Reader(text_column="text", label_column="label", quoting=quoting).read(str(path))
        assert found.texts == ["one\ttwo", 'so "so"']
        assert found.notes == ()


def test_csv_without_quoting_is_a_row_a_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"so good,x\nfine",y\n')
    found = Reader(text_column="text", label_column="label", quoting="none").read(str(path))
    assert found.texts == ['"so good', 'fine"']


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_fields_that_span_lines_and_blank_lines_are_counted_and_reported(smalltext, model, tmp_path, command):
    path = tmp_path / "a.csv"
    path.write_text('text,label\nbuy,spam\n"cheap\n\npills",spam\n\n"lunch\nplease",ham\nreport,ham\n\n')
    ended = smalltext(
        *{
            "train": ("train", path, "-c", "sklearn", "-o", tmp_path / "m"),
            "evaluate": ("evaluate", model, path),
            "predict": ("predict", model, path, "-o", tmp_path / "out.csv"),
        }[command]
    )
    assert ended.code == 0
    said = " ".join(ended.err.split())
    assert "9 lines after the header hold 4 texts" in said
    assert "5 lines into 2 texts, the first one from line 3 on" in said
    assert "2 blank lines skipped" in said
    assert "--quoting none" in said


def test_blank_lines_of_json_lines_are_reported(smalltext, model, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "buy"}\n\n  \n{"text": "lunch"}\n')
    ended = smalltext("predict", model, path, "-o", tmp_path / "out.csv")
    assert "2 blank lines skipped" in ended.err


def test_a_line_that_ends_in_a_carriage_return_is_reported(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"text\none\rtwo\nthree\n")
    texts, notes = texts_and_notes(path)
    assert texts == ["one", "two", "three"]
    assert "1 row ended by a carriage return alone" in " ".join(notes)
    path.write_bytes(b"text\rone\rtwo\r")
    assert texts_and_notes(path) == (["one", "two"], [])


@pytest.mark.parametrize(("ending", "content"), [("jsonl", '{"text": "a"}\n'), ("parquet", None)])
def test_quoting_is_for_csv_and_tsv(smalltext, model, tmp_path, ending, content):
    path = tmp_path / f"a.{ending}"
    if content is None:
        import polars as pl

        pl.DataFrame({"text": ["a"]}).write_parquet(path)
    else:
        path.write_text(content)
    ended = smalltext("predict", model, path, "-o", tmp_path / "out.csv", "--quoting", "none")
    assert ended.code == 2
    assert "--quoting is for CSV and TSV" in ended.err


def test_a_header_in_quotes_read_without_quoting_says_how_to_read_it(smalltext, model, tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('"text"\t"label"\na\tham\n')
    ended = smalltext("evaluate", model, path, "--quoting", "none")
    assert "leave out --quoting none" in ended.err


lines_of = st.lists(st.text(st.sampled_from('ab",\t \x0b\u2028'), max_size=6), max_size=8)


@given(lines=lines_of, end=st.sampled_from(["\n", "\r\n", "\r"]), ending=st.sampled_from(["csv", "tsv"]))
@BOUNDED
def test_fewer_texts_than_lines_are_reported(tmp_path, lines, end, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes("".join(line + end for line in ["text", *lines]).encode())
    try:
        found, notes = texts_and_notes(path)
    except SmallTextError:
        return
    assert len(found) <= len(lines)
    if len(found) < len(lines):
        said = " ".join(notes)
        blank = sum(not line for line in lines)
        assert "blank" in said or "quoted fields with line breaks" in said
        if "line breaks" not in said:
            assert len(found) + blank == len(lines)
    if ending == "tsv":
        assert found == [line for line in lines if line and "\t" not in line]
