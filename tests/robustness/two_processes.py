"""Training in two processes on one machine: run with an output folder, and the names of some of the TASKS.

accelerate forks the processes from one that has imported the backends; they communicate through gloo.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fork_server
import smalltext_core as st
from smalltext_kimcnn import KimCNNClassifier
from smalltext_testing.sample_data import training_texts
from smalltext_torch import EarlyStopping, Metric
from smalltext_transformers import FineTuningArguments, TransformerBasedClassification
from transformers_backend.tiny_models import tiny_model

COUNT = 2
"""The number of processes."""

WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
WITH_DROPOUT = {"hidden_dropout_prob": 0.3}


def results(folder: Path, *tasks: str) -> list[dict[str, Any]]:
    """Run tasks in two processes, and return the results of each task for each process."""
    done = fork_server.run(
        ["-m", "robustness.two_processes", folder, *tasks],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return [pickle.loads((folder / f"{number}.pickle").read_bytes()) for number in range(COUNT)]


def texts(count: int, *, multi_label: bool = False) -> st.TextDataset:
    every = training_texts(2, multi_label=multi_label)
    rows = np.arange(count) % len(every)
    return st.TextDataset([every.x[row] for row in rows], every.y[rows], label_names=["ham", "spam"])


def transformers(processes: int, model: dict[str, float] = WITHOUT_DROPOUT, **parameters: Any) -> Any:
    """Return a classifier whose batches have 8 texts in all processes together."""
    given = {"num_epochs": 2, "mini_batch_size": 8 // processes, "lr": 0.005, "seed": 1, "device": "cpu"}
    return TransformerBasedClassification(tiny_model(**model), 2, **{**given, **parameters})


def kimcnn(processes: int, **parameters: Any) -> Any:
    """Return a classifier whose batches have 2 texts, or 1, in all processes together."""
    small = {"embedding_dim": 8, "out_channels": 4, "kernel_heights": (2, 3), "dropout": 0.0}
    given = {"num_epochs": 1, "mini_batch_size": 2 // processes, "seed": 1, "device": "cpu", **small}
    return KimCNNClassifier(2, **{**given, **parameters})


@cache
def weighted(processes: int) -> Any:
    """Weights of texts and classes, clipping, validations within epochs, calibration; 37 texts in batches of 8."""
    classifier = transformers(
        processes,
        class_weight="balanced",
        max_gradient_norm=0.3,
        validations_per_epoch=2,
        validation_set_size=0.2,
        calibration="auto",
    )
    called: list[Any] = []
    weights = np.random.default_rng(0).uniform(0.2, 3.0, 46)
    classifier.fit(texts(46), weights=weights, callbacks=[called.append])
    classifier.called_back = len(called)
    return classifier


def unfrozen(processes: int) -> Any:
    """A learning rate with warmup, and gradual unfreezing of layers."""
    arguments = FineTuningArguments(0.005, 0.9, gradual_unfreezing=1, cut_fraction=0.3)
    return transformers(processes, num_epochs=3, fine_tuning_arguments=arguments).fit(texts(20))


def few_texts(processes: int) -> Any:
    """Multi-label with thresholds; sometimes a process has no share of a batch; more steps than epochs give."""
    classifier = kimcnn(
        processes, multi_label=True, multi_label_threshold="auto", calibration="auto", min_steps=40
    )
    return classifier.fit(texts(31, multi_label=True), texts(25, multi_label=True))


def stopped(processes: int) -> Any:
    """A handler stops training early; the optimizer and the scheduler are the caller's."""
    from torch.optim import SGD
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    return kimcnn(processes, num_epochs=9).fit(
        texts(20),
        early_stopping=EarlyStopping(Metric("val_loss"), min_delta=10.0, patience=2),
        optimizer=lambda network: SGD(network.parameters(), lr=0.1),
        scheduler=lambda optimizer: ReduceLROnPlateau(optimizer, patience=0),
    )


def unused_parameters(processes: int) -> Any:
    """A network with parameters that the forward pass does not use, and with warm start."""
    model = {"architecture": "xlnet", "dropout": 0.0, "summary_last_dropout": 0.0}
    classifier = transformers(processes, model=model, num_epochs=1, warm_start=True)
    return classifier.fit(texts(20)).fit(texts(20))


TRAININGS: dict[str, Callable[[int], Any]] = {
    one.__name__: one for one in (weighted, unfrozen, few_texts, stopped, unused_parameters)
}
"""Training without dropout, with the same results in one process and in two."""


def outcome(classifier: Any) -> dict[str, Any]:
    """Return the results of training."""
    return {
        "history": classifier.history_,
        "proba": classifier.predict_proba(texts(12)),
        "calibration": classifier.calibration_,
        "thresholds": classifier.multi_label_threshold_,
        "called_back": getattr(classifier, "called_back", None),
    }


def seeds(_: Path) -> list[dict[str, Any]]:
    """Train with dropout: twice with the same seed, and once without one."""
    return [
        outcome(transformers(COUNT, WITH_DROPOUT, seed=seed, num_epochs=1).fit(texts(20))) for seed in (5, 5, None)
    ]


def saved(folder: Path) -> bool:
    """Save in all processes, load the folder immediately, and return whether the predictions are the same."""
    weighted(COUNT).save(folder / "model")
    loaded = st.load(folder / "model")
    return bool((loaded.predict_proba(texts(12)) == weighted(COUNT).predict_proba(texts(12))).all())


def error_of(call: Callable[[], Any]) -> str:
    """Return the message of the error that a call raises."""
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def different_texts(_: Path) -> str:
    """Train on more texts in one process than in the other."""
    return error_of(lambda: kimcnn(COUNT).fit(texts(20 + int(os.environ["RANK"]))))


def failures(folder: Path) -> dict[str, str]:
    """Fail only in the main process, or in both, and train again."""

    def raises(_: object) -> None:
        raise KeyError("no such metric")

    fitted = kimcnn(COUNT).fit(texts(20))
    before = fitted.predict_proba(texts(12))
    occupied = folder / "occupied"
    if os.environ["RANK"] == "0":
        occupied.mkdir()
        (occupied / "notes.txt").write_text("mine")
    found = {
        "callback": error_of(lambda: fitted.fit(texts(20), callbacks=[raises])),
        "diverged": error_of(lambda: kimcnn(COUNT, lr=1e30).fit(texts(20))),
        "save": error_of(lambda: fitted.save(occupied)),
    }
    found["unchanged"] = str((fitted.predict_proba(texts(12)) == before).all())
    return found


TASKS: dict[str, Callable[[Path], Any]] = {one.__name__: one for one in (seeds, saved, different_texts, failures)}


def do(folder: Path, names: list[str]) -> None:
    """Run tasks in this process, and write the results to the folder."""
    import torch

    os.environ["RANK"] = str(torch.distributed.get_rank())  # like torchrun
    found = {name: TASKS[name](folder) if name in TASKS else outcome(TRAININGS[name](COUNT)) for name in names}
    (folder / f"{os.environ['RANK']}.pickle").write_bytes(pickle.dumps(found))


def main(folder: Path, names: list[str]) -> None:
    """Fork the processes."""
    from accelerate import debug_launcher

    tempfile.tempdir = str(folder)
    for model in (WITHOUT_DROPOUT, WITH_DROPOUT, {"architecture": "xlnet", "dropout": 0.0}):
        tiny_model(**model)  # Both processes find it.
    debug_launcher(do, (folder, names), num_processes=COUNT)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
