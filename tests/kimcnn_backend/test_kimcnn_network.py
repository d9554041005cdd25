"""The network and the fast inference, compared with a convolution of fully padded texts."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from smalltext_kimcnn import inference
from smalltext_kimcnn.network import KimCNN
from smalltext_torch.batching import Ragged

SHAPES = [
    # max_seq_len, filter_padding, kernel heights
    (12, 0, (3, 4, 5)),
    (12, 2, (3, 4, 5)),
    (12, 4, (1, 7)),
    (5, 0, (5,)),
    (5, 0, (3, 4)),
    (4, 0, (3, 4, 5)),
    (1, 0, (2,)),
]


def network(max_seq_len=12, filter_padding=0, kernel_heights=(3, 4, 5), out_channels=7, **parameters):
    torch.manual_seed(0)
    return KimCNN(
        torch.rand(30, 6) - 0.5,  # the padding also has a vector
        num_classes=3,
        max_seq_len=max_seq_len,
        filter_padding=filter_padding,
        kernel_heights=kernel_heights,
        out_channels=out_channels,
        **parameters,
    ).eval()


def texts(longest=15):
    rng = np.random.default_rng(0)
    lengths = [0, 1, 2, 3, 4, 5, 11, 12, 13, longest, *rng.integers(1, longest, size=20)]
    return Ragged.from_sequences([rng.integers(1, 30, size=length) for length in lengths])


def fully_padded(network, ids):
    """Return the pooled features of one text by definition: padded to max_seq_len, one conv2d per height."""
    width = max(network.max_seq_len, *network.kernel_heights)
    row = np.full(width, network.padding_idx)
    kept = ids[: network.max_tokens]
    row[network.filter_padding : network.filter_padding + len(kept)] = kept
    vectors = network.embedding.weight[torch.from_numpy(row)].view(1, 1, width, -1)
    pooled = []
    for height, filters in zip(network.kernel_heights, network.filters, strict=True):
        kernels = filters.weight.view(-1, 1, height, vectors.shape[-1])
        answers = functional.relu(functional.conv2d(vectors, kernels, filters.bias))
        pooled.append(answers.amax(dim=(2, 3)))
    return torch.cat(pooled, dim=1)


def fast(network, texts):
    with torch.inference_mode():
        return torch.cat([pooled for _, pooled in inference.pooled_features(network, texts)])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_batch_padded_to_its_longest_text_gives_what_full_padding_gives(shape):
    cnn, ragged = network(*shape), texts()
    expected = torch.cat([fully_padded(cnn, ids) for ids in (ragged[row] for row in range(len(ragged)))])
    together = cnn.pool(torch.from_numpy(ragged.padded(np.arange(len(ragged)))[0]))
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_scoring_by_tables_gives_what_convolution_gives(shape):
    cnn, ragged = network(*shape), texts()
    expected = torch.cat([fully_padded(cnn, ids) for ids in (ragged[row] for row in range(len(ragged)))])
    torch.testing.assert_close(fast(cnn, ragged), expected, atol=1e-5, rtol=1e-5)


def test_scoring_in_small_groups_and_tables_changes_nothing(monkeypatch):
    cnn, ragged = network(out_channels=20), texts()
    expected = fast(cnn, ragged)
    for limit, value in (
        ("_TEXTS_AT_ONCE", 7),
        ("_TOKENS_AT_ONCE", 20),
        ("_NUMBERS_IN_TABLE", 1),
        ("_WORDS_AT_ONCE", 3),
    ):
        monkeypatch.setattr(inference, limit, value)
    torch.testing.assert_close(fast(cnn, ragged), expected, atol=1e-6, rtol=1e-6)


def test_the_last_window_is_pooled():
    cnn = network(max_seq_len=5, kernel_heights=(3,))
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    other_end = torch.tensor([[1, 2, 3, 4, 6]])
    assert not torch.equal(cnn.pool(ids), cnn.pool(other_end))


@pytest.mark.parametrize("longer", [0, 1])
def test_texts_may_be_as_long_as_a_kernel_or_one_longer(longer):
    cnn = network(max_seq_len=3 + longer, kernel_heights=(3,))
    assert cnn(torch.ones(2, 3 + longer, dtype=torch.long)).shape == (2, 3)


def test_texts_shorter_than_the_greatest_kernel_work():
    assert network(kernel_heights=(7,), max_seq_len=4)(torch.tensor([[1]])).shape == (1, 3)


def test_words_after_max_seq_len_have_no_effect():
    cnn = network(max_seq_len=4)
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    torch.testing.assert_close(cnn.pool(ids), cnn.pool(ids[:, :4]))


@pytest.mark.parametrize("out_channels", [1, 7], ids=["fewer maxima than words", "more maxima than words"])
def test_gradients_are_those_of_full_padding(out_channels):
    cnn = network(out_channels=out_channels).train()
    ids = torch.tensor([[1, 2, 3, 0], [4, 0, 0, 0]])
    cnn.pool(ids).sum().backward()
    ours = [parameter.grad.clone() for parameter in (cnn.embedding.weight, *cnn.filters.parameters())]
    cnn.zero_grad()
    torch.cat([fully_padded(cnn, np.array([1, 2, 3])), fully_padded(cnn, np.array([4]))]).sum().backward()
    for gradient, parameter in zip(ours, (cnn.embedding.weight, *cnn.filters.parameters()), strict=True):
        trained = slice(1, None) if parameter is cnn.embedding.weight else slice(None)
        torch.testing.assert_close(gradient[trained], parameter.grad[trained], atol=1e-5, rtol=1e-5)


def test_the_vector_of_the_padding_is_not_trained():
    cnn = network().train()
    cnn(torch.tensor([[1, 0, 0, 0, 0]])).sum().backward()
    assert not cnn.embedding.weight.grad[0].any()


def test_the_rows_of_the_last_layer_stay_within_the_norm():
    cnn = network(max_norm=0.1)
    optimizer = torch.optim.SGD(cnn.parameters(), lr=5.0)
    for _ in range(3):
        cnn.train()
        functional.cross_entropy(cnn(torch.tensor([[1, 2, 3]])), torch.tensor([0])).backward()
        optimizer.step()
        cnn.eval()
        assert (cnn.last.weight.norm(dim=1) <= 0.1001).all()


@pytest.mark.parametrize("max_norm", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("length", [0.9, 1.0, 1.1, 1e9])
def test_rows_are_scaled_down_once_whatever_the_mode_is_set_to(max_norm, length):
    for seed in range(50):
        torch.manual_seed(seed)
        cnn = network(max_norm=max_norm).train()
        with torch.no_grad():
            rows = torch.randn_like(cnn.last.weight)
            cnn.last.weight.copy_(rows / rows.norm(dim=1, keepdim=True) * max_norm * length)
        once = cnn.eval().last.weight.clone()
        torch.testing.assert_close(once.norm(dim=1), torch.full((len(once),), max_norm * min(length, 1.0)))
        for _ in range(3):
            cnn.train().eval()
            assert torch.equal(cnn.last.weight, once)


def test_further_words_have_vectors_that_are_not_trained():
    torch.manual_seed(0)
    further = torch.rand(4, 6)
    cnn = network(further_vectors=further)
    torch.testing.assert_close(cnn.vectors(torch.tensor([[29, 30, 33]]))[0, 1:], further[[0, 3]])
    cnn.train()(torch.tensor([[1, 30, 31]])).sum().backward()
    assert cnn.further.weight.grad is None


def test_further_words_are_scored_like_the_others():
    torch.manual_seed(0)
    vectors = torch.rand(30, 6) - 0.5
    whole, halved = network(), network(further_vectors=vectors[20:])
    halved.embedding = torch.nn.Embedding.from_pretrained(vectors[:20], padding_idx=0)
    state = {**halved.state_dict(), "embedding.weight": vectors}
    del state["further.weight"]
    whole.load_state_dict(state)
    torch.testing.assert_close(fast(halved, texts()), fast(whole, texts()))


def test_the_matrix_is_copied():
    matrix = torch.rand(30, 6)
    before = matrix.clone()
    cnn = KimCNN(matrix, 2)
    with torch.no_grad():
        cnn.embedding.weight += 1
    torch.testing.assert_close(matrix, before)


def test_scoring_does_not_depend_on_order_or_neighbours():
    cnn, ragged = network(), texts()
    order = np.random.default_rng(1).permutation(len(ragged))
    together = fast(cnn, ragged)
    torch.testing.assert_close(fast(cnn, ragged.take(order)), together[torch.from_numpy(order)])
    for row in itertools.islice(range(len(ragged)), 0, None, 7):
        torch.testing.assert_close(fast(cnn, ragged.take(range(row, row + 1)))[0], together[row])
