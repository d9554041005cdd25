"""The self-description of the service: the model, and the interface as OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalltext_cli import __version__
from smalltext_cli.evaluation import Model
from smalltext_cli.serving.bodies import Limits
from smalltext_cli.serving.predictions import Answers

_STRINGS = {"type": "array", "items": {"type": "string"}}
_REFUSED = {
    "400": "The Host header names no host of this service, or the connection was closed.",
    "401": "The API key is missing or wrong.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not declared as uncompressed JSON.",
    "422": "The body does not have the expected structure; the message names the first problem.",
    "500": "The model failed.",
    "503": "Too many requests are in progress, or the prediction took too long. Try again after Retry-After.",
}


def described(model: Model, answers: Answers, limits: Limits) -> dict[str, Any]:
    """Return a description of the model and of the limits of requests."""
    return {
        "model_version": answers.version,
        "classifier": model.manifest.classifier,
        "distribution": model.manifest.distribution,
        "version": model.manifest.version,
        "multi_label": model.multi_label,
        "labels": list(answers.names.names),
        **model.probabilities.as_dict(),
        "limits": {
            "body_bytes": limits.body_bytes,
            "texts": limits.texts,
            "text_length": limits.text_length,
            "requests": limits.requests,
            "seconds": limits.seconds,
        },
    }


def document(answers: Answers, limits: Limits) -> dict[str, Any]:
    """Return the description of the service in OpenAPI 3.1, including its classes and limits."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "smalltext serve",
            "version": __version__,
            "summary": "Labels for texts, by a model that smalltext trained.",
        },
        "paths": _paths(),
        "components": {
            "schemas": _schemas(answers, limits),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}],
    }


def _paths() -> dict[str, Any]:
    return {
        "/predict": _post("predict", "Label texts, or tasks of Label Studio.", "PredictBody", "PredictAnswer"),
        "/setup": _post("setup", "Compare a Label Studio project with the model.", "SetupBody", "SetupAnswer"),
        "/webhook": _post("webhook", "Accept an event of Label Studio.", "WebhookBody", "WebhookAnswer"),
        "/versions": _get("versions", "The version of the model, for Label Studio.", "Versions"),
        "/model": _get("model", "The model and the limits.", "Model"),
        "/health": {
            "get": {
                "operationId": "health",
                "summary": "Whether predictions are made; needs no API key.",
                "security": [{}],
                "responses": {"200": _content("UP", "Health"), "503": _content("DOWN", "Health")},
            }
        },
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "What is counted, for Prometheus.",
                "responses": {
                    "200": {"description": "Samples.", "content": {"text/plain": {"schema": {"type": "string"}}}},
                    "401": _content(_REFUSED["401"], "Error"),
                },
            }
        },
        "/openapi.json": _get("openapi", "This description.", "Document"),
    }


def _post(name: str, summary: str, body: str, answer: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
    responses = {status: _content(meaning, "Error") for status, meaning in _REFUSED.items()}
    retry = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
    responses["503"] = {**responses["503"], "headers": retry}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": {"200": _content("The answer.", answer), **responses},
        }
    }


def _get(name: str, summary: str, answer: str) -> dict[str, Any]:
    refused = {status: _content(_REFUSED[status], "Error") for status in ("400", "401")}
    responses = {"200": _content("The answer.", answer), **refused}
    return {"get": {"operationId": name, "summary": summary, "responses": responses}}


def _content(meaning: str, schema: str) -> dict[str, Any]:
    found = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"description": meaning, "content": {"application/json": found}}


def _object(properties: Mapping[str, Any], *required: str, others: bool = False) -> dict[str, Any]:
    found = {"type": "object", "properties": dict(properties), "additionalProperties": others}
    return {**found, "required": list(required)} if required else found


def _schemas(answers: Answers, limits: Limits) -> dict[str, Any]:
    string, number = {"type": "string"}, {"type": "number"}
    text = {"type": "string", "maxLength": limits.text_length}
    texts = {"type": "array", "items": text, "maxItems": limits.texts}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    label: dict[str, Any] = {"type": "string", "enum": list(answers.names.names)}
    score: dict[str, Any] = share
    if answers.multi_label:
        label, score = ({"type": "array", "items": one} for one in (label, score))
    proba = {"type": "array", "items": {"type": "object", "additionalProperties": share}}
    task = _object({"id": {"type": "integer"}, "data": {"type": "object"}}, "data", others=True)
    prediction = _object(
        {"result": {"type": "array", "items": {"type": "object"}}, "score": number, "model_version": string},
        *("result", "score", "model_version"),
    )
    flag = {"type": "boolean", "default": False, "description": "Whether to return all probabilities."}
    schemas = {
        "TextBody": _object({"text": text, "proba": flag}, "text"),
        "TextsBody": _object({"texts": texts, "proba": flag}, "texts"),
        "TasksBody": _object(
            {"tasks": {"type": "array", "items": task, "maxItems": limits.texts}, "label_config": string},
            *("tasks", "label_config"),
            others=True,
        ),
        "TextsAnswer": _object(
            {
                "labels": {"type": "array", "items": label},
                "scores": {"type": "array", "items": score},
                "proba": proba,
                "model_version": string,
            },
            *("labels", "scores", "model_version"),
        ),
        "TasksAnswer": _object(
            {"results": {"type": "array", "items": prediction}, "model_version": string},
            *("results", "model_version"),
        ),
        "SetupBody": _object({"schema": string}, "schema", others=True),
        "SetupAnswer": _object({"model_version": string, "not_offered": _STRINGS}, "model_version", "not_offered"),
        "WebhookBody": _object({"action": string}, "action", others=True),
        "WebhookAnswer": _object(
            {"status": string, "trained": {"type": "boolean"}, "message": string}, "status", "trained"
        ),
        "Versions": _object({"versions": _STRINGS}, "versions"),
        "Model": {"type": "object", "properties": {"model_version": string, "labels": _STRINGS}},
        "Health": _object({"status": {"enum": ["UP", "DOWN"]}, "model_version": string}, "status"),
        "Document": {"type": "object"},
        "Error": _object({"error": string}, "error"),
    }
    for union, kinds in {"PredictBody": ("Text", "Texts", "Tasks"), "PredictAnswer": ("Texts", "Tasks")}.items():
        suffix = union.removeprefix("Predict")
        schemas[union] = {"oneOf": [{"$ref": f"#/components/schemas/{kind}{suffix}"} for kind in kinds]}
    return schemas
