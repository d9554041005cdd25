"""Damaged and hostile files of texts: read, or refused in one line; never another exception, crash or hang."""

from __future__ import annotations

import io
import json
import random
from collections import Counter

import polars as pl
import pytest

from smalltext_cli.readers import Reader
from smalltext_core.errors import SmallTextError

ENDINGS = ["csv", "tsv", "jsonl", "parquet"]
FRAME = pl.DataFrame(
    {
        "text": ["a fine film", "a dull\none", 'so "so", really', "; | \t", "", "grüße 今天"] * 5,
        "label": ["good", "bad", "good", "3", "bad", "true"] * 5,
        "weight": [1.0, 0.5, 2.0, 0.0, 1e9, 3.0] * 5,
    }
)
COLUMNS = {"text_column": "text", "label_column": "label"}


def sound(ending, draw):
    file = io.BytesIO()
    if ending == "parquet":
        compression = draw.choice(["zstd", "snappy", "uncompressed", "lz4", "gzip"])
        FRAME.write_parquet(file, row_group_size=draw.choice([2, 7, 100]), compression=compression)
    elif ending == "jsonl":
        FRAME.write_ndjson(file)
    else:
        FRAME.write_csv(file, separator="\t" if ending == "tsv" else ",")
    return bytearray(file.getvalue())


def damaged(content, draw):
    """Change a few places, half of them near the end, where Parquet has its index."""
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        end = max(len(content) - 600, 0) if draw.random() < 0.5 else 0
        at = draw.randrange(end, max(len(content), end + 1))
        match draw.choice(["other", "other", "bytes", "less", "twice", "short"]):
            case "other":
                content[at : at + 1] = draw.randbytes(1)
            case "bytes":
                content[at : at + draw.randrange(1, 9)] = draw.randbytes(draw.randrange(1, 9))
            case "less":
                del content[at : at + draw.randrange(1, 50)]
            case "twice":
                content[at:at] = content[at : at + draw.randrange(1, 50)]
            case "short":
                del content[at:]
    return bytes(content)


def outcome(path, **options):
    try:
        Reader(**COLUMNS, **options).read(str(path))
    except SmallTextError as refused:
        said = str(refused)
        assert said.startswith(str(path))
        assert said.isprintable()
        assert len(said) < 2_000
        return "crashed" if "crashed" in said else "refused"
    return "read"


def outcomes(tmp_path, ending, count, seed):
    draw = random.Random(seed)
    path = tmp_path / f"a.{ending}"
    found = Counter()
    for _ in range(count):
        path.write_bytes(damaged(sound(ending, draw), draw))
        options = {"multi_label": draw.random() < 0.5, "weight_column": draw.choice([None, "weight"])}
        if ending in ("csv", "tsv"):
            options["quoting"] = draw.choice([None, "none", "minimal"])
        found[outcome(path, **options)] += 1
    return found


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_damaged_file_is_read_or_refused(tmp_path, ending):
    found = outcomes(tmp_path, ending, 150, seed=1)
    assert found["read"]
    assert found["refused"]


@pytest.mark.nightly
@pytest.mark.parametrize("ending", ENDINGS)
def test_2000_damaged_files_are_read_or_refused(tmp_path, ending, record_property):
    found = outcomes(tmp_path, ending, 2_000, seed=2)
    record_property("outcomes", dict(found))
    assert found.total() == 2_000


@pytest.fixture(scope="module")
def crashing(tmp_path_factory):
    """A Parquet file over which polars ends the process that reads it, if there is one among a thousand."""
    file = io.BytesIO()
    pl.DataFrame({"text": ["a fine film", "a dull\none"] * 50, "label": ["good", "bad"] * 50}).write_parquet(file)
    path = tmp_path_factory.mktemp("crashing") / "a.parquet"
    for at in (63, 231, 54, 55):
        for value in reversed(range(256)):
            content = bytearray(file.getvalue())
            content[at] = value
            path.write_bytes(content)
            if outcome(path) == "crashed":
                return path
    pytest.skip("this version of polars survives these files")


