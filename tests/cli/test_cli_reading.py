"""Files of texts: what is read, and how each thing that can be wrong with them is told."""

from __future__ import annotations

import io
import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalltext_cli.console import InputFileError, UsageError
from smalltext_cli.readers import Reader, Row
from smalltext_core.errors import SmallTextError
from smalltext_core.label_names import class_name

WANTED = [('buy now, "friend"', "spam"), ("zwei\nZeilen", "grüße"), ("", "ham"), ("你好 🙂", "中文")]


def written(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8", newline="")
    return str(path)


def read(path, **options):
    return [
        (row.text, row.label) for row in Reader(text_column="text", label_column="label", **options).rows(path)
    ]


def refusal(tmp_path, name, content, **options):
    options = {"text_column": "text", "label_column": "label", **options}
    with pytest.raises(InputFileError) as refused:
        list(Reader(**options).rows(written(tmp_path, name, content)))
    message = str(refused.value)
    assert "\n" not in message
    assert name in message
    return message


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.ndjson", "a.parquet", "A.CSV"])
def test_every_format_gives_the_same_rows(tmp_path, name):
    frame = pl.DataFrame(WANTED, schema=["text", "label"], orient="row")
    path = tmp_path / name
    if name.lower().endswith("csv"):
        frame.write_csv(path)
    elif name.endswith("tsv"):
        frame.write_csv(path, separator="\t")
    elif name.endswith("parquet"):
        frame.write_parquet(path)
    else:
        frame.write_ndjson(path)
    assert read(str(path), quoting="minimal" if name.endswith("tsv") else None) == WANTED


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert read(written(tmp_path, "a.csv", b"\xef\xbb\xbftext,label\na,x\n")) == [("a", "x")]
    assert read(written(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"text": "a", "label": "x"}\n')) == [("a", "x")]


def test_semicolons_as_spreadsheets_write_them(tmp_path):
    assert read(written(tmp_path, "a.csv", "text;label\na, b;x\n")) == [("a, b", "x")]


def test_lines_are_counted_through_quoted_line_breaks_and_blank_lines(tmp_path):
    path = written(tmp_path, "a.csv", 'text,label\r\n"one\r\ntwo",x\r\n\r\nthree,y\r\n')
    assert [row.line for row in Reader(text_column="text").rows(path)] == [2, 5]


def test_a_text_longer_than_the_csv_module_likes(tmp_path):
    assert read(written(tmp_path, "a.csv", f"text,label\n{'x' * 300_000},y\n")) == [("x" * 300_000, "y")]


def test_numbers_and_booleans_are_names_of_classes(tmp_path):
    path = written(tmp_path, "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": true}\n')
    assert read(path) == [("a", "1"), ("b", "true")]


@pytest.mark.parametrize(
    ("cell", "separator", "names"),
    [
        ('"[""a"", ""b""]"', None, ("a", "b")),
        ("[]", None, ()),
        ("a|b| a ", None, ("a", "b")),
        ("a;b", ";", ("a", "b")),
        ("[a];b", ";", ("[a]", "b")),
    ],
)
def test_several_labels_in_a_csv_cell(tmp_path, cell, separator, names):
    path = written(tmp_path, "a.csv", f"text,label\nsome,{cell}\n")
    assert read(path, multi_label=True, separator=separator) == [("some", names)]


def test_several_labels_in_jsonl_and_parquet(tmp_path):
    frame = pl.DataFrame({"text": ["a", "b"], "label": [["x", "y"], []]})
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ndjson(tmp_path / "a.jsonl")
    wanted = [("a", ("x", "y")), ("b", ())]
    assert read(str(tmp_path / "a.parquet"), multi_label=True) == wanted
    assert read(str(tmp_path / "a.jsonl"), multi_label=True) == wanted


def test_defect_40_a_text_without_labels_is_not_one_that_no_class_applies_to(tmp_path):
    message = refusal(tmp_path, "a.csv", "text,label\na,x|y\nb,\n", multi_label=True)
    assert "line 3" in message
    assert "[]" in message


@pytest.mark.parametrize(
    ("label", "multi_label", "problem"),
    [
        ('{"name": "é"}', False, """the label is {"name": "é"}, not a string. Write the name of the class"""),
        ('[{"name": "x"}]', True, """one of the labels is {"name": "x"}, not a string. Write the name"""),
        ('["x", ["y"]]', True, """one of the labels is ["y"], not a string. Write the name"""),
        ('["x"]', False, "the label is a list. For several labels per text, train with --multi-label."),
    ],
)
def test_an_object_or_a_list_for_a_label_is_shown_as_in_the_file(tmp_path, label, multi_label, problem):
    line = f'{{"text": "a", "label": {label}}}\n'.encode()
    assert f"line 1: {problem}" in refusal(tmp_path, "a.jsonl", line, multi_label=multi_label)


@pytest.mark.parametrize(
    ("content", "advised"),
    [
        (b"7,Can you send me the slides?,ham\n8,Win a prize,spam\n", True),
        (b"id,message of the customer,topic\n7,Can you send me the slides?,ham\n", False),
    ],
)
def test_a_file_without_a_header_gets_the_advice_to_add_one(tmp_path, content, advised):
    message = refusal(tmp_path, "a.csv", content)
    assert ("If the first line holds a text, add a header above it, such as text,label." in message) is advised
    assert message.endswith("Name another column with --text-column.")


def test_an_object_for_another_value_is_shown_as_in_the_file(tmp_path):
    line = b'{"text": "a", "label": "x", "weight": {"a": 1}}\n'
    assert 'the weight is {"a": 1}.' in refusal(tmp_path, "a.jsonl", line, weight_column="weight")
    line = b'{"text": "a", "cats": {"x": {"a": 1}}}\n'
    assert """the category 'x' is {"a": 1}.""" in refusal(tmp_path, "b.jsonl", line)
    line = b'{"id": 1, "data": {"text": "a"}, "label": {"name": "x"}}\n'
    assert "there is no column 'text', only 'id', 'data', 'label'" in refusal(tmp_path, "c.jsonl", line)


def test_defect_46_a_missing_text_is_refused(tmp_path):
    assert "row 2: the text is missing" in refusal(
        tmp_path, "a.parquet", parquet({"text": ["a", None]}), label_column=None
    )


def parquet(columns):
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_standard_input(tmp_path, monkeypatch, kind):
    content = parquet({"text": ["a"], "label": ["x"]}) if kind == "parquet" else b"text,label\na,x\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read("-") == [("a", "x")]


def test_a_file_is_read_no_faster_than_it_is_asked_for(tmp_path):
    path = written(tmp_path, "a.csv", "text,label\n" + "a,x\n" * 3 + "b,\n")
    found = Reader(text_column="text", label_column="label").rows(path)
    assert [next(found) for _ in range(3)][-1] == Row("a", "x", None, 4)
    with pytest.raises(InputFileError, match="line 5"):
        next(found)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "empty"),
        ("a.csv", "\n\n", "empty"),
        ("a.csv", "text,klasse\na,x\n", "'klasse'"),
        ("a.csv", "Text,label\na,x\n", "Did you mean 'Text'?"),
        ("a.csv", "text\tlabel\na\tx\n", "--format tsv"),
        ("a.tsv", "text,label\na,x\n", "--format csv"),
        ("a.csv", "text,label\na,x\nb,  \n", "line 3: the label is missing"),
        ("a.csv", "text,label\na,x\nb,y,z\n", "line 3: 3 fields where the header has 2"),
        ("a.csv", "text,label\na,x\nb\n", "line 3: 1 field where the header has 2"),
        ("a.csv", 'text,label\na,x\n"b,y\n', "line 3"),
        ("a.csv", "text,text,label\na,b,x\n", "several columns"),
        ("a.csv", b"text,label\na,x\nb\xff,y\n", "line 3: byte 0xff after 1 character is"),
        ("a.jsonl", b'{"text": "a\xff", "label": "x"}\n', "line 1: byte 0xff"),
        ("a.csv", b"PAR1....", "this is Parquet, not CSV"),
        ("a.csv", b"PK\x03\x04....", "Excel"),
        ("a.csv", b"\x1f\x8b\x08....", "cannot be decompressed"),
        ("a.csv", "text,label\n".encode("utf-16"), "UTF-16"),
        ("a.csv", "text,label\n".encode("utf-32"), "iconv -f utf-32 -t utf-8"),
        ("a.csv", b"\x00\x01\x02", "binary"),
        ("a.csv", '{"text": "a", "label": "x"}\n', "--format jsonl"),
        ("a.parquet", "text,label\na,x\n", "not Parquet but text"),
        ("a.parquet", b"PAR1" + b"x" * 100, "not valid Parquet"),
        ("a.jsonl", "text,label\n", "line 1: 'text,label' is not a JSON object"),
        ("a.jsonl", '[{"text": "a"}]', "row 1: there is no column 'label'"),
        ("a.json", '[{"text": "a", "label": "x"}, 3]', "row 2: '3]' is not a JSON object"),
        ("a.json", '[{"text": "a", "label": "x"}', "it ends before a comma or the end of the array"),
        ("a.json", '[{"text": "a", "label": "x"}] []', "something follows the array"),
        ("a.json", '[{"text": "a", "text": "b", "label": "x"}]', "the key 'text' more than once"),
        ("a.json", b'[{"text": "a\xff", "label": "x"}]', "0xff is not UTF-8"),
        ("a.txt", "buy now\n", "plain text has no column 'label'"),
        ("a.csv.gz", "text,label\na,x\n", "this is not compressed by gzip"),
        ("a.jsonl", '{\n "text": "a"}', "one object per line"),
        ("a.jsonl", '{"text": "a"}\n', "line 1: there is no column 'label'"),
        ("a.jsonl", '{"text": 3, "label": "x"}\n', "line 1: the text is a number"),
        ("a.jsonl", '{"text": null, "label": "x"}\n', "line 1: the text is missing"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "line 1: the label is missing"),
        ("a.jsonl", '{"text": "a", "label": ["x"]}\n', "--multi-label"),
        ("a.jsonl", '{"text": "\\ud800", "label": "x"}\n', "surrogate"),
        ("a.jsonl", "[" * 100_000, "row 1"),
        ("a.dat", "text,label\n", "'.dat' is unknown"),
        ("table", "text,label\n", "no extension"),
    ],
)
def test_a_problem_in_a_file_is_reported_with_its_position(tmp_path, name, content, said):
    assert said in refusal(tmp_path, name, content)


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "", "much"])
def test_a_weight_is_a_finite_number_not_below_zero(tmp_path, weight):
    content = f"text,label,w\na,x,1\nb,y,{weight}\n"
    assert "line 3: the weight is" in refusal(tmp_path, "a.csv", content, weight_column="w")


