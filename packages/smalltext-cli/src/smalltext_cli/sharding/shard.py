"""Shards of rows, and the parts that they are written in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smalltext_cli.console import UsageError
from smalltext_core.messages import shown

MAX_SHARDS = 99_999


@dataclass(frozen=True)
class Shard:
    """One of several equal shares of the rows.

    Parameters
    ----------
    number : int
        From 1 to `count`.
    count : int

    Examples
    --------
    >>> [Shard(number, 3).rows(10) for number in (1, 2, 3)]
    [range(0, 3), range(3, 6), range(6, 10)]
    """

    number: int
    count: int

    @classmethod
    def parse(cls, given: str) -> Shard:
        """Parse a shard such as ``3/16``, or raise UsageError."""
        numbers = re.fullmatch(r"(\d{1,9})/(\d{1,9})", given, re.ASCII)
        if numbers is None:
            example = f"{given}/16" if re.fullmatch(r"[1-9]\d?", given, re.ASCII) and int(given) <= 16 else "3/16"
            raise UsageError(
                f"--shard {shown(given)}: give the number of the shard and how many there are, such as {example}."
            )
        number, count = map(int, numbers.groups())
        if not 1 <= count <= MAX_SHARDS:
            raise UsageError(f"--shard {given}: there may be 1 to {MAX_SHARDS:,} shards.")
        if number == 0:
            raise UsageError(
                f"--shard {given}: shards are numbered from 1: the first is 1/{count}, the last {count}/{count}. "
                "Add 1 to a number that counts from 0."
            )
        if number > count:
            raise UsageError(
                f"--shard {given}: there are {count:,} shards, so the last is {count}/{count}. If that is too "
                "few, give all jobs a larger number of shards, and a new folder."
            )
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def rows(self, total: int) -> range:
        """Return the row numbers of the shard, from 0; shard sizes differ by at most one row."""
        return range(total * (self.number - 1) // self.count, total * self.number // self.count)

    @property
    def file_name(self) -> str:
        """The prefix of its file names, whose alphabetical order is the order of the rows."""
        return f"shard-{self.number:05}-of-{self.count:05}"

    def parts(self, total: int, part_rows: int, extension: str) -> list[Part]:
        """Return the parts of the shard, of `part_rows` rows each.

        A shard without rows has no parts, except the first shard of an empty input, so that there is at least one
        file, which has the columns.
        """
        rows = self.rows(total)
        starts = rows[::part_rows]
        if total == 0 and self.number == 1:
            starts = range(1)
        width = max(5, len(str(len(starts))))
        names = (f"{self.file_name}-part-{number:0{width}}.{extension}" for number in range(1, len(starts) + 1))
        return [
            Part(name, range(start, min(start + part_rows, rows.stop)))
            for name, start in zip(names, starts, strict=True)
        ]


@dataclass(frozen=True)
class Part:
    """A file of a shard, written atomically: its name and row numbers."""

    file_name: str
    rows: range
