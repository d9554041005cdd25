"""The texts that a model was trained on are recognised when it is scored on them."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest

from smalltext_cli.console import InputFileError
from smalltext_cli.training_texts import TRAINING_TEXTS, TrainingTexts
from smalltext_core.saving import Manifest

LISTED = Manifest("sklearn", "smalltext-sklearn", "0.1.0", {}, None, {TRAINING_TEXTS: "0" * 64})


def test_evaluate_warns_of_texts_that_were_trained_on_with_their_number(smalltext, model, mails, tmp_path):
    texts = pl.read_csv(mails)["text"].to_list()
    data = tmp_path / "test.csv"
    rows = {"text": [f" {texts[0].upper()} ", texts[1], "lunch for nobody else"], "label": ["spam", "spam", "ham"]}
    pl.DataFrame(rows).write_csv(data)
    ended = smalltext("evaluate", model, data, "--json")
    assert "test.csv: the model was trained on 2 of 3 texts, so the scores are too optimistic." in ended.err
    assert json.loads(ended.out)["trained_on_texts"] == 2
    data.write_text("text,label\nlunch for nobody else,ham\n")
    ended = smalltext("evaluate", model, data, "--json")
    assert "was trained on" not in ended.err
    assert json.loads(ended.out)["trained_on_texts"] == 0


def test_held_out_texts_of_a_model_without_refit_are_no_training_texts(smalltext, mails, tmp_path):
    smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--no-refit", "--seed", 1)
    seen = json.loads(smalltext("evaluate", tmp_path / "m", mails, "--json").out)["trained_on_texts"]
    assert seen == 96


def test_a_model_without_hashes_prints_nothing(smalltext, model, mails, tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(model, folder)
    manifest = json.loads((folder / "smalltext.json").read_text("utf-8"))
    del manifest["files"][TRAINING_TEXTS]
    (folder / "smalltext.json").write_text(json.dumps(manifest), "utf-8")
    ended = smalltext("evaluate", folder, mails, "--json")
    assert "was trained on" not in ended.err
    assert json.loads(ended.out)["trained_on_texts"] is None


def test_a_folder_holds_no_text_and_the_same_data_gives_the_same_bytes(model, mails):
    texts = pl.read_csv(mails)["text"].to_list()
    content = (model / TRAINING_TEXTS).read_bytes()
    assert content == TrainingTexts.of(reversed(texts)).to_bytes()
    assert not any(text.encode() in content for text in texts)
    assert len(content) < 60 + 8 * len(texts)


def test_hashes_come_back_as_they_were_written(tmp_path):
    known = TrainingTexts.of(["buy now", "", "\ud800", "e\u0301"])
    (tmp_path / TRAINING_TEXTS).write_bytes(known.to_bytes())
    read = TrainingTexts.from_model(str(tmp_path), LISTED)
    assert read.contain(["BUY\tnow", " ", "\ud800", "É", "buy"]).tolist() == [True, True, True, True, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"12345678",
        lambda content: b"x" + content[1:],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: content[:-16] + content[-8:] + content[-16:-8],
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, change):
    content = TrainingTexts.of(["a", "b", "c"]).to_bytes()
    (tmp_path / TRAINING_TEXTS).write_bytes(change(content))
    with pytest.raises(InputFileError, match="this does not hold hashes of texts"):
        TrainingTexts.from_model(str(tmp_path), LISTED)
