"""Chunkwise writers of CSV, TSV, JSON Lines and Parquet; files appear only once they are complete."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TypeAlias, cast, get_args

from smalltext_cli.console import OutputError, result_bytes
from smalltext_cli.readers.files import STDIN, known_format
from smalltext_core.atomic import temporary_folder, utf8_path
from smalltext_core.errors import SmallTextError
from smalltext_core.saving import MANIFEST, read_manifest

if TYPE_CHECKING:
    from polars import DataFrame, DataType

OutputFormat: TypeAlias = Literal["csv", "tsv", "jsonl", "parquet"]

STDOUT = STDIN

_ROW_GROUP = 16_384
_EXTENSIONS = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".pq")

Write: TypeAlias = "Callable[[DataFrame | bytes], None]"


def output_format(output: str) -> OutputFormat:
    """Return the output format by file extension; CSV for standard output.

    Examples
    --------
    >>> output_format("labels.tsv"), output_format("-")
    ('tsv', 'csv')
    """
    if output == STDOUT:
        return "csv"
    found = known_format(output)
    if found not in get_args(OutputFormat) or not output.lower().endswith(_EXTENSIONS):
        extension = Path(output).suffix
        problem = f"the extension {extension!r} is unknown" if extension else "the name has no extension"
        raise OutputError(
            f"{output}: {problem}. Known extensions: {', '.join(_EXTENSIONS)}; "
            f"say what to write with --output-format {'|'.join(get_args(OutputFormat))}."
        )
    return cast("OutputFormat", found)


def output_name(output: str) -> str:
    """Return what messages call an output.

    Examples
    --------
    >>> output_name("labels.tsv"), output_name("-")
    ('labels.tsv', 'standard output')
    """
    return "standard output" if output == STDOUT else output


def output_extension(output: str) -> str:
    """Return the file extension if `output_format` knows it, or else an empty string.

    Examples
    --------
    >>> output_extension("labels.tsv"), output_extension("labels")
    ('.tsv', '')
    """
    return next((extension for extension in _EXTENSIONS if output.lower().endswith(extension)), "")


def default_model_folder(data: str) -> Path:
    """Return the default folder to save a model to, in the working directory.

    Examples
    --------
    >>> default_model_folder("mails/2024.csv").name, default_model_folder("-").name
    ('2024-model', 'model')
    """
    return Path("model" if data == STDIN else f"{Path(data).stem}-model")


@contextmanager
def table_writer(output: str, file_format: OutputFormat) -> Iterator[Write]:
    """Open a table, and yield a function that appends a DataFrame, always with the same columns.

    Lists and objects become JSON in CSV and TSV. To JSON Lines, lines may also be appended as bytes. If the block
    raises an exception, an existing file is left unchanged.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with _explained(output):
        if output == STDOUT:
            with _chunks(result_bytes(), file_format) as write:
                yield write
            sys.stdout.flush()
        elif Path(output).exists() and not Path(output).is_file():
            with Path(output).open("wb") as device, _chunks(device, file_format) as write:  # or a named pipe
                yield write
        else:
            with staged_file(output) as file, _chunks(file, file_format) as write:
                yield write


@contextmanager
def staged_table(target: Path, staging: Path, file_format: OutputFormat) -> Iterator[Write]:
    """Open a table like `table_writer`, written to the new file `staging` until the end of the block."""
    with _explained(str(target)):
        with staging.open("xb") as file:
            with _chunks(file, file_format) as write:
                yield write
            file.flush()
            os.fsync(file.fileno())
        staging.replace(target)


