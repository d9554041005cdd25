"""Training with setfit's trainer: the same results, at lower cost, and without its pitfalls."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

import fork_server
from setfit_backend.conftest import QUICK
from setfit_backend.tiny_sentence_transformers import tiny_sentence_transformer
from smalltext_setfit import _trainer
from smalltext_setfit._model import SentenceClassifier, UniqueTexts, load_pretrained_body, make_network
from smalltext_setfit._trainer import MAX_BATCH_COST, PairBatches, PairLoss, group_by_length, losses
from smalltext_setfit.arguments import ModelKwargs, SetFitModelArguments
from smalltext_setfit.sampler import PairSampler
from smalltext_torch.device import Precision
from smalltext_torch.tokenization import SentenceTokenizer


@pytest.mark.parametrize("max_cost", [MAX_BATCH_COST, 64], ids=["kept", "computed again"])
def test_the_gradient_is_that_of_the_loss_over_every_text_of_every_pair(topics, monkeypatch, max_cost):
    monkeypatch.setattr(_trainer, "MAX_BATCH_COST", max_cost)
    body = load_pretrained_body(SetFitModelArguments(tiny_sentence_transformer()), ModelKwargs()).eval()
    tokenizer = SentenceTokenizer.of(body, 64)
    network, texts = make_network(body, tokenizer, 2, normalize=False), UniqueTexts.of(topics, tokenizer)
    sampler = PairSampler(topics.y, None, np.random.default_rng(0), num_iterations=2)
    batches = PairBatches(sampler, texts, 32)
    (pairs,) = PairSampler(topics.y, None, np.random.default_rng(0), num_iterations=2).epoch(48)
    features = next(iter(PairBatches(sampler, texts, 48)))
    assert len(batches) == 2
    assert sum(len(ids) for name, ids in features.items() if name.endswith("_input_ids")) == len(topics)

    def gradients(loss):
        body.zero_grad()
        loss.backward()
        return {name: p.grad.clone() for name, p in body.named_parameters() if p.grad is not None}

    cpu = Precision(torch.device("cpu"))
    groups = [
        {name.partition("_")[2]: value for name, value in features.items() if name.startswith(f"group{number}_")}
        for number in range(len(features))
        if f"group{number}_input_ids" in features
    ]
    ours = gradients(PairLoss(network, "CosineSimilarityLoss", cpu)(groups, features["label"]))
    columns = [[topics.x[row] for row in rows] for rows in (pairs.first, pairs.second)]
    theirs = gradients(
        losses.CosineSimilarityLoss(body)(
            [body.tokenizer(column, padding=True, return_tensors="pt") for column in columns],
            torch.from_numpy(pairs.labels),
        )
    )
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-5, rtol=1e-3)


def test_a_small_vocabulary_trains_the_same_weights(make, topics, monkeypatch):
    small = make(device="cpu").fit(topics).model.body.state_dict()
    monkeypatch.setattr(SentenceClassifier, "word_embedding", None)
    whole = make(device="cpu").fit(topics).model.body.state_dict()
    before = load_pretrained_body(SetFitModelArguments(tiny_sentence_transformer()), ModelKwargs()).state_dict()
    assert small.keys() == whole.keys()
    for name, weights in whole.items():
        torch.testing.assert_close(small[name], weights, atol=1e-6, rtol=1e-4)
    name = next(name for name in before if name.endswith("word_embeddings.weight"))
    used = (whole[name] - before[name]).abs().amax(dim=1) > 1e-4
    assert 0 < used.sum() < len(used) / 2
    # Weight decay also applies to embeddings that no text uses.
    torch.testing.assert_close(small[name][~used], whole[name][~used], atol=1e-7, rtol=1e-6)


def test_groups_of_similar_length_contain_all_texts_once():
    lengths = np.sort(np.random.default_rng(0).integers(3, 300, 40))
    groups = group_by_length(lengths)
    assert [row for group in groups for row in range(group.start, group.stop)] == list(range(40))
    padded = sum((group.stop - group.start) * lengths[group.stop - 1] for group in groups)
    assert padded < 40 * lengths[-1] / 1.3
    assert group_by_length(np.full(8, 20)) == [slice(0, 8)]


def test_groups_of_long_texts_have_few_tokens():
    lengths = np.array([20] * 8 + [512] * 10 + [10_000])
    groups = group_by_length(lengths)
    assert [row for group in groups for row in range(group.start, group.stop)] == list(range(19))
    assert [group.stop - group.start for group in groups] == [8, 2, 4, 4, 1]


class Steps(TrainerCallback):
    """Counts steps, and raises an error at a given one."""

    def __init__(self, fail_at=None):
        self.count = 0
        self.fail_at = fail_at

    def on_step_end(self, *_, **__):
        self.count += 1
        if self.count == self.fail_at:
            raise RuntimeError("enough")


def test_callbacks_of_the_caller_are_called(make, topics):
    steps = Steps()
    make(trainer_kwargs={"callbacks": [steps]}).fit(topics)
    assert steps.count == 2 * QUICK["num_iterations"] * 12 / 16


def test_max_steps_are_made(make, topics):
    steps = Steps()
    make(trainer_kwargs={"callbacks": [steps], "max_steps": 17}).fit(topics)
    assert steps.count == 17


def test_max_steps_take_precedence_over_epochs(make, topics):
    none, one = (
        make(trainer_kwargs={"max_steps": 5, "num_epochs": (epochs, 16)}).fit(topics).embed(topics)
        for epochs in (0, 1)
    )
    np.testing.assert_array_equal(none, one)
    assert (none != make(trainer_kwargs={"num_epochs": (0, 16)}).fit(topics).embed(topics)).any()


def test_failed_training_changes_nothing(make, topics):
    steps = Steps()
    classifier = make(trainer_kwargs={"callbacks": [steps]}).fit(topics)
    proba, state = classifier.predict_proba(topics), torch.get_rng_state()
    steps.fail_at = steps.count + 3
    with pytest.raises(RuntimeError, match="enough"):
        classifier.fit(topics)
    np.testing.assert_array_equal(classifier.predict_proba(topics), proba)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_state_of_the_optimizer_is_freed_when_fit_returns(make, topics):
    kept = []

    class Watching(TrainerCallback):
        def on_step_end(self, *_, **given):
            kept[:] = [weakref.ref(given["optimizer"])]

    gc.disable()
    try:
        make(trainer_kwargs={"callbacks": [Watching()]}).fit(topics)
        assert kept[0]() is None
    finally:
        gc.enable()


def test_nothing_is_printed_or_logged_and_no_file_appears(make, topics, capfd, caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    make().fit(topics).predict(topics)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not list(tmp_path.iterdir())


def test_one_progress_bar_shows_all_of_the_training(make, topics, monkeypatch):
    bars = []
    progress_bar = _trainer.progress_bar

    def watched(total, description, unit):
        bars.append(progress_bar(total, description, unit))
        return bars[-1]

    monkeypatch.setattr(_trainer, "progress_bar", watched)
    monkeypatch.setenv("SMALL_TEXT_PROGRESS_BARS", "1")
    for options in ({}, {"use_differentiable_head": True}, {"use_differentiable_head": True, "end_to_end": True}):
        end_to_end = {"end_to_end": options.pop("end_to_end", False)}
        make(**options).fit(topics, setfit_train_kwargs=end_to_end)
    assert [(bar.desc, bar.n) for bar in bars] == [("train", bar.total) for bar in bars]
    assert len(bars) == 3


def test_a_validation_set_has_no_separate_progress_bar(make, topics, monkeypatch, capsys):
    monkeypatch.setenv("SMALL_TEXT_PROGRESS_BARS", "1")
    make().fit(topics, validation_set=topics)
    shown = capsys.readouterr().err
    assert "train" in shown
    assert "validate" not in shown


def in_new_process(code, folder):
    """Run code in a process that imports all libraries itself, which takes ten seconds."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=folder, check=True)


