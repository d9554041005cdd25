"""What one command writes, the others read: any text and any name, in every format."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import smalltext_core
from smalltext_cli.evaluation import Model, evaluate_model
from smalltext_cli.predictions import Predictor
from smalltext_cli.readers import Reader
from smalltext_cli.writers import table_writer
from smalltext_core import LabelNames
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import class_name

FORMATS = ["csv", "tsv", "jsonl", "parquet"]
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NASTY = [
    *(
        "\0",
        "a\0b",
        "\r",
        "a\rb",
        "\r\n",
        "a\r\nb\r",
        "\n",
        "a\nb",
        "\n\n",
        '"',
        'so "so"',
        '"in quotes"',
        '"open',
    ),
    *(
        "a\tb",
        "\t",
        ",",
        ";",
        "a,b;c",
        "|",
        "a|b",
        "\ufeff",
        "\ufeffa",
        "a\ufeff",
        " a ",
        "\u00a0",
        "\u2028",
        "\x85",
    ),
    *(
        "",
        " ",
        "\x0b\x0c",
        "\x1a",
        "\x1b[31m",
        "\\",
        "\\n",
        "\\t",
        "#",
        "# a",
        "'",
        "[]",
        '["a"]',
        "{}",
        '{"a": 1}',
    ),
    *("null", "NA", "NaN", "None", "true", "1", "1.0", "007", "1e5", "-", "=1+1", "grüße 今天 🙂", "e\u0301"),
    *("PAR1", "text", "label", "x" * 200_000, "\x7f", "\U0010ffff", "text,label", "text\tlabel"),
]

characters = st.characters(exclude_categories=["Cs"])
texts = (
    st.sampled_from(NASTY)
    | st.text(characters, max_size=12)
    | st.text(st.sampled_from('\0\r\n\t", ;|a'), max_size=8)
)


def named(text):
    try:
        return class_name(text)
    except InvalidInputError:
        return "other"


names_of_classes = st.lists(texts.map(lambda text: named(text[:40])), min_size=1, max_size=4, unique=True)


class Scripted:
    """Gives the labels that it is made with."""

    def __init__(self, labels, num_classes):
        self._labels, self._num_classes = labels, num_classes

    def predict_proba(self, data_set):
        proba = np.full((len(data_set), self._num_classes), 0.1, dtype=np.float32)
        for row, label in enumerate(self._labels):
            proba[row, label] = 0.9
        return proba

    def predict(self, data_set, return_proba=False):
        proba = self.predict_proba(data_set)
        multi_label = any(isinstance(label, list) for label in self._labels)
        labels = (
            smalltext_core.list_to_csr(self._labels, self._num_classes) if multi_label else np.array(self._labels)
        )
        return (labels, proba) if return_proba else labels


def predicted(path, texts, model, *, proba=True, top=2):
    """Write what `smalltext predict` writes, in two chunks."""
    file_format = path.suffix[1:]
    predictions = Predictor(model, proba=proba, top=0 if proba else top).table(texts)
    whole = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).hstack(predictions)
    with table_writer(str(path), file_format) as write:
        write(whole[: len(texts) // 2])
        write(whole[len(texts) // 2 :])


def scripted(labels, names, *, multi_label):
    manifest = SimpleNamespace(names=names)
    return Model(Scripted(labels, len(names)), names, multi_label, manifest)


@given(data=st.data(), ending=st.sampled_from(FORMATS))
@BOUNDED
def test_what_predict_writes_is_read_unchanged(tmp_path, data, ending):
    names = LabelNames(tuple(data.draw(names_of_classes)))
    rows_of = st.lists(st.tuples(texts, st.integers(0, len(names) - 1)), min_size=1, max_size=6)
    table = data.draw(rows_of)
    given_texts = [text for text, _ in table]
    model = scripted([label for _, label in table], names, multi_label=False)
    path = tmp_path / f"out.{ending}"
    predicted(path, given_texts, model)
    found = Reader(text_column="text", label_column="label").read(str(path))
    assert found.texts == given_texts
    assert found.labels == [names.names[label] for _, label in table]
    assert [row.text for row in Reader(text_column="text").rows(str(path))] == given_texts
    labelled = list(Reader(text_column="text", label_column="label").rows(str(path)))
    assert evaluate_model(model, labelled, str(path)).scores.accuracy == 1


@given(data=st.data(), ending=st.sampled_from(FORMATS))
@BOUNDED
def test_several_labels_are_read_as_they_were(tmp_path, data, ending):
    names = LabelNames(tuple(data.draw(names_of_classes)))
    several = st.lists(st.integers(0, len(names) - 1), max_size=3, unique=True).map(sorted)
    table = data.draw(st.lists(st.tuples(texts, several), min_size=1, max_size=6))
    given_texts = [text for text, _ in table]
    path = tmp_path / f"out.{ending}"
    predicted(path, given_texts, scripted([label for _, label in table], names, multi_label=True))
    found = Reader(text_column="text", label_column="label", multi_label=True).read(str(path))
    assert found.texts == given_texts
    assert found.labels == [tuple(names.names[one] for one in label) for _, label in table]


@pytest.mark.parametrize("ending", FORMATS)
def test_the_commands_read_one_another_in_every_format(smalltext, model, tmp_path, ending):
    source, output, again = tmp_path / "in.jsonl", tmp_path / f"out.{ending}", tmp_path / f"again.{ending}"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in NASTY))
    assert smalltext("predict", model, source, "-o", output, "--proba").code == 0
    assert smalltext("predict", model, output, "-o", again, "--proba").code == 0
    first, second = (
        [row.columns for row in Reader("text", keep_columns=True).rows(str(path))] for path in (output, again)
    )
    assert [{name: row[name] for name in columns} for row, columns in zip(second, first, strict=True)] == [
        dict(row) for row in first
    ]
    assert [row["predicted_label"] for row in second] == [row["label"] for row in first]
    ended = smalltext("evaluate", model, output, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["accuracy"] == 1
    assert json.loads(ended.out)["texts"] == len(NASTY)
    found = Reader(text_column="text", label_column="label").read(str(output))
    assert found.texts == NASTY
    if len(set(found.labels)) > 1:
        ended = smalltext("train", output, "-c", "sklearn", "-o", tmp_path / "m", "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["data"]["texts"] == len(NASTY)


def test_tsv_says_in_its_header_that_fields_are_quoted_and_other_tools_read_it_too(smalltext, model, tmp_path):
    plain, quoted = tmp_path / "plain.csv", tmp_path / "quoted.csv"
    pl.DataFrame({"text": ["buy pills", "it's lunch"]}).write_csv(plain)
    pl.DataFrame({"text": ["buy\tpills", 'so "so"', "zwei\nZeilen", ""]}).write_csv(quoted)
    for data in (plain, quoted):
        assert smalltext("predict", model, data, "-o", data.with_suffix(".tsv")).code == 0
        read = pl.read_csv(data.with_suffix(".tsv"), separator="\t")
        assert read["text"].to_list() == pl.read_csv(data)["text"].to_list()
    assert plain.with_suffix(".tsv").read_bytes().startswith(b"text\tlabel\tscore\nbuy pills\tspam\t")
    assert quoted.with_suffix(".tsv").read_bytes().startswith(b'"text"\t"label"\t"score"\n"buy\tpills"\t')


def test_the_csv_with_a_nul_that_the_command_wrote_is_read(smalltext, model, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "buy\\u0000pills"}\n')
    assert smalltext("predict", model, source, "-o", tmp_path / "out.csv").code == 0
    assert b"\0" in (tmp_path / "out.csv").read_bytes()
    assert json.loads(smalltext("evaluate", model, tmp_path / "out.csv", "--json").out)["texts"] == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_other_encodings_are_refused(smalltext, model, tmp_path, encoding, ending):
    data = tmp_path / f"a.{ending}"
    content = '{"text": "buy"}\n' if ending == "jsonl" else "text\nbuy\n"
    data.write_bytes(content.encode(encoding))
    ended = smalltext("predict", model, data, "-o", tmp_path / "out.csv")
    assert ended.code == 2
    assert "UTF-16" in ended.err or "UTF-32" in ended.err
