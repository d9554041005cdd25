"""Kill processes that train, predict and save, and print as JSON the files that each left behind.

Every process is forked from this one, which has imported all modules. The time of a kill is counted in calls
after events of writing: a temporary folder is created, the first file is opened, all is written, the old result is
removed. So it depends neither on the speed of the machine nor on its load. Two thirds of the processes kill
themselves at a call; the others stop at a call, are resumed, and are killed from outside a random time later, in
a call or in another thread. More processes are killed until enough were killed while writing. The signal is
always SIGKILL, so that nothing can clean up. At the end of each task, one process is not killed.

Calls are counted only after the first event of writing, because counting makes training ten times slower, unless
a process is to be killed before that event.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl

from robustness import backends
from smalltext_cli import app, console, evaluation, readers, training_run, writers
from smalltext_core import Classifier
from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import read_manifest

Content = dict[str, bytes]

WARM = (console, evaluation, pl, readers, training_run, writers)
MOMENTS = {"_flush": "written", "fsync": "written"}
"""Functions that indicate the progress of writing a result; an audit hook observes created and removed files."""

SPANS = (
    ("begun", "written"),
    ("written", "cleared"),
    None,
    ("cleared", "end"),
    ("filled", "written"),
    None,
    ("written", "cleared"),
    ("start", "end"),
    None,
)
"""The events between which processes are killed, in turn; None for kills from outside."""

ATTEMPTS = 25
"""The maximum number of further processes to kill, for each kill while writing that is required."""

DELAY = 0.004
"""The maximum number of seconds between resuming a process and killing it from outside."""


@dataclass(frozen=True)
class Task:
    """A task that replaces an older result of the same name.

    Parameters
    ----------
    name : str
    kills : int
        The minimum number of processes to kill.
    hits : int
        The number of kills while writing, each for processes that kill themselves and those killed from outside.
    place : Path
        The path of the result; there is nothing else in its folder.
    work : callable
        Writes the new result.
    """

    name: str
    kills: int
    hits: int
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
    """Counts the calls of a process after an event, and sends it a signal at one of them.

    Attributes
    ----------
    moments : dict of str to int
        The number of calls before the first occurrence of each event.
    """

    def __init__(self, place: Path, since: str, last: int = -1, number: int = signal.SIGKILL) -> None:
        self.place = place
        self.since = since
        self.last = last
        self.number = number
        self.calls = 0
        self.moments = {"start": 0}

    def start(self) -> None:
        """Count calls from now on, or from the start of writing if the kill is to happen after it."""
        sys.addaudithook(self.audit)
        if self.since == "start":
            sys.setprofile(self.watch)

    def watch(self, frame: FrameType, event: str, argument: Any) -> None:
        self.calls += 1
        if event in ("call", "c_call"):
            name = frame.f_code.co_name if event == "call" else argument.__name__
            if name in MOMENTS and "begun" in self.moments:
                self.moments.setdefault(MOMENTS[name], self.calls)
        if self.since in self.moments and self.calls == self.moments[self.since] + self.last:
            os.kill(os.getpid(), self.number)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0] if event in ("os.mkdir", "open", "shutil.rmtree") else None
        if not isinstance(path, (str, Path)):
            return
        parent = Path(path).parent
        if event == "os.mkdir" and parent == self.place.parent and "begun" not in self.moments:
            self.moments["begun"] = self.calls
            if self.since != "start":
                sys.setprofile(self.watch)
        elif "begun" not in self.moments:
            return
        elif event == "open" and arguments[2] & os.O_CREAT and self.place.parent in Path(path).parents:
            self.moments.setdefault("filled", self.calls)
        elif event == "shutil.rmtree" and parent == self.place.parent:
            self.moments.setdefault("cleared", self.calls)


def forked(work: Callable[[], None], counter: Counter | None = None) -> int:
    child = os.fork()
    if child:
        return child
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    try:
        if counter is not None:
            counter.start()
        work()
    finally:
        sys.setprofile(None)
        os._exit(0)


def measured(task: Task, since: str) -> dict[str, int]:
    """Complete a task, and return its events in numbers of calls, counted from the start or from "begun" on."""
    counter = Counter(task.place, since)
    read_end, write_end = os.pipe()

    def work() -> None:
        try:
            task.work()
        finally:
            sys.setprofile(None)
            os.write(write_end, json.dumps({**counter.moments, "end": counter.calls}).encode())

    os.waitpid(forked(work, counter), 0)
    moments: dict[str, int] = json.loads(os.read(read_end, 1000))
    return moments


def temporary(task: Task) -> list[Path]:
    return [path for path in task.place.parent.iterdir() if path != task.place]


def killed_at_a_call(task: Task, since: str, last: int) -> bool:
    """Let a process kill itself; return False if it ended before that call."""
    return os.WIFSIGNALED(os.waitpid(forked(task.work, Counter(task.place, since, last)), 0)[1])


def killed_from_outside(task: Task, since: str, last: int, delay: float) -> bool:
    """Kill a process some seconds after a call; return False if it ended before."""
    child = forked(task.work, Counter(task.place, since, last, signal.SIGSTOP))
    if not os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1]):
        return False
    end = time.perf_counter() + delay
    os.kill(child, signal.SIGCONT)
    while time.perf_counter() < end:
        pass
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def state(task: Task, old: Content, new: Content) -> str:
    """Return the state of the result: "old", a complete "new" one, or neither."""
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


def kills(task: Task, spans: list[tuple[str, str] | None], draw: random.Random) -> Iterator[dict[str, str]]:
    """Kill processes of a task, and describe what each left behind; finally, let one complete."""
    old = content(task.place)
    moments = measured(task, "begun")
    new = content(task.place)

    def cleared() -> None:
        for path in temporary(task):
            shutil.rmtree(path)
        restore(task.place, old)

    def described(how: str) -> dict[str, str]:
        return {"task": task.name, "how": how, "state": state(task, old, new), "left": left_of(task)}

    def span(since: str, until: str) -> int:
        found = measured(task, "start") if since == "start" else moments
        calls = found[until] - found[since]
        return min(calls, 40) if since == "cleared" else calls  # the old result is removed within some ten calls

    bound = ATTEMPTS * task.hits
    hits, at_calls = 0, [found for found in spans if found is not None]
    for number in range(len(at_calls) + bound):
        if number >= len(at_calls) and hits >= task.hits:
            break
        since, until = at_calls[number] if number < len(at_calls) else ("filled", "written")
        calls = span(since, until)
        cleared()
        while not killed_at_a_call(task, since, draw.randint(0, calls)):
            cleared()
        found = described("at a call")
        hits += found["left"] == "half"
        yield found

    hits, outside = 0, spans.count(None)
    for number in range(outside + bound):
        if number >= outside and hits >= task.hits:
            break
        cleared()
        delay = draw.uniform(0, DELAY) * (1 - number / (outside + bound))
        if killed_from_outside(task, "filled", draw.randint(0, span("filled", "cleared")), delay):
            found = described("from outside")
            hits += found["left"] == "half"
            yield found

    os.waitpid(forked(task.work), 0)
    yield described("not")


def left_of(task: Task) -> str:
    """Return what else exists: "nothing", a hidden folder ("room"), "half" a result, or unexpected files."""
    left = temporary(task)
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


def tasks(folder: Path, kills: int) -> list[Task]:
    """Return the tasks, with older results in place; the number of kills is divided between them."""
    each = kills // 9
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
        found.append(Task(f"save {name}", each, 1, place, lambda one=classifier, place=place: one.save(place)))
    for ending in ("csv", "jsonl", "parquet"):
        place = folder / f"predict {ending}" / f"labelled.{ending}"
        place.parent.mkdir()
        place.write_bytes(b"an older result")
        found.append(
            Task(f"predict {ending}", each, 1, place, command("predict", model, mails, "-o", place, "--proba"))
        )
    place = folder / "train" / "model"
    shutil.copytree(model, place)
    found.append(
        Task(
            "train",
            kills - each * len(found),
            3,
            place,
            command("train", mails, "-c", "sklearn", "-o", place, "--seed", 2, "--set", "calibration=none"),
        )
    )
    return found


def main() -> None:
    draw = random.Random(0)
    turns = cycle(SPANS)
    for task in tasks(Path(sys.argv[1]), int(sys.argv[2])):
        for one in kills(task, list(islice(turns, task.kills)), draw):
            sys.stdout.write(json.dumps(one) + "\n")


if __name__ == "__main__":
    main()
