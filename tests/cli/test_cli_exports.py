"""Exports of annotation tools: what is read from each, and what is said about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalltext_cli.console import InputFileError, UsageError
from smalltext_cli.readers import Reader
from smalltext_cli.readers.exports import decide
from smalltext_cli.readers.files import EXPORTS as EXPORT_NAMES
from smalltext_cli.training_run import TrainingRun
from smalltext_core.errors import SmallTextError
from smalltext_sklearn import SklearnClassifier

EXPORTS = Path(__file__).with_name("exports")
TEXTS = [
    "Refund has not arrived, and I was charged twice",
    "The app crashes on start",
    "Love the new design",
    "Invoice shows the wrong amount",
    "Search finds nothing since the update",
]
TOPICS = ["billing", "bug", "praise", "billing", "bug"]
TAGS = [("billing", "urgent"), ("bug", "urgent"), (), ("billing",), ("bug",)]

ANNOTATED = [2 / 3, 1, 1, 1 / 2, 1]
"""What three annotators agree on; on the fourth text they are tied."""

SINGLE = [
    ("label_studio.json", "label", ANNOTATED, "1 cancelled annotation, 1 text without a label"),
    ("label_studio_min.json", "topic", ANNOTATED, "1 annotation without a choice"),
    ("label_studio.csv", "topic", ANNOTATED, "1 annotation without a choice"),
    ("argilla.json", "label", ANNOTATED, "1 text without a label"),
    ("argilla_flat.jsonl", "label", ANNOTATED, "1 discarded response"),
    ("argilla.csv", "label", ANNOTATED, "1 discarded response"),
    ("argilla_1.jsonl", "label", ANNOTATED, "1 discarded response"),
    ("argilla_annotation.jsonl", "label", None, "1 discarded response"),
    ("doccano.jsonl", "label", None, "1 text without a label"),
    ("doccano.csv", "label", None, "1 text without a label"),
    ("prodigy.jsonl", "label", ANNOTATED, "1 ignored answer, 1 rejected answer"),
    ("spacy.jsonl", "label", None, "1 text without a label"),
    ("fasttext.txt", "label", None, "1 text without a label"),
]


def read(name, label="label", **options):
    return Reader("text", label, **options).read(str(EXPORTS / name))


def labelled(data):
    return dict(zip(data.texts, data.labels, strict=True))


@pytest.mark.parametrize(("name", "label", "weights", "left_out"), SINGLE)
def test_one_label_a_text(name, label, weights, left_out):
    data = read(name, label)
    assert data.texts == TEXTS
    assert data.labels == TOPICS
    assert data.weights == weights
    (note,) = data.notes
    assert "read as an export of" in note
    assert "5 texts" in note
    assert note.endswith(f"left out: {left_out}.")
    assert "\n" not in note


@pytest.mark.parametrize(
    ("name", "weights", "with_none"),
    [
        ("label_studio_multi.json", [5 / 6, 1, 1, 1 / 2, 1], True),
        ("label_studio_multi.csv", [5 / 6, 1, 1 / 2, 1], False),
        ("argilla_flat_multi.json", [5 / 6, 1, 1, 1 / 2, 1], True),
        ("argilla_multi.csv", [5 / 6, 1, 1, 1 / 2, 1], True),
        ("doccano_multi.jsonl", None, False),
        ("doccano_multi.csv", None, False),
        ("prodigy_multi.jsonl", [5 / 6, 1, 1, 1 / 2, 1], True),
        ("prodigy_binary.jsonl", None, False),
        ("spacy_multi.jsonl", None, True),
        ("fasttext_multi.train", None, False),
    ],
)
def test_several_labels_a_text(name, weights, with_none):
    data = read(name, multi_label=True)
    wanted = {text: tags for text, tags in zip(TEXTS, TAGS, strict=True) if tags or with_none}
    assert {text: tuple(sorted(tags)) for text, tags in labelled(data).items()} == wanted
    assert data.weights == (None if weights is None else pytest.approx(weights))


@pytest.mark.parametrize("name", ["label_studio_multi.json", "argilla_multi.csv", "prodigy_multi.jsonl"])
def test_several_labels_need_the_option(name):
    with pytest.raises(InputFileError, match=r"the text has 2 labels, 'billing', 'urgent'. .*--multi-label"):
        read(name)


def test_ties_go_to_the_label_that_was_given_first_and_are_counted():
    (note,) = read("label_studio.json").notes
    assert "2 with several annotations" in note
    assert "1 of them tied: the label that was given first" in note
    assert decide([("b",), ("a",)], multi_label=False).label == "b"


def test_spellings_of_a_name_are_one_vote():
    assert decide([("1",), (1.0,), ("2",)], multi_label=False).label == "1"


def test_the_only_question_is_the_label_and_is_named():
    (note,) = read("label_studio.json").notes
    assert "labels from 'topic'" in note


def test_of_several_columns_the_label_has_to_be_named():
    with pytest.raises(InputFileError, match=r"'channel', 'topic'.*--label-column"):
        read("label_studio.csv")


def test_the_only_field_is_the_text(tmp_path):
    tasks = json.loads((EXPORTS / "label_studio.json").read_text(encoding="utf-8"))
    for task in tasks:
        task["data"] = {"mail": task["data"]["text"]}
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    data = Reader("text", "label").read(str(path))
    assert data.texts == TEXTS
    assert "texts from 'mail'" in data.notes[0]


@pytest.mark.parametrize("name", ["label_studio.json", "argilla.json", "fasttext.txt"])
def test_texts_alone_include_those_without_a_label(name):
    rows = list(Reader("text").rows(str(EXPORTS / name)))
    assert {*TEXTS, "Not a ticket"} <= {row.text for row in rows}


def test_texts_without_a_label_are_kept_if_wanted():
    unlabelled = 0
    for name, label, _, left_out in SINGLE:
        rows = list(Reader("text", label, unlabelled="keep").rows(str(EXPORTS / name)))
        assert [row.label for row in rows if row.label is not None] == TOPICS, name
        missing = len(rows) - len(TOPICS)
        assert missing == ("1 text without a label" in left_out), name
        unlabelled += missing
    assert unlabelled == 6


def test_the_audit_counts_the_texts_of_an_export_without_a_label(smalltext):
    ended = smalltext("audit", EXPORTS / "doccano.jsonl", "--json", "--no-times", "--no-wrong-labels")
    document = json.loads(ended.out)
    assert document["texts"] == 6
    (missing,) = [one for one in document["findings"] if one["check"] == "missing_labels"]
    assert missing["count"] == 1
    assert "left out" not in ended.err


@pytest.mark.parametrize(
    ("name", "file_format"),
    [
        ("label_studio.json", "label-studio"),
        ("argilla.csv", "argilla"),
        ("doccano.jsonl", "doccano"),
        ("prodigy.jsonl", "prodigy"),
        ("spacy.jsonl", "spacy"),
        ("fasttext.txt", "fasttext"),
    ],
)
def test_a_format_can_be_forced_for_any_file_extension(tmp_path, name, file_format):
    path = tmp_path / "export"
    shutil.copy(EXPORTS / name, path)
    data = Reader("text", "label", file_format=file_format).read(str(path))
    assert data.labels == TOPICS


@pytest.mark.parametrize("name", EXPORT_NAMES)
def test_a_forced_format_that_a_file_does_not_have(tmp_path, name):
    path = tmp_path / "plain.csv"
    path.write_text("number,column\n1,2\n", encoding="utf-8")
    with pytest.raises(InputFileError, match=r"plain\.csv"):
        Reader("text", "label", file_format=name).read(str(path))


def test_a_table_can_be_forced():
    rows = list(Reader("text", "channel", file_format="csv").rows(str(EXPORTS / "label_studio.csv")))
    assert len(rows) == 9, "one for each annotation"
    assert {row.weight for row in rows} == {None}


def test_weights_come_from_the_annotators():
    with pytest.raises(UsageError, match="--weight-column"):
        Reader("text", "label", "lead_time").read(str(EXPORTS / "label_studio.json"))


def test_an_export_without_any_label_says_why(tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text(
        '{"text": "a", "label": "x", "_input_hash": 1, "answer": "reject"}\n'
        '{"text": "b", "label": "x", "_input_hash": 2, "answer": "ignore"}\n',
        encoding="utf-8",
    )
    with pytest.raises(InputFileError, match=r"no text .* has a label \(left out: 1 rejected answer, 1 ignored"):
        Reader("text", "label").read(str(path))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('{"choices": ["a", "b"]}', "--format label-studio"),
        ("[{'user_id': 'u', 'value': 'spam', 'status': 'submitted'}]", "--format argilla"),
        ("['spam' 'ham']", "--format argilla"),
    ],
)
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_cell_of_a_tool_in_a_plain_table_names_the_tool_and_the_way_out(tmp_path, cell, said, multi_label):
    quoted = cell.replace('"', '""')
    path = tmp_path / "plain.csv"
    path.write_text(f'text,label\nsome,"{quoted}"\n', encoding="utf-8")
    with pytest.raises(InputFileError, match=said) as refused:
        Reader("text", "label", multi_label=multi_label).read(str(path))
    assert "line 2" in str(refused.value)
    forced = Reader("text", "label", multi_label=True, file_format=said.split()[-1]).read(str(path))
    assert forced.texts == ["some"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
SAMPLES = [
    json.loads((EXPORTS / "label_studio.json").read_text(encoding="utf-8"))[0],
    json.loads((EXPORTS / "argilla.json").read_text(encoding="utf-8"))[0],
    *(
        json.loads((EXPORTS / name).read_text(encoding="utf-8").splitlines()[0])
        for name in ("argilla_flat.jsonl", "argilla_1.jsonl", "argilla_annotation.jsonl")
    ),
    *(
        json.loads((EXPORTS / name).read_text(encoding="utf-8").splitlines()[0])
        for name in ("doccano.jsonl", "prodigy.jsonl", "prodigy_binary.jsonl", "spacy.jsonl")
    ),
]


def places(value, path=()):
    """Yield the path of each value in nested JSON."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@given(data=st.data(), new=json_values, multi_label=st.booleans(), force=st.sampled_from([None, *EXPORT_NAMES]))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_malformed_export_is_read_or_refused_in_one_line(tmp_path, data, new, multi_label, force):
    sample = data.draw(st.sampled_from(SAMPLES))
    path = data.draw(st.sampled_from(list(places(sample))[1:]))
    file = tmp_path / "export.json"
    file.write_text(json.dumps([sample, replaced(sample, path, new)]), encoding="utf-8")
    try:
        Reader("text", "label", multi_label=multi_label, file_format=force).read(str(file))
    except SmallTextError as refused:
        assert "\n" not in str(refused)  # noqa: PT017
        assert "export.json" in str(refused)  # noqa: PT017


