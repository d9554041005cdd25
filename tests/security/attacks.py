"""The common parts of attacks on saved models: a payload that creates a marker, and manifests with its hashes."""

from __future__ import annotations

import base64
import hashlib
import json
import pickle
import string
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import MANIFEST


def _sequence(*steps: Any) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(steps)}


def _replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


_CHARSMAP = (0).to_bytes(4, "little") + b"a" * 20_000 + b"\0"
_LONGEST_OF_NFKC = unicodedata.normalize("NFKC", "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}")
_SOUND_CHARSMAP = (1024).to_bytes(4, "little") + bytes(1024) + _LONGEST_OF_NFKC.encode() + b"\0"
_TEXT, _MARK = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "mark", "type_id": 0}}
_MARKS = {"mark": {"id": "mark", "ids": [0] * 200, "tokens": ["mark"] * 200}}

LENGTHENING_NORMALIZERS: dict[str, Any] = {
    "replacements that grow": _sequence(*[_replace({"String": "a"}, "a" * 10)] * 5),
    "replacements that take turns": _sequence(
        *[_replace({"String": "a"}, "bb"), _replace({"String": "b"}, "aa")] * 8
    ),
    "an empty pattern": _sequence(*[_replace({"String": ""}, "a")] * 15),
    "a pattern between characters": _sequence(*[_replace({"Regex": "(?=.)"}, "a")] * 15),
    "one character that is decomposed": _sequence(
        *[_replace({"Regex": "."}, "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}"), {"type": "NFKD"}] * 4
    ),
    "bytes of bytes": _sequence(*[{"type": "ByteLevel"}] * 15),
    "a map of characters": {
        "type": "Precompiled",
        "precompiled_charsmap": base64.b64encode(_CHARSMAP).decode(),
    },
    "steps without their type": {"normalizers": [{"pattern": {"String": "a"}, "content": "a" * 10}] * 5},
    "lists in place of objects": [[[{"String": "a"}, "a" * 10]] * 5],
    "a list in place of a step": ["a" * 20_000],
}
"""Normalizers of a tokenizer.json that make a text more than ten thousand times as long."""

LENGTHENING_PROCESSORS: dict[str, Any] = {
    "many special tokens": {
        "type": "TemplateProcessing",
        "single": [_TEXT, *[_MARK] * 100],
        "pair": [_TEXT],
        "special_tokens": _MARKS,
    },
    "lists in place of objects": [[_TEXT, *[_MARK] * 100], [_TEXT], _MARKS],
}
"""Post-processors that add more than ten thousand tokens to a text."""

SOUND_NORMALIZERS: dict[str, Any] = {
    "none": None,
    "of BERT, with spaces around punctuation": _sequence(  # as written by model2vec
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
        *[_replace({"String": mark}, f" {mark} ") for mark in string.punctuation],
        _replace({"Regex": r"\s+"}, " "),
        {"type": "Strip", "strip_left": False, "strip_right": True},
    ),
    "of ALBERT": _sequence(
        _replace({"String": "``"}, '"'),
        *[{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}],
        {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(_SOUND_CHARSMAP).decode()},
        _replace({"Regex": " {2,}"}, "\N{LOWER ONE EIGHTH BLOCK}"),
    ),
}
"""Normalizers of well-known models."""


class Payload:
    """Creates a marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (self.marker, "w")


def payload_pickle(marker: Path) -> bytes:
    """Return a pickle that creates the marker when it is loaded."""
    return pickle.dumps(Payload(marker))


def payload_module(folder: Path, marker: Path, name: str = "payload_module") -> str:
    """Write a module that creates the marker when it is imported, and return its name.

    Its class `Payload` can be called.
    """
    source = f"open({str(marker)!r}, 'w').close()\n\n\nclass Payload:\n    def __init__(self, *_, **__): pass\n"
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return name


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Replace the content of a JSON file by what `change` returns, or, if that is None, by the changed content."""
    content = json.loads(path.read_bytes())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed), encoding="utf-8")


def sign(folder: Path, *, encoder: bool = False) -> None:
    """Update the manifest of a saved model to the current files of the folder, including those of an encoder."""
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
    """Assert that the block raises ModelFolderError, and that the payload did not run."""
    with pytest.raises(ModelFolderError) as error:
        yield error
    assert not marker.exists(), "the payload ran"
