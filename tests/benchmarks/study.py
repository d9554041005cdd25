"""Studies: many measurements, each saved immediately, so that an interrupted study can be resumed.

A script makes the measurements of each group in a new process. Measurements that were made with
other versions of the packages that the study names are repeated.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

Measurement = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """The measurements of one process: their common settings, and their seeds."""

    settings: Mapping[str, Any]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Study:
    """A set of measurements, their script, and the resulting tables.

    The script gets a folder for its data, and a group as JSON, with the remaining seeds. It
    prints a line of JSON for each seed. The argument of `groups` is whether the run is a quick one.
    """

    name: str
    script: str
    groups: Callable[[bool], Iterable[Group]]
    tables: Callable[[list[Measurement]], str]
    libraries: tuple[str, ...]


def conduct(study: Study, results: Path, *, quick: bool = False) -> Path:
    """Make the missing measurements; return the file of tables, which is written after each group."""
    folder = results / study.name
    folder.mkdir(parents=True, exist_ok=True)
    kept, tables = folder / "measurements.jsonl", results / f"{study.name}.md"
    versions = {name: metadata.version(name) for name in study.libraries}
    groups = list(study.groups(quick))
    for group in groups:
        present = _present(kept, versions, [group])
        missing = [seed for seed in group.seeds if seed not in {each["seed"] for each in present}]
        if missing:
            _measure(study, folder, Group(group.settings, tuple(missing)), versions, kept)
            tables.write_text(study.tables(_present(kept, versions, groups)) + "\n", encoding="utf-8")
    tables.write_text(study.tables(_present(kept, versions, groups)) + "\n", encoding="utf-8")
    return tables


def _present(kept: Path, versions: Mapping[str, str], groups: list[Group]) -> list[Measurement]:
    if not kept.is_file():
        return []
    found = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
    return [
        each for each in found if each["versions"] == versions and any(_is_of(each, group) for group in groups)
    ]


def _is_of(measurement: Measurement, group: Group) -> bool:
    return measurement["seed"] in group.seeds and measurement.items() >= group.settings.items()


def _measure(study: Study, folder: Path, group: Group, versions: Mapping[str, str], kept: Path) -> None:
    described = json.dumps({**group.settings, "seeds": group.seeds})
    command = [sys.executable, str(Path(__file__).with_name(study.script)), str(folder), described]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            measured = json.loads(line)
            print(f"  {study.name}: {line.strip()}", file=sys.stderr, flush=True)
            record = {**group.settings, **measured, "versions": versions, "date": time.strftime("%Y-%m-%d")}
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
    if process.returncode:
        print(f"  {study.name}: FAILED, {described}", file=sys.stderr, flush=True)
