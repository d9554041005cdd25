"""Folders that appear whole or not at all.

A folder is written beside its final place and then put there in one step. Where the operating system can
exchange two folders (Linux and macOS), a reader sees the old one or the new one at every moment, even if
the process is killed; elsewhere there is a moment between two renames, undone if the second one fails.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux: renameat2(2)
_RENAME_SWAP = 2  # macOS: renamex_np(2)


@contextmanager
def staged_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder to write into, and put it in the place of `target` at the end.

    If the block raises, `target` stays what it was and nothing is left behind. What `target` held before
    is removed once the new folder is in place.

    Parameters
    ----------
    target : path
        Where the folder is to be: a folder, which may exist, or a link to one. Its parents are made.

    Yields
    ------
    Path
        The folder to write into, on the same file system.
    """
    target = Path(target).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    try:
        staging = room / target.name
        staging.mkdir()
        yield staging
        for path in (staging, *staging.rglob("*")):
            if path.is_dir() or path.is_file():
                _flush(path)
        replace_folder(staging, target)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def replace_folder(source: Path, target: Path) -> None:
    """Put `source` where `target` is; afterwards `source` holds what `target` held, if it existed."""
    if not target.exists():
        source.rename(target)
    elif not target.is_dir():
        raise NotADirectoryError(f"{target} is not a folder, so no folder takes its place.")
    elif not _exchange(source, target):
        old = source.with_name(f"{source.name}.old")
        target.rename(old)
        try:
            source.rename(target)
        except BaseException:
            old.rename(target)
            raise
        old.rename(source)
    _flush(target.parent)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step; False where the system or the file system cannot."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            arguments = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
            return bool(libc.renameat2(*arguments) == 0)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(os.fsencode(one), os.fsencode(other), _RENAME_SWAP) == 0)
    except (AttributeError, OSError, TypeError):
        return False
    return False


def _flush(path: Path) -> None:
    """Write a file, or the entries of a folder, through to the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
