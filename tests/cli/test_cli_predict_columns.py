"""``smalltext predict`` keeps the columns of the input, and adds the label and its score."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json

import polars as pl
import pytest

TYPED = pl.DataFrame(
    {
        "id": ["007", "8", None],
        "text": ["buy cheap pills", "lunch tomorrow", "добрый день"],
        "count": pl.Series([1, None, 2**62], dtype=pl.Int64),
        "precise": pl.Series([0.1, 1.5, None], dtype=pl.Float32),
        "when": pl.Series([1, 2, 3], dtype=pl.Datetime("ns", "UTC")),
        "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
        "day": [dt.date(2026, 1, 2)] * 3,
        "tags": [["x", "y"], [], None],
        "nested": [{"a": 1}, {"a": None}, {"a": 3}],
        "raw": [b"\x00\xff", b"", None],
    }
)


def predicted(smalltext, model, data, *options):
    ended = smalltext("predict", model, data, *options)
    assert ended.code == 0, ended.err
    return ended


def test_the_columns_of_parquet_come_back_as_they_were(smalltext, model, tmp_path):
    data, output = tmp_path / "new.parquet", tmp_path / "out.parquet"
    TYPED.write_parquet(data)
    predicted(smalltext, model, data, "-o", output)
    frame = pl.read_parquet(output)
    assert frame.drop("label", "score").equals(TYPED)
    assert frame.schema == {**TYPED.schema, "label": pl.String, "score": pl.Float32}


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_the_columns_of_parquet_are_written_as_text(smalltext, model, tmp_path, ending):
    data = tmp_path / "new.parquet"
    TYPED.write_parquet(data)
    out = predicted(smalltext, model, data, "--output-format", ending).out
    first = out.splitlines()[0 if ending == "jsonl" else 1]
    assert "007" in first
    assert "2026-01-02" in first
    assert "AP8=" in first


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("values", "written"),
    [
        (pl.Series([[b"\xff"], [], None]), [["/w=="], [], None]),
        (pl.Series([{"bytes": b"\xff", "n": 1}, {"bytes": None, "n": 2}, None]), ["/w==", None, None]),
        (pl.Series([[{"bytes": b"\xff"}], [], None]), [[{"bytes": "/w=="}], [], None]),
        (pl.Series([[b"\xff"]] * 3, dtype=pl.Array(pl.Binary, 1)), [["/w=="]] * 3),
    ],
    ids=["list", "object", "list of objects", "array"],
)
def test_bytes_in_lists_and_objects_are_written_like_others(smalltext, model, tmp_path, ending, values, written):
    data = tmp_path / "new.parquet"
    pl.DataFrame({"text": ["buy pills", "lunch", "win"], "image": values}).write_parquet(data)
    out = predicted(smalltext, model, data, "--output-format", ending).out
    if ending == "jsonl":
        found = [json.loads(line)["image"] for line in out.splitlines()]
    else:
        rows = csv.DictReader(out.splitlines(), delimiter="," if ending == "csv" else "\t")
        found = [json.loads(row["image"]) if row["image"] else None for row in rows]
    assert [one["bytes"] if isinstance(one, dict) else one for one in found] == written


@pytest.mark.parametrize("name", ["^.*$", "^t.*$", "*"])
def test_names_of_columns_are_never_patterns(smalltext, model, tmp_path, name):
    data, output = tmp_path / "new.parquet", tmp_path / "out.parquet"
    table = pl.DataFrame({name: [1, 2], "text": ["buy pills", "lunch"], "topic": ["a", "b"]})
    table.write_parquet(data)
    predicted(smalltext, model, data, "-o", output)
    assert pl.read_parquet(output)[:, :3].equals(table)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_columns_of_csv_survive_in_every_format_as_they_were_written(smalltext, model, tmp_path, ending):
    data, output = tmp_path / "new.csv", tmp_path / f"out.{ending}"
    data.write_text('id,text,"a ""b"""\n007,buy pills,1.50\n,lunch,"x\ty\nz"\n')
    predicted(smalltext, model, data, "-o", output)
    if ending == "jsonl":
        rows = [json.loads(line) for line in output.read_text().splitlines()]
    elif ending == "parquet":
        rows = pl.read_parquet(output).to_dicts()
    else:
        with output.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="," if ending == "csv" else "\t"))
    assert list(rows[0]) == ["id", "text", 'a "b"', "label", "score"]
    assert [row["id"] for row in rows] == ["007", ""]
    assert [row['a "b"'] for row in rows] == ["1.50", "x\ty\nz"]
    assert [row["label"] for row in rows] == ["spam", "ham"]