def test_a_missing_file_and_a_folder(tmp_path):
    for path, problem in ((tmp_path / "nothing.csv", "there is no such file"), (tmp_path, "this is a folder")):
        with pytest.raises(InputFileError, match=problem):
            list(Reader(text_column="text").rows(str(path)))


def test_a_file_with_a_header_alone_has_nothing_to_train_on(tmp_path):
    with pytest.raises(InputFileError, match="no texts"):
        Reader(text_column="text", label_column="label").read(written(tmp_path, "a.csv", "text,label\n"))


def test_one_column_cannot_be_text_and_label(tmp_path):
    with pytest.raises(UsageError, match="two things"):
        list(Reader(text_column="text", label_column="text").rows("a.csv"))


@given(content=st.binary(max_size=200), ending=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes_are_read_or_refused(tmp_path, content, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    try:
        list(Reader(text_column="text", label_column="label", multi_label=True).rows(str(path)))
    except SmallTextError as refused:
        assert "\n" not in str(refused)  # noqa: PT017


@given(middle=st.binary(max_size=100), ending=st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_bytes_after_a_valid_beginning_are_read_or_refused(tmp_path, middle, ending):
    begin = {"csv": b"text,label\n", "tsv": b"text\tlabel\n", "jsonl": b'{"text": "a", "label": "b"}\n'}
    path = tmp_path / f"a.{ending}"
    sound = parquet({"text": ["a"], "label": ["b"]})
    path.write_bytes(sound[:40] + middle + sound[40:] if ending == "parquet" else begin[ending] + middle)
    try:
        list(Reader(text_column="text", label_column="label").rows(str(path)))
    except SmallTextError as refused:
        assert "\n" not in str(refused)  # noqa: PT017


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(table=st.lists(st.tuples(cells, cells.filter(str.strip)), min_size=1, max_size=5))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_what_polars_wrote_comes_back(tmp_path, ending, table):
    frame = pl.DataFrame(table, schema=["text", "label"], orient="row")
    path = tmp_path / f"a.{ending}"
    write = {
        "csv": frame.write_csv,
        "tsv": lambda to: frame.write_csv(to, separator="\t"),
        "jsonl": frame.write_ndjson,
        "parquet": frame.write_parquet,
    }
    write[ending](path)
    found = read(str(path), quoting="minimal" if ending == "tsv" else None)
    assert found == [(text, class_name(label)) for text, label in table]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("first", "delimiter"), [("sep=;", ";"), ('"sep=,"', ","), ("sep=\t", "\t")])
def test_the_delimiter_that_excel_is_told_in_a_first_line(tmp_path, first, delimiter, end):
    path = tmp_path / "mails.csv"
    lines = [first, f"text{delimiter}label", f"buy now{delimiter}spam", f"lunch{delimiter}ham"]
    path.write_bytes("".join(line + end for line in lines).encode())
    read = Reader("text", "label").read(str(path))
    assert (read.texts, read.labels, read.notes) == (["buy now", "lunch"], ["spam", "ham"], ())


def test_columns_between_vertical_bars(tmp_path):
    path = tmp_path / "mails.csv"
    path.write_text("text|label\nbuy, now|spam\n")
    assert Reader("text", "label").read(str(path)).texts == ["buy, now"]


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        (("text", None, None), "--text-column"),
        (("body", "label", None), "--label-column"),
        (("body", "verdict", "weight"), "--weight-column"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_missing_column_is_named_with_its_option_alone(tmp_path, ending, columns, options):
    path = tmp_path / f"mails.{ending}"
    frame = pl.DataFrame({"body": ["buy now"], "verdict": ["spam"]})
    writers = {"jsonl": frame.write_ndjson, "parquet": frame.write_parquet}
    writers.get(ending, lambda path: frame.write_csv(path, separator="\t" if ending == "tsv" else ","))(path)
    with pytest.raises(InputFileError) as raised:
        list(Reader(*columns).rows(str(path)))
    assert str(raised.value).endswith(f"Name another column with {options}.")


def test_comment_lines_above_the_header_are_named(tmp_path):
    path = tmp_path / "mails.csv"
    path.write_text("# exported by a tool\ntext,label\nbuy now,spam\n")
    with pytest.raises(InputFileError, match=r"only '# exported by a tool'. Drop the lines above the header\."):
        Reader("text", "label").read(str(path))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("mails.ods", "Save the sheet as CSV or .xlsx."),
        ("mails.csv.xz", "Decompress the file first, or compress it with gzip."),
        ("mails.xlsx", "If it is CSV, TSV or JSON Lines, rename it, or pass --format."),
        ("mails.csv.gz", "Rename it: leave out .gz."),
        ("mails.dat", "Known extensions: .csv, .tsv,"),
    ],
)
def test_files_with_another_ending_are_refused_with_a_way_out(tmp_path, name, advice):
    (tmp_path / name).write_text("text\nbuy now\n")
    with pytest.raises(InputFileError) as raised:
        Reader("text").read(str(tmp_path / name))
    assert advice in str(raised.value)
