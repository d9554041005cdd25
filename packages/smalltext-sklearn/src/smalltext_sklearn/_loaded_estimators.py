"""Check the attributes of loaded estimators before any of their code runs.

Compiled code of scikit-learn and scipy does not check the indices of sparse matrices, trees and neighbours: an
index out of range crashes the interpreter. Therefore the indices of all loaded objects are checked here. Array
shapes that do not match are left to numpy, which rejects them when `_saving` runs a prediction.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfTransformer

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError, ModelFolderError, UntrustedModelError
from smalltext_core.messages import shown
from smalltext_sklearn._trusted_types import OBJECTS, is_safe_pattern
from smalltext_sklearn.word_char_tfidf import MAX_NGRAM

_MAX_JOBS = 256
_METRICS = frozenset({"minkowski", "euclidean", "manhattan", "cosine", "cityblock", "l1", "l2"})
_LEAF = -1


def check_loaded(content: object, trusted: frozenset[str]) -> None:
    """Check every loaded object, at any depth, except for those of `trusted` types.

    ModelFolderError is raised for objects whose use would crash or never end; UntrustedModelError for token
    patterns that may take exponential time and are not in `trusted`.
    """
    for value in _everything(content):
        if issparse(value):
            _check_sparse(value)
        elif isinstance(value, np.random.RandomState):
            _check_random_state(value)
        elif isinstance(value, np.ndarray):
            _check_array(value)
        elif type_name(value) in OBJECTS and type_name(value) not in trusted:
            _check_estimator(value, trusted)


def type_name(value: object) -> str:
    """Return the dotted name of an object's type as skops writes it."""
    return f"{type(value).__module__}.{type(value).__name__}"


def _everything(content: object) -> Iterator[Any]:
    """Yield every object within `content` once."""
    seen: dict[int, object] = {}
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if value is None or isinstance(value, (bool, int, float, str)) or id(value) in seen:
            continue
        seen[id(value)] = value
        yield value
        if isinstance(value, dict):
            waiting.extend(value.values())
            waiting.extend(value.keys())
        if isinstance(value, (list, tuple, set, frozenset)) or _is_array(value, "O"):
            waiting.extend(value.ravel().tolist() if isinstance(value, np.ndarray) else value)
        if hasattr(value, "__dict__") and not isinstance(value, type) and not issparse(value):
            waiting.extend(vars(value).values())


def _require(condition: object, estimator: object, what: str) -> None:
    if not condition:
        raise ModelFolderError(
            f"The {type(estimator).__name__} in the folder is not sound: {what}. Do not use it."
        )


def _is_array(value: object, kinds: str = "biuf") -> TypeGuard[np.ndarray[Any, Any]]:
    return isinstance(value, np.ndarray) and value.dtype.kind in kinds


def _is_count(value: object) -> TypeGuard[int]:
    return is_whole(value) and 0 < int(value) < 2**31


def _is_function(value: object) -> bool:
    """Return whether `value` is a function; `Schema` allows only those that are listed or trusted by name."""
    return callable(value) and not isinstance(value, type)


def _check_sparse(matrix: Any) -> None:
    valid = matrix.ndim == 2 and matrix.dtype.kind in "biuf"
    try:
        if matrix.format in ("csr", "csc"):
            pointers = matrix.indptr
            valid = valid and all(part.ndim == 1 for part in (matrix.data, matrix.indices, pointers))
            matrix.check_format(full_check=True)
            # scipy checks differences, which overflow: that from 2**31 - 1 to -2 is positive.
            valid = valid and pointers[0] == 0 and bool((pointers[1:] >= pointers[:-1]).all())
        else:
            offsets, size = matrix.offsets, min(matrix.shape)
            valid = valid and matrix.format == "dia" and matrix.data.ndim == 2 and offsets.dtype.kind in "iu"
            valid = valid and offsets.shape == (len(matrix.data),)
            valid = valid and bool(((offsets < max(size, 1)) & (offsets > -max(size, 1))).all())
    except (ValueError, TypeError, IndexError, AttributeError):
        valid = False
    _require(valid, matrix, "its indices are out of range")


