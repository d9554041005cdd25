"""What a program draws at random is the same whether or not it has created its first classifier meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robustness import backends

SCRIPT = """
import json, pathlib, random, sys, tempfile
import numpy as np

way, classifiers = sys.argv[1], json.loads(sys.argv[2])
random.seed(3)
np.random.seed(4)

def state():
    numpy = np.random.get_state()
    found = {"random": random.getstate(), "numpy": [numpy[0], numpy[1].tolist(), *numpy[2:]]}
    torch = sys.modules.get("torch")
    if hasattr(torch, "get_rng_state"):
        found["torch"] = torch.get_rng_state().tolist()
    return json.loads(json.dumps(found))

moved, before = {}, state()

def watch(step):
    global before
    now = state()
    changed = [each for each in before if now[each] != before[each]]
    if changed:
        moved[step] = changed
    before = now

if way == "class":
    for name in classifiers:
        module = __import__(f"smalltext_{name}")
        for public in module.__all__:
            getattr(module, public)
        watch(name)
else:
    ((name, parameters),) = classifiers.items()
    import smalltext_core as st
    from smalltext_testing.sample_data import training_texts

    watch("core")
    st.classifiers()
    watch("list")
    classifier = st.create_classifier(name, 3, seed=1, **parameters)
    watch("create_classifier")
    texts = training_texts(3, multi_label=False)
    classifier.fit(texts)
    watch("fit")
    classifier.predict_proba(texts)
    watch("predict")
    with tempfile.TemporaryDirectory() as folder:
        classifier.save(pathlib.Path(folder, "model"))
        watch("save")
        st.load(pathlib.Path(folder, "model"))
        watch("load")
print(json.dumps(moved))
"""


def moved(way, names):
    """Return, by what a new process did, the random states that this moved."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    classifiers = {name: backends.parameters(name) for name in names}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, way, json.dumps(classifiers, default=str)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def moved_by_classes():
    """What the public names of each package moved, imported one after the other: each library once."""
    return moved("class", backends.NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", backends.NAMES)
def test_public_names_move_no_global_random_state(name, moved_by_classes):
    assert name not in moved_by_classes


@pytest.mark.slow
@pytest.mark.parametrize("name", backends.NAMES)
def test_a_first_classifier_moves_no_global_random_state(name):
    assert moved("all", [name]) == {}


def test_what_a_module_draws_while_it_is_imported_is_put_back(tmp_path, monkeypatch):
    import importlib
    import random

    import numpy as np

    from smalltext_core.process import random_state_kept

    (tmp_path / "draws_when_imported.py").write_text(
        "import random, numpy\nrandom.random()\nnumpy.random.random()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = random.getstate(), np.random.get_state()[2]  # noqa: NPY002 - the global one is what is kept
    with random_state_kept("draws_when_imported"):
        importlib.import_module("draws_when_imported")
    assert (random.getstate(), np.random.get_state()[2]) == before  # noqa: NPY002
    with random_state_kept("draws_when_imported"):  # imported before: what is drawn now is meant
        random.random()
    assert random.getstate() != before[0]


def test_what_is_left_out_is_not_found_within_the_block_alone(tmp_path, monkeypatch):
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
