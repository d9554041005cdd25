"""Save and load scikit-learn models: skops for estimators, JSON for vocabularies.

The vocabulary of a vectorizer is not stored in the skops file, whose schema would have a node for every word:
360,000 words would take 190 MB and 7 seconds; as JSON they take 8 MB.

A saved model includes its probabilities for one sample text (or row of features). They are computed again after
loading, to detect versions of scikit-learn that lack a part of the model or read it differently, and changes of
the folder.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sklearn
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction.text import CountVectorizer

from smalltext_core import Dataset, ProbabilisticClassifier, TextDataset
from smalltext_core.atomic import as_path
from smalltext_core.calibration import Calibration
from smalltext_core.errors import InvalidInputError, ModelFolderError, UntrustedModelError
from smalltext_core.label_names import LabelNames
from smalltext_core.manifest import is_version
from smalltext_core.messages import one_line, printable, shown
from smalltext_core.saving import Manifest, damage_explained, model_folder, read_manifest
from smalltext_core.validation import check_thresholds
from smalltext_sklearn import __version__
from smalltext_sklearn._loaded_estimators import check_loaded
from smalltext_sklearn._trusted_types import KNOWN_TYPES, LOSSES_MODULE, Schema
from smalltext_sklearn.dataset import SklearnDataset


@contextmanager
def hidden_modules(*names: str) -> Iterator[None]:
    """Make imports of modules raise ModuleNotFoundError in the block, unless they were imported before.

    This affects all threads, so pass only modules that no other code imports implicitly.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes `import` fail
    try:
        yield
    finally:
        for name in hidden:
            if name in sys.modules and sys.modules[name] is None:
                del sys.modules[name]


_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def importable_as(alias: str, module: str) -> Iterator[None]:
    """Make imports of a top-level module return another module in the block, whatever lies on the import path.

    This affects all threads, so pass only a name that no other code imports. Only one thread enters at a time:
    the first to leave would otherwise take the module from the others.
    """
    with _ONE_AT_A_TIME:
        previous = sys.modules.get(alias)
        sys.modules[alias] = importlib.import_module(module)
        try:
            yield
        finally:
            if previous is None:
                del sys.modules[alias]
            else:
                sys.modules[alias] = previous


# To list the estimators of scikit-learn, skops imports all of its packages. These packages have no estimators and
# import large libraries, such as torch, which takes seconds.
_WRAPPERS = [
    f"sklearn.externals.array_api_compat.{library}"
    for library in ("cupy", "dask", "torch")
    if library not in sys.modules
]
with hidden_modules(*_WRAPPERS):
    import skops.io

C = TypeVar("C", bound=ProbabilisticClassifier)

MODEL_FILE = "model.skops"
VOCABULARY_FILE = "vocabulary.json"

_MAX_CLASSES = 2**20
_MAX_FEATURES = 2**31 - 1
_MAX_LISTED_TYPES = 10
_SAMPLE_WORDS, _MAX_SAMPLE_CHARACTERS = 50, 100_000
"""The number of words of a sample, and its maximum length, since words and patterns of a folder may be long."""
_MAX_SAMPLE_FEATURES = 2**24
"""The maximum number of features of a sample, since a manifest could require a row of any size."""
_TOLERANCE = 1e-5
_PARAMETERS = ("num_classes", "multi_label", "class_weight", "multi_label_threshold", "seed", "calibration")


@dataclass
class ModelState:
    """The parts of a fitted classifier: the templates, and their fitted clones."""

    parameters: dict[str, Any]
    """The constructor's arguments, without the templates."""
    model: Any
    vectorizer: Any
    fitted_model: Any
    """An estimator; in multi-label problems, a list with one estimator or constant per class."""
    fitted_vectorizer: Any
    label_names: LabelNames | None
    n_features: int
    calibration: Calibration | None
    thresholds: NDArray[np.float64] | None
    """The multi-label thresholds that `fit` chose."""

    @classmethod
    def of(cls, classifier: Any) -> ModelState:
        """Return the parts of a fitted `SklearnClassifier`."""
        return cls(
            {name: getattr(classifier, name) for name in _PARAMETERS},
            model=classifier.model,
            vectorizer=classifier.vectorizer,
            fitted_model=classifier.model_,
            fitted_vectorizer=classifier.vectorizer_,
            label_names=classifier.label_names_,
            n_features=classifier.n_features_,
            calibration=classifier.calibration_,
            thresholds=classifier.multi_label_threshold_,
        )


