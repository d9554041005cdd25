"""What became of every line of a file: counted as lines are read, whatever the parser makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Account:
    """Counts of a file that is being read.

    Parameters
    ----------
    name : str
        What the file is called in messages.
    lines : int
        All of them, the header too.
    header : int
        Lines that the header takes.
    rows : int
        Texts that came of the other lines.
    blank : int
        Lines without anything in them, which are skipped.
    spanning : int
        Rows that take more than one line, because a quoted field holds line breaks.
    spanned : int
        How many lines those rows take.
    first_spanning : int
        The line on which the first of them begins.
    lone_returns : int
        Rows that end in a carriage return alone.
    in_quotes : int
        Rows read without quoting of which a field begins and ends with a double quote.
    quoting : bool
        Whether the file is read with quoting.
    """

    name: str
    lines: int = 0
    header: int = 0
    rows: int = 0
    blank: int = 0
    spanning: int = 0
    spanned: int = 0
    first_spanning: int = 0
    lone_returns: int = 0
    in_quotes: int = 0
    quoting: bool = False
    _last: str = field(default="", repr=False)

    def count_line(self, line: str) -> None:
        """Count a line, with its end."""
        self.lines += 1
        self._last = line[-1]

    def count_row(self, begin: int, lines: int) -> None:
        """Count a row that begins on a line, from 1, and takes some lines, the last of which was counted last."""
        self.rows += 1
        self.lone_returns += self._last == "\r"
        if lines > 1:
            self.first_spanning = self.first_spanning or begin
            self.spanning += 1
            self.spanned += lines

    @property
    def unaccounted(self) -> int:
        """How many lines are neither header nor blank nor part of a row; 0 unless the parser lost some."""
        return self.lines - self.header - self.blank - self.spanned - (self.rows - self.spanning)

    def notes(self) -> Iterator[str]:
        """Yield a sentence on everything that gives another number of texts than the file has lines."""
        if self.spanning:
            advice = "If it should be one line a text, pass --quoting none." if self.quoting else ""
            yield (
                f"{self.name}: {_counted(self.lines - self.header, 'line')} after the header hold "
                f"{_counted(self.rows, 'text')}: quoted fields with line breaks make "
                f"{_counted(self.spanned, 'line')} into {_counted(self.spanning, 'text')}, the first one from "
                f"line {self.first_spanning} on. {advice}"
            ).rstrip()
        if self.blank:
            yield f"{self.name}: {_counted(self.blank, 'blank line')} skipped."
        if 0 < self.lone_returns < self.rows:
            yield (
                f"{self.name}: {_counted(self.lone_returns, 'row')} ended by a carriage return alone, where "
                "others end in a line feed. If it is part of a text, quote that text."
            )
        if self.in_quotes:
            yield (
                f"{self.name}: {_counted(self.in_quotes, 'row')} with a field in double quotes, which were "
                "taken as part of it. If they only enclose it, pass --quoting minimal."
            )


def _counted(count: int, one: str, several: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else several or one + 's'}"
