"""A saved model needs only the dependencies of its backend; without them, the error names the install command."""

from __future__ import annotations

import json

import pytest

from install.environments import empty_environment, linked
from robustness.backends import NAMES
from robustness.freeze import EXPECTED, FROZEN
from robustness.test_frozen_models import TOLERANCE

pytestmark = [pytest.mark.install, pytest.mark.slow]

LOAD = """
import json, sys
from pathlib import Path
import smalltext_core as s
from smalltext_core.errors import ModelFolderError
answers = {}
for folder in map(Path, sys.argv[1:]):
    expected = json.loads((folder / "expected.json").read_bytes())
    try:
        proba = s.load(folder / "model").predict_proba(s.TextDataset(expected["texts"]))
    except ModelFolderError as error:
        answers[folder.name] = str(error)
    else:
        answers[folder.name] = float(abs(proba - expected["probabilities"]).max())
print(json.dumps(answers))
"""
HEAVY = {
    "sklearn": ("torch", "transformers"),
    "kimcnn": ("scikit-learn", "transformers"),
    "embeddings": ("torch", "scikit-learn"),
}
"""What must not be there: the test would otherwise show less than it says."""
OPTIONAL = {"embeddings": (["smalltext-tokenizers"], ["model2vec"])}
"""What the model needs of an extra of its backend: packages of ours, and of others."""


def model_of(name):
    return FROZEN / f"{name}-single-label"


@pytest.fixture(scope="module")
def answers(tmp_path_factory, wheels, forks):
    """Return, for each environment, the result of loading the model of each backend.

    By default, the process has imported the libraries already, and removed those that the environment lacks;
    in nightly runs, it is a new process of the environment.
    """
    found = {}

    def of(name):
        if name not in found:
            environment = empty_environment(tmp_path_factory.mktemp(f"only-{name}"), wheels, forks=forks)
            ours, others = OPTIONAL.get(name, ([], []))
            environment.install_offline(f"smalltext-{name}", *ours)
            linked(environment.packages, *others)
            assert not set(HEAVY.get(name, ())) & environment.distributions()
            ended = environment.fork_python(LOAD, *(str(model_of(other)) for other in NAMES))
            assert ended.returncode == 0, ended.stderr
            found[name] = json.loads(ended.stdout)
        return found[name]

    return of


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_loaded_with_only_the_dependencies_of_its_backend(answers, name):
    assert answers(name)[model_of(name).name] <= TOLERANCE


@pytest.mark.parametrize(
    ("here", "name"), [(here, name) for here in ("core", *NAMES) for name in NAMES if here != name]
)
def test_where_its_backend_is_not_installed_the_error_names_package_and_version(answers, here, name):
    said = answers(here)[model_of(name).name]
    version = json.loads((model_of(name) / EXPECTED).read_bytes())["version"]
    assert said.startswith(f"{model_of(name) / 'model'} holds a {name!r} classifier, written by ")
    assert f"'smalltext-{name}' {version!r}" in said
    assert f"Install it: pip install smalltext-{name} (in a clone: " in said


def test_the_command_reports_it_in_one_line(tmp_path, wheels, forks):
    environment = empty_environment(tmp_path / "cli", wheels, forks=forks)
    environment.install_offline("smalltext-cli")
    data = tmp_path / "new.csv"
    data.write_text("text\na fine day\n")
    arguments = ("predict", str(model_of("kimcnn") / "model"), str(data), "--output", str(tmp_path / "out.csv"))
    ended = environment.fork_module("smalltext_cli", *arguments, folder=tmp_path)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "written by 'smalltext-kimcnn' '0.1.0'" in line
    assert "Install it: pip install smalltext-kimcnn (in a clone: " in line
    assert not (tmp_path / "out.csv").exists()
