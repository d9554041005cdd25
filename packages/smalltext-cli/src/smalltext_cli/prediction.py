"""Labelling texts as they come: a chunk is read, labelled and written before the next one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from smalltext_cli.errors import UsageError
from smalltext_cli.loading import Model
from smalltext_cli.readers import Row
from smalltext_cli.readers.files import FileFormat
from smalltext_core import TextDataset
from smalltext_core.labels import Labels
from smalltext_core.probabilities import Probabilities

if TYPE_CHECKING:
    from polars import DataFrame

_ROWS = 4_096
_CHARACTERS = 8_000_000


def chunks_of_texts(rows: Iterable[Row]) -> Iterator[list[str]]:
    """Gather texts into chunks, bounded in number and in length; without any text, one that is empty."""
    chunk: list[str] = []
    length = 0
    begun = False
    for row in rows:
        chunk.append(row.text)
        length += len(row.text)
        if len(chunk) == _ROWS or length >= _CHARACTERS:
            yield chunk
            chunk, length, begun = [], 0, True
    if chunk or not begun:
        yield chunk


class Labeller:
    """Makes a table of texts and what a model says of them.

    Parameters
    ----------
    model : Model
    file_format : {"csv", "tsv", "jsonl", "parquet"}
        Several labels a text are a JSON list in CSV and TSV, and a list in the others.
    proba : bool
        Whether to add a column ``proba_<name>`` for each class.
    top : int
        How many of the most probable classes to add, as ``label_1``, ``proba_1`` and so on.

    Raises
    ------
    UsageError
        If two columns would have one name.
    """

    def __init__(self, model: Model, file_format: FileFormat, *, proba: bool, top: int) -> None:
        self._model = model
        self._as_json = file_format in ("csv", "tsv")
        self._proba = [f"proba_{name}" for name in model.names.names] if proba else []
        self._top = min(top, len(model.names))
        clash = {f"proba_{rank}" for rank in range(1, self._top + 1)} & set(self._proba)
        if clash:
            raise UsageError(
                f"--proba and --top would both write a column {min(clash)!r}, since classes are called so. "
                "Give one of the two."
            )

    def table(self, texts: list[str]) -> DataFrame:
        """Label texts; the rows come in their order."""
        import polars as pl

        labels, proba = self._model.classifier.predict(TextDataset(texts), return_proba=True)
        columns: dict[str, Any] = {"text": pl.Series(texts, dtype=pl.String), "label": self._labels(labels)}
        for number, name in enumerate(self._proba):
            columns[name] = np.ascontiguousarray(proba[:, number])
        columns.update(self._ranks(proba))
        return pl.DataFrame(columns)

    def _labels(self, labels: Labels) -> Any:
        import polars as pl

        decoded = self._model.names.decode(labels)
        if not self._model.multi_label:
            return pl.Series(decoded, dtype=pl.String)
        if self._as_json:
            return pl.Series([json.dumps(names, ensure_ascii=False) for names in decoded], dtype=pl.String)
        return pl.Series(decoded, dtype=pl.List(pl.String))

    def _ranks(self, proba: Probabilities) -> dict[str, Any]:
        """Return the most probable classes of each text, the first one first."""
        names = np.array(self._model.names.names, dtype=object)
        order = np.argsort(-proba, axis=1, kind="stable")[:, : self._top]
        ranked = np.take_along_axis(proba, order, axis=1)
        columns: dict[str, Any] = {}
        for rank in range(self._top):
            columns[f"label_{rank + 1}"] = names[order[:, rank]].tolist()
            columns[f"proba_{rank + 1}"] = np.ascontiguousarray(ranked[:, rank])
        return columns
