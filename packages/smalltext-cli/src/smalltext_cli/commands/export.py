"""``smalltext export``: write a trained model in a format that runs without the library that trained it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from smalltext_cli import commands
from smalltext_cli.console import (
    OutputError,
    UsageError,
    jsonable,
    print_json,
    print_line,
    print_message,
    set_verbosity,
    working,
)
from smalltext_core.atomic import expanded

if TYPE_CHECKING:
    from smalltext_core.saving import Manifest

ExportFormat = Literal["onnx"]

_PACKAGES = {"onnx": "smalltext-onnx"}
"""The package that writes each format, with its extra export."""


def export(
    model: commands.ModelFolder,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="The folder to write, which predict, evaluate and info accept like any other model.",
            show_default=False,
            callback=expanded,
        ),
    ],
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="The format to export to; onnx runs with onnxruntime.")
    ] = "onnx",
    opset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The ONNX opset version, 14 to 20; by default 17. Older runtimes need a lower one.",
            show_default=False,
        ),
    ] = None,
    overwrite: commands.Overwrite = True,
    trust: commands.Trust = None,
    as_json: commands.AsJson = False,
    quiet: commands.Quiet = False,
    verbose: commands.Verbose = False,
) -> None:
    """Export a model so that it runs without torch.

    Models of transformers and setfit, and of embeddings with a sentence transformer, become an ONNX graph that
    includes calibration, a tokenizer.json, and a JSON file with labels and thresholds. Before the exported model
    is written, it is compared with the original on texts of many scripts and lengths. To run it, install
    smalltext-cli and smalltext-onnx: neither torch nor transformers is needed.

    Examples
    --------
        smalltext export model --format onnx --output exported

        smalltext predict exported new.csv --output labelled.csv
    """
    from smalltext_cli.evaluation import load_model
    from smalltext_core.saving import check_destination, save_with_files

    set_verbosity(quiet=quiet, verbose=verbose)
    exporter = _exporter(file_format)
    _check_place(output, model, overwrite=overwrite)
    check_destination(output)
    is_replaced = output.is_dir() and any(output.iterdir())
    with working(f"Loading {model} ..."):
        loaded = load_model(model, trusted=trust)
    begin = time.perf_counter()
    with working("Exporting ..."):
        exported = exporter(loaded.classifier, **({} if opset is None else {"opset": opset}))
        save_with_files(exported, output, _records(model, loaded.manifest))
    facts = {
        "model": str(output),
        "format": file_format,
        "exported_from": loaded.manifest.classifier,
        "bytes": sum(path.stat().st_size for path in output.rglob("*") if path.is_file()),
        "seconds": round(time.perf_counter() - begin, 3),
        **_exported(exported),
    }
    if as_json:
        print_json(jsonable(facts))
    else:
        _show(facts, is_replaced=is_replaced)


def _exporter(file_format: ExportFormat) -> Any:
    """Return the function that exports a fitted classifier.

    UsageError, with the install command, is raised if the package of the format is missing.
    """
    from smalltext_core import classifier_spec
    from smalltext_core.errors import UnknownClassifierError
    from smalltext_core.messages import install_command

    package = _PACKAGES[file_format]
    try:
        spec = classifier_spec(f"{package}:{file_format}")
    except UnknownClassifierError as error:
        command = install_command(f"{package}[export]")
        raise UsageError(
            f"--format {file_format} needs a package that is not installed. Install it: {command}"
        ) from error
    return spec.resolve("classifier").from_classifier


def _check_place(output: Path, model: str, *, overwrite: bool) -> None:
    """Reject the folder of the model itself, and without `overwrite` any folder that is not empty."""
    if output.resolve() == Path(model).resolve():
        raise OutputError(f"{output}: this is the model that is exported. Choose another folder.")
    if not overwrite and output.is_dir() and any(output.iterdir()):
        raise OutputError(f"{output}: it already exists. Choose another folder, or leave out --no-clobber.")


def _records(model: str, manifest: Manifest) -> dict[str, bytes]:
    """Return the records of `train` in the model folder, which apply to the exported model, too."""
    from smalltext_cli.training_record import SCORES, TRAINING
    from smalltext_cli.training_texts import TRAINING_TEXTS

    known = [name for name in (TRAINING_TEXTS, TRAINING, SCORES) if name in manifest.files]
    return {name: Path(model, name).read_bytes() for name in known}


def _exported(exported: Any) -> dict[str, Any]:
    """Return the information of the exported model about the export, if there is any."""
    recorded = getattr(getattr(exported, "settings", None), "export", {})
    return {name: recorded[name] for name in ("opset", "largest_difference") if name in recorded}


def _show(facts: dict[str, Any], *, is_replaced: bool) -> None:
    print_line(f"Exported {facts['exported_from']} to {facts['format']} in {facts['seconds']:.1f} s")
    if "largest_difference" in facts:
        print_line(f"Largest difference between probabilities on sample texts: {facts['largest_difference']:.1g}")
    replaced = " (replaced the one that was there)" if is_replaced else ""
    print_line(f"Model: {facts['model']}, {facts['bytes'] / 1e6:,.1f} MB{replaced}")
    print_message(f"Label texts with it, without torch: smalltext predict {facts['model']} DATA")
