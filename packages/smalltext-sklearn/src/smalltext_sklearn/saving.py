"""A scikit-learn classifier in a folder: skops for what was learned, JSON for the words.

The vocabulary of a vectorizer is kept out of the skops file, which would spend a node of its schema on every
word: of 360,000 words it makes 190 MB and 7 seconds, as JSON they are 8 MB.
"""

from __future__ import annotations

import copy
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import CountVectorizer

from smalltext_core.atomic import as_path
from smalltext_core.errors import InvalidInputError, ModelFolderError, NotFittedError, UntrustedModelError
from smalltext_core.manifest import is_version
from smalltext_core.messages import printable, shown
from smalltext_core.process import left_out
from smalltext_core.saving import Manifest, damage_explained, model_folder, read_manifest
from smalltext_sklearn import probe
from smalltext_sklearn._version import __version__
from smalltext_sklearn.soundness import check_sound
from smalltext_sklearn.trust import KNOWN_TYPES, Schema

# skops lists the estimators of scikit-learn, for which it imports every package in it. These have no estimators,
# and import whole libraries, torch for seconds. Where a library has been imported already, that costs little.
_WRAPPERS = [
    f"sklearn.externals.array_api_compat.{library}"
    for library in ("cupy", "dask", "torch")
    if library not in sys.modules
]
with left_out(*_WRAPPERS):
    import skops.io

if TYPE_CHECKING:
    from smalltext_sklearn.classifier import SklearnClassifier

C = TypeVar("C", bound="SklearnClassifier")

MODEL_FILE = "model.skops"
VOCABULARY_FILE = "vocabulary.json"

_MOST_CLASSES = 2**20
_MOST_FEATURES = 2**31 - 1
_LISTED = 10
"""How many types a message names."""


def save(classifier: SklearnClassifier, folder: str | Path) -> None:
    """Write a fitted classifier to a folder, whole or not at all."""
    if not hasattr(classifier, "model_"):
        raise NotFittedError(classifier)
    vectorizer, vocabularies = _without_vocabularies(classifier.vectorizer_)
    class_weight = classifier.class_weight
    parameters = {
        "num_classes": classifier.num_classes,
        "multi_label": bool(classifier.multi_label),
        "class_weight": _as_json(class_weight) if isinstance(class_weight, Mapping) else class_weight,
        "multi_label_threshold": classifier.multi_label_threshold,
        "seed": classifier.seed,
        "n_features": classifier.n_features_,
        "scikit_learn": sklearn.__version__,
        "probe": probe.proba(classifier, vocabularies),
    }
    content = {
        "model": clone(classifier.model),
        "vectorizer": None if classifier.vectorizer is None else clone(classifier.vectorizer),
        "model_": classifier.model_,
        "vectorizer_": vectorizer,
    }
    with model_folder(
        folder,
        classifier="sklearn",
        distribution="smalltext-sklearn",
        version=__version__,
        parameters=parameters,
        label_names=classifier.label_names_,
    ) as staging:
        skops.io.dump(content, staging / MODEL_FILE, compression=zipfile.ZIP_DEFLATED)
        (staging / VOCABULARY_FILE).write_text(json.dumps(vocabularies), encoding="ascii")


def load(cls: type[C], folder: str | Path, trusted: list[str] | None) -> C:
    """Bring back a classifier from a folder, refusing what nobody vouches for or checks.

    `trusted` names types, and patterns of tokens, that the caller vouches for.
    """
    folder = as_path(folder)
    manifest = read_manifest(folder)
    vouched = _as_names(trusted)
    written_with = manifest.parameters.get("scikit_learn")
    if not is_version(written_with):
        raise ModelFolderError(
            f"{folder} does not say which scikit-learn it was saved with. Save the model again."
        )
    unlisted = {MODEL_FILE, VOCABULARY_FILE} - manifest.files.keys()
    if unlisted:  # what is listed was found to be a file, and inside the folder
        raise ModelFolderError(f"{folder} is damaged: its manifest does not list {min(unlisted)}. Copy it again.")
    with damage_explained(folder), probe.explained(folder, written_with):
        content = _read_model(folder / MODEL_FILE, vouched)
        try:
            classifier = _classifier(cls, manifest, content)
            vocabularies = json.loads((folder / VOCABULARY_FILE).read_bytes())
            _give_vocabularies(classifier.vectorizer_, vocabularies)
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise ModelFolderError(
                f"{folder} does not hold a whole scikit-learn classifier, or was written by another version "
                f"({manifest.distribution} {manifest.version}): {type(error).__name__}: {error} "
                "Save the model again."
            ) from error
        check_sound(content, vouched)
        probe.check(classifier, vocabularies, manifest.parameters.get("probe"))
    return classifier


def _as_names(trusted: object) -> frozenset[str]:
    if trusted is None:
        return frozenset()
    listed = isinstance(trusted, Iterable) and not isinstance(trusted, str) and getattr(trusted, "ndim", 1) != 0
    names: list[Any] = list(trusted) if listed else [None]  # type: ignore[call-overload]
    if not all(isinstance(name, str) for name in names):
        raise InvalidInputError("trusted", shown(trusted), "a list of the dotted names of types")
    return frozenset(names)


