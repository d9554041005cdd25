"""What runs in a fresh Python process: load a saved model, or train one, and write down its probabilities."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from smalltext_core.dataset import TextDataset
from smalltext_core.saving import load
from smalltext_testing.check import BrokenRuleError

_PATIENCE = 900


def probabilities_in_new_process(task: str, source: Path, texts: TextDataset) -> NDArray[Any]:
    """Return what a fresh Python process says of texts.

    Parameters
    ----------
    task : str
        "load": `source` is a saved model, which is loaded without the network and from another working folder.
        "train": `source` is a pickle of a factory and a training set.
    source : Path
    texts : TextDataset

    Raises
    ------
    BrokenRuleError
        If the process fails; with the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="smalltext-check-") as folder:
        room = Path(folder)
        (room / "texts.json").write_text(json.dumps(texts.x), encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our own module, run by our own Python
            [sys.executable, "-m", "smalltext_testing.child", task, str(source.absolute()), folder],
            env=environment(),
            cwd=folder if task == "load" else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
        if done.returncode:
            said = "\n".join(done.stderr.strip().splitlines()[-6:])
            raise BrokenRuleError(
                f"a new Python process that should {task} the classifier failed:\n{said}", "it works there"
            )
        proba: NDArray[Any] = np.load(room / "proba.npy", allow_pickle=False)
        return proba


def environment() -> dict[str, str]:
    """Return an environment in which the same modules are found, and as many threads do the arithmetic."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)}
    torch = sys.modules.get("torch")
    if torch is not None:
        variables["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    return variables


def _block_network() -> None:
    """Make every internet connection of this process fail at once, as on a machine without the network."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError("the network is blocked: loading a saved model must not need it")

    class Blocked(socket.socket):
        def connect(self, address: Any) -> None:
            if self.family != getattr(socket, "AF_UNIX", None):
                refuse()
            super().connect(address)

        def connect_ex(self, address: Any) -> int:
            self.connect(address)
            return 0

    socket.socket = Blocked  # type: ignore[misc]
    socket.getaddrinfo = refuse


def main(task: str, source: str, room: str) -> None:
    """Do the task and write the probabilities into the room."""
    texts = TextDataset(json.loads((Path(room) / "texts.json").read_text(encoding="utf-8")))
    if task == "load":
        _block_network()
        classifier = load(source)
    else:
        factory, train_set = pickle.loads(Path(source).read_bytes())  # noqa: S301 - the parent process wrote it
        classifier = factory.new().fit(train_set)
    np.save(Path(room) / "proba.npy", np.asarray(classifier.predict_proba(texts)), allow_pickle=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
