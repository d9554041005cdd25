"""The mode of networks, and other state of torch, in predictions and training."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from smalltext_core.errors import InvalidInputError
from smalltext_torch.device import Precision, evaluation_mode, gradients, inference
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_texts

CPU = torch.device("cpu")


class Merging(nn.Linear):
    """A layer with side effects when its mode is switched, like adapters that merge their weights."""

    def train(self, mode=True):
        with torch.no_grad():
            self.weight.add_(1)
        return super().train(mode)


def modes(network):
    return [module.training for module in network.modules()]


def mixed_network():
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.Linear(2, 2)), nn.Dropout())
    network[1].eval()
    network[1][0].train()
    return network


def test_every_module_is_in_evaluation_mode_and_its_mode_is_restored():
    network = mixed_network()
    before = modes(network)
    with evaluation_mode(network):
        assert not any(modes(network))
    assert modes(network) == before == [True, True, False, True, False, True]


def test_the_modes_are_restored_after_an_exception():
    network = mixed_network()
    before = modes(network)
    with pytest.raises(KeyError), evaluation_mode(network):
        raise KeyError
    assert modes(network) == before


def test_switching_runs_no_code_of_the_network():
    network = nn.Sequential(Merging(1, 1))
    weight = network[0].weight.clone()
    with evaluation_mode(network):
        pass
    assert torch.equal(network[0].weight, weight)


def test_a_module_stays_in_evaluation_mode_until_the_last_thread_is_done():
    shared = nn.Dropout()
    networks = nn.Sequential(shared), nn.Sequential(nn.Linear(1, 1), shared)
    entered, may_leave = threading.Event(), threading.Event()

    def predict():
        with evaluation_mode(networks[0]):
            entered.set()
            may_leave.wait()

    thread = threading.Thread(target=predict)
    thread.start()
    entered.wait()
    with evaluation_mode(networks[1]):
        may_leave.set()
        thread.join()
        assert not shared.training
    assert shared.training


def test_nested_blocks_restore_the_mode_at_the_end_of_the_outermost():
    network = nn.Dropout()
    with evaluation_mode(network):
        with evaluation_mode(network):
            pass
        assert not network.training
    assert network.training


def test_a_network_in_evaluation_mode_is_unchanged():
    network = mixed_network().eval()
    with evaluation_mode(network):
        assert not any(modes(network))
    assert not any(modes(network))


def test_inference_is_in_float32_inside_of_the_callers_autocast():
    layer = nn.Linear(2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.ones(1, 2)).dtype == torch.bfloat16
        with inference(layer, Precision(CPU)):
            assert layer(torch.ones(1, 2)).dtype == torch.float32
            assert not torch.is_grad_enabled()


def test_gradients_are_computed_inside_of_inference_mode_and_with_another_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), gradients(CPU):
            layer = nn.Linear(1, 1)
            layer(torch.ones(1, 1)).sum().backward()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad is not None
    assert not layer.weight.is_inference()


def test_the_mode_of_a_failing_network_is_restored():
    classifier = BagOfEmbeddings(3).fit(some_texts())
    network = classifier.model
    network.train()
    network.register_forward_hook(lambda *_: pytest.fail("the forward pass"))
    with pytest.raises(pytest.fail.Exception):
        classifier.predict_proba(some_texts(4))
    assert all(modes(network))


def test_threads_predict_the_same_with_a_network_in_training_mode():
    classifier = BagOfEmbeddings(3).fit(some_texts())
    expected = classifier.predict_proba(some_texts(40))
    classifier.model.train()
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(classifier.predict_proba(some_texts(40)) for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    for proba in found:
        np.testing.assert_allclose(proba, expected, atol=1e-6)
    assert all(modes(classifier.model))


def test_a_warm_start_of_a_frozen_model_is_refused():
    classifier = BagOfEmbeddings(3, warm_start=True).fit(some_texts())
    before = classifier.predict_proba(some_texts(8))
    classifier.model.requires_grad_(False)
    with pytest.raises(InvalidInputError, match=r"warm_start.*requires_grad_\(True\)"):
        classifier.fit(some_texts())
    assert_array_equal(classifier.predict_proba(some_texts(8)), before)


def test_a_step_in_bfloat16_computes_with_the_weights_of_the_step_before():
    layer = nn.Linear(1, 1, bias=False)
    outputs = []
    with gradients(CPU):
        for weight in (1.0, 2.0):
            nn.init.constant_(layer.weight, weight)
            with Precision(CPU, torch.bfloat16).autocast():
                outputs.append(layer(torch.ones(1, 1)).item())
    assert outputs == [1.0, 2.0]
