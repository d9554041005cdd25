"""`smalltext serve` as a process, over real connections."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

import fork_server
from cli.conftest import sentences
from smalltext_cli.evaluation import load_model
from smalltext_cli.serving.server import listening_socket
from smalltext_core import TextDataset

PROGRAM = """
import sys
from smalltext_cli import app
from smalltext_sklearn import SklearnClassifier

predict_proba = SklearnClassifier.predict_proba

def held(self, data_set):
    if "hold" in data_set.x:
        print("held", flush=True)
        sys.stdin.readline()
    return predict_proba(self, data_set)

SklearnClassifier.predict_proba = held
app.main()
"""
"""The command with a model that predicts the text "hold" once it reads a line of standard input."""


class Service:
    """The command in a process, and connections to it."""

    def __init__(self, *arguments: object, program: str = PROGRAM) -> None:
        self.process = fork_server.Process(["-c", program, "serve", *arguments, "--port", 0])
        self.url = self.process.stdout.readline().decode().strip()
        assert self.url.startswith("http://"), self.process.stderr.read().decode()
        self.host, _, self.port = self.url.removeprefix("http://").rpartition(":")

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host.strip("[]"), int(self.port))

    def sent(self, *texts: str) -> http.client.HTTPConnection:
        """Send a request, whose answer is not read yet."""
        connection = self.connection()
        body = json.dumps({"texts": texts, "proba": True})
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        return connection

    def raw(self, content: bytes) -> bytes:
        """Send bytes, and return the first line of the answer and what follows, until the connection is closed."""
        with socket.create_connection((self.host.strip("[]"), int(self.port))) as connection:
            connection.sendall(content)
            answer = connection.makefile("rb")
            return answer.readline() + answer.read()

    def refuses(self) -> bool:
        try:
            socket.create_connection((self.host.strip("[]"), int(self.port))).close()
        except ConnectionError:
            return True
        return False

    def ended(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate()
        return self.process.returncode, said.decode()


def answered(connection):
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, content


@pytest.fixture(scope="module")
def service(model):
    found = Service(model, "--max-body-bytes", 5_000, "--verbose")
    yield found
    found.process.kill()
    found.process.communicate()


def test_two_hundred_concurrent_requests_get_their_own_answers(service, model):
    texts, _ = sentences(200, seed=5)
    connections = [service.sent(text) for text in texts]
    answers = [answered(connection) for connection in connections]
    loaded = load_model(str(model))
    proba = loaded.classifier.predict_proba(TextDataset(texts))
    assert {status for status, _ in answers} == {200}
    given = [list(content["proba"][0].values()) for _, content in answers]
    np.testing.assert_allclose(given, proba, rtol=1e-5)
    assert [content["labels"][0] for _, content in answers] == loaded.names.decode(proba.argmax(axis=1))


def test_a_connection_stays_open_after_a_body_that_is_too_large(service):
    connection = service.connection()
    for size, status in ((10_000_000, 413), (10, 200), (6_000, 413), (10, 200)):
        body = json.dumps({"text": "a" * size})
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (status, True)
    connection.close()


def test_a_body_without_a_length_is_limited(service):
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    chunk = b"3e8\r\n" + b"a" * 1_000 + b"\r\n"
    answer = service.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + 6 * chunk + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x00\xa5",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 65_536,
    ],
)
def test_what_is_not_http_is_400_and_the_service_continues(service, content):
    answer = service.raw(content)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answered(service.sent("lunch"))[0] == 200


def test_answers_are_sent_without_delay():
    """Else the body of each answer waits until the client acknowledges its headers, which takes 40 ms."""

    async def accepted(listener):
        made = asyncio.get_running_loop().create_future()

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport):
                made.set_result(transport)

        server = await asyncio.get_running_loop().create_server(Protocol, sock=listener)
        with socket.create_connection(listener.getsockname()):
            transport = await made
            delays = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
            transport.close()
        server.close()
        return delays

    with listening_socket("127.0.0.1", 0) as listener:
        assert not asyncio.run(accepted(listener))


def test_another_host_is_refused(service):
    answer = service.raw(b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"--allowed-host" in answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_finish_what_was_accepted_and_log_no_text(model, number):
    service = Service(model, "--verbose", "--batch-size", 1)
    idle = service.connection()
    idle.connect()
    first = service.sent("hold")
    assert service.process.stdout.readline() == b"held\n"
    waiting = [service.sent("lunch tomorrow") for _ in range(3)]
    while b"smalltext_requests_in_progress 4" not in metrics(service):
        pass
    service.process.send_signal(number)
    while not service.refuses():
        pass
    service.process.stdin.write(b"go on\n")
    service.process.stdin.flush()
    assert [answered(one)[0] for one in (first, *waiting)] == [200] * 4
    _, said = service.process.communicate()
    assert service.process.returncode == 0
    assert said.decode().count("POST /predict 200") == 4
    assert b"hold" not in said
    assert b"lunch" not in said
    assert said.decode().splitlines()[-1] == "Ended."


def test_the_end_does_not_wait_for_a_batch_longer_than_its_request(model):
    service = Service(model, "--timeout", 0.5)
    held = service.sent("hold")
    assert service.process.stdout.readline() == b"held\n"
    service.process.send_signal(signal.SIGTERM)
    status, content = answered(held)
    assert status == 503
    assert "No prediction within 0.5 s" in content["error"]
    assert service.process.wait() == 0
    assert service.process.stderr.read().decode().splitlines()[-1] == "Ended."


ENDLESS = """
import sys
import torch
from smalltext_cli import app
from smalltext_sklearn import SklearnClassifier

