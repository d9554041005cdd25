"""Access control of requests, by Host header and API key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from smalltext_core.messages import shown

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

OPEN_PATHS = ("/health",)
"""Paths that need no API key, for health checks of an orchestrator."""


def is_loopback(address: str) -> bool:
    """Return whether an IP address is only reachable from this machine.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


class AccessMiddleware:
    """Rejects requests for another host with status 400, and requests without the API key with 401.

    A web page can make its own domain resolve to 127.0.0.1 and thereby send requests to a local service (DNS
    rebinding). The Host header of such requests still has that domain.

    Parameters
    ----------
    app : ASGI application
    allowed_hosts : iterable of str
        The host names and addresses that a Host header may name, with any port. An empty iterable allows all.
    api_key : str, optional
        The key that requests must send, as ``Authorization: Bearer KEY`` or as the password of basic
        authentication.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] = (), api_key: str | None = None) -> None:
        self._app = app
        self._hosts = {_canonical(host) for host in allowed_hosts}
        self._digest = None if api_key is None else _digest(api_key.encode("utf-8", "surrogateescape"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a request, or pass it on to the application."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            answer = self._refused_host(headers) or self._refused_key(scope["path"], headers)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refused_host(self, headers: Headers) -> JSONResponse | None:
        given = headers.get("host", "")
        if not self._hosts or _host_of(given) in self._hosts:
            return None
        message = (
            f"The Host header {shown(given, 80)} is not one of this service. Send requests to the address that it "
            "printed, or have it started with --allowed-host NAME."
        )
        return JSONResponse({"error": message}, 400)

    def _refused_key(self, path: str, headers: Headers) -> JSONResponse | None:
        if self._digest is None or path in OPEN_PATHS:
            return None
        # Digests have the same length, so that the comparison time reveals nothing about the key.
        if hmac.compare_digest(_digest(_given_key(headers.get("authorization", ""))), self._digest):
            return None
        message = "The API key is missing or wrong. Send it as the header Authorization: Bearer KEY."
        return JSONResponse({"error": message}, 401, {"WWW-Authenticate": 'Bearer, Basic realm="smalltext"'})


def _given_key(authorization: str) -> bytes:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.encode("latin-1")  # as headers are decoded
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except ValueError:  # also of characters that are not ASCII
            return b""
    return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key.strip()).digest()  # no header can hold a key that ends with a line break


def _host_of(header: str) -> str | None:
    """Return the host in a Host header, without its port; None if there is none."""
    try:
        found = urlsplit(f"//{header}")
        host, _ = found.hostname or "", found.port  # raise ValueError if malformed
    except ValueError:
        return None
    return _canonical(host) if found.netloc == header and found.username is None else None


def _canonical(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()
