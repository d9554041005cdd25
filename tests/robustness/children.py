"""Work in a forked child of the test, which may have less room or a disk of its own."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 1800
"""Seconds after which a child that does not come to its end is killed."""

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000


def in_a_child(work: Callable[[], Any]) -> Any:
    """Return what a function returns, or raises, in a child process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:  # whatever happens, the child must not go on with the tests of its parent
            signal.alarm(PATIENCE)
            os.write(write_end, _outcome(work))
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the child was killed"
    return pickle.loads(answer)


def _outcome(work: Callable[[], Any]) -> bytes:
    """Return what a function returns, or raises, as a pickle; an AssertionError in place of what has none."""
    try:
        answer = work()
    except BaseException as error:
        answer = error
    try:
        return pickle.dumps(answer)
    except Exception as error:
        return pickle.dumps(AssertionError(f"{answer!r} cannot be pickled: {error!r}"))


def limit_files(size: int) -> None:
    """Have every file of this process end at a size, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def mount(folder: Path, size: str) -> None:
    """Put an empty disk of a size where a folder is, for this process alone; OSError where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWNS | _CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for command in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]):
        if subprocess.run(["mount", *command], capture_output=True, check=False).returncode:
            raise OSError(f"mount {' '.join(command)}")


def protect(folder: Path) -> None:
    """Let nothing be written to a folder that `mount` made, not even by root."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def disks_can_be_mounted(folder: Path) -> bool:
    return not isinstance(in_a_child(lambda: mount(folder, "1m")), OSError)
