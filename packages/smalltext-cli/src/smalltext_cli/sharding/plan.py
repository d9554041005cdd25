"""The plan of a folder of shards: the model, the rows, the options, and the number of shards."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, cast

from smalltext_cli.console import InputFileError, UsageError, counted
from smalltext_cli.object_tables import ObjectColumns
from smalltext_cli.readers import Reader
from smalltext_cli.readers.inputs import Layout, is_json_format
from smalltext_cli.sharding.locks import exclusive_folder
from smalltext_cli.sharding.shard import Part, Shard
from smalltext_cli.writers import OutputFormat, write_file
from smalltext_core.saving import MANIFEST, read_manifest

PLAN = "_shards.json"
"""The file of the plan. Engines skip names that begin with an underscore when they read a folder."""

PART_ROWS = 8_192
"""The default number of rows of a part."""

_DEFAULTS = {"--text-column": "text", "--output-format": "parquet", "--part-rows": PART_ROWS}
_FORMAT = 1
_MAX_DATA_LENGTH = 500
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class PlannedFile:
    """An input file: its path when it was read, its content, and its number of rows."""

    path: str
    size: int
    mtime_ns: int
    sha256: str
    rows: int

    def difference(self, path: str) -> str:
        """Describe how a file differs; empty if it has the same content, at any path.

        The content is only read if the modification time differs, as that of a copy does.
        """
        try:
            found = Path(path).stat()
        except OSError as error:
            raise InputFileError(path, f"it cannot be read ({error.strerror})", "Give files of texts.") from error
        if found.st_size != self.size:
            return f"the input {path} ({self.size:,} bytes, now {found.st_size:,})"
        if found.st_mtime_ns != self.mtime_ns and sha256_of(path) != self.sha256:
            return f"the content of the input {path}"
        return ""


@dataclass(frozen=True)
class Request:
    """The task of a job apart from its shard, which must be the same for all jobs of a folder.

    Parameters
    ----------
    model : str
        The folder of the model.
    files : sequence of str
        The input, sorted.
    reader : Reader
    proba, top
        Additional columns; see `smalltext_cli.predictions.Predictor`.
    output_format : {"csv", "tsv", "jsonl", "parquet"}
    part_rows : int
        The number of rows of a part.
    data : sequence of str
        The input as given by the user, for commands in messages.
    trusted : sequence of str
        As for `smalltext_core.load`, for commands in messages.
    """

    model: str
    files: Sequence[str]
    reader: Reader
    proba: bool
    top: int
    output_format: OutputFormat
    part_rows: int
    data: Sequence[str] = ()
    trusted: Sequence[str] = ()

    def options(self) -> dict[str, Any]:
        """Return the options that determine the output, by their names on the command line."""
        return {
            "--text-column": self.reader.text_column,
            "--format": self.reader.file_format,
            "--quoting": self.reader.quoting,
            "--sheet": self.reader.sheet,
            "--proba": self.proba,
            "--top": self.top,
            "--output-format": self.output_format,
            "--part-rows": self.part_rows,
        }

    def command(self) -> list[str]:
        """Return the command of a job, without its folder and its shard."""
        data = list(self.data) if len(" ".join(self.data)) <= _MAX_DATA_LENGTH else ["DATA..."]
        words = ["smalltext", "predict", self.model, *data]
        for name, value in self.options().items():
            if value is True:
                words.append(name)
            elif value and value != _DEFAULTS.get(name):
                words += [name, str(value)]
        for one in self.trusted:
            words += ["--trust", one]
        return words


@dataclass(frozen=True)
class Plan:
    """The common task of all jobs of a folder; the first job writes it, and the others compare it.

    Parameters
    ----------
    shards : int
        The number of shards.
    model : str
        The SHA-256 of the model's manifest, which contains those of its files.
    versions : dict of str to str
        The versions of the packages that predict.
    options : dict
        See `Request.options`.
    files : tuple of PlannedFile
    header : tuple of str
        The columns of the input; JSON has none.
    kinds : dict of str to list of str, optional
        JSON: the keys of all objects; see `ObjectColumns`.
    command : list of str
        See `Request.command`.
    """

    shards: int
    model: str
    versions: dict[str, str]
    options: dict[str, Any]
    files: tuple[PlannedFile, ...]
    header: tuple[str, ...]
    kinds: dict[str, list[str]] | None
    command: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of rows of all files."""
        return sum(one.rows for one in self.files)

    @property
    def output_format(self) -> OutputFormat:
        """The format of the parts."""
        return cast("OutputFormat", self.options["--output-format"])

    def rows_of(self, shard: Shard) -> range:
        """Return the numbers of the rows of a shard, from 0."""
        return shard.rows(self.rows)

    def parts(self, shard: Shard) -> list[Part]:
        """Return the parts of a shard, in order."""
        return shard.parts(self.rows, self.options["--part-rows"], self.output_format)

    def all_shards(self) -> list[Shard]:
        """Return the shards, in order."""
        return [Shard(number, self.shards) for number in range(1, self.shards + 1)]

    def command_for(self, folder: Path, shard: Shard) -> str:
        """Return the command that completes a shard."""
        return shlex.join([*self.command, "--output", str(folder), "--shard", str(shard), "--resume"])

    def check(self, folder: Path, request: Request, shards: int) -> None:
        """Raise UsageError, which lists all differences, if a request does not match this plan."""
        found = []
        if self.shards != shards:
            found.append(f"the number of shards ({self.shards:,}, now {shards:,})")
        if (model := model_hash(request.model)) != self.model:
            found.append(f"the model ({self.model[:_SHOWN_DIGITS]}, now {model[:_SHOWN_DIGITS]})")
        found += _changes(self.versions, versions_of(request.model))
        found += _changes(self.options, request.options())
        if len(self.files) != len(request.files):
            found.append(f"the number of input files ({len(self.files):,}, now {len(request.files):,})")
        else:
            pairs = zip(self.files, request.files, strict=True)
            found += [difference for one, path in pairs if (difference := one.difference(path))]
        if found:
            raise UsageError(
                f"{folder}: its parts come from another run, whose results must not be mixed with these. What "
                f"differs: {'; '.join(found)}. Choose another folder, or run the original command."
            )


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [
        f"{name} ({_said(before.get(name))}, now {_said(value)})"
        for name, value in now.items()
        if before.get(name) != value
    ]


