"""Which types a model folder may hold without anybody vouching for them.

skops trusts the public estimators of scikit-learn. Some of these keep what they learned in private types,
which it leaves to the caller; those below hold data and nothing else. Decision trees run compiled code over
indices that they trust, so theirs are checked after loading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.tree import BaseDecisionTree

from smalltext_core.errors import ModelFolderError

KNOWN_TYPES = frozenset(
    {
        "scipy.sparse._csc.csc_matrix",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "smalltext_sklearn.words.normalized",
    }
)

_LEAF = -1


def check_trees(content: object) -> None:
    """Raise ModelFolderError if a decision tree, anywhere in what was loaded, points outside of itself."""
    for tree in _decision_trees(content, set()):
        nodes = tree.tree_
        inner = nodes.children_left != _LEAF
        position = np.flatnonzero(inner)
        sound = nodes.n_features == tree.n_features_in_ and (nodes.children_right[~inner] == _LEAF).all()
        for children in (nodes.children_left[inner], nodes.children_right[inner]):
            sound = sound and (children > position).all() and (children < nodes.node_count).all()
        features = nodes.feature[inner]
        if not (sound and (features >= 0).all() and (features < nodes.n_features).all()):
            raise ModelFolderError("The folder holds a decision tree that is not sound. Do not use it.")


def _decision_trees(value: Any, seen: set[int]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, BaseDecisionTree) and hasattr(value, "tree_"):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _decision_trees(part, seen)
    elif isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        for part in value:
            yield from _decision_trees(part, seen)
    elif hasattr(value, "__dict__"):
        yield from _decision_trees(vars(value), seen)
