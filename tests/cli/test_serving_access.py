"""Which requests are let in, and what the service tells of itself."""

from __future__ import annotations

import base64
import json
import logging
import re

import pytest
from starlette.testclient import TestClient

from cli.serving_models import length_model
from smalltext_cli.serving.access import LOOPBACK_NAMES
from smalltext_cli.serving.app import create_app
from smalltext_cli.serving.bodies import Limits
from smalltext_cli.serving.predictions import model_version
from smalltext_core.saving import Manifest

KEY = "a-key-of-ümlauts"


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(length_model())) as one:
        yield one


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LocalHost:80", "127.0.0.1:8000", "[::1]:8000", "[::1]", "localhost."]
)
def test_names_of_this_machine_are_let_in(host):
    client = TestClient(create_app(length_model(), allowed_hosts=LOOPBACK_NAMES))
    assert client.get("/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0"),
        *(
            "localhost@evil.example",
            "evil.example/localhost",
            "[localhost",
            "::1",
            "",
            "localhost:x",
            "192.168.0.1",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/predict", "/metrics", "/nothing"])
def test_another_host_is_400_on_every_path(host, path):
    client = TestClient(create_app(length_model(), allowed_hosts=LOOPBACK_NAMES))
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "--allowed-host" in answer.json()["error"]


@pytest.mark.parametrize("given", [f"Bearer {KEY}", f"bearer  {KEY}", basic("anybody", KEY), basic("", KEY)])
def test_the_api_key_opens(given):
    client = TestClient(create_app(length_model(), api_key=KEY))
    assert client.get("/model", headers={"Authorization": given.encode()}).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        "",
        KEY,
        "Bearer",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Token {KEY}",
        basic(KEY, ""),
        "Basic ~",
        "Basic ü",
        "Basic YQ==",
    ],
)
@pytest.mark.parametrize("path", ["/model", "/metrics", "/openapi.json", "/setup", "/nothing", "/health/"])
def test_without_the_api_key_all_but_health_is_401(given, path):
    client = TestClient(create_app(length_model(), api_key=KEY), follow_redirects=False)
    answer = client.get(path, headers={"Authorization": given.encode()})
    assert answer.status_code == 401
    assert "Authorization: Bearer" in answer.json()["error"]
    assert "Basic" in answer.headers["WWW-Authenticate"], "requests and browsers then ask for a password"


@pytest.mark.parametrize("key", [KEY, "voilà"])
def test_space_around_the_key_does_not_matter(key):
    client = TestClient(create_app(length_model(), api_key=f" {key}\n"))
    for given in (f"Bearer {key}", basic("anybody", key), basic("anybody", f"{key}\n")):
        answer = client.get("/model", headers={"Authorization": given.encode()})
        assert answer.status_code == 200, "a file often ends with a line break, which no header can hold"


def test_health_needs_no_key_and_is_up_while_predictions_are_made():
    app = create_app(length_model(), api_key=KEY)
    assert TestClient(app).get("/health").status_code == 503
    with TestClient(app) as client:
        answer = client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "UP", "model_version": model_version(length_model().manifest)}


def test_no_origin_is_let_in_by_cors(client):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/predict", headers=headers)
    assert preflight.status_code == 405
    answer = client.post("/predict", json={"text": "a"}, headers=headers)
    assert not [name for name in (*preflight.headers, *answer.headers) if name.startswith("access-control")]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/predict", 405), ("GET", "/docs", 404)])
