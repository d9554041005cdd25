"""Kill jobs of `smalltext predict --shard` until all shards are complete, and print the state of the rows.

Jobs are forked from this process, which has loaded the libraries and the model, so that a kill takes milliseconds.
They end themselves at a call of a function, or at an event of writing (a file is opened, renamed, removed), or are
ended by the system after some CPU time, at any point; nothing can clean up. Sometimes
two jobs of a shard run at once. The call, event or time is drawn at random; the number of calls,
events and CPU seconds of a complete job is measured first, so that it does not depend on the speed of the machine.

After each kill, every part in the folder must equal, byte by byte, that of a job that was not killed. When all
shards are complete, they are merged, the identifiers of the rows are counted, and the next folder is started.
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import polars as pl

from smalltext_cli import app, evaluation, predictions, writers
from smalltext_cli.commands.predict import predict
from smalltext_cli.readers import inputs
from smalltext_cli.sharding import job, merging
from smalltext_core import TextDataset
from smalltext_core.errors import SmallTextError

WARM = (inputs, job, merging, pl, predictions, writers)
ROWS, SHARDS, PART_ROWS = 67, 3, 6
FORMATS = ("csv", "parquet", "jsonl", "tsv")
SEEN = ("jobs that left a hidden file", *(f"killed at a random {how}" for how in ("moment", "call", "event")))
"""The events that must have occurred before enough jobs have been killed."""

REFUSED = 2
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "fcntl.flock"}


@dataclass(frozen=True)
class Size:
    """The numbers of calls, events and CPU seconds of a complete job, from which random times are drawn."""

    calls: int
    events: int
    cpu_seconds: float


class KillAt:
    """Counts the calls and the write events of this process, and kills it at one of them."""

    def __init__(self, calls: int = -1, events: int = -1) -> None:
        self.calls = self.events = 0
        self._last_call, self._last_event = calls, events

    def watch(self, _frame: FrameType, event: str, _argument: Any) -> None:
        if event in ("call", "c_call"):
            self.calls += 1
            if self.calls == self._last_call:
                os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if event in EVENTS:
            self.events += 1
            if self.events == self._last_event:
                os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], None], before: Callable[[], None] = lambda: None) -> int:
    """Start a process that runs a function; its exit status is 0 on success."""
    child = os.fork()
    if child:
        return child
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    status = 1
    try:
        before()
        work()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.setprofile(None)
        os._exit(status)


def command(*arguments: object) -> Callable[[], None]:
    def work() -> None:
        sys.argv = ["smalltext", *map(str, arguments)]
        app.main()

    return work


def succeeded(work: Callable[[], None]) -> None:
    assert os.waitpid(forked(work), 0)[1] == 0


class Folder:
    """The jobs of one output format: their folder, and a folder that was written without kills."""

    def __init__(self, place: Path, model: Path, data: Path, file_format: Any) -> None:
        self.parts, self.whole = place / f"parts-{file_format}", place / f"whole-{file_format}"
        self._model, self._data, self._format = str(model), [str(data)], file_format
        for shard in range(1, SHARDS + 1):
            succeeded(self.job(shard, self.whole))
        self._one = place / f"one.{file_format}"
        succeeded(command("predict", model, data, "--proba", "-o", self._one))
        self.expected = {path.name: path.read_bytes() for path in self.whole.glob("shard*")}
        self._known: dict[str, tuple[int, int]] = {}

    def job(self, shard: int, folder: Path | None = None) -> Callable[[], None]:
        """Return the function of a job of a shard."""

        def work() -> None:
            try:
                predict(
                    self._model,
                    self._data,
                    output=str(folder or self.parts),
                    output_format=self._format,
                    proba=True,
                    shard=f"{shard}/{SHARDS}",
                    resume=True,
                    part_rows=PART_ROWS,
                )
            except SmallTextError:
                raise SystemExit(REFUSED) from None

        return work

    def measured(self) -> Size:
        """Complete a job, and return its numbers of calls, events and CPU seconds."""
        shutil.rmtree(self.parts, ignore_errors=True)
        kill, (read_end, write_end) = KillAt(), os.pipe()

        def work() -> None:
            try:
                self.job(1)()
            finally:
                sys.setprofile(None)
                os.write(write_end, json.dumps([kill.calls, kill.events]).encode())

        assert os.waitpid(forked(work, lambda: _instrument(kill)), 0)[1] == 0
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            calls, events = json.load(pipe)
        shutil.rmtree(self.parts)
        _, status, usage = os.wait4(forked(self.job(1)), 0)
        assert status == 0
        shutil.rmtree(self.parts)
        return Size(calls, events, usage.ru_utime + usage.ru_stime)

    def wrong_parts(self) -> int:
        """Return the number of visible files that are neither the plan nor a part as written without kills."""
        wrong = 0
        for path in self.parts.glob("[!._]*"):
            found = path.stat()
            state = (found.st_ino, found.st_mtime_ns)
            if self._known.get(path.name) != state:
                wrong += path.read_bytes() != self.expected.get(path.name)
                self._known[path.name] = state
        return wrong

    def is_complete(self, shard: int) -> bool:
        names = (name for name in self.expected if name.startswith(f"shard-{shard:05}"))
        return all((self.parts / name).exists() for name in names)

    def merged(self) -> tuple[list[str], bool, list[str]]:
        """Merge the parts; return the ids, whether the bytes equal those of one job, and hidden files."""
        target = self.parts.with_suffix(f".{self._format}")
        succeeded(command("merge", self.parts, "-o", target))
        if self._format == "jsonl":
            ids = [json.loads(line)["id"] for line in target.read_text(encoding="utf-8").splitlines()]
        else:
            ids = _in_a_child(target)
        same = target.read_bytes() == self._one.read_bytes() if self._format != "parquet" else True
        left = [path.name for path in self.parts.iterdir() if path.name[0] != "s" and path.name != "_shards.json"]
        shutil.rmtree(self.parts)
        self._known.clear()
        return ids, same, left


def _instrument(kill: KillAt) -> None:
    sys.addaudithook(kill.audit)
    sys.setprofile(kill.watch)


def _in_a_child(path: Path) -> list[str]:
    """Return the ids in a table, without polars, which after use in a process hangs in its forks."""
    read_end, write_end = os.pipe()

    def work() -> None:
        separator = "\t" if path.suffix == ".tsv" else ","
        if path.suffix == ".parquet":
            ids = pl.read_parquet(path)["id"].to_list()
        else:
            ids = pl.read_csv(path, separator=separator, infer_schema=False)["id"].to_list()
        os.write(write_end, json.dumps(ids).encode())

    succeeded(work)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        return list(json.load(pipe))


def killed_job(folder: Folder, shard: int, size: Size, how: str, draw: random.Random) -> int:
    """Start a job that is to be killed."""
    if how == "moment":
        seconds = draw.uniform(0.001, size.cpu_seconds)
        return forked(folder.job(shard), lambda: signal.setitimer(signal.ITIMER_PROF, seconds))
    kill = KillAt(draw.randint(1, size.calls)) if how == "call" else KillAt(events=draw.randint(1, size.events))
    return forked(folder.job(shard), lambda: _instrument(kill))


def kill_until_complete(folder: Folder, size: Size, draw: random.Random, found: Counter[str]) -> None:
    """Kill and restart jobs of all shards until all are complete; count the events."""
    waiting = list(range(1, SHARDS + 1))
    for turn in count():
        if not waiting:
            break
        shard = draw.choice(waiting)
        how = ("moment", "call", "event")[turn % 3]
        children = [killed_job(folder, shard, size, how, draw)]
        if turn % 10 == 9:
            found["two at once"] += 1
            children.append(killed_job(folder, shard, size, "moment", draw))
        for child in children:
            status = os.waitpid(child, 0)[1]
            if os.WIFSIGNALED(status):
                found["kills"] += 1
                found[f"killed at a random {how}"] += 1
            else:  # it ended before, or another job of this shard was running
                code = os.waitstatus_to_exitcode(status)
                found["ended"] += 1
                found["failed"] += code != 0 and (code != REFUSED or len(children) == 1)
        found["wrong parts"] += folder.wrong_parts()
        found["jobs that left a hidden file"] += any(folder.parts.glob(f".shard-{shard:05}*/*"))
        waiting = [one for one in waiting if not folder.is_complete(one)]


def main() -> None:
    place, kills = Path(sys.argv[1]), int(sys.argv[2])
    draw = random.Random(0)
    mails, data, model = place / "mails.csv", place / "pool.csv", place / "model"
    mails.write_text("text,label\n" + "a fine film,good\na dull plot,bad\n" * 8, encoding="utf-8")
    texts = ['"a ""fine"" one"', '"a, b"', '"two\nlines"', "a dull film", "täglich", "tab\there"]
    rows = [f"{number},{texts[number % len(texts)]} \n" for number in range(ROWS)]
    data.write_text(f"id,text\n{''.join(rows)}".replace(" \n", "\n"), encoding="utf-8")
    with suppress(SystemExit), redirect_stderr(io.StringIO()):
        command("predict", place / "no model", data, "--output", "-")()  # imports the modules of a command
    succeeded(command("train", mails, "-c", "sklearn", "-o", model, "--seed", 1, "--held-out", 0))
    loaded = evaluation.load_model(str(model))
    loaded.classifier.predict(TextDataset(texts), return_proba=True)  # cached values
    evaluation.load_model = lambda *_, **__: loaded
    found: Counter[str] = Counter()
    formats = FORMATS if kills >= 100 else ("parquet",)
    folders = [Folder(place, model, data, one) for one in formats]
    sizes = [folder.measured() for folder in folders]
    while found["kills"] < kills or not all(found[one] for one in SEEN):
        turn = found["folders"] % len(folders)
        kill_until_complete(folders[turn], sizes[turn], draw, found)
        ids, same, left = folders[turn].merged()
        numbers = Counter(ids)
        found["folders"] += 1
        found["rows"] += ROWS
        found["rows lost"] += sum(str(number) not in numbers for number in range(ROWS))
        found["rows doubled"] += sum(times - 1 for times in numbers.values())
        found["rows out of order"] += ids != [str(number) for number in range(ROWS)] and len(ids)
        found["merged files that differ"] += not same
        found["hidden folders left at the end"] += len(left)
    usage = [resource.getrusage(one) for one in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found["CPU seconds"] = round(sum(one.ru_utime + one.ru_stime for one in usage))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