def save(classifier: ProbabilisticClassifier, state: ModelState, folder: str | Path) -> None:
    """Write a fitted classifier, whose state is `state`, to a folder atomically."""
    vectorizer, vocabularies = _without_vocabularies(state.fitted_vectorizer)
    parameters = state.parameters | {
        "n_features": state.n_features,
        "calibration_": None if state.calibration is None else state.calibration.to_json(),
        "multi_label_threshold_": None if state.thresholds is None else state.thresholds.tolist(),
        "scikit_learn": sklearn.__version__,
        "probe": sample_proba(classifier, state, vocabularies),
    }
    if isinstance(parameters["class_weight"], Mapping):
        parameters["class_weight"] = [
            [label if isinstance(label, str) else int(label), float(weight)]
            for label, weight in parameters["class_weight"].items()
        ]
    content = {
        "model": clone(state.model),
        "vectorizer": None if state.vectorizer is None else clone(state.vectorizer),
        "model_": state.fitted_model,
        "vectorizer_": vectorizer,
    }
    with model_folder(
        folder,
        classifier="sklearn",
        distribution="smalltext-sklearn",
        version=__version__,
        parameters=parameters,
        label_names=state.label_names,
    ) as staging:
        skops.io.dump(content, staging / MODEL_FILE, compression=zipfile.ZIP_DEFLATED)
        (staging / VOCABULARY_FILE).write_text(json.dumps(vocabularies), encoding="ascii")


def load(folder: str | Path, trusted: list[str] | None, restore: Callable[[ModelState], C]) -> C:
    """Load the classifier that `restore` returns, after checking everything in the folder.

    `trusted` are the names of types, and the token patterns, that the user trusts.
    """
    folder = as_path(folder)
    manifest = read_manifest(folder)
    names = _as_names(trusted)
    written_with = manifest.parameters.get("scikit_learn")
    if not is_version(written_with):
        raise ModelFolderError(
            f"{folder} does not say which scikit-learn it was saved with. Save the model again."
        )
    unlisted = {MODEL_FILE, VOCABULARY_FILE} - manifest.files.keys()
    if unlisted:  # listed files were checked to exist inside the folder
        raise ModelFolderError(f"{folder} is damaged: its manifest does not list {min(unlisted)}. Copy it again.")
    with damage_explained(folder), _version_explained(folder, written_with):
        content = _read_model(folder / MODEL_FILE, names)
        try:
            state, expected = _read_state(manifest, content)
            classifier = restore(state)
            _check_classes(state)
            vocabularies = json.loads((folder / VOCABULARY_FILE).read_bytes())
            _restore_vocabularies(state.fitted_vectorizer, vocabularies)
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise ModelFolderError(
                f"{folder} does not hold a whole scikit-learn classifier, or was written by another version "
                f"({manifest.distribution} {manifest.version}): {type(error).__name__}: {error} "
                "Save the model again."
            ) from error
        check_loaded(content, names)
        if expected is not None:  # after all checks, since it runs the loaded estimators
            try:
                found = classifier.predict_proba(_sample(state, vocabularies))[0]
            except InvalidInputError as error:  # about numbers of the folder, such as NaN
                raise ModelFolderError(f"{folder} is damaged: {error} Copy it again, or train again.") from error
            if np.shape(expected) != found.shape or not np.allclose(found, expected, rtol=0, atol=_TOLERANCE):
                raise ValueError("it says something else than when it was saved")
    return classifier