def test_parquet_that_crashes_polars_is_refused_and_the_next_file_is_read(crashing, tmp_path, smalltext):
    ended = smalltext("train", crashing, "-c", "sklearn", "-o", tmp_path / "m")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith(
        f"Error: {crashing}: this is not valid Parquet (the process that read"
    )
    good = tmp_path / "good.parquet"
    FRAME.write_parquet(good)
    assert Reader(**COLUMNS).read(str(good)).texts == FRAME["text"].to_list()


def test_columns_called_like_patterns_are_taken_by_name(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"tau": ["no"], "^t.*$": ["yes"], "*": ["x"]}).write_parquet(path)
    found = list(Reader(text_column="^t.*$", label_column="*").rows(str(path)))
    assert [(row.text, row.label) for row in found] == [("yes", "x")]


def test_parquet_is_read_in_order_across_slices_of_any_size(tmp_path):
    path = tmp_path / "a.parquet"
    texts = [f"{row} " + "x" * (row % 7 * 5_000) for row in range(5_000)]
    pl.DataFrame({"text": texts, "label": ["a"] * 5_000}).write_parquet(path, row_group_size=1_000)
    found = list(Reader(**COLUMNS).rows(str(path)))
    assert [row.text for row in found] == texts
    assert [row.line for row in found] == list(range(1, 5_001))


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_a_line_without_end_is_refused_and_not_held_in_memory(tmp_path, monkeypatch, ending):
    monkeypatch.setattr("smalltext_cli.readers.files.MAX_LINE_LENGTH", 1_000)
    path = tmp_path / f"a.{ending}"
    path.write_text(
        ("{" if ending == "jsonl" else "text\tlabel\n" if ending == "tsv" else "text,label\n") + "x" * 5_000
    )
    with pytest.raises(SmallTextError, match="the line is longer than"):
        Reader(**COLUMNS).read(str(path))


def test_a_quote_that_is_not_closed_is_refused_before_it_takes_all_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("smalltext_cli.readers.files.MAX_LINE_LENGTH", 1_000)
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"a,x\n' + "b,y\n" * 1_000)
    with pytest.raises(SmallTextError, match=r"line 2: this is not valid CSV \(field larger than field limit"):
        Reader(**COLUMNS).read(str(path))


@pytest.mark.parametrize(
    "line",
    [
        '{"a":' * 100_000,
        "[" * 1_000_000,
        '{"text": ' + "[" * 50_000 + "]" * 50_000 + ', "label": "x"}',
        '{"text": "a", "label": ' + "9" * 100_000 + "}",
        '{"text": "a", "label": 1e999}',
        '{"text": "a", "label": "\\ud83d"}',
        '{"text": "a", "text": "b", "label": "x"}',
        '{"text": "a", "label": "x", "lab\\u0065l": "y", "label": "z"}',
    ],
)
def test_json_that_takes_a_parser_to_its_limits_is_refused(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    assert outcome(path) == "refused"


def test_a_key_that_occurs_once_outermost_is_taken_whatever_is_within(tmp_path):
    path = tmp_path / "a.jsonl"
    record = {"meta": {"text": "inner", "label": ["text", "text"]}, "text": 'a "text" text', "label": "x"}
    path.write_text(json.dumps(record) + "\n")
    assert Reader(**COLUMNS).read(str(path)).texts == ['a "text" text']


@pytest.mark.parametrize("weight", ["1_000", "١", "0.\x1e1", "0x10", "1,5"])
def test_a_weight_that_only_python_would_read_is_refused(tmp_path, weight):
    path = tmp_path / "a.csv"
    path.write_text(f'text,label,weight\na,x,"{weight}"\n')
    with pytest.raises(SmallTextError, match="the weight is"):
        Reader(**COLUMNS, weight_column="weight").read(str(path))
