"""What attacks on saved models share: a payload that leaves a marker, and manifests that vouch for it."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import MANIFEST


class Payload:
    """Creates a marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.marker, "w")


def payload_pickle(marker: Path) -> bytes:
    """Return a pickle that creates the marker."""
    return pickle.dumps(Payload(marker))


def payload_module(folder: Path, marker: Path, name: str = "payload_module") -> str:
    """Write a module that creates the marker when it is imported, and return its name.

    It has a class `Payload` for whatever is to be called.
    """
    source = f"open({str(marker)!r}, 'w').close()\n\n\nclass Payload:\n    def __init__(self, *_, **__): pass\n"
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return name


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Replace the content of a JSON file by what `change` returns, or changed in place and returns nothing."""
    content = json.loads(path.read_bytes())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed), encoding="utf-8")


def sign(folder: Path, *, encoder: bool = False) -> None:
    """Make the manifest of a saved model vouch for all files that are in the folder now, also for an encoder."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["files"] = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != path
    }
    if encoder:
        inside = (name.partition("/")[2] for name in manifest["files"] if name.startswith("encoder/"))
        manifest["parameters"]["encoder"]["files"] = sorted(inside)
    path.write_text(json.dumps(manifest), encoding="utf-8")


@contextmanager
def refused(marker: Path) -> Iterator[pytest.ExceptionInfo[ModelFolderError]]:
    """Assert that what is done in the block raises ModelFolderError, and that the payload did not run."""
    with pytest.raises(ModelFolderError) as error:
        yield error
    assert not marker.exists(), "the payload ran"