def sample_proba(
    classifier: ProbabilisticClassifier, state: ModelState, vocabularies: Sequence[list[str] | None]
) -> list[float] | None:
    """Return the probabilities of the sample, shape (num_classes,); None if the classifier cannot predict it."""
    try:
        found: list[float] = classifier.predict_proba(_sample(state, vocabularies))[0].tolist()
    except Exception:  # a custom vectorizer or estimator that supports neither plain texts nor ones
        return None
    return found


def _sample(state: ModelState, vocabularies: Sequence[list[str] | None]) -> Dataset[Any]:
    if state.fitted_vectorizer is None:
        if state.n_features > _MAX_SAMPLE_FEATURES:
            raise ValueError(f"there is no sample of {state.n_features} features")
        return SklearnDataset(csr_matrix(np.ones((1, state.n_features))))
    words = next((words for words in vocabularies if words), ["a", "text"])
    return TextDataset([" ".join(words[:_SAMPLE_WORDS])[:_MAX_SAMPLE_CHARACTERS]])


@contextmanager
def _version_explained(folder: Path, written_with: object) -> Iterator[None]:
    """Add both versions of scikit-learn to errors if they differ; the sample replaces scikit-learn's warnings."""
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


def _as_names(trusted: object) -> frozenset[str]:
    if trusted is None:
        return frozenset()
    listed = isinstance(trusted, Iterable) and not isinstance(trusted, str) and getattr(trusted, "ndim", 1) != 0
    names: list[Any] = list(trusted) if listed else [None]  # type: ignore[call-overload]
    if not all(isinstance(name, str) for name in names):
        raise InvalidInputError("trusted", shown(trusted), "a list of the dotted names of types")
    return frozenset(names)


def _read_state(manifest: Manifest, content: dict[str, Any]) -> tuple[ModelState, Any]:
    """Return the state of a loaded classifier, and its expected probabilities of the sample."""
    parameters = dict(manifest.parameters)
    features, expected = parameters.pop("n_features"), parameters.pop("probe")
    # Folders saved by versions without calibration have neither.
    calibration, thresholds = parameters.pop("calibration_", None), parameters.pop("multi_label_threshold_", None)
    del parameters["scikit_learn"]
    for name, value, most in (
        ("n_features", features, _MAX_FEATURES),
        ("num_classes", parameters["num_classes"], _MAX_CLASSES),
    ):
        if type(value) is not int or not 0 < value <= most:
            raise ValueError(f"{name} is {shown(value)}, not a whole number from 1 to {most}.")
    if isinstance(parameters["class_weight"], list):
        parameters["class_weight"] = {
            label if isinstance(label, str) else int(label): float(weight)
            for label, weight in parameters["class_weight"]
        }
    num_classes, multi_label = parameters["num_classes"], parameters["multi_label"]
    if thresholds is not None:
        if not multi_label or not isinstance(thresholds, list):
            raise ValueError(f"multi_label_threshold_ is {shown(thresholds)}, not a number for each class.")
        thresholds = np.array(check_thresholds(thresholds, num_classes))
    state = ModelState(
        parameters,
        model=content["model"],
        vectorizer=content["vectorizer"],
        fitted_model=content["model_"],
        fitted_vectorizer=content["vectorizer_"],
        label_names=manifest.names,
        n_features=features,
        calibration=Calibration.from_json(calibration, num_classes, multi_label),
        thresholds=thresholds,
    )
    return state, expected


def _check_classes(state: ModelState) -> None:
    """Raise ValueError unless the estimators were fitted to these classes and features."""
    several = state.parameters["multi_label"]
    models = state.fitted_model if several and isinstance(state.fitted_model, list) else [state.fitted_model]
    fits = len(models) == (state.parameters["num_classes"] if several else 1)
    for model in models:
        if not (several and isinstance(model, float) and model in {0.0, 1.0}):
            classes = np.asarray(getattr(model, "classes_", "none"))
            allowed = 2 if several else state.parameters["num_classes"]
            fits = fits and classes.ndim == 1 and classes.dtype.kind in "iu" and len(classes) <= allowed
            fits = fits and all(0 <= label < allowed for label in classes.tolist())
            fits = fits and (len(classes) == 2 or not several)
            fits = fits and getattr(model, "n_features_in_", state.n_features) == state.n_features
    if not fits:
        raise ValueError("what was learned is not of these classes and features.")


