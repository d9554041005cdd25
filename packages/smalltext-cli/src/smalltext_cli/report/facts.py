"""What the report says in words: the data, the model, and how far the confidence can be believed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from smalltext_cli.metrics import Scores
from smalltext_core.saving import Manifest

_LONGEST_VALUE = 300


@dataclass(frozen=True)
class DataFacts:
    """The texts that the model was evaluated on.

    Parameters
    ----------
    texts, classes : int
        How many texts there are, and how many classes occur among them.
    duplicates : int
        How many texts are exact repetitions of an earlier one.
    empty : int
        How many hold nothing but white space.
    median_length : int
        In characters.
    """

    texts: int
    classes: int
    duplicates: int
    empty: int
    median_length: int


def data_facts(texts: Sequence[str], scores: Scores) -> DataFacts:
    """Count what there is to know of the texts without reading them."""
    return DataFacts(
        texts=len(texts),
        classes=sum(one.support > 0 for one in scores.per_class),
        duplicates=len(texts) - len(set(texts)),
        empty=sum(not text.strip() for text in texts),
        median_length=round(median(map(len, texts))),
    )


def model_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the parameters of a model as names and JSON values, long values cut."""
    written = (
        (name, json.dumps(value, ensure_ascii=False)) for name, value in sorted(manifest.parameters.items())
    )
    return [
        (name, value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]} …") for name, value in written
    ]


def baseline(scores: Scores) -> float | None:
    """Return the share that always answering the most frequent class gets right; None if multi-label."""
    if scores.multi_label:
        return None
    return max(one.support for one in scores.per_class) / scores.num_texts


def mean_confidence(scores: Scores) -> float:
    """Return the mean of the confidences behind the reliability bins."""
    filled = [(one.count, one.confidence) for one in scores.reliability if one.confidence is not None]
    return sum(count * confidence for count, confidence in filled) / sum(count for count, _ in filled)


def calibration_verdict(scores: Scores) -> str:
    """Say whether a single-label model is surer than it is right: "over", "under", or "" where it agrees.

    It agrees if its mean confidence lies within the confidence interval of its accuracy.
    """
    low, high = scores.accuracy_interval
    confidence = mean_confidence(scores)
    return "over" if confidence > high else "under" if confidence < low else ""
