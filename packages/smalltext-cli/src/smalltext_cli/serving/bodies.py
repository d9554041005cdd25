"""Request bodies, read up to a limit as strict JSON, with one-sentence error messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from starlette.requests import ClientDisconnect, Request

from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown


class RefusedError(Exception):
    """A rejected request, with the status, message and additional headers of the response."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(frozen=True)
class Limits:
    """The limits on the content and duration of a request.

    Parameters
    ----------
    body_bytes : int, default=2,000,000
        The maximum size of a body.
    texts : int, default=1,000
        The maximum number of texts in a request.
    text_length : int, default=100,000
        The maximum length of a text in characters.
    requests : int, default=256
        The maximum number of concurrent requests; further ones are rejected.
    seconds : float, default=30.0
        The time limit for receiving the body, and then for the prediction.
    """

    body_bytes: int = 2_000_000
    texts: int = 1_000
    text_length: int = 100_000
    requests: int = 256
    seconds: float = 30.0


async def read_json(request: Request, limits: Limits) -> object:
    """Return the body of a request as JSON values.

    Raises
    ------
    RefusedError
        With status 415 if the body is not declared as JSON, 413 if it is too large, 408 if it does not arrive in
        time, and 422 if it is not JSON.
    """
    _check_headers(request, limits)
    try:
        body = await asyncio.wait_for(_read(request, limits), limits.seconds)
    except asyncio.TimeoutError:
        message = f"The body did not arrive within {limits.seconds:g} s."
        raise RefusedError(408, message, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RefusedError(400, "The connection was closed before the whole body had arrived.") from None
    return parse_json(body)


def _check_headers(request: Request, limits: Limits) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        found = f"is {shown(kind, 60)}" if kind else "is missing"
        raise RefusedError(415, f"The Content-Type {found}. Send JSON, with Content-Type: application/json.")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise RefusedError(415, f"The Content-Encoding is {shown(encoding, 60)}. Send the body uncompressed.")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limits.body_bytes:
        raise _too_large(limits)


async def _read(request: Request, limits: Limits) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
    return bytes(body)


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(
        413,
        f"The body is larger than {limits.body_bytes:,} bytes. Send fewer texts in a request, or have the service "
        "started with a higher --max-body-bytes.",
    )


def parse_json(body: bytes) -> object:
    """Parse JSON in UTF-8; NaN, infinities and duplicate keys are rejected with status 422."""
    try:
        content = body.decode("utf-8")
        return json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        problem = f"the byte 0x{body[error.start]:02x} at position {error.start} is not UTF-8"
        raise RefusedError(422, f"The body is not JSON: {problem}. Encode it as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else one_line(str(error), 120)
        raise RefusedError(422, f'The body is not JSON: {problem}. Send {{"texts": ["...", "..."]}}.') from None


def _refuse_constant(name: str) -> NoReturn:
    raise RefusedError(422, f"{name} is not JSON. Leave it out, or write null.")


def _object(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise RefusedError(422, f"The key {shown_name(key)} is given twice in an object. Drop one of the two.")
        found[key] = value
    return found
