r"""The allowlists of types, functions and token patterns that a saved model may contain.

schema.json names the type of every object that skops would create. It is checked here before skops reads it: each
node has to be a plain container, an array, or of a class whose content `_loaded_estimators` checks. skops itself
trusts all of scikit-learn, whose compiled code does not check its input.

A vectorizer finds tokens with a regular expression, which may come from the folder of a model. Python backtracks,
so that ``(\w+)+$`` takes exponential time on a text that nearly matches. Allowed are the default patterns of this
package and of scikit-learn, and alternatives of one character class each, repeated or not, which do not backtrack.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import shown
from smalltext_sklearn.token_pattern import TOKEN_PATTERN

SCHEMA = "schema.json"

_OLDEST_PROTOCOL = 2
"""The protocol of skops 0.14. skops also reads older protocols, with code that checks less."""

_MAX_BYTES = 2 * 2**30
_MAX_RATIO = 200
"""The maximum uncompressed size of a file, in bytes, and as a multiple of its compressed size."""

_MAX_SCHEMA_BYTES = 2**29
"""The maximum size of the schema in bytes; its Python objects take about ten times as much memory."""

_SCALARS = frozenset(
    f"numpy.{name}"
    for name in (
        *("bool", "bool_", "str_", "float16", "float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
)
LOSSES_MODULE = "_loss"
"""The name of `sklearn._loss._loss` according to the classes in it, before scikit-learn 1.8."""

_SGD_LOSSES = "Hinge Log ModifiedHuber SquaredHinge Huber SquaredLoss EpsilonInsensitive SquaredEpsilonInsensitive"
_OTHER_LOSSES = "ExponentialLoss HalfBinomialLoss HalfMultinomialLoss HalfSquaredError HuberLoss"
_LOSSES = frozenset(
    {f"sklearn.linear_model._sgd_fast.{name}" for name in _SGD_LOSSES.split()}
    | {f"{module}.Cy{name}" for module in ("sklearn._loss._loss", LOSSES_MODULE) for name in _OTHER_LOSSES.split()}
)
_OBJECTS_BY_MODULE = {
    # Classifiers
    "calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration",
    "dummy": "DummyClassifier",
    "ensemble._bagging": "BaggingClassifier",
    "ensemble._forest": "ExtraTreesClassifier RandomForestClassifier",
    "ensemble._gb": "GradientBoostingClassifier",
    "ensemble._voting": "VotingClassifier",
    "ensemble._weight_boosting": "AdaBoostClassifier",
    "linear_model._logistic": "LogisticRegression LogisticRegressionCV",
    "linear_model._passive_aggressive": "PassiveAggressiveClassifier",
    "linear_model._perceptron": "Perceptron",
    "linear_model._ridge": "RidgeClassifier RidgeClassifierCV",
    "linear_model._stochastic_gradient": "SGDClassifier",
    "multiclass": "OneVsRestClassifier",
    "naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
    "neighbors._classification": "KNeighborsClassifier",
    "neighbors._nearest_centroid": "NearestCentroid",
    "svm._classes": "LinearSVC",
    "tree._classes": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier",
    # Transformers
    "decomposition._truncated_svd": "TruncatedSVD",
    "feature_extraction.text": "CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer",
    "pipeline": "FeatureUnion Pipeline",
    "preprocessing._data": "MaxAbsScaler Normalizer StandardScaler",
    # What these contain
    "_loss.link": "HalfLogitLink Interval LogitLink MultinomialLogit",
    "_loss.loss": "ExponentialLoss HalfBinomialLoss HalfMultinomialLoss",
    "model_selection._split": "StratifiedKFold",
    "preprocessing._label": "LabelBinarizer LabelEncoder",
}
OBJECTS = frozenset(
    f"sklearn.{module}.{name}" for module, names in _OBJECTS_BY_MODULE.items() for name in names.split()
) | {"smalltext_sklearn.word_char_tfidf.WordCharTfidfVectorizer"}
"""The classes whose attributes `_loaded_estimators` checks."""

_SPARSE = frozenset(
    f"scipy.sparse._{name}.{name}_{kind}" for name in ("csr", "csc", "dia") for kind in ("matrix", "array")
)

_KNOWN: dict[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SetNode": frozenset({"builtins.set"}),
    "JsonNode": frozenset({"builtins.str"}),
    "TypeNode": _SCALARS | {"builtins.str", "builtins.int", "builtins.float", "builtins.bool"},
    "NdArrayNode": _SCALARS | {"numpy.ndarray"},
    "SparseMatrixNode": _SPARSE,
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "LossNode": _LOSSES,
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "ObjectNode": OBJECTS,
    "FunctionNode": frozenset({"smalltext_sklearn.word_char_tfidf.normalized"}),
}
"""The allowed types of a node, by the name of the skops loader."""

KNOWN_TYPES = frozenset().union(*_KNOWN.values())
"""All of these types, in the form of the argument of `skops.io.load`."""

SHIPPED_PATTERNS = frozenset({TOKEN_PATTERN, r"(?u)\b\w\w+\b"})
"""The defaults of this package and of scikit-learn, including former ones, which saved models contain."""

_MAX_PATTERN_LENGTH = 2000

# A character or a character class without nested sets, and a quantifier: at least 0 to 99 times.
_KIND = r"(?:\\[wWdDsS]|\[\^?(?:[^\[\]\\&|~-]|\\[wWdDsS\-\[\]\\]|(?<=\w)-(?=\w))+\]|[^\W_])"
_TIMES = r"(?:\+|\{[0-9]{1,2}(?:,(?:[0-9]{1,2})?)?\})?"
_ALTERNATIVE = rf"(?:(?:\\b)?{_KIND}{_TIMES}|\\b\\w{_TIMES}\\b)"
_SAFE = re.compile(rf"(?:\(\?u\))?{_ALTERNATIVE}(?:\|{_ALTERNATIVE})*")


def is_safe_pattern(pattern: object) -> bool:
    r"""Return whether a token pattern takes linear time on every text: ``\w+|\S`` does, ``(\w+)+$`` does not."""
    if not isinstance(pattern, str):
        return False
    short = len(pattern) <= _MAX_PATTERN_LENGTH
    return pattern in SHIPPED_PATTERNS or (short and _SAFE.fullmatch(pattern) is not None)


class Schema:
    """The schema of a skops file: the type of every object that skops would create.

    ModelFolderError is raised for files that are too large when uncompressed, or have an older protocol.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            self._check_unpacked(sum(entry.file_size for entry in entries))
            if archive.getinfo(SCHEMA).file_size > _MAX_SCHEMA_BYTES:
                raise ModelFolderError(
                    f"{path} has a {SCHEMA} of more than {_MAX_SCHEMA_BYTES} bytes. Do not use it."
                )
            self._content = json.loads(archive.read(SCHEMA))
        protocol = self._content.get("protocol") if isinstance(self._content, dict) else None
        if type(protocol) is not int or protocol < _OLDEST_PROTOCOL:
            what = f"{path} has the skops protocol {shown(protocol)}, not {_OLDEST_PROTOCOL} or a later one"
            raise ModelFolderError(f"{what}. Save the model again.")
        self._nodes = list(_nodes(self._content))
        self._check_matrices()
        self._by_identity: dict[Any, list[dict[str, Any]]] = {}
        for node in self._nodes:
            if node.get("__id__") is not None:
                self._by_identity.setdefault(repr(node["__id__"]), []).append(node)

    def _check_unpacked(self, size: int) -> None:
        if size > max(_MAX_BYTES, _MAX_RATIO * self._path.stat().st_size):
            raise ModelFolderError(f"{self._path} would take {size / 2**30:.0f} GiB once unpacked. Do not use it.")

    def _check_matrices(self) -> None:
        """Check the size of sparse matrices, which are archives within the archive."""
        files = {str(node.get("file")) for node in self._nodes if node["__loader__"] == "SparseMatrixNode"}
        size = 0
        with zipfile.ZipFile(self._path) as archive:
            for name in files & set(archive.namelist()):
                with zipfile.ZipFile(io.BytesIO(archive.read(name))) as matrix:
                    size += sum(member.file_size for member in matrix.infolist())
        self._check_unpacked(size)

    @property
    def unknown_types(self) -> set[str]:
        """The types, functions and methods in the file that are not in the allowlist."""
        return {_name(node) for node in self._nodes if _name(node) not in _KNOWN.get(node["__loader__"], ())}

    def has_types_of(self, module: str) -> bool:
        """Return whether the file names a type of a module."""
        return any(node.get("__module__") == module for node in self._nodes)

    def check_trees(self) -> None:
        """Raise ModelFolderError if the parts of a decision tree are inconsistent.

        The compiled constructor does not check the numbers of nodes, outputs and classes.
        """
        with zipfile.ZipFile(self._path) as archive:
            for node in self._nodes:
                if node["__loader__"] == "TreeNode" and not self._fits(node, archive):
                    raise ModelFolderError(f"{self._path} holds a decision tree that is not sound. Do not use it.")

    def _fits(self, tree: dict[str, Any], archive: zipfile.ZipFile) -> bool:
        features, classes, outputs = (
            self._value(part, archive) for part in self._only(tree["__reduce__"]["args"])["content"]
        )
        state = self._only(tree["content"])["content"]
        count, nodes = (self._value(state[name], archive) for name in ("node_count", "nodes"))
        return bool(
            0 < int(features) < 2**31
            and int(outputs) == 1
            and classes.shape == (1,)
            and classes.dtype.kind in "iu"
            and 0 < int(classes[0]) < 2**31
            and nodes.ndim == 1
            and len(nodes) == int(count) > 0
        )

    def _only(self, node: dict[str, Any]) -> dict[str, Any]:
        """Return a node after checking that its id is unique: skops would load another node with the same id."""
        others = self._by_identity.get(repr(node.get("__id__")), [])
        if not all(_same(node, other) for other in others):
            raise ModelFolderError(f"{self._path} holds two things with one identity. Do not use it.")
        return node

    def _value(self, node: dict[str, Any], archive: zipfile.ZipFile) -> Any:
        node = self._only(node)
        if node["__loader__"] == "JsonNode":
            return json.loads(node["content"])
        if node["__loader__"] != "NdArrayNode":
            raise ModelFolderError(f"{self._path} holds a decision tree of other parts than numbers.")
        with archive.open(node["file"]) as file:
            return np.load(file, allow_pickle=False)


def _nodes(content: Any) -> Iterator[dict[str, Any]]:
    """Yield every node from which skops would create an object, at any depth of a schema."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value:
                yield {"__loader__": None, "__module__": None, "__class__": None} | value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _name(node: dict[str, Any]) -> str:
    """Return the dotted name of a type as skops writes it, followed by the method for bound methods."""
    name = f"{node['__module__']}.{node['__class__']}"
    return f"{name}.{node['content'].get('func')}" if _is_method(node) else name


def _is_method(node: dict[str, Any]) -> bool:
    return node["__loader__"] == "MethodNode" and isinstance(node.get("content"), dict)


def _same(one: Any, other: Any) -> bool:
    """Return whether two parts of a schema are equal, ignoring ids."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = (one.keys() | other.keys()) - {"__id__"}
        return all(key in one and key in other and _same(one[key], other[key]) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