def join_parquet(output: str, parts: Sequence[Path]) -> None:
    """Concatenate Parquet files with the same columns, in order.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with _explained(output):
        if output == STDOUT or (Path(output).exists() and not Path(output).is_file()):
            with tempfile.TemporaryDirectory(prefix="smalltext-") as folder:
                whole = Path(folder, "whole.parquet")
                _join(parts, whole)
                with whole.open("rb") as finished:
                    if output == STDOUT:
                        shutil.copyfileobj(finished, result_bytes())
                        sys.stdout.flush()
                    else:
                        with Path(output).open("wb") as device:
                            shutil.copyfileobj(finished, device)
        else:
            with staged_file(output) as file, utf8_path(Path(file.name).parent) as folder:
                _join(parts, folder / Path(file.name).name)


def check_output(
    output: str, data: str | Sequence[str] | None, model: str | None, *, overwrite: bool = True
) -> None:
    """Reject an output that is not writable, the input, or a file of the model, before any work is done.

    `data` are the input paths and `model` is the model path, if any. Without `overwrite`, existing files are
    rejected, too.
    """
    if output == STDOUT:
        return
    path = Path(output)
    if path.is_dir():
        raise OutputError(f"{output}: this is a folder. Give the path of a file to write.")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{output}: there is no folder {path.parent}. Make it first, or choose another place.")
    inputs = [data] if isinstance(data, str) else data or []
    if path.is_file() and any(_is_input(path, one) for one in inputs):
        raise OutputError(f"{output}: this is the input as well. Choose another place.")
    files = [] if model is None else [file for file in _files_of(Path(model)) if file.is_file()]
    if path.is_file() and any(map(path.samefile, files)):
        raise OutputError(f"{output}: this is a file of the model. Choose another place.")
    if path.is_file() and not overwrite:
        raise OutputError(
            f"{output}: it already exists. Leave out --no-clobber to replace it, or choose another place."
        )
    if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise OutputError(
            f"{output}: this may not be written to. Choose another place, or change the permissions."
        )


def _is_input(path: Path, data: str) -> bool:
    """Return whether a file is the input, under any name or as standard input."""
    try:
        given = os.fstat(sys.stdin.fileno()) if data == STDIN else Path(data).stat()
    except (OSError, ValueError, AttributeError):
        return False
    return os.path.samestat(path.stat(), given)


def _files_of(model: Path) -> list[Path]:
    """Return the files of a model folder."""
    return [model / MANIFEST, *(model / name for name in read_manifest(model).files)]


def check_file_output(output: str, data: str, model: str | None, *, overwrite: bool = True) -> None:
    """Reject standard output, which is for the results, and everything that `check_output` rejects."""
    if output == STDOUT:
        raise OutputError("standard output is for the results. Give the path of a file to write.")
    check_output(output, data, model, overwrite=overwrite)


def replaced_file(output: str) -> str:
    """Return a parenthesis on the file that will be replaced; empty if there is none.

    Examples
    --------
    >>> replaced_file("-")
    ''
    """
    path = Path(output)
    if output == STDOUT or not path.is_file():
        return ""
    found = path.stat()
    written = datetime.fromtimestamp(found.st_mtime).astimezone()
    return f" (replaced a file of {found.st_size:,} bytes, written {written:%Y-%m-%d %H:%M})"


def write_file(output: str, content: bytes) -> None:
    """Write a file atomically; raise OutputError and keep the existing file if that fails."""
    with _explained(output):
        if Path(output).exists() and not Path(output).is_file():
            Path(output).write_bytes(content)  # a device or a named pipe
        else:
            with staged_file(output) as file:
                file.write(content)


@contextmanager
def staged_file(target: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a new file that replaces `target` at the end of the block, unless the block raises an exception."""
    final = Path(os.path.realpath(target))
    with temporary_folder(final) as folder:
        staging = folder / "new"
        with staging.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if final.exists():
            shutil.copymode(final, staging)
        staging.replace(final)


def _chunks(file: BinaryIO, file_format: OutputFormat) -> AbstractContextManager[Write]:
    if file_format == "parquet":
        return _parquet_chunks(file)
    return _tsv_chunks(file) if file_format == "tsv" else _text_chunks(file, file_format)


@contextmanager
def _text_chunks(file: BinaryIO, file_format: OutputFormat) -> Iterator[Write]:
    begun = False

    def write(chunk: DataFrame | bytes) -> None:
        nonlocal begun
        if isinstance(chunk, bytes):
            file.write(chunk)
            return
        frame = _as_text(chunk, nested=file_format == "csv")
        lines = frame.write_ndjson() if file_format == "jsonl" else frame.write_csv(include_header=not begun)
        file.write(lines.encode())
        begun = True

    yield write


