from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from smalltext_torch.device import TorchRandomness
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_texts

CPU = torch.device("cpu")
TEXTS = some_texts()


def test_a_stream_resumes_at_its_position() -> None:
    in_one, in_two = TorchRandomness(1, CPU), TorchRandomness(1, CPU)

    with in_one.as_global():
        expected = torch.rand(4)
    parts = []
    for _ in range(2):
        with in_two.as_global():
            parts.append(torch.rand(2))

    assert torch.equal(torch.cat(parts), expected)


def test_the_global_state_is_restored_even_if_the_block_fails() -> None:
    before = torch.get_rng_state()

    with pytest.raises(ZeroDivisionError), TorchRandomness(1, CPU).as_global():
        torch.rand(3)[0] = 1 / 0

    assert torch.equal(torch.get_rng_state(), before)


def test_a_callback_sees_the_callers_random_state() -> None:
    """Random numbers of callbacks neither come from the stream of training nor affect it."""
    quiet = BagOfEmbeddings(3).fit(TEXTS).predict_proba(TEXTS)

    drawing = BagOfEmbeddings(3).fit(TEXTS, callbacks=[lambda _: (torch.rand(5), np.random.rand(5))])  # noqa: NPY002

    assert (drawing.predict_proba(TEXTS) == quiet).all()


def test_trainings_in_several_threads_do_not_disturb_one_another() -> None:
    alone = BagOfEmbeddings(3).fit(TEXTS).predict_proba(TEXTS)
    before = torch.get_rng_state()

    with ThreadPoolExecutor(3) as threads:
        together = list(
            threads.map(lambda _: BagOfEmbeddings(3).fit(TEXTS).predict_proba(TEXTS, 1), range(3)),
        )

    assert all((proba == alone).all() for proba in together)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_every_training_is_another() -> None:
    one, other = (BagOfEmbeddings(3, seed=None).fit(TEXTS).predict_proba(TEXTS) for _ in range(2))

    assert (one != other).any()
