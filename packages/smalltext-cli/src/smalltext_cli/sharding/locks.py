"""Folders used by one process at a time; what a killed process leaves behind is removed by the next one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    fcntl = None
else:
    import fcntl


class FolderInUseError(Exception):
    """Another process is using a folder."""


@contextmanager
def exclusive_folder(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Create a folder, lock it for the block, and remove it at the end; existing content is removed first.

    The lock is that of flock(2), which is released when the process ends. On file systems without it, several
    processes may enter, existing content is not removed, and code in the block must not rely on exclusive use.

    Raises
    ------
    FolderInUseError
        If another process holds the lock, unless `wait`.
    """
    descriptor, is_locked = _locked(folder, wait=wait)
    try:
        if is_locked:
            for path in folder.iterdir():
                _remove(path)
        yield
    finally:
        if is_locked:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with suppress(OSError):
                folder.rmdir()
        if descriptor is not None:
            os.close(descriptor)


def _locked(folder: Path, *, wait: bool) -> tuple[int | None, bool]:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            return None, False
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # removed by its owner in the meantime
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise FolderInUseError(str(folder)) from None
        except OSError:  # the file system has no locks
            return descriptor, False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                return descriptor, True
        os.close(descriptor)  # its owner removed it before it could be locked


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
