"""A classifier that was just loaded, tried out on a few texts, so that `load` says what it cannot do."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from smalltext_core.dataset import TextDataset
from smalltext_core.errors import ModelFolderError
from smalltext_torch.progress import no_progress_bars

if TYPE_CHECKING:
    from smalltext_torch.network_classifier import NetworkClassifier

_SCRIPTS = "".join(chr(code) for code in (*range(0x21, 0x3000, 41), *range(0x3041, 0xD7A0, 997), 0x1F44D, 0x1F600))

TRIALS = (
    (
        "a",
        "Hello, WORLD! It's 12.5 % of 3, don't you think?",
        "",
        _SCRIPTS,
        " ".join(_SCRIPTS),
        "\N{COMBINING ACUTE ACCENT}",
    ),
    ("goal 1 the " * 200, "a b c d e f g"),
    ("",),
    ("a b",),
    ("a b c",),
)
"""Texts that are classified together: of many scripts, longer than models take, and of several lengths."""


def try_out(classifier: NetworkClassifier[Any]) -> None:
    """Classify a few texts with a classifier that was loaded.

    Raises
    ------
    ModelFolderError
        If there are no probabilities for all classes.
    Exception
        Whatever else is raised by a network or a tokenizer that cannot be used.
    """
    with warnings.catch_warnings(), no_progress_bars():
        warnings.simplefilter("ignore")
        for texts in TRIALS:
            _check(classifier, classifier.predict_proba(TextDataset(texts)), len(texts))
        some = TextDataset(TRIALS[0][:2])
        sampling: Any = classifier.predict_proba
        _check(classifier, sampling(some, dropout_sampling=2)[:, 0], len(some))
        embed = getattr(classifier, "embed", None)
        if embed is not None:
            embedded = np.asarray(embed(some))
            if embedded.shape[:1] != (len(some),) or not np.isfinite(embedded).all():
                raise ModelFolderError("The saved model embeds texts as numbers that are not finite.")


def _check(classifier: NetworkClassifier[Any], proba: np.ndarray[Any, Any], texts: int) -> None:
    if proba.shape != (texts, classifier.num_classes) or not np.isfinite(proba).all():
        what = f"The saved model does not give {classifier.num_classes} finite probabilities for a text"
        raise ModelFolderError(f"{what}. Copy the folder again, or save the model again.")
