"""Cells, each of which is one training run; results are stored in a folder by the hash of their inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import smalltext_core
from smalltext_cli import __version__
from smalltext_cli.console import InputFileError, OutputError
from smalltext_cli.writers import write_file

_FORMAT = 1
Result = dict[str, Any]
"""The measurements of a cell, or an ``error``, and the ``seconds`` that it took."""


@dataclass(frozen=True)
class Cell:
    """One training: its description and the inputs that determine its result.

    Parameters
    ----------
    about : dict
        A description for tables and files (classifier, repeat, ...), as JSON values.
    size : int
        The number of training texts, for time estimates.
    key : str
        The hash of everything that determines the result; see `cell_key`.
    request : callable
        Returns the input of the cell's process; only called when the cell runs, to save memory.
    """

    about: dict[str, Any]
    size: int
    key: str
    request: Callable[[], dict[str, Any]]


def cell_key(determining: Mapping[str, Any]) -> str:
    """Return the hash of everything that determines a result, including the versions of the packages involved.

    Examples
    --------
    >>> cell_key({"classifier": "sklearn"}) == cell_key({"classifier": "embeddings"})
    False
    """
    versions = {"format": _FORMAT, "core": smalltext_core.__version__, "cli": __version__}
    return digest({**determining, **versions})[:32]


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value, such as texts with their labels."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class CellFolder:
    """The results of cells in a folder, one file each; results of other data or settings are kept.

    Parameters
    ----------
    folder : Path
        The folder of the comparison: missing, empty, or of an earlier run.
    kind : str
        The name of the subfolder for the results.

    Raises
    ------
    OutputError
        If the folder is a file, or contains anything else.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self._cells = folder, folder / kind
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: this is a file. Give the path of a folder with --output.")
        if folder.is_dir() and any(folder.iterdir()) and not self._cells.is_dir():
            raise OutputError(
                f"{folder}: this folder holds something else. Choose a new folder with --output, or one that the "
                "same command wrote, to go on with it."
            )

    def create(self) -> None:
        """Create the folder, if it is missing."""
        self._cells.mkdir(parents=True, exist_ok=True)

    def load(self, key: str) -> Result | None:
        """Return the result of a cell; None if it has not finished.

        Raises
        ------
        InputFileError
            If its file is damaged.
        """
        path = self._cells / f"{key}.json"
        try:
            return dict(json.loads(path.read_bytes())["result"])
        except FileNotFoundError:
            return None
        except (ValueError, LookupError, TypeError) as error:
            raise InputFileError(str(path), "this is not the result of a cell", "Remove the file.") from error

    def keep(self, one: Cell, result: Result) -> None:
        """Write the result of a cell, atomically."""
        content = json.dumps({"cell": one.about, "result": result}, ensure_ascii=False, allow_nan=False)
        write_file(str(self._cells / f"{one.key}.json"), f"{content}\n".encode())
        self.rounds(one.key).unlink(missing_ok=True)

    def rounds(self, key: str) -> Path:
        """Return the file for the finished rounds of an unfinished simulation."""
        return self._cells / f"{key}.rounds.jsonl"
