"""Joining the parts of all shards into one file, with the rows in the order of the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from smalltext_cli.console import InputFileError, OutputError, UsageError, counted
from smalltext_cli.sharding.job import missing_parts
from smalltext_cli.sharding.plan import Plan, read_plan
from smalltext_cli.sharding.shard import Part, Shard
from smalltext_cli.writers import OutputFormat, join_parquet, table_writer
from smalltext_core.atomic import utf8_path

_MAX_LISTED = 20
_BLOCK_RECORDS = 4_096


def complete_plan(folder: Path) -> Plan:
    """Return the plan of a complete folder.

    Raises
    ------
    InputFileError
        If it is not a folder of shards, or shards are incomplete; the message has these and the command to run.
    """
    plan = read_plan(folder)
    if plan is None:
        problem = "this is not a folder of shards" if folder.is_dir() else "there is no such folder"
        raise InputFileError(str(folder), problem, "Give a folder that `smalltext predict --shard` wrote.")
    missing = {shard: parts for shard, parts in missing_parts(folder, plan).items() if parts}
    if missing:
        listed = [_described(shard, parts, plan) for shard, parts in list(missing.items())[:_MAX_LISTED]]
        more = f" and {len(missing) - _MAX_LISTED:,} more" if len(missing) > _MAX_LISTED else ""
        first, *others = missing
        likewise = ", and likewise the others" if others else ""
        raise InputFileError(
            str(folder),
            f"{counted(len(missing), 'shard')} of {plan.shards:,} {'is' if len(missing) == 1 else 'are'} not "
            f"complete: {', '.join(listed)}{more}",
            f"Run: {plan.command_for(folder, first)}{likewise}",
        )
    return plan


def _described(shard: Shard, missing: Sequence[Part], plan: Plan) -> str:
    parts = len(plan.parts(shard))
    complete = parts - len(missing)
    return f"{shard} ({complete:,} of {counted(parts, 'part')})" if complete else str(shard)


def check_merge(folder: Path, plan: Plan, output: str, file_format: OutputFormat) -> None:
    """Reject an output in the folder of the parts, and a format that the parts cannot be converted to."""
    if output != "-" and folder.resolve() in Path(output).absolute().resolve().parents:
        raise OutputError(f"{output}: this is in the folder of the parts. Choose another place.")
    if plan.output_format not in ("parquet", file_format):
        kind = plan.output_format
        raise UsageError(
            f"The parts are {kind.upper()}, which has no types to write {file_format.upper()} from. Merge them to "
            f"a .{kind} file, or predict with --output-format parquet, which can be merged to any format."
        )


def merge(folder: Path, plan: Plan, output: str, file_format: OutputFormat) -> int:
    """Write the rows of all parts to a file, atomically; return the number of parts.

    Raises
    ------
    InputFileError
        If a part has the wrong number of rows.
    """
    parts = [part for shard in plan.all_shards() for part in plan.parts(shard)]
    if plan.output_format == "parquet":
        with utf8_path(folder) as readable:
            _merge_parquet(readable, parts, output, file_format)
    else:
        _merge_text(folder, parts, output, has_header=plan.output_format != "jsonl")
    return len(parts)


def _merge_parquet(folder: Path, parts: Sequence[Part], output: str, file_format: OutputFormat) -> None:
    import polars as pl

    paths = [folder / part.file_name for part in parts]
    _check_parquet(paths, parts, decode=False)
    try:
        if file_format == "parquet":
            join_parquet(output, paths)
            return
        with table_writer(output, file_format) as write:
            for path in paths:
                write(pl.read_parquet(path, glob=False, hive_partitioning=False))
    except (Exception, pl.exceptions.PanicException):
        _check_parquet(paths, parts, decode=True)  # raises if a part, rather than the output, is the reason
        raise


def _check_parquet(paths: Sequence[Path], parts: Sequence[Part], *, decode: bool) -> None:
    """Raise InputFileError for a part with another number of rows, or with `decode` for one that is damaged."""
    import polars as pl

    for path, part in zip(paths, parts, strict=True):
        rows: int | None = None
        with suppress(pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            rows = frame.collect().height if decode else frame.select(pl.len()).collect().item()
        _check_rows(path, part, rows)


def _merge_text(folder: Path, parts: Sequence[Part], output: str, *, has_header: bool) -> None:
    with table_writer(output, "csv") as write:  # which writes bytes unchanged
        if has_header:
            write(_header(folder / part.file_name for part in parts))
        for part in parts:
            rows, last = 0, b"\n"
            with (folder / part.file_name).open("rb") as file:
                records = _records(file) if has_header else file
                body = islice(records, int(has_header), None)
                while block := list(islice(body, _BLOCK_RECORDS)):
                    rows, last = rows + len(block), block[-1]
                    write(b"".join(block))
            # A part may be cut within its last row, and a line break within quotes does not end one.
            whole = last.endswith(b"\n") and (not has_header or last.count(b'"') % 2 == 0)
            _check_rows(folder / part.file_name, part, rows if whole else None)


def _header(paths: Iterable[Path]) -> bytes:
    """Return the header of CSV or TSV files; that of TSV is quoted if that of any file is."""
    found = b""
    for path in paths:
        with path.open("rb") as file:
            header = next(_records(file), b"")
        if not found or header.startswith(b'"'):
            found = header
    return found


def _records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield records of CSV or TSV, whose quoted fields may contain line breaks."""
    held: list[bytes] = []
    quotes = 0
    for line in lines:
        held.append(line)
        quotes += line.count(b'"')
        if quotes % 2 == 0:
            yield b"".join(held)
            held, quotes = [], 0
    if held:
        yield b"".join(held)


def _check_rows(path: Path, part: Part, rows: int | None) -> None:
    if rows != len(part.rows):
        found = "is damaged" if rows is None else f"has {counted(rows, 'row')} instead of {len(part.rows):,}"
        raise InputFileError(str(path), f"this part {found}", "Remove it, and run its shard again with --resume.")
