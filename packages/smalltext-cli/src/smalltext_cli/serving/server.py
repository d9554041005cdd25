"""The server: its socket, its signals, and its end."""

from __future__ import annotations

import math
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from smalltext_cli.console import UsageError

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep idle connections, so that none sends a request into one that is being closed."""

_LONGEST_HEADERS = 64 * 1024


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that connections can be made to; port 0 is a free one.

    UsageError is raised if the host is none of this machine, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"--host {host}: there is no such address ({error}). Give one of this machine, such as 127.0.0.1."
        ) from error
    # Of an explicit protocol: asyncio sends without delay (TCP_NODELAY) on connections of such sockets alone.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two processes have one port
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
    """Return the URL that a socket is reached by."""
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def run(app: Starlette, listener: socket.socket, *, seconds: float) -> None:
    """Serve until SIGTERM or SIGINT: then finish the requests that were accepted, for at most some seconds.

    A second SIGINT ends at once.
    """
    config = uvicorn.Config(
        app,
        # h11 limits the size of headers, and is what is tested, whatever else is installed.
        http="h11",
        h11_max_incomplete_event_size=_LONGEST_HEADERS,
        loop="asyncio",
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        log_level="critical",  # its other messages can hold a traceback, and so a text
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(seconds),
    )
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends well after a signal, which it does not raise again."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)
