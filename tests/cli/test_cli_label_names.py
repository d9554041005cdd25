"""Names of classes in files: one rule, one class for one value, and warnings where names look alike."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import polars as pl
import pytest

import smalltext_core as core
from smalltext_cli.data_checks import unify_spellings
from smalltext_cli.readers import InvalidValueError, MissingLabelError, Reader, parse_label
from smalltext_core.saving import read_manifest

QUICK = ("-c", "sklearn", "--set", "calibration=none")
"""A classifier that is trained once, not once more for each fold of a calibration."""

SIX = ["buy now", "buy pills", "win money", "lunch please", "the report", "a meeting"]


def table(tmp_path, name, labels, texts=SIX, **options):
    path = tmp_path / name
    frame = pl.DataFrame({"text": texts, "label": labels}, **options)
    writers = {
        ".csv": frame.write_csv,
        ".tsv": lambda to: frame.write_csv(to, separator="\t"),
        ".jsonl": frame.write_ndjson,
        ".parquet": frame.write_parquet,
    }
    writers[path.suffix](path)
    return path


def names_in(path):
    return Reader(text_column="text", label_column="label").read(str(path)).labels


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *((" good\u00a0", "good"), ("gru\u0308n", "grün"), ("007", "007"), ("1e5", "1e5"), ("1,000", "1,000")),
        *(("NA", "NA"), ("null", "null"), ("2024-01-31", "2024-01-31"), (1, "1"), (1.0, "1"), (-0.0, "0")),
        *((1.5, "1.5"), (1e22, "10000000000000000000000"), (2**64 - 1, "18446744073709551615"), (True, "true")),
        *((Decimal("1.00"), "1"), (Decimal("1.50"), "1.5"), (dt.date(2024, 1, 31), "2024-01-31")),
    ],
)
def test_a_label_is_a_name_by_the_rule_that_holds_in_python(value, name):
    assert parse_label(value) == name
    if not isinstance(value, dt.date):
        assert core.LabelNames.of([value]).names == (name,)


@pytest.mark.parametrize("value", [None, "", "  ", "\u00a0", float("nan"), Decimal("nan")])
def test_no_label_is_missing(value):
    with pytest.raises(MissingLabelError, match="the label is missing"):
        parse_label(value)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), b"a", "\ud800", dt.time(1), 10**400])
def test_what_is_no_name_is_refused(value):
    with pytest.raises(InvalidValueError, match="the label cannot be a name"):
        parse_label(value)


@pytest.mark.parametrize(
    ("ending", "labels", "said"),
    [
        (
            "jsonl",
            [1.0, 1.0, float("nan"), 2.0, float("nan"), 2.0],
            "line 3: the label is missing (nan), as is 1 more",
        ),
        ("jsonl", [1.0, 1.0, float("-inf"), 2.0, 1.0, 2.0], "line 3: the label cannot be a name"),
        ("parquet", [1.0, 1.0, float("nan"), 2.0, None, 2.0], "row 3: the label is missing (nan), as is 1 more"),
        ("parquet", [1.0, 1.0, 2.0, float("inf"), 1.0, 2.0], "row 4: the label cannot be a name"),
        ("csv", ["a", "", "b", "", " ", "a"], "line 3: the label is missing, as are 2 more"),
    ],
)
def test_missing_and_infinite_labels_are_refused_with_place_and_count(smalltext, tmp_path, ending, labels, said):
    path = table(tmp_path, f"a.{ending}", labels)
    if ending == "jsonl":  # polars writes null for what JSON cannot hold
        rows = zip(SIX, labels, strict=True)
        path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    ended = smalltext("train", path, *QUICK, "-o", tmp_path / "m")
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "m").exists()


WHOLE = [1, 1, 1, 2, 2, 2]
FILES = {
    "ints.jsonl": (WHOLE, {}),
    "floats.jsonl": ([float(one) for one in WHOLE], {}),
    "texts.csv": (["1", "1", "1", "2", "2", "2"], {}),
    "floats.csv": ([float(one) for one in WHOLE], {}),
    "floats.tsv": ([float(one) for one in WHOLE], {}),
    "ints.parquet": (WHOLE, {"schema_overrides": {"label": pl.UInt64}}),
    "small.parquet": (WHOLE, {"schema_overrides": {"label": pl.Int8}}),
    "floats.parquet": ([float(one) for one in WHOLE], {"schema_overrides": {"label": pl.Float32}}),
    "decimals.parquet": ([Decimal(one) for one in WHOLE], {"schema_overrides": {"label": pl.Decimal(10, 2)}}),
    "categories.parquet": (list(map(str, WHOLE)), {"schema_overrides": {"label": pl.Categorical}}),
}


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """The same labels in files of all kinds, and a model for each of two."""
    folder = tmp_path_factory.mktemp("numbers")
    return folder, {name: table(folder, name, labels, **options) for name, (labels, options) in FILES.items()}


def evaluated(smalltext, model, path):
    ended = smalltext("evaluate", model, path, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)["accuracy"]


@pytest.mark.parametrize("trained", ["texts.csv", "floats.csv", "ints.jsonl", "floats.parquet"])
def test_a_number_is_one_class_in_every_format(smalltext, numbered, trained, pytestconfig):
    """By default one model reads all files, and the others one of each of the names that polars writes."""
    folder, paths = numbered
    model = folder / f"model-{trained}"
    assert smalltext("train", paths[trained], *QUICK, "-o", model, "--held-out", 0).code == 0
    every = trained == "texts.csv" or pytestconfig.getoption("nightly")
    for path in paths.values() if every else [paths["texts.csv"], paths["floats.csv"]]:
        assert evaluated(smalltext, model, path) == 1.0


@pytest.mark.parametrize("validation", ["floats.csv", "ints.jsonl", "floats.parquet"])
def test_a_number_is_one_class_in_training_and_validation(smalltext, numbered, tmp_path, validation):
    _, paths = numbered
    ended = smalltext(
        *("train", paths["texts.csv"], *QUICK, "-o", tmp_path / "m"),
        *("--validation", paths[validation], "--json"),
    )
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["scores"]["accuracy"] == 1.0
    assert read_manifest(tmp_path / "m").label_names == ("1", "2")


def test_two_spellings_of_one_number_in_a_file_are_one_class_with_a_message(smalltext, tmp_path):
    path = table(tmp_path, "a.csv", ["1", "1", "1.0", "2", "2.0", "2.0"])
    ended = smalltext("train", path, *QUICK, "-o", tmp_path / "m", "--json")
    assert json.loads(ended.out)["data"]["classes"] == {"1": 3, "2": 3}
    assert "1 label '1.0' read as '1'" in ended.err
    assert "2 labels '2.0' read as '2'" in ended.err


def test_numbers_that_are_not_the_same_text_for_a_reason_stay_apart():
    labels = ["7", "007", "1.1", "1.10", "1e5", "100000", "1,000", "1000", "+1", "1.5", "1.50"]
    assert unify_spellings(labels, "a.csv") == (labels, [])
    assert unify_spellings([("1", "1.0"), ("true", "True")], "a.csv")[0] == [("1",), ("true",)]
    assert unify_spellings(["1", "2"], "a.csv", ["1.0", "2"])[0] == ["1.0", "2"]


def test_booleans_are_one_class_in_every_format(smalltext, tmp_path):
    truth = [True, True, True, False, False, False]
    model = tmp_path / "m"
    assert smalltext("train", table(tmp_path, "a.jsonl", truth), *QUICK, "-o", model, "--held-out", 0).code == 0
    assert read_manifest(model).label_names == ("false", "true")
    for name, labels in {"b.parquet": truth, "c.csv": truth, "pandas.csv": list(map(str, truth))}.items():
        ended = smalltext("evaluate", model, table(tmp_path, name, labels), "--json")
        assert json.loads(ended.out)["accuracy"] == 1.0
    assert "3 labels 'True' read as 'true'" in ended.err


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_white_space_and_decomposed_letters_make_no_other_class(smalltext, tmp_path, ending):
    path = table(tmp_path, f"a.{ending}", ["grün", "gru\u0308n ", "\u00a0grün", "rot", " rot", "rot\u2003"])
    model = tmp_path / "m"
    assert smalltext("train", path, *QUICK, "-o", model, "--held-out", 0).code == 0
    assert read_manifest(model).label_names == ("grün", "rot")
    assert json.loads(smalltext("evaluate", model, path, "--json").out)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("one", "other", "shown"),
    [
        ("Spam", "spam", ["'Spam' (1 text) and 'spam' (2 texts) differ only in case"]),
        ("no spam", "no\u00a0spam", ["'no spam'", "'no\\xa0spam'", "look alike"]),
        ("spam", "sp\u200bam", ["'spam'", "'sp\\u200bam'", "look alike"]),
        ("no spam", "no\tspam", ["'no spam'", "'no\\tspam'", "look alike"]),
        ("spam", "sp\u0430m", ["'spam'", "'sp\\u0430m'", "look alike"]),
    ],
)
def test_names_that_look_alike_get_a_warning_that_shows_what_differs(smalltext, tmp_path, one, other, shown):
    path = table(tmp_path, "a.jsonl", [one, other, other, "ham", "ham", "ham"])
    model = tmp_path / "m"
    for arguments in (("train", path, *QUICK, "-o", model), ("evaluate", model, path)):
        ended = smalltext(*arguments)
        assert ended.code == 0
        warning = next(
            line for line in ended.err.splitlines() if line.startswith("Warning: ") and "classes." in line
        )
        assert all(part in warning for part in shown)
        assert "(1 text)" in warning


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_an_unknown_name_that_looks_like_a_known_one_is_shown_with_what_differs(smalltext, tmp_path, command):
    path = table(tmp_path, "a.jsonl", ["no spam"] * 3 + ["ham"] * 3)
    other = table(tmp_path, "b.jsonl", ["no\u00a0spam"] * 3 + ["ham"] * 3)
    model = tmp_path / "m"
    if command == "evaluate":
        smalltext("train", path, *QUICK, "-o", model, "--held-out", 0)
        ended = smalltext("evaluate", model, other)
    else:
        ended = smalltext("train", path, *QUICK, "-o", model, "--validation", other)
    assert ended.code == 2
    assert "'no\\xa0spam' looks like 'no spam', but is a different name" in ended.err


def test_a_class_with_one_text_is_reported_as_unscorable(smalltext, tmp_path):
    path = table(
        tmp_path, "a.csv", ["ham"] * 10 + ["spam"] * 10 + ["odd"], texts=[f"text {row}" for row in range(21)]
    )
    ended = smalltext("train", path, *QUICK, "-o", tmp_path / "m")
    assert "classes with one text cannot be scored, since it is needed for training: 'odd'" in ended.err


def test_a_class_missing_in_the_scored_texts_is_reported(smalltext, tmp_path):
    path = table(tmp_path, "a.csv", ["ham"] * 3 + ["spam"] * 3)
    other = table(tmp_path, "b.csv", ["ham"] * 6)
    said = "classes that are not scored, since no text to score on has them: 'spam'"
    ended = smalltext("train", path, *QUICK, "-o", tmp_path / "m", "--validation", other)
    assert said in " ".join(ended.err.split())
    assert said in " ".join(smalltext("evaluate", tmp_path / "m", other).err.split())


def test_names_that_may_mean_a_missing_label_or_several_are_reported(smalltext, tmp_path):
    path = table(tmp_path, "a.csv", ["nan", '["a", "b"]', '["a"]', "a", "a", "a"])
    ended = smalltext("train", path, *QUICK, "-o", tmp_path / "m")
    assert "a class is called 'nan' (1 text)" in ended.err
    assert '2 texts with a list for a label, such as \'["a"' in ended.err
    assert "pass --multi-label" in ended.err


def test_labels_with_the_separator_are_reported_unless_texts_may_have_several(smalltext, tmp_path):
    path = table(tmp_path, "a.csv", ["ham", "ham|urgent", "spam", "spam| urgent", "ham", "spam"])
    said = "2 texts with a label that contains '|', such as 'ham|urgent'. If several classes may apply"
    ended = smalltext("train", path, *QUICK, "-o", tmp_path / "m")
    assert said in " ".join(ended.err.split())
    audit = ("audit", path, "--no-times", "--no-wrong-labels", "--json")
    assert said in smalltext(*audit).out
    for separator in ("|", ";"):
        options = ("--multi-label", "--separator", separator)
        assert "several classes" not in smalltext("train", path, *QUICK, *options, "-o", tmp_path / "n").err
        assert "several classes" not in smalltext(*audit, *options).out


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_separator_without_several_labels_is_refused(smalltext, mails, model, tmp_path, command):
    start = ("train", mails, *QUICK, "-o", tmp_path / "m") if command == "train" else ("evaluate", model, mails)
    ended = smalltext(*start, "--separator", ";")
    assert ended.code == 2
    assert "--separator is for" in ended.err


def test_an_empty_separator_is_refused(smalltext, tagged, tmp_path):
    ended = smalltext("train", tagged, *QUICK, "-o", tmp_path / "m", "--multi-label", "--separator", "")
    assert ended.code == 2
    assert "--separator: it is empty" in ended.err


def test_tables_and_report_show_what_names_differ_in(smalltext, tmp_path):
    path = table(tmp_path, "a.jsonl", ["no spam"] * 3 + ["no\u00a0spam"] * 2 + ["no\nspam"])
    model, report = tmp_path / "m", tmp_path / "report.html"
    ended = smalltext("train", path, *QUICK, "-o", model, "--held-out", 0)
    assert all(name in ended.err for name in ("no spam", "no\\xa0spam", "no\\nspam"))
    ended = smalltext("evaluate", model, path, "--report", report)
    page = report.read_text("utf-8")
    for name in ("no spam", "no\\xa0spam", "no\\nspam"):
        assert name in ended.out
        assert name in page
