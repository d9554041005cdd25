"""The last layer does not compute tokens that the head does not use; results and gradients are unchanged."""

from __future__ import annotations

import pickle

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from smalltext_transformers._network import first_token_only, stack, with_first_token_hooks
from transformers_backend.tiny_models import ARCHITECTURES, KIN, tiny_config

PREPARED = ("bert", "deberta-v2", "distilbert", "electra", "mpnet", "roberta", *KIN)
each_that_is_prepared = pytest.mark.parametrize("architecture", PREPARED)

TOKENS = torch.tensor([[2, 9, 17, 33, 21, 3], [2, 40, 8, 3, 0, 0]])
MASK = (TOKENS != 0).long()


def network_of(architecture, **changes):
    torch.manual_seed(3)
    config = tiny_config(architecture, num_labels=3, **changes)
    return with_first_token_hooks(AutoModelForSequenceClassification.from_config(config)).eval()


def gradients(network):
    network.zero_grad()
    network(TOKENS, attention_mask=MASK).logits[:, 0].sum().backward()
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def widths_in_the_last_layer(network):
    """Return the number of tokens in the input of the linear layers after the attention of the last layer."""
    seen = []
    last = stack(network)[1][-1]
    for module in last.modules():
        if isinstance(module, torch.nn.Linear) and 48 in (module.in_features, module.out_features):
            module.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    network(TOKENS, attention_mask=MASK)
    return seen


@each_that_is_prepared
@torch.no_grad()
def test_the_logits_are_the_same(architecture):
    network = network_of(architecture)
    whole = network(TOKENS, attention_mask=MASK).logits
    with first_token_only():
        alone = network(TOKENS, attention_mask=MASK).logits
    torch.testing.assert_close(alone, whole, rtol=0, atol=1e-6)


@each_that_is_prepared
def test_the_gradients_are_the_same(architecture):
    network = network_of(architecture)
    whole = gradients(network)
    with first_token_only():
        alone = gradients(network)
    assert alone.keys() == whole.keys()
    torch.testing.assert_close(alone, whole, rtol=0, atol=1e-6)


@each_that_is_prepared
def test_the_last_layer_continues_with_one_token(architecture):
    with first_token_only():
        assert widths_in_the_last_layer(network_of(architecture)) == [1, 1]


@each_that_is_prepared
def test_elsewhere_it_continues_with_all_of_them(architecture):
    network = network_of(architecture)
    with first_token_only():
        pass
    assert widths_in_the_last_layer(network) == [6, 6]
    hidden = network(TOKENS, attention_mask=MASK, output_hidden_states=True).hidden_states[-1]
    assert hidden.shape[:2] == TOKENS.shape


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - set(PREPARED)))
def test_models_whose_heads_may_use_all_tokens_are_unchanged(architecture):
    network = network_of(architecture)
    with first_token_only():
        assert set(widths_in_the_last_layer(network)) == {6}


@each_that_is_prepared
def test_a_prepared_network_can_be_pickled(architecture):
    network = pickle.loads(pickle.dumps(network_of(architecture)))
    with first_token_only():
        assert network(TOKENS, attention_mask=MASK).logits.shape == (2, 3)
