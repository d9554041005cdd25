"""``smalltext list`` and ``smalltext info``."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import pytest

import smalltext_core as st
from smalltext_cli import console
from smalltext_cli.parameters import builder_parameters
from smalltext_cli.shipped_parameters import as_json, parameters_of, shipped_parameters


def test_list_names_what_is_installed(smalltext):
    ended = smalltext("list", "--json")
    (sklearn,) = [one for one in json.loads(ended.out)["classifiers"] if one["name"] == "sklearn"]
    assert sklearn["distribution"] == "smalltext-sklearn"
    assert sklearn["version"]
    assert "weights" in sklearn["abilities"]
    assert smalltext("list").out.startswith("name")


def test_list_shows_blocked_plugins_with_the_reason(process):
    environment = {**os.environ, "SMALLTEXT_DISABLE_PLUGINS": "smalltext-sklearn"}
    ended = process("list", "--json", env=environment)
    problems = {one["distribution"]: one for one in json.loads(ended.stdout)["problems"]}
    assert problems["smalltext-sklearn"]["status"] == "blocked"
    assert "SMALLTEXT_DISABLE_PLUGINS" in problems["smalltext-sklearn"]["reason"]
    assert b"blocked: smalltext-sklearn" in process("list", env=environment).stdout


class Voting:
    """A classifier that no distribution brings."""

    def __init__(self, num_classes):
        self.num_classes = num_classes


class InProcess:
    """A plugin that a program registers."""

    @st.hookimpl
    def smalltext_classifiers(self):
        yield st.ClassifierSpec("voting", "Votes.", protocol=1, classifier=f"{__name__}:Voting")


def test_list_shows_what_the_program_registered_without_a_version(smalltext):
    plugin = InProcess()
    st.plugin_manager.register(plugin, "notebook")
    try:
        found = json.loads(smalltext("list", "--json").out)["classifiers"]
        lines = smalltext("list").out.splitlines()
    finally:
        st.plugin_manager.unregister(plugin)
    (voting,) = [one for one in found if one["name"] == "voting"]
    assert (voting["distribution"], voting["version"]) == ("in-process", "")
    assert any("voting" in line and "in-process" in line for line in lines)
    assert "voting" not in smalltext("list").out


def test_list_names_a_registered_plugin_that_is_broken(smalltext):
    class Broken:
        @st.hookimpl
        def smalltext_classifiers(self):
            raise RuntimeError("no licence found")

    st.plugin_manager.register(Broken(), "notebook")
    try:
        out = smalltext("list").out
    finally:
        st.refresh()
    assert "broken: in-process (plugin 'notebook'): RuntimeError: no licence found" in out
    assert "sklearn" in out


LIGHT_COMMANDS = ["list", "list --json", "--help", "train --help"]


@pytest.fixture(scope="module")
def heavy_imports():
    """Return the heavy libraries that each command imports, in one new process for all commands."""
    commands = [*LIGHT_COMMANDS, *(f"info {name}" for name in st.classifiers())]
    program = (
        "import contextlib, io, json, sys\n"
        "from smalltext_cli.app import app\n"
        "heavy = {'sklearn', 'torch', 'transformers', 'polars', 'jinja2', 'docstring_parser', 'skops'}\n"
        "found, before = {}, set()\n"
        "for command in sys.argv[1:]:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        app(command.split())\n"
        "    found[command], before = sorted((heavy & set(sys.modules)) - before), heavy & set(sys.modules)\n"
        "print(json.dumps(found))"
    )
    return json.loads(subprocess.check_output([sys.executable, "-c", program, *commands]))


@pytest.mark.parametrize("command", LIGHT_COMMANDS)
def test_nothing_heavy_is_imported_to_list_or_to_help(heavy_imports, command):
    assert heavy_imports[command] == []


def test_info_explains_every_parameter_of_the_builder(smalltext):
    content = json.loads(smalltext("info", "sklearn", "--json").out)
    parameters = {one["name"]: one for one in content["parameters"]}
    assert {"estimator", "vectorizer", "class_weight", "seed"} <= set(parameters)
    assert parameters["seed"]["type"] == "int | None"
    assert parameters["seed"]["default"] is None
    assert all(one["meaning"].endswith(".") for one in parameters.values())
    table = smalltext("info", "sklearn").out
    assert all(name in table for name in parameters)


def test_info_says_so_if_a_classifier_has_no_parameters(smalltext):
    plugin = InProcess()
    st.plugin_manager.register(plugin, "notebook")
    try:
        table = smalltext("info", "voting").out
        content = json.loads(smalltext("info", "voting", "--json").out)
    finally:
        st.plugin_manager.unregister(plugin)
    assert table.endswith("It has no parameters.\n")
    assert content["parameters"] == []


@pytest.mark.parametrize("name", sorted(st.classifiers()))
def test_what_packages_ship_is_what_signatures_and_docstrings_say(name):
    spec = st.classifier_spec(name)
    shipped = shipped_parameters(spec)
    assert shipped is not None
    read = builder_parameters(spec.resolve("builder"))
    advice = "python tests/architecture/parameter_files.py writes the files anew"
    assert as_json(shipped) == as_json(read), advice
    assert shipped.open_ended == read.open_ended, advice


@pytest.mark.parametrize("name", sorted(st.classifiers()))
def test_parameters_are_listed_without_importing_the_classifier(heavy_imports, name):
    assert heavy_imports[f"info {name}"] == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sklearn": {"parameters": [{"name": 3}]}}'])
def test_a_plugin_without_valid_parameters_is_imported(tmp_path, monkeypatch, content):
    package = tmp_path / "voting_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(
        'class Voting:\n    def __init__(self, num_classes, *, smoothing: float = 0.5):\n        """Vote."""\n'
    )
    (package / "parameters.json").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    spec = st.ClassifierSpec("sklearn", "Votes.", protocol=1, classifier="voting_plugin:Voting")
    assert shipped_parameters(spec) is None
    assert parameters_of(spec).named["smoothing"].default == 0.5


def columns(text, width, monkeypatch, *, is_terminal=True):
    """Return what is printed at a width, as lines."""
    from rich.console import Console

    file = io.StringIO()
    monkeypatch.setattr(console, "results", lambda: Console(file=file, width=width, force_terminal=is_terminal))
    console.print_columns(["parameter", "default", "meaning"], text)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [10, 25, 40, 60, 80, 200])
def test_a_name_that_has_to_be_typed_is_never_cut_or_broken(monkeypatch, width):
    rows = [["layerwise_gradient_decay_of_layers", "None", "The factor " * 20], ["lr", "0.1", "Small."]]
    lines = columns(rows, width, monkeypatch)
    assert any(line.startswith("layerwise_gradient_decay_of_layers") for line in lines)
    assert " ".join(" ".join(lines).split()).count("factor") == 20


def test_in_a_pipe_a_parameter_is_a_line(process):
    lines = process("info", "sklearn").stdout.decode().splitlines()
    assert next(line for line in lines if line.startswith("calibration ")).endswith(".")
    assert not any(line.endswith(" ") for line in lines)


def test_info_on_an_unknown_name_says_which_there_are(smalltext):
    ended = smalltext("info", "sklern")
    assert ended.code == 2
    assert "Did you mean 'sklearn'?" in ended.err


def test_neither_colour_nor_frames_reach_a_pipe(process):
    for arguments in (["list"], ["info", "sklearn"]):
        assert b"\x1b" not in process(*arguments).stdout


def test_no_color_is_honoured(process):
    environment = {**os.environ, "FORCE_COLOR": "1", "NO_COLOR": "1"}
    assert b"\x1b[3" not in process("list", env=environment).stdout


@pytest.mark.parametrize("name", ["kimcnn", "transformers", "setfit"])
def test_networks_call_precision_and_warm_start_the_same(smalltext, name):
    ended = smalltext("info", name, "--json")
    if ended.code == 2:
        pytest.skip(f"{name} is not installed")
    named = {one["name"]: one for one in json.loads(ended.out)["parameters"]}
    assert named["warm_start"]["type"] == "bool"
    assert named["warm_start"]["default"] is False
    assert "'float32'" in named["precision"]["type"]
    assert all(named[one]["meaning"] for one in ("warm_start", "precision"))
    shown = smalltext("info", name).out
    assert "warm_start" in shown
    assert "precision" in shown


def test_a_warm_start_and_a_precision_can_be_set_by_name(smalltext, mails, tmp_path):
    pytest.importorskip("smalltext_kimcnn")
    train = ("train", mails, "-c", "kimcnn", "-o", tmp_path / "m", "--set", "num_epochs=1", "--json")
    ended = smalltext(*train, "--set", "warm_start=true", "--set", "precision=float32")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["parameters"] == {"num_epochs": 1, "warm_start": True, "precision": "float32"}
