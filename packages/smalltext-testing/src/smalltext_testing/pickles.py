"""Finding pickles by their content, whatever the file is called: loading one runs whatever it says."""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path

import numpy as np

_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle")
_RUNS_CODE = {"GLOBAL", "STACK_GLOBAL", "REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"}


def pickles_in(folder: Path) -> list[str]:
    """Return the files below a folder that are pickles or hold one, as "name (how it was told)"."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            sign = sign_of_pickle(name, path.read_bytes())
            if sign:
                found.append(f"{name} ({sign})")
    return found


def sign_of_pickle(name: str, content: bytes) -> str:
    """Return how one can tell that a file is a pickle or holds one; an empty string if one cannot.

    Examples
    --------
    >>> import pickle
    >>> sign_of_pickle("model.bin", pickle.dumps([1, 2]))
    'a pickle stream'
    >>> sign_of_pickle("vocabulary.json", b'{"a": 1}')
    ''
    """
    if name.lower().endswith(_SUFFIXES):
        return "by its name"
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                sign = sign_of_pickle(member, archive.read(member))
                if sign:
                    return f"holds {member}, {sign}"
        return ""
    if content.startswith(b"\x93NUMPY"):
        return "an array of Python objects" if _holds_objects(content) else ""
    return "a pickle stream" if _is_pickle(content) else ""


def _holds_objects(content: bytes) -> bool:
    try:
        np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return True
    return False


def _is_pickle(content: bytes) -> bool:
    """Tell whether content begins with a complete pickle of protocol 2 or later, or is one that runs code."""
    names, end = set(), 0
    try:
        for opcode, _, position in pickletools.genops(content):
            names.add(opcode.name)
            end = (position or 0) + 1
    except Exception:
        return False
    return "PROTO" in names or (end == len(content.rstrip()) and bool(names & _RUNS_CODE))
