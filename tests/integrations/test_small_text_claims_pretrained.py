"""What the page for people who come from small-text says of both libraries, for transformers and SetFit."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers

from integrations.page import says
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_setfit import SetFitClassification
from smalltext_testing.sample_data import training_texts
from smalltext_transformers import FineTuningArguments, TransformerBasedClassification
from transformers_backend.tiny_models import tiny_model

small_text = pytest.importorskip("small_text")


pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

KNOWN = training_texts(2, multi_label=False)


def their_texts(length=24):
    """Return the texts as small-text's transformers take them, padded to a length."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model())
    encoded = tokenizer(
        list(KNOWN.x), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    rows = [
        (encoded["input_ids"][row : row + 1], encoded["attention_mask"][row : row + 1], int(label))
        for row, label in enumerate(KNOWN.y)
    ]
    return small_text.TransformersDataset(rows, target_labels=np.arange(2))


def theirs(**parameters):
    arguments = small_text.TransformerModelArguments(
        parameters.pop("model", tiny_model()),
        model_loading_strategy=small_text.ModelLoadingStrategy.ALWAYS_LOCAL,
    )
    quick = {"num_epochs": 1, "mini_batch_size": 4, "device": "cpu", "verbosity": 0}
    return small_text.TransformerBasedClassification(arguments, 2, **{**quick, **parameters})


def ours(**parameters):
    quick = {"num_epochs": 1, "mini_batch_size": 4, "seed": 1}
    return TransformerBasedClassification(tiny_model(), 2, **{**quick, **parameters})


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted classifier of either library; no test may change them."""
    return theirs().fit(their_texts()), ours().fit(KNOWN)


def test_an_optimizer_without_a_scheduler(fitted):
    assert says("An optimizer without a scheduler fails there; here its rate stays constant.")
    classifier = copy.deepcopy(fitted[0])
    with pytest.raises(AttributeError, match="step"):
        classifier.fit(their_texts(), optimizer=torch.optim.SGD(classifier.model.parameters(), lr=0.1))
    classifier = ours().fit(KNOWN, optimizer=lambda network: torch.optim.SGD(network.parameters(), lr=0.1))
    assert {record["learning_rate"] for record in classifier.history_} == {0.1}


def test_padding_in_embeddings(fitted):
    assert says('`embed(embedding_method="avg")` includes padding in the average there')
    short, long = (fitted[0].embed(their_texts(length), pbar=None) for length in (24, 60))
    assert np.abs(short - long).max() > 0.01


@pytest.mark.skipif(int(transformers.__version__.partition(".")[0]) < 5, reason="it works before transformers 5")
def test_datasets_from_arrays():
    assert says("which fails with transformers 5 and pads every text to `max_length`")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model())
    with pytest.raises(AttributeError, match="encode_plus"):
        small_text.TransformersDataset.from_arrays(KNOWN.x, KNOWN.y, tokenizer, target_labels=np.arange(2))


def test_rates_of_layers(monkeypatch):
    assert says("`base_lr` is the rate of the uppermost layer (ignored there, where the classifier's `lr` counts)")
    assert says("`layerwise_gradient_decay=-1` switches decay off (negative learning rates there)")
    seen = []
    begin = torch.optim.AdamW.__init__

    def spy(self, groups, *given, **further):
        groups = list(groups)
        seen.extend(group["lr"] for group in groups if "lr" in group)
        begin(self, groups, *given, **further)

    monkeypatch.setattr(torch.optim.AdamW, "__init__", spy)
    theirs(fine_tuning_arguments=small_text.FineTuningArguments(0.5, 0.9), lr=2e-5).fit(their_texts())
    assert 0 < max(seen) <= 2e-5
    seen.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", lambda *given, **further: None)  # which negative rates would fail
        theirs(fine_tuning_arguments=small_text.FineTuningArguments(0.5, -1), lr=2e-5).fit(their_texts())
    assert min(seen) == -2e-5
    seen.clear()
    ours(fine_tuning_arguments=FineTuningArguments(0.5, -1)).fit(KNOWN)
    assert set(seen) == {0.5}


def test_the_last_model(monkeypatch):
    assert says("False is ignored there; here the last model is kept")
    loaded, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *given, **further: loaded.append(1) or load(*given, **further))
    theirs(num_epochs=2, model_selection=False).fit(their_texts())
    assert loaded
    for wanted in (True, False):
        classifier = ours(num_epochs=3, model_selection=wanted).fit(KNOWN)
        assert any(record["best"] for record in classifier.history_) == wanted


class Counting:
    """Says to stop from the second check on, and counts the checks."""

    checks = 0

    def check_early_stop(self, epoch, measured_values):
        self.checks += 1
        return self.checks == 2


def test_validations_within_an_epoch():
    assert says("in small-text one more is possible, and a stop within an epoch is lost at its end")
    often = {"num_epochs": 3, "validations_per_epoch": 3, "mini_batch_size": 1}
    forgetful, handler = Counting(), Counting()
    theirs(**often).fit(their_texts(), early_stopping=forgetful)
    ours(**often).fit(KNOWN, early_stopping=handler)
    assert forgetful.checks > 2
    assert handler.checks == 2


def test_files_that_are_there(monkeypatch):
    assert says("in small-text only to the model.")
    asked = []
    for kind in ("AutoConfig", "AutoTokenizer"):
        loader = getattr(transformers, kind)
        load = loader.from_pretrained

        def spy(*given, _load=load, **further):
            asked.append(further.get("local_files_only"))
            return _load(*given, **further)

        monkeypatch.setattr(loader, "from_pretrained", spy)
    theirs().fit(their_texts())
    assert asked
    assert not any(asked)


def test_setfit_with_numpy_2():
    assert says('It runs with numpy 2, where small-text 1.4.1 raises "high is out of bounds for int64" in `fit`.')
    if int(np.__version__.partition(".")[0]) < 2:
        pytest.skip("numpy 1 takes the number")
    with pytest.raises(ValueError, match="out of bounds"):
        their_setfit().fit(plain_texts())
    our_setfit().fit(KNOWN, setfit_train_kwargs={"num_epochs": 0})


def plain_texts():
    return small_text.TextDataset(list(KNOWN.x), KNOWN.y, target_labels=np.arange(2))


def their_setfit(**parameters):
    arguments = small_text.SetFitModelArguments(tiny_sentence_transformer())
    return small_text.SetFitClassification(arguments, 2, device="cpu", **parameters)


def our_setfit(**parameters):
    return SetFitClassification(tiny_sentence_transformer(), 2, seed=1, **parameters)


def test_when_setfit_loads_its_model():
    assert says("The pretrained model is loaded by `fit`; there by the constructor")
    assert their_setfit().model is not None
    SetFitClassification("/no such folder", 2)


def test_the_differentiable_head_of_setfit():
    assert says("`use_differentiable_head=True` works; there `fit` raises NotImplementedError.")
    with pytest.raises(NotImplementedError):
        their_setfit(use_differentiable_head=True).fit(plain_texts())
    once = {"num_epochs": (0, 1)}
    our_setfit(use_differentiable_head=True).fit(KNOWN, setfit_train_kwargs=once).validate(KNOWN)


def test_validation_and_weights_of_setfit():
    assert says("`validate` works for both heads; there UnsupportedOperationException.")
    assert says("`fit` of SetFit has no `weights` | works everywhere; SetFit takes `weights` by keyword")
    with pytest.raises(small_text.exceptions.UnsupportedOperationException):
        their_setfit().validate(plain_texts())
    with pytest.raises(TypeError, match="weights"):
        their_setfit().fit(plain_texts(), weights=np.ones(len(KNOWN)))
    no_epochs = {"num_epochs": 0}
    classifier = our_setfit().fit(KNOWN, setfit_train_kwargs=no_epochs, weights=np.ones(len(KNOWN)))
    assert len(classifier.validate(KNOWN)) == 2


def test_texts_without_labels_for_setfit():
    assert says("A text marked as unlabelled is refused; there -1 becomes a class.")
    with pytest.raises(InvalidInputError):
        our_setfit().fit(TextDataset(KNOWN.x, [-1, *KNOWN.y[1:]]))
