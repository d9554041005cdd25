"""Predictions for the rows of a file, and tables of predictions with the columns of the file."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from smalltext_cli.console import UsageError
from smalltext_cli.object_tables import ObjectColumns, SpooledObjects, added_names
from smalltext_cli.readers.binary import FrameRow
from smalltext_core import TextDataset
from smalltext_core.label_names import shown_name

if TYPE_CHECKING:
    from polars import DataFrame

    from smalltext_cli.evaluation import Model
    from smalltext_cli.readers import Row
    from smalltext_cli.writers import OutputFormat, Write
    from smalltext_core.labels import Labels
    from smalltext_core.probabilities import Probabilities

_CHUNK_ROWS = 4_096
_CHUNK_CHARACTERS = 8_000_000

PredictChunks: TypeAlias = (
    "Callable[[Iterator[list[str]]], Iterator[tuple[list[str], tuple[Labels, Probabilities]]]]"
)

WriteRows: TypeAlias = "Callable[[Sequence[Row], DataFrame], None]"


def row_chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in chunks limited by number and length; if there are no rows, a single empty chunk."""
    chunk: list[Row] = []
    length = 0
    is_first = True
    for row in rows:
        chunk.append(row)
        length += len(row.text)
        if len(chunk) == _CHUNK_ROWS or length >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, length, is_first = [], 0, False
    if chunk or is_first:
        yield chunk


class Predictor:
    """Creates tables of predictions: label, score, and optionally further probabilities.

    The score is the probability of the label; both are lists if multi-label. `proba` adds a column
    ``proba_<name>`` for each class, and `top` the most probable classes, as ``label_1``, ``proba_1`` and so on.
    UsageError is raised if two columns would have the same name. `without_class` counts the texts without a
    predicted label, which only occur if multi-label.
    """

    def __init__(self, model: Model, *, proba: bool, top: int) -> None:
        self.without_class = 0
        self._model = model
        self._proba = [f"proba_{name}" for name in model.names.names] if proba else []
        self._top = min(top, len(model.names))
        clash = {f"proba_{rank}" for rank in range(1, self._top + 1)} & set(self._proba)
        if clash:
            raise UsageError(
                f"--proba and --top would both write a column {min(clash)!r}: a class has this number as its "
                "name. Give one of the two."
            )

    def table(self, texts: list[str]) -> DataFrame:
        """Predict the labels of texts, in input order."""
        return self._table(*self._model.classifier.predict(TextDataset(texts), return_proba=True))

    def tables(
        self, chunks: Iterable[list[Row]], predict_chunks: PredictChunks | None = None
    ) -> Iterator[tuple[list[Row], DataFrame]]:
        """Predict chunks of rows in order, in this process or with `predict_chunks`, which may read ahead."""
        if predict_chunks is None:
            for rows in chunks:
                yield rows, self.table([row.text for row in rows])
            return
        waiting: deque[list[Row]] = deque()

        def texts() -> Iterator[list[str]]:
            for rows in chunks:
                waiting.append(rows)
                yield [row.text for row in rows]

        for _, (labels, proba) in predict_chunks(texts()):
            yield waiting.popleft(), self._table(labels, proba)

    def _table(self, labels: Labels, proba: Probabilities) -> DataFrame:
        import numpy as np
        import polars as pl

        columns: dict[str, Any] = self._labels(labels, proba)
        for number, name in enumerate(self._proba):
            columns[name] = np.ascontiguousarray(proba[:, number])
        return pl.DataFrame(columns | self._top_classes(proba))

    def _labels(self, labels: Labels, proba: Probabilities) -> dict[str, Any]:
        import polars as pl

        from smalltext_core.labels import is_multi_label

        decoded = self._model.names.decode(labels)
        if not is_multi_label(labels):
            score = proba[range(len(labels)), labels]
            return {"label": pl.Series(decoded, dtype=pl.String), "score": pl.Series(score, dtype=pl.Float32)}
        self.without_class += sum(not names for names in decoded)
        scores = [row[names].tolist() for row, names in zip(proba, labels.tolil().rows, strict=True)]
        return {
            "label": pl.Series(decoded, dtype=pl.List(pl.String)),
            "score": pl.Series(scores, dtype=pl.List(pl.Float32)),
        }

    def _top_classes(self, proba: Probabilities) -> dict[str, Any]:
        import numpy as np

        names = np.array(self._model.names.names, dtype=object)
        order = np.argsort(-proba, axis=1, kind="stable")[:, : self._top]
        columns: dict[str, Any] = {}
        for rank, numbers in enumerate(order.T):
            columns[f"label_{rank + 1}"] = names[numbers].tolist()
            columns[f"proba_{rank + 1}"] = np.take_along_axis(proba, numbers[:, None], axis=1)[:, 0]
        return columns


def renamed_notes(names: Mapping[str, str], repeated: Sequence[str] = ()) -> Iterator[str]:
    """Yield notes on renamed columns of predictions, and on `repeated` column names in the file."""
    changed = {plain: name for plain, name in names.items() if plain != name}
    if changed:
        listed = ", ".join(f"{shown_name(name)} instead of {shown_name(plain)}" for plain, name in changed.items())
        yield f"the input has columns with the usual names of predictions, so predictions are called {listed}."
    if repeated:
        listed = ", ".join(map(shown_name, repeated))
        yield f"several columns are called {listed}; the second one of a name ends in _2, and so on."


@contextmanager
def row_writer(
    header: Sequence[str],
    write: Write,
    file_format: OutputFormat,
    on_names: Callable[[Mapping[str, str]], None] = lambda _: None,
    *,
    is_json: bool = False,
    columns: ObjectColumns | None = None,
) -> Iterator[WriteRows]:
    """Yield a function that appends rows of a file and their predictions to a table.

    Parameters
    ----------
    header : sequence of str
        The columns of the file, known once its first row is read; JSON has none.
    write : callable
        Appends to the table; see `smalltext_cli.writers.table_writer`.
    file_format : {"csv", "tsv", "jsonl", "parquet"}
    on_names : callable, optional
        Called with the names of the columns of predictions.
    is_json : bool, default=False
        Whether the rows are JSON objects, whose keys differ.
    columns : ObjectColumns, optional
        The keys of all objects. By default, objects are collected on disk until all keys are known.
    """
    if is_json and columns is None:
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", prefix="smalltext-") as spooled:
            objects = SpooledObjects(spooled)
            yield lambda rows, added: objects.append([row.columns for row in rows], added)
            on_names(objects.names())
            objects.write_to(write, file_format)
        return
    names: dict[str, str] = {}

    def append(rows: Sequence[Row], added: DataFrame) -> None:
        if not names:
            names.update(added_names(added.columns, header if columns is None else columns))
            on_names(names)
        if columns is None:
            write(_kept_columns(rows, header).hstack(added.rename(names)))
        else:
            write(columns.table([row.columns for row in rows], added.rename(names), file_format))

    yield append


def _kept_columns(rows: Sequence[Row], header: Sequence[str]) -> DataFrame:
    """Return the columns of table rows; those of a binary format keep their types."""
    import polars as pl

    if rows and isinstance(rows[0].columns, FrameRow):
        places = (cast("FrameRow", row.columns) for row in rows)
        parts = []
        for _, group in groupby(places, key=lambda place: id(place.frame)):
            members = list(group)
            parts.append(members[0].frame[[place.number for place in members]][list(header)])
        return pl.concat(parts)
    columns = {name: [row.columns[name] for row in rows] for name in header}
    return pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String))
