"""The common base of comparisons and simulations: classifiers, texts, cells, and result files."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from smalltext_cli.compare.candidates import Candidate, check_class_weights, chosen_candidates
from smalltext_cli.compare.cells import Cell, CellFolder, Result, digest
from smalltext_cli.compare.runner import run_cells
from smalltext_cli.compare.sampling import Texts, read_texts
from smalltext_cli.console import note
from smalltext_cli.readers import Reader
from smalltext_cli.writers import write_file

RESULTS, TABLE, REPORT = "results.json", "results.csv", "report.html"
"""The files that a study writes to its folder, in addition to its cells."""

Finished = list[tuple[dict[str, Any], Result]]
"""The description and the result of each cell, in the order of the cells."""


class Study(ABC):
    """A study of classifiers, whose options are checked before any data is read.

    `run` sets `texts`. Subclasses define the cells and summarise their results.

    Parameters
    ----------
    data : str
        The path of the labelled texts.
    reader : Reader
    output : Path
        The folder for finished cells and results.
    classifiers : str, optional
        Comma-separated names; by default all installed classifiers that need no settings.
    repeats : int, default=5
    settings : sequence of str
        Parameters such as ``setfit.model=./minilm``.
    metric : {"accuracy", "macro_f1"}, optional
        By default "accuracy", or "macro_f1" if multi-label.
    held_out : float, default=0.3
        The share of the texts to hold out for scoring.
    max_classes : int, optional
    seed : int, default=0
    device : str, optional

    Raises
    ------
    SmallTextError
        If options contradict one another, or do not fit the classifiers or the folder.
    """

    cells_folder: ClassVar[str]
    """The name of the subfolder for finished cells."""

    task: ClassVar[str]
    """The task of a cell's process; see `smalltext_cli.compare.worker`."""

    texts: Texts

    def __init__(
        self,
        data: str,
        reader: Reader,
        output: Path,
        *,
        classifiers: str | None = None,
        repeats: int = 5,
        settings: Sequence[str] = (),
        metric: str | None = None,
        held_out: float = 0.3,
        max_classes: int | None = None,
        seed: int = 0,
        device: str | None = None,
    ) -> None:
        self.kept = CellFolder(output, self.cells_folder)
        self.repeats, self.metric = repeats, metric or ("macro_f1" if reader.multi_label else "accuracy")
        self.multi_label, self.data, self.seed = reader.multi_label, data, seed
        self.candidates, left_out = chosen_candidates(
            classifiers, settings, multi_label=reader.multi_label, device=device
        )
        for sentence in left_out:
            note(sentence)
        self._reader, self._held_out, self._max_classes = reader, held_out, max_classes

    def run(self, *, jobs: int | None = None, backend: str | None = None, retry_failed: bool = False) -> None:
        """Run the missing cells, and write ``results.json`` and ``results.csv``.

        The parameters are those of `smalltext_cli.compare.runner.run_cells`: within a block of
        ``joblib.parallel_config``, its backend runs the cells.
        """
        self.texts = read_texts(
            self._reader, self.data, share=self._held_out, seed=self.seed, max_classes=self._max_classes
        )
        check_class_weights(self.candidates, self.texts.names)
        self._note_weights()
        self.prepare()
        cells = self.cells()
        results = run_cells(self.kept, cells, self.describe, jobs=jobs, backend=backend, retry_failed=retry_failed)
        finished = [(one.about, results[one.key]) for one in cells]
        self.summarise(finished)
        folder = self.kept.folder
        write_json(folder / RESULTS, {**self.shared_document(), **self.document(finished)})
        write_csv(folder / TABLE, *self.table(finished))

    def _note_weights(self) -> None:
        if self.texts.weights is None:
            return
        without = [one.name for one in self.candidates if not one.takes_weights]
        exceptions = f", except by {', '.join(without)}, which cannot use them" if without else ""
        note(f"the weights of the texts are used in training{exceptions}; scores are not weighted.")

    def training_parts(self, rows: Sequence[int]) -> dict[str, tuple[dict[str, Any], str]]:
        """Return the training texts of each classifier, weighted if possible, as JSON values, and their digest."""
        found = {}
        for weighted in {one.takes_weights for one in self.candidates}:
            part = self.texts.training_part(rows, weighted=weighted)
            found[weighted] = part, digest(part)
        return {one.name: found[one.takes_weights] for one in self.candidates}

    @abstractmethod
    def prepare(self) -> None:
        """Adapt the options to the texts that were read."""

    @abstractmethod
    def cells(self) -> list[Cell]:
        """Return the cells in the order in which they run."""

    @abstractmethod
    def describe(self, one: Cell, result: Result) -> str:
        """Return a line about a finished cell."""

    @abstractmethod
    def summarise(self, finished: Finished) -> None:
        """Summarise the results."""

    @abstractmethod
    def conclusion(self) -> str:
        """Return a conclusion of a few sentences."""

    @abstractmethod
    def document(self, finished: Finished) -> dict[str, Any]:
        """Return the content of ``results.json``, except for `shared_document`."""

    @abstractmethod
    def table(self, finished: Finished) -> tuple[Sequence[str], Finished]:
        """Return the columns and rows of ``results.csv``."""

    def determining(self, candidate: Candidate, seed: int) -> dict[str, Any]:
        """Return everything that determines the result of a cell, except its texts and what subclasses add."""
        return {
            "task": self.task,
            **candidate.as_dict(seed),
            "names": list(self.texts.names.names),
            "multi_label": self.multi_label,
        }

    def shared_document(self) -> dict[str, Any]:
        """Return the conclusion, the data and the settings, as JSON values."""
        texts = self.texts
        return {
            "conclusion": self.conclusion(),
            "metric": self.metric,
            "data": {
                "source": texts.source,
                "sha256": digest([list(texts.names.names), texts.part(range(len(texts.texts)))]),
                "texts": len(texts.texts),
                "classes": list(texts.names.names),
                "multi_label": texts.multi_label,
                "weighted": texts.weights is not None,
                "held_out_texts": len(texts.held_out),
                "held_out_rows": texts.held_out.tolist(),
            },
            "classifiers": [one.as_dict(self.seed) for one in self.candidates],
            "repeats": self.repeats,
            "seed": self.seed,
        }


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file atomically."""
    content = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_file(str(path), f"{content}\n".encode("utf-8", "replace"))


def write_csv(
    path: Path, columns: Sequence[str], cells: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    """Write a row for each cell, with empty fields for missing values."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for about, result in cells:
        writer.writerow({**about, **result})
    write_file(str(path), buffer.getvalue().encode("utf-8", "replace"))
