"""What the README and the tutorial show passes a strict type checker, and so does what callers write like it.

basedpyright is pyright with its strict mode as it is, packaged so that nothing is downloaded when it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from architecture import packages
from docs.pages import blocks

pytest.importorskip("basedpyright", reason="types of snippets are checked where basedpyright is installed")

PAGES = [packages.TOP / "README.md", packages.TOP / "docs" / "index.md", packages.TOP / "docs" / "tutorial.md"]
WITHOUT_TYPES = ("from sklearn",)
OF_LIBRARIES_WITHOUT_TYPES = ("reportMissingTypeStubs", "reportUnknown")
"""Rules that hold for code of ours, and that a call of a library without types breaks by itself."""

GOOD = """
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import smalltext_core as st
from numpy.typing import NDArray
from smalltext_kimcnn import KimCNNClassifier
from smalltext_setfit import SetFitClassification
from smalltext_sklearn import SklearnClassifier
from smalltext_transformers import TransformerBasedClassification


def names() -> Iterator[str]:
    yield from ("good", "bad")


frame = pl.DataFrame({"text": ["a", "b"], "label": ["good", "bad"]})
train_set = st.TextDataset.from_labels(frame["text"], frame["label"])
known: tuple[str, ...] = train_set.label_names.names
st.TextDataset.from_labels(names(), names(), label_names=names())
st.TextDataset(frame["text"], np.array([0, 1]), label_names=frame["label"])
unnamed: st.LabelNames | None = st.TextDataset(["a"]).label_names


class Tickets(st.TextDataset):
    def urgent(self) -> int:
        return sum("urgent" in text for text in self.x)


tickets = Tickets.from_labels(["urgent", "later"], ["now", "later"])
print(tickets.urgent() + tickets[:1].clone().urgent(), tickets.label_names.decode(tickets.y))
plain: st.TextDataset = tickets if known else st.TextDataset(["a"])
several: list[st.TextDataset] = [train_set, tickets, st.TextDataset(["a"])]
weights: NDArray[np.float64] = np.ones(2)


def swapped(classifier: st.AnyClassifier) -> NDArray[np.float32]:
    fitted = classifier.fit(train_set, weights=frame["text"].str.len_chars())
    labels, proba = fitted.predict(train_set, return_proba=True)
    assert len(labels.tolist()) == len(proba)
    return fitted.predict_proba(data_set=train_set)


def networks(one: KimCNNClassifier, two: SetFitClassification, three: TransformerBasedClassification) -> None:
    for network in (one, two, three):
        swapped(network.fit(train_set, train_set, weights=weights))
        network.predict(dataset=train_set)[0]
        labels, proba = network.predict(dataset=train_set, return_proba=True)
        again, same = network.predict(data_set=train_set, return_proba=True)
        print(labels, again, proba.shape, same.shape, network.predict(train_set).tolist())
        print(network.predict_proba(dataset=train_set, dropout_sampling=3).shape)
        print(network.predict_proba(data_set=train_set, dropout_sampling=3).shape)
    print(one.precision, two.precision, three.precision)


def documented(classifier: SklearnClassifier) -> st.Classifier:
    return classifier.fit(train_set, weights)


class Constant(st.ProbabilisticClassifier):
    def fit(self, train_set: st.Dataset[Any], weights: object = None) -> "Constant":
        return self

    def predict_proba(self, data_set: st.Dataset[Any]) -> NDArray[np.float32]:
        return np.ones((len(data_set), 1), dtype=np.float32)


model = st.load("model")
print(model.num_classes, model.multi_label, model.label_names_, model.fit(train_set).predict(train_set))
model.save("model")
swapped(model)
swapped(Constant())
swapped(st.create_classifier("acme", num_classes=2))
st.create_classifier("kimcnn", num_classes=2, warm_start=True).fit(train_set, weights=weights).save("model")
swapped(st.create_factory("sklearn", num_classes=2).new())
"""

BAD = {
    "model.fit(train_set, weights)": "weights in second place, which is not everywhere theirs",
    "network.fit(train_set, weights)": "weights in the place of the validation set",
    "network.predict()": "no dataset",
    "network.predict(dataset=train_set, data_set=train_set)": "two datasets",
    "network.predict(train_set, return_proba=True).tolist()": "a tuple",
    "plain.label_names.names": "names that may be missing",
    "st.create_classifier('acme', num_classes=2).save('model')": "an ability that not every classifier has",
    "documented(network)": "a network, whose second argument is not weights",
}

BEFORE_BAD = """
import numpy as np
import smalltext_core as st
from smalltext_kimcnn import KimCNNClassifier

train_set, weights = st.TextDataset.from_labels(["a"], ["b"]), np.ones(1)
model, network, plain = st.load("model"), KimCNNClassifier(2), st.TextDataset(["a"])


def documented(classifier: st.Classifier) -> None: ...


"""


def checked(folder: Path) -> list[dict[str, str]]:
    """Return the errors that a strict type checker finds in the files of a folder."""
    settings = {
        "typeCheckingMode": "strict",
        "include": ["."],
        "pythonVersion": "3.10",
        # Inferring the types of scikit-learn from its code would take most of the time.
        "useLibraryCodeForTypes": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--project", folder], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"]
    return [
        {
            "file": Path(one["file"]).name,
            "line": one["range"]["start"]["line"] + 1,
            "rule": one.get("rule", "syntax"),
            "message": one["message"],
        }
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    ]


def snippets(page: Path) -> dict[str, str]:
    """Return the Python of a page as files: what is run, that without untyped libraries, and files with titles."""
    run, titled = [], {}
    for block in blocks(page):
        if block.language == "python" and not block.is_exempt:
            if block.title is None:
                run.append(block)
            else:
                titled[Path(block.title).name] = block.content
    typed = [block for block in run if not any(line in block.content for line in WITHOUT_TYPES)]
    return {
        "all_blocks.py": "\n".join(block.content for block in run),
        "typed_blocks.py": "\n".join(block.content for block in typed),
        **titled,
    }


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The errors in the snippets of all pages and in the programs above, found in one run."""
    top = tmp_path_factory.mktemp("snippets")
    for page in PAGES:
        folder = top / page.stem
        folder.mkdir()
        for name, content in snippets(page).items():
            (folder / name).write_text(content, encoding="utf-8")
    (top / "good.py").write_text(GOOD, encoding="utf-8")
    (top / "bad.py").write_text(BEFORE_BAD + "\n".join(BAD) + "\n", encoding="utf-8")
    return checked(top)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_have_blocks_that_need_no_library_without_types(page):
    assert "import smalltext_core as st" in snippets(page)["typed_blocks.py"]


@pytest.mark.slow
def test_snippets_pass_a_strict_type_checker(errors):
    assert not [
        error
        for error in errors
        if error["file"] not in ("good.py", "bad.py")
        and (error["file"] != "all_blocks.py" or not error["rule"].startswith(OF_LIBRARIES_WITHOUT_TYPES))
    ]


@pytest.mark.slow
def test_what_callers_write_passes_and_their_mistakes_do_not(errors):
    assert not [error for error in errors if error["file"] == "good.py"]
    first = BEFORE_BAD.count("\n") + 1
    lines = {error["line"] for error in errors if error["file"] == "bad.py"}
    missed = [code for number, code in enumerate(BAD) if first + number not in lines]
    assert not missed
    assert min(lines) >= first
