import copy

import numpy as np
import pytest
import torch
from torch.nn import functional

from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError, NotFittedError
from smalltext_kimcnn import KimCNNClassifier, PytorchTextClassificationDataset

TEXTS = TextDataset(["a fine film", "dull", "", "so fine , so dull"])


def test_pooled_features_are_the_input_of_the_last_layer(fitted):
    pooled = fitted.embed(TEXTS)
    assert (pooled.shape, pooled.dtype) == ((4, 12), np.float32)
    with torch.no_grad():
        logits = copy.deepcopy(fitted.model.last).cpu()(torch.from_numpy(pooled))
    np.testing.assert_allclose(logits.softmax(1).numpy(), fitted.predict_proba(TEXTS), rtol=1e-5)


def gradients_by_backward_passes(classifier, data_set):
    """The reference for the closed form: one backward pass for each text and class."""
    network, rows = copy.deepcopy(classifier.model).cpu(), []
    for pooled in torch.from_numpy(classifier.embed(data_set)):
        row = []
        for label in range(classifier.num_classes):
            logits = functional.linear(pooled, network.last.weight, network.last.bias)
            if classifier.multi_label:
                target = torch.eye(classifier.num_classes)[label]
                loss = functional.binary_cross_entropy_with_logits(logits, target)
            else:
                loss = functional.cross_entropy(logits, torch.tensor(label))
            (gradient,) = torch.autograd.grad(loss, network.last.weight)
            row.append(gradient.flatten())
        rows.append(torch.cat(row))
    return torch.stack(rows).numpy()


def test_gradient_embeddings_are_those_of_backward_passes(fitted):
    gradients = fitted.embed(TEXTS, embedding_method="gradient")
    assert gradients.shape == (4, 2 * 2 * 12)
    np.testing.assert_allclose(gradients, gradients_by_backward_passes(fitted, TEXTS), atol=1e-6)


def test_gradient_embeddings_of_several_labels_are_those_of_backward_passes(labelled_twice):
    classifier = KimCNNClassifier(2, True, num_epochs=1, embedding_dim=8, out_channels=4, seed=1)
    classifier.fit(labelled_twice)
    gradients = classifier.embed(TEXTS, embedding_method="gradient")
    np.testing.assert_allclose(gradients, gradients_by_backward_passes(classifier, TEXTS), atol=1e-6)


@pytest.mark.parametrize("method", ["pooled", "gradient"])
def test_probabilities_come_along_with_the_embeddings(fitted, method):
    _, proba = fitted.embed(TEXTS, return_proba=True, embedding_method=method)
    np.testing.assert_array_equal(proba, fitted.predict_proba(TEXTS))


@pytest.mark.parametrize(("method", "width"), [("pooled", 12), ("gradient", 48)])
def test_no_texts_have_embeddings_of_the_right_shape(fitted, method, width):
    embeddings, proba = fitted.embed(TextDataset([]), return_proba=True, embedding_method=method)
    assert embeddings.shape == (0, width)
    assert proba.shape == (0, 2)


def test_many_texts_are_embedded_in_their_order(fitted):
    many = TextDataset(TEXTS.x * 300)
    pooled, alone = (
        fitted.embed(many, embedding_method="gradient"),
        fitted.embed(TEXTS, embedding_method="gradient"),
    )
    np.testing.assert_allclose(pooled, np.tile(alone, (300, 1)), atol=1e-6)


def test_token_ids_and_plain_texts_have_the_same_embeddings(fitted):
    vocabulary = fitted._state.encoder.vocabulary
    encoded = PytorchTextClassificationDataset.from_texts(TEXTS.x, vocabulary=vocabulary)
    np.testing.assert_array_equal(fitted.embed(encoded), fitted.embed(TEXTS))


def test_an_unknown_method_is_refused(fitted):
    with pytest.raises(InvalidInputError, match="embedding_method: got 'mean'; allowed: 'pooled' or 'gradient'"):
        fitted.embed(TEXTS, embedding_method="mean")


def test_embedding_before_fitting_is_refused():
    with pytest.raises(NotFittedError, match="KimCNNClassifier"):
        KimCNNClassifier(2).embed(TEXTS)
