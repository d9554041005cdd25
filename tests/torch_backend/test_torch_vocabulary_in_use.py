"""Embedding rows that no text uses are not trained, but have the same final values as if they were."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from smalltext_torch import Ragged
from smalltext_torch.optimization import rows_in_use
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_texts

TEXTS = Ragged.from_sequences([[5, 6, 7], [6], [9, 5]])


class Reader(nn.Module):
    """An embedding of 40 words, and a linear layer."""

    def __init__(self, **embedding):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embedding = nn.Embedding(40, 8, padding_idx=0, **embedding)
            self.linear = nn.Linear(8, 2)

    def forward(self, tokens):
        return self.linear(self.embedding(tokens).sum(dim=1))


def trained(network, embedding, optimizer_class=torch.optim.AdamW, steps=7, frozen_until=0, **options):
    """Train for a few steps; return the network, and the number of embedding rows in the optimizer."""
    tokens, targets = torch.tensor([[5, 6, 7], [6, 0, 0], [9, 5, 0]]), torch.tensor([0, 1, 1])
    with rows_in_use(network, embedding, [TEXTS], padding=0):
        optimizer = optimizer_class(network.parameters(), lr=0.05, **options)
        rows = len(optimizer.param_groups[0]["params"][0])
        for step in range(steps):
            network.embedding.weight.requires_grad = step >= frozen_until
            nn.functional.cross_entropy(network(tokens), targets).backward()
            optimizer.step()
            optimizer.zero_grad()
    return network, rows


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (torch.optim.AdamW, {"weight_decay": 0.5}),
        (torch.optim.AdamW, {"weight_decay": 0.5, "fused": True}),
        (torch.optim.AdamW, {"weight_decay": 0.5, "frozen_until": 3}),
        (torch.optim.Adam, {}),
        (torch.optim.SGD, {"weight_decay": 0.5, "momentum": 0.9}),
    ],
)
def test_all_rows_have_the_same_final_values(optimizer_class, options):
    compact, rows = trained(reader := Reader(), reader.embedding, optimizer_class, **options)
    whole, all_rows = trained(Reader(), None, optimizer_class, **options)

    assert (rows, all_rows) == (6, 40)  # four words, the padding, and the row of ones
    assert not torch.equal(whole.embedding.weight, Reader().embedding.weight)
    for name, parameter in whole.named_parameters():
        torch.testing.assert_close(compact.get_parameter(name), parameter, rtol=2e-6, atol=1e-7)


def test_the_embedding_layer_is_the_same_object():
    network = Reader()
    before = network.embedding.weight

    trained(network, network.embedding)

    assert network.embedding.weight is before
    assert network.embedding.forward.__func__ is nn.Embedding.forward
    assert network(torch.tensor([[39]])).shape == (1, 2)


def test_it_is_restored_after_an_error():
    network = Reader()
    before = network.embedding.weight.detach().clone()

    with pytest.raises(ZeroDivisionError), rows_in_use(network, network.embedding, [TEXTS], padding=0):
        raise ZeroDivisionError

    assert torch.equal(network.embedding.weight, before)


def test_a_token_of_no_text_is_an_error_and_not_another_row():
    network = Reader()

    with rows_in_use(network, network.embedding, [TEXTS], padding=0), pytest.raises(IndexError):
        network(torch.tensor([[8]]))


def tied(network):
    network.decoder = nn.Linear(8, 40)
    network.decoder.weight = network.embedding.weight


def frozen(network):
    network.embedding.weight.requires_grad = False


def scaled(network):
    class Scaled(nn.Embedding):
        def forward(self, tokens):
            return 2 * super().forward(tokens)

    network.embedding = Scaled(40, 8)


@pytest.mark.parametrize("change", [tied, frozen, scaled])
def test_an_embedding_with_further_computations_is_not_reduced(change):
    network = Reader()
    change(network)

    with rows_in_use(network, network.embedding, [TEXTS], padding=0):
        assert len(network.embedding.weight) == 40


def test_a_vocabulary_that_is_fully_used_is_not_reduced():
    network = Reader()

    with rows_in_use(network, network.embedding, [Ragged.from_sequences([range(40)])], padding=0):
        assert len(network.embedding.weight) == 40


class Sparing(BagOfEmbeddings):
    """Returns its embedding, and records the number of its trained rows."""

    def make_encoder(self, train_set):
        return {**super().make_encoder(train_set), **{f"unused{number}": 100 + number for number in range(50)}}

    def make_network(self, encoder):
        return super().make_network(dict.fromkeys(range(200)))

    def get_input_embeddings(self, network):
        return network.embedding

    def configure_optimizer(self, network):
        self.rows = len(network.embedding.weight)
        return super().configure_optimizer(network)


def test_a_classifier_trains_the_rows_in_use_and_keeps_the_best_model():
    class Whole(Sparing):
        def get_input_embeddings(self, network):
            return None

    texts = some_texts()
    sparing, whole = (kind(3, num_epochs=8).fit(texts, early_stopping="none") for kind in (Sparing, Whole))

    assert sparing.rows < whole.rows == 202
    assert [record["best"] for record in sparing.history_] == [record["best"] for record in whole.history_]
    for name, parameter in whole.model.named_parameters():
        torch.testing.assert_close(sparing.model.get_parameter(name), parameter, rtol=1e-4, atol=1e-5)


def test_a_callers_optimizer_gets_all_rows():
    seen = []

    def optimizer(network):
        seen.append(len(network.embedding.weight))
        return torch.optim.Adam(network.parameters())

    Sparing(3).fit(some_texts(), optimizer=optimizer)

    assert seen == [202]
