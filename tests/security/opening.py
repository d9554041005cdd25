"""Open folders in another process, which a crash, an exit or a hang can affect without ending the tests.

As a script, it loads each folder of its arguments, predicts with the model, and writes one line with the result.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import fork_server

_HANGS_AFTER = 900
"""Seconds for all folders: many times their duration on the slowest machine."""


def opened(folders: list[Path], import_path: Path | None = None) -> list[str]:
    """Return the result of each folder: "predicted", the name of the exception, or the exit of the process."""
    outcomes: list[str] = []
    module = ["-m", "security.opening", str(import_path or "")]
    while len(outcomes) < len(folders):
        rest = folders[len(outcomes) :]
        done = fork_server.run([*module, *rest], cwd=Path(__file__).parents[1], timeout=_HANGS_AFTER)
        written, ended = done.stdout.decode(), f"the process ended with {done.returncode}: {done.stderr[-800:]!r}"
        if done.returncode == -signal.SIGALRM:
            ended = "the process hung"
        outcomes += [json.loads(line) for line in written.splitlines() if line.startswith('"')]
        if len(outcomes) < len(folders):
            outcomes.append(ended)
    return outcomes


def outcome(folder: str) -> str:
    """Load a folder and use the model."""
    from smalltext_core import TextDataset, load
    from smalltext_core.errors import SmallTextError

    texts = TextDataset(["a goal for the team", "", "🎉 数据 \ud800 " + "word " * 50])
    try:
        classifier = load(folder)
    except SmallTextError as error:
        return f"{type(error).__name__} at load: {error}"
    except BaseException as error:
        return f"foreign {type(error).__name__} at load: {error}"
    try:
        classifier.predict_proba(texts)
        classifier.predict(texts)
        if hasattr(classifier, "embed"):
            classifier.embed(texts)
    except SmallTextError as error:
        return f"{type(error).__name__} at predict: {error}"
    except BaseException as error:
        return f"foreign {type(error).__name__} at predict: {error}"
    return "predicted"


def main(import_path: str, *folders: str) -> None:
    if import_path:
        sys.path.insert(0, import_path)
    for folder in folders:
        sys.stdout.write(json.dumps(outcome(folder)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