def _classifier(cls: type[C], manifest: Manifest, content: dict[str, Any]) -> C:
    parameters = dict(manifest.parameters)
    features = parameters.pop("n_features")
    del parameters["scikit_learn"], parameters["probe"]
    for name, value, most in (
        ("n_features", features, _MOST_FEATURES),
        ("num_classes", parameters["num_classes"], _MOST_CLASSES),
    ):
        if type(value) is not int or not 0 < value <= most:
            raise ValueError(f"{name} is {shown(value)}, not a whole number from 1 to {most}.")
    if isinstance(parameters["class_weight"], list):
        parameters["class_weight"] = {
            label if isinstance(label, str) else int(label): float(weight)
            for label, weight in parameters["class_weight"]
        }
    classifier = cls(content["model"], vectorizer=content["vectorizer"], **parameters)
    _check_fit(content["model_"], classifier, features)
    classifier.model_ = content["model_"]
    classifier.vectorizer_ = content["vectorizer_"]
    classifier.label_names_ = manifest.names
    classifier.n_features_ = features
    return classifier


def _check_fit(model: Any, classifier: SklearnClassifier, n_features: int) -> None:
    """Raise ValueError unless there is an estimator, or a constant, a class; or one that knows no other class."""
    several = classifier.multi_label
    models = model if several and isinstance(model, list) else [model]
    fits = len(models) == (classifier.num_classes if several else 1)
    for each in models:
        if not (several and isinstance(each, float) and each in {0.0, 1.0}):
            classes = np.asarray(getattr(each, "classes_", "none"))
            allowed = 2 if several else classifier.num_classes
            fits = fits and classes.ndim == 1 and classes.dtype.kind in "iu" and len(classes) <= allowed
            fits = fits and all(0 <= label < allowed for label in classes.tolist())
            fits = fits and (len(classes) == 2 or not several)
            fits = fits and getattr(each, "n_features_in_", n_features) == n_features
    if not fits:
        raise ValueError("what was learned is not of these classes and features.")


def _read_model(path: Path, trusted: frozenset[str]) -> dict[str, Any]:
    try:
        schema = Schema(path)
        unknown = schema.unknown_types - trusted
        with suppress(Exception) if unknown else nullcontext():  # skops cannot read what no version of it wrote
            unknown |= set(skops.io.get_untrusted_types(file=path)) - KNOWN_TYPES - trusted
        if not unknown:
            schema.check_trees()
            content = skops.io.load(path, trusted=sorted(KNOWN_TYPES | trusted))
    except ModelFolderError:
        raise
    except Exception as error:
        raise ModelFolderError(
            f"{path} cannot be read ({type(error).__name__}: {error}). It is damaged, or was written with "
            "versions of scikit-learn and skops that those installed here do not understand."
        ) from error
    if unknown:
        listed = [printable(name, 120) for name in sorted(unknown)[:_LISTED]]
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        raise UntrustedModelError(
            f"{path} holds types that are not trusted: {', '.join(listed)}{more}. What they do with numbers in "
            "the folder is not checked. If you know where the folder comes from and what they do, name them: "
            f"smalltext_core.load(folder, trusted={listed})"
        )
    if not isinstance(content, dict) or not {"model", "vectorizer", "model_", "vectorizer_"} <= content.keys():
        raise ModelFolderError(f"{path} holds something else than a scikit-learn classifier. Save it again.")
    return content


def _as_json(class_weight: Mapping[Any, float]) -> list[list[Any]]:
    return [
        [label if isinstance(label, str) else int(label), float(weight)] for label, weight in class_weight.items()
    ]


def _counters(vectorizer: Any) -> Iterator[CountVectorizer]:
    """Yield the vectorizers with a vocabulary, in pipelines and unions too, always in the same order."""
    if isinstance(vectorizer, CountVectorizer):
        yield vectorizer
    elif isinstance(vectorizer, BaseEstimator):
        parts = vectorizer.get_params(deep=True)
        yield from (parts[name] for name in sorted(parts) if isinstance(parts[name], CountVectorizer))


def _without_vocabularies(vectorizer: Any) -> tuple[Any, list[list[str] | None]]:
    """Return a copy of a vectorizer without its vocabularies, and those as lists of words by column."""
    memo: dict[int, Any] = {}
    vocabularies: list[list[str] | None] = []
    for counter in _counters(vectorizer):
        vocabulary = getattr(counter, "vocabulary_", {})
        words = sorted(vocabulary, key=vocabulary.__getitem__)
        plain = all(type(word) is str for word in words)
        if plain and [vocabulary[word] for word in words] == list(range(len(words))):
            memo[id(vocabulary)] = {}
            vocabularies.append(words)
        else:
            vocabularies.append(None)
    return copy.deepcopy(vectorizer, memo), vocabularies


def _give_vocabularies(vectorizer: Any, vocabularies: Any) -> None:
    """Put the words back, or raise ValueError if what was read is no list of words for each vectorizer."""
    if not isinstance(vocabularies, list):
        raise ValueError(f"{VOCABULARY_FILE} holds no list")  # noqa: TRY004 - a bad file, not a bad call
    for counter, words in zip(_counters(vectorizer), vocabularies, strict=True):
        if words is None:
            continue
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{VOCABULARY_FILE} holds something else than words")
        counter.vocabulary_ = {word: column for column, word in enumerate(words)}
        if len(counter.vocabulary_) < len(words):
            raise ValueError(f"{VOCABULARY_FILE} holds a word twice")