predict_proba = SklearnClassifier.predict_proba

def endless(self, data_set):
    if "hold" in data_set.x:
        print("held", flush=True)
        matrix = torch.ones(1000, 1000)
        while True:
            matrix @ matrix
    return predict_proba(self, data_set)

SklearnClassifier.predict_proba = endless
app.main()
"""
"""The command with a model that never ends, in a library that aborts the process if it ends one of its threads."""


def test_the_end_of_the_process_does_not_abort_a_batch_in_a_library(model):
    command = [sys.executable, "-c", ENDLESS, "serve", model, "--port", "0", "--timeout", "0.5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        host, _, port = process.stdout.readline().decode().strip().removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host, int(port))
        connection.request("POST", "/predict", '{"text": "hold"}', {"Content-Type": "application/json"})
        assert process.stdout.readline() == b"held\n"
        process.send_signal(signal.SIGTERM)
        assert answered(connection)[0] == 503
        _, said = process.communicate(timeout=600)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, said
    assert said.decode().splitlines()[-1] == "Ended."


WITH_FEW_FILES = """
import resource
from smalltext_cli import app

hard = {hard} or resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
app.main()
"""
"""The command with a limit of open files, which it can raise unless `hard` is given."""


def many_idle(service):
    return [socket.create_connection((service.host, int(service.port))) for _ in range(300)]


def test_the_limit_of_open_files_is_raised_as_far_as_possible(model):
    service = Service(model, program=WITH_FEW_FILES.format(hard=0))
    idle = many_idle(service)
    assert answered(service.sent("lunch"))[0] == 200
    code, said = service.ended()
    assert code == 0
    assert "system resource" not in said
    for one in idle:
        one.close()


def test_more_connections_than_open_files_are_reported_briefly_and_served_later(model):
    service = Service(model, program=WITH_FEW_FILES.format(hard=200))
    idle = many_idle(service)
    waiting = service.sent("lunch")
    for one in idle:
        one.close()
    assert answered(waiting)[0] == 200
    code, said = service.ended()
    assert code == 0
    assert len(said.splitlines()) < 10, "asyncio logs thousands of tracebacks per second"
    assert "socket.accept() out of system resource" in said


def metrics(service):
    connection = service.connection()
    connection.request("GET", "/metrics")
    return connection.getresponse().read()


def test_ctrl_c_ends_well_and_beyond_loopback_there_is_a_warning(model):
    service = Service(model, "--host", "0.0.0.0", "--api-key", "a-key")
    assert re.fullmatch(r"http://0\.0\.0\.0:\d+", service.url)
    assert answered(service.sent("lunch"))[0] == 401
    code, said = service.ended(signal.SIGINT)
    assert code == 0
    assert "0.0.0.0 is not local to this machine: whoever has the API key can use the model" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--port", "65536"], {}, "--port"),
        (["--port", "80000000000000000000"], {}, "--port"),
        (["--host", "no such host"], {}, "--host no such host: there is no such address"),
        (["--host", "192.0.2.1"], {}, "the service cannot listen there"),
        (["--api-key", " "], {}, "--api-key, or SMALLTEXT_API_KEY, is empty"),
        ([], {"SMALLTEXT_API_KEY": " "}, "is empty"),
        (["--batch-size", "0"], {}, "--batch-size"),
        (["--timeout", "nan"], {}, "--timeout"),
    ],
)
def test_wrong_options_are_refused_in_one_line(smalltext, model, monkeypatch, arguments, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ended = smalltext("serve", model, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_port_that_is_taken_is_refused(smalltext, model):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = smalltext("serve", model, "--port", port)
    assert ended.code == 2
    assert f"--port {port}: the service cannot listen there" in ended.err


def test_without_its_libraries_the_command_says_what_to_install(smalltext, model, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("smalltext_cli.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [name for name in sys.modules if name.startswith("starlette.")]:
        monkeypatch.setitem(sys.modules, name, None)
    ended = smalltext("serve", model)
    assert ended.code == 2
    assert "pip install starlette uvicorn" in ended.err


def test_a_folder_that_is_no_model_is_refused(smalltext, tmp_path):
    ended = smalltext("serve", tmp_path, "--port", 0)
    assert ended.code == 2
    assert str(tmp_path) in ended.err


def test_help_leads_to_the_service(smalltext):
    assert "serve" in smalltext("--help").out
    assert "Label Studio" in " ".join(smalltext("serve", "--help").out.split())
