"""Parquet, read in slices by a separate process, which keeps memory bounded and survives damaged files."""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from smalltext_cli.errors import InputFileError, missing_column
from smalltext_cli.readers import parquet_worker
from smalltext_cli.readers.files import STDIN, Source
from smalltext_core.messages import one_line

_FIRST_SLICE = 1_024
_MOST_ROWS = 16_384
_SLICE_BYTES = 2**25


def records(source: Source, columns: Sequence[str]) -> Iterator[tuple[int, list[object]]]:
    """Yield the number of each row, from 1, and its values in the given columns.

    Raises
    ------
    InputFileError
        If the file is damaged or a column is missing.
    """
    import polars as pl

    with _seekable(source) as seekable:
        schema = json.loads(_ask(source.name, open=str(seekable.absolute())))
        for column in columns:
            if column not in schema["columns"]:
                raise missing_column(source.name, column, schema["columns"])
        start, count = 0, _FIRST_SLICE
        while start < schema["rows"]:
            content = _ask(source.name, columns=list(columns), start=start, rows=count)
            batch = pl.read_ipc(io.BytesIO(content))
            if not batch.height:
                lost = schema["rows"] - start
                raise _unsound(source.name, f"{lost:,} of {schema['rows']:,} rows are missing")
            for number, values in enumerate(batch.iter_rows(), start=start + 1):
                source.counts.add_row(number)
                yield number, list(values)
            start += batch.height
            count = max(1, min(_MOST_ROWS, _SLICE_BYTES * batch.height // len(content)))


def _unsound(name: str, problem: str) -> InputFileError:
    return InputFileError(name, f"this is no sound Parquet ({one_line(problem, 120)})", "Write the file again.")


class _Worker:
    """The worker process; another one is started if it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return the kind and the content of the response to a request; EOFError if the process crashes."""
        process = self._started()
        requests, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        try:
            requests.write(json.dumps(request).encode() + b"\n")
            requests.flush()
            head = answers.read(9)
            content = answers.read(int.from_bytes(head[1:], "big"))
            if len(head) < 9 or len(content) < int.from_bytes(head[1:], "big"):
                raise EOFError
        except (EOFError, BrokenPipeError):
            self.stop()
            raise EOFError from None
        except BaseException:  # interrupted: what is left of the answer is not that to the next request
            self.stop()
            raise
        return head[:1], content

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    cast("IO[bytes]", pipe).close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.stop()
            # Run by its path, since importing it would import the whole package into the process.
            boot = "import runpy, sys; worker, *sys.path[:] = sys.argv[1:]; runpy.run_path(worker, {}, '__main__')"
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and code of this package
                [sys.executable, "-c", boot, parquet_worker.__file__, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # where a panic of polars would print its stack
            )
        return self._process


_worker = _Worker()
atexit.register(_worker.stop)


def _ask(name: str, **request: object) -> bytes:
    """Return the response of the worker, or raise its error."""
    try:
        kind, content = _worker.ask(request)
    except EOFError:
        raise _unsound(name, "the process that read it crashed") from None
    if kind == parquet_worker.REFUSAL:
        raise _unsound(name, json.loads(content))
    return content


@contextmanager
def _seekable(source: Source) -> Iterator[Path]:
    """Save what comes through a pipe to a file, since Parquet has its index at the end."""
    if source.path != STDIN and Path(source.path).is_file():
        yield Path(source.path)
        return
    with tempfile.TemporaryDirectory(prefix="smalltext-") as folder:
        spooled = Path(folder) / "stdin.parquet"
        with spooled.open("wb") as file:
            shutil.copyfileobj(source.stream, file)
        yield spooled
