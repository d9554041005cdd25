"""Hostile folders of scikit-learn models: no code of theirs runs, nothing crashes or hangs, and errors say why.

All of them are opened in another process, once as saved by the installed version of scikit-learn, and once
as saved by another one.
"""

from __future__ import annotations

import functools
import html
import io
import json
import os
import shutil
import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import skops.io
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

import smalltext_core as st
from security.attacks import edit_json, payload_module, payload_pickle, sign
from security.opening import opened
from smalltext_core.errors import UntrustedModelError
from smalltext_core.saving import MANIFEST
from smalltext_sklearn import SklearnClassifier, SklearnDataset
from smalltext_sklearn._trusted_types import KNOWN_TYPES, SCHEMA
from smalltext_testing.sample_data import training_texts

TEXTS = training_texts(3, multi_label=False)
FEATURES = SklearnDataset(CountVectorizer(max_features=20).fit_transform(TEXTS.x).toarray(), TEXTS.y)
HASHING = HashingVectorizer(n_features=64)
MODELS = {
    "linear": lambda: (LogisticRegression(), {}),
    "hashed": lambda: (LogisticRegression(), {"vectorizer": HASHING}),
    "counts": lambda: (MultinomialNB(), {"vectorizer": CountVectorizer(vocabulary=["goal", "team", "oven"])}),
    "pipeline": lambda: (LogisticRegression(), {"vectorizer": make_pipeline(CountVectorizer(), MaxAbsScaler())}),
    "calibrated": lambda: (LinearSVC(), {}),
    "gradient": lambda: (SGDClassifier(loss="log_loss", random_state=np.random.RandomState(1)), {}),
    "bagging": lambda: (BaggingClassifier(n_estimators=2), {}),
    "rest": lambda: (OneVsRestClassifier(LogisticRegression()), {}),
    "neighbors": lambda: (KNeighborsClassifier(3), {}),
    "tree": lambda: (DecisionTreeClassifier(), {}),
    "forest": lambda: (RandomForestClassifier(3), {}),
    "boosting": lambda: (GradientBoostingClassifier(n_estimators=2), {}),
    "svm": lambda: (SVC(), {}),
    "nu svm": lambda: (NuSVC(nu=0.1), {}),
    "perceptrons": lambda: (MLPClassifier((3,), max_iter=2), {}),
    "histograms": lambda: (HistGradientBoostingClassifier(max_iter=2), {}),
    "ball tree": lambda: (KNeighborsClassifier(algorithm="ball_tree"), {}),
}
DENSE = {"histograms", "ball tree"}
UNCHECKED = {"svm", "nu svm", "perceptrons", "histograms", "ball tree"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a copy of a valid folder, which is created once per model."""
    home = tmp_path_factory.mktemp("sound")

    def copy(name: str, target: Path) -> Path:
        if not (home / name).exists():
            estimator, options = MODELS[name]()
            classifier = SklearnClassifier(estimator, 3, seed=1, **options)
            classifier.fit(FEATURES if name in DENSE else TEXTS).save(home / name)
        return Path(shutil.copytree(home / name, target))

    return copy


def rewrite(path: Path, members: dict[str, bytes]) -> None:
    """Replace or add members of a zip file."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()} | members
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def change_content(folder, change):
    """Change the objects that skops loads, and save them again."""
    path = folder / "model.skops"
    content = skops.io.load(path, trusted=sorted(KNOWN_TYPES))
    change(content)
    skops.io.dump(content, path)


def change_schema(folder, change):
    path = folder / "model.skops"
    with zipfile.ZipFile(path) as archive:
        schema = json.loads(archive.read(SCHEMA))
    change(schema)
    rewrite(path, {SCHEMA: json.dumps(schema).encode()})


def objects(schema, loader):
    """Return every node of a kind in a schema."""
    found, waiting = [], [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found += [value] if value.get("__loader__") == loader else []
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


# Attacks that make compiled code read or write out of bounds:


def sparse_coefficients(content, part, value):
    model = content["model_"]
    model.coef_ = scipy.sparse.csr_matrix(model.coef_)
    getattr(model.coef_, part)[:] = value


def overflowing_pointers(pointers):
    """Use indices out of range whose differences overflow, so that every difference is above zero."""
    pointers[1:-1] = pointers[-1]
    pointers[1], pointers[2] = np.iinfo(pointers.dtype).max, -2


def pointers_of_coefficients(content):
    model = content["model_"]
    model.coef_ = scipy.sparse.csr_matrix(model.coef_)
    overflowing_pointers(model.coef_.indptr)


def pointers_of_neighbors(content):
    overflowing_pointers(content["model_"]._fit_X.indptr)


def diagonal_far_below(content):
    model = content["model_"]
    lowest = np.array([np.iinfo(np.int32).min], dtype=np.int32)
    diagonal = scipy.sparse.dia_matrix((np.ones((1, model.coef_.shape[1])), [0]), shape=model.coef_.shape)
    diagonal.offsets = lowest
    model.coef_ = diagonal


def methods_replaced(content):
    content["model_"].predict_proba = content["model_"].decision_function = str


def set_of_model(content, name, value):
    setattr(content["model_"], name, value)


def set_of_vectorizer(content, name, value):
    for vectorizer in (content["vectorizer"], content["vectorizer_"]):
        if vectorizer is not None:
            setattr(vectorizer, name, value)


def neighbors_far_away(content):
    content["model_"]._fit_X.indices[:] = 2**30


def neighbors_of_no_class(content):
    content["model_"]._y[:] = 2**40


def no_neighbors(content):
    content["model_"].n_neighbors = 10**6


def tree_to_nowhere(content):
    content["model_"].tree_.children_left[0] = 10**6


def tree_of_other_features(content):
    content["model_"].tree_.feature[0] = 2**40


def a_tree_of_the_forest(content):
    forest = content["model_"]
    wide = SklearnDataset(np.random.default_rng(1).random((6, 10**5)), np.arange(6) % 3)
    forest.estimators_[1] = DecisionTreeClassifier().fit(wide.x, wide.y)


def boosting_of_fewer_classes(content):
    boosting = content["model_"]
    twin = GradientBoostingClassifier(n_estimators=2).fit(np.eye(4), [0, 1, 0, 1])
    boosting._loss, boosting.init_ = twin._loss, twin.init_


def boosting_of_more_columns(content):
    boosting = content["model_"]
    boosting.estimators_ = np.hstack([boosting.estimators_] * 10)


def words_in_no_column(content):
    for vectorizer in (content["vectorizer"], content["vectorizer_"]):
        vectorizer.vocabulary_ = {"goal": 2**30, "team": 2**30 + 1, "oven": 0}


def random_state_past_its_end(content):
    state = content["model_"].random_state = np.random.RandomState(1)
    inner = state.get_state(legacy=False)
    inner["state"]["pos"] = 2**30
    state.set_state(inner)


def tree_part(schema, name, content):
    for tree in objects(schema, "TreeNode"):
        tree["content"]["content"][name] = {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": content,
            "is_json": True,
        }


def tree_outputs(schema):
    for tree in objects(schema, "TreeNode"):
        tree["__reduce__"]["args"]["content"][2] |= {"content": str(2**28), "__id__": 12345}


def tree_outputs_by_identity(schema):
    """Replace the number of outputs by another value, since skops uses the first node with an id."""
    outputs = objects(schema, "TreeNode")[0]["__reduce__"]["args"]["content"][2]
    outputs["__id__"] = 12345
    first = {"__first": dict(outputs, content=str(2**28))}
    schema["content"] = first | schema["content"]
    schema["key_types"]["content"].insert(0, dict(schema["key_types"]["content"][0]))


MEMORY = {
    "coefficients out of range": (
        "linear",
        change_content,
        partial(sparse_coefficients, part="indices", value=2**30),
    ),
    "coefficients below zero": (
        "linear",
        change_content,
        partial(sparse_coefficients, part="indices", value=-(2**30)),
    ),
    "rows of coefficients": ("linear", change_content, partial(sparse_coefficients, part="indptr", value=2**30)),
    "pointers that overflow": ("linear", change_content, pointers_of_coefficients),
    "pointers to neighbors that overflow": ("neighbors", change_content, pointers_of_neighbors),
    "a diagonal far below": ("linear", change_content, diagonal_far_below),
    "methods replaced": ("linear", change_content, methods_replaced),
    "neighbors far away": ("neighbors", change_content, neighbors_far_away),
    "neighbors of no class": ("neighbors", change_content, neighbors_of_no_class),
    "no neighbors": ("neighbors", change_content, no_neighbors),
    "tree to nowhere": ("tree", change_content, tree_to_nowhere),
    "tree of other features": ("tree", change_content, tree_of_other_features),
    "tree of more nodes": ("tree", change_schema, partial(tree_part, name="node_count", content=str(2**40))),
    "tree of fewer nodes": ("tree", change_schema, partial(tree_part, name="node_count", content="-1")),
    "tree of many outputs": ("tree", change_schema, tree_outputs),
    "tree of many outputs by identity": ("tree", change_schema, tree_outputs_by_identity),
    "a tree of the forest": ("forest", change_content, a_tree_of_the_forest),
    "boosting of fewer classes": ("boosting", change_content, boosting_of_fewer_classes),
    "boosting of more columns": ("boosting", change_content, boosting_of_more_columns),
    "words in no column": ("counts", change_content, words_in_no_column),
    "random state past its end": ("linear", change_content, random_state_past_its_end),
    "threads without end": ("forest", change_content, partial(set_of_model, name="n_jobs", value=10**6)),
}

# Attacks that never end, use all memory, or read other files:

RESOURCES = {
    "backtracking": (
        "linear",
        change_content,
        partial(set_of_vectorizer, name="token_pattern", value=r"(\w+\s?)+$"),
    ),
    "alternatives": (
        "linear",
        change_content,
        partial(set_of_vectorizer, name="token_pattern", value=r"(a|a)*b|c"),
    ),
    "back references": (
        "linear",
        change_content,
        partial(set_of_vectorizer, name="token_pattern", value=r"(.*)\1x"),
    ),
    "n-grams": ("linear", change_content, partial(set_of_vectorizer, name="ngram_range", value=(1, 10**6))),
    "reads files": ("linear", change_content, partial(set_of_vectorizer, name="input", value="filename")),
    "no analyzer": ("linear", change_content, partial(set_of_vectorizer, name="analyzer", value="words")),
    "objects": ("linear", change_content, partial(set_of_vectorizer, name="dtype", value=str)),
    "no features": ("hashed", change_content, partial(set_of_vectorizer, name="n_features", value=0)),
    "too many features": ("hashed", change_content, partial(set_of_vectorizer, name="n_features", value=2**40)),
    "other features": ("hashed", change_content, partial(set_of_vectorizer, name="n_features", value=2**20)),
    "a cache of pickles": ("pipeline", change_content, partial(set_of_vectorizer, name="memory", value="/tmp")),
    "stop words": ("linear", change_content, partial(set_of_vectorizer, name="stop_words", value=[["a"], 3])),
    "accents": ("linear", change_content, partial(set_of_vectorizer, name="strip_accents", value="all")),
}


# Attacks by imports, calls and pickles:


def node(loader, dotted, **rest):
    module, _, name = dotted.rpartition(".")
    return {"__class__": name, "__module__": module, "__loader__": loader, **rest}


def as_json(value):
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def as_tuple(*values):
    return node("TupleNode", "builtins.tuple", content=list(values))


def as_dict(**values):
    types = [node("TypeNode", "builtins.str") for _ in values]
    return node(
        "DictNode", "builtins.dict", content=values, key_types=node("ListNode", "builtins.list", content=types)
    )


def called(marker):
    """Return nodes that create the marker if the named function is called."""
    arguments = as_tuple(as_json(str(marker)), as_json("w"))
    partial_of = {"args": arguments, "kwds": as_dict(), "namespace": as_json(None)}
    return {
        "function": node("FunctionNode", "os.system"),
        "type": node("TypeNode", "builtins.eval"),
        "constructor": node("ConstructorFromReduceNode", "builtins.open", content=arguments),
        "constructor of a file": node("ConstructorFromReduceNode", "io.FileIO", content=arguments),
        "object": node("ObjectNode", "payload_module.Payload"),
        "estimator of a module": node("ObjectNode", "payload_module.Payload", content=as_dict()),
        "loss": node("LossNode", "payload_module.Payload", __reduce__={"args": arguments}, content=as_tuple()),
        "array": node("NdArrayNode", "payload_module.Payload", type="numpy", file="payload.npy"),
        "pickled array": node("NdArrayNode", "numpy.ndarray", type="numpy", file="payload.npy"),
        "pickled matrix": node(
            "SparseMatrixNode", "scipy.sparse._csr.csr_matrix", type="scipy", file="payload.npz"
        ),
        "list": node("ListNode", "payload_module.Payload", content=[]),
        "tuple": node("TupleNode", "payload_module.Payload", content=[]),
        "keys": node(
            "DictNode",
            "builtins.dict",
            content={str(marker): as_json(1)},
            key_types=node("ListNode", "builtins.list", content=[node("TypeNode", "payload_module.Payload")]),
        ),
        "partial": node(
            "PartialNode",
            "functools.partial",
            content={"func": node("FunctionNode", "builtins.open"), **partial_of},
        ),
        "operator": node("OperatorFuncNode", "operator.methodcaller", attrs=as_tuple(as_json("system"))),
        "method": node(
            "MethodNode",
            "sklearn.linear_model._logistic.LogisticRegression",
            content={
                "func": "fit",
                "obj": node("ObjectNode", "sklearn.linear_model._logistic.LogisticRegression", content=as_dict()),
            },
        ),
        "default": node(
            "DefaultDictNode",
            "collections.defaultdict",
            content={"main": as_dict(), "default_factory": node("TypeNode", "payload_module.Payload")},
        ),
        "generator": node(
            "RandomGeneratorNode",
            "numpy.random._generator.Generator",
            content={"bit_generator": as_dict(bit_generator=as_json("seed")), "seed_seq": as_dict()},
        ),
        "no loader": {"__class__": "Payload", "__module__": "payload_module"},
        "unknown loader": node("PickleNode", "payload_module.Payload"),
    }


def put(folder, marker, kind):
    """Replace a parameter of the estimator by one of these nodes."""

    def change(schema):
        schema["content"]["model_"]["content"]["content"]["class_weight"] = called(marker)[kind]

    change_schema(folder, change)
    pickled = np.lib.format
    header = io.BytesIO()
    pickled.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    array = header.getvalue() + payload_pickle(marker)
    matrix = io.BytesIO()
    with zipfile.ZipFile(matrix, "w") as archive:
        for name in ("data", "indices", "indptr", "shape", "format"):
            archive.writestr(f"{name}.npy", array)
    rewrite(folder / "model.skops", {"payload.npy": array, "payload.npz": matrix.getvalue()})


def old_protocol(folder):
    change_schema(folder, lambda schema: schema.update(protocol=0))


@functools.cache
def zeros():
    """Return an archive of more than two gigabytes of zeros, a few of which are compressed and then repeated."""
    block, times = bytes(2**26), 2**31 // 2**26 + 1
    compressor = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    compressed = compressor.compress(block) + compressor.flush(zlib.Z_FULL_FLUSH)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.npy", compressed * times + compressor.flush())
        (member,) = archive.infolist()
        member.compress_type, member.file_size = zipfile.ZIP_DEFLATED, len(block) * times
        member.CRC = functools.reduce(lambda checksum, _: zlib.crc32(block, checksum), range(times), 0)
    return file.getvalue()


def bomb(folder):
    path = folder / "model.skops"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path.write_bytes(zeros())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def array(descr, shape, data=b""):
    """Return an array file whose header may claim missing data."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def elements_of_no_size(folder):
    """Let a trillion classes of zero bytes be sorted."""
    found = []

    def change(schema):
        found.append(schema["content"]["model_"]["content"]["content"]["classes_"]["file"])

    change_schema(folder, change)
    rewrite(folder / "model.skops", {found[0]: array("<U0", (10**12,))})


def matrix_that_is_a_bomb(folder):
    """Compress zeros twice: within the archive of a matrix, and within that of the model."""

    def change(schema):
        matrix = node("SparseMatrixNode", "scipy.sparse._csr.csr_matrix", type="scipy", file="bomb.npz")
        schema["content"]["model_"]["content"]["content"]["coef_"] = matrix

    change_schema(folder, change)
    rewrite(folder / "model.skops", {"bomb.npz": zeros()})


def pipe_in_place_of(name, folder):
    (folder / name).unlink()
    os.mkfifo(folder / name)


def link_to_a_device(folder):
    (folder / "vocabulary.json").unlink()
    (folder / "vocabulary.json").symlink_to("/dev/zero")


def word_twice(folder):
    edit_json(folder / "vocabulary.json", lambda words: [[each[0]] * len(each) for each in words])


def huge_problem(folder):
    edit_json(folder / MANIFEST, lambda manifest: manifest["parameters"].update(num_classes=10**12))


def huge_features(folder):
    edit_json(folder / MANIFEST, lambda manifest: manifest["parameters"].update(n_features=10**12))


def foreign_version(folder):
    edit_json(folder / MANIFEST, lambda manifest: manifest["parameters"].update(scikit_learn="1.0; evil"))


WHOLE = {
    "old protocol": old_protocol,
    "a bomb": bomb,
    "elements of no size": elements_of_no_size,
    "a matrix that is a bomb": matrix_that_is_a_bomb,
    "a pipe in place of the model": partial(pipe_in_place_of, "model.skops"),
    "a pipe in place of the vocabulary": partial(pipe_in_place_of, "vocabulary.json"),
    "a link to a device": link_to_a_device,
    "a word twice": word_twice,
    "a trillion classes": huge_problem,
    "a trillion features": huge_features,
    "no version": foreign_version,
}


def of_another_version(folder, target):
    pipes = [path.name for path in folder.iterdir() if path.is_fifo()]
    twin = Path(shutil.copytree(folder, target, symlinks=True, ignore=shutil.ignore_patterns(*pipes)))
    for name in pipes:
        os.mkfifo(twin / name)

    def change(manifest):
        if "evil" not in manifest["parameters"]["scikit_learn"]:
            manifest["parameters"]["scikit_learn"] = "1.3.7"

    edit_json(twin / MANIFEST, change)
    return twin


ATTACKS = {**MEMORY, **RESOURCES}
KINDS = tuple(called(Path("marker")))
NAMES = (*ATTACKS, *(f"calls {kind}" for kind in KINDS), *WHOLE)


@pytest.fixture(scope="module")
def outcomes(saved, tmp_path_factory):
    """Return the result of every attack, by name and version."""
    home = tmp_path_factory.mktemp("attacks")
    marker = home / "marker"
    payload_module(home, marker)
    folders = {}
    for number, name in enumerate(NAMES):
        if name in ATTACKS:
            model, way, change = ATTACKS[name]
            folder = saved(model, home / str(number))
            way(folder, change)
        elif name in WHOLE:
            folder = saved("linear", home / str(number))
            WHOLE[name](folder)
        else:
            folder = saved("linear", home / str(number))
            put(folder, marker, name.removeprefix("calls "))
        sign(folder)
        folders[name, "same"] = folder
        if name not in ("a bomb", "a matrix that is a bomb"):
            folders[name, "other"] = of_another_version(folder, home / f"{number}-other")
    found = dict(zip(folders, opened(list(folders.values()), import_path=home), strict=True))
    assert not marker.exists(), "a payload ran"
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_refused(outcomes, name):
    for version in ("same", "other"):
        found = outcomes.get((name, version), "ModelFolderError at load")
        assert found.startswith(("ModelFolderError at load", "UntrustedModelError at load")), f"{version}: {found}"


@pytest.mark.parametrize("kind", KINDS)
def test_callables_are_refused_before_they_are_created(outcomes, kind):
    if kind not in ("pickled array", "pickled matrix"):  # whose types are harmless; numpy rejects their content
        assert outcomes[f"calls {kind}", "same"].startswith("UntrustedModelError")


@pytest.fixture(scope="module")
def sound_outcomes(saved, tmp_path_factory):
    home = tmp_path_factory.mktemp("sound-copies")
    names = [name for name in MODELS if name not in DENSE]
    folders = [saved(name, home / name.replace(" ", "-")) for name in names]
    for folder in folders:
        change_content(
            folder, lambda content: None
        ) if folder.name in MODELS and folder.name not in UNCHECKED else None
        sign(folder)
    return dict(zip(names, opened(folders), strict=True))


@pytest.mark.parametrize("name", [name for name in MODELS if name not in DENSE])
def test_the_unchanged_models_are_loaded(sound_outcomes, name):
    expected = "UntrustedModelError at load" if name in UNCHECKED else "predicted"
    assert sound_outcomes[name].startswith(expected), sound_outcomes[name]


@pytest.mark.parametrize("name", sorted(UNCHECKED))
def test_unchecked_types_are_loaded_if_the_user_names_them(saved, tmp_path, name):
    folder = saved(name, tmp_path / "model")
    with pytest.raises(UntrustedModelError, match=r"types that are not trusted.*trusted=\[") as refusal:
        st.load(folder)
    listed = str(refusal.value).partition("trusted=[")[2].partition("]")[0]
    trusted = [each.strip(" '") for each in listed.split(",")]
    data = FEATURES if name in DENSE else TEXTS
    assert st.load(folder, trusted=trusted).predict_proba(data).shape == (len(data), 3)


def test_a_pattern_that_the_user_names_is_run(saved, tmp_path):
    folder = saved("linear", tmp_path / "model")
    pattern = r"(?u)\b(?:\w\w|\w)+?\b"
    change_content(folder, partial(set_of_vectorizer, name="token_pattern", value=pattern))
    edit_json(folder / MANIFEST, lambda manifest: manifest["parameters"].update(probe=None))
    sign(folder)
    with pytest.raises(UntrustedModelError, match="may take for ever"):
        st.load(folder)
    assert st.load(folder, trusted=[pattern]).vectorizer_.token_pattern == pattern


def test_a_function_that_the_user_names_is_called(tmp_path):
    vectorizer = CountVectorizer(preprocessor=html.unescape, lowercase=False)
    SklearnClassifier(MultinomialNB(), 3, vectorizer=vectorizer).fit(TEXTS).save(tmp_path / "model")
    with pytest.raises(UntrustedModelError, match=r"html\.unescape"):
        st.load(tmp_path / "model")
    assert st.load(tmp_path / "model", trusted=["html.unescape"]).vectorizer_.preprocessor is html.unescape


def test_trusted_is_a_list_of_names(saved, tmp_path):
    folder = saved("linear", tmp_path / "model")
    for wrong in ("sklearn.svm.SVC", [SVC], 3):
        with pytest.raises((ValueError, TypeError)):
            st.load(folder, trusted=wrong)