def in_fork(code, folder):
    """Run code in a process in which only the libraries are imported."""
    done = fork_server.run(["-c", code], cwd=folder)
    done.check_returncode()
    return done


@pytest.mark.slow
@pytest.mark.parametrize("run", [in_fork, pytest.param(in_new_process, marks=pytest.mark.nightly)])
def test_importing_loading_and_training_leave_the_process_unchanged(fitted, tmp_path, run):
    fitted.save(tmp_path / "saved")
    (tmp_path / "work").mkdir()
    code = f"""
import json, os, random, sys, warnings
import numpy as np
from smalltext_core import TextDataset, load
import torch, transformers, sentence_transformers, sklearn.linear_model
imported = "setfit" in sys.modules
from smalltext_setfit import SetFitClassification
warnings.simplefilter("error", DeprecationWarning)
before = list(warnings.filters), dict(os.environ), random.getstate(), np.random.get_state()[1].tolist()
verbosity = transformers.logging.get_verbosity()
load({str(tmp_path / "saved")!r}).predict(TextDataset(["goal"]))
without_setfit = "setfit" not in sys.modules or imported
SetFitClassification({tiny_sentence_transformer()!r}, 2, trainer_kwargs={QUICK!r}).fit(
    TextDataset(["goal team", "oven butter"] * 3, [0, 1] * 3))
after = list(warnings.filters), dict(os.environ), random.getstate(), np.random.get_state()[1].tolist()
print(json.dumps([one == other for one, other in zip(before, after)]
    + [verbosity == transformers.logging.get_verbosity(), without_setfit, os.listdir()]))
"""
    done = run(code, tmp_path / "work")
    assert json.loads(done.stdout) == [True, True, True, True, True, True, []]
    assert done.stderr == b""


def test_a_classifier_for_the_processor_is_trained_there_where_there_is_an_accelerator(make, topics):
    classifier = make(device="cpu").fit(topics)
    assert {parameter.device.type for parameter in classifier.model.parameters()} == {"cpu"}
