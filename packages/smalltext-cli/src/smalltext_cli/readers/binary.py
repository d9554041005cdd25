"""Readers of Parquet and Excel in slices by a separate process, to limit memory and survive crashes.

The process runs this file as a program, by its path, since importing it would import the whole package. It reads
requests as lines of JSON from standard input, and answers each one on standard output with a letter, the length of
the content in 8 bytes, and the content.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from polars import DataFrame, LazyFrame

    from smalltext_cli.console import InputFileError
    from smalltext_cli.readers.files import Record, Source

_FIRST_SLICE = 1_024
_MAX_ROWS = 16_384
_SLICE_BYTES = 2**25

_DAY_ZERO = date(1899, 12, 31)

_ROWS, _SCHEMA, _REFUSAL = b"R", b"S", b"E"
"""The first byte of an answer: a table as Arrow IPC, columns and number of rows as JSON, or an error as JSON."""


class FrameRow(Mapping[str, object]):
    """One row of a polars DataFrame, as a mapping by column name."""

    __slots__ = ("frame", "number")

    def __init__(self, frame: DataFrame, number: int) -> None:
        self.frame = frame
        self.number = number

    def __getitem__(self, name: str) -> object:
        if name not in self.frame.columns:
            raise KeyError(name)
        return self.frame[[name]].row(self.number)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frame.columns)

    def __len__(self) -> int:
        return self.frame.width


def records(source: Source, columns: Sequence[str], *, keep_columns: bool = False) -> Iterator[Record]:
    """Yield the number of each row, from 1, its values in the given columns, and all of its columns.

    In Excel, the header is row 1, empty rows are skipped, and an empty cell is an empty text. Without
    `keep_columns`, only the given columns are read.

    Raises
    ------
    InputFileError
        If the file is damaged or a column is missing.
    """
    import polars as pl

    from smalltext_cli.console import InputFileError, missing_column
    from smalltext_cli.readers.text_formats import distinct, repeated
    from smalltext_core.label_names import shown_name

    is_excel = source.file_format == "xlsx"
    if is_excel:
        _check_excel_reader(source.name)
    with _seekable(source) as seekable:
        kind = "Excel" if is_excel else "Parquet"
        path = str(seekable.absolute())
        schema = json.loads(_ask(source.name, kind, open=path, is_excel=is_excel, sheet=source.sheet))
        left_out = _other_sheets(source, schema["sheets"]) if is_excel else ""
        written, names = schema["columns"], distinct(schema["columns"])
        source.counts.repeated_columns = repeated(written)
        if is_excel and not names:
            raise _empty_sheet(source.name, left_out)
        for number, column in enumerate(columns):
            if column in source.counts.repeated_columns:
                problem = f"several columns are called {shown_name(column)}"
                raise InputFileError(f"{source.name}, row 1", problem, "Rename all but one of them.")
            if column not in written:
                raise missing_column(source.name, number, columns, written, left_out)
        source.header[:] = names
        source.types.update(zip(names, schema["types"], strict=True))
        source.counts.total_rows = schema["rows"]
        read = names if keep_columns else list(dict.fromkeys(columns))
        numbers = [names.index(name) for name in read]
        start, count = source.skip, _FIRST_SLICE
        while start < schema["rows"]:
            content = _ask(source.name, kind, columns=numbers, start=start, rows=count)
            batch = pl.read_ipc(io.BytesIO(content))
            batch.columns = read
            if not batch.height:
                lost = schema["rows"] - start
                raise _unsound(source.name, kind, f"{lost:,} of {schema['rows']:,} rows are missing")
            values = _digits_of_singles(batch[list(columns)])
            for row, found in enumerate(values.iter_rows() if columns else repeat((), batch.height)):
                number = start + row + (2 if is_excel else 1)
                given = list(found)
                if is_excel and given[:1] in ([], [None]):
                    if all(one is None for one in batch.row(row)):
                        source.counts.blank += 1
                        continue
                    given = ["", *given[1:]]
                source.counts.add_row(number)
                yield number, given, FrameRow(batch, row)
            start += batch.height
            count = max(1, min(_MAX_ROWS, _SLICE_BYTES * batch.height // len(content)))


def _other_sheets(source: Source, sheets: Sequence[str]) -> str:
    """Print a note on the sheet of a workbook that is read and on the others; return a hint for errors."""
    from smalltext_cli.console import InputFileError, listed_names

    if source.sheet is not None and source.sheet not in sheets:
        advice = "Give --sheet one of these, or leave it out to read the first."
        raise InputFileError(
            source.name, f"there is no sheet {source.sheet!r}, only {listed_names(sheets)}", advice
        )
    chosen = source.sheet or sheets[0]
    others = [one for one in sheets if one != chosen]
    if not others:
        return ""
    if source.sheet is None:
        source.counts.remarks.append(
            f"{source.name}: read the first sheet, {chosen!r}, and left out {listed_names(others)}. --sheet reads "
            "another one."
        )
    return f"This is the sheet {chosen!r}; --sheet reads another one: {listed_names(others)}. "


def _empty_sheet(name: str, hint: str) -> InputFileError:
    from smalltext_cli.console import InputFileError

    return InputFileError(name, "the sheet is empty", hint.rstrip() or "Give one whose first row is the header.")


def _check_excel_reader(name: str) -> None:
    from smalltext_cli.console import InputFileError

    if find_spec("fastexcel") is None:
        raise InputFileError(
            name,
            "reading Excel needs fastexcel, which is not installed",
            "Install it: pip install fastexcel; or save the sheet as CSV.",
        )


def _digits_of_singles(frame: DataFrame) -> DataFrame:
    """Return single-precision floats as decimals with the same digits: 0.1 rather than 0.10000000149."""
    import polars as pl
    from polars import selectors

    singles = [name for name, kind in frame.schema.items() if kind == pl.Float32]
    return frame.with_columns(selectors.by_name(singles).cast(pl.String).cast(pl.Float64))


@contextlib.contextmanager
def _seekable(source: Source) -> Iterator[Path]:
    """Save compressed and piped input to a file, since both formats have an index at the end."""
    from smalltext_cli.readers.files import STDIN
    from smalltext_core.atomic import utf8_path

    if source.path != STDIN and not source.is_compressed and Path(source.path).is_file():
        with utf8_path(Path(source.path)) as path:
            yield path
        return
    with tempfile.TemporaryDirectory(prefix="smalltext-") as folder:
        spooled = Path(folder) / "content"
        with spooled.open("wb") as file:
            shutil.copyfileobj(source.stream, file)
        yield spooled


def _ask(name: str, file_kind: str, **request: object) -> bytes:
    """Return the response of the worker, or raise its error."""
    try:
        kind, content = _worker.ask(request)
    except EOFError:
        raise _unsound(name, file_kind, "the process that read it crashed") from None
    if kind == _REFUSAL:
        raise _unsound(name, file_kind, json.loads(content))
    return content


def _unsound(name: str, kind: str, problem: str) -> InputFileError:
    from smalltext_cli.console import InputFileError
    from smalltext_core.messages import one_line

    return InputFileError(name, f"this is not valid {kind} ({one_line(problem, 120)})", "Write the file again.")


class _Worker:
    """The worker process, which is restarted if it has ended."""

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
        except BaseException:  # interrupted: the rest of the answer must not be taken for the next one
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
            boot = "import runpy, sys; worker, *sys.path[:] = sys.argv[1:]; runpy.run_path(worker, {}, '__main__')"
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and code of this package
                [sys.executable, "-c", boot, __file__, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # polars would print the stack trace of a panic
            )
        return self._process


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more.

    The answer to ``{"open": path, "is_excel": false, "sheet": null}`` has the names of the columns as in the file,
    their types, the number of rows, and the sheet names of a workbook. The answer to
    ``{"columns": numbers, "start": row, "rows": count}`` is this slice of the file that was opened last.
    """
    import polars as pl

    def send(kind: bytes, content: bytes) -> None:
        answers.write(kind + len(content).to_bytes(8, "big") + content)
        answers.flush()

    opened: LazyFrame | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if "open" in request:
                sheets: list[str] = []
                if request["is_excel"]:
                    opened, sheets, names = _workbook(request["open"], request["sheet"])
                else:
                    opened = pl.scan_parquet(request["open"], glob=False, hive_partitioning=False)
                    names = opened.collect_schema().names()
                rows = opened.select(pl.len()).collect().item()
                types = [str(kind) for kind in opened.collect_schema().dtypes()]
                schema = {"columns": names, "types": types, "rows": rows, "sheets": sheets}
                send(_SCHEMA, json.dumps(schema).encode())
            elif opened is not None:
                buffer = io.BytesIO()
                # By number, since names could be interpreted as patterns.
                chosen = opened.select(pl.nth(*request["columns"]))
                part = chosen.slice(request["start"], request["rows"]).collect()
                part.write_ipc(buffer, compression="uncompressed")
                send(_ROWS, buffer.getvalue())
        except (Exception, pl.exceptions.PanicException) as error:  # fastexcel's have no common base class
            send(_REFUSAL, json.dumps(str(error)).encode())