@given(cut=st.integers(0, 600), name=st.sampled_from([one[0] for one in SINGLE]))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_export_that_is_cut_short_is_read_or_refused_in_one_line(tmp_path, cut, name):
    file = tmp_path / name
    file.write_bytes((EXPORTS / name).read_bytes()[:cut])
    try:
        Reader("text", "topic").read(str(file))
    except SmallTextError as refused:
        assert "\n" not in str(refused)  # noqa: PT017


@pytest.fixture
def fitted(monkeypatch):
    """Return the texts and weights that each `fit` gets, as a list that grows."""
    calls, fit = [], SklearnClassifier.fit

    def recorded(self, train_set, weights=None):
        calls.append((train_set.x, weights))
        return fit(self, train_set, weights=weights)

    monkeypatch.setattr(SklearnClassifier, "fit", recorded)
    return calls


@pytest.fixture
def run(tmp_path):
    data = str(EXPORTS / "label_studio.json")
    return TrainingRun("sklearn", data, Reader("text", "label"), output=tmp_path / "model", held_out=0)


def test_training_uses_the_weights(run, fitted):
    run.run()
    assert fitted == [(TEXTS, ANNOTATED)]


def test_a_classifier_without_weights_is_trained_without_them(run, fitted, capsys):
    run._takes_weights = False
    run.run()
    assert fitted == [(TEXTS, None)]
    assert "sklearn takes no weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("label_studio.json", {"id": 1, "text": TEXTS[0], "channel": "mail"}),
        ("argilla.json", {"id": "rec-1", "text": TEXTS[0], "channel": "mail"}),
        ("fasttext.txt", {"text": TEXTS[0]}),
        ("doccano.jsonl", {"id": 1, "text": TEXTS[0], "label": ["billing"], "Comments": []}),
    ],
)
def test_predictions_keep_ids_and_fields(name, columns):
    rows = Reader("text", keep_columns=True).rows(str(EXPORTS / name))
    assert next(rows).columns == columns