def _check_array(array: np.ndarray[Any, Any]) -> None:
    """Reject arrays of zero-size elements, since a tiny file can contain any number of them."""
    _require(array.dtype.itemsize > 0 or array.size == 0, array, f"it has {array.size} elements of no size")


def _check_random_state(state: np.random.RandomState) -> None:
    inner = state.get_state(legacy=False)["state"]
    _require(0 <= inner["pos"] <= len(inner["key"]), state, "its position is out of range")


def _check_estimator(estimator: Any, trusted: frozenset[str]) -> None:
    if isinstance(estimator, BaseEstimator):
        missing = [name for name in estimator.get_params(deep=False) if name not in vars(estimator)]
        _require(not missing, estimator, f"it lacks {', '.join(missing)}")
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
    attributes = vars(estimator)
    hidden = sorted(name for name in attributes if callable(getattr(type(estimator), name, None)))
    _require(not hidden, estimator, f"it has {', '.join(map(shown, hidden[:3]))} instead of methods")
    _limit_jobs(estimator)
    _require(attributes.get("memory") is None, estimator, "it keeps a cache in a folder")
    if "n_features_in_" in attributes:
        _require(_is_count(attributes["n_features_in_"]), estimator, "n_features_in_ is not a number of features")
    classes = attributes.get("classes_")
    if classes is not None:
        distinct = _is_array(classes, "iufU") and classes.ndim == 1 and len(np.unique(classes)) == len(classes) > 0
        _require(distinct, estimator, "classes_ are no classes")
    if "coef_" in attributes:
        _check_coefficients(estimator)
    check = _CHECKS.get(type(estimator).__name__)
    if check is not None:
        check(estimator)
    pattern = attributes.get("token_pattern")
    if pattern is not None and pattern not in trusted and not is_safe_pattern(pattern):
        what = f"The {type(estimator).__name__} in the folder finds words by the pattern {shown(pattern)}"
        raise UntrustedModelError(
            f"{what}, which may take for ever on some texts. If you know where the folder comes from, name it: "
            f"smalltext_core.load(folder, trusted=[{shown(pattern)}])"
        )


def _limit_jobs(estimator: Any) -> None:
    """Limit `n_jobs` to the number of processors of this machine."""
    jobs = vars(estimator).get("n_jobs")
    _require(jobs is None or (type(jobs) is int and abs(jobs) <= _MAX_JOBS), estimator, f"n_jobs={shown(jobs)}")
    if jobs is not None and jobs > (os.cpu_count() or 1):
        estimator.n_jobs = -1


def _check_coefficients(estimator: Any) -> None:
    """Check the coefficients of a linear model, which are multiplied by a sparse matrix.

    For two classes, they have one row or, in ridge classifiers, one dimension.
    """
    coefficients, classes = estimator.coef_, len(estimator.classes_)
    numbers = coefficients.data if issparse(coefficients) else coefficients
    valid = _is_array(numbers, "f") and coefficients.ndim in {1, 2}
    valid = valid and coefficients.shape[-1] == estimator.n_features_in_
    rows = coefficients.shape[0] if valid and coefficients.ndim == 2 else 1
    valid = valid and rows == (1 if classes == 2 else classes)
    _require(valid, estimator, "coef_ does not fit the features and classes")
    _require(np.isfinite(numbers).all(), estimator, "coef_ holds NaN or infinity")


