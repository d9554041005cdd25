"""How the command ends: one line on standard error and exit code 2, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

import fork_server
import smalltext_core as st
from smalltext_cli import __version__, app
from smalltext_cli.console import ending_signals


def lines(ended):
    assert ended.returncode == 2
    assert ended.stdout == b""
    return ended.stderr.decode().splitlines()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train"], "Missing argument 'DATA'"),
        (["train", "data.csv"], "Missing option '--classifier'"),
        (["tarin"], "No such command 'tarin'"),
        (["list", "--jsno"], "No such option"),
        (["predict", "model", "new.csv", "-o", "x.csv", "--top", "-1"], "--top"),
        (["predict", "model", "new.csv", "-o", "x.csv", "--format", "xls"], "csv"),
    ],
)
def test_wrong_usage_is_reported_in_one_line(smalltext, arguments, said):
    ended = smalltext(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert ended.err.rstrip().endswith("--help")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "a.csv", "b.csv", "-c", "sklearn"], ". DATA must be one file. Join the files first;"),
        (["suggest", "model", "a.csv", "b.csv"], ". POOL must be one file. Join the files first;"),
        (["list", "b.csv"], "(b.csv). See: smalltext list --help"),
        (["info", "sklearn", "kimcnn"], "(kimcnn). See: smalltext info --help"),
        (["predict", "model", "--text"], "requires an argument. See: smalltext predict --help"),
        (["train", "a.csv", "--held-out", "2"], "equal to 0.9. See: smalltext train --help"),
        (["info", "sklearn", "--jsn"], "(Possible options: --json). See: smalltext info --help"),
        (["predict", "model", "a.csv", "--proba=yes"], "See: smalltext predict --help"),
    ],
)
def test_the_advice_on_wrong_usage_is_that_of_the_command(smalltext, arguments, said):
    ended = smalltext(*arguments)
    assert said in ended.err
    assert ended.err.endswith(f"See: smalltext {arguments[0]} --help\n")


@pytest.fixture(params=["predict", "evaluate", "train"])
def with_bad_input(request, model, tmp_path):
    """The arguments of a command whose input has a byte that is not UTF-8, and how the error begins."""
    data = tmp_path / "data.csv"
    data.write_bytes(b"text,label\nbuy,spam\n\xe9t\xe9,ham\n")
    arguments = {
        "predict": ["predict", model, data, "-o", tmp_path / "o.csv"],
        "evaluate": ["evaluate", model, data, "--report", tmp_path / "o.html"],
        "train": ["train", data, "-c", "sklearn", "-o", tmp_path / "m"],
    }
    return arguments[request.param], f"Error: {data}, line 3: byte 0xe9"


def test_bad_input_is_reported_in_one_line(smalltext, with_bad_input, tmp_path):
    arguments, error = with_bad_input
    ended = smalltext(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert ended.err.startswith(error)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize(
    "with_bad_input",
    ["train", *[pytest.param(command, marks=pytest.mark.nightly) for command in ("evaluate", "predict")]],
    indirect=True,
)
def test_bad_input_in_a_real_process(new_process, with_bad_input, tmp_path):
    arguments, error = with_bad_input
    (line,) = lines(new_process(*arguments))
    assert line.startswith(error)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_folder_that_is_no_model(smalltext, mails, tmp_path, command):
    output = ["-o", tmp_path / "o.csv"] if command == "predict" else []
    for folder in (tmp_path, tmp_path / "nowhere", mails):
        ended = smalltext(command, folder, mails, *output)
        assert ended.code == 2
        assert "is not a saved model" in ended.err
        assert ended.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def spoiled(model, folder, spoil):
    shutil.copytree(model, folder)
    manifest = folder / "smalltext.json"
    content = json.loads(manifest.read_text("utf-8"))
    spoil(content, folder)
    if manifest.exists():
        manifest.write_text(json.dumps(content), "utf-8")
    return folder


def cut_short(content, folder):
    (folder / "smalltext.json").write_text('{"classifier": ')


def foreign(content, folder):
    content.update(classifier="gone", distribution="smalltext-gone")


def climbing(content, folder):
    content["files"]["../secret"] = "0" * 64


def changed(content, folder):
    name = next(name for name in content["files"] if name != "scores.json")
    (folder / name).write_bytes(b"something else")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(foreign, "It is not part of smalltext"), (climbing, "outside"), (changed, "SHA-256")],
)
def test_an_untrusted_model_that_is_damaged(smalltext, model, mails, tmp_path, spoil, said):
    folder = spoiled(model, tmp_path / "m", spoil)
    ended = smalltext("predict", folder, mails, "-o", tmp_path / "o.csv")
    assert ended.code == 2
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_manifest_cut_short(smalltext, model, mails, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(model, folder)
    cut_short(None, folder)
    ended = smalltext("predict", folder, mails, "-o", tmp_path / "o.csv")
    assert ended.code == 2
    assert "damaged" in ended.err


def test_a_mistake_of_a_plugin_is_one_line_and_a_traceback_on_request(process, mails, tmp_path, monkeypatch):
    plugin = tmp_path / "site" / "careless.py"
    plugin.parent.mkdir()
    plugin.write_text(
        "from smalltext_core import ClassifierSpec, hookimpl\n"
        "@hookimpl\n"
        "def smalltext_classifiers():\n"
        "    where = 'careless:build'\n"
        "    yield ClassifierSpec(name='careless', summary='It fails', protocol=1, classifier=where,\n"
        "                         factory=where, builder=where, abilities=('save',))\n"
        "def build(num_classes, *, multi_label=False):\n"
        "    return 1 / 0\n"
    )
    metadata = plugin.parent / "careless-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[smalltext]\ncareless = careless\n")
    environment = {**os.environ, "PYTHONPATH": str(plugin.parent)}
    arguments = ("train", mails, "-c", "careless", "-o", tmp_path / "m")
    ended = process(*arguments, env=environment)
    assert ended.returncode == 1
    assert re.fullmatch(
        r"Error: ZeroDivisionError: .*SMALLTEXT_TRACEBACK=1.*", ended.stderr.decode().splitlines()[-1]
    )
    assert b"Traceback" not in ended.stderr
    traced = process(*arguments, env={**environment, "SMALLTEXT_TRACEBACK": "1"})
    assert b"Traceback" in traced.stderr
    assert traced.returncode == 1
    assert traced.stderr.decode().splitlines()[-1] == "Error: ZeroDivisionError: division by zero."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (st.errors.InvalidInputError("text", "5", "a string"), 2),
        (FileNotFoundError(2, "No such file or directory", "mails.csv"), 2),
        (MemoryError(), 1),
        (typer.Abort(), 130),
        (typer.BadParameter("one is wrong"), 2),
    ],
)
def test_a_traceback_on_request_changes_neither_the_message_nor_the_exit_code(smalltext, monkeypatch, error, code):
    def fail(**_):
        raise error

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.delenv("SMALLTEXT_TRACEBACK", raising=False)
    ended = smalltext("list")
    monkeypatch.setenv("SMALLTEXT_TRACEBACK", "1")
    traced = smalltext("list")
    assert (ended.code, traced.code) == (code, code)
    assert ended.err.startswith("Error: " if code != 130 else "Error: Interrupted")
    assert traced.err.startswith("Traceback (most recent call last)")
    assert traced.err.endswith(ended.err)


def test_a_closed_terminal_ends_the_command_unless_nohup_started_it(monkeypatch):
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert ending_signals() == [signal.SIGTERM, signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert ending_signals() == [signal.SIGTERM]
        monkeypatch.delattr(signal, "SIGHUP")  # as on Windows
        assert ending_signals() == [signal.SIGTERM]
    finally:
        monkeypatch.undo()
        signal.signal(signal.SIGHUP, former)


CLOSED_STREAMS = [
    ("<&-", "predict {model} - --format csv -o {folder}/out.csv", 2),
    (">&-", "predict {model} {mails} --output-format jsonl", 0),
    (">&-", "info {model} --json", 0),
    ("2>&-", "predict {model} {folder}/nowhere.csv -o {folder}/out.csv", 2),
    ("<&- >&- 2>&-", "evaluate {model} {mails} --json", 0),
]


@pytest.mark.nightly
@pytest.mark.parametrize(("closed", "arguments", "code"), CLOSED_STREAMS)
def test_streams_that_a_shell_closed_are_like_the_null_device(model, mails, tmp_path, closed, arguments, code):
    words = arguments.format(model=model, mails=mails, folder=tmp_path).split()
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "smalltext_cli", *words]
    ended = subprocess.run(command, capture_output=True)
    assert ended.returncode == code
    assert b"AttributeError" not in ended.stderr


@pytest.mark.parametrize(("closed", "arguments", "code"), CLOSED_STREAMS)
def test_closed_standard_streams_are_like_the_null_device(model, mails, tmp_path, closed, arguments, code):
    """In a forked process, with what the interpreter sets where it finds the streams closed as it starts."""
    words = arguments.format(model=model, mails=mails, folder=tmp_path).split()
    numbers = [2 if "2" in one else int(one[0] == ">") for one in closed.split()]
    program = (
        "import os, sys\n"
        "for number in map(int, sys.argv.pop(1).split()):\n"
        "    os.close(number)\n"
        "    name = ('stdin', 'stdout', 'stderr')[number]\n"
        "    setattr(sys, name, None)\n"
        "    setattr(sys, f'__{name}__', None)\n"
        "from smalltext_cli import app\n"
        "try: app.main()\n"
        "except SystemExit as end: os._exit(end.code or 0)"
    )
    ended = fork_server.run(["-c", program, " ".join(map(str, numbers)), *words])
    assert ended.returncode == code, ended.stderr.decode()
    assert b"AttributeError" not in ended.stderr


def test_version_and_help(smalltext):
    for option in ("--version", "-V"):
        first, *others = smalltext(option).out.splitlines()
        assert first == f"smalltext-cli {__version__}"
        assert {f"smalltext-core {st.__version__}", f"smalltext-sklearn {version('smalltext-sklearn')}"} <= set(
            others
        )
    ended = smalltext()
    assert ended.code == 0
    assert all(command in ended.out for command in ("list", "info", "train", "evaluate", "predict", "demo"))
    for command in ("train", "predict", "evaluate"):
        assert f"smalltext {command} " in smalltext(command, "--help").out


def test_a_type_that_nobody_vouches_for_is_loaded_only_by_its_name(smalltext, mails, tmp_path, monkeypatch):
    (tmp_path / "own_estimator.py").write_text(
        "from sklearn.naive_bayes import MultinomialNB\nclass OwnEstimator(MultinomialNB): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = ("--set", "estimator=own_estimator.OwnEstimator")
    trained = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", *settings)
    assert trained.code == 0, trained.err
    arguments = ("predict", tmp_path / "m", mails, "-o", tmp_path / "o.csv")
    refused = smalltext(*arguments)
    assert (refused.code, refused.out) == (2, "")
    (line,) = refused.err.splitlines()
    assert "own_estimator.OwnEstimator" in line
    assert "--trust TYPE" in line
    assert smalltext(*arguments, "--trust", "own_estimator.OwnEstimator").code == 0


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "check", "info", "list"])
def test_flags_look_like_flags(smalltext, command):
    """Those that typer adds, such as --help, aside."""
    lines = [line for line in smalltext(command, "--help").out.splitlines() if "<bool>" in line]
    assert all("--help" in line for line in lines), lines


def help_of(smalltext, command):
    """Return the help of a command without frames and line breaks."""
    return " ".join(smalltext(command, "--help").out.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split())


@pytest.mark.parametrize("command", ["train", "evaluate", "compare", "simulate"])
def test_help_offers_plain_text_only_to_commands_that_need_no_labels(smalltext, command):
    assert "plain text with one text per line" not in help_of(smalltext, command)
    assert "plain text with one text per line" in help_of(smalltext, "audit")


def test_help_of_shared_options_fits_the_command(smalltext):
    assert "training sets of each size" not in help_of(smalltext, "simulate")
    assert "log of the classifier" not in help_of(smalltext, "serve")
    assert "{NAME}" in help_of(smalltext, "new-plugin")
