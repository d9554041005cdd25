"""Parquet, read a slice at a time: memory does not grow with the file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from smalltext_cli.errors import InputFileError, missing_column, shortened
from smalltext_cli.sources import STDIN, Source

_SLICE = 16_384


def records(source: Source, path: str, columns: Sequence[str]) -> Iterator[tuple[int, list[object]]]:
    """Yield the number of each row, from 1, and its values in the given columns.

    Raises
    ------
    InputFileError
        If the file is damaged or a column is missing.
    """
    import polars as pl

    with _seekable(source, path) as seekable:
        try:
            with _silent_panics():
                scan = pl.scan_parquet(seekable, glob=False)
                present = scan.collect_schema()
            for column in columns:
                if column not in present:
                    raise missing_column(source.name, column, present)
            start = 0
            while True:
                with _silent_panics():
                    batch = scan.select(columns).slice(start, _SLICE).collect()
                if not batch.height:
                    break
                for number, values in enumerate(batch.iter_rows(), start=start + 1):
                    yield number, list(values)
                start += batch.height
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise InputFileError(
                source.name, f"this is no sound Parquet ({shortened(str(error), 120)})", "Write the file again."
            ) from error


@contextmanager
def _silent_panics() -> Iterator[None]:
    """Keep the stack of a panic in polars off standard error: what was wrong is told by its exception."""
    standard_error = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)


@contextmanager
def _seekable(source: Source, path: str) -> Iterator[Path]:
    """Parquet has its index at the end: what comes through a pipe is put on the disk first."""
    if path != STDIN and Path(path).is_file():
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix="smalltext-") as folder:
        spooled = Path(folder) / "stdin.parquet"
        with spooled.open("wb") as file:
            shutil.copyfileobj(source.stream, file)
        yield spooled
