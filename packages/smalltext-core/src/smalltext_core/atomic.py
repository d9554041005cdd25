"""Paths, and folders that are replaced atomically.

A folder is written next to its destination and then moved there. On systems that can exchange two folders (Linux
and macOS), a reader always sees either the old folder or the new one, even if the process is killed. On others,
there is a short gap between two renames, and the first one is undone if the second one fails.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_AT_FDCWD = -100
_SWAP = 2  # RENAME_EXCHANGE of renameat2(2) on Linux, RENAME_SWAP of renamex_np(2) on macOS

T = TypeVar("T", str, Path, "str | Path", "str | Path | None")


def expanded(path: T) -> T:
    """Replace ``~`` at the beginning of a path by the home directory; return anything else unchanged.

    Examples
    --------
    >>> expanded("models/spam"), expanded(None)
    ('models/spam', None)
    """
    if isinstance(path, (str, Path)) and str(path).startswith("~"):
        with suppress(RuntimeError):
            return type(path)(Path(path).expanduser())
    return path


def as_path(path: object, argument: str = "folder") -> Path:
    """Return a path as a Path with ``~`` expanded; InvalidInputError if no file can have this name."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidInputError(argument, shown(path), "a path")
    try:
        found = expanded(Path(path))
        found.stat()
    except (TypeError, ValueError) as error:  # a path of bytes; a NUL, or half of a surrogate pair
        raise InvalidInputError(argument, shown(str(path)), "a path", f"{error}.") from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise InvalidInputError(argument, shown(str(path)), "a path", f"{error.strerror}.") from error
    return found


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """Yield a path for libraries that open only paths in UTF-8; to any other path, it leads through a link."""
    with ExitStack() as stack:
        try:
            str(path.absolute()).encode()
        except UnicodeEncodeError:
            link = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smalltext-")), "content")
            link.symlink_to(path.absolute(), target_is_directory=path.is_dir())
            path = link
        yield path


@contextmanager
def staged_folder(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder to write into, and replace `target` by it at the end.

    `target` is a folder, which may exist, or a link to one; its parents are created. If the block raises, nothing
    changes.
    """
    target = as_path(target).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target) as temporary:
        staging = temporary / target.name
        staging.mkdir()
        yield staging
        for path in (staging, *staging.rglob("*")):
            if path.is_dir() or path.is_file():
                _flush(path)
        replace_folder(staging, target)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield a hidden folder next to a path, which is removed at the end.

    It is locked until then if the system supports it. Folders left behind by killed processes are removed.
    """
    prefix = os.fsdecode(b".%b." % os.fsencode(target.name)[:200])
    _remove_leftovers(prefix, target.parent)
    folder, lock = _locked_folder(prefix, target.parent)
    with ExitStack() as stack:  # releases the lock also if Ctrl-C ends the removal
        if lock is not None:
            stack.callback(os.close, lock)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def _remove_leftovers(prefix: str, parent: Path) -> None:
    for path in parent.iterdir():
        if re.fullmatch(rf"{re.escape(prefix)}\w{{8}}\.tmp", path.name):
            lock = _lock(path)
            if lock is not None:
                with ExitStack() as stack:
                    stack.callback(os.close, lock)
                    shutil.rmtree(path, ignore_errors=True)


def _locked_folder(prefix: str, parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".tmp", dir=parent))
        lock = _lock(folder, wait=True)
        if folder.exists():
            return folder, lock
        if lock is not None:  # another process removed the folder before it was locked
            os.close(lock)


def _lock(folder: Path, *, wait: bool = False) -> int | None:
    """Lock a folder until the returned descriptor is closed; None if another process holds the lock."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def replace_folder(source: Path, target: Path) -> None:
    """Move `source` to `target`; if `target` existed, its old content is at `source` afterwards."""
    if not target.exists():
        source.rename(target)
    elif not target.is_dir():
        raise NotADirectoryError(f"{target} is not a folder, so it is not replaced by one.")
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
    """Swap two paths atomically; return False if the system or the file system does not support it."""
    try:
        libc = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(os.fsencode(one), os.fsencode(other), _SWAP) == 0)
        return bool(libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _SWAP) == 0)
    except (AttributeError, OSError, TypeError):
        return False


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk if the system supports it."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
