"""Files that are nearly sound, or made of what trips up readers: each is read, or refused in one line."""

from __future__ import annotations

import io

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalltext_cli.readers import Labelled, Reader
from smalltext_core.errors import SmallTextError

BOUNDED = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ENDINGS = ["csv", "tsv", "jsonl", "parquet"]

FRAME = pl.DataFrame(
    {
        "text": ["a fine film", "a dull\none", 'so "so", really', "; | \t", "", "grüße 今天"],
        "label": ["good", "bad", "good", "3", "bad", "true"],
        "weight": [1.0, 0.5, 2.0, 0.0, 1e9, 3.0],
    }
)


def bytes_of(frame, ending):
    file = io.BytesIO()
    if ending == "parquet":
        frame.write_parquet(file, row_group_size=2)
    elif ending == "jsonl":
        frame.write_ndjson(file)
    else:
        frame.write_csv(file, separator="\t" if ending == "tsv" else ",")
    return file.getvalue()


SOUND = {ending: bytes_of(FRAME, ending) for ending in ENDINGS}

pieces = st.sampled_from(
    [
        *(b"text", b"label", b"weight", b"text,label\n", b"text;label\n", b"text\tlabel\tweight\n", b"a", b" "),
        *(b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b'"', b'""', b"'", b"\\", b"\\n", b"\x0b", b"\x1c"),
        *(b"{", b"}", b"[", b"]", b":", b'{"text": "a", "label": "b"}\n', b'{"text": "a", "label": ["b", "c"]}\n'),
        *(b'{"text": null, "label": "b"}\n', b'{"text": "a", "label": {"b": 1}}\n', b'{"text": 1, "label": []}\n'),
        *(b"null", b"NaN", b"-Infinity", b"1e999", b"1e-999", b"9" * 400, b"9" * 5_000, b"-0", b"true", b"0x10"),
        *(b'"\\ud800"', b'"\\udc00\\ud800"', b"\\u0000", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"),
        *(b"\xef\xbb\xbf", b"\xff", b"\xff\xfe", b"\x00", b"\x1a", b"\xe2\x80\xa8", b"\xc2\x85", b"\xe4\xbb\x8a"),
        *(b"[" * 2_000, b'{"a":' * 2_000, b'"' * 301, b"," * 300, b"\x1f\x8b", b"PK\x03\x04", b"PAR1"),
    ]
)
jumbles = st.lists(pieces | st.binary(max_size=3), max_size=25).map(b"".join)


@st.composite
def mutated(draw, sound):
    """Change a few places of a file: another byte, bytes more, bytes less, a part twice, or cut short."""
    content = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 12))
        match draw(st.sampled_from(["other", "more", "less", "twice", "short"])):
            case "other":
                content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "more":
                content[at:at] = draw(st.binary(max_size=8) | pieces)
            case "less":
                del content[at : at + length]
            case "twice":
                content[at:at] = content[at : at + length]
            case "short":
                del content[at:]
    return bytes(content)


options = st.fixed_dictionaries(
    {
        "multi_label": st.booleans(),
        "separator": st.sampled_from([None, "|", ",", " ", "ab"]),
        "weight_column": st.sampled_from([None, "weight"]),
    }
)


def read_or_refused(path, **chosen):
    """Read a file; whatever it holds, what comes of it is well-formed, or one line that begins with its name."""
    try:
        found = Reader(text_column="text", label_column="label", **chosen).read(str(path))
    except SmallTextError as refused:
        said = str(refused)
        assert said.startswith(str(path))
        assert "\n" not in said
        assert said.endswith((".", ")", "?"))
        assert len(said) < 2_000
    else:
        check(found, multi_label=chosen["multi_label"])


def check(found: Labelled, *, multi_label: bool):
    assert len(found.texts) == len(found.labels) > 0
    assert all(type(text) is str for text in found.texts)
    "".join(found.texts).encode()
    names = [name for label in found.labels for name in (label if multi_label else (label,))]
    assert all(type(name) is str and name.strip() == name and name for name in names)
    assert found.weights is None or all(0 <= weight < float("inf") for weight in found.weights)


