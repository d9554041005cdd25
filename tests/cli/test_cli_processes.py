"""`smalltext train` in several processes: the main one reports and writes, and one that fails stops the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

import smalltext_core as st

pytest.importorskip("smalltext_kimcnn")

SETTINGS = ("num_epochs=2", "embedding_dim=8", "out_channels=4", "min_steps=0")
KIMCNN = ("-c", "kimcnn", "--seed", "1", "--device", "cpu", *(part for one in SETTINGS for part in ("--set", one)))

TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ACCELERATE = (
    "accelerate.commands.launch",
    *(
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    ),
)


@pytest.fixture(params=[0, 1])
def number(request, monkeypatch):
    """The number of this one of two processes, which the environment holds as a launcher sets it."""
    for name, value in {"WORLD_SIZE": 2, "RANK": request.param, "LOCAL_RANK": request.param}.items():
        monkeypatch.setenv(name, str(value))
    return request.param


def test_a_classifier_that_trains_in_one_process_is_refused(smalltext, mails, tmp_path, number):
    result = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "model")
    prefix = "Error: " if number == 0 else "Error in process 1 of 2: "
    assert result.code == 2
    assert result.err.startswith(f"{prefix}`smalltext train -c sklearn` runs in one process, and 2 were started")
    assert not (tmp_path / "model").exists()


@pytest.mark.usefixtures("number")
@pytest.mark.parametrize("command", ["audit", "check", "compare", "demo", "simulate", "suggest"])
def test_other_commands_that_train_are_refused(smalltext, command, mails):
    result = smalltext(command, *([] if command == "demo" else [mails]))
    assert result.code == 2
    assert f"`smalltext {command}` runs in one process, and 2 were started (WORLD_SIZE)" in result.err


@pytest.mark.usefixtures("number")
def test_predict_is_not_refused(smalltext, model, mails):
    assert len(smalltext("predict", model, mails).out.splitlines()) == 121


def launched(launcher, *arguments, **options):
    """Run the command in two processes."""
    command = [sys.executable, "-m", *launcher, "-m", "smalltext_cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.nightly
@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_the_main_process_alone_prints_and_writes(launcher, smalltext, mails, tmp_path):
    options = (*KIMCNN, "--set", "dropout=0", "--json")
    two = launched(launcher, "train", mails, "-o", tmp_path / "two", *options, "--set", "mini_batch_size=8")
    assert two.returncode == 0, two.stderr
    assert two.stderr.count("Training kimcnn on 120 texts ...") == 1
    together = json.loads(two.stdout)
    alone = json.loads(
        smalltext("train", mails, "-o", tmp_path / "one", *options, "--set", "mini_batch_size=16").out
    )
    assert together["scores"]["log_loss"] == pytest.approx(alone["scores"]["log_loss"], rel=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    texts = st.TextDataset(["buy cheap pills", "project report tomorrow"])
    one, other = (st.load(tmp_path / name).predict_proba(texts) for name in ("one", "two"))
    assert other == pytest.approx(one, abs=1e-3)


@pytest.mark.nightly
def test_cross_validation_and_reports_in_two_processes(mails, tmp_path):
    options = (*KIMCNN, "--cv", "2", "--report", tmp_path / "report.html")
    result = launched(TORCHRUN, "train", mails, "-o", tmp_path / "model", *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("in 2 folds") == 1
    assert (tmp_path / "report.html").exists()


FAILING = """
import os
import signal

from smalltext_cli import app
from smalltext_torch.training import Trainer

update = Trainer.update


def fails(self):
    if os.environ["RANK"] == "{number}" and self.step == 3:
        {failure}
    return update(self)


Trainer.update = fails
app.main()
"""


@pytest.mark.nightly
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("failure", ["raise KeyError('gone')", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_process_that_fails_ends_the_others_and_leaves_nothing(mails, tmp_path, number, failure):
    script = tmp_path / "script.py"
    script.write_text(FAILING.format(number=number, failure=failure))
    command = [sys.executable, "-m", *TORCHRUN, script, "train", mails, "-o", tmp_path / "model", *KIMCNN]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert result.returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]
    if "KeyError" in failure:
        assert "KeyError: 'gone'" in result.stderr


@pytest.mark.nightly
def test_an_interrupted_training_leaves_the_model_unchanged(mails, tmp_path):
    folder = tmp_path / "model"
    assert launched(TORCHRUN, "train", mails, "-o", folder, *KIMCNN).returncode == 0
    before = (folder / "smalltext.json").read_bytes()
    options = (*KIMCNN, "--set", "num_epochs=100000")
    command = [sys.executable, "-m", *TORCHRUN, "-m", "smalltext_cli", "train", mails, "-o", folder, *options]
    pipe = subprocess.PIPE
    with subprocess.Popen([*map(str, command)], stderr=pipe, text=True, start_new_session=True) as process:
        for line in process.stderr:
            if line.startswith("Training kimcnn"):
                break
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait() != 0
    assert (folder / "smalltext.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
