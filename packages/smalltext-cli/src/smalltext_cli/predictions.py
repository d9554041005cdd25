"""Predictions for rows of a file, and tables of them with the columns of the file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby, islice
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from smalltext_cli.console import UsageError
from smalltext_cli.readers.binary import FrameRow
from smalltext_cli.readers.json_objects import JsonObject
from smalltext_core import TextDataset
from smalltext_core.label_names import shown_name

if TYPE_CHECKING:
    from polars import DataFrame, DataType

    from smalltext_cli.evaluation import Model
    from smalltext_cli.readers import Row
    from smalltext_cli.readers.files import Source
    from smalltext_cli.writers import OutputFormat, Write
    from smalltext_core.labels import Labels
    from smalltext_core.probabilities import Probabilities

_CHUNK_ROWS = 4_096
_CHUNK_CHARACTERS = 8_000_000
_EXACT_IN_FLOATS = 2**53
_LARGEST_INTEGER = 2**63

PREFIX = "predicted_"
"""Begins the name of a column of predictions where the file has a column of its plain name."""

WriteRows: TypeAlias = "Callable[[Sequence[Row], DataFrame], None]"


def row_chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield rows in chunks, bounded in number and in length; without any row, one chunk that is empty."""
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
    """Makes tables of predictions: label, score, and on request more probabilities.

    The score is the probability of the label; of several labels a text, both are lists. `proba` adds a column
    ``proba_<name>`` for each class, and `top` the most probable classes, as ``label_1``, ``proba_1`` and so on.
    UsageError is raised if two columns would have one name. `without_class` counts the texts that got no label,
    which only multi-label ones can.
    """

    def __init__(self, model: Model, *, proba: bool, top: int) -> None:
        self.without_class = 0
        self._model = model
        self._proba = [f"proba_{name}" for name in model.names.names] if proba else []
        self._top = min(top, len(model.names))
        clash = {f"proba_{rank}" for rank in range(1, self._top + 1)} & set(self._proba)
        if clash:
            raise UsageError(
                f"--proba and --top would both write a column {min(clash)!r}, since classes are called so. "
                "Give one of the two."
            )

    def table(self, texts: list[str]) -> DataFrame:
        """Predict the labels of texts, in order."""
        import numpy as np
        import polars as pl

        labels, proba = self._model.classifier.predict(TextDataset(texts), return_proba=True)
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