TOOLS = {
    name: {"label": "label-studio"}.get(tool := name.partition(".")[0].partition("_")[0], tool)
    for name, *_ in SINGLE
    if name != "fasttext.txt"
}


def as_parquet(name, folder):
    content = (EXPORTS / name).read_text()
    if name.endswith(".csv"):
        table = pl.read_csv(EXPORTS / name)
    else:
        objects = [content] if name.endswith(".json") else content.splitlines()
        records = [json.loads(one, object_hook=without_empty_objects) for one in objects]
        table = pl.DataFrame(records[0] if name.endswith(".json") else records, infer_schema_length=None)
    table.write_parquet(folder / "export.parquet")
    return table


def without_empty_objects(given):
    """Return an object without those of its values that Parquet has no type for."""
    return {key: value for key, value in given.items() if value != {}}


@pytest.mark.parametrize(("name", "label"), [(name, label) for name, label, *_ in SINGLE if name in TOOLS])
def test_an_export_saved_as_parquet_is_read_like_the_original(name, label, tmp_path):
    as_parquet(name, tmp_path)
    saved = Reader("text", label, file_format=TOOLS[name]).read(str(tmp_path / "export.parquet"))
    given = read(name, label)
    assert (saved.texts, saved.labels, saved.weights) == (given.texts, given.labels, given.weights)


