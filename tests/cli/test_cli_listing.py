"""``smalltext list`` and ``smalltext info``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import smalltext_core as st


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


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--help"], ["train", "--help"]])
def test_nothing_heavy_is_imported_to_list_or_to_help(arguments):
    program = (
        "import sys; from smalltext_cli.app import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "heavy = {'sklearn', 'torch', 'polars', 'jinja2', 'docstring_parser', 'skops'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_info_explains_every_parameter_of_the_builder(smalltext):
    content = json.loads(smalltext("info", "sklearn", "--json").out)
    parameters = {one["name"]: one for one in content["parameters"]}
    assert {"estimator", "vectorizer", "class_weight", "seed"} <= set(parameters)
    assert parameters["seed"]["type"] == "int | None"
    assert parameters["seed"]["default"] is None
    assert all(one["meaning"].endswith(".") for one in parameters.values())
    table = smalltext("info", "sklearn").out
    assert all(name in table for name in parameters)


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
