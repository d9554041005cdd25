from __future__ import annotations

from typing import Any

import pytest
import torch

from smalltext_core.errors import InvalidInputError
from smalltext_torch.device import available_or_best, reproducible, resolve_device
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_texts

TEXTS = some_texts()


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu"), None])
def test_a_device_is_a_name_an_object_or_the_best_available(device: Any) -> None:
    classifier = BagOfEmbeddings(3, device=device).fit(TEXTS)

    assert classifier.predict_proba(TEXTS).shape == (60, 3)


def test_none_is_the_best_available_device() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"

    assert resolve_device(None).type == best


@pytest.mark.parametrize("device", ["tpu9", "", 7.5, ["cpu"]])
def test_an_invalid_device_is_refused_by_the_constructor(device: Any) -> None:
    with pytest.raises(InvalidInputError, match="device"):
        BagOfEmbeddings(3, device=device)


def test_a_missing_device_is_refused_with_the_available_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"device: got 'cuda:99'; allowed: .*cpu"):
        BagOfEmbeddings(3, device="cuda:99").fit(TEXTS)


def test_a_classifier_for_a_missing_device_uses_the_best_available() -> None:
    assert available_or_best("cuda:99") == resolve_device(None)
    assert available_or_best("cpu") == torch.device("cpu")


def determinism() -> tuple[bool, bool, bool]:
    """Return whether torch is deterministic, only warns if it is not, and uses memory-efficient attention."""
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cuda.mem_efficient_sdp_enabled(),
    )


def test_with_a_seed_no_operation_of_cuda_adds_in_an_order_that_varies() -> None:
    before = determinism()
    with reproducible(torch.device("cuda"), seed=1):
        assert determinism() == (True, True, False)
    assert determinism() == before


@pytest.mark.parametrize(("device", "seed"), [("cuda", None), ("cpu", 1)])
def test_without_a_seed_or_on_a_cpu_the_settings_of_torch_are_unchanged(device: str, seed: int | None) -> None:
    before = determinism()
    with reproducible(torch.device(device), seed):
        assert determinism() == before


def test_errors_for_nondeterministic_operations_can_be_enabled() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        with reproducible(torch.device("cuda"), seed=1):
            assert determinism() == (True, False, True)
    finally:
        torch.use_deterministic_algorithms(False)