@pytest.mark.parametrize("name", TOOLS)
def test_predictions_of_a_table_read_as_an_export_keep_its_columns(name, smalltext, model, tmp_path):
    table = as_parquet(name, tmp_path)
    output = tmp_path / "predicted.parquet"
    ended = smalltext("predict", model, tmp_path / "export.parquet", "--format", TOOLS[name], "--output", output)
    assert not ended.code, ended.err
    found = pl.read_parquet(output)
    assert found.columns[: table.width] == table.columns
    rows = found[:, : table.width].rows()
    assert len(rows) >= len(TEXTS)
    assert all(row in table.rows() for row in rows)


def test_predictions_of_a_csv_export_keep_columns_that_its_reader_leaves_out(smalltext, model, tmp_path):
    header = "text,inputs,prediction,annotation,status"
    (tmp_path / "export.csv").write_text(f"{header}\nwin money,{{'text': 'win money'}},,spam,Validated\n")
    ended = smalltext("predict", model, tmp_path / "export.csv", "--format", "argilla")
    assert ended.out.splitlines()[0] == f"{header},label,score"


def test_tsv_of_label_studio_is_in_double_quotes_where_needed(smalltext, model, tmp_path):
    """Label Studio writes TSV with pandas, which puts fields in double quotes although the header has none."""
    columns = ["text", "id", "topic", "annotator", "annotation_id", "lead_time"]
    choices = '{"choices": ["billing", "urgent"]}'
    rows = [['They said "no\tmoney"', 1, choices, 1, 1, 2.5], ["Love it", 2, "praise", 1, 2, 1.0]]
    path = tmp_path / "export.tsv"
    pl.DataFrame(rows, columns, orient="row", strict=False).write_csv(path, separator="\t")
    assert not path.read_text().startswith('"')
    data = Reader("text", "topic", multi_label=True).read(str(path))
    assert data.texts == ['They said "no\tmoney"', "Love it"]
    assert data.labels == [("billing", "urgent"), ("praise",)]
    assert [row.text for row in Reader("text").rows(str(path))] == data.texts
    plain = Reader("text", "topic", quoting="none")
    with pytest.raises(InputFileError, match="where the header has 6"):
        plain.read(str(path))
