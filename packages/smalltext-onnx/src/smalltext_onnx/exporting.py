"""Export of a network to an ONNX graph, with torch."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from smalltext_core import TextDataset
from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError, UnsupportedError
from smalltext_core.messages import brief, one_line
from smalltext_onnx.inference import INPUTS, OUTPUT, TextEncoder, mean_of_windows
from smalltext_onnx.networks import Exportable
from smalltext_torch.progress import no_progress_bars
from smalltext_torch.saving import SMOKE_TESTS

OPSETS = (14, 20)
"""The lowest and the highest supported ONNX opset version."""

_MAX_BYTES = 2**31 - 2**24
"""The maximum size of the weights in bytes: a protocol buffers file holds up to 2 GiB, including the graph."""


def check_opset(opset: object) -> int:
    """Return the opset version, or raise InvalidInputError."""
    if not is_whole(opset) or not OPSETS[0] <= opset <= OPSETS[1]:
        raise InvalidInputError("opset", brief(opset), f"a whole number from {OPSETS[0]} to {OPSETS[1]}")
    return int(opset)


def traced(exported: Exportable, opset: int) -> bytes:
    """Return the ONNX graph of a network, for batches of any size and texts of any length.

    The network is traced with a batch of padded texts. The graph must not depend on the size and lengths of this
    batch, which is checked afterwards on other batches.

    Raises
    ------
    UnsupportedError
        If its weights are too large, or it contains an operation that cannot be exported.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in exported.network.state_dict().values())
    if size > _MAX_BYTES:
        what = f"The weights of the network take {size / 2**30:.1f} GiB; an ONNX file holds up to 2 GiB"
        raise UnsupportedError(f"{what}. Export a smaller model.")
    length = min(7, exported.text.max_length)
    lengths = torch.tensor([length, max(length - 3, 1), max(length - 5, 1)])
    mask = (torch.arange(length) < lengths[:, None]).long()
    tokens = torch.where(mask.bool(), exported.text.filler, exported.text.padding)
    target: Any = io.BytesIO()  # not allowed by the type annotations of torch
    axes = {name: {0: "texts", 1: "tokens"} for name in INPUTS}
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer warns about numbers that it treats as constants
            torch.onnx.export(
                exported.network,
                (tokens, mask),
                target,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_axes={**axes, OUTPUT: {0: "texts"}},
                opset_version=opset,
                dynamo=False,
            )
    except Exception as error:
        what = f"torch cannot export the network to ONNX: {type(error).__name__}: {one_line(str(error))}"
        raise UnsupportedError(f"{what}. Another opset, or another version of torch, may help.") from error
    return bytes(target.getvalue())


def largest_difference(classifier: Any, exported: Exportable, run: Any) -> float:
    """Return the largest difference of probabilities on texts of many scripts and lengths.

    Parameters
    ----------
    classifier : TorchModelBase or EmbeddingClassifier
        The original classifier. If it does not run in float32 on the CPU, its copied network is used instead.
    exported : Exportable
    run : callable
        Returns the probabilities that the graph gives for a list of texts.
    """
    encoder = TextEncoder(exported.tokenizer, exported.text)
    by_network = _is_elsewhere(classifier)
    greatest = 0.0
    with warnings.catch_warnings(), no_progress_bars():
        warnings.simplefilter("ignore")
        for texts in SMOKE_TESTS:
            if by_network:
                expected = _probabilities(exported, encoder, list(texts))
            else:
                expected = classifier.predict_proba(TextDataset(list(texts)))
            difference = np.abs(run(list(texts)) - expected).max()
            greatest = max(greatest, float(difference) if np.isfinite(difference) else np.inf)
    return greatest


def _is_elsewhere(classifier: Any) -> bool:
    """Return whether a classifier runs on an accelerator or in a precision other than float32."""
    body = getattr(getattr(getattr(classifier, "encoder", None), "loaded", None), "body", None)
    device = classifier.require_fitted().device if body is None else next(body.parameters()).device
    return getattr(classifier, "precision", "float32") != "float32" or device.type != "cpu"


def _probabilities(exported: Exportable, encoder: TextEncoder, texts: list[str]) -> NDArray[np.float32]:
    encoded, counts = encoder.encode(texts)
    parts: dict[int, NDArray[np.float32]] = {}
    with torch.inference_mode():
        for rows, tokens, mask in encoder.batches(encoded):
            proba = exported.network(torch.from_numpy(tokens), torch.from_numpy(mask)).numpy()
            parts.update(zip(rows.tolist(), proba, strict=True))
    return mean_of_windows(np.array([parts[row] for row in range(len(encoded))], dtype=np.float32), counts)
