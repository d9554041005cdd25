"""The arguments and options that `smalltext compare` and `smalltext simulate` share, and how they are run."""

from __future__ import annotations

import functools
import inspect
import json
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

import typer

from smalltext_cli import commands, completion
from smalltext_cli.console import print_json, print_message, set_verbosity

if TYPE_CHECKING:
    from smalltext_cli.compare.study import Study

P = ParamSpec("P")
S = TypeVar("S", bound="Study")

Folder = typing.Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="The folder for finished runs, report.html, results.json and results.csv.",
        show_default=False,
        callback=commands.expanded,
    ),
]
Classifiers = typing.Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="The classifiers, comma-separated; by default all installed ones that need no settings.",
        show_default=False,
        autocompletion=completion.listed_classifiers,
    ),
]
NamedSettings = typing.Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME.KEY=VALUE",
        help="A parameter of one classifier, such as setfit.model=./minilm. Repeat for several.",
        show_default=False,
        autocompletion=completion.named_settings,
    ),
]
Repeats = typing.Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        max=1000,
        help="The number of repetitions, each with other training texts; intervals need at least two.",
    ),
]
Metric = typing.Annotated[
    Literal["accuracy", "macro-f1"] | None,
    typer.Option(
        "--metric",
        help="The metric to compare by. By default accuracy; macro-f1 with --multi-label.",
        show_default=False,
    ),
]
HeldOut = typing.Annotated[
    float,
    typer.Option(
        metavar="SHARE", min=0.01, max=0.9, help="The share of DATA to hold out for scoring, at most 2,000 texts."
    ),
]
Seed = typing.Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="The random state of splitting, sampling and training."),
]
Jobs = typing.Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="The number of runs in parallel. By default one; with dask and ray, one per core.",
        show_default=False,
    ),
]
ParallelBackend = typing.Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The joblib backend that distributes the runs: loky, threading, dask or ray.",
        show_default=False,
    ),
]
RetryFailed = typing.Annotated[
    bool, typer.Option("--retry-failed", metavar="", help="Repeat runs that failed earlier.")
]


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """The arguments and options of a study, as fields with defaults."""

    data: commands.LabelledData
    output: Folder
    classifiers: Classifiers = None
    repeats: Repeats = 5
    settings: NamedSettings = None
    metric: Metric = None
    text_column: commands.TextColumn = "text"
    label_column: commands.LabelColumn = "label"
    weight_column: commands.WeightColumn = None
    multi_label: commands.MultiLabel = False
    max_classes: commands.MaxClasses = None
    skip_unlabelled: commands.SkipUnlabelled = False
    separator: commands.Separator = None
    file_format: commands.Format = None
    quoting: commands.QuotingOption = None
    sheet: commands.Sheet = None
    held_out: HeldOut = 0.3
    seed: Seed = 0
    device: commands.Device = None
    jobs: Jobs = None
    parallel_backend: ParallelBackend = None
    retry_failed: RetryFailed = False
    as_json: commands.AsJson = False
    quiet: commands.Quiet = False

    def new(self, kind: Callable[..., S], message: str, **more: Any) -> S:
        """Create a study and print what it does; `more` are the parameters specific to its kind."""
        from smalltext_cli.readers import Reader

        set_verbosity(quiet=self.quiet)
        print_message(f"{message} {self.data} ...")
        return kind(
            self.data,
            Reader(
                *(self.text_column, self.label_column, self.weight_column, self.multi_label),
                *(self.separator, self.file_format, self.quoting),
                sheet=self.sheet,
                unlabelled="skip" if self.skip_unlabelled else "refuse",
            ),
            self.output,
            classifiers=self.classifiers,
            repeats=self.repeats,
            settings=self.settings or [],
            metric=None if self.metric is None else self.metric.replace("-", "_"),
            held_out=self.held_out,
            max_classes=self.max_classes,
            seed=self.seed,
            device=self.device,
            **more,
        )

    def run(self, study: S, page: Callable[[S], str], show: Callable[[S], None]) -> None:
        """Run a study, write its report, and show its results."""
        from smalltext_cli.compare.study import REPORT, RESULTS
        from smalltext_cli.writers import write_file

        with _kept_if_interrupted(study.kept.folder):
            study.run(jobs=self.jobs, backend=self.parallel_backend, retry_failed=self.retry_failed)
            write_file(str(self.output / REPORT), page(study).encode())
        if self.as_json:
            print_json(json.loads((self.output / RESULTS).read_text(encoding="utf-8")))
        else:
            show(study)


def with_study_options(command: Callable[Concatenate[StudyOptions, P], None]) -> Callable[..., None]:
    """Return a command with the shared options and the function's own ones after its first parameter."""
    shared = {field.name: field for field in fields(StudyOptions)}
    types = typing.get_type_hints(StudyOptions, include_extras=True)
    own_types = typing.get_type_hints(command, include_extras=True, localns={"StudyOptions": StudyOptions})

    @functools.wraps(command)
    def run(**given: Any) -> None:
        options = StudyOptions(**{name: given.pop(name) for name in shared})
        command(options, **given)  # type: ignore[call-arg]

    own = [
        one.replace(annotation=own_types[one.name])
        for one in list(inspect.signature(command).parameters.values())[1:]
    ]
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if name in ("data", "output") else field.default,
            annotation=types[name],
        )
        for name, field in shared.items()
    ]
    place = list(shared).index("repeats")
    merged = [*parameters[:place], *own, *parameters[place:]]
    run.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in merged}
    return run


@contextmanager
def _kept_if_interrupted(folder: Path) -> Iterator[None]:
    """Print what is kept if the block is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        print_message(f"Finished training runs are kept in {folder}; the same command resumes from there.")
        raise