def _check_vectorizer(vectorizer: Any) -> None:
    _require(vectorizer.input == "content", vectorizer, "it reads files")
    for name, known in (
        ("analyzer", ("word", "char", "char_wb")),
        ("strip_accents", (None, "ascii", "unicode")),
        ("preprocessor", (None,)),
        ("tokenizer", (None,)),
    ):
        value = getattr(vectorizer, name)
        _require(value in known or _is_function(value), vectorizer, f"{name}={shown(value)} is unknown")
    shortest, longest = vectorizer.ngram_range
    sizes = type(shortest) is int and type(longest) is int
    _require(
        sizes and 1 <= shortest <= longest <= MAX_NGRAM,
        vectorizer,
        f"ngram_range={shown(vectorizer.ngram_range)}, beyond (1, {MAX_NGRAM})",
    )
    words = vectorizer.stop_words
    plain = isinstance(words, (list, tuple, set, frozenset)) and all(isinstance(word, str) for word in words)
    _require(words in (None, "english") or plain, vectorizer, "its stop words are not words")
    dtype = vectorizer.dtype
    _require(dtype in (np.float32, np.float64, np.int32, np.int64), vectorizer, f"its dtype is {shown(dtype)}")
    for name in ("vocabulary_", "char_vocabulary_"):
        vocabulary = vars(vectorizer).get(name, {})
        valid = isinstance(vocabulary, dict) and all(type(column) is int for column in vocabulary.values())
        valid = valid and sorted(vocabulary.values()) == list(range(len(vocabulary)))
        _require(valid, vectorizer, f"its {name} does not number the words")


def _check_word_char_vectorizer(vectorizer: Any) -> None:
    _check_vectorizer(vectorizer)
    try:
        vectorizer.check_characters()
    except InvalidInputError as error:
        raise ModelFolderError(f"The {type(vectorizer).__name__} in the folder is not sound. {error}") from error
    if "char_vocabulary_" in vars(vectorizer):
        weighting = vars(vectorizer).get("char_tfidf_")
        _require(isinstance(weighting, TfidfTransformer), vectorizer, "its n-grams have no weights")


def _check_tree(tree: Any) -> None:
    """Check a decision tree, whose compiled code uses the children and the features of nodes as indices.

    A tree of a classifier has a value per class, whose position becomes an index of classes.
    """
    if "tree_" not in vars(tree):
        return
    nodes = tree.tree_
    _require(type_name(nodes) == "sklearn.tree._tree.Tree", tree, "it has no nodes")
    inner = nodes.children_left != _LEAF
    position = np.flatnonzero(inner)
    valid = nodes.n_features == tree.n_features_in_ and (nodes.children_right[~inner] == _LEAF).all()
    for children in (nodes.children_left[inner], nodes.children_right[inner]):
        valid = valid and (children > position).all() and (children < nodes.node_count).all()
    features = nodes.feature[inner]
    _require(
        valid and (features >= 0).all() and (features < nodes.n_features).all(),
        tree,
        "a decision tree that is not sound",
    )
    _require(np.isfinite(nodes.value).all(), tree, "it holds NaN or infinity")
    classes = vars(tree).get("classes_")
    _require(classes is None or nodes.value.shape[2] == len(classes), tree, "its values are of other classes")


def _check_naive_bayes(model: Any) -> None:
    """Check the prior of each class, to which likelihoods are added: the greatest sum is an index of classes."""
    for name in ("class_log_prior_", "class_prior_"):
        prior = vars(model).get(name)
        valid = prior is None or (_is_array(prior, "f") and prior.shape == (len(model.classes_),))
        _require(valid, model, f"{name} is not a number for each class")


def _check_forest(forest: Any) -> None:
    for tree in vars(forest).get("estimators_", ()):
        _check_member(forest, tree, type_name(tree).startswith("sklearn.tree._classes."))


def _check_member(ensemble: Any, tree: Any, is_tree: bool) -> None:
    _require(is_tree, ensemble, "it holds other things than trees")
    _require("tree_" in vars(tree), ensemble, "a tree was never fitted")
    _require(tree.n_features_in_ == ensemble.n_features_in_, ensemble, "its trees are of other features")


