"""No text of a file, a class, an argument or a plugin reaches the terminal with its control characters."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import fork_server
import smalltext_core as core

NASTY = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202ereversed\u2066\u200b\x7f"
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
hostile = st.text(
    st.sampled_from([*NASTY, *BIDIRECTIONAL, "a", "b", "é", "数", "\u2028", "\x85", "\x00", "\r", "\n", "\t"]),
    min_size=1,
    max_size=12,
)


def controls(output: bytes | str) -> set[str]:
    text = output if isinstance(output, str) else output.decode("utf-8")
    return {
        character
        for character in text
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character != "\n")
        or character in BIDIRECTIONAL
    }


def expect_harmless(ended):
    """Expect no character that controls a terminal, of a process or of the command that ran in this one."""
    for said in (ended.out, ended.err) if hasattr(ended, "out") else (ended.stdout, ended.stderr):
        assert controls(said) == set(), said


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install plugins whose names, summaries, parameters and errors would control the terminal."""
    info = tmp_path / "acme_nasty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-nasty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[smalltext]\nnasty = acme_nasty\nraises = acme_raises\n")
    (tmp_path / "acme_raises.py").write_text(f"raise ImportError({NASTY!r})")
    (tmp_path / "acme_nasty.py").write_text(
        f"""
import smalltext_core as st

class Nasty(st.ArrayClassifier):
    name, distribution = "nasty", "acme-nasty"

    def __init__(self, num_classes, *, share={NASTY!r}):
        raise RuntimeError({NASTY!r})

    def learn(self, texts, targets, weights): ...
    def probabilities(self, learned, texts): ...

Nasty.__doc__ = "Nasty.\\n\\n    Parameters\\n    ----------\\n    share : str\\n        {NASTY}\\n"

@st.hookimpl
def smalltext_classifiers():
    return [st.ClassifierSpec("nasty", {NASTY!r}, 1, "acme_nasty:Nasty", abilities=("save",))]
""",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    core.refresh()
    yield
    monkeypatch.undo()
    for module in ("acme_nasty", "acme_raises"):
        sys.modules.pop(module, None)
    core.refresh()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--json"),
        ("info", "nasty"),
        ("info", "nasty", "--json"),
        ("check", "nasty"),
        ("check", "nasty", "--json"),
        ("check", "raises"),
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("plugin")
def test_what_a_plugin_says_is_escaped(smalltext, arguments):
    ended = smalltext(*arguments)
    expect_harmless(ended)
    assert "Traceback" not in ended.err
    if "--json" in arguments:
        json.loads(ended.out)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["", "1"], ids=["a line", "a traceback"])
@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@example(text=NASTY)
@given(text=hostile.filter(lambda text: "\x00" not in text))
def test_an_argument_is_escaped(smalltext, monkeypatch, tmp_path, text, variable):
    monkeypatch.setenv("SMALLTEXT_TRACEBACK", variable)
    for arguments in hostile_arguments(tmp_path, text):
        ended = smalltext(*arguments)
        assert ended.code != 0
        expect_harmless(ended)


@pytest.mark.nightly
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=hostile.filter(lambda text: "\x00" not in text), variable=st.sampled_from(["", "1"]))
def test_many_arguments_are_escaped(process, tmp_path, text, variable):
    environment = {**os.environ, "SMALLTEXT_TRACEBACK": variable}
    for arguments in hostile_arguments(tmp_path, text):
        ended = process(*arguments, env=environment)
        assert ended.returncode != 0
        expect_harmless(ended)


def hostile_arguments(tmp_path, text):
    return (
        ("info", text),
        ("predict", tmp_path / text.replace("/", ""), "data.csv", "-o", "o.csv"),
        ("train", text, "--classifier", "sklearn", "--output", tmp_path / "m", "--set", f"{text}=1"),
        (text,),
    )


@pytest.mark.slow
@settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(
        hostile.map(lambda name: f"x{name}x"), min_size=2, max_size=2, unique_by=lambda name: name.strip()
    )
)
def test_names_of_classes_and_files_are_escaped(smalltext, tmp_path_factory, names):
    room: Path = tmp_path_factory.mktemp("room")
    names = [
        "".join(letter for letter in name if letter not in "\n\r\x00\x85\u2028") + str(k)
        for k, name in enumerate(names)
    ]
    rows = [{"text": f"{names[k % 2]} word{k % 2} text{k}", "label": names[k % 2]} for k in range(40)]
    data = room / "a\x1b[2J\u202eb.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model = room / "model"
    trained = smalltext("train", data, "--classifier", "sklearn", "--output", model)
    assert trained.code == 0, trained.err
    expect_harmless(trained)
    for arguments in (
        ("evaluate", model, data),
        ("evaluate", model, data, "--json"),
        ("predict", model, data, "-o", room / "o.csv"),
    ):
        ended = smalltext(*arguments)
        assert ended.code == 0, ended.err
        expect_harmless(ended)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_table_on_a_terminal_is_escaped(process, model, tmp_path):
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"text": f"buy {NASTY} 数据"}) + "\n", encoding="utf-8")
    master, terminal = os.openpty()
    on_terminal = (
        "import os, sys\n"
        "os.dup2(os.open(sys.argv.pop(1), os.O_RDWR), 1)\n"
        "sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)\n"
        "from smalltext_cli import app; app.main()"
    )
    command = ["predict", model, data, "-o", "-"]
    environment = {**os.environ, "SMALLTEXT_TRACEBACK": "1"}
    done = fork_server.run(["-c", on_terminal, os.ttyname(terminal), *command], env=environment)
    os.close(terminal)
    shown = os.read(master, 10**6)
    assert done.returncode == 0, done.stderr
    assert "数据".encode() in shown
    assert b"owned" in shown
    assert controls(shown.replace(b"\r\n", b"\n")) == set(), shown
    piped = process(*command)
    assert NASTY.encode() in piped.stdout, "in a pipe or a file, texts stay what they are"


def test_help_is_a_table_of_contents_that_fits_on_a_screen(smalltext):
    lines = smalltext("--help").out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    commands = [line.split()[0] for line in lines if line.startswith("  ")]
    assert commands[0] == "demo"
    assert {"list", "info", "train", "evaluate", "predict", "check", "new-plugin"} <= set(commands)
    assert all(re.fullmatch(r"  [a-z-]+ +[A-Z].*\.", line) for line in lines if line.startswith("  "))


def test_no_name_in_the_help_of_a_command_is_cut_on_a_terminal_of_80_columns(smalltext, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    commands = [line.split()[0] for line in smalltext("--help").out.splitlines() if line.startswith("  ")]
    cut = {one: line for one in commands for line in smalltext(one, "--help").out.splitlines() if "…" in line}
    assert not cut


@pytest.mark.parametrize("command", ["train", "predict", "evaluate", "info"])
def test_flags_in_help_take_no_value(smalltext, command):
    assert "bool" not in smalltext(command, "--help").out.lower().replace("boolean", "")


def test_training_without_a_classifier_lists_those_that_there_are(smalltext, mails):
    ended = smalltext("train", mails)
    assert ended.code == 2
    assert "Missing option '--classifier' / '-c'. Installed classifiers: " in ended.err
    assert "sklearn" in ended.err
