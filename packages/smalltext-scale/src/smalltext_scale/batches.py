"""The batches that engines pass: texts are read from one column, and the predictions are added as columns.

A library is used only if the type of a batch comes from it, in which case it has already been imported.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NoReturn

import numpy as np

from smalltext_core.conversion import columns_of
from smalltext_core.dataset import as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import shown_name
from smalltext_core.messages import brief

_ALLOWED = (
    "a mapping of columns (arrays or lists), a pandas or polars DataFrame, or a pyarrow Table or RecordBatch"
)
_NEXT_STEPS = {
    "dask": "Score its partitions: frame.map_partitions(scorer).",
    "datasets": "Score its batches: dataset.map(scorer, batched=True).",
    "polars": (
        "Score its batches, frame.map_batches(scorer, schema=...), or call frame.collect() first; "
        "a column of texts goes to scorer.predict_iter(texts)."
    ),
    "pyspark": "Score its batches: frame.mapInPandas(lambda frames: map(scorer, frames), schema).",
    "ray": "Score its batches: dataset.map_batches(scorer).",
}
_TEXTS = "For texts that are no column of a table: scorer.predict_iter(texts)."

Columns = Mapping[str, "Column"]


class Column:
    """The values of a column to add: names, numbers, or a list of either for each text."""

    def __init__(self, values: Any, *, kind: type, is_list: bool = False) -> None:
        self.values = values
        self.kind = kind
        self.is_list = is_list

    def as_list(self) -> list[Any]:
        """Return the values as a list."""
        return list(self.values.tolist() if isinstance(self.values, np.ndarray) else self.values)

    def as_array(self) -> Any:
        """Return the values as an array of shape (n,): strings or float32, or objects if they are lists."""
        if self.kind is float and not self.is_list:
            return np.asarray(self.values, dtype=np.float32)
        values = self.as_list()
        if not self.is_list:
            strings = np.array(values, dtype=np.str_)
            if strings.tolist() == values:  # numpy drops NUL characters at the end
                return strings
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array


def read_texts(batch: Any, column: str) -> list[str]:
    """Return the texts of a batch; raise InvalidInputError for missing texts and unsupported kinds of batches."""
    if isinstance(batch, Mapping):
        names = list(batch)
        if column not in names:
            _missing(column, names)
        values = batch[column]
        if isinstance(values, str):
            advice = "Pass batches of texts; with datasets: map(scorer, batched=True)."
            raise InvalidInputError(_named(column), "one string", "an array or a list of strings", advice)
    else:
        kind = _kind(batch)
        names = list(batch.schema.names if kind == "pyarrow" else batch.columns)
        if column not in names:
            _missing(column, names)
        if names.count(column) > 1:
            what = f"{names.count(column)} columns of this name"
            raise InvalidInputError(_named(column), what, "one column of texts", "Rename the others.")
        values = batch.column(names.index(column)) if kind == "pyarrow" else batch[column]
    return as_texts(values.tolist() if isinstance(values, np.ndarray) else values, _named(column))


def column_names(batch: Any) -> list[Any]:
    """Return the names of the columns of a batch."""
    if isinstance(batch, Mapping):
        return list(batch)
    return list(batch.schema.names if _kind(batch) == "pyarrow" else batch.columns)


def with_columns(batch: Any, added: Columns, text: str) -> Any:
    """Return a batch of the same kind with columns added; their array types follow that of the text column."""
    if isinstance(batch, Mapping):
        # Copying a batch of datasets does not decode its columns.
        extended = copy.copy(batch) if isinstance(batch, MutableMapping) else dict(batch)
        arrays = isinstance(batch[text], np.ndarray)
        for name, column in added.items():
            extended[name] = column.as_array() if arrays else column.as_list()
        return extended
    kind = _kind(batch)
    if kind == "pandas":
        return _with_series(batch, added, text)
    library = sys.modules[kind]
    if kind == "polars":
        return batch.with_columns(_polars_series(library, name, column) for name, column in added.items())
    return _with_arrow_arrays(library, batch, added)


def _with_series(frame: Any, added: Columns, text: str) -> Any:
    pandas = sys.modules["pandas"]
    strings = frame[text].dtype
    if not isinstance(strings, (pandas.StringDtype, getattr(pandas, "ArrowDtype", pandas.StringDtype))):
        strings = np.dtype(object)
    series = {}
    for name, column in added.items():
        dtype = np.dtype(np.float32) if column.kind is float else strings
        if column.is_list:
            dtype = np.dtype(object)
        values = column.values if dtype == np.float32 else column.as_list()
        series[name] = pandas.Series(values, index=frame.index, dtype=dtype)
    return frame.assign(**series)


def _polars_series(polars: Any, name: str, column: Column) -> Any:
    dtype = polars.Float32 if column.kind is float else polars.String
    return polars.Series(name, column.values, dtype=polars.List(dtype) if column.is_list else dtype)


def _with_arrow_arrays(pyarrow: Any, batch: Any, added: Columns) -> Any:
    schema = batch.schema
    arrays = list(batch.columns)
    for name, column in added.items():
        kind = pyarrow.float32() if column.kind is float else pyarrow.string()
        kind = pyarrow.list_(kind) if column.is_list else kind
        arrays.append(pyarrow.array(column.values, type=kind))
        schema = schema.append(pyarrow.field(name, kind))
    return type(batch).from_arrays(arrays, schema=schema)


def _kind(batch: Any) -> str:
    """Return the library that a table comes from; raise InvalidInputError for anything else."""
    roots = [base.__module__.partition(".")[0] for base in type(batch).__mro__]
    for library, names in (
        ("pandas", ("DataFrame",)),
        ("polars", ("DataFrame",)),
        ("pyarrow", ("Table", "RecordBatch")),
    ):
        kinds = tuple(getattr(sys.modules[library], name) for name in names) if library in roots else ()
        if isinstance(batch, kinds):
            return library
    raise _not_a_batch(batch, roots)


def _not_a_batch(batch: Any, roots: Sequence[str]) -> InvalidInputError:
    columns = columns_of(batch)
    name = f"{type(batch).__module__.partition('.')[0]}.{type(batch).__qualname__}"
    given = brief(batch) if columns is None and "builtins" in roots[:1] else f"a {name}"
    advice = next((_NEXT_STEPS[root] for root in roots if root in _NEXT_STEPS), _TEXTS)
    return InvalidInputError("batch", given, _ALLOWED, advice)


def _missing(column: str, names: Sequence[Any]) -> NoReturn:
    listed = ", ".join(shown_name(str(name)) for name in names[:8]) + (", ..." if len(names) > 8 else "")
    given = f"a batch with the columns {listed}" if names else "a batch without columns"
    raise InvalidInputError(
        "batch", given, f"a batch with the column {shown_name(column)}", "BatchScorer(folder, text=...) names it."
    )


def _named(column: str) -> str:
    return f"column {shown_name(column)}"