def test_other_paths_and_methods_are_answered_as_json(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert "/openapi.json" in answer.json()["error"]


def test_the_model_and_the_limits_are_described():
    with TestClient(create_app(length_model(multi_label=True), limits=Limits(texts=7))) as client:
        content = client.get("/model").json()
    assert content["labels"] == ["even", "odd"]
    assert content["thresholds"] == {"even": 0.5, "odd": 0.5}
    assert content["limits"]["texts"] == 7


def test_the_version_of_a_model_tells_its_content():
    def version(files, names=("a", "b")):
        return model_version(Manifest("sklearn", "smalltext-sklearn", "0.1.0", label_names=names, files=files))

    one, other = {"model": "0" * 64}, {"model": "1" * 64}
    assert version(one) == version(dict(one))
    assert len({version(one), version(other), version(one, ("b", "a"))}) == 3


def samples(client):
    """Return the samples of /metrics by their names with labels; each line must be in the format."""
    text = client.get("/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pattern = re.compile(r'([a-z_]+(?:\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+\})?) (\S+)')
    return {found[1]: float(found[2]) for found in map(pattern.fullmatch, lines) if found or pytest.fail(text)}


def test_requests_texts_and_batches_are_counted():
    with TestClient(create_app(length_model(names=('say "a\\b"', "ha\nm")))) as client:
        for texts in (["a"], ["a", "bb", "ccc"], [], [1]):
            client.post("/predict", json={"texts": texts})
        client.get("/no/such/path")
        found = samples(client)
        kinds = client.get("/metrics")
    assert found['smalltext_requests_total{path="/predict",status="200"}'] == 3
    assert found['smalltext_requests_total{path="/predict",status="422"}'] == 1
    assert found['smalltext_requests_total{path="other",status="404"}'] == 1
    assert found["smalltext_texts_total"] == 4
    assert found["smalltext_batch_size_count"] == 2
    assert found["smalltext_batch_size_sum"] == 4
    assert found['smalltext_batch_size_bucket{le="1"}'] == 1
    assert found['smalltext_batch_size_bucket{le="+Inf"}'] == 2
    assert found['smalltext_request_duration_seconds_count{path="/predict"}'] == 4
    assert found["smalltext_queue_length"] == found["smalltext_requests_in_progress"] == 0
    assert kinds.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    announced = re.findall(r"^# TYPE (\S+) (counter|gauge|histogram)$", kinds.text, re.MULTILINE)
    assert len(announced) == kinds.text.count("# HELP") == 7


def test_buckets_are_cumulated():
    with TestClient(create_app(length_model())) as client:
        for count in (1, 2, 2, 5, 64):
            client.post("/predict", json={"texts": ["a"] * count})
        found = samples(client)
    assert [found[f'smalltext_batch_size_bucket{{le="{size}"}}'] for size in (1, 2, 4, 8, 64)] == [1, 3, 3, 4, 5]


def test_requests_are_logged_without_texts_and_queries(client, caplog):
    caplog.set_level(logging.DEBUG)
    client.post("/predict?text=secret", json={"texts": ["secret"]})
    client.post("/predict", content=b'{"secret": NaN}', headers={"Content-Type": "application/json"})
    client.get("/secret")
    own = [record.getMessage() for record in caplog.records if record.name.startswith("smalltext")]
    assert [" ".join(line.split()[:3]) for line in own] == [
        "POST /predict 200",
        "POST /predict 422",
        "GET other 404",
    ]
    assert "secret" not in "".join(own)


def references(value):
    """Yield the references in an OpenAPI document."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from [one] if key == "$ref" else references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


@pytest.mark.parametrize("multi_label", [False, True])
def test_openapi_describes_every_path_with_the_limits(multi_label):
    app = create_app(length_model(multi_label=multi_label), limits=Limits(texts=7))
    content = TestClient(app).get("/openapi.json").json()
    assert content["openapi"] == "3.1.0"
    assert content["paths"].keys() == {route.path for route in app.routes} - {"/"}
    for path, operations in content["paths"].items():
        (method,) = operations
        (route,) = (one for one in app.routes if one.path == path)
        assert method.upper() in route.methods
        assert "200" in operations[method]["responses"]
    identities = [one["operationId"] for operations in content["paths"].values() for one in operations.values()]
    assert len(set(identities)) == len(identities)
    schemas = content["components"]["schemas"]
    used = set(references(content))
    assert used == {f"#/components/schemas/{name}" for name in schemas}
    assert schemas["TextsBody"]["properties"]["texts"]["maxItems"] == 7
    assert json.dumps(schemas).count("even") == 1


def test_answers_have_the_keys_of_openapi(client):
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    answer = client.post("/predict", json={"text": "a", "proba": True}).json()
    assert answer.keys() == schemas["TextsAnswer"]["properties"].keys()
    assert client.get("/health").json().keys() == schemas["Health"]["properties"].keys()
    assert client.post("/predict", json={}).json().keys() == schemas["Error"]["properties"].keys()
