"""Worker processes that predict with one model each, for a machine with several cores or GPUs."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn, cast

from smalltext_core.conversion import as_sequence, is_whole
from smalltext_core.errors import InvalidInputError, SmallTextError
from smalltext_core.labels import Labels
from smalltext_core.messages import brief, one_line
from smalltext_core.probabilities import Probabilities

Scores = tuple[Labels, Probabilities]
Predict = Callable[[list[str]], Scores]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_DEVICES = "'all', or devices such as 'cuda:0,cuda:1'"
_SECONDS_TO_END = 5.0
_ENDED_BY_SIGTERM = 128 + signal.SIGTERM


class WorkerError(SmallTextError, RuntimeError):
    """A worker process ended before it returned its predictions; no prediction of its batch was yielded.

    Examples
    --------
    >>> raise WorkerError("worker 1 of 2 was ended by SIGKILL")
    Traceback (most recent call last):
    ...
    smalltext_scale.workers.WorkerError: worker 1 of 2 was ended by SIGKILL
    """


def device_names(devices: str | Sequence[str] | None) -> list[str] | None:
    """Return the devices given as ``"all"`` (each CUDA device), as ``"cuda:0,cuda:1"`` or as a sequence of names.

    Parameters
    ----------
    devices : str or sequence of str, optional

    Returns
    -------
    list of str, or None if None was given
    """
    if devices is None:
        return None
    if devices == "all":
        names = [f"cuda:{number}" for number in range(_cuda_devices())]
        if not names:
            advice = "Leave devices out; several processes on the CPU: workers=N."
            raise InvalidInputError("devices", "'all', and there is no CUDA device", _DEVICES, advice)
        return names
    given = devices.split(",") if isinstance(devices, str) else as_sequence(devices, "devices", _DEVICES, "device")
    names = [str(name).strip() for name in given]
    if not names or not all(names):
        raise InvalidInputError("devices", brief(devices), _DEVICES)
    return names


def _cuda_devices() -> int:
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count()


def worker_devices(
    workers: int | None, devices: str | Sequence[str] | None, device: str | None
) -> list[str | None]:
    """Return the device of each worker process; an empty list if the current process does the work.

    Without `workers`, there is one worker per device; without `devices`, all use `device`.
    """
    if workers is not None and (not is_whole(workers) or workers < 1):
        raise InvalidInputError("workers", brief(workers), "an int, 1 or above, or None")
    names: Sequence[str | None] | None = device_names(devices)
    if names is None:
        return [device] * workers if workers is not None and workers > 1 else []
    return [names[number % len(names)] for number in range(workers or len(names))]


@dataclass
class _Worker:
    """A process, and the number of the batch that it is working on."""

    process: BaseProcess
    connection: Connection
    label: str
    batch: int | None = None


def predict_in_processes(
    predictors: Sequence[Predict], batches: Iterable[list[str]]
) -> Iterator[tuple[list[str], Scores]]:
    """Yield each batch of texts with its predictions, in order.

    Processes are spawned. Each gets one batch at a time, and at most two batches per process are held in memory.

    Parameters
    ----------
    predictors : sequence of callable
        The function that each process calls; it is pickled.
    batches : iterable of list of str

    Raises
    ------
    WorkerError
        If a process ends early. Exceptions raised in a process are reraised unchanged.
    """
    workers = _started(predictors)
    waiting = enumerate(batches)
    texts: dict[int, list[str]] = {}
    scores: dict[int, Scores] = {}
    following = 0
    exhausted = False
    try:
        while True:
            for worker in workers:
                if worker.batch is None and not exhausted and len(texts) < 2 * len(workers):
                    number, batch = next(waiting, (-1, []))
                    exhausted = number < 0
                    if not exhausted:
                        texts[number] = batch
                        _send(worker, number, batch)
            while following in scores:
                yield texts.pop(following), scores.pop(following)
                following += 1
            if exhausted and not texts:
                return
            if not exhausted and len(texts) < 2 * len(workers) and any(one.batch is None for one in workers):
                continue
            _receive(workers, scores)
    finally:
        for worker in workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join(_SECONDS_TO_END)
            worker.process.kill()  # unless it has ended
            worker.process.join()


def _started(predictors: Sequence[Predict]) -> list[_Worker]:
    spawning = multiprocessing.get_context("spawn")
    workers = []
    threads = max(1, (os.cpu_count() or 1) // len(predictors))
    with _threads_of_children(threads), _interrupts_held_back():
        for number, predict in enumerate(predictors, start=1):
            here, there = spawning.Pipe()
            process = spawning.Process(target=_work, args=(there, pickle.dumps(predict)), daemon=True)
            process.start()
            there.close()
            workers.append(_Worker(process, here, f"worker {number} of {len(predictors)}"))
    return workers


@contextmanager
def _threads_of_children(threads: int) -> Iterator[None]:
    """Limit the threads of processes started within this context, unless the user has set a number.

    Libraries read these variables on import, before any code of this package runs in the process.
    """
    if any(name in os.environ for name in _THREADS):
        yield
        return
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    try:
        yield
    finally:
        for name in _THREADS:
            os.environ.pop(name, None)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let Ctrl-C wait, and never reach processes that are started meanwhile, where the system supports it.

    They would end with a traceback while they import modules, which is before `_work` can ignore it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(worker: _Worker, number: int, batch: list[str]) -> None:
    worker.batch = number
    try:
        worker.connection.send(batch)
    except OSError as error:  # its end of the pipe is closed
        raise _died(worker) from error


def _receive(workers: Sequence[_Worker], scores: dict[int, Scores]) -> None:
    """Wait until at least one worker answers, and receive all available answers."""
    ready = wait([one.connection for one in workers if one.batch is not None])
    for worker in workers:
        if worker.batch is None or worker.connection not in ready:
            continue
        try:
            succeeded, answer = worker.connection.recv()
        except (EOFError, OSError) as error:
            raise _died(worker) from error
        if not succeeded:
            raise answer
        scores[worker.batch] = answer
        worker.batch = None


def _died(worker: _Worker) -> WorkerError:
    worker.process.join(_SECONDS_TO_END)
    code = worker.process.exitcode or 0
    code = -signal.SIGTERM if code == _ENDED_BY_SIGTERM else code
    how = f"ended with exit code {code}"
    advice = (
        'Its own output says why; a script that starts workers needs `if __name__ == "__main__":` around that.'
    )
    if code < 0:
        name = str(-code)
        with suppress(ValueError):
            name = signal.Signals(-code).name
        how = f"was ended by {name}"
        advice = "The system does so when memory runs out: use fewer workers." if name == "SIGKILL" else ""
    return WorkerError(
        f"{worker.label} {how} before it returned the predictions of batch {worker.batch}. {advice}"
    )


def _work(connection: Connection, pickled: bytes) -> None:
    """Answer batches with (True, scores) or (False, exception) until the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches the parent, which ends this process
    signal.signal(signal.SIGTERM, _leave)
    predict = cast("Predict", pickle.loads(pickled))  # noqa: S301 - from the process that started this one
    with suppress(EOFError, OSError):
        while True:
            batch: list[str] = connection.recv()
            try:
                answer: tuple[bool, Any] = True, predict(batch)
            except Exception as error:
                answer = False, _picklable(error)
            connection.send(answer)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it would interrupt the end of the process


def _leave(_number: int, _frame: object) -> NoReturn:
    """End the process by an exception, so that it releases what the system does not, such as named semaphores."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(_ENDED_BY_SIGTERM)


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:
        return WorkerError(f"{type(error).__name__} in a worker: {one_line(str(error))}")
    return error
