"""Several files that are read as one, given by paths, globs and folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from glob import glob, has_magic
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from smalltext_cli.console import InputFileError, UsageError, counted, listed_names
from smalltext_cli.readers import OpenedFile, Reader, Row
from smalltext_cli.readers.files import STDIN, InputFormat, Source, known_format
from smalltext_core.label_names import shown_name

Opener: TypeAlias = "Callable[[], AbstractContextManager[OpenedFile]]"

_MAX_SHOWN = 5


def input_files(given: Sequence[str], file_format: InputFormat | None = None) -> tuple[list[str], list[str]]:
    """Return the files given by paths, globs and folders, sorted by path, and notes on skipped files.

    Folders include files with a known extension (with `file_format`, all files), unless their names begin with a
    dot or an underscore. In globs, ``**`` matches any number of folders. An existing path is never a glob.

    Raises
    ------
    InputFileError
        If nothing is found.
    UsageError
        If a file is given twice, or standard input is given together with files.
    """
    if STDIN in given:
        if len(given) > 1:
            raise UsageError(
                "- is standard input, which cannot be read together with files. Give one or the other."
            )
        return [STDIN], []
    found: list[str] = []
    notes: list[str] = []
    for one in given:
        if Path(one).is_dir():
            files, left_out = _files_in_folder(one, file_format)
            found += files
            if left_out:
                names = ", ".join(map(shown_name, left_out[:_MAX_SHOWN]))
                more = ", ..." if len(left_out) > _MAX_SHOWN else ""
                notes.append(
                    f"{one}: left out {counted(len(left_out), 'file')} of no known format: {names}{more}."
                )
        elif has_magic(one) and not os.path.lexists(one):
            found += _files_of_glob(one)
        else:
            found.append(one)
    found.sort()
    twice = sorted({one for one, other in pairwise(found) if one == other})
    if twice:
        raise UsageError(f"{twice[0]}: this file is given twice. Give each file once.")
    return found, notes


def _files_in_folder(folder: str, file_format: InputFormat | None) -> tuple[list[str], list[str]]:
    visible = [path for path in Path(folder).iterdir() if path.is_file() and path.name[0] not in "._"]
    taken = [path for path in visible if file_format is not None or known_format(str(path)) is not None]
    if not taken:
        raise InputFileError(
            folder,
            "there is no file of texts in this folder",
            "Give a folder of CSV, TSV, JSON, Parquet, Excel or text files, or a glob such as 'texts/**/*.csv'.",
        )
    return [str(path) for path in taken], sorted(path.name for path in set(visible) - set(taken))


def _files_of_glob(pattern: str) -> list[str]:
    found = [path for path in glob(pattern, recursive=True) if Path(path).is_file()]  # noqa: PTH207 - as it may be absolute
    if not found:
        raise InputFileError(pattern, "no file matches this glob", "Give the path of a file, or another glob.")
    return found


@dataclass(frozen=True)
class Layout:
    """The format and the columns of a file, with types if it is a binary format; JSON has no columns."""

    path: str
    file_format: str
    header: tuple[str, ...]
    types: dict[str, str]

    @classmethod
    def of(cls, source: Source) -> Layout:
        """Return the layout of a file whose first row has been read."""
        is_json = is_json_format(source.file_format)
        header = () if is_json else tuple(source.header)
        return cls(source.name, "json" if is_json else source.file_format, header, dict(source.types))

    def check_equal(self, other: Layout) -> None:
        """Raise InputFileError with the name of the other file if the two cannot be read as one."""
        if other.file_format != self.file_format:
            problem = f"this is {other.file_format.upper()}, but {self.path} is {self.file_format.upper()}"
            raise InputFileError(other.path, problem, "Give files of one format.")
        missing = [name for name in self.header if name not in other.header]
        more = [name for name in other.header if name not in self.header]
        if missing or more:
            parts = [
                f"{words} {listed_names(names, _MAX_SHOWN)}"
                for words, names in (("lacks", missing), ("has also", more))
                if names
            ]
            problem = f"its columns are not those of {self.path}: it {' and '.join(parts)}"
            raise InputFileError(other.path, problem, "Give files with the same columns.")
        changed = [name for name in self.types if other.types[name] != self.types[name]]
        if changed:
            name = changed[0]
            types = f"{other.types[name]}, but that of {self.path} {self.types[name]}"
            problem = f"its column {shown_name(name)} has the type {types}"
            raise InputFileError(other.path, problem, "Convert one of them.")


def is_json_format(file_format: str) -> bool:
    """Return whether files of a format hold JSON objects, each with its own keys."""
    return file_format in ("json", "jsonl")


@dataclass
class OpenedFiles:
    """Files whose rows are read one after another.

    Parameters
    ----------
    rows : iterator of Row
    count, finished : int
        The number of files, and of files that have been read completely.
    sources : list of Source
        The files that have been opened.
    header : list of str
        The columns, in the order of the first file, once its first row is read; JSON has none.
    """

    count: int
    sources: list[Source]
    header: list[str]
    finished: int = 0
    rows: Generator[Row, None, None] = field(init=False)

    @property
    def is_json(self) -> bool:
        """Whether the files hold JSON objects."""
        return is_json_format(self.sources[0].file_format)

    @property
    def fraction(self) -> float | None:
        """The fraction of the files that has been read; None if the size of the only file is unknown."""
        if self.count == 1:
            return self.sources[0].fraction
        current = self.sources[-1].fraction if self.finished < len(self.sources) else None
        return (self.finished + (current or 0.0)) / self.count

    @property
    def repeated_columns(self) -> tuple[str, ...]:
        """The duplicate column names."""
        return self.sources[0].counts.repeated_columns

    def notes(self) -> Iterator[str]:
        """Yield a note on each reason why texts and lines differ in number, for each file."""
        for source in self.sources:
            yield from source.counts.notes()


@contextmanager
def opened_files(openers: Sequence[Opener]) -> Iterator[OpenedFiles]:
    """Open files to read their rows one after another; the first one is opened immediately.

    Raises
    ------
    InputFileError
        Like `Reader.open`, and during reading if the columns of a file differ from those of the first one.
    """
    with openers[0]() as first:
        files = OpenedFiles(len(openers), [first.source], first.source.header)
        with closing(_joined(files, first, openers[1:])) as files.rows:
            yield files


def _joined(files: OpenedFiles, first: OpenedFile, others: Sequence[Opener]) -> Generator[Row, None, None]:
    yield from first.rows
    files.finished = 1
    layout = Layout.of(first.source) if others else None
    for open_one in others:
        with open_one() as opened:
            files.sources.append(opened.source)
            row = next(opened.rows, None)
            if layout is not None:
                layout.check_equal(Layout.of(opened.source))
            if row is not None:
                yield row
                yield from opened.rows
            files.finished += 1


def file_openers(reader: Reader, paths: Sequence[str]) -> list[Opener]:
    """Return functions that open each file.

    The columns of several files are compared first, so that differences are found before any rows are read. Pipes
    can be read only once, so `opened_files` compares theirs.
    """
    repeatable = [path for path in paths if Path(path).is_file() or not Path(path).exists()]
    if len(paths) > 1 and repeatable:
        layouts = map(partial(_layout, reader), repeatable)
        first = next(layouts)
        for other in layouts:
            first.check_equal(other)
    return [partial(reader.open, path) for path in paths]


def _layout(reader: Reader, path: str) -> Layout:
    with reader.open(path) as opened:
        next(opened.rows, None)
        return Layout.of(opened.source)
