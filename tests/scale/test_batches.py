"""A scored batch has the same type as the input and two more columns, and is otherwise unchanged."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import smalltext_core as st
from smalltext_core.errors import InvalidInputError
from smalltext_scale import BatchScorer

TEXTS = ["a dull film", "", "good", "a film \U0001f642", "fine acting"]

KINDS = {
    "lists": dict,
    "ordered": OrderedDict,
    "arrays": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "object arrays": lambda columns: {name: np.array(values, dtype=object) for name, values in columns.items()},
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "table": pa.table,
    "record batch": pa.RecordBatch.from_pydict,
}


def columns(batch):
    """Return the columns of a batch as lists."""
    if isinstance(batch, pl.DataFrame):
        return batch.to_dict(as_series=False)
    if isinstance(batch, (pa.Table, pa.RecordBatch)):
        return batch.to_pydict()
    if isinstance(batch, pd.DataFrame):
        return batch.to_dict("list")
    return {name: list(values) for name, values in batch.items()}


def expected(folder):
    """Return labels and probabilities, predicted without a scorer."""
    classifier = st.load(folder)
    return classifier.predict(st.TextDataset(TEXTS), return_proba=True)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_probabilities_are_those_of_the_classifier(kind, model):
    batch = KINDS[kind]({"id": list(range(5)), "text": TEXTS, "of": list("abcde")})
    scored = BatchScorer(model, proba=True)(batch)
    assert type(scored) is type(batch)
    found = columns(scored)
    assert list(found) == ["id", "text", "of", "label", "score", "proba_bad", "proba_good"]
    labels, proba = expected(model)
    assert found["label"] == [("bad", "good")[number] for number in labels]
    assert found["score"] == proba.max(axis=1).tolist()
    assert [found["proba_bad"], found["proba_good"]] == proba.T.tolist()
    assert columns(batch) == {name: found[name] for name in ("id", "text", "of")}


@pytest.mark.parametrize("kind", KINDS)
def test_several_labels_a_text_are_lists(kind, multi_label_model):
    found = columns(BatchScorer(multi_label_model)(KINDS[kind]({"text": TEXTS})))
    labels, proba = expected(multi_label_model)
    rows = st.csr_to_list(labels)
    assert [list(names) for names in found["label"]] == [[("bad", "good", "long")[k] for k in row] for row in rows]
    assert [list(scores) for scores in found["score"]] == [
        row[ks].tolist() for ks, row in zip(rows, proba, strict=True)
    ]
    assert any(rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
def test_an_empty_batch_gets_the_same_columns(kind, several, model, multi_label_model):
    scorer = BatchScorer(multi_label_model if several else model, proba=True)
    full, empty = (KINDS[kind]({"text": texts}) for texts in (TEXTS, []))
    if kind in ("pandas", "polars", "table", "record batch"):
        empty = full[:0] if kind in ("pandas", "polars") else full.slice(0, 0)
    scored, none = scorer(full), scorer(empty)
    assert type(none) is type(empty)
    assert list(columns(none)) == list(columns(scored))
    assert not any(len(values) for values in columns(none).values())
    if kind == "pandas":
        assert none.dtypes.to_dict() == scored.dtypes.to_dict()
    elif hasattr(scored, "schema"):
        assert none.schema == scored.schema


def test_arrays_have_strings_and_single_precision(model):
    scored = BatchScorer(model)({"text": np.array(TEXTS, dtype=object)})
    assert scored["label"].dtype.kind == "U"
    assert scored["score"].dtype == np.float32


def test_a_pandas_frame_keeps_its_index_and_types(model):
    frame = pd.DataFrame(
        {
            "text": pd.Series(TEXTS, dtype="category"),
            "kind": pd.Categorical(list("abcab")),
            "count": pd.array([1, None, 3, 4, 5], dtype="Int64"),
        }
    )
    frame.index = pd.MultiIndex.from_product([["x"], [9, 7, 7, 1, 0]])
    frame.attrs["source"] = "a test"
    scored = BatchScorer(model)(frame)
    pd.testing.assert_frame_equal(scored[["text", "kind", "count"]], frame)
    assert scored.index.equals(frame.index)
    assert scored["score"].dtype == np.float32


@pytest.mark.parametrize("dtype", ["string", "object", "string[pyarrow]", pd.ArrowDtype(pa.string())], ids=str)
def test_labels_of_a_pandas_frame_have_the_type_of_the_texts(dtype, model):
    frame = pd.DataFrame({"text": pd.Series(TEXTS, dtype=dtype)})
    assert BatchScorer(model)(frame)["label"].dtype == frame["text"].dtype


def test_labels_beside_texts_of_categories_are_objects(model):
    frame = pd.DataFrame({"text": pd.Series(TEXTS, dtype="category")})
    assert BatchScorer(model)(frame)["label"].dtype == object


def test_a_polars_frame_keeps_its_types(model):
    frame = pl.DataFrame({"text": TEXTS, "kind": list("abcab")}, schema_overrides={"kind": pl.Categorical})
    scored = BatchScorer(model)(frame)
    assert scored.drop("label", "score").equals(frame)
    assert scored.schema == {**frame.schema, "label": pl.String, "score": pl.Float32}


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_an_arrow_table_keeps_chunks_metadata_and_types(kind, model):
    texts = pa.chunked_array([TEXTS[:2], TEXTS[2:]]).cast(kind)
    field = pa.field("text", kind, nullable=False, metadata={"language": "en"})
    table = pa.Table.from_arrays([texts], schema=pa.schema([field], metadata={"source": "a test"}))
    scored = BatchScorer(model)(table)
    assert scored.schema.metadata == table.schema.metadata
    assert scored.schema.field("text").equals(field, check_metadata=True)
    assert scored.column("text").equals(texts)
    assert scored.column("label").to_pylist() == BatchScorer(model)({"text": TEXTS})["label"]


def test_a_subclass_of_a_frame_stays_one(model):
    class Frame(pd.DataFrame):
        @property
        def _constructor(self):
            return Frame

    assert type(BatchScorer(model)(Frame({"text": TEXTS}))) is Frame


def test_the_columns_can_be_named(model):
    scored = BatchScorer(model, "body", output=("kind", "sure"))({"body": TEXTS, "text": TEXTS, "label": TEXTS})
    assert list(scored) == ["body", "text", "label", "kind", "sure"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", [("proba_good", "score"), ("label", "proba_bad")])
def test_a_column_of_probabilities_does_not_replace_another_one(kind, output, model):
    with pytest.raises(InvalidInputError, match=r"output: got 'proba_\w+', which proba=True adds; allowed: "):
        BatchScorer(model, output=output, proba=True)(KINDS[kind]({"text": TEXTS}))
    assert BatchScorer(model, output=output)({"text": TEXTS}).keys() == {"text", *output}


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
def test_the_number_of_texts_at_a_time_changes_nothing(batch_size, model, multi_label_model):
    for folder in (model, multi_label_model):
        texts = {"text": [text * times for times, text in enumerate(TEXTS * 4)]}
        assert BatchScorer(folder, proba=True, batch_size=batch_size)(texts) == BatchScorer(folder, proba=True)(
            texts
        )


def test_a_class_without_a_name_is_called_by_its_number(tmp_path):
    train_set = st.TextDataset(["good film", "bad film"], [1, 0])
    st.create_classifier("sklearn", num_classes=2).fit(train_set).save(tmp_path / "model")
    scored = BatchScorer(tmp_path / "model", proba=True)({"text": ["good"]})
    assert scored["label"] == ["1"]
    assert "proba_1" in scored


def test_batches_of_datasets_keep_columns_that_are_not_decoded(model):
    """A batch of datasets decodes columns lazily; the scorer reads only the column of texts."""
    dataset = datasets.Dataset.from_dict({"text": TEXTS, "kind": [0, 1, 0, 1, 1]})
    dataset = dataset.cast_column("kind", datasets.ClassLabel(names=["a", "b"]))
    scored = dataset.map(BatchScorer(model), batched=True, batch_size=2)
    assert scored.features["kind"] == dataset.features["kind"]
    assert scored.remove_columns(["label", "score"]).to_dict() == dataset.to_dict()
    assert scored["label"][:] == BatchScorer(model)({"text": TEXTS})["label"]
    batch = datasets.formatting.formatting.LazyBatch(
        pa.table({"text": TEXTS, "kind": [0, 1, 0, 1, 1]}), datasets.formatting.get_formatter(None)
    )
    assert "kind" in BatchScorer(model)(batch).keys_to_format


@pytest.mark.parametrize("formatted", ["numpy", "pandas", "polars", "arrow"])
def test_every_format_of_datasets_is_scored(formatted, model):
    dataset = datasets.Dataset.from_dict({"text": TEXTS}).with_format(formatted)
    scored = dataset.map(BatchScorer(model), batched=True).with_format(None)
    assert scored["label"][:] == BatchScorer(model)({"text": TEXTS})["label"]


WRONG = {
    "no column of texts": (
        {"body": TEXTS},
        "got a batch with the columns 'body'; allowed: a batch with the column",
    ),
    "no column": ({}, "got a batch without columns"),
    "a frame without texts": (pd.DataFrame({0: TEXTS}), "with the columns '0'"),
    "a frame with two columns of texts": (
        pd.DataFrame([["a", "b"]], columns=["text", "text"]),
        "column 'text': got 2 columns of this name",
    ),
    "a table with two columns of texts": (
        pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]),
        "column 'text': got 2 columns of this name",
    ),
    "a missing text": ({"text": ["a", None]}, "column 'text': got None at row 1; allowed: strings. Drop that row"),
    "NaN": (pd.DataFrame({"text": ["a", float("nan")]}, dtype=object), "column 'text': got nan at row 1"),
    "a missing string": (pd.DataFrame({"text": pd.array(["a", None], dtype="string")}), "got <NA> at row 1"),
    "null": (pl.DataFrame({"text": ["a", None]}), "column 'text': got None at row 1"),
    "null of arrow": (pa.table({"text": ["a", None]}), "column 'text': got None at row 1"),
    "numbers": ({"text": np.arange(3)}, "column 'text': got 0 at row 0; allowed: strings"),
    "one text": ({"text": "good"}, r"with datasets: map\(scorer, batched=True\)"),
    "the column of labels": (
        {"text": ["a"], "label": [1]},
        r"output: got 'label', which is a column of the batch already.*output=\('predicted_label'",
    ),
    "a column of a probability": (
        pd.DataFrame({"text": ["a"], "proba_bad": [1]}),
        "output: got 'proba_bad'.*rename the column of the batch",
    ),
    "a list of texts": (TEXTS, r"batch: got .*scorer.predict_iter\(texts\)"),
    "a series": (pd.Series(TEXTS), r"got a pandas.Series; .*scorer.predict_iter\(texts\)"),
    "an array": (np.array(TEXTS), r"got a numpy.ndarray; .*scorer.predict_iter\(texts\)"),
    "a lazy frame": (pl.LazyFrame({"text": TEXTS}), r"polars.LazyFrame; .*frame.collect\(\) first"),
    "a dataset": (
        datasets.Dataset.from_dict({"text": TEXTS}),
        r"got a datasets.Dataset; .*dataset.map\(scorer, batched=True\)",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_other_batches_are_refused_with_a_next_step(what, model):
    batch, message = WRONG[what]
    with pytest.raises(InvalidInputError, match=message):
        BatchScorer(model, proba=True)(batch)


def test_a_lazy_frame_is_scored_as_the_message_says(model):
    lazy, schema = pl.LazyFrame({"text": TEXTS}), {"text": pl.String, "label": pl.String, "score": pl.Float32}
    scored = lazy.map_batches(BatchScorer(model), schema=schema).collect()
    assert scored.equals(BatchScorer(model)(lazy.collect()))


def test_no_library_is_imported_but_those_that_batches_come_from(model):
    program = (
        f"import sys, smalltext_core as st; st.load({model!r}).predict(st.TextDataset(['good']))\n"
        "before = set(sys.modules); from smalltext_scale import BatchScorer\n"
        f"print(BatchScorer({model!r})({{'text': ['good']}})['label'])\n"
        "added = {name.partition('.')[0] for name in sys.modules.keys() - before}\n"
        "print(sorted(added - {'smalltext_scale'} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['good']", "[]"]
