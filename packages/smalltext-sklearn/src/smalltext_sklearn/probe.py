"""Whether another version of scikit-learn brings back the same model: it may lack a part, or read one differently.

A saved model holds what it says of one text (or of one row of features). Where scikit-learn is not the version
that it was saved with, or what it holds was changed, it says something else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
from scipy.sparse import csr_matrix
from sklearn.exceptions import InconsistentVersionWarning

from smalltext_core import Dataset, TextDataset
from smalltext_core.errors import ModelFolderError, UntrustedModelError
from smalltext_core.messages import one_line
from smalltext_sklearn.dataset import SklearnDataset

if TYPE_CHECKING:
    from smalltext_sklearn.classifier import SklearnClassifier

_WORDS = 50
_MOST_FEATURES = 2**24
"""Of a row of more features there is no probe: it would take as much memory as somebody writes into a manifest."""
_TOLERANCE = 1e-5


def proba(classifier: SklearnClassifier, vocabularies: Sequence[list[str] | None]) -> list[float] | None:
    """Return what a classifier says of the probe, shape (num_classes,); None if it cannot take such a one."""
    try:
        found: list[float] = classifier.predict_proba(_data(classifier, vocabularies))[0].tolist()
    except Exception:  # a vectorizer of the user's, or an estimator, to which these are no texts or features
        return None
    return found


def check(classifier: SklearnClassifier, vocabularies: Sequence[list[str] | None], expected: Any) -> None:
    """Raise ValueError, or whatever the classifier raises, unless it says of the probe what it said when saved.

    Everything in the classifier has to be checked before, since this runs it.
    """
    if expected is not None:
        found = classifier.predict_proba(_data(classifier, vocabularies))[0]
        if np.shape(expected) != found.shape or not np.allclose(found, expected, rtol=0, atol=_TOLERANCE):
            raise ValueError("it says something else than when it was saved")


@contextmanager
def explained(folder: Path, written_with: object) -> Iterator[None]:
    """Where the version of scikit-learn differs, let an error name both; the probe stands in for its warnings."""
    if written_with in (sklearn.__version__, None):
        yield
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            yield
    except (UntrustedModelError, MemoryError):
        raise
    except Exception as error:
        raise ModelFolderError(
            f"{folder} was saved with scikit-learn {written_with}, and cannot be used with {sklearn.__version__}, "
            f"which is installed here ({type(error).__name__}: {one_line(str(error))}). "
            f"Install that one (pip install scikit-learn=={written_with}), or train the model again."
        ) from error


def _data(classifier: SklearnClassifier, vocabularies: Sequence[list[str] | None]) -> Dataset[Any]:
    if classifier.vectorizer_ is None:
        if classifier.n_features_ > _MOST_FEATURES:
            raise ValueError(f"there is no probe of {classifier.n_features_} features")
        return SklearnDataset(csr_matrix(np.ones((1, classifier.n_features_))))
    words = next((words for words in vocabularies if words), ["a", "text"])
    return TextDataset([" ".join(words[:_WORDS])])
