"""``smalltext train``."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

import polars as pl
import pytest

import smalltext_core as st
from smalltext_cli import training_run
from smalltext_core.saving import read_manifest


def table(tmp_path, name="data.csv", **columns):
    path = tmp_path / name
    pl.DataFrame(columns).write_csv(path)
    return path


def test_a_model_folder_holds_names_and_scores_that_its_manifest_vouches_for(model):
    manifest = read_manifest(model)
    assert manifest.label_names == ("grüße", "ham", "spam")
    assert "scores.json" in manifest.files
    scores = json.loads((model / "scores.json").read_text("utf-8"))
    assert scores["accuracy"] > 0.9
    assert scores["scored_on"] == {"part": "held out", "texts": 24, "share": 0.2, "seed": 1}
    assert st.load(model).predict(st.TextDataset(["buy cheap pills"])).tolist() == [2]


def test_the_default_model_folder_is_named_after_the_data(smalltext, mails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = smalltext("train", mails, "--classifier", "sklearn")
    assert ended.code == 0
    assert f"Model: {mails.stem}-model" in ended.out
    assert st.load(tmp_path / f"{mails.stem}-model").predict(st.TextDataset(["buy cheap pills"])).shape == (1,)


def test_a_folder_of_that_name_that_holds_something_else_is_left_alone(smalltext, mails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{mails.stem}-model").mkdir()
    (tmp_path / f"{mails.stem}-model" / "notes.txt").write_text("mine")
    ended = smalltext("train", mails, "--classifier", "sklearn")
    assert ended.code == 2
    assert f"{mails.stem}-model" in ended.err


def test_it_tells_what_it_found(smalltext, tmp_path):
    data = table(
        tmp_path,
        text=["a fine day", "a fine day", "so dull", "so dull", " ", "very dull"],
        label=["good", "good", "bad", "good", "bad", "bad"],
    )
    ended = smalltext("train", data, "-c", "sklearn", "-o", tmp_path / "model")
    assert ended.code == 0
    assert "6 texts in 2 classes" in ended.err
    assert "exact copies of an earlier text: 2" in ended.err
    assert "empty texts: 1" in ended.err
    assert "different labels: 1, such as 'so dull'" in ended.err


def test_json_for_machines_is_all_of_standard_output(smalltext, mails, tmp_path):
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "model", "--json", "--set", "seed=3")
    summary = json.loads(ended.out)
    assert summary["parameters"] == {"seed": 3}
    assert summary["data"]["texts"] == 120
    assert sum(summary["data"]["classes"].values()) == 120
    assert summary["trained_on"] == 120
    assert summary["scores"]["texts"] == 24


def test_the_same_seed_gives_the_same_model(smalltext, mails, tmp_path):
    for name in ("one", "two"):
        smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / name, "--seed", 7)
    one, two = (st.load(tmp_path / name) for name in ("one", "two"))
    texts = st.TextDataset(["buy lunch", "мир"])
    assert (one.predict_proba(texts) == two.predict_proba(texts)).all()


def test_a_validation_file_is_scored_on_and_nothing_is_held_out(smalltext, mails, tmp_path):
    other = table(tmp_path, "other.csv", text=["buy pills", "lunch tomorrow"], label=["spam", "ham"])
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--validation", other, "--json")
    summary = json.loads(ended.out)
    assert summary["trained_on"] == 120
    scored_on = summary["scores"]["scored_on"]
    assert scored_on == {"part": "validation file", "file": str(other), "texts": 2, "given_to_fit": False}


def counts_of(folder):
    """Return the number of texts that the scored and the saved model were trained on, and whether they are one."""
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    scored, saved = scores["scored_model"], scores["saved_model"]
    return scored["trained_on"], saved["trained_on"], scored["is_saved"]


@pytest.mark.parametrize(("options", "trained"), [((), 2), (("--cv", 3), 4), (("--no-refit",), 1)])
def test_the_training_time_is_that_of_all_models(smalltext, mails, tmp_path, monkeypatch, options, trained):
    # With cached embeddings, training the saved model takes a fraction of the time that the user has waited.
    monkeypatch.setattr(training_run, "time", SimpleNamespace(perf_counter=itertools.count().__next__))
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", *options)
    words = ", including the training for the scores" if trained > 1 else ""
    assert f" texts in {trained}.0 s{words}\n" in ended.out


def test_one_text_that_was_held_out_is_singular(smalltext, tmp_path):
    (tmp_path / "few.csv").write_text("text,label\none a,a\ntwo a,a\none b,b\ntwo b,b\n")
    ended = smalltext("train", tmp_path / "few.csv", "-c", "sklearn", "-o", tmp_path / "m", "--seed", 1)
    assert "On 1 text that was held out: accuracy" in ended.out


def test_the_saved_model_is_trained_on_all_texts_after_it_was_scored_on_some(smalltext, mails, tmp_path):
    train = ("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--seed", 1)
    ended = smalltext(*train)
    assert "Trained on 120 texts" in ended.out
    assert "On 24 texts that were held out: accuracy" in ended.out
    assert (
        "The scores are of a model that was trained on the other 96 texts. The saved model was trained on all "
        "120 texts, and is not scored itself.\n"
    ) in ended.out
    assert counts_of(tmp_path / "m") == (96, 120, False)
    whole = st.load(tmp_path / "m")
    ended = smalltext(*train, "--no-refit")
    assert "Trained on 96 texts" in ended.out
    assert "The scores are those of the saved model, which was trained on 96 texts." in ended.out
    assert counts_of(tmp_path / "m") == (96, 96, True)
    everything = st.create_classifier("sklearn", 3, seed=1)
    frame = pl.read_csv(mails)
    everything.fit(st.TextDataset.from_labels(frame["text"].to_list(), frame["label"].to_list()))
    texts = st.TextDataset(["buy lunch", "мир"])
    assert (whole.predict_proba(texts) == everything.predict_proba(texts)).all()
    assert (whole.predict_proba(texts) != st.load(tmp_path / "m").predict_proba(texts)).any()


def test_cross_validation_scores_every_text_once(smalltext, mails, tmp_path):
    ended = smalltext(
        *("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--cv", 4, "--seed", 1),
        *("--report", tmp_path / "report.html"),
    )
    assert ended.code == 0, ended.err
    assert ended.err.count("training sklearn on 9") == 4
    assert "On 120 texts in 4 folds: accuracy" in ended.out
    assert "The scores are of 4 models trained on about 90 texts each (cross-validation)" in ended.out
    scores = json.loads((tmp_path / "m" / "scores.json").read_text("utf-8"))
    assert scores["scored_on"] == {"part": "cross-validation", "folds": 4, "texts": 120, "seed": 1}
    assert sum(one["support"] for one in scores["per_class"].values()) == 120
    assert counts_of(tmp_path / "m") == (90, 120, False)
    assert "trained on about 90 texts each (cross-validation)" in (tmp_path / "report.html").read_text("utf-8")


def test_cross_validation_of_several_labels_uses_the_thresholds_of_the_folds(smalltext, tagged, tmp_path):
    ended = smalltext("train", tagged, "-c", "sklearn", "-o", tmp_path / "m", "--cv", 2, "--multi-label", "--json")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert content["scores"]["texts"] == 120
    assert set(content["scores"]["thresholds"]) == set(content["thresholds"]) == {"grüße", "ham", "odd", "spam"}


def test_classes_that_cannot_be_scored_are_named_and_left_out_of_the_macro_f1(smalltext, tmp_path):
    data = table(tmp_path, text=[*"abcdefgh", "rare"], label=[*"xyxyxyxy", "z"])
    for scoring in (("--cv", 2), ("--held-out", 0.4)):
        ended = smalltext("train", data, "-c", "sklearn", "-o", tmp_path / "m", *scoring)
        assert "classes with one text cannot be scored, since it is needed for training: 'z'" in ended.err
        assert "(of 2 of 3 classes, without 'z')" in ended.out
        scores = json.loads((tmp_path / "m" / "scores.json").read_text("utf-8"))
        assert scores["macro_leaves_out"] == ["z"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cv", 2, "--held-out", 0.3), "three ways to score"),
        (("--cv", 2, "--no-refit"), "--no-refit is for held-out texts"),
        (("--cv", 121), "DATA has only 120 different texts"),
        (("--held-out", 0, "--report", "report.html"), "--held-out 0 leaves none"),
    ],
)
def test_ways_to_score_that_contradict_one_another_are_refused(
    smalltext, mails, tmp_path, monkeypatch, options, said
):
    monkeypatch.chdir(tmp_path)
    ended = smalltext("train", mails, "-c", "sklearn", "-o", "m", *options)
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "m").exists()


def test_a_report_without_scored_texts_is_an_error_after_the_model_is_described(smalltext, tmp_path):
    data = tmp_path / "mails.csv"
    data.write_text("text,label\nbuy pills now,spam\nlunch tomorrow,ham\n")
    ended = smalltext("train", data, "-c", "sklearn", "-o", tmp_path / "m", "--report", tmp_path / "report.html")
    assert ended.code == 2
    assert "no text was scored" in ended.err
    assert f"Model: {tmp_path / 'm'}" in ended.out


def test_an_existing_model_is_replaced_or_kept_with_a_message(smalltext, mails, tmp_path):
    train = ("train", mails, "-c", "sklearn", "-o", tmp_path / "m")
    assert "replaced" not in smalltext(*train).out
    assert "(replaced the one that was there)" in smalltext(*train).out
    before = (tmp_path / "m" / "smalltext.json").read_bytes()
    ended = smalltext(*train, "--no-clobber", "--held-out", 0)
    assert ended.code == 2
    assert "it already exists. Leave out --no-clobber to replace it" in ended.err
    assert (tmp_path / "m" / "smalltext.json").read_bytes() == before


def test_texts_of_the_validation_file_that_are_trained_on_are_reported(smalltext, mails, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(mails.read_bytes())
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--validation", copy)
    assert f"{copy}: the model was trained on 120 of 120 texts, so the scores are too optimistic." in ended.err


def test_multi_label_from_json_lines(multi_label_model):
    manifest = read_manifest(multi_label_model)
    assert manifest.label_names == ("grüße", "ham", "odd", "spam")
    assert json.loads((multi_label_model / "scores.json").read_text("utf-8"))["multi_label"] is True


def test_weights_reach_the_classifier(smalltext, tmp_path):
    data = table(tmp_path, text=["yes", "yes", "no"], label=["good", "bad", "bad"], w=[9.0, 1.0, 1.0])
    options = ("-c", "sklearn", "-o", tmp_path / "m", "--held-out", 0)
    for weighted, label in (((), 0), (("--weight-column", "w"), 1)):
        assert smalltext("train", data, *options, *weighted).code == 0
        assert st.load(tmp_path / "m").predict(st.TextDataset(["yes"])).tolist() == [label]


def test_class_weights_by_name_reach_the_classifier(smalltext, tmp_path):
    data = table(tmp_path, text=["yes", "yes", "yes", "no"], label=["good", "bad", "bad", "bad"])
    options = ("-c", "sklearn", "-o", tmp_path / "m", "--held-out", 0)
    for settings, label in (((), 0), (("--set", 'class_weight={"good": 30}'), 1)):
        assert smalltext("train", data, *options, *settings).code == 0
        assert st.load(tmp_path / "m").predict(st.TextDataset(["yes"])).tolist() == [label]


def test_other_columns_and_separator(smalltext, tmp_path):
    data = table(
        tmp_path, "data.tsv.csv", body=["a", "b", "c"] * 3, tags=["x;y", "y", "x"] * 3, note=["", "", ""] * 3
    )
    ended = smalltext(
        *("train", data, "-c", "sklearn", "-o", tmp_path / "m", "--multi-label", "--separator", ";"),
        *("--text-column", "body", "--label-column", "tags", "--held-out", 0, "--json"),
    )
    assert json.loads(ended.out)["data"]["classes"] == {"x": 6, "y": 6}
    assert json.loads(ended.out)["scores"] is None


def test_a_model_is_replaced_and_what_others_put_beside_it_is_kept(smalltext, mails, tmp_path):
    arguments = ("train", mails, "-c", "sklearn", "-o", tmp_path / "m")
    assert smalltext(*arguments).code == 0
    (tmp_path / "m" / "notes.txt").write_text("mine")
    assert smalltext(*arguments, "--held-out", 0).code == 0
    assert (tmp_path / "m" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "m" / "scores.json").exists()


def test_a_folder_that_holds_something_else_is_left_alone(smalltext, mails, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path)
    assert ended.code == 2
    assert "is not a saved model" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--set", "C=3"), "no such parameter"),
        (("--set", "class_weight=heavy"), "'balanced'"),
        (("--set", 'estimator_parameters={"C": -1}'), "'C' parameter"),
        (("--set", "estimator=sklearn.nothing.At.all"), "estimator"),
        (("--device", "cpu"), "no parameter 'device'"),
        (("--label-column", "klasse"), "no column 'klasse', only 'text', 'label'"),
        (("--classifier", "sklaern"), "Did you mean 'sklearn'?"),
    ],
)
def test_a_failed_training_writes_nothing(smalltext, mails, tmp_path, arguments, said):
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert said in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("Error: ")
    assert not list(tmp_path.iterdir())


def test_one_class_alone_is_nothing_to_learn(smalltext, tmp_path):
    data = table(tmp_path, text=["a", "b"], label=["x", "x"])
    ended = smalltext("train", data, "-c", "sklearn", "-o", tmp_path / "m")
    assert ended.code == 2
    assert "all texts have one label, 'x'" in ended.err


def test_a_validation_file_with_a_new_class_is_refused(smalltext, mails, tmp_path):
    other = table(tmp_path, text=["a"], label=["unheard of"])
    ended = smalltext("train", mails, "-c", "sklearn", "-o", tmp_path / "m", "--validation", other)
    assert ended.code == 2
    assert "'unheard of'" in ended.err


@pytest.mark.parametrize("folds", [2, 3])
def test_a_cross_validation_in_which_no_text_can_be_scored_is_refused_with_a_way_out(smalltext, tmp_path, folds):
    data = tmp_path / "mails.csv"
    data.write_text("text,label\nbuy pills now,spam\nlunch tomorrow,ham\nwin money,prize\n")
    ended = smalltext("train", data, "-c", "sklearn", "--cv", folds, "-o", tmp_path / "model")
    assert ended.code == 2
    assert "no text can be scored" in ended.err
    assert "--held-out 0" in ended.err
    assert not smalltext("train", data, "-c", "sklearn", "--held-out", 0, "-o", tmp_path / "model").code


@pytest.mark.parametrize(("copies", "said"), [(2, "in 2 folds"), (7, "in 5 folds")])
def test_the_number_of_folds_is_that_of_the_folds_with_texts(smalltext, tmp_path, copies, said):
    """Texts that are the only ones of their classes are in no fold."""
    rows = [*((f"buy pill {n}", "spam") for n in range(copies)), *((f"text {n}", f"single {n}") for n in range(9))]
    data = tmp_path / "mails.csv"
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    ended = smalltext("train", data, "-c", "sklearn", "--cv", 5, "-o", tmp_path / "model")
    scores = json.loads((tmp_path / "model" / "scores.json").read_text())
    number = said.split()[1]
    assert f"On {copies} texts {said}: " in ended.out
    assert f"of {number} models " in ended.out
    assert scores["scored_on"]["folds"] == int(number)


def test_one_class_and_one_text_are_singular(smalltext, tmp_path):
    data, model = tmp_path / "mails.jsonl", tmp_path / "model"
    kinds = {"hi": [], "buy": ["spam"]}
    rows = [{"text": f"{word} {n}", "label": label} for n in range(9) for word, label in kinds.items()]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert "18 texts in 1 class\n" in smalltext("train", data, "-c", "sklearn", "--multi-label", "-o", model).err
    data.write_text(json.dumps(rows[1]) + "\n")
    assert "1 text, 1 class\n" in smalltext("evaluate", model, data).out
