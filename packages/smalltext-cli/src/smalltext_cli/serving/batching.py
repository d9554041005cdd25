"""Micro-batching: texts of concurrent requests are predicted together by a worker thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread

import numpy as np
from numpy.typing import NDArray

MODEL_THREAD = "smalltext-model"
"""The name of the thread that predicts."""

Predict = Callable[[list[str]], NDArray[np.float32]]


class Batcher:
    """Collects the texts of concurrent requests into batches for a model that predicts one batch at a time.

    While a batch is predicted, the texts of further requests wait and form the next batch. Texts are taken in
    order of arrival, and those of one request can be spread over several batches. If a batch fails, its requests
    are predicted one by one, so that one text cannot make other requests fail.

    Parameters
    ----------
    predict_proba : callable
        Takes a list of texts, and returns an array of shape (n, num_classes). It is called in one thread.
    batch_size : int
        The maximum number of texts in a batch.
    max_wait : float, default=0.0
        The number of seconds that an incomplete batch waits for more texts.
    on_batch : callable, optional
        Called with the number of texts of each batch.
    """

    def __init__(
        self,
        predict_proba: Predict,
        *,
        batch_size: int,
        max_wait: float = 0.0,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._worker = _Worker(predict_proba)
        self._batch_size = batch_size
        self._max_wait = max_wait
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._has_jobs = asyncio.Event()
        self._is_full = asyncio.Event()

    @property
    def waiting(self) -> int:
        """The number of texts that wait for a batch."""
        return sum(len(job.texts) - job.taken for job in self._jobs)

    async def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the probabilities of texts; on cancellation, waiting texts are dropped.

        Parameters
        ----------
        texts : sequence of str
            One text or more.

        Returns
        -------
        ndarray of float32, shape (n, num_classes)
        """
        job = _Job(texts, asyncio.get_running_loop().create_future(), [])
        self._jobs.append(job)
        self._has_jobs.set()
        if self.waiting >= self._batch_size:
            self._is_full.set()
        try:
            return await job.result
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def run(self) -> None:
        """Predict batches until cancelled."""
        self._worker.start()
        try:
            while True:
                await self._has_jobs.wait()
                if self._max_wait and self.waiting < self._batch_size:
                    self._is_full.clear()
                    await _waited(self._is_full, self._max_wait)
                parts = self._take()
                if parts:
                    await self._predict_parts(parts)
        finally:
            self._worker.stop()

    def _take(self) -> list[tuple[_Job, list[str]]]:
        """Remove the first waiting texts from the queue, and return them with their requests."""
        parts: list[tuple[_Job, list[str]]] = []
        room = self._batch_size
        while self._jobs and room:
            job = self._jobs[0]
            texts = list(job.texts[job.taken : job.taken + room])
            job.taken += len(texts)
            room -= len(texts)
            parts.append((job, texts))
            if job.taken == len(job.texts):
                self._jobs.popleft()
        if not self._jobs:
            self._has_jobs.clear()
        return parts

    async def _predict_parts(self, parts: list[tuple[_Job, list[str]]]) -> None:
        together = [text for _, texts in parts for text in texts]
        self._on_batch(len(together))
        try:
            proba = await self._worker.predict_proba(together)
        except Exception as error:
            if len(parts) == 1:
                self._fail(parts[0][0], error)
                return
            for part in parts:
                await self._predict_parts([part])
            return
        start = 0
        for job, texts in parts:
            job.add(proba[start : start + len(texts)])
            start += len(texts)

    def _fail(self, job: _Job, error: Exception) -> None:
        if not job.result.done():
            job.result.set_exception(error)


@dataclass(eq=False)
class _Job:
    """The texts of a request, the first `taken` of which are in batches, and the probabilities so far."""

    texts: Sequence[str]
    result: asyncio.Future[NDArray[np.float32]]
    parts: list[NDArray[np.float32]]
    taken: int = 0

    def add(self, proba: NDArray[np.float32]) -> None:
        """Add the probabilities of the next texts."""
        self.parts.append(proba)
        if not self.result.done() and sum(map(len, self.parts)) == len(self.texts):
            self.result.set_result(np.concatenate(self.parts))


class _Worker:
    """A thread that predicts; the process can exit without waiting for its batch."""

    def __init__(self, predict_proba: Predict) -> None:
        self._predict_proba = predict_proba
        self._batches: SimpleQueue[tuple[list[str], asyncio.Future[NDArray[np.float32]]] | None] = SimpleQueue()

    def start(self) -> None:
        """Start the thread."""
        Thread(target=self._work, name=MODEL_THREAD, daemon=True).start()

    def stop(self) -> None:
        """End the thread once it has nothing to do."""
        self._batches.put(None)

    async def predict_proba(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the probabilities of texts, or reraise the exception of the model."""
        future: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()
        self._batches.put((texts, future))
        return await future

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            texts, future = batch
            try:
                outcome: NDArray[np.float32] | Exception = self._predict_proba(texts)
            except Exception as error:
                outcome = error
            except BaseException as error:  # it would end the thread or the loop
                outcome = RuntimeError(type(error).__name__)
            with suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(_settle, future, outcome)


def _settle(future: asyncio.Future[NDArray[np.float32]], outcome: NDArray[np.float32] | Exception) -> None:
    if future.done():
        return
    if isinstance(outcome, StopIteration):  # not accepted by futures
        future.set_exception(RuntimeError("StopIteration"))
    elif isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def _waited(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event for at most the given number of seconds."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
