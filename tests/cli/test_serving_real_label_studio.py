"""Label Studio itself asks `smalltext serve` for predictions: nightly, where it is installed.

SMALLTEXT_LABEL_STUDIO is its command. It is in another environment, since it pins its dependencies; `.ci/nightly`
makes that.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from cli.conftest import sentences
from cli.test_cli_serve import Service
from smalltext_cli.evaluation import load_model
from smalltext_core import TextDataset

VARIABLE = "SMALLTEXT_LABEL_STUDIO"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
API_KEY = "a-key"

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} does not say where Label Studio is"),
]


class LabelStudio:
    """Label Studio with an empty database, and calls of its API."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        arguments = [
            *(os.environ[VARIABLE], "start", "--no-browser", "--internal-host", "127.0.0.1", "-p", str(self.port)),
            *("--data-dir", str(folder), "--username", "admin@example.org", "--password", "a-long-passw0rd"),
            *("--user-token", TOKEN, "--enable-legacy-api-token", "--log-level", "WARNING"),
        ]
        surroundings = {
            "COLLECT_ANALYTICS": "false",
            "FRONTEND_SENTRY_DSN": "",
            "HOME": str(folder),
            "LATEST_VERSION_CHECK": "false",
            "ML_BLOCK_LOCAL_IP": "false",
            "PYTHONUNBUFFERED": "1",
            "SENTRY_DSN": "",
            "SSRF_PROTECTION_ENABLED": "false",
        }
        self.process = subprocess.Popen(
            arguments, env={**os.environ, **surroundings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = b""
        for line in iter(self.process.stdout.readline, b""):
            said += line
            if line.startswith(b"Quit the server"):
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        while not self._is_up():
            assert self.process.poll() is None, said.decode()

    def _is_up(self):
        try:
            return self.call("GET", "/api/projects")[0] == 200
        except OSError:
            return False

    def call(self, method, path, content=None):
        """Return the status and the JSON that a call of the API is answered with."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            None if content is None else json.dumps(content).encode(),
            {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def project(self, labels, kind, texts):
        """Return the number of a new project with tasks."""
        choices = "".join(f'<Choice value="{label}"/>' for label in labels)
        config = (
            f'<View><Text name="mail" value="$text"/><Choices name="kind" toName="mail" choice="{kind}">{choices}'
        )
        status, made = self.call(
            "POST", "/api/projects", {"title": "Mails", "label_config": f"{config}</Choices></View>"}
        )
        assert status == 201, made
        self.call("POST", f"/api/projects/{made['id']}/import", [{"text": text} for text in texts])
        return made["id"]

    def connected(self, project, service, key=API_KEY):
        """Connect a service to a project as its ML backend."""
        content = {"url": service.url, "project": project, "title": "smalltext", "auth_method": "BASIC_AUTH"}
        return self.call("POST", "/api/ml", {**content, "basic_auth_user": "anybody", "basic_auth_pass": key})

    def predictions(self, project):
        """Have all tasks predicted, and return their texts with the predictions."""
        everything = {"selectedItems": {"all": True, "excluded": []}}
        path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}"
        assert self.call("POST", path, everything)[0] == 200
        _, found = self.call("GET", f"/api/tasks?project={project}&fields=all&page_size=100")
        return {one["data"]["text"]: one["predictions"] for one in found["tasks"]}


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory):
    found = LabelStudio(tmp_path_factory.mktemp("label-studio"))
    yield found
    found.process.kill()
    found.process.wait()


@pytest.fixture(params=["model", "multi_label_model"])
def served(request):
    """A model and the service of it."""
    folder = request.getfixturevalue(request.param)
    service = Service(folder, "--api-key", API_KEY, "--verbose")
    yield load_model(str(folder)), service
    service.process.kill()
    service.process.communicate()


def test_tasks_get_the_predictions_of_the_model(label_studio, served):
    loaded, service = served
    texts = list(dict.fromkeys([*sentences(30, seed=7)[0], "nothing of the kind"]))
    labels, proba = loaded.classifier.predict(TextDataset(texts), return_proba=True)
    kind = "multiple" if loaded.multi_label else "single"
    project = label_studio.project(loaded.names.names, kind, texts)
    assert label_studio.connected(project, service, "wrong")[0] == 400
    status, backend = label_studio.connected(project, service)
    assert status == 201, backend
    assert backend["state"] == "CO"
    found = label_studio.predictions(project)
    assert found.keys() == set(texts)
    for text, decoded, row in zip(texts, loaded.names.decode(labels), proba, strict=True):
        (prediction,) = found[text]
        expected = decoded if loaded.multi_label else [decoded]
        choices = [choice for one in prediction["result"] for choice in one["value"]["choices"]]
        assert choices == expected
        assert prediction["model_version"] == backend["model_version"]
        if not loaded.multi_label:
            assert prediction["score"] == pytest.approx(float(row.max()), rel=1e-5)
    assert label_studio.call("GET", f"/api/ml/{backend['id']}/versions")[1]["versions"] == [
        backend["model_version"]
    ]
    assert label_studio.call("POST", f"/api/ml/{backend['id']}/train", {})[0] == 200


def test_a_project_with_other_choices_is_not_connected(label_studio, served):
    _, service = served
    project = label_studio.project(["strange"], "multiple", ["a text"])
    status, said = label_studio.connected(project, service)
    assert status == 400
    assert "422" in json.dumps(said)
    _, logged = service.ended()
    assert "are not classes of the model: 'strange'" in logged


def test_annotations_reach_the_webhook(label_studio, served):
    loaded, service = served
    project = label_studio.project(loaded.names.names, "multiple", ["a text"])
    label_studio.connected(project, service)
    (webhook,) = label_studio.call("GET", f"/api/webhooks/?project={project}")[1]
    headers = {"headers": {"Authorization": f"Bearer {API_KEY}"}}
    assert label_studio.call("PATCH", f"/api/webhooks/{webhook['id']}/", headers)[0] == 200
    task = label_studio.call("GET", f"/api/tasks?project={project}")[1]["tasks"][0]["id"]
    choice = {"from_name": "kind", "to_name": "mail", "type": "choices", "value": {"choices": ["spam"]}}
    assert label_studio.call("POST", f"/api/tasks/{task}/annotations/", {"result": [choice]})[0] == 201
    _, logged = service.ended()
    assert "POST /webhook 200" in logged
