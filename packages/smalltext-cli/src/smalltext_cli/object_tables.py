"""Tables of JSON objects with their predictions; the keys of the objects may differ."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from smalltext_cli.readers.json_objects import JsonObject

if TYPE_CHECKING:
    from polars import DataFrame, DataType

    from smalltext_cli.writers import OutputFormat, Write

_CHUNK_ROWS = 4_096
_EXACT_IN_FLOATS = 2**53
_MAX_INTEGER = 2**63

PREFIX = "predicted_"
"""The prefix of a column of predictions if the file already has a column of that name."""


def added_names(added: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return the name of each column of predictions, different from the existing columns of a table.

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


class ObjectColumns(Collection[str]):
    """The keys of JSON objects and the kinds of their values, which determine the columns of a table.

    Parameters
    ----------
    kinds : mapping of str to iterable of str, optional
        The result of `as_json` for the objects seen before.

    Examples
    --------
    >>> columns = ObjectColumns()
    >>> columns.learn({"id": 7, "text": "win a prize"})
    >>> columns.learn({"id": None, "text": "lunch?"})
    >>> columns.as_json()
    {'id': ['int', 'null'], 'text': ['str']}
    """

    def __init__(self, kinds: Mapping[str, Iterable[str]] | None = None) -> None:
        self._kinds = {name: set(found) for name, found in (kinds or {}).items()}

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def learn(self, one: Mapping[str, object]) -> None:
        """Add the keys and kinds of values of an object."""
        for name, value in one.items():
            self._kinds.setdefault(name, set()).add(_kind(value))

    def as_json(self) -> dict[str, list[str]]:
        """Return the kinds of the values of each key."""
        return {name: sorted(kinds) for name, kinds in self._kinds.items()}

    def table(
        self, objects: Sequence[Mapping[str, object]], added: DataFrame, file_format: OutputFormat
    ) -> DataFrame | bytes:
        """Return objects and predictions: a table of all keys, or JSON Lines with the keys of each object."""
        import polars as pl

        if file_format == "jsonl":
            predicted = exact_singles(added).iter_rows(named=True)
            return json_lines({**given, **found} for given, found in zip(objects, predicted, strict=True))
        columns = [_column(name, kinds, objects) for name, kinds in self._kinds.items()]
        return pl.DataFrame(columns).hstack(added) if columns else added


class SpooledObjects:
    """JSON objects with their predictions in a temporary file, alternately one line for each."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._columns = ObjectColumns()
        self._added: dict[str, DataType] = {}

    def append(self, objects: Sequence[Mapping[str, object]], added: DataFrame) -> None:
        """Write objects and their predictions to the file."""
        self._added = dict(added.schema)
        for given, predicted in zip(objects, exact_singles(added).iter_rows(named=True), strict=True):
            self._columns.learn(given)
            self._file.write(f"{_encoded(given)}\n{_encoded(predicted)}\n")

    def names(self) -> dict[str, str]:
        """Return the name of each column of predictions."""
        return added_names(self._added, self._columns)

    def write_to(self, write: Write, file_format: OutputFormat) -> None:
        """Write a table of all objects."""
        import polars as pl

        names = self.names()
        self._file.seek(0)
        is_first = True
        while lines := list(islice(self._file, 2 * _CHUNK_ROWS)):
            objects = [json.loads(line) for line in lines[::2]]
            predicted = pl.DataFrame([json.loads(line) for line in lines[1::2]], schema=self._added)
            write(self._columns.table(objects, predicted.rename(names), file_format))
            is_first = False
        if is_first and file_format != "jsonl":
            write(pl.DataFrame(schema=self._added).rename(names))


def json_lines(objects: Iterable[Mapping[str, object]]) -> bytes:
    """Return one line of JSON per object."""
    return "".join(f"{_encoded(one)}\n" for one in objects).encode()


def exact_singles(frame: DataFrame) -> DataFrame:
    """Return single-precision floats as decimals with the same digits, also in lists."""
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
    except UnicodeEncodeError:  # a lone surrogate
        return json.dumps(value)
    return text


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        size = abs(value)
        return "int" if size <= _EXACT_IN_FLOATS else "wide int" if size < _MAX_INTEGER else "huge int"
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
