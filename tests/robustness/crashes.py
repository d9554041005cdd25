"""Kills processes that train, predict and save, one hundred times, and prints as JSON what each left behind.

Every process is forked off this one, which has imported all that they need. Two thirds of them are killed at a
call that was drawn beforehand, most of these between the moment in which the result is begun and the one in which
it is whole; the others from outside, at some time after something appeared on the disk. The signal is SIGKILL each
time, so that nobody can clear anything away. At the end each is let be once.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl

from robustness import backends
from smalltext_cli import app, console, loading, parquet, prediction, reading, settings, survey, training, writing
from smalltext_core import Classifier
from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import read_manifest

Content = dict[str, bytes]

WARM = (console, loading, parquet, pl, prediction, reading, settings, survey, training, writing)
MOMENTS = {"room_beside": "begun", "_flush": "written", "fsync": "written", "rmtree": "over"}
"""The functions that tell how far the writing of a result is."""


@dataclass(frozen=True)
class Task:
    """Something that puts a result under a name under which there is an older one.

    Parameters
    ----------
    name : str
    kills : int
    place : Path
        The result; there is nothing else in its folder.
    work : callable
        Makes the new result.
    """

    name: str
    kills: int
    place: Path
    work: Callable[[], None]


def content(place: Path) -> Content:
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place.parent).as_posix(): path.read_bytes() for path in files}


def restore(place: Path, old: Content) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    for name, found in old.items():
        path = place.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found)


class Counter:
    """Counts the calls of a process, and kills it at one of them.

    Attributes
    ----------
    moments : dict of str to int
        At which call the result is begun, all of it is written, the whole is over, and the process ends.
    """

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self.calls = 0
        self.moments: dict[str, int] = {}

    def kill(self, frame: FrameType, event: str, argument: Any) -> None:
        self.calls += 1
        if self.calls == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def measure(self, frame: FrameType, event: str, argument: Any) -> None:
        self.calls += 1
        name = frame.f_code.co_name if event == "call" else getattr(argument, "__name__", "")
        if event in ("call", "c_call") and name in MOMENTS:
            moment = MOMENTS[name]
            if moment == "over" or moment not in self.moments:
                self.moments[moment] = self.calls


def forked(work: Callable[[], None], watch: Callable[..., None] | None = None) -> int:
    child = os.fork()
    if child:
        return child
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        sys.setprofile(watch)
        work()
    finally:
        sys.setprofile(None)
        os._exit(0)


def measured(task: Task) -> tuple[dict[str, int], float]:
    """Let a task come to its end, twice, and return its moments and how many seconds the writing takes."""
    counter = Counter()
    read_end, write_end = os.pipe()

    def work() -> None:
        try:
            task.work()
        finally:
            sys.setprofile(None)
            os.write(write_end, json.dumps({**counter.moments, "end": counter.calls}).encode())

    os.waitpid(forked(work, counter.measure), 0)
    moments = json.loads(os.read(read_end, 1000))
    child = forked(task.work)
    wait_for_a_room(task, child)
    begin = time.perf_counter()
    os.waitpid(child, 0)
    return moments, time.perf_counter() - begin


def rooms(task: Task) -> list[Path]:
    return [path for path in task.place.parent.iterdir() if path != task.place]


def wait_for_a_room(task: Task, child: int) -> None:
    while not rooms(task) and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.0002)


def killed_at_a_call(task: Task, last: int) -> bool:
    return os.WIFSIGNALED(os.waitpid(forked(task.work, Counter(last).kill), 0)[1])


def killed_from_outside(task: Task, delay: float) -> bool:
    child = forked(task.work)
    wait_for_a_room(task, child)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def state(task: Task, old: Content, new: Content) -> str:
    """Tell what stands under the name of the result: the "old" one, a whole "new" one, or neither."""
    found = content(task.place)
    if found == old:
        return "old"
    if task.place.is_file():
        return "new" if found == new else "broken"
    try:
        manifest = read_manifest(task.place)
    except ModelFolderError as error:
        return f"broken: {error}"
    files = {f"{task.place.name}/{name}" for name in (*manifest.files, "smalltext.json")}
    return "new" if found.keys() == new.keys() == files else "broken"


def kills(task: Task, draw: random.Random) -> list[dict[str, str]]:
    old = content(task.place)
    moments, seconds = measured(task)
    new = content(task.place)
    found: list[dict[str, str]] = []
    while len(found) < task.kills:
        for room in rooms(task):
            shutil.rmtree(room)
        restore(task.place, old)
        number = len(found)
        if number % 3 == 2:
            how, landed = "from outside", killed_from_outside(task, draw.uniform(0, seconds / 2))
        else:
            spans = ("begun", "over"), ("written", "over"), ("written", "over"), (None, "end")
            first, last = spans[number % 4]
            at = draw.randint(moments[first] if first else 1, moments[last])
            how, landed = "at a call", killed_at_a_call(task, at)
        if landed:
            found.append({"task": task.name, "how": how, "state": state(task, old, new), "left": left_of(task)})
    os.waitpid(forked(task.work), 0)
    found.append({"task": task.name, "how": "not", "state": state(task, old, new), "left": left_of(task)})
    return found


def left_of(task: Task) -> str:
    """Tell what else is there: "nothing", a hidden "room", with "half" a result in it, or what must not be."""
    left = rooms(task)
    if any(not path.name.startswith(".") for path in left):
        return f"shown: {left}"
    if any(path.is_file() for room in left for path in room.rglob("*")):
        return "half"
    return "room" if left else "nothing"


def command(*arguments: object) -> Callable[[], None]:
    def work() -> None:
        sys.argv = ["smalltext", *map(str, arguments)]
        app.main()

    return work


def tasks(folder: Path) -> list[Task]:
    """Return what is killed, with an older result in its place."""
    mails = folder / "mails.csv"
    texts = [f"{text} {turn}" for turn in range(2) for text in backends.TRAIN_SET.x]
    labels = [str(label) for _ in range(2) for label in backends.TRAIN_SET.y]
    mails.write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in zip(texts, labels, strict=True)))
    model = folder / "model"
    finished = os.waitpid(forked(command("train", mails, "-c", "sklearn", "-o", model, "--seed", 1)), 0)
    assert finished[1] == 0
    found = []
    for name in backends.NAMES:
        classifier: Classifier = backends.fitted(name)
        place = folder / f"save {name}" / "model"
        classifier.save(place)
        classifier.fit(backends.TRAIN_SET[:15])
        found.append(
            Task(
                f"save {name}",
                36 // len(backends.NAMES),
                place,
                lambda one=classifier, place=place: one.save(place),
            )
        )
    for ending in ("csv", "jsonl", "parquet"):
        place = folder / f"predict {ending}" / f"labelled.{ending}"
        place.parent.mkdir()
        place.write_bytes(b"an older result")
        found.append(
            Task(f"predict {ending}", 11, place, command("predict", model, mails, "-o", place, "--proba"))
        )
    place = folder / "train" / "model"
    shutil.copytree(model, place)
    found.append(Task("train", 31, place, command("train", mails, "-c", "sklearn", "-o", place, "--seed", 2)))
    return found


def main() -> None:
    draw = random.Random(0)
    for task in tasks(Path(sys.argv[1])):
        begin = time.perf_counter()
        for one in kills(task, draw):
            sys.stdout.write(json.dumps(one) + "\n")
        sys.stderr.write(f"{task.name}: {time.perf_counter() - begin:.1f} s\n")


if __name__ == "__main__":
    main()
