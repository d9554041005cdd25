"""What the shell completes."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from smalltext_cli import completion


def test_classifiers_are_completed_with_what_they_are():
    names = [name for name, summary in completion.classifier_names("skl") if summary]
    assert names == ["sklearn"]


def test_models_come_first_and_other_folders_lead_to_more(model, tmp_path, monkeypatch):
    (tmp_path / "mails").symlink_to(model)
    (tmp_path / "a-folder").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    assert completion.model_folders("") == ["mails", "a-folder/"]
    assert completion.model_folders("m") == ["mails"]
    assert completion.model_folders(f"{tmp_path}/m") == [f"{tmp_path}/mails"]
    assert completion.model_folders("nowhere/") == []


def test_parameters_of_the_classifier_that_is_given_are_completed():
    for params, arguments in (({"classifier": "sklearn"}, ["mails.csv"]), ({}, ["sklearn"])):
        context = SimpleNamespace(params=params, args=arguments)
        assert [name for name, _ in completion.settings(context, "cal")] == ["calibration="]
    assert completion.settings(SimpleNamespace(params={"classifier": None}, args=[]), "") == []


def test_the_last_name_of_a_list_is_completed():
    assert "embeddings,sklearn" in [name for name, _ in completion.listed_classifiers("embeddings,sk")]
    assert [name for name, _ in completion.listed_classifiers("sklearn,sk")] == []
    found = [name for name, _ in completion.listed_strategies("random,breaking")]
    assert found == ["random,breaking-ties"]


def test_parameters_of_several_classifiers_are_completed_by_name():
    assert [name for name, _ in completion.named_settings("skl")] == ["sklearn."]
    assert [name for name, _ in completion.named_settings("sklearn.cal")] == ["sklearn.calibration="]
    assert completion.named_settings("nosuch.") == []


@pytest.mark.parametrize(
    "words",
    [
        "compare mails.csv --classifiers skl",
        "audit mails.csv -c skl",
        "train mails.csv -c skl",
        "info skl",
        "check skl",
    ],
)
def test_the_shell_is_told(process, words):
    environment = {"_SMALLTEXT_COMPLETE": "complete_bash", "COMP_WORDS": f"smalltext {words}"}
    environment["COMP_CWORD"] = str(len(words.split()))
    ended = process(env={**os.environ, **environment})
    assert b"sklearn" in ended.stdout
