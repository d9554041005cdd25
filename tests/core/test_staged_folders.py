"""Folders are written atomically, also if the block raises, the process dies, or other processes read them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smalltext_core import atomic
from smalltext_core.atomic import staged_folder, utf8_path


def write(target: Path, content: str) -> None:
    with staged_folder(target) as staging:
        (staging / "part").mkdir()
        (staging / "part" / "weights").write_text(content)
        (staging / "vocabulary").write_text(content)


def write_half(target: Path, interruption: type[BaseException]) -> None:
    with staged_folder(target) as staging:
        (staging / "weights").write_text("half")
        raise interruption


def read(target: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in target.rglob("*") if path.is_file()}


@pytest.fixture(params=["exchange", "two renames"])
def either_way(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)


@pytest.mark.usefixtures("either_way")
def test_a_folder_is_created_with_its_parents_and_nothing_else(tmp_path):
    write(tmp_path / "models" / "mine", "new")
    assert read(tmp_path / "models" / "mine") == {"weights": "new", "vocabulary": "new"}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["mine"]


@pytest.mark.usefixtures("either_way")
def test_a_folder_that_exists_is_replaced_and_nothing_is_left_behind(tmp_path):
    write(tmp_path / "mine", "old")
    (tmp_path / "mine" / "more").write_text("old")
    write(tmp_path / "mine", "new")
    assert read(tmp_path / "mine") == {"weights": "new", "vocabulary": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("interruption", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("existed", [True, False])
def test_a_block_that_raises_changes_nothing(tmp_path, interruption, existed):
    if existed:
        write(tmp_path / "mine", "old")
    with pytest.raises(interruption):
        write_half(tmp_path / "mine", interruption)
    assert [path.name for path in tmp_path.iterdir()] == (["mine"] if existed else [])
    assert read(tmp_path / "mine") == ({"weights": "old", "vocabulary": "old"} if existed else {})


def test_without_exchange_a_second_rename_that_fails_is_undone(tmp_path, monkeypatch):
    write(tmp_path / "mine", "old")
    rename = Path.rename

    def failing(self, other):
        if self.name == "mine" and Path(other) == tmp_path / "mine":
            raise OSError("the disk is gone")
        return rename(self, other)

    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        write(tmp_path / "mine", "new")
    assert read(tmp_path / "mine") == {"weights": "old", "vocabulary": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.usefixtures("either_way")
def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(NotADirectoryError):
        write(tmp_path / "mine", "new")
    assert (tmp_path / "mine").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.usefixtures("either_way")
def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write(tmp_path / "v1", "old")
    (tmp_path / "current").symlink_to("v1", target_is_directory=True)
    write(tmp_path / "current", "new")
    assert (tmp_path / "current").is_symlink()
    assert read(tmp_path / "v1") == {"weights": "new", "vocabulary": "new"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "v1"]


def test_a_relative_path_refers_to_the_folder_at_the_start_of_the_block(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with staged_folder("mine") as staging:
        (staging / "weights").write_text("new")
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert read(tmp_path / "mine") == {"weights": "new"}


LEAVES_A_ROOM = """
import os, sys
from smalltext_core.atomic import staged_folder
with staged_folder(sys.argv[1]) as staging:
    (staging / "weights").write_text("half")
    print(staging.parent.name, flush=True)
    if sys.argv[2] == "dies":
        os.kill(os.getpid(), 9)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs locks of folders")
def test_files_of_a_killed_process_are_removed_by_the_next_one(tmp_path):
    others = tmp_path / ".mine.notes.tmp"
    others.mkdir()
    subprocess.run([sys.executable, "-c", LEAVES_A_ROOM, tmp_path / "mine", "dies"], stdout=subprocess.PIPE)
    assert len(list(tmp_path.iterdir())) == 2
    write(tmp_path / "another", "new")
    assert len(list(tmp_path.iterdir())) == 3
    write(tmp_path / "mine", "new")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "another", others.name}


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs locks of folders")
@pytest.mark.parametrize("times", [1, 2])
def test_what_ctrl_c_keeps_from_being_removed_is_removed_by_the_next_one(tmp_path, monkeypatch, times):
    """Once while the old folder is removed, and again while the next one removes what was left behind."""
    rmtree = shutil.rmtree

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    write(tmp_path / "model", "old")
    monkeypatch.setattr(shutil, "rmtree", interrupted)
    for number in range(times):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path / "model", f"interrupted {number}")
    assert len(list(tmp_path.iterdir())) > 1
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    write(tmp_path / "model", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert read(tmp_path / "model") == {"weights": "new", "vocabulary": "new"}


def test_files_of_a_running_process_are_not_removed(tmp_path):
    command = [sys.executable, "-c", LEAVES_A_ROOM, tmp_path / "mine", "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        room = tmp_path / other.stdout.readline().strip()
        write(tmp_path / "mine", "new")
        assert read(room) == {"weights": "half"}
    assert other.returncode == 0
    assert read(tmp_path / "mine") == {"weights": "half"}


@pytest.mark.parametrize("name", ["m" * 255, "\N{BLACK STAR}" * 85], ids=["ascii", "three bytes a letter"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    write(tmp_path / name, "new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_new_folder_has_the_permissions_of_the_umask(tmp_path):
    write(tmp_path / "mine", "new")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "mine").stat().st_mode == (tmp_path / "plain").stat().st_mode


WRITER = """
import sys
from itertools import count
from pathlib import Path
from smalltext_core.saving import model_folder
for number in count():
    said = {"classifier": "c", "distribution": "d", "version": "1", "parameters": {"n": number}}
    with model_folder(sys.argv[1], **said) as folder:
        for part in range(5):
            (folder / f"part {part}").write_text(f"{number} " * 1000)
    print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs the exchange of two folders")
def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_folder(tmp_path):
    from smalltext_core.saving import read_manifest

    moment = random.Random(0)
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "mine"], stdout=subprocess.PIPE, text=True
        )
        writer.stdout.readline()  # the first folder has been written
        time.sleep(moment.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        number = read_manifest(tmp_path / "mine").parameters["n"]
        for part in range(5):
            assert (tmp_path / "mine" / f"part {part}").read_text() == f"{number} " * 1000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs the exchange of two folders")
def test_readers_see_a_whole_folder_at_every_moment_while_a_writer_replaces_it(tmp_path):
    from smalltext_core.saving import read_manifest

    writer = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "mine"], stdout=subprocess.PIPE, text=True)
    try:
        writer.stdout.readline()
        seen = set()
        while len(seen) < 30:
            assert (tmp_path / "mine").is_dir()
            seen.add(read_manifest(tmp_path / "mine").parameters["n"])  # verifies all hashes
            assert writer.poll() is None
    finally:
        writer.kill()
        writer.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_path_that_is_not_utf8_is_reached_through_a_link(tmp_path, is_folder):
    path = tmp_path / os.fsdecode(b"mod\xe8le")
    path.mkdir() if is_folder else path.write_text("content")
    with utf8_path(path) as readable:
        assert str(readable).encode()
        assert readable.samefile(path)
    assert not os.path.lexists(readable)
    assert path.exists()


def test_any_other_path_is_used_unchanged(tmp_path):
    with utf8_path(tmp_path / "modèle") as readable:
        assert readable == tmp_path / "modèle"
