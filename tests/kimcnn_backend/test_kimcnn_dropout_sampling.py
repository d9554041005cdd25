import copy

import numpy as np
import pytest
import torch

from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_kimcnn import KimCNNClassifier, inference

TEXTS = TextDataset(["the red one", "blue", "a green one of 3", ""])


def test_each_text_has_the_requested_number_of_samples(learned):
    samples = learned.predict_proba(TEXTS, dropout_sampling=5)
    assert (samples.shape, samples.dtype) == ((4, 5, 3), np.float32)
    np.testing.assert_allclose(samples.sum(axis=2), 1, atol=1e-6)


def test_each_sample_has_its_own_mask(learned):
    samples = learned.predict_proba(TEXTS, dropout_sampling=6)
    assert all(len(np.unique(text[:, 0])) == 6 for text in samples)


def test_equal_texts_have_separate_masks(learned):
    one, other = learned.predict_proba(TextDataset(["red", "red"]), dropout_sampling=3)
    assert (one != other).any()


def test_samples_are_distributed_as_passes_through_the_whole_network_are(learned):
    ids = torch.tensor(learned._state.encoder.vocabulary.encode(["the red one"])[0][None])
    network = copy.deepcopy(learned.model).cpu()
    with torch.no_grad():
        features = network.pool(ids).expand(4000, -1)
        torch.manual_seed(0)
        whole = network.last(torch.nn.functional.dropout(features, 0.5)).softmax(1).numpy()
    samples = learned.predict_proba(TextDataset(["the red one"]), dropout_sampling=4000)[0]
    np.testing.assert_allclose(samples.mean(axis=0), whole.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(samples.std(axis=0), whole.std(axis=0), atol=0.02)


def test_with_a_seed_every_call_draws_the_same_samples(learned):
    one, other = (learned.predict_proba(TEXTS, dropout_sampling=3) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_without_a_seed_calls_draw_other_samples(films):
    unseeded = KimCNNClassifier(2, num_epochs=1, embedding_dim=8, out_channels=4).fit(films)
    one, other = (unseeded.predict_proba(films, dropout_sampling=3) for _ in range(2))
    assert (one != other).any()


def test_sampling_does_not_change_the_global_random_state(learned):
    before = torch.get_rng_state()
    learned.predict_proba(TEXTS, dropout_sampling=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_while_sampling_leaves_the_network_in_evaluation_mode(learned, monkeypatch):
    monkeypatch.setattr(inference.functional, "dropout", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        learned.predict_proba(TEXTS, dropout_sampling=3)
    assert not any(module.training for module in learned.model.modules())


def test_samples_of_no_texts_have_the_right_shape(learned):
    assert learned.predict_proba(TextDataset([]), dropout_sampling=4).shape == (0, 4, 3)


def test_few_features_at_once_give_samples_of_the_same_shape(learned, monkeypatch):
    monkeypatch.setattr(inference, "_NUMBERS_AT_ONCE", 1)
    samples = learned.predict_proba(TEXTS, dropout_sampling=4)
    assert samples.shape == (4, 4, 3)


def test_several_labels_are_sampled_too(labelled_twice):
    several = KimCNNClassifier(2, True, num_epochs=1, embedding_dim=8, out_channels=4, seed=1).fit(labelled_twice)
    samples = several.predict_proba(labelled_twice, dropout_sampling=3)
    assert samples.shape == (24, 3, 2)
    assert ((samples >= 0) & (samples <= 1)).all()


@pytest.mark.parametrize("samples", [0, -1, 1.5])
def test_a_number_of_samples_below_1_is_refused(learned, samples):
    with pytest.raises(InvalidInputError, match="dropout_sampling"):
        learned.predict_proba(TEXTS, dropout_sampling=samples)
