"""Importing and using a backend for the first time changes no global random state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fork_server
from robustness import backends

SCRIPT = """
import json, pathlib, random, sys, tempfile
import numpy as np

way, classifiers = sys.argv[1], json.loads(sys.argv[2])
random.seed(3)
np.random.seed(4)

from smalltext_testing import changed_generators, global_random_state

moved = {}
if random.getstate() != random.Random(3).getstate():
    moved["import of the kit and the core"] = ["random"]
if np.random.random(5).tolist() != np.random.RandomState(4).random(5).tolist():
    moved["import of the kit and the core"] = ["numpy.random"]
before = global_random_state()

def watch(step):
    global before
    changed = changed_generators(before)
    if changed:
        moved[step] = changed
    before = global_random_state()

if way == "names":
    for name in classifiers:
        module = __import__(f"smalltext_{name}")
        for public in module.__all__:
            getattr(module, public)
        watch(name)
else:
    import smalltext_core as st
    from smalltext_testing import training_texts

    st.classifiers()
    watch("list")
    texts = training_texts(3, multi_label=False)
    for name, parameters in classifiers.items():
        classifier = st.create_classifier(name, 3, seed=1, **parameters)
        watch(f"{name} create_classifier")
        classifier.fit(texts)
        watch(f"{name} fit")
        classifier.predict_proba(texts)
        watch(f"{name} predict")
        with tempfile.TemporaryDirectory() as folder:
            classifier.save(pathlib.Path(folder, "model"))
            watch(f"{name} save")
            st.load(pathlib.Path(folder, "model"))
            watch(f"{name} load")
print(json.dumps(moved))
"""


def moved(way, names, *, libraries_imported=False):
    """Return the global random states that a process changed, by action.

    It is a new process, or one that has imported the libraries, but not this project.
    """
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    classifiers = {name: backends.parameters(name) for name in names}
    arguments = ["-c", SCRIPT, way, json.dumps(classifiers, default=str)]
    env = {**os.environ, "PYTHONPATH": path}
    if libraries_imported:
        done = fork_server.run(arguments, env=env)
    else:
        done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["sklearn"], id="sklearn"),
        pytest.param(backends.NAMES[::-1], id="all", marks=pytest.mark.nightly),
    ],
)
def test_importing_public_names_changes_no_global_random_state(names):
    """Import scikit-learn, which draws random numbers; in nightly runs, all, with the largest backend first."""
    assert moved("names", names) == {}


@pytest.mark.slow
def test_classifiers_change_no_global_random_state_once_their_libraries_are_imported():
    assert moved("classifiers", backends.NAMES, libraries_imported=True) == {}


@pytest.mark.nightly
@pytest.mark.parametrize(
    "names", [pytest.param(backends.NAMES, id="all"), *[pytest.param([name], id=name) for name in backends.NAMES]]
)
def test_first_classifiers_change_no_global_random_state(names):
    """Each library is imported by the first backend that needs it, and by each backend in a new process."""
    assert moved("classifiers", names) == {}


def test_the_random_state_is_restored_after_imports_that_draw(tmp_path, monkeypatch):
    import importlib
    import random

    import numpy as np

    from smalltext_core.lazy_import import random_state_kept

    (tmp_path / "draws_when_imported.py").write_text(
        "import random, numpy\nrandom.random()\nnumpy.random.random()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = random.getstate(), np.random.get_state()[2]  # noqa: NPY002 - the global one is what is kept
    with random_state_kept("draws_when_imported"):
        importlib.import_module("draws_when_imported")
    assert (random.getstate(), np.random.get_state()[2]) == before  # noqa: NPY002
    with random_state_kept("draws_when_imported"):  # imported before, so numbers are drawn intentionally
        random.random()
    assert random.getstate() != before[0]


def test_hidden_modules_are_missing_only_in_the_block(tmp_path, monkeypatch):
    import importlib

    from smalltext_sklearn._saving import hidden_modules

    for name in ("left_out_once", "left_out_never"):
        (tmp_path / f"{name}.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = importlib.import_module("left_out_never")
    with hidden_modules("left_out_once", "left_out_never", "no_such_module"):
        assert importlib.import_module("left_out_never") is before
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("left_out_once")
    assert not {"left_out_once", "no_such_module"} & sys.modules.keys()
    assert importlib.import_module("left_out_once").value == 1
    monkeypatch.setitem(sys.modules, "left_out_by_another", None)
    with pytest.raises(OSError, match="in the block"), hidden_modules("left_out_by_another", "left_out_as_well"):
        raise OSError("in the block")
    assert sys.modules["left_out_by_another"] is None
    assert "left_out_as_well" not in sys.modules