def _read_model(path: Path, trusted: frozenset[str]) -> dict[str, Any]:
    try:
        schema = Schema(path)
        unknown = schema.unknown_types - trusted
        with suppress(Exception) if unknown else nullcontext():  # skops raises for files that it did not write
            unknown |= set(skops.io.get_untrusted_types(file=path)) - KNOWN_TYPES - trusted
        if not unknown:
            schema.check_trees()
            named = schema.has_types_of(LOSSES_MODULE)
            with importable_as(LOSSES_MODULE, "sklearn._loss._loss") if named else nullcontext():
                content = skops.io.load(path, trusted=sorted(KNOWN_TYPES | trusted))
    except ModelFolderError:
        raise
    except Exception as error:
        raise ModelFolderError(
            f"{path} cannot be read ({type(error).__name__}: {error}). It is damaged, or was written with "
            "versions of scikit-learn and skops that those installed here do not understand."
        ) from error
    if unknown:
        listed = [printable(name, 120) for name in sorted(unknown)[:_MAX_LISTED_TYPES]]
        more = f" and {len(unknown) - _MAX_LISTED_TYPES} more" if len(unknown) > _MAX_LISTED_TYPES else ""
        raise UntrustedModelError(
            f"{path} holds types that are not trusted: {', '.join(listed)}{more}. What they do with numbers in "
            "the folder is not checked. If you know where the folder comes from and what they do, name them: "
            f"smalltext_core.load(folder, trusted={listed})"
        )
    if not isinstance(content, dict) or not {"model", "vectorizer", "model_", "vectorizer_"} <= content.keys():
        raise ModelFolderError(f"{path} holds something else than a scikit-learn classifier. Save it again.")
    return content


def _vocabulary_owners(vectorizer: Any) -> Iterator[tuple[CountVectorizer, str]]:
    """Yield each vectorizer with a vocabulary, within pipelines and unions too, and the name of this attribute.

    The order is fixed. A vectorizer of words and characters has two.
    """
    if isinstance(vectorizer, CountVectorizer):
        yield vectorizer, "vocabulary_"
        if hasattr(vectorizer, "char_vocabulary_"):
            yield vectorizer, "char_vocabulary_"
    elif isinstance(vectorizer, BaseEstimator):
        parts = vectorizer.get_params(deep=True)
        for name in sorted(parts):
            if isinstance(parts[name], CountVectorizer):
                yield from _vocabulary_owners(parts[name])


def _without_vocabularies(vectorizer: Any) -> tuple[Any, list[list[str] | None]]:
    """Return a copy of a vectorizer without vocabularies, and the vocabularies as lists of words by column."""
    memo: dict[int, Any] = {}
    vocabularies: list[list[str] | None] = []
    for owner, name in _vocabulary_owners(vectorizer):
        vocabulary = getattr(owner, name, {})
        words = sorted(vocabulary, key=vocabulary.__getitem__)
        plain = all(type(word) is str for word in words)
        if plain and [vocabulary[word] for word in words] == list(range(len(words))):
            memo[id(vocabulary)] = {}
            vocabularies.append(words)
        else:
            vocabularies.append(None)
    return copy.deepcopy(vectorizer, memo), vocabularies


def _restore_vocabularies(vectorizer: Any, vocabularies: Any) -> None:
    """Restore the vocabularies; raise ValueError unless there is a list of words for each vectorizer."""
    if not isinstance(vocabularies, list):
        raise ValueError(f"{VOCABULARY_FILE} holds no list")  # noqa: TRY004 - a bad file, not a bad call
    for (owner, name), words in zip(_vocabulary_owners(vectorizer), vocabularies, strict=True):
        if words is None:
            continue
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{VOCABULARY_FILE} holds something else than words")
        setattr(owner, name, {word: column for column, word in enumerate(words)})
        if len(getattr(owner, name)) < len(words):
            raise ValueError(f"{VOCABULARY_FILE} holds a word twice")
