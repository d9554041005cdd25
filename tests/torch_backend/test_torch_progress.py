from __future__ import annotations

import pytest

from smalltext_core.errors import InvalidInputError
from smalltext_torch.progress import PROGRESS_BARS, described, progress_bars_wanted
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_texts

TEXTS = some_texts()


def test_there_are_no_bars_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PROGRESS_BARS, raising=False)

    BagOfEmbeddings(3).fit(TEXTS).predict(TEXTS)

    assert capsys.readouterr() == ("", "")


def test_there_are_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PROGRESS_BARS, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    assert progress_bars_wanted()


@pytest.mark.parametrize("answer", ["1", "on", "TRUE", " yes "])
def test_the_environment_switches_bars_on(
    answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PROGRESS_BARS, answer)

    BagOfEmbeddings(3).fit(TEXTS).predict(TEXTS)

    output = capsys.readouterr()
    assert output.out == ""
    assert "train" in output.err
    assert "predict" in output.err


@pytest.mark.parametrize("answer", ["0", "off", "False", "no"])
def test_the_environment_switches_bars_off(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROGRESS_BARS, answer)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)

    assert not progress_bars_wanted()


def test_an_invalid_value_of_the_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PROGRESS_BARS, "perhaps")

    with pytest.raises(InvalidInputError, match=PROGRESS_BARS):
        progress_bars_wanted()


def test_a_method_shows_no_bar_with_pbar_none():
    assert described("embed", None) is None
    assert described("embed", "tqdm") == "embed"


def test_another_kind_of_bar_is_refused():
    with pytest.raises(InvalidInputError, match="pbar"):
        described("embed", "rich")
