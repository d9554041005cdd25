"""Change one value in one JSON file of a saved model, and update the hashes."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from security.attacks import sign
from smalltext_core.saving import MANIFEST

JUNK = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 1000, 2**31, 2**63, -(2**40), 10**30, 0.5, -1.5, 1e-300, 1e308),
    *("", " ", "a", "0", "none", "cpu", "null", "True", "../..", "\x00", "\ud800", "\x1b[2J", "x" * 5000, "數據"),
    *([], [None], [[]], [1, 2, 3], ["a", "b"], {}, {"a": 1}, {"": None}),
)


def damage(folder: Path, seed: int) -> str:
    """Change one random value in one random JSON file, update the hashes, and return a description of the change.

    JSON files in archives are included. Hashes are not among the changed values: the reading of models is tested,
    not the verification of hashes.
    """
    rng = random.Random(seed)
    name, content, write = rng.choice([document for document in _documents(folder) if document[1]])
    way = rng.choice([way for way in _ways(content) if not (name == MANIFEST and way[:1] == ("files",))])
    done = _change(content, way, rng)
    write(content)
    if name != MANIFEST:
        sign(folder)
    return f"{name}: {done} at {way}"


def _documents(folder: Path) -> Iterator[tuple[str, Any, Callable[[Any], Any]]]:
    """Yield the name, the content and a writing function of each JSON file of a folder."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            yield path.relative_to(folder).as_posix(), json.loads(path.read_bytes()), _file_writer(path)
        elif path.suffix == ".skops":
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    if member.endswith(".json"):
                        yield f"{path.name}/{member}", json.loads(archive.read(member)), _zip_writer(path, member)


def _as_bytes(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _file_writer(path: Path) -> Callable[[Any], Any]:
    return lambda content: path.write_bytes(_as_bytes(content))


def _zip_writer(path: Path, member: str) -> Callable[[Any], None]:
    def write(content: Any) -> None:
        target = io.BytesIO()
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, _as_bytes(content) if name == member else old.read(name))
        path.write_bytes(target.getvalue())

    return write


def _ways(content: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in a document."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    found = []
    for key, value in entries:
        found.append((*way, key))
        if isinstance(value, (dict, list)):
            found += _ways(value, (*way, key))
    return found


def _change(content: Any, way: tuple[Any, ...], rng: random.Random) -> str:
    """Change the value at a path to another or a similar one, remove it, duplicate it, or add one next to it."""
    place = content
    for key in way[:-1]:
        place = place[key]
    last = way[-1]
    kind = rng.choice(["junk", "junk", "near", "near", "gone", "twin", "more"])
    value = place[last]
    if kind == "near":
        place[last] = _near(value, rng)
    elif kind == "gone":
        del place[last]
    elif kind == "twin":
        others = list(place.values()) if isinstance(place, dict) else list(place)
        place[last] = rng.choice(others)
    elif kind == "more" and isinstance(place, dict):
        place[rng.choice(["dtype", "num_labels", "model_type", "n_jobs", "x", "__id__"])] = rng.choice(JUNK)
    elif kind == "more":
        place.insert(last, rng.choice(JUNK))
    else:
        place[last] = rng.choice(JUNK)
    return kind


def _near(value: Any, rng: random.Random) -> Any:
    """Return a value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, value * 10, value * 10**6])
    if isinstance(value, float):
        return rng.choice([value + 1, -value, value * 1e6, value / 1e6])
    if isinstance(value, str):
        return rng.choice([value[:-1], value + "x", value.upper(), value[::-1], value * 2])
    if isinstance(value, list):
        return rng.choice([value[:-1], value + value, value[::-1], [value]])
    return rng.choice([{}, None, {"a": value}])
