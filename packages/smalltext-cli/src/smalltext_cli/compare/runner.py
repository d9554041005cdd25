"""Running of cells, each in a new process, several in parallel, distributed by joblib."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from smalltext_cli.compare.cells import Cell, CellFolder, Result
from smalltext_cli.compare.progress import CellProgress
from smalltext_cli.compare.worker import REQUEST, RESULT
from smalltext_cli.console import UsageError, counted, note
from smalltext_cli.writers import write_file
from smalltext_core.messages import one_line, shown

_MAX_REASON = 500
_BARS = "SMALL_TEXT_PROGRESS_BARS"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|not enough memory|[Cc]annot allocate memory")
_BOOT = (
    "import sys; folder, *sys.path[:] = sys.argv[1:]; from smalltext_cli.compare.worker import main; main(folder)"
)


def run_cells(
    kept: CellFolder,
    cells: Sequence[Cell],
    describe: Callable[[Cell, Result], str],
    *,
    jobs: int | None = None,
    backend: str | None = None,
    retry_failed: bool = False,
) -> dict[str, Result]:
    """Run the cells without a result, and return the results of all cells by key.

    joblib dispatches cells one by one, whenever another one has finished; if several run in parallel, the longest
    ones first. Without `backend`, the processes of `jobs` cells run in parallel on this machine, unless the call
    is within a block of ``joblib.parallel_config`` that sets a backend. Every cell runs in a new process, and its
    result is stored by the calling process.

    Parameters
    ----------
    kept : CellFolder
    cells : sequence of Cell
    describe : callable
        Returns a log line about a cell and its result.
    jobs : int, optional
        The number of cells to run in parallel. By default that of the block of ``joblib.parallel_config``, or else
        one; with dask and ray, one per core.
    backend : str, optional
        A joblib backend: "loky", "threading", "dask", "ray" or a registered one.
    retry_failed : bool, default=False
        Whether to repeat cells that failed earlier.
    """
    import joblib
    from joblib.parallel import get_active_backend

    kept.create()
    results: dict[str, Result] = {}
    waiting: dict[str, Cell] = {}
    for one in cells:
        found = kept.load(one.key)
        if found is None or (retry_failed and "error" in found):
            waiting[one.key] = one
        else:
            results[one.key] = found
    if failed := sum("error" in result for result in results.values()):
        note(f"{counted(failed, 'run')} failed earlier; --retry-failed repeats failed runs.")
    if not waiting:
        return results
    by_key = {one.key: one for one in cells}
    with _joblib_backend(backend):
        active, configured = get_active_backend(prefer="threads")
        at_once = active.effective_n_jobs(configured if jobs is None else jobs)
        threads = None if at_once == 1 else max(1, (os.cpu_count() or 1) // at_once)
        progress = CellProgress(len(results), waiting.values(), at_once)
        for key, result in results.items():
            progress.learn(by_key[key], result)
        calls = (
            joblib.delayed(run_in_process)(one.key, one.request(), str(kept.rounds(one.key).absolute()), threads)
            for one in progress.in_running_order()
        )
        progress.start()
        try:
            for key, result in _in_parallel(calls, jobs, at_once):
                kept.keep(waiting[key], result)
                results[key] = result
                progress.advance(waiting[key], result, describe(waiting[key], result))
        except BaseException:
            _stop()
            raise
        finally:
            progress.stop()
    return results


def _in_parallel(calls: Iterator[Any], jobs: int | None, at_once: int) -> Iterator[tuple[str, Result]]:
    """Yield results as they arrive, or every `at_once` calls if the backend only returns lists, as ray does."""
    import joblib
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend(prefer="threads")
    options: dict[str, Any] = {"n_jobs": jobs, "prefer": "threads", "batch_size": 1}
    if backend.supports_return_generator:
        yield from joblib.Parallel(**options, return_as="generator_unordered", pre_dispatch="n_jobs")(calls)
        return
    while group := list(islice(calls, at_once)):
        yield from joblib.Parallel(**options)(group)


def _joblib_backend(name: str | None) -> Any:
    from contextlib import nullcontext

    import joblib

    if name is None:
        return nullcontext()
    if name == "ray":
        try:
            register_ray = importlib.import_module("ray.util.joblib").register_ray
        except ImportError:
            raise UsageError("--parallel-backend ray: ray is not installed. Install it: pip install ray") from None
        register_ray()
    try:
        return joblib.parallel_config(backend=name)
    except (ValueError, ImportError) as error:
        raise UsageError(f"--parallel-backend {shown(name)}: {one_line(str(error), _MAX_REASON)}") from error


_running: set[subprocess.Popen[bytes]] = set()


def _stop() -> None:
    """Terminate the processes of cells that were started by threads of this process."""
    for process in list(_running):
        process.kill()


def run_in_process(
    key: str, request: dict[str, Any], rounds: str, threads: int | None = None
) -> tuple[str, Result]:
    """Run a cell in a new process; return its key and its result.

    `rounds` is the file for the rounds of a simulation, if its folder exists on this machine. If the process
    crashes, is killed or runs out of memory, the result has an ``error``.
    """
    with tempfile.TemporaryDirectory(prefix="smalltext-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        rounds_file = rounds if Path(rounds).parent.is_dir() else str(folder / "rounds.jsonl")
        write_file(str(folder / REQUEST), json.dumps({**request, "rounds_file": rounds_file}).encode())
        begin = time.perf_counter()
        with (folder / "log.txt").open("w+b") as log:
            # In a new session, so that Ctrl-C only reaches this process, which then terminates the cell.
            process = subprocess.Popen(  # noqa: S603 - this Python, and code of this package
                [sys.executable, "-c", _BOOT, str(folder), *sys.path],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(threads),
                start_new_session=True,
            )
            _running.add(process)
            try:
                process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            finally:
                _running.discard(process)
                if process.stdin is not None:
                    process.stdin.close()
        seconds = time.perf_counter() - begin
        try:
            result = json.loads((folder / RESULT).read_bytes())
        except (FileNotFoundError, ValueError):
            result = {"error": _reason(process.returncode, folder / "log.txt")}
    if "error" in result:
        result["error"] = one_line(str(result["error"]), _MAX_REASON)
    return key, {**result, "seconds": round(seconds, 3)}


def _environment(threads: int | None) -> dict[str, str]:
    environment = {**os.environ, _BARS: "0"}
    if threads is not None and not any(name in os.environ for name in _THREADS):
        environment |= dict.fromkeys(_THREADS, str(threads))
    return environment


def _reason(code: int, log: Path) -> str:
    """Describe how a process without a result ended."""
    lines: list[str] = []
    with suppress(OSError):
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    if any(_OUT_OF_MEMORY.search(line) for line in lines[-5:]):
        return "it ran out of memory"
    if code >= 0:
        return f"its process ended with exit code {code}" + (f": {lines[-1]}" if lines else "")
    name = str(-code)
    with suppress(ValueError):
        name = signal.Signals(-code).name
    memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{memory}"
