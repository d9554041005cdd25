"""Run functions in a forked child process, which may have a file size limit or a separate disk."""

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
"""Seconds after which a child that does not end is killed."""

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000


def in_a_child(work: Callable[[], Any]) -> Any:
    """Return the return value or the exception of a function in a child process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:  # in any case, the child must not continue the tests of its parent
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
    """Return a pickle of the result or exception of a function; of an AssertionError if it cannot be pickled."""
    try:
        answer = work()
    except BaseException as error:
        answer = error
    try:
        return pickle.dumps(answer)
    except Exception as error:
        return pickle.dumps(AssertionError(f"{answer!r} cannot be pickled: {error!r}"))


def limit_files(size: int) -> None:
    """Limit the size of every file of this process, to simulate a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def give_up_root() -> None:
    """Act as a user whom permissions bind, also if the tests run as root."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def mount(folder: Path, size: str) -> None:
    """Mount an empty disk at a folder, for this process only; OSError if that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWNS | _CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for command in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]):
        if subprocess.run(["mount", *command], capture_output=True, check=False).returncode:
            raise OSError(f"mount {' '.join(command)}")


def protect(folder: Path) -> None:
    """Make a folder of `mount` read-only, also for root."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def disks_can_be_mounted(folder: Path) -> bool:
    return not isinstance(in_a_child(lambda: mount(folder, "1m")), OSError)
