"""Prediction requests and the answers to them."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from smalltext_cli.evaluation import Model, thresholds_of
from smalltext_cli.serving.bodies import Limits, RefusedError
from smalltext_core.label_names import shown_name
from smalltext_core.messages import shown
from smalltext_core.probabilities import to_labels
from smalltext_core.saving import Manifest

_SURROGATE = re.compile("[\ud800-\udfff]")
_KEYS = ("text", "texts", "proba")
_SHAPE = 'Send {"texts": ["...", "..."]}, or {"text": "..."} for one text.'


@dataclass(frozen=True)
class PredictionRequest:
    """The texts of a request, and whether it asks for the probabilities of all classes."""

    texts: Sequence[str]
    proba: bool

    @classmethod
    def of(cls, body: object, limits: Limits) -> PredictionRequest:
        """Read the body of a request, or raise RefusedError with status 422."""
        if not isinstance(body, dict):
            raise RefusedError(422, f"The body is {_kind(body)}, not an object. {_SHAPE}")
        for key in body:
            if key not in _KEYS:
                near = difflib.get_close_matches(key[:60], _KEYS, n=1)
                advice = f"Did you mean {near[0]!r}? " if near else ""
                raise RefusedError(422, f"The key {shown_name(key)} is not known. {advice}{_SHAPE}")
        if ("text" in body) == ("texts" in body):
            problem = "both 'text' and 'texts'" if "text" in body else "neither 'text' nor 'texts'"
            raise RefusedError(422, f"The body has {problem}. {_SHAPE}")
        proba = body.get("proba", False)
        if not isinstance(proba, bool):
            raise RefusedError(422, f"proba is {_kind(proba)}, not true or false.")
        if "text" in body:
            return cls([checked_text(body["text"], "text", limits)], proba)
        texts = body["texts"]
        if not isinstance(texts, list):
            raise RefusedError(422, f"texts is {_kind(texts)}, not a list of strings. {_SHAPE}")
        check_count(len(texts), limits)
        return cls([checked_text(text, f"texts[{number}]", limits) for number, text in enumerate(texts)], proba)


def check_count(count: int, limits: Limits) -> None:
    """Raise RefusedError if a request has too many texts."""
    if count > limits.texts:
        raise RefusedError(
            422,
            f"There are {count:,} texts; at most {limits.texts:,} are allowed in a request. Send several "
            "requests, or have the service started with a higher --max-texts.",
        )


def checked_text(text: object, name: str, limits: Limits) -> str:
    """Return a text, or raise RefusedError with its name if it is not a string or cannot be predicted."""
    if not isinstance(text, str):
        raise RefusedError(422, f"{name} is {_kind(text)}, not a string.")
    if len(text) > limits.text_length:
        raise RefusedError(
            422,
            f"{name} has {len(text):,} characters; at most {limits.text_length:,} are allowed. Shorten it, or "
            "have the service started with a higher --max-text-length.",
        )
    if not text.isascii() and (half := _SURROGATE.search(text)):
        raise RefusedError(
            422,
            f"{name} has half of a surrogate pair at position {half.start()}, {shown(half[0])}, which is not a "
            "character. Write both halves, or drop it.",
        )
    return text


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")


class Answers:
    """Turns the probabilities of a model into labels, scores and answers.

    Parameters
    ----------
    model : Model

    Attributes
    ----------
    names : LabelNames
        The names of the classes.
    multi_label : bool
        Whether a text may have several labels, or none.
    version : str
        The name of the classifier and a prefix of the hash of the model's files.
    """

    def __init__(self, model: Model) -> None:
        self.names = model.names
        self.multi_label = model.multi_label
        self.version = model_version(model.manifest)
        self._threshold: Any = thresholds_of(model.classifier)

    def numbers(self, proba: NDArray[np.float32]) -> list[list[int]]:
        """Return the class numbers predicted for each text: one, or any number if multi-label."""
        labels = to_labels(proba, multi_label=self.multi_label, threshold=self._threshold)
        if isinstance(labels, csr_matrix):
            return [sorted(row) for row in labels.tolil().rows]
        return [[number] for number in labels.tolist()]

    def of(self, proba: NDArray[np.float32], *, with_proba: bool) -> dict[str, Any]:
        """Return the answer to a request: the label and score of each text, and optionally all probabilities.

        If multi-label, labels and scores are lists.
        """
        names = self.names.names
        labels: list[Any] = []
        scores: list[Any] = []
        for row, numbers in zip(proba.tolist(), self.numbers(proba), strict=True):
            labels.append([names[number] for number in numbers])
            scores.append([row[number] for number in numbers])
        if not self.multi_label:
            labels, scores = [label for (label,) in labels], [score for (score,) in scores]
        answer = {"labels": labels, "scores": scores, "model_version": self.version}
        if with_proba:
            answer["proba"] = [dict(zip(names, row, strict=True)) for row in proba.tolist()]
        return answer


def model_version(manifest: Manifest) -> str:
    """Return a version of a model folder, which is equal for copies and differs after retraining.

    Examples
    --------
    >>> model_version(Manifest("sklearn", "smalltext-sklearn", "0.1.0", files={"model.skops": "1f" * 32}))
    'sklearn-7049650bd142'
    """
    return f"{manifest.classifier}-{_digest(manifest.files, manifest.label_names or ())}"


def _digest(files: Mapping[str, str], names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name, file_digest in sorted(files.items()):
        digest.update(f"{name}\0{file_digest}\0".encode("utf-8", "surrogatepass"))
    digest.update("\0".join(names).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:12]