OBJECTS = [
    {"id": 7, "text": "buy pills", "big": 2**70, "on": True, "tags": ["x"]},
    {"text": "lunch", "id": "B", "n": 1, "deep": {"a": [1, None]}, "half": "\ud800"},
    {"text": "привет", "id": None, "n": 2.5, "on": None, "big": 1},
]


def test_objects_of_json_keep_their_keys_and_values(smalltext, model, tmp_path):
    data = tmp_path / "new.jsonl"
    data.write_text("".join(f"{json.dumps(one)}\n" for one in OBJECTS))
    lines = predicted(smalltext, model, data, "--output-format", "jsonl").out.splitlines()
    found = [json.loads(line) for line in lines]
    assert [list(one)[-2:] for one in found] == [["label", "score"]] * 3
    assert [{name: one[name] for name in given} for one, given in zip(found, OBJECTS, strict=True)] == OBJECTS
    assert [len(one) for one in found] == [len(one) + 2 for one in OBJECTS]


def test_objects_of_json_become_rows_with_the_columns_of_all(smalltext, model, tmp_path):
    data, output = tmp_path / "new.json", tmp_path / "out.parquet"
    data.write_text(json.dumps(OBJECTS))
    predicted(smalltext, model, data, "-o", output)
    frame = pl.read_parquet(output)
    assert frame.columns == ["id", "text", "big", "on", "tags", "n", "deep", "half", "label", "score"]
    assert frame["id"].to_list() == ["7", "B", None]
    assert frame["big"].to_list() == [str(2**70), None, "1"]
    assert frame["on"].to_list() == [True, None, None]
    assert frame["tags"].to_list() == [["x"], None, None]
    assert frame["n"].to_list() == [None, 1.0, 2.5]
    assert frame["deep"].to_list() == [None, '{"a": [1, null]}', None]
    assert frame["half"].to_list() == [None, "?", None]
    assert frame["label"].to_list() == ["spam", "ham", "grüße"]


@pytest.mark.parametrize("name", ["new.csv", "new.jsonl"])
def test_columns_named_like_predictions_keep_their_names_with_a_message(smalltext, model, tmp_path, name):
    data = tmp_path / name
    frame = pl.DataFrame({"text": ["buy pills", "lunch"], "score": ["3", "4"], "label": ["ham", "ham"]})
    frame.write_csv(data) if name.endswith("csv") else frame.write_ndjson(data)
    ended = predicted(smalltext, model, data, "--output-format", "csv")
    assert ended.out.splitlines()[0] == "text,score,label,predicted_label,predicted_score"
    assert ended.out.splitlines()[1].startswith("buy pills,3,ham,spam,0.")
    assert "'predicted_label' instead of 'label', 'predicted_score' instead of 'score'" in ended.err


def test_columns_with_one_name_are_numbered_with_a_message(smalltext, model, tmp_path):
    data = tmp_path / "new.csv"
    data.write_text("text,,note,note,\nbuy pills,1,2,3,4\n")
    ended = predicted(smalltext, model, data)
    assert ended.out.startswith('text,"",note,note_2,_2,label,score\nbuy pills,1,2,3,4,spam,0.')
    assert "several columns are called '', 'note'" in ended.err


def test_the_text_column_keeps_its_name(smalltext, model, tmp_path):
    (tmp_path / "new.csv").write_text("body,text\nbuy pills,3\n")
    ended = predicted(smalltext, model, tmp_path / "new.csv", "--text-column", "body")
    assert ended.out.startswith("body,text,label,score\nbuy pills,3,spam,0.")


