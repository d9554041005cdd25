"""What the page for people who come from small-text says of both libraries, for KimCNN and its training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from integrations.page import says
from integrations.toy_reviews import LABELS, kimcnn, of_words, our_kimcnn, our_texts
from smalltext_torch import ModelSelection

small_text = pytest.importorskip("small_text")

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*loss.*:UserWarning"),
]


def test_the_embedding_matrix():
    assert says("required there, and trained in place")
    with pytest.raises(ValueError, match="embedding matrix"):
        small_text.KimCNNClassifier(2).fit(of_words())
    matrix = torch.rand(6, 16)
    before = matrix.clone()
    kimcnn(embedding_matrix=matrix, lr=1.0, mini_batch_size=5).fit(of_words())
    assert (matrix != before).any()


@pytest.mark.slow
def test_what_is_learned_with_the_default_optimizer():
    assert says("small-text's Adadelta at 0.001 makes no progress in ten epochs.")
    torch.manual_seed(0)
    alike = {"num_epochs": 10, "out_channels": 50, "mini_batch_size": 2}
    theirs = kimcnn(**alike).fit(of_words())
    assert np.abs(theirs.predict_proba(of_words()) - 0.5).max() < 0.15
    ours = our_kimcnn(**alike).fit(our_texts())
    assert (ours.predict(our_texts()) == LABELS).all()
    assert np.abs(ours.predict_proba(our_texts()) - 0.5).min() > 0.15


def test_the_last_window():
    assert says(
        "the last window of words is used too; in small-text, it never is, and a length close to a kernel height "
        "fails"
    )
    with pytest.raises(RuntimeError):
        kimcnn(max_seq_len=5).fit(of_words())
    our_kimcnn(max_seq_len=5).fit(our_texts())
    theirs = kimcnn().fit(of_words()).model.eval()
    tokens = torch.full((1, 10), 4)
    tokens[0, -1] = 2
    assert torch.equal(theirs(tokens), theirs(torch.full((1, 10), 4)))
    ours = our_kimcnn().fit(our_texts()).model.eval()
    assert not torch.equal(ours(tokens), ours(torch.full((1, 10), 4)))


def test_the_length_of_weights():
    assert says("weights of the last layer are limited to the length 3, as in the paper; small-text does not.")
    theirs = kimcnn(num_epochs=3).fit(of_words())
    theirs.fit(of_words(), optimizer=torch.optim.Adam(theirs.model.parameters(), lr=10.0))
    assert theirs.model.fc.weight.norm(dim=1).max() > 3
    ours = our_kimcnn(lr=10.0, num_epochs=3).fit(our_texts())
    longest = max(
        value.norm(dim=1).max() for name, value in ours.model.named_parameters() if name == "last.weight"
    )
    assert longest <= 3 * (1 + 1e-5)


def test_gradients_as_embeddings():
    assert says('`embed(embedding_method="gradient")` fails there with torch 2 and works here')
    with pytest.raises(AttributeError):
        kimcnn().fit(of_words()).embed(of_words(), embedding_method="gradient", pbar=None)
    assert len(our_kimcnn().fit(our_texts()).embed(our_texts(), embedding_method="gradient")) == 20


def test_handlers_of_model_selection():
    assert says("There every handler is replaced with the default one, silently.")

    def counting(library_class):
        class Counting(library_class):
            calls = 0

            def add_model(self, *given, **further):
                type(self).calls += 1
                return super().add_model(*given, **further)

        return Counting

    theirs, ours = counting(small_text.ModelSelection), counting(ModelSelection)
    kimcnn().fit(of_words(), model_selection=theirs())
    our_kimcnn().fit(our_texts(), model_selection=ours())
    assert (theirs.calls, ours.calls) == (0, 1)


def test_checkpoints(monkeypatch):
    assert says("There every epoch writes model and optimizer, and with 'none' as well")
    saved, save = [], torch.save
    monkeypatch.setattr(torch, "save", lambda *given, **further: (saved.append(1), save(*given, **further)))
    kimcnn(num_epochs=3).fit(of_words(), model_selection="none")
    assert len(saved) == 6
    our_kimcnn(num_epochs=3).fit(our_texts())
    assert len(saved) == 6


def test_models_that_reached_a_threshold():
    assert says("can be chosen; there they never are, even if they are the best")
    measured = [{"val_loss": loss, "val_acc": 0.5, "train_loss": 1.0, "train_acc": 0.5} for loss in (0.9, 0.1)]
    theirs = small_text.ModelSelection()
    for number, (values, stopped) in enumerate(zip(measured, (False, True), strict=True)):
        fields = {theirs.FIELD_NAME_EARLY_STOPPING: stopped}
        theirs.add_model(f"{number}", f"path {number}", values, fields=fields)
    assert theirs.select().model_id == "0"