def added_names(added: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return the name of each column of predictions in a table with other columns, which keep theirs.

    Examples
    --------
    >>> added_names(["label", "score"], ["text", "label"])
    {'label': 'predicted_label', 'score': 'score'}
    """
    names: dict[str, str] = {}
    for name in added:
        unique, number = name, 1
        while unique in taken or unique in names.values():
            unique = f"{PREFIX}{name}" if number == 1 else f"{PREFIX}{name}_{number}"
            number += 1
        names[name] = unique
    return names


def renamed_notes(names: Mapping[str, str], repeated: Sequence[str] = ()) -> Iterator[str]:
    """Yield a sentence on columns of predictions with another name, and on `repeated` names in the file."""
    changed = {plain: name for plain, name in names.items() if plain != name}
    if changed:
        listed = ", ".join(f"{shown_name(name)} instead of {shown_name(plain)}" for plain, name in changed.items())
        yield f"the input has columns that predictions are usually called by, so these are called {listed}."
    if repeated:
        listed = ", ".join(map(shown_name, repeated))
        yield f"several columns are called {listed}; the second of one name has _2 after it, and so on."


@contextmanager
def row_writer(
    source: Source, write: Write, file_format: OutputFormat, on_names: Callable[[Mapping[str, str]], None]
) -> Iterator[WriteRows]:
    """Yield a function that appends rows of a file with their predictions to a table.

    Objects of JSON, whose keys differ, are gathered on the disk until all columns are known. `on_names` gets the
    names of the columns of predictions.
    """
    if source.file_format in ("json", "jsonl"):
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", prefix="smalltext-") as spooled:
            objects = _Objects(spooled)
            yield objects.append
            on_names(objects.names())
            objects.write_to(write, file_format)
        return
    names: dict[str, str] = {}

    def append(rows: Sequence[Row], added: DataFrame) -> None:
        if not names:
            names.update(added_names(added.columns, source.header))
            on_names(names)
        write(_kept_columns(rows, source.header).hstack(added.rename(names)))

    yield append


def _kept_columns(rows: Sequence[Row], header: Sequence[str]) -> DataFrame:
    """Return the columns of rows of a table; those of a binary format keep their types."""
    import polars as pl

    if rows and isinstance(rows[0].columns, FrameRow):
        places = (cast("FrameRow", row.columns) for row in rows)
        parts = []
        for _, group in groupby(places, key=lambda place: id(place.frame)):
            members = list(group)
            parts.append(members[0].frame[[place.number for place in members]])
        return pl.concat(parts)
    columns = {name: [row.columns[name] for row in rows] for name in header}
    return pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String))


class _Objects:
    """Objects of JSON with their predictions, in a temporary file: a line for each object, then one for these."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._kinds: dict[str, set[str]] = {}
        self._added: dict[str, DataType] = {}

    def append(self, rows: Sequence[Row], added: DataFrame) -> None:
        """Write rows and their predictions to the file."""
        self._added = dict(added.schema)
        for row, predicted in zip(rows, _exact_singles(added).iter_rows(named=True), strict=True):
            for name, value in row.columns.items():
                self._kinds.setdefault(name, set()).add(_kind(value))
            self._file.write(f"{_encoded(row.columns)}\n{_encoded(predicted)}\n")

    def names(self) -> dict[str, str]:
        """Return the name of each column of predictions."""
        return added_names(self._added, self._kinds)

    def write_to(self, write: Write, file_format: OutputFormat) -> None:
        """Write a table of all rows."""
        import polars as pl

        names = self.names()
        self._file.seek(0)
        is_first = True
        while lines := list(islice(self._file, 2 * _CHUNK_ROWS)):
            pairs = zip(map(json.loads, lines[::2]), map(json.loads, lines[1::2]), strict=True)
            is_first = False
            if file_format == "jsonl":
                rows = (given | {names[name]: value for name, value in added.items()} for given, added in pairs)
                write("".join(f"{_encoded(row)}\n" for row in rows).encode())
                continue
            objects, predicted = zip(*pairs, strict=True)
            given = pl.DataFrame([_column(name, kinds, objects) for name, kinds in self._kinds.items()])
            write(given.hstack(pl.DataFrame(predicted, schema=self._added).rename(names)))
        if is_first and file_format != "jsonl":
            write(pl.DataFrame(schema=self._added).rename(names))


def _exact_singles(frame: DataFrame) -> DataFrame:
    """Return floats of single precision by their digits, also in lists."""
    import polars as pl

    kinds: dict[Any, tuple[Any, Any]] = {
        pl.Float32: (pl.String, pl.Float64),
        pl.List(pl.Float32): (pl.List(pl.String), pl.List(pl.Float64)),
    }
    return frame.with_columns(
        series.cast(kinds[series.dtype][0]).cast(kinds[series.dtype][1])
        for series in frame
        if series.dtype in kinds
    )


def _encoded(value: Mapping[str, object]) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value)
    return text


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        size = abs(value)
        return "int" if size <= _EXACT_IN_FLOATS else "wide int" if size < _LARGEST_INTEGER else "huge int"
    if isinstance(value, list):
        return "strings" if all(isinstance(one, str) for one in value) else "list"
    return {type(None): "null", float: "float", str: "str", JsonObject: "object"}[type(value)]


def _column(name: str, kinds: set[str], objects: Sequence[Mapping[str, object]]) -> Any:
    """Return the values of a key as a column of one type; values of several types become strings."""
    import polars as pl

    types: list[tuple[set[str], Any]] = [
        ({"bool"}, pl.Boolean),
        ({"int", "wide int"}, pl.Int64),
        ({"int", "float"}, pl.Float64),
        ({"strings"}, pl.List(pl.String)),
    ]
    values = [one.get(name) for one in objects]
    for fitting, kind in types:
        if kinds - {"null"} and kinds - {"null"} <= fitting:
            return pl.Series(name, values, dtype=kind)
    return pl.Series(name, map(_as_string, values), dtype=pl.String)


def _as_string(value: object) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()
