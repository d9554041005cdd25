"""The server: its socket, signal handling, and shutdown."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from smalltext_cli.console import UsageError, ending_signals
from smalltext_cli.serving.batching import MODEL_THREAD

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep idle connections, so that they do not send requests into closing ones."""

_MAX_HEADER_BYTES = 64 * 1024

_MAX_OPEN_FILES = 65_536

_LAST_BATCH_SECONDS = 0.1
"""How long the end of the process waits for a batch whose requests have been answered."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free port.

    UsageError is raised if the host is not an address of this machine, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"--host {host}: there is no such address ({error}). Give one of this machine, such as 127.0.0.1."
        ) from error
    # The protocol is explicit, since asyncio only sets TCP_NODELAY on connections of such sockets.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows, it would let two processes use the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"--host {host} --port {port}: the service cannot listen there ({error}). Give an address of this "
            "machine, and another port; 0 takes a free one."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def run(app: Starlette, listener: socket.socket, *, seconds: float) -> None:
    """Serve until SIGTERM, SIGHUP or SIGINT, then finish accepted requests for at most the given seconds.

    A second SIGINT ends the server immediately. The process may open as many files, and so connections, as the
    hard limit allows.
    """
    _raise_limit_of_open_files()
    config = uvicorn.Config(
        app,
        # Always use h11, which limits the size of headers, and which the tests cover.
        http="h11",
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
        loop="asyncio",
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="critical",  # other messages can contain a traceback with a text
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(seconds),
    )
    _Server(config).run(sockets=[listener])


def _raise_limit_of_open_files() -> None:
    if sys.platform != "win32":
        import resource

        unlimited = resource.RLIM_INFINITY
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MAX_OPEN_FILES if hard == unlimited else min(hard, _MAX_OPEN_FILES)
        if soft not in (unlimited, hard) and soft < most:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def leave_batch() -> None:
    """End the process with exit code 0, without the interpreter's cleanup, if a batch is still being predicted.

    Otherwise the interpreter ends the thread within a library. If this is C++, such as torch, the process aborts.
    """
    for thread in threading.enumerate():
        if thread.name == MODEL_THREAD:
            thread.join(_LAST_BATCH_SECONDS)
            if thread.is_alive():
                with suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(0)


class _Server(uvicorn.Server):
    """A server that exits normally after a signal, without raising it again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, *ending_signals())}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)
