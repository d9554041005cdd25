"""A model's answers to labelled texts: what the tables and the report are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.metrics import Scores
from smalltext_core.labels import Labels
from smalltext_core.saving import Manifest


@dataclass(frozen=True)
class Evaluation:
    """One model on one file of labelled texts.

    Parameters
    ----------
    manifest : Manifest
        What the model folder says of the model.
    data_name : str
        What the data is called, such as the name of its file.
    names : tuple of str
        What the classes are called, in the order of their numbers.
    texts : sequence of str
    y : Labels
        The truth: int array of shape (n,), or csr_matrix of shape (n, num_classes).
    proba : ndarray of float32, shape (n, num_classes)
    scores : Scores
        Of `proba` against `y`.
    """

    manifest: Manifest
    data_name: str
    names: tuple[str, ...]
    texts: Sequence[str]
    y: Labels
    proba: NDArray[np.float32]
    scores: Scores
