"""A forked process behaves like a new one: arguments, streams, variables, limits and exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import fork_server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="where there is no fork, processes are new")

ENDS = {
    "the end of the program": "print('said')",
    "an exit code": "import sys; sys.stderr.write('why\\n'); sys.exit(3)",
    "a message as it exits": "import sys; sys.exit('no such thing')",
    "at exit": "import atexit; atexit.register(print, 'at last'); print('first')",
    "without cleaning up": "import os; print('said', flush=True); os._exit(4)",
    "a signal": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "what is read": "import sys; print(len(sys.stdin.read()), sys.argv, sys.stdin.isatty(), __name__)",
}


@pytest.mark.parametrize("program", ENDS.values(), ids=ENDS)
def test_it_ends_as_a_new_process_does(program):
    forked = fork_server.run(["-c", program, "one", 2], stdin=b"x" * 100_000)
    new = subprocess.run([sys.executable, "-c", program, "one", "2"], input=b"x" * 100_000, capture_output=True)
    assert (forked.returncode, forked.stdout, forked.stderr) == (new.returncode, new.stdout, new.stderr)


def test_an_exception_is_printed_and_is_exit_code_1():
    ended = fork_server.run(["-c", "1 / 0"])
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, b"ZeroDivisionError: division by zero")


def test_it_has_the_given_folder_and_variables(tmp_path):
    (tmp_path / "here.py").write_text("import os, sys; print(os.getcwd(), os.environ['ONE'], len(os.environ))")
    ended = fork_server.run(["-m", "here"], cwd=tmp_path, env={"ONE": "1"})
    assert ended.stdout.decode().split() == [str(tmp_path), "1", "1"]
    elsewhere = fork_server.run(["-m", "here"], env={"ONE": "1", "PYTHONPATH": str(tmp_path)})
    assert elsewhere.returncode == 0, elsewhere.stderr


def test_a_process_has_an_alarm_and_a_file_its_limit(tmp_path):
    assert fork_server.run(["-c", "import signal; print(signal.alarm(0) > 0)"], timeout=900).stdout == b"True\n"
    write = f"import pathlib; pathlib.Path({str(tmp_path / 'file')!r}).write_bytes(bytes(2_000))"
    assert b"File too large" in fork_server.run(["-c", write], file_size=1_000).stderr


def test_nothing_of_the_project_is_imported_beforehand():
    program = "import sys; print(*[name for name in sys.modules if name in ('numpy', 'smalltext_core')])"
    assert fork_server.run(["-c", program]).stdout == b"numpy\n"


def test_without_the_site_nothing_is_installed():
    program = "import importlib.metadata as metadata; print(len(list(metadata.distributions())))"
    assert fork_server.run(["-c", program], env={}, site=False).stdout == b"0\n"


def test_processes_run_in_parallel_and_are_distinguished():
    echo = "import sys; print(sys.stdin.readline().strip(), flush=True); sys.exit(len(sys.stdin.read()))"
    with fork_server.Process(["-c", echo]) as first, fork_server.Process(["-c", echo]) as second:
        for process, said in ((second, b"two\n"), (first, b"one\n")):
            process.stdin.write(said)
            process.stdin.flush()
            assert process.stdout.readline() == said
        assert fork_server.run(["-c", "print(3)"]).stdout == b"3\n"
        second.stdin.write(b"abc")
        assert second.communicate() == (b"", b"")
        assert (first.poll(), second.poll()) == (None, 3)
        first.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in first.stderr.read()
        assert first.wait() == -signal.SIGINT
