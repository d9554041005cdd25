"""The ASGI application: its routes, and the model behind them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smalltext_cli.evaluation import Model
from smalltext_cli.serving import label_studio, openapi
from smalltext_cli.serving.access import AccessMiddleware
from smalltext_cli.serving.batching import Batcher
from smalltext_cli.serving.bodies import Limits, RefusedError, read_json
from smalltext_cli.serving.metrics import CONTENT_TYPE, Metrics
from smalltext_cli.serving.predictions import Answers, PredictionRequest
from smalltext_core import TextDataset
from smalltext_core.messages import one_line

_LOG = logging.getLogger("smalltext_cli.serving")


def create_app(
    model: Model,
    *,
    limits: Limits | None = None,
    batch_size: int = 64,
    max_wait: float = 0.0,
    allowed_hosts: Iterable[str] = (),
    api_key: str | None = None,
) -> Starlette:
    """Return an ASGI application that predicts with a model.

    Parameters
    ----------
    model : Model
    limits : Limits, optional
        The limits of requests; by default those of `Limits`.
    batch_size : int, default=64
        The maximum number of texts that are predicted together.
    max_wait : float, default=0.0
        The number of seconds that an incomplete batch waits for more texts.
    allowed_hosts : iterable of str, default=()
        The hosts that Host headers may contain; an empty iterable allows all.
    api_key : str, optional
        The key that requests must send.
    """
    service = _Service(model, limits or Limits(), batch_size, max_wait)
    app = Starlette(
        routes=service.routes(),
        lifespan=service.lifespan,
        middleware=[
            Middleware(_MeasuringMiddleware, service.metrics, {route.path for route in service.routes()}),
            Middleware(AccessMiddleware, allowed_hosts, api_key),
        ],
        exception_handlers={RefusedError: _refused, HTTPException: _http_error, Exception: _failed},
    )
    app.router.redirect_slashes = False  # a redirect would go to the host of the Host header
    return app


class _Service:
    """Answers requests with one model."""

    def __init__(self, model: Model, limits: Limits, batch_size: int, max_wait: float) -> None:
        self._model = model
        self._answers = Answers(model)
        self._limits = limits
        self._in_progress = 0
        self._is_running = False
        manifest = model.manifest
        self.metrics = Metrics(
            {
                "classifier": manifest.classifier,
                "distribution": manifest.distribution,
                "version": manifest.version,
                "model_version": self._answers.version,
            },
            waiting=lambda: self._batcher.waiting,
            in_progress=lambda: self._in_progress,
        )
        self._batcher = Batcher(
            self._predict_proba, batch_size=batch_size, max_wait=max_wait, on_batch=self.metrics.add_batch
        )

    def _predict_proba(self, texts: list[str]) -> NDArray[np.float32]:
        return self._model.classifier.predict_proba(TextDataset(texts))

    def routes(self) -> list[Route]:
        """Return the handlers of all paths."""
        return [
            Route("/", self.health),
            Route("/health", self.health),
            Route("/metrics", self.show_metrics),
            Route("/model", self.show_model),
            Route("/openapi.json", self.show_openapi),
            Route("/predict", self.predict, methods=["POST"]),
            Route("/setup", self.setup, methods=["POST"]),
            Route("/versions", self.versions),
            Route("/webhook", self.webhook, methods=["POST"]),
        ]

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Predict batches while the application runs."""
        asyncio.get_running_loop().set_exception_handler(_ErrorHandler())
        batches = asyncio.create_task(self._batcher.run())
        batches.add_done_callback(lambda _: setattr(self, "_is_running", False))
        self._is_running = True
        yield
        batches.cancel()
        with suppress(asyncio.CancelledError):
            await batches

    @contextmanager
    def _accepted(self) -> Iterator[None]:
        """Count a request before its body is read, or reject it if there are too many."""
        if self._in_progress >= self._limits.requests:
            message = f"{self._limits.requests:,} requests are in progress, which is the limit. Try again later."
            raise RefusedError(503, message, {"Retry-After": "1"})
        self._in_progress += 1
        try:
            yield
        finally:
            self._in_progress -= 1

    async def predict(self, request: Request) -> Response:
        """Answer texts, or tasks of Label Studio, with predictions."""
        with self._accepted():
            body = await read_json(request, self._limits)
            if isinstance(body, dict) and "tasks" in body:
                return await self._predict_tasks(body)
            given = PredictionRequest.of(body, self._limits)
            proba = await self._proba(given.texts)
            return _json(self._answers.of(proba, with_proba=given.proba))

    async def _predict_tasks(self, body: dict[str, object]) -> Response:
        given = label_studio.TaskRequest.of(
            body, self._answers.names, self._limits, multi_label=self._answers.multi_label
        )
        proba = await self._proba(given.texts)
        version = self._answers.version
        results = label_studio.predictions(given.labelling, proba, self._answers.numbers(proba), version)
        return _json({"results": results, "model_version": version})

    async def _proba(self, texts: Any) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, len(self._answers.names)), dtype=np.float32)
        try:
            proba = await asyncio.wait_for(self._batcher.predict_proba(texts), self._limits.seconds)
        except asyncio.TimeoutError:
            message = f"No prediction within {self._limits.seconds:g} s. Try again later, with fewer texts."
            raise RefusedError(503, message, {"Retry-After": "1"}) from None
        except Exception as error:
            # The message of an exception can quote a text, so only its type is logged and returned.
            _LOG.error("the model failed: %s", type(error).__name__)
            raise RefusedError(500, f"The model failed: {type(error).__name__}.") from None
        self.metrics.add_texts(len(texts))
        return proba

    async def setup(self, request: Request) -> Response:
        """Check a labelling configuration of Label Studio against the model."""
        with self._accepted():
            body = await read_json(request, self._limits)
        if not isinstance(body, dict):
            raise RefusedError(422, 'The body is not an object. Send {"schema": "<View>...</View>"}.')
        names = self._answers.names
        labelling = label_studio.Labelling.of(body.get("schema"), names, multi_label=self._answers.multi_label)
        not_offered = [name for number, name in enumerate(names.names) if number not in labelling.choices]
        return _json({"model_version": self._answers.version, "not_offered": not_offered})

    async def webhook(self, request: Request) -> Response:
        """Accept an event of Label Studio, without training a model."""
        with self._accepted():
            body = await read_json(request, self._limits)
        if not isinstance(body, dict) or not isinstance(body.get("action"), str):
            raise RefusedError(422, 'The body has no string "action". Send events as Label Studio does.')
        message = "Accepted. This service does not train: export the annotations and run smalltext train."
        return _json({"status": "ok", "trained": False, "message": message})

    async def versions(self, _: Request) -> Response:
        """Return the only version of the model."""
        return _json({"versions": [self._answers.version]})

    async def health(self, _: Request) -> Response:
        """Return whether the service is working."""
        status = "UP" if self._is_running else "DOWN"
        return _json({"status": status, "model_version": self._answers.version}, 200 if self._is_running else 503)

    async def show_metrics(self, _: Request) -> Response:
        """Return the metrics."""
        return Response(self.metrics.as_text(), media_type=CONTENT_TYPE, headers={"Content-Type": CONTENT_TYPE})

    async def show_model(self, _: Request) -> Response:
        """Describe the model and the limits."""
        return _json(openapi.described(self._model, self._answers, self._limits))

    async def show_openapi(self, _: Request) -> Response:
        """Return the description of this service."""
        return _json(openapi.document(self._answers, self._limits))


def _json(content: Any, status: int = 200) -> Response:
    body = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # A lone surrogate becomes a JSON escape sequence.
    return Response(body.encode("utf-8", "backslashreplace"), status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    if isinstance(error, label_studio.ConfigError):  # Label Studio does not show the response
        _LOG.warning("%s: %s", request.url.path, one_line(str(error), 1000))
    return JSONResponse({"error": str(error)}, error.status, error.headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": f"{error.detail}. See /openapi.json."}, error.status_code, error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    _LOG.error("the service failed: %s", type(error).__name__)
    return JSONResponse({"error": f"The service failed: {type(error).__name__}."}, 500)


class _ErrorHandler:
    """Logs errors of the event loop in one line, at most one per second.

    asyncio logs a traceback for each connection that it cannot accept, which can be thousands per second.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1
            # As elsewhere, the message of an exception is not logged.
            error = f": {type(context['exception']).__name__}" if "exception" in context else ""
            _LOG.error("%s%s", one_line(context["message"], 200), error)


class _MeasuringMiddleware:
    """Counts requests by path and status, and logs them without bodies and query strings."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: set[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - begin
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.add_request(path, status, seconds)
            _LOG.info("%s %s %d %.1f ms", scope["method"], path, status, 1000 * seconds)