def test_several_labels_have_several_scores(smalltext, multi_label_model, tmp_path):
    (tmp_path / "new.csv").write_text("text\nbuy pills\n")
    ended = predicted(smalltext, multi_label_model, tmp_path / "new.csv", "--output-format", "jsonl", "--proba")
    found = json.loads(ended.out)
    assert found["score"] == [found[f"proba_{name}"] for name in found["label"]]


def test_texts_can_be_given_as_arguments(smalltext, model):
    ended = predicted(smalltext, model, "--text", "buy pills", "--text", 'lunch, "tomorrow"')
    assert [line.rsplit(",", 1)[0] for line in ended.out.splitlines()] == [
        "text,label",
        "buy pills,spam",
        '"lunch, ""tomorrow""",ham',
    ]


@pytest.mark.parametrize("arguments", [(), ("new.csv", "--text", "buy")])
def test_texts_come_from_a_file_or_from_arguments(smalltext, model, arguments):
    ended = smalltext("predict", model, *arguments)
    assert ended.code == 2
    assert "Give DATA, a file of texts (- is standard input), or --text, but not both." in ended.err


def test_a_file_of_plain_text_has_a_text_in_each_line(smalltext, model, tmp_path):
    (tmp_path / "new.txt").write_text('buy "cheap" pills, now\n\n\tlunch\r\n')
    ended = predicted(smalltext, model, tmp_path / "new.txt", "--output-format", "jsonl")
    assert [json.loads(line)["text"] for line in ended.out.splitlines()] == ['buy "cheap" pills, now', "\tlunch"]
    assert "1 blank line skipped" in ended.err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("new.csv", "id,text\n1,buy pills\n"),
        ("new.tsv", "id\ttext\n1\tbuy pills\n"),
        ("new.jsonl", '{"id": "1", "text": "buy pills"}\n'),
        ("new.json", '\ufeff [ {"id": "1", "text": "buy pills"} ]\n'),
        ("new.json", '{"id": "1", "text": "buy pills"}\n'),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_text_formats_are_read_compressed_or_not(smalltext, process, model, tmp_path, name, content, compressed):
    data = tmp_path / f"{name}{'.gz' if compressed else ''}"
    data.write_bytes(gzip.compress(content.encode()) if compressed else content.encode())
    ended = predicted(smalltext, model, data)
    assert ended.out.startswith("id,text,label,score\n1,buy pills,spam,0.")


def test_standard_input_may_be_compressed(process, model):
    ended = process("predict", model, "-", stdin=gzip.compress(b"id,text\n1,buy pills\n"))
    assert ended.stdout.startswith(b"id,text,label,score\n1,buy pills,spam,0.")


def test_a_damaged_compressed_file_is_refused_in_one_line(smalltext, model, tmp_path):
    content = gzip.compress(b"text\n" + b"buy pills\n" * 10_000)
    (tmp_path / "new.csv.gz").write_bytes(content[:-20])
    ended = smalltext("predict", model, tmp_path / "new.csv.gz", "-o", tmp_path / "out.csv")
    assert ended.code == 2
    assert "it is damaged, and cannot be decompressed" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv.gz"]


def test_a_long_array_of_json_is_read_object_by_object(smalltext, model, tmp_path):
    texts = [f"buy pills {'é' * (row * 37 % 5_000)} {row}" for row in range(300)]
    (tmp_path / "new.json").write_text(json.dumps([{"text": text} for text in texts], indent=1))
    out = predicted(smalltext, model, tmp_path / "new.json", "--output-format", "jsonl").out
    assert [json.loads(line)["text"] for line in out.splitlines()] == texts


def test_what_is_replaced_is_reported_and_can_be_forbidden(smalltext, model, mails, tmp_path):
    output = tmp_path / "out.csv"
    assert "(replaced" not in predicted(smalltext, model, mails, "-o", output).err
    before = output.read_bytes()
    assert (
        f"(replaced a file of {len(before):,} bytes, written 2"
        in predicted(smalltext, model, mails, "-o", output).err
    )
    ended = smalltext("predict", model, mails, "-o", output, "--no-clobber", "--top", 1)
    assert ended.code == 2
    assert "it already exists. Leave out --no-clobber to replace it" in ended.err
    assert output.read_bytes() == before
