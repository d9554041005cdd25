"""On a full or read-only disk, existing files are kept, and the error gives the reason."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import fork_server
from robustness import backends, children
from smalltext_cli import app
from smalltext_cli.compare.runner import run_in_process
from smalltext_cli.console import OutputError
from smalltext_core.errors import ModelFolderError, ModelNotSavedError
from smalltext_core.saving import MANIFEST, check_destination, load, read_manifest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits files, and mounts disks, as Linux does"),
]


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size", [0, 400, 3_000])
@pytest.mark.parametrize("name", backends.NAMES)
def test_saving_to_a_full_disk_keeps_the_previous_model(fitted, tmp_path, name, size):
    classifier = fitted(name)
    classifier.save(tmp_path / "model")
    before = tree(tmp_path)

    def save():
        children.limit_files(size)
        classifier.save(tmp_path / "model")

    error = children.in_a_child(save)
    assert isinstance(error, ModelNotSavedError)
    assert str(error) == (
        f"{tmp_path / 'model'}: the model could not be written (File too large); the folder is unchanged. "
        "Free some space, or choose another folder."
    )
    assert tree(tmp_path) == before


def refusal(call, folder):
    with pytest.raises(ModelFolderError) as refused:
        call(folder)
    return str(refused.value)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if not children.disks_can_be_mounted(folder):
        pytest.skip("this user may not mount disks, not even for a process of its own")
    return folder


@pytest.fixture(scope="module")
def mails(tmp_path_factory):
    data = tmp_path_factory.mktemp("data") / "mails.csv"
    texts = [f"{text} {turn}" for turn in range(40) for text in backends.TRAIN_SET.x]
    labels = [str(label) for label in backends.TRAIN_SET.y] * 40
    data.write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in zip(texts, labels, strict=True)))
    return data


@pytest.fixture(scope="module")
def model(mails, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    training = ("train", mails, "-c", "sklearn", "-o", folder, "--held-out", 0, "--set", "calibration=none")
    assert children.in_a_child(lambda: command(*training))[0] == 0
    return folder


def command(*arguments):
    """Run the command in this process; return its exit code and its last message."""
    said = []
    sys.argv = ["smalltext", *map(str, arguments)]
    app._say = said.append
    try:
        app.main()
    except SystemExit as end:
        return end.code or 0, said
    raise AssertionError("the command did not exit")


ON_A_FULL_DISK = """
import json, sys
from pathlib import Path
from robustness import children
from smalltext_cli import app
from smalltext_cli.compare.runner import run_in_process
from smalltext_cli.console import OutputError
disk = Path(sys.argv.pop(1))
children.mount(disk, "40k")
(disk / "notes").write_bytes(b"x" * 36_000)
try:
    app.main()
finally:
    print(json.dumps([path.name for path in disk.iterdir()]))