def _said(value: object) -> str:
    words = {True: "given", False: "not given", None: "not given"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def model_hash(model: str) -> str:
    """Return the SHA-256 of the manifest of a model."""
    read_manifest(model)  # raises an error that explains what is wrong with a folder
    return hashlib.sha256((Path(model) / MANIFEST).read_bytes()).hexdigest()


def versions_of(model: str) -> dict[str, str]:
    """Return the versions of the packages that predict with a model."""
    found = {}
    for name in ("smalltext-cli", "smalltext-core", read_manifest(model).distribution):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def sha256_of(path: str) -> str:
    """Return the SHA-256 of the content of a file."""
    with Path(path).open("rb") as file:
        return _sha256(file)


def _sha256(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while block := file.read(2**20):
        found.update(block)
    return found.hexdigest()


def read_plan(folder: Path) -> Plan | None:
    """Read the plan of a folder; None if it has none.

    Raises
    ------
    InputFileError
        If it is damaged.
    """
    path = folder / PLAN
    try:
        found = json.loads(path.read_bytes())
        if found.pop("format") != _FORMAT:
            raise ValueError("another format")
        files = tuple(PlannedFile(**one) for one in found.pop("files"))
        return Plan(files=files, header=tuple(found.pop("header")), **found)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputFileError(str(path), "this is not a plan of shards", "Begin again in a new folder.") from error


def make_plan(folder: Path, request: Request, shards: int) -> Plan:
    """Count the rows of the input and write the plan of a folder, unless another job has done so.

    All files are read, except Parquet files. Jobs that start at the same time wait for the one that counts, or
    each count themselves if the file system has no locks.
    """
    with exclusive_folder(folder / ".plan.tmp", wait=True):
        plan = read_plan(folder)
        if plan is None:
            plan = _measured(request, shards)
            document = {"format": _FORMAT, **asdict(plan)}
            write_file(str(folder / PLAN), f"{json.dumps(document, indent=1)}\n".encode())
        return plan


def _measured(request: Request, shards: int) -> Plan:
    files: list[PlannedFile] = []
    columns = ObjectColumns()
    first: Layout | None = None
    for path in request.files:
        with request.reader.open(path) as opened:
            if opened.source.file is None or not Path(path).is_file():
                raise InputFileError(path, "this is not a regular file", "Shards need regular files: give copies.")
            if request.reader.has_row_numbers(opened.source):
                next(opened.rows, None)
                rows = opened.source.counts.total_rows
            else:
                rows = 0
                for row in opened.rows:
                    rows += 1
                    if is_json_format(opened.source.file_format):
                        columns.learn(row.columns)
            layout = Layout.of(opened.source)
            first = first or layout
            first.check_equal(layout)
            found = Path(path).stat()
            files.append(PlannedFile(path, found.st_size, found.st_mtime_ns, sha256_of(path), rows))
    assert first is not None
    return Plan(
        shards,
        model_hash(request.model),
        versions_of(request.model),
        request.options(),
        tuple(files),
        first.header,
        columns.as_json() if is_json_format(first.file_format) else None,
        request.command(),
    )


def described_rows(plan: Plan) -> str:
    """Describe the size of the input."""
    files = f" in {counted(len(plan.files), 'file')}" if len(plan.files) > 1 else ""
    return f"{counted(plan.rows, 'row')}{files}"
