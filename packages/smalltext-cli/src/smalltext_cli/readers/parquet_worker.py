"""The process that decodes Parquet, so that a damaged file ends this process and not the command.

It is started by `smalltext_cli.readers.parquet`, takes requests as lines of JSON on standard input, and answers
each on standard output: a letter, the length of the content in 8 bytes, and the content.
"""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from polars import DataFrame, LazyFrame

ROWS, SCHEMA, REFUSAL = b"R", b"S", b"E"
"""What an answer begins with: a table as Arrow IPC, columns and number of rows as JSON, or a reason as JSON."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more.

    ``{"open": path}`` is answered with the names of the columns and the number of rows, and
    ``{"columns": names, "start": row, "rows": count}`` with that part of the file that was opened last.
    """
    import polars as pl

    opened: LazyFrame | None = None
    for line in requests:
        request = json.loads(line)
        try:
            if "open" in request:
                opened = pl.scan_parquet(request["open"], glob=False, hive_partitioning=False)
                rows = opened.select(pl.len()).collect().item()
                content = {"columns": opened.collect_schema().names(), "rows": rows}
                _send(answers, SCHEMA, json.dumps(content).encode())
            elif opened is not None:
                _send(answers, ROWS, _encoded(_part(opened, request)))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError) as error:
            _send(answers, REFUSAL, json.dumps(str(error)).encode())


def _part(table: LazyFrame, request: dict[str, Any]) -> DataFrame:
    """Return some rows of some columns; floats of single precision by the digits that they are written with."""
    import polars as pl
    from polars import selectors

    chosen = table.select(selectors.by_name(request["columns"]))  # a string alone could be taken for a pattern
    part = chosen.slice(request["start"], request["rows"]).collect()
    singles = [name for name, kind in part.schema.items() if kind == pl.Float32]
    return part.with_columns(selectors.by_name(singles).cast(pl.String).cast(pl.Float64))


def _encoded(table: DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_ipc(buffer, compression="uncompressed")
    return buffer.getvalue()


def _send(answers: BinaryIO, kind: bytes, content: bytes) -> None:
    answers.write(kind + len(content).to_bytes(8, "big") + content)
    answers.flush()


def main() -> None:
    """Serve the process that started this one, and leave no core dump behind if a file ends it."""
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