def _check_boosting(boosting: Any) -> None:
    """Check gradient boosting, whose compiled code adds the values of trees to an array of shape (n, classes)."""
    if "estimators_" not in vars(boosting):
        return
    trees, classes = boosting.estimators_, len(boosting.classes_)
    columns = 1 if classes == 2 else classes
    _require(_is_array(trees, "O") and trees.ndim == 2 and trees.size, boosting, "it holds no trees")
    _require(
        trees.shape[1] == columns and boosting.n_classes_ == classes, boosting, "its trees are of other classes"
    )
    for tree in trees.ravel():
        _check_member(boosting, tree, type_name(tree) == "sklearn.tree._classes.DecisionTreeRegressor")
    losses = {"HalfBinomialLoss", "ExponentialLoss"} if columns == 1 else {"HalfMultinomialLoss"}
    _require(type(boosting._loss).__name__ in losses, boosting, "its loss is of other classes")
    first = boosting.init_
    if not (isinstance(first, str) and first == "zero"):
        if type_name(first) != "sklearn.dummy.DummyClassifier" or first.strategy != "prior":
            name = type_name(boosting)
            raise UntrustedModelError(
                f"The {type(boosting).__name__} in the folder starts from a {type(first).__name__}, whose "
                "probabilities are not checked. If you know where the folder comes from, name the former: "
                f"smalltext_core.load(folder, trusted=[{name!r}])"
            )
        valid = first.n_outputs_ == 1 and np.shape(first.class_prior_) == (classes,)
        _require(valid, boosting, "its first guess is not the share of each class")


def _check_neighbors(model: Any) -> None:
    """Check nearest neighbours, whose compiled code uses a sparse matrix and the class of each row as indices."""
    given = {model.metric, vars(model).get("effective_metric_", "euclidean")}
    unknown = {metric for metric in given - _METRICS if not _is_function(metric)}
    _require(not unknown, model, f"its metric is not one of {', '.join(sorted(_METRICS))}")
    known = model.weights in (None, "uniform", "distance") or _is_function(model.weights)
    _require(known, model, "its weights are not known ones")
    _require(model.metric_params is None, model, "its metric has parameters")
    if "_fit_X" not in vars(model):
        return
    rows, y = model._fit_X, model._y
    numbers = rows.data if issparse(rows) else rows
    _require(_is_array(numbers, "iuf") and rows.ndim == 2, model, "it holds no features")
    _require(np.isfinite(numbers).all(), model, "it holds NaN or infinity")
    # There can be a tree only if the user trusts its type.
    _require((model._fit_method == "brute") == (model._tree is None), model, "it holds a tree of neighbours")
    _require(set(model.effective_metric_params_) <= {"p", "w"}, model, "its metric has parameters")
    _require(model.effective_metric_params_.get("w") is None, model, "its metric has weights")
    _require(rows.shape[1] == model.n_features_in_, model, "its texts are of other features")
    _require(model.n_samples_fit_ == rows.shape[0] >= model.n_neighbors > 0, model, "it has too few texts")
    _require(model.outputs_2d_ is False, model, "it has several outputs")
    valid = _is_array(y, "iu") and y.shape == (rows.shape[0],) and 0 <= y.min() <= y.max() < len(model.classes_)
    _require(valid, model, "its labels are not classes")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "CountVectorizer": _check_vectorizer,
    "TfidfVectorizer": _check_vectorizer,
    "HashingVectorizer": _check_vectorizer,
    "WordCharTfidfVectorizer": _check_word_char_vectorizer,
    **dict.fromkeys(("BernoulliNB", "ComplementNB", "GaussianNB", "MultinomialNB"), _check_naive_bayes),
    "DecisionTreeClassifier": _check_tree,
    "DecisionTreeRegressor": _check_tree,
    "ExtraTreeClassifier": _check_tree,
    "ExtraTreesClassifier": _check_forest,
    "RandomForestClassifier": _check_forest,
    "GradientBoostingClassifier": _check_boosting,
    "KNeighborsClassifier": _check_neighbors,
}