def _workbook(path: str, sheet: str | None) -> tuple[LazyFrame, list[str], list[str]]:
    """Return a sheet of a workbook, by default the first; the names of all sheets; and those of the columns.

    Column types are inferred from all cells. If the sheet does not exist, there are no columns.
    """
    import fastexcel  # type: ignore[import-not-found,unused-ignore]
    import polars as pl

    sheets = list(fastexcel.read_excel(path).sheet_names)
    if sheet is not None and sheet not in sheets:
        return pl.LazyFrame(), sheets, []
    chosen = {"sheet_id": 1} if sheet is None else {"sheet_name": sheet}
    options: dict[str, Any] = {
        "engine": "calamine",
        "infer_schema_length": None,
        "drop_empty_rows": False,
        "drop_empty_cols": False,  # so that the header, read on its own, has as many; they are left out below
        "raise_if_empty": False,
    }
    found = pl.read_excel(path, **chosen, **options)
    # A time of day is read as a time on Excel's day zero.
    found = found.with_columns(
        series.dt.time()
        for series in found
        if series.dtype == pl.Datetime and series.count() and (series.dt.date() == _DAY_ZERO).all()
    )
    # A column without a name, or with a date as its name, is called __UNNAMED__1, and the second one of a name
    # name_1: the header tells whether these are names of their own.
    endings = (name.rpartition("_") for name in found.columns)
    if not any(
        number.isdecimal() and (name in found.columns or name == "__UNNAMED_") for name, _, number in endings
    ):
        return found.lazy(), sheets, found.columns
    options |= {"has_header": False, "read_options": {"n_rows": 1}}
    (header,) = pl.read_excel(path, **chosen, **options).rows()
    names = [
        "" if cell is None else name if type(cell) in (int, float) else str(cell)
        for cell, name in zip(header, found.columns, strict=True)
    ]
    kept = [number for number, name in enumerate(names) if name or not found[:, number].is_null().all()]
    return found[:, kept].lazy(), sheets, [names[number] for number in kept]


if __name__ == "__main__":
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:  # no core dump if a file crashes this process
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _serve(sys.stdin.buffer, sys.stdout.buffer)
else:
    _worker = _Worker()
    atexit.register(_worker.stop)
