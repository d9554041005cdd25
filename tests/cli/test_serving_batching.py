"""Texts of concurrent requests are predicted together, and each request gets its own probabilities."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from cli.serving_models import Gate, proba_of
from smalltext_cli.serving.batching import Batcher


def model(gate=lambda _: None):
    def predict_proba(texts):
        gate(texts)
        return np.stack([proba_of(text) for text in texts])

    return predict_proba


async def running(batcher, *coroutines, between=lambda: None):
    """Run a batcher while coroutines wait for it, and return their results or exceptions."""
    batches = asyncio.create_task(batcher.run())
    waiting = [asyncio.create_task(one) for one in coroutines]
    for _ in range(3):
        await asyncio.sleep(0)  # so that all have begun
    between()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    batches.cancel()
    return results


def test_two_hundred_requests_form_full_batches_and_get_their_own_answers():
    gate, sizes = Gate(), []
    requests = [["x" * number] for number in range(200)]

    async def run():
        batcher = Batcher(model(gate), batch_size=64, on_batch=sizes.append)
        first = batcher.predict_proba(requests[0])
        others = [batcher.predict_proba(texts) for texts in requests[1:]]
        return await running(batcher, first, *others, between=gate.opened.set)

    results = asyncio.run(run())
    for texts, proba in zip(requests, results, strict=True):
        np.testing.assert_array_equal(proba, np.stack([proba_of(text) for text in texts]))
    assert sum(sizes) == 200
    assert max(sizes) == 64
    assert len(sizes) <= 5


def test_a_request_is_split_into_batches_and_put_together():
    sizes = []
    texts = ["x" * number for number in range(10)]

    async def run():
        batcher = Batcher(model(), batch_size=4, on_batch=sizes.append)
        return await running(batcher, batcher.predict_proba(texts), batcher.predict_proba(["yy"]))

    whole, single = asyncio.run(run())
    np.testing.assert_array_equal(whole, np.stack([proba_of(text) for text in texts]))
    np.testing.assert_array_equal(single, [proba_of("yy")])
    assert sizes == [4, 4, 3]


def test_one_text_that_fails_does_not_fail_the_others():
    def refuse(texts):
        if "bad" in texts:
            raise ValueError("bad")

    async def run():
        batcher = Batcher(model(refuse), batch_size=8)
        return await running(batcher, *(batcher.predict_proba([text]) for text in ("a", "bad", "ccc")))

    one, failed, other = asyncio.run(run())
    assert isinstance(failed, ValueError)
    np.testing.assert_array_equal(one, [proba_of("a")])
    np.testing.assert_array_equal(other, [proba_of("ccc")])


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, StopIteration])
def test_a_model_that_ends_its_thread_fails_its_request_alone(error):
    def leave(texts):
        if "bad" in texts:
            raise error

    async def run():
        batcher = Batcher(model(leave), batch_size=1)
        return await running(batcher, *(batcher.predict_proba([text]) for text in ("bad", "a")))

    failed, other = asyncio.run(run())
    assert isinstance(failed, RuntimeError)
    assert error.__name__ in str(failed)
    np.testing.assert_array_equal(other, [proba_of("a")])


def test_texts_of_a_request_that_was_given_up_are_not_predicted():
    gate = Gate()

    async def run():
        batcher = Batcher(model(gate), batch_size=1)
        batches = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.predict_proba(["first"]))
        await asyncio.get_running_loop().run_in_executor(None, gate.entered.wait)
        second = asyncio.create_task(batcher.predict_proba(["second"]))
        await asyncio.sleep(0)
        assert batcher.waiting == 1
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert batcher.waiting == 0
        gate.opened.set()
        await first
        await batcher.predict_proba(["third"])
        batches.cancel()

    asyncio.run(run())
    assert gate.batches == [["first"], ["third"]]


def test_a_batch_waits_for_more_texts_until_it_is_full():
    sizes, names = [], set()

    async def run():
        batcher = Batcher(
            model(lambda _: names.add(threading.current_thread().name)),
            batch_size=2,
            max_wait=600.0,
            on_batch=sizes.append,
        )
        batches = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.predict_proba(["a"]))
        for _ in range(5):
            await asyncio.sleep(0)
        assert sizes == []
        await asyncio.gather(first, batcher.predict_proba(["bb"]))
        batches.cancel()

    asyncio.run(run())
    assert sizes == [2]
    assert names == {"smalltext-model"}


def test_a_batch_that_is_not_full_is_predicted_after_its_wait():
    async def run():
        batcher = Batcher(model(), batch_size=100, max_wait=0.001)
        return await running(batcher, batcher.predict_proba(["a"]))

    np.testing.assert_array_equal(asyncio.run(run())[0], [proba_of("a")])