def _as_text(frame: DataFrame, *, nested: bool = True) -> DataFrame:
    """Return a table of text values: all bytes become base64, and lists and objects (if `nested`) JSON."""
    import polars as pl

    changed = []
    for series in frame:
        if series.dtype == pl.Binary:
            changed.append(series.bin.encode("base64"))
        elif series.dtype == pl.Duration:
            changed.append(series.dt.to_string())
        elif nested and series.dtype.is_nested():
            values = [
                None if value is None else json.dumps(_bytes_as_text(value), ensure_ascii=False, default=str)
                for value in series.to_list()
            ]
            changed.append(pl.Series(series.name, values, dtype=pl.String))
        elif (kind := _type_as_text(series.dtype)) != series.dtype:
            changed.append(pl.Series(series.name, map(_bytes_as_text, series.to_list()), dtype=kind))
    return frame.with_columns(changed)


def _bytes_as_text(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return list(map(_bytes_as_text, value))
    return {key: _bytes_as_text(one) for key, one in value.items()} if isinstance(value, dict) else value


def _type_as_text(kind: DataType) -> DataType:
    """Return the type of a column after `_bytes_as_text`."""
    import polars as pl

    if isinstance(kind, pl.Struct):
        return pl.Struct({field.name: _type_as_text(cast("DataType", field.dtype)) for field in kind.fields})
    if isinstance(kind, pl.List):
        return pl.List(_type_as_text(cast("DataType", kind.inner)))
    if isinstance(kind, pl.Array):
        return pl.Array(_type_as_text(cast("DataType", kind.inner)), kind.size)
    return pl.String() if kind == pl.Binary else kind


@contextmanager
def _tsv_chunks(file: BinaryIO) -> Iterator[Write]:
    """Write TSV with a quoted header if any field is quoted, which tells the reader about it."""
    header: list[str] = []
    quoted = False
    with tempfile.TemporaryFile(dir=_folder_of(file)) as body:

        def write(chunk: DataFrame | bytes) -> None:
            nonlocal quoted
            frame = _as_text(cast("DataFrame", chunk))
            header[:] = frame.columns
            lines = frame.write_csv(separator="\t", include_header=False)
            quoted = quoted or '"' in lines
            body.write(lines.encode())

        yield write
        if quoted or any(re.search(r'["\t\r\n]', name) for name in header):
            header = ['"{}"'.format(name.replace('"', '""')) for name in header]
        file.write(("\t".join(header) + "\n").encode())
        body.seek(0)
        shutil.copyfileobj(body, file)


def _folder_of(file: BinaryIO) -> Path | None:
    """Return the folder of a file that is written; None for a stream."""
    path = Path(str(getattr(file, "name", "")))
    return path.parent if path.is_file() else None


@contextmanager
def _parquet_chunks(file: BinaryIO) -> Iterator[Write]:
    """Collect chunks on disk and join them at the end, since Parquet files cannot be appended to."""
    with (
        tempfile.TemporaryDirectory(prefix="smalltext-", dir=_folder_of(file)) as created,
        utf8_path(Path(created)) as folder,
    ):
        parts: list[Path] = []

        def write(chunk: DataFrame | bytes) -> None:
            parts.append(folder / f"{len(parts)}.parquet")
            with _polars_errors_as_os_errors():
                cast("DataFrame", chunk).write_parquet(parts[-1])

        yield write
        whole = folder / "whole.parquet"
        _join(parts, whole)
        for part in parts:  # so that the disk never holds more than two copies
            part.unlink()
        with whole.open("rb") as finished:
            shutil.copyfileobj(finished, file)


def _join(parts: Sequence[Path], whole: Path) -> None:
    import polars as pl

    with _polars_errors_as_os_errors():
        found = pl.scan_parquet(list(parts), glob=False, hive_partitioning=False)
        found.sink_parquet(whole, row_group_size=_ROW_GROUP)


@contextmanager
def _polars_errors_as_os_errors() -> Iterator[None]:
    """Turn the exceptions of polars, such as for a full disk, into OSError."""
    import polars as pl

    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise OSError(str(error)) from error


@contextmanager
def _explained(output: str) -> Iterator[None]:
    """Turn the error of a failed write into a one-line message."""
    try:
        yield
    except (SmallTextError, BrokenPipeError):
        raise
    except OSError as error:
        what = f"{output_name(output)}: this could not be written ({error.strerror or error})"
        raise OutputError(f"{what}." if output == STDOUT else f"{what}, and is unchanged.") from error
