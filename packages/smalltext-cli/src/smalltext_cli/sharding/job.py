"""One job of a sharded prediction, which labels the missing rows of a shard, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from uuid import uuid4

from smalltext_cli.console import InputFileError, OutputError, UsageError, counted
from smalltext_cli.object_tables import ObjectColumns
from smalltext_cli.predictions import Predictor, row_chunks, row_writer
from smalltext_cli.readers.inputs import Opener, opened_files
from smalltext_cli.sharding.locks import FolderInUseError, exclusive_folder
from smalltext_cli.sharding.plan import PLAN, Plan, Request, make_plan, model_hash, read_plan
from smalltext_cli.sharding.shard import Part, Shard
from smalltext_cli.writers import output_extension, staged_table


class ShardJob:
    """A job that labels one shard, in a folder that it shares with other jobs.

    Parameters
    ----------
    folder : Path
        The shared folder, which need not exist.
    shard : Shard
    request : Request
    resume : bool
        Whether parts of the shard may already exist.
    new_predictor : callable
        Returns the predictor; only called if there is something to do.

    Attributes
    ----------
    plan : Plan
        The plan, once the job has run.
    predictor : Predictor or None
        The predictor; None if there was nothing to do.
    names : dict of str to str
        The names of the columns of predictions; see `smalltext_cli.predictions.added_names`.
    notes : list of str
        Notes on the files that were read.

    Raises
    ------
    OutputError
        If the folder cannot be used.
    """

    plan: Plan

    def __init__(
        self, folder: Path, shard: Shard, request: Request, *, resume: bool, new_predictor: Callable[[], Predictor]
    ) -> None:
        self.folder, self.shard, self.request, self.resume = folder, shard, request, resume
        self.predictor: Predictor | None = None
        self.names: dict[str, str] = {}
        self.notes: list[str] = []
        self._new_predictor = new_predictor
        check_folder(folder, request.files)

    def prepare(self) -> None:
        """Check the folder against the request; if it has no plan, count the rows and write one.

        Raises
        ------
        UsageError
            If the folder belongs to another model, input, number of shards or set of options.
        """
        plan = read_plan(self.folder)
        if plan is None:
            model = model_hash(self.request.model)
            self.predictor = self._new_predictor()  # rejects a model or options before rows are counted
            try:
                plan = make_plan(self.folder, self.request, self.shard.count)
            except OSError as error:
                raise _unwritable(self.folder, error) from error
            if plan.model != model:  # another model was saved while rows were counted
                self.predictor = None
        plan.check(self.folder, self.request, self.shard.count)
        self.plan = plan

    def run(self, on_progress: Callable[[int, float], None]) -> int:
        """Write the missing parts; return the number of labelled rows.

        `on_progress` is called with the number of labelled rows, and their share of the missing rows.

        Raises
        ------
        UsageError
            If another process is writing the shard, or parts exist and `resume` is False.
        """
        try:
            with exclusive_folder(self.folder / f".{self.shard.file_name}.tmp") as _:
                missing = self._missing()
                if missing and self.predictor is None:
                    self.predictor = self._new_predictor()
                    self.plan.check(self.folder, self.request, self.shard.count)  # the model may just have changed
                return self._write(missing, on_progress)
        except FolderInUseError:
            raise UsageError(
                f"--shard {self.shard}: another process is writing this shard to {self.folder}. Wait for it, or "
                "end it first."
            ) from None

    def unfinished_shards(self) -> list[Shard]:
        """Return the shards of the folder that have missing parts."""
        return [shard for shard, missing in missing_parts(self.folder, self.plan).items() if missing]

    def _missing(self) -> list[Part]:
        parts = self.plan.parts(self.shard)
        missing = _without_file(self.folder, parts)
        if len(missing) < len(parts) and not self.resume:
            raise UsageError(
                f"--shard {self.shard}: {self.folder} has {len(parts) - len(missing):,} of its "
                f"{counted(len(parts), 'part')} already. Pass --resume to go on with what is missing, or choose "
                "another folder."
            )
        return missing

    def _write(self, missing: Sequence[Part], on_progress: Callable[[int, float], None]) -> int:
        total = sum(len(part.rows) for part in missing)
        done = 0
        for run in _consecutive(missing):
            with opened_files(self._openers(run[0].rows.start)) as opened:
                for part in run:
                    for count in self._write_part(part, opened.rows):
                        done += count
                        on_progress(done, done / max(total, 1))
            self.notes += opened.notes()
        return done

    def _write_part(self, part: Part, rows: Iterator) -> Iterator[int]:  # type: ignore[type-arg]
        """Label and write the rows of a part, atomically; yield the number of rows of each chunk."""
        assert self.predictor is not None
        plan, kinds = self.plan, self.plan.kinds
        staging = self.folder / f".{self.shard.file_name}.tmp" / f"{uuid4().hex}-{part.file_name}"
        with (
            staged_table(self.folder / part.file_name, staging, plan.output_format) as write,
            row_writer(
                plan.header,
                write,
                plan.output_format,
                self.names.update,
                is_json=kinds is not None,
                columns=None if kinds is None else ObjectColumns(kinds),
            ) as write_rows,
        ):
            written = 0
            for chunk in row_chunks(islice(rows, len(part.rows))):
                write_rows(chunk, self.predictor.table([row.text for row in chunk]))
                written += len(chunk)
                yield len(chunk)
            if written != len(part.rows):
                raise InputFileError(
                    self.request.files[-1],
                    f"{counted(len(part.rows) - written, 'row')} that {self.folder / PLAN} counts are missing",
                    "Begin again in a new folder, with the same versions of all packages in all jobs.",
                )

    def _openers(self, start: int) -> list[Opener]:
        """Return functions that open the files, starting at a row."""
        for number, one in enumerate(self.plan.files):
            if start < one.rows or number == len(self.plan.files) - 1:
                paths = self.request.files[number:]
                reader = self.request.reader
                return [partial(reader.open, paths[0], start), *(partial(reader.open, path) for path in paths[1:])]
            start -= one.rows
        return []


def check_folder(folder: Path, files: Sequence[str]) -> None:
    """Reject a folder that is a file, holds anything other than shards, or contains an input file."""
    if str(folder) == "-":
        raise OutputError("--shard writes a folder of parts, not standard output. Give one with --output.")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: this is a file. --shard writes a folder of parts: give one with --output.")
    if not folder.exists() and output_extension(str(folder)):
        raise OutputError(
            f"{folder}: this is a name of a file. --shard writes a folder of parts: give one with --output, and "
            f"join the parts afterwards: smalltext merge FOLDER --output {folder.name}"
        )
    if folder.is_dir() and not (folder / PLAN).exists() and any(path.name[0] != "." for path in folder.iterdir()):
        raise OutputError(
            f"{folder}: this folder holds something else. Choose a new one with --output, or one that the same "
            "command wrote."
        )
    inside = next((path for path in files if folder.resolve() in Path(path).resolve().parents), None)
    if inside is not None:
        raise OutputError(f"{folder}: the input {inside} is in this folder. Choose another one with --output.")


def missing_parts(folder: Path, plan: Plan) -> dict[Shard, list[Part]]:
    """Return the missing parts of each shard."""
    there = {path.name for path in folder.iterdir()}
    return {
        shard: [part for part in plan.parts(shard) if part.file_name not in there] for shard in plan.all_shards()
    }


def _without_file(folder: Path, parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not (folder / part.file_name).exists()]


def _consecutive(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Yield runs of consecutive parts."""
    run: list[Part] = []
    for part in parts:
        if run and run[-1].rows.stop != part.rows.start:
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _unwritable(folder: Path, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"{folder}: this could not be written ({error.strerror or error}). Choose another folder.")
