"""The contract of Label Studio with an ML backend, by requests as Label Studio 1.23 sends them."""

from __future__ import annotations

import json

import pytest
from starlette.testclient import TestClient

from cli.serving_models import length_model, proba_of
from smalltext_cli.serving import label_studio
from smalltext_cli.serving.app import create_app
from smalltext_cli.serving.bodies import Limits

CONFIG = """<View>
  <Header value="How long is it?"/>
  <Text name="review" value="$text"/>
  <Choices name="length" toName="review" choice="single" showInline="true">
    <Choice value="odd"/>
    <Choice value="even"/>
  </Choices>
</View>"""
MULTIPLE = CONFIG.replace('choice="single"', 'choice="multiple"')


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(length_model(), limits=Limits(text_length=1_000, texts=50))) as one:
        yield one


@pytest.fixture(scope="module")
def multi_label_client():
    with TestClient(create_app(length_model(multi_label=True))) as one:
        yield one


def task(text, number=1, key="text"):
    """Return a task as Label Studio sends it."""
    return {
        "id": number,
        "data": {key: text},
        "meta": {},
        "created_at": "2026-11-26T10:00:00.000000Z",
        "updated_at": "2026-11-26T10:00:00.000000Z",
        "is_labeled": False,
        "overlap": 1,
        "inner_id": number,
        "total_annotations": 0,
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "project": 1,
        "updated_by": None,
        "file_upload": None,
        "comment_authors": [],
    }


def posted(client, path, body):
    return client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})


def asked(client, tasks, config=CONFIG):
    """Ask for predictions as Label Studio does."""
    body = {
        "tasks": tasks,
        "project": "1.1764151200",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }
    return posted(client, "/predict", body)


def set_up(client, config=CONFIG):
    body = {
        "project": "1.1764151200",
        "schema": config,
        "hostname": "http://localhost:8080",
        "access_token": "0123456789abcdef",
        "extra_params": None,
    }
    return posted(client, "/setup", body)


def test_tasks_get_choices_with_scores_and_the_version(client):
    version = client.get("/health").json()["model_version"]
    answer = asked(client, [task("abc", 11), task("abcd", 12)])
    assert answer.status_code == 200
    score = float(proba_of("abc")[1])
    first, second = answer.json()["results"]
    assert first == {
        "result": [
            {
                "from_name": "length",
                "to_name": "review",
                "type": "choices",
                "value": {"choices": ["odd"]},
                "score": score,
            }
        ],
        "score": score,
        "model_version": version,
    }
    assert second["result"][0]["value"] == {"choices": ["even"]}
    assert answer.json()["model_version"] == version


def test_no_tasks_get_no_results(client):
    assert asked(client, []).json()["results"] == []


def test_setup_compares_the_project_with_the_model(client):
    answer = set_up(client)
    assert answer.status_code == 200
    assert answer.json() == {"model_version": client.get("/health").json()["model_version"], "not_offered": []}


@pytest.mark.parametrize(
    "action", ["ANNOTATION_CREATED", "ANNOTATION_UPDATED", "PROJECT_UPDATED", "START_TRAINING"]
)
def test_events_are_accepted_and_do_not_train(client, action):
    answer = client.post(
        "/webhook", json={"action": action, "project": {"id": 1, "title": "A"}, "task": task("a")}
    )
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["trained"] is False


def test_an_event_without_an_action_is_refused(client):
    assert client.post("/webhook", json={"task": 1}).status_code == 422
    assert client.post("/webhook", json=[]).status_code == 422


def test_versions_is_the_version(client):
    assert client.get("/versions").json() == {"versions": [client.get("/health").json()["model_version"]]}


def test_several_classes_are_several_choices(multi_label_client):
    tasks = [task(""), task("a" * 9_999)]
    both, one = asked(multi_label_client, tasks, MULTIPLE).json()["results"]
    assert both["result"][0]["value"]["choices"] == ["even"]
    assert one["result"][0]["value"]["choices"] == ["odd"]


def test_no_class_above_its_threshold_is_no_choice():
    model = length_model(multi_label=True)
    model.classifier.multi_label_threshold = 0.9
    with TestClient(create_app(model)) as client:
        (answer,) = asked(client, [task("abc")], MULTIPLE).json()["results"]
    assert answer["result"] == []
    assert answer["score"] == 1 - float(proba_of("abc").max())


def test_one_class_may_be_chosen_where_several_are_allowed(client):
    (answer,) = asked(client, [task("abc")], MULTIPLE).json()["results"]
    assert answer["result"][0]["value"] == {"choices": ["odd"]}


@pytest.mark.parametrize(
    ("value", "data"),
    [("$a", {"a": "abc"}), ("$a.b", {"a": {"b": "abc"}}), ("$a.b", {"a.b": "abc", "a": {"b": "abcd"}})],
)
def test_the_text_is_where_the_configuration_says(client, value, data):
    config = CONFIG.replace("$text", value)
    (answer,) = asked(client, [{"id": 1, "data": data}], config).json()["results"]
    assert answer["result"][0]["value"] == {"choices": ["odd"]}


