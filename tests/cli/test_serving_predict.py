"""POST /predict: what is answered, what is refused, and in which words."""

from __future__ import annotations

import asyncio
import json
import threading

import numpy as np
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from cli.serving_models import Gate, length_model, proba_of
from smalltext_cli.evaluation import load_model
from smalltext_cli.serving.app import create_app
from smalltext_cli.serving.bodies import Limits, RefusedError, read_json
from smalltext_core import TextDataset

JSON = {"Content-Type": "application/json"}
LIMITS = Limits(body_bytes=2_000, texts=3, text_length=20)


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(length_model(), limits=LIMITS)) as one:
        yield one


@pytest.fixture(scope="module")
def loaded(model):
    return load_model(str(model))


def sent(client, body, **headers):
    """Send bytes, or values as JSON, and return the status and the body of the answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/predict", content=content, headers=JSON | headers)
    return answer.status_code, answer.json()


def test_texts_get_labels_scores_and_on_request_all_probabilities(loaded):
    texts = ["buy cheap pills", "lunch tomorrow?", "", "привет мир", "a\x00b \u202e"]
    proba = loaded.classifier.predict_proba(TextDataset(texts))
    names = loaded.names.names
    with TestClient(create_app(loaded)) as client:
        status, answer = sent(client, {"texts": texts, "proba": True})
    assert status == 200
    assert answer["labels"] == loaded.names.decode(loaded.classifier.predict(TextDataset(texts)))
    np.testing.assert_allclose(answer["scores"], proba.max(axis=1), rtol=1e-6)
    assert [list(one) for one in answer["proba"]] == [list(names)] * len(texts)
    np.testing.assert_allclose([list(one.values()) for one in answer["proba"]], proba, rtol=1e-6)
    assert answer["model_version"].startswith("sklearn-")


def test_several_labels_a_text_are_lists(multi_label_model):
    loaded = load_model(str(multi_label_model))
    texts = ["buy cheap pills now", "meeting tomorrow", "zzz"]
    labels, proba = loaded.classifier.predict(TextDataset(texts), return_proba=True)
    with TestClient(create_app(loaded)) as client:
        _, answer = sent(client, {"texts": texts})
    assert answer["labels"] == loaded.names.decode(labels)
    for row, numbers, scores in zip(proba, labels.tolil().rows, answer["scores"], strict=True):
        np.testing.assert_allclose(scores, row[sorted(numbers)], rtol=1e-6)


def test_one_text_is_a_list_of_one(client):
    status, answer = sent(client, {"text": "odd"})
    assert status == 200
    assert answer["labels"] == ["odd"]
    assert answer["scores"] == [float(proba_of("odd")[1])]
    assert "proba" not in answer


def test_no_texts_get_no_labels(client):
    assert (
        sent(client, {"texts": [], "proba": True})[1].items() >= {"labels": [], "scores": [], "proba": []}.items()
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"texts": ["a"]} x', "not JSON"),
        (b'{"text": "\xe9"}', "byte 0xe9 at position 10 is not UTF-8"),
        (b"[" * 1_000, "not JSON"),
        (b'{"text": "a", "text": "b"}', "key 'text' is given twice"),
        (b'{"text": "a", "proba": NaN}', "NaN is not JSON"),
        (b'{"text": "a", "proba": -Infinity}', "-Infinity is not JSON"),
        (b'{"text": ' + b"9" * 1_900 + b"}", "text is a number"),
        ([], "body is a list, not an object"),
        ("a text", "body is a string"),
        ({}, "neither 'text' nor 'texts'"),
        ({"text": "a", "texts": ["a"]}, "both 'text' and 'texts'"),
        ({"txets": ["a"]}, "key 'txets' is not known. Did you mean 'texts'?"),
        ({"texts": "a"}, "texts is a string, not a list"),
        ({"texts": ["a", 1]}, "texts[1] is a number, not a string"),
        ({"texts": [True]}, "texts[0] is a boolean"),
        ({"texts": ["a", None]}, "texts[1] is null"),
        ({"text": {}}, "text is an object"),
        ({"text": "a", "proba": 1}, "proba is a number"),
        ({"texts": ["a"] * 4}, "There are 4 texts; at most 3 are allowed"),
        ({"texts": ["a", "b" * 21]}, "texts[1] has 21 characters; at most 20 are allowed"),
        ({"text": "ab\ud800"}, "text has half of a surrogate pair at position 2, '\\ud800'"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_words(client, body, said):
    status, answer = sent(client, body)
    assert status == 422
    assert said in answer["error"]
    assert answer["error"].endswith((".", "}", "?"))


def test_whole_surrogate_pairs_are_texts(client):
    assert sent(client, b'{"text": "\\ud83d\\ude00"}')[1]["labels"] == ["odd"]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content-Type": "text/plain"}, "Content-Type is 'text/plain'"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "with Content-Type: application/json"),
        ({"Content-Type": ""}, "Content-Type is missing"),
        ({"Content-Encoding": "gzip"}, "Content-Encoding is 'gzip'"),
    ],
)
def test_other_types_and_encodings_are_415(client, headers, said):
    status, answer = sent(client, {"text": "a"}, **headers)
    assert status == 415
    assert said in answer["error"]


def test_parameters_of_the_type_do_not_matter(client):
    assert sent(client, {"text": "a"}, **{"Content-Type": "Application/JSON; charset=utf-8"})[0] == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_above_the_limit_is_413(client, is_chunked):
    content = json.dumps({"texts": ["a" * 2_000]}).encode()
    chunks = (content[start : start + 100] for start in range(0, len(content), 100))
    answer = client.post("/predict", content=chunks if is_chunked else content, headers=JSON)
    assert ("content-length" in answer.request.headers) != is_chunked
    assert answer.status_code == 413
    assert "larger than 2,000 bytes" in answer.json()["error"]


def test_a_body_at_the_limit_is_read(client):
    content = b'{"text": "a"}'.ljust(2_000)
    assert sent(client, content)[0] == 200
    assert sent(client, content + b" ")[0] == 413


def test_a_body_that_does_not_arrive_is_408():
    async def receive():
        await asyncio.Event().wait()

    request = Request({"type": "http", "headers": [(b"content-type", b"application/json")]}, receive)
    with pytest.raises(RefusedError, match="did not arrive within 0.01 s") as refused:
        asyncio.run(read_json(request, Limits(seconds=0.01)))
    assert refused.value.status == 408


@pytest.mark.parametrize("content", [b'{"text": "odd"}', b'{"tasks": []}', b"not read"])
def test_requests_above_the_limit_are_503_until_one_is_answered(content):
    gate, answers = Gate(), []
    with TestClient(create_app(length_model(gate), limits=Limits(requests=1))) as client:
        first = threading.Thread(target=lambda: answers.append(sent(client, {"text": "odd"})))
        first.start()
        assert gate.entered.wait(600)
        refused = client.post("/predict", content=content, headers=JSON)
        assert client.get("/health").status_code == 200
        gate.opened.set()
        first.join()
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert "1 requests are in progress" in refused.json()["error"]
        assert answers[0][0] == 200
        assert sent(client, {"text": "even"})[0] == 200


def test_a_prediction_that_takes_too_long_is_503():
    gate = Gate()
    with TestClient(create_app(length_model(gate), limits=Limits(seconds=0.01))) as client:
        answer = client.post("/predict", json={"text": "odd"})
        gate.opened.set()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "No prediction within 0.01 s" in answer.json()["error"]


def test_a_model_that_fails_is_500_without_a_word_of_the_text(caplog):
    def fail(texts):
        if "secret" in texts:
            raise ValueError(f"cannot read {texts}")

    with TestClient(create_app(length_model(fail))) as client:
        status, answer = sent(client, {"text": "secret"})
        assert sent(client, {"text": "other"})[0] == 200
    assert (status, answer["error"]) == (500, "The model failed: ValueError.")
    assert "the model failed: ValueError" in caplog.text
    assert "secret" not in caplog.text
