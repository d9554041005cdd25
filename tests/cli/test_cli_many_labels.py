"""A column that was named by mistake, of ids or titles, is not taken for labels."""

from __future__ import annotations

import pytest

from smalltext_cli.console import InputFileError
from smalltext_cli.data_checks import class_names


def write(path, labels):
    path.write_text("text,label\n" + "".join(f"text {n},{label}\n" for n, label in enumerate(labels)))
    return path


def test_a_hundred_thousand_ids_are_refused_before_any_work(smalltext, tmp_path):
    data = write(tmp_path / "data.csv", (f"id{n:06}" for n in range(100_000)))
    ended = smalltext("train", data, "-c", "sklearn", "-o", tmp_path / "model", "--multi-label")
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err == (
        f"Error: {data}: the column 'label' holds 100,000 different labels in 100,000 texts, such as 'id000000' "
        "and 'id099999'. Name the column of the labels with --label-column; if these are really classes, say so "
        "with --max-classes 100000.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_the_user_may_insist(smalltext, tmp_path):
    data = write(tmp_path / "data.csv", (f"class {n}" for n in range(150)))
    arguments = ("train", data, "-c", "sklearn", "-o", tmp_path / "model", "--held-out", 0)
    refused = smalltext(*arguments)
    assert refused.code == 2
    assert "--max-classes 150" in refused.err
    assert smalltext(*arguments, "--max-classes", 150).code == 0
    assert smalltext(*arguments, "--max-classes", 149).code == 2


@pytest.mark.parametrize(
    ("classes", "texts", "allowed"),
    [
        (100, 100, True),  # one text for each of a hundred classes: unusual, but few-shot learning
        (101, 101, False),
        (101, 202, True),
        (150, 299, False),
        (1_000, 2_000, True),
        (1_001, 100_000, False),
    ],
)
def test_what_is_taken_for_classes(classes, texts, allowed):
    labels = [f"{n % classes}" for n in range(texts)]
    for multi_label in (False, True):
        several = [(label,) for label in labels] if multi_label else labels
        if allowed:
            names = class_names(several, "f", "c", multi_label=multi_label, max_classes=None)
            assert len(names) == classes
        else:
            with pytest.raises(
                InputFileError, match=rf"'c' holds {classes:,} different labels in {texts:,} texts"
            ):
                class_names(several, "f", "c", multi_label=multi_label, max_classes=None)