def test_an_alias_is_what_annotations_hold(client):
    config = CONFIG.replace('value="odd"', 'value="An odd number" alias="odd"')
    (answer,) = asked(client, [task("abc")], config).json()["results"]
    assert answer["result"][0]["value"] == {"choices": ["odd"]}
    config = CONFIG.replace('value="odd"', 'value="odd" alias="o"')
    assert "'o'" in asked(client, [task("abc")], config).json()["error"]


def test_choices_are_compared_by_the_rule_for_names_and_kept_as_they_are(client):
    config = CONFIG.replace('value="odd"', 'value=" odd "')
    (answer,) = asked(client, [task("abc")], config).json()["results"]
    assert answer["result"][0]["value"] == {"choices": [" odd "]}


def test_a_class_that_is_not_offered_is_left_out_and_named_by_setup(client):
    config = CONFIG.replace('<Choice value="odd"/>', "")
    assert set_up(client, config).json()["not_offered"] == ["odd"]
    first, second = asked(client, [task("abc"), task("abcd")], config).json()["results"]
    assert first["result"] == []
    assert second["result"][0]["value"] == {"choices": ["even"]}


def test_other_controls_of_the_project_do_not_matter(client):
    other = (
        '<Choices name="topic" toName="review"><Choice value="food"/></Choices><Rating name="r" toName="review"/>'
    )
    config = CONFIG.replace("</View>", f"{other}</View>")
    (answer,) = asked(client, [task("abc")], config).json()["results"]
    assert [one["from_name"] for one in answer["result"]] == ["length"]


def test_many_unknown_choices_are_refused_without_comparing_each(client, monkeypatch):
    compared = []
    monkeypatch.setattr(label_studio, "is_class", lambda names, choice: compared.append(choice))
    choices = "".join(f'<Choice value="{number}"/>' for number in range(10_000))
    answer = set_up(client, CONFIG.replace('<Choice value="odd"/>', choices))
    assert answer.status_code == 422
    assert "'18', '19', ..." in answer.json()["error"]
    assert len(compared) < 100, "each comparison takes time that grows with the number of classes"


ENTITIES = '<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FILE = '<!DOCTYPE v [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            CONFIG.replace('"odd"', '"strange"'),
            "not classes of the model: 'strange'. The model knows 'even', 'odd'",
        ),
        (CONFIG.replace('value="odd"', ""), "not classes of the model: ''"),
        (CONFIG.replace("<Choices ", "<Labels ").replace("</Choices", "</Labels"), "has no <Choices>"),
        (CONFIG.replace('toName="review"', 'toName="other"'), "has no <Choices> whose toName is that of a <Text>"),
        (CONFIG.replace("<Text ", "<Image "), "has no <Choices>"),
        (CONFIG.replace("$text", "text"), "value is 'text', not a key"),
        (CONFIG.replace("$text", "$"), "value is '$', not a key"),
        (CONFIG.replace("<Text ", '<Text valueType="url" '), "URLs of texts"),
        (CONFIG.replace("<Choices ", '<Choices value="$options" '), "from the tasks"),
        (CONFIG.replace('"odd"/>', '"odd"><Choice value="1"/></Choice>'), "nests choices"),
        (
            CONFIG.replace("</View>", "<Choices name='b' toName='review'><Choice value='odd'/></Choices></View>"),
            "several <Choices> that fit the model: 'length', 'b'",
        ),
        (CONFIG.replace("</Choices>", "<Choices name='b'/></Choices>"), "nests <Choices> in 'length'"),
        (CONFIG.replace("</View>", ""), "is not XML"),
        ("\ud800", "is not XML"),
        ("", "is missing"),
        (None, "is missing"),
        (7, "is missing"),
        (ENTITIES + CONFIG.replace("How long is it?", "&b;"), "declares a document type"),
        (FILE + CONFIG.replace("How long is it?", "&a;"), "declares a document type"),
        ("<!DOCTYPE View>" + CONFIG, "declares a document type"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused_in_words_and_logged(client, config, said, caplog):
    for answer in (set_up(client, config), asked(client, [task("secret")], config)):
        assert answer.status_code == 422
        assert said in answer.json()["error"]
    assert len(caplog.messages) == 2, "Label Studio shows the status alone"
    assert all("labelling configuration" in line and "secret" not in line for line in caplog.messages)


def test_one_choice_for_a_model_of_several_is_refused(multi_label_client):
    answer = set_up(multi_label_client)
    assert answer.status_code == 422
    assert 'choice="multiple"' in answer.json()["error"]


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ({}, "tasks is not a list"),
        ([1], 'tasks[0] has no object "data"'),
        ([task("a"), {"id": 5}], 'tasks[1] (id 5) has no object "data"'),
        ([task("a"), task("b", 7, key="txt")], "tasks[1] (id 7) has no text: there is nothing at data.text"),
        ([task(None, 8)], "tasks[0] (id 8) has no text"),
        ([task(5, 8)], "data.text, is a number"),
        ([task("a" * 1_001, 8)], "tasks[0] (id 8), data.text, has 1,001 characters"),
        ([task("a")] * 51, "There are 51 texts"),
    ],
)
def test_tasks_without_a_text_are_named(client, tasks, said):
    answer = asked(client, tasks)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def test_setup_without_an_object_is_refused(client):
    assert client.post("/setup", json=[]).status_code == 422