"""


def on_a_full_disk(disk, arguments):
    """Run the command with a full disk: return the exit code, standard error, and the files on the disk.

    It is not a fork of this process, since polars, after use in a process, hangs in its forks.
    """
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ended = fork_server.run(
        ["-c", ON_A_FULL_DISK, disk, *arguments], stdin=b"", env={**os.environ, "PYTHONPATH": path}
    )
    return ended.returncode, ended.stderr.decode().splitlines(), json.loads(ended.stdout.splitlines()[-1])


ARGUMENTS = {
    "train": ["train", "{mails}", "-c", "sklearn", "-o", "{disk}/result", "--set", "calibration=none"],
    "predict": ["predict", "{model}", "{mails}", "-o", "{disk}/result", "--output-format", "csv"],
    "predict parquet": ["predict", "{model}", "{mails}", "-o", "{disk}/result", "--output-format", "parquet"],
    "evaluate": ["evaluate", "{model}", "{mails}", "--report", "{disk}/result"],
}


def arguments(task, **places):
    return [part.format(**places) for part in ARGUMENTS[task]]


@pytest.mark.parametrize("task", ARGUMENTS)
def test_a_full_disk_is_reported_in_one_line_and_files_are_kept(disk, mails, model, task):
    code, said, left = on_a_full_disk(disk, arguments(task, mails=mails, model=model, disk=disk))
    assert code == 2
    assert said[-1].startswith(f"Error: {disk / 'result'}: ")
    assert "No space left on device" in said[-1]
    assert "Traceback (most recent call last):" not in said
    assert left == ["notes"]


@pytest.mark.parametrize("task", ARGUMENTS)
def test_a_read_only_disk_is_refused_before_any_work(disk, mails, model, task, monkeypatch):
    monkeypatch.setattr("smalltext_cli.readers.Reader.rows", None)  # nothing is read

    def work():
        children.mount(disk, "40k")
        children.protect(disk)
        return command(*arguments(task, mails=mails, model=model, disk=disk))

    code, said = children.in_a_child(work)
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith(f"Error: {disk / 'result'}: ")
    assert "written" in said[0]


def test_a_model_on_a_read_only_disk_remains_usable(disk, fitted):
    def work():
        children.mount(disk, "4m")
        fitted("sklearn").save(disk / "model")
        children.protect(disk)
        try:
            fitted("sklearn").save(disk / "model")
        except ModelFolderError as error:
            return str(error), read_manifest(disk / "model").classifier
        return None

    said, classifier = children.in_a_child(work)
    reason = f"the model cannot be written, there is no permission to write to {disk}"
    assert said.startswith(f"{disk / 'model'}: {reason}")
    assert classifier == "sklearn"


def test_the_root_of_a_disk_is_refused_before_training(disk):
    (disk.parent / "link").symlink_to(disk)

    def work():
        children.mount(disk, "4m")
        said = [refusal(check_destination, place) for place in (disk, disk.parent / "link")]
        return said, check_destination(disk / "model"), list(disk.iterdir())

    said, kept, files = children.in_a_child(work)
    assert all("the root of a disk, and cannot be replaced" in one for one in said)
    assert kept == files == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write wherever the permissions forbid it")
def test_a_folder_without_write_permission_is_refused(fitted, tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(ModelFolderError, match="there is no permission to write to"):
            fitted("sklearn").save(tmp_path / "model")
    finally:
        tmp_path.chmod(0o755)


def test_folders_that_may_not_be_entered_are_refused(fitted, tmp_path):
    classifier = fitted("sklearn")
    (tmp_path / "locked").mkdir()
    for model in (tmp_path / "locked" / "model", tmp_path / "model"):
        classifier.save(model)

    def work():
        os.chdir(tmp_path)
        children.give_up_root()
        calls = [(classifier.save, "locked/model"), (check_destination, "locked/model"), (load, "locked/model")]
        return [refusal(call, folder) for call, folder in [*calls, (load, "model")]]

    for place in (tmp_path / "locked", tmp_path / "model"):
        place.chmod(0)
    tmp_path.chmod(0o755)
    try:
        saved, checked, inside, itself = children.in_a_child(work)
    finally:
        for place in (tmp_path / "locked", tmp_path / "model"):
            place.chmod(0o755)
    assert "there is no permission to write to" in saved
    assert checked == saved
    assert inside == f"locked/model/{MANIFEST} cannot be read: Permission denied."
    assert itself == f"model/{MANIFEST} cannot be read: Permission denied."


@pytest.mark.parametrize("name", backends.NAMES)
def test_files_of_a_model_have_the_permissions_of_any_new_file(fitted, tmp_path, name):
    fitted(name).save(tmp_path / "model")
    (tmp_path / "new").write_text("mine")
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {(tmp_path / "new").stat().st_mode}


def test_write_access_is_checked_before_training(tmp_path, fitted):
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "model"):
        with pytest.raises(ModelFolderError, match=f"{tmp_path / 'file'} is a file"):
            check_destination(place)
    with pytest.raises(ModelFolderError, match="is not a saved model"):
        check_destination(tmp_path)
    fitted("sklearn").save(tmp_path / "model")
    (tmp_path / "model" / "notes").write_text("mine")
    assert check_destination(tmp_path / "model") == [tmp_path / "model" / "notes"]
    assert check_destination(tmp_path / "new" / "models" / "model") == []
    assert not (tmp_path / "new").exists()


def test_the_file_is_named_if_the_texts_of_a_cell_do_not_fit_into_the_temporary_folder(tmp_path):
    def run():
        children.limit_files(1_000)
        run_in_process("key", {"train": "text " * 1_000}, str(tmp_path / "rounds.jsonl"))

    error = children.in_a_child(run)
    assert isinstance(error, OutputError)
    assert str(error).endswith("request.json: this could not be written (File too large), and is unchanged.")
