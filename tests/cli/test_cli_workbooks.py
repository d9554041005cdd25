"""Excel workbooks: which sheet is read, and what is said about the others."""

from __future__ import annotations

import csv
import json
import zipfile
from datetime import date, time

import pytest

from smalltext_cli.readers import Reader

LABELLED = [["text", "label"], *([f"{word} {n}", word] for n in range(4) for word in ("good", "bad"))]


def workbook(path, **sheets):
    """Write the smallest workbook: sheets of strings, dates, times and truth values, in the order of arguments."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def relations(*targets):
        each = "".join(
            f'<Relationship Id="r{number}" Type="{office}/{kind}" Target="{target}"/>'
            for number, (kind, target) in enumerate(targets)
        )
        return f'<Relationships xmlns="{package}/relationships">{each}</Relationships>'

    listed = "".join(
        f'<sheet name="{name}" sheetId="{number + 1}" r:id="r{number}"/>' for number, name in enumerate(sheets)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"></Types>',
        "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": relations(
            *(("worksheet", f"worksheets/{name}.xml") for name in sheets), ("styles", "styles.xml")
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs>{_formats(0, 14, 21)}</cellXfs></styleSheet>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
    }
    for name, rows in sheets.items():
        cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
        content = f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        parts[f"xl/worksheets/{name}.xml"] = content
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def _formats(*numbers):
    return "".join(f'<xf numFmtId="{number}"/>' for number in numbers)


def _cell(value):
    """Return a cell; dates and times are numbers with a format, as Excel stores them."""
    if isinstance(value, bool):
        return f'<c t="b"><v>{value:d}</v></c>'
    if isinstance(value, date):
        return f'<c s="1"><v>{(value - date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, time):
        return f'<c s="2"><v>{(value.hour * 60 + value.minute) / 1440}</v></c>'
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if value else "<c/>"


def test_a_workbook_is_read(smalltext, model, tmp_path):
    pytest.importorskip("fastexcel")
    workbook(tmp_path / "new.xlsx", S=[["id", "text"], ["007", "buy pills"], ["8", "lunch tomorrow"]])
    ended = smalltext("predict", model, tmp_path / "new.xlsx")
    assert [line.rsplit(",", 1)[0] for line in ended.out.splitlines()] == [
        "id,text,label",
        "007,buy pills,spam",
        "8,lunch tomorrow,ham",
    ]
    (tmp_path / "new.csv").write_bytes((tmp_path / "new.xlsx").read_bytes())
    assert "rename the workbook to .xlsx" in smalltext("predict", model, tmp_path / "new.csv").err


@pytest.mark.parametrize("column", ["text", "label"])
def test_columns_of_one_name_are_refused_as_in_csv(smalltext, tmp_path, column):
    pytest.importorskip("fastexcel")
    rows = [["text", "label", column], *([*row, "other"] for row in LABELLED[1:])]
    workbook(tmp_path / "data.xlsx", S=rows)
    (tmp_path / "data.csv").write_text("\n".join(map(",".join, rows)))
    for name in ("data.xlsx", "data.csv"):
        ended = smalltext("train", tmp_path / name, "-c", "sklearn", "-o", tmp_path / "m")
        assert ended.code == 2
        assert f"several columns are called '{column}'. Rename all but one of them." in ended.err


def test_a_column_may_be_called_as_a_second_one_would_be(smalltext, model, tmp_path):
    pytest.importorskip("fastexcel")
    workbook(tmp_path / "new.xlsx", S=[["text", "text_1", "id", "id"], ["buy pills", "lunch", "1", "2"]])
    first, second = smalltext("predict", model, tmp_path / "new.xlsx").out.splitlines()
    assert first.split(",")[:2] == ["text", "text_1"]
    assert second.split(",")[0] == "buy pills"


@pytest.mark.parametrize(
    ("header", "written"),
    [
        (["", "text", "id", "id"], ["", "text", "id", "id_2"]),
        (["", "text", "", "", "id"], ["", "text", "_2", "_3", "id"]),
        (["__UNNAMED__1", "text", "id_1"], ["__UNNAMED__1", "text", "id_1"]),
    ],
)
def test_columns_without_a_name_or_of_one_name_are_written_as_from_csv(
    smalltext, model, tmp_path, header, written
):
    pytest.importorskip("fastexcel")
    rows = [header, ["1", "buy pills", "2", "3", "4"][: len(header)]]
    workbook(tmp_path / "new.xlsx", S=rows)
    (tmp_path / "new.csv").write_text("\n".join(map(",".join, rows)))
    read, expected = (smalltext("predict", model, tmp_path / name) for name in ("new.xlsx", "new.csv"))
    assert next(csv.reader(read.out.splitlines()))[: len(written)] == written
    assert read.out == expected.out
    assert ("several columns are called" in read.err) == ("several columns are called" in expected.err)


@pytest.mark.parametrize(
    ("header", "values", "written"),
    [
        (["text", "", ""], ["buy pills", "", "2"], ["text", ""]),
        (["", "text", "id", "id", ""], ["1", "buy pills", "2", "3", ""], ["", "text", "id", "id_2"]),
        (["text", "", "id"], ["buy pills", "", "2"], ["text", "id"]),
    ],
)
def test_columns_without_a_name_and_without_values_are_left_out(
    smalltext, model, tmp_path, header, values, written
):
    pytest.importorskip("fastexcel")
    workbook(tmp_path / "new.xlsx", S=[header, values])
    rows = csv.reader(smalltext("predict", model, tmp_path / "new.xlsx").out.splitlines())
    assert next(rows)[: len(written) + 1] == [*written, "label"]
    assert next(rows)[: len(written)] == [value for value in values if value]


def test_a_missing_column_names_those_of_the_sheet(smalltext, model, tmp_path):
    pytest.importorskip("fastexcel")
    workbook(tmp_path / "new.xlsx", S=[["Week 12", ""], ["id", "text"], ["1", "buy pills"]])
    ended = smalltext("predict", model, tmp_path / "new.xlsx")
    assert "there is no column 'text', only 'Week 12', ''." in ended.err


def test_a_damaged_workbook_is_refused_in_one_line(smalltext, model, tmp_path):
    pytest.importorskip("fastexcel")
    (tmp_path / "new.xlsx").write_bytes(b"PK\x03\x04" + b"x" * 100)
    ended = smalltext("predict", model, tmp_path / "new.xlsx")
    assert ended.code == 2
    assert "this is not valid Excel" in ended.err


def test_a_workbook_without_its_reader_names_it(smalltext, model, tmp_path, monkeypatch):
    monkeypatch.setattr("smalltext_cli.readers.binary.find_spec", lambda name: None)
    workbook(tmp_path / "new.xlsx", S=[["text"], ["buy pills"]])
    ended = smalltext("predict", model, tmp_path / "new.xlsx")
    assert ended.code == 2
    assert "pip install fastexcel" in ended.err


@pytest.fixture
def three_sheets(tmp_path):
    pytest.importorskip("fastexcel")
    path = tmp_path / "mails.xlsx"
    workbook(path, Data=LABELLED, Notes=[["remark"], ["done"]], Old=LABELLED[:5])
    return path


def test_the_first_sheet_is_read_and_the_others_are_named(smalltext, three_sheets, tmp_path):
    ended = smalltext("train", three_sheets, "-c", "sklearn", "-o", tmp_path / "m")
    assert "8 texts in 2 classes" in ended.err
    assert "read the first sheet, 'Data', and left out 'Notes', 'Old'. --sheet reads another one." in ended.err


def test_a_sheet_is_read_by_its_name(smalltext, model, three_sheets):
    ended = smalltext("predict", model, three_sheets, "--sheet", "Old")
    assert "Labelled 4 texts" in ended.err
    assert "left out" not in ended.err


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("old", "there is no sheet 'old', only 'Data', 'Notes', 'Old'"),
        ("Notes", "no column 'text', only 'remark'. This is the sheet 'Notes'; --sheet reads another one: 'Data'"),
    ],
)
def test_a_sheet_that_cannot_be_read_names_the_others(smalltext, three_sheets, sheet, message):
    ended = smalltext("audit", three_sheets, "--sheet", sheet)
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]


def test_an_empty_first_sheet_names_the_others(smalltext, model, tmp_path):
    pytest.importorskip("fastexcel")
    workbook(tmp_path / "new.xlsx", Readme=[], Data=LABELLED)
    ended = smalltext("predict", model, tmp_path / "new.xlsx")
    assert ended.code == 2
    assert "the sheet is empty. This is the sheet 'Readme'; --sheet reads another one: 'Data'" in ended.err


def test_a_sheet_is_for_workbooks(smalltext, model, mails):
    ended = smalltext("evaluate", model, mails, "--sheet", "Data")
    assert ended.code == 2
    assert "--sheet is for Excel workbooks" in ended.err


def test_columns_named_by_dates_and_times_of_day_are_kept(smalltext, model, tmp_path):
    pytest.importorskip("fastexcel")
    header = ["text", date(2024, 1, 31), True, "sent at"]
    rows = [["buy pills", "a", "b", time(9, 30)], ["lunch tomorrow", "c", "d", None]]
    workbook(tmp_path / "new.xlsx", S=[header, *rows])
    ended = smalltext("predict", model, tmp_path / "new.xlsx", "--output-format", "jsonl")
    first, second = map(json.loads, ended.out.splitlines())
    assert list(first) == ["text", "2024-01-31", "True", "sent at", "label", "score"]
    assert list(first.values())[1:4] == ["a", "b", "09:30:00"]
    assert second["sent at"] is None


def test_a_workbook_is_read_as_an_export_like_the_csv_file_that_it_was(smalltext, model, tmp_path):
    """Of a blank row nothing is read, and an empty cell is an empty string."""
    pytest.importorskip("fastexcel")
    rows = [
        ["annotation_id", "annotator", "id", "lead_time", "topic", "text"],
        *(["1", "1", "1", "2", "spam", "buy pills"], ["2", "2", "1", "2", "spam", "buy pills"]),
        *(["3", "1", "2", "2", "ham", ""], [""] * 6, ["4", "1", "3", "2", "", "lunch"]),
    ]
    workbook(tmp_path / "export.xlsx", S=rows)
    data = Reader("text", "topic", file_format="label-studio").read(str(tmp_path / "export.xlsx"))
    assert list(zip(data.texts, data.labels, strict=True)) == [("buy pills", "spam"), ("", "ham")]
    assert data.lines == [2, 4]
    ended = smalltext("predict", model, tmp_path / "export.xlsx", "--format", "label-studio")
    assert ended.out.splitlines()[0] == ",".join([*rows[0], "label", "score"])
    assert len(ended.out.splitlines()) == 4