@given(content=jumbles, ending=st.sampled_from(ENDINGS), chosen=options)
@BOUNDED
def test_what_trips_up_readers_is_read_or_refused(tmp_path, content, ending, chosen):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    read_or_refused(path, **chosen)


@given(data=st.data(), ending=st.sampled_from(ENDINGS), chosen=options)
@BOUNDED
def test_a_file_that_was_damaged_is_read_or_refused(tmp_path, capfd, data, ending, chosen):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data.draw(mutated(SOUND[ending])))
    read_or_refused(path, **chosen)
    assert capfd.readouterr().err == ""  # no stack of a panic of polars


dtypes = st.sampled_from(
    [
        *(
            pl.Int8,
            pl.UInt64,
            pl.Float32,
            pl.Boolean,
            pl.String,
            pl.Binary,
            pl.Categorical,
            pl.Date,
            pl.Time,
            pl.Null,
        ),
        *(pl.Datetime("us", "UTC"), pl.Duration, pl.Decimal(10, 2), pl.List(pl.String), pl.List(pl.Int16)),
        *(pl.Struct({"a": pl.Int8}), pl.Array(pl.String, 2), pl.List(pl.List(pl.String)), pl.Enum(["x", "y"])),
    ]
)


@given(text=dtypes, label=dtypes, weight=dtypes, filled=st.booleans(), chosen=options)
@BOUNDED
def test_a_parquet_file_of_any_types_is_read_or_refused(tmp_path, text, label, weight, filled, chosen):
    values = {
        pl.Boolean: [True, False],
        pl.String: ["x", "y"],
        pl.Binary: [b"\xff", b""],
        pl.Int8: [1, -2],
        pl.Float32: [float("nan"), 1.0],
        pl.UInt64: [2**64 - 1, 0],
        pl.List(pl.String): [["x"], [None, ""]],
        pl.List(pl.Int16): [[1], []],
        pl.Categorical: ["x", "y"],
        pl.Enum(["x", "y"]): ["x", "y"],
    }
    columns = {
        name: pl.Series(name, values.get(kind, [None, None]) if filled else [None, None], dtype=kind)
        for name, kind in {"text": text, "label": label, "weight": weight}.items()
    }
    path = tmp_path / "a.parquet"
    pl.DataFrame(columns).write_parquet(path)
    read_or_refused(path, **chosen)


@given(data=st.data(), ending=st.sampled_from(["csv", "tsv", "jsonl"]))
@BOUNDED
def test_reading_row_by_row_gives_what_reading_all_gives(tmp_path, data, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data.draw(mutated(SOUND[ending])))
    columns = {"text_column": "text", "label_column": "label"}
    try:
        seen = [(row.text, row.label) for row in Reader(**columns).rows(str(path))]
        found = Reader(**columns).read(str(path))
    except SmallTextError:
        return
    assert seen == list(zip(found.texts, found.labels, strict=True))


commands = st.sampled_from(["train", "predict", "evaluate"])


@given(data=st.data(), ending=st.sampled_from(ENDINGS), command=commands)
@settings(BOUNDED, max_examples=25)
def test_the_commands_end_in_one_line_whatever_the_file_holds(smalltext, model, tmp_path, data, ending, command):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data.draw(mutated(SOUND[ending]) | jumbles))
    arguments = {
        "train": ("train", path, "-c", "sklearn", "-o", tmp_path / "model"),
        "predict": ("predict", model, path, "-o", tmp_path / "out.csv", "--top", 2),
        "evaluate": ("evaluate", model, path, "--report", tmp_path / "report.html"),
    }
    ended = smalltext(*arguments[command])
    assert ended.code in (0, 2), ended.err
    errors = [line for line in ended.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == (ended.code == 2)
    assert "Traceback" not in ended.err
    assert not [left.name for left in tmp_path.iterdir() if left.name.startswith(".")]
