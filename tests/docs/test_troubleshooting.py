"""The messages on the page on troubleshooting are those that the code gives, word for word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import smalltext_core as st
from architecture import packages
from docs.pages import blocks
from smalltext_cli import data_checks
from smalltext_cli.readers import Reader
from smalltext_cli.training_run import TrainingRun
from smalltext_core.errors import SmallTextError

PAGE = packages.TOP / "docs" / "how-to" / "troubleshooting.md"
_INSTALLED = re.compile(r"Installed: [\w, :-]+\.")


def comparable(message):
    """Return a message without the names of installed classifiers."""
    return _INSTALLED.sub("Installed: ...", message)


MESSAGES = [comparable(block.content.strip()) for block in blocks(PAGE) if block.language == "text"]


def reading(content, name="mails.csv", **options):
    """Return what reads a file of labelled texts in the working directory."""

    def read():
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        Reader("text", "label", **options).read(name)

    return read


def changed_model():
    train_set = st.TextDataset(["a fine film", "a dull film"] * 3, [1, 0] * 3)
    st.create_classifier("sklearn", num_classes=2, seed=1).fit(train_set).save("model")
    Path("model/smalltext.json").write_text("{}")
    st.load("model")


def model_with_code():
    Path("encoder").mkdir()
    config = {"model_type": "bert", "auto_map": {"AutoConfig": "configuration.Config"}}
    Path("encoder/config.json").write_text(json.dumps(config))
    train_set = st.TextDataset(["a fine film", "a dull film"], [1, 0])
    st.create_classifier("transformers", num_classes=2, model="encoder").fit(train_set)


def many_labels():
    labels = [str(number) for number in range(120)]
    data_checks.class_names(labels, "mails.csv", "id", multi_label=False, max_classes=None)


CASES = {
    "a column": reading("text,class\nwin a prize,spam\n"),
    "a label": reading("text,label\nwin a prize,spam\nlunch at one,\n"),
    "fields": reading("text,label\nwin a prize, now,spam\n"),
    "an encoding": reading("text,label\nGrüße aus Köln,ham\n".encode("latin-1")),
    "UTF-16": reading("text,label\nwin a prize,spam\n".encode("utf-16")),
    "JSON in CSV": reading('{"text": "win a prize", "label": "spam"}\n'),
    "an extension": reading("text,label\nwin a prize,spam\n", "mails.dat"),
    "a list": reading('{"text": "win a prize", "label": ["spam", "ad"]}\n', "mails.jsonl"),
    "labels of an export": reading(
        json.dumps({"id": 1, "text": "win a prize", "label": ["spam", "ad"], "Comments": []}), "tickets.jsonl"
    ),
    "a cell of Label Studio": reading('text,label\nwin a prize,"{""choices"": [""spam"", ""ad""]}"\n'),
    "columns of an export": reading(
        '[{"id": 1, "annotation_id": 9, "annotator": 1, "text": "a", "channel": "mail", "topic": "bug"}]',
        "tickets.json",
    ),
    "many classes": many_labels,
    "an unknown classifier": lambda: st.create_classifier("setfti", num_classes=2),
    "a parameter": lambda: TrainingRun("sklearn", "mails.csv", Reader("text", "label"), ["clas_weight=balanced"]),
    "labels without the option": lambda: TrainingRun("sklearn", "a.csv", Reader("text", "label", separator=";")),
    "no model folder": lambda: st.load("mails-model"),
    "a changed model": changed_model,
    "a model with code": model_with_code,
}


@pytest.mark.parametrize("case", CASES)
def test_the_page_has_the_message(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SmallTextError) as raised:
        CASES[case]()
    assert comparable(str(raised.value)) in MESSAGES


def test_every_message_of_the_page_is_given_by_the_code():
    assert len(MESSAGES) == len(CASES)
