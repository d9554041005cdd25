"""The onnxruntime session that runs a graph, created on first use."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import one_line

INPUTS = ("input_ids", "attention_mask")
"""The inputs of a graph, int64 of shape (texts, tokens)."""

OUTPUT = "probabilities"
"""The output of a graph, float32 of shape (texts, num_classes)."""

_THREADS_VARIABLE = "OMP_NUM_THREADS"


class Runtime:
    """A graph, and the session that runs it; pickles and copies contain only the graph.

    Parameters
    ----------
    model : bytes
        The content of an ONNX file, which has been checked if it is not trusted.
    num_classes : int
    threads : int or None
        The number of threads; None means that of the environment, or else the default of onnxruntime.
    """

    def __init__(self, model: bytes, num_classes: int, threads: int | None) -> None:
        self.model = model
        self._num_classes = num_classes
        self._threads = threads

    @property
    def threads(self) -> int:
        """The number of threads; 0 means the default of onnxruntime."""
        if self._threads is not None:
            return self._threads
        given = os.environ.get(_THREADS_VARIABLE, "").partition(",")[0].strip()
        return int(given) if given.isdecimal() and len(given) < 4 else 0

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors are raised as exceptions anyway
        options.use_deterministic_compute = True
        # Busy-waiting threads would slow down everything else on a shared machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])

    def run(self, tokens: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the probabilities of a batch, shape (texts, num_classes), or raise ModelFolderError."""
        try:
            (proba,) = self._session.run([OUTPUT], dict(zip(INPUTS, (tokens, mask), strict=True)))
        except Exception as error:  # onnxruntime's exceptions have no more specific base class
            what = f"onnxruntime cannot compute the exported model: {one_line(str(error))}"
            raise ModelFolderError(f"{what}. It is damaged: export it again.") from error
        if proba.shape != (len(tokens), self._num_classes) or proba.dtype != np.float32:
            what = f"The exported model gives {proba.dtype} of shape {proba.shape} for {len(tokens)} texts"
            raise ModelFolderError(f"{what}, not a probability for each of {self._num_classes} classes.")
        return cast("NDArray[np.float32]", proba)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_session"}
