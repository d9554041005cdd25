"""``smalltext simulate``: strategies of other libraries on labelled texts, round by round, kept and continued."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from sklearn.metrics import auc

import smalltext_core as st
from cli import tally_plugin
from cli.conftest import sentences
from smalltext_cli import query_strategies as strategies
from smalltext_cli.compare import runner, worker
from smalltext_cli.compare.simulation_summary import area

pytest.importorskip("small_text")

BUILT_IN = ["random", "diverse-uncertainty", "half-random"]


@pytest.fixture
def requests(monkeypatch):
    """Let simulations run in this process, with the classifiers of the plugin; return what they were asked for."""
    found = []

    def run_here(key, request, rounds, threads=None):
        found.append(request)
        try:
            result = worker.outcome({**request, "rounds_file": rounds})
        except ValueError as error:
            result = {"error": str(error)}
        return key, {**result, "seconds": 1.0}

    monkeypatch.setattr(runner, "run_in_process", run_here)
    monkeypatch.setitem(sys.modules, "tally_plugin", tally_plugin)
    st.plugin_manager.register(tally_plugin, "tally")
    yield found
    st.plugin_manager.unregister(tally_plugin)


@pytest.fixture
def run(smalltext, requests, tmp_path):
    """Run `smalltext simulate` with the classifier tally; return how it ended, and the document."""

    def simulate(data, *options, rounds=3, repeats=2, folder=tmp_path / "simulation"):
        sizes = ("--rounds", rounds, "--batch", 5, "--repeats", repeats)
        ended = smalltext("simulate", data, "--classifiers", "tally", *sizes, *options, "-o", folder)
        assert ended.code == 0, ended.err
        return ended, json.loads((folder / "results.json").read_text("utf-8"))

    return simulate


def test_weights_of_the_labelled_texts_are_used_in_each_round(smalltext, requests, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(tally_plugin.Weighted, "given", given)
    texts, labels = sentences(60)
    data = tmp_path / "mails.jsonl"
    rows = [
        {"text": f"{text} {row % 4 + 1}", "label": label, "sure": row % 4 + 1}
        for row, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    data.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    options = ("--weight-column", "sure", "--rounds", 2, "--batch", 5, "--repeats", 1)
    ended = smalltext("simulate", data, "--classifiers", "weighted", *options, "-o", tmp_path / "simulation")
    assert ended.code == 0, ended.err
    assert all(weights == [int(text.split()[-1]) for text in texts] for texts, weights in given)
    assert [len(weights) for _, weights in given[:3]] == [5, 10, 15]


def test_random_is_always_included_and_all_start_with_the_same_texts(run, requests, mails, tmp_path):
    ended, document = run(mails, "--strategies", "least-confidence")
    assert [one["strategy"] for one in document["strategies"]] == ["random", "least-confidence"]
    assert len(requests) == 4
    first = {(one["strategy"], one["draw"]): one["first"] for one in requests}
    assert first["random", 0] == first["least-confidence", 0] != first["random", 1]
    assert {requests[0]["train"]["labels"][row] for row in first["random", 0]} == {0, 1, 2}
    assert document["labelled"] == [5, 10, 15, 20]
    for one in document["runs"]:
        queried = [row for each in one["rounds"] for row in each["queried"]]
        labelled = [*first[one["strategy"], one["repeat"]], *queried]
        assert len(queried) == 15
        assert len(set(labelled)) == 20
    report = (tmp_path / "simulation" / "report.html").read_text("utf-8")
    assert document["conclusion"] in ended.out
    assert report.count("<svg") > 1
    assert "least-confidence" in report


def test_areas_are_those_of_scikit_learn_and_have_intervals(run, mails):
    _, document = run(mails, "--strategies", "breaking-ties")
    for one in document["curves"]:
        runs = [run for run in document["runs"] if run["strategy"] == one["strategy"]]
        each = [auc(document["labelled"], [round_["accuracy"] for round_ in run["rounds"]]) / 15 for run in runs]
        assert one["area"]["mean"] == pytest.approx(np.mean(each))
        assert one["area"]["low"] <= one["area"]["mean"] <= one["area"]["high"]
        assert one["train_cpu_seconds_a_round"]["mean"] >= 0
    random, other = document["curves"]
    assert random["area_minus_random"] is None
    assert other["area_minus_random"]["mean"] == pytest.approx(other["area"]["mean"] - random["area"]["mean"])


def test_an_area_is_the_mean_height_also_of_many_curves_at_once():
    values = np.array([[0.5, 0.1], [0.7, 0.1], [0.9, 0.3]])
    assert area([10, 20, 40], values) == pytest.approx([22 / 30, (1 + 4) / 30])
    assert area([10], values[:1]).tolist() == [0.5, 0.1]


def test_finished_simulations_are_not_repeated(run, requests, mails):
    run(mails, "--strategies", "breaking-ties", repeats=1)
    assert len(requests) == 2
    run(mails, "--strategies", "breaking-ties,prediction-entropy", repeats=1)
    assert [one["strategy"] for one in requests[2:]] == ["prediction-entropy"]
    ended, _ = run(mails, "--strategies", "random,least-confidence", repeats=1)
    assert "1 run of 2 was finished before and is kept." in ended.err


def test_an_interrupted_simulation_resumes_after_its_last_round_with_the_same_result(
    run, requests, mails, tmp_path
):
    _, whole = run(mails, "--strategies", "breaking-ties", repeats=1)
    rounds = next(one["rounds"] for one in whole["runs"] if one["strategy"] == "breaking-ties")
    log = tmp_path / "rounds.jsonl"
    lines = [json.dumps(one) for one in rounds]
    log.write_text("\n".join([*lines[:2], lines[2][:40]]))  # the third was being written
    request = next(one for one in requests if one["strategy"] == "breaking-ties")
    trained = []
    fit = tally_plugin.Tally.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tally_plugin.Tally, "fit", lambda self, *given: trained.append(len(given[0])) or fit(self, *given)
        )
        again = worker.outcome({**request, "rounds_file": str(log)})
    assert trained == [15, 20]
    for one, other in zip(again["rounds"], rounds, strict=True):
        assert (one["queried"], one["predicted"]) == (other["queried"], other["predicted"])
    assert len(log.read_text().splitlines()) == 4


@pytest.mark.parametrize("last", [2, 4])
def test_a_simulation_that_two_processes_ran_at_the_same_time_resumes_with_the_same_result(
    run, requests, mails, tmp_path, last
):
    _, whole = run(mails, "--strategies", "breaking-ties", repeats=1)
    rounds = next(one["rounds"] for one in whole["runs"] if one["strategy"] == "breaking-ties")
    log = tmp_path / "rounds.jsonl"
    lines = [json.dumps(one) for one in rounds[:last]]
    twice = [line for line in lines for _ in range(2)]
    log.write_text("\n".join([lines[0], lines[0][:40] + lines[0], *twice, ""]))
    request = next(one for one in requests if one["strategy"] == "breaking-ties")
    again = worker.outcome({**request, "rounds_file": str(log)})
    for one, other in zip(again["rounds"], rounds, strict=True):
        assert (one["labelled"], one["queried"]) == (other["labelled"], other["queried"])
        assert one["predicted"] == other["predicted"]


def test_the_rounds_end_with_the_texts(run, mails):
    ended, document = run(mails, "--strategies", "random", rounds=500, repeats=1)
    assert document["rounds"] == 15
    assert "are enough for 15 rounds of 5; 500 were asked for" in ended.err
    ended, _ = run(mails, "--strategies", "random", "--batch", 40, rounds=2, repeats=1)
    assert "are enough for 1 round of 40; 2 were asked for" in ended.err


def test_names_of_strategies_are_not_cut(run, mails):
    ended, _ = run(mails, "--strategies", "least-confidence,prediction-entropy", rounds=1)
    first = {line.split()[0] for line in ended.out.splitlines() if line.strip() and not line.startswith(" ")}
    assert {"random", "least-confidence", "prediction-entropy"} <= first


def test_several_labels_a_text(run, tagged):
    _, document = run(tagged, "--multi-label", rounds=2, repeats=1)
    assert [one["strategy"] for one in document["strategies"]] == ["random", "category-vector-inconsistency"]
    assert document["metric"] == "macro_f1"
    assert all(isinstance(labels, list) for labels in document["runs"][0]["rounds"][0]["predicted"])


def test_built_in_strategies_for_several_labels_per_text(run, tagged):
    _, document = run(tagged, "--multi-label", "--strategies", ",".join(BUILT_IN), rounds=2, repeats=1)
    assert [one["errors"] for one in document["curves"]] == [[], [], []]
    queried = [tuple(one["rounds"][0]["queried"]) for one in document["runs"]]
    assert len({len(set(rows)) for rows in queried}) == 1
    assert len(set(queried)) == 3


def test_several_labels_a_text_all_repeats_have_as_many_texts_in_each_round(run, tmp_path):
    rng = np.random.default_rng(1)
    names = [f"tag{number}" for number in range(12)]
    rows = [
        {"text": f"{' '.join(tags)} {row}", "label": tags}
        for row in range(120)
        for tags in [rng.choice(names, rng.integers(0, 6), replace=False).tolist()]
    ]
    data = tmp_path / "tags.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    _, document = run(data, "--multi-label", "--strategies", "random", rounds=2, repeats=5)
    counts = [[one["labelled"] for one in each["rounds"]] for each in document["runs"]]
    assert counts == [document["labelled"]] * 5  # where the curves and the areas have them


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--strategies", "least-confident"),
            (
                "There is no query strategy 'least-confident'. "
                "Known: random, diverse-uncertainty, half-random, least-confidence"
            ),
        ),
        (
            ("--strategies", "greedy-coreset"),
            "greedy-coreset needs the ability embed, which the classifier 'tally'",
        ),
        (("--strategies", "category-vector-inconsistency"), "is for multi-label data"),
        (("--batch", "1000"), "too few for a round of 1000"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(smalltext, requests, mails, tmp_path, options, message):
    ended = smalltext("simulate", mails, "--classifiers", "tally", *options, "-o", tmp_path / "simulation")
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]
    assert requests == []


@pytest.mark.parametrize(("name", "library"), [("typiclust", "scikit-activeml"), ("breaking-ties", "small-text")])
def test_a_library_that_is_missing_is_named_with_its_extra(
    smalltext, requests, mails, tmp_path, monkeypatch, name, library
):
    monkeypatch.setattr(strategies, "find_spec", lambda module: None)
    monkeypatch.setattr(
        strategies,
        "STRATEGIES",
        {name: strategies.Strategy(library, "Any")} | {"random": strategies.STRATEGIES["random"]},
    )
    ended = smalltext("simulate", mails, "--classifiers", "tally", "--strategies", name, "-o", tmp_path / "s")
    assert ended.code == 2
    assert "is not installed. Install it: pip install 'smalltext-cli[" in ended.err


def test_built_in_strategies_need_no_library(smalltext, requests, mails, tmp_path, monkeypatch):
    monkeypatch.setattr(strategies, "find_spec", lambda module: None)
    monkeypatch.setitem(sys.modules, "small_text", None)
    monkeypatch.setitem(sys.modules, "skactiveml", None)
    options = ["--strategies", ",".join(BUILT_IN), "--rounds", 2, "--batch", 3, "--repeats", 1]
    ended = smalltext("simulate", mails, "--classifiers", "tally", *options, "-o", tmp_path / "s")
    assert ended.code == 0, ended.err
    document = json.loads((tmp_path / "s" / "results.json").read_text())
    assert document["strategies"] == [{"strategy": name, "library": "built-in"} for name in BUILT_IN]
    assert [len(curve["errors"]) for curve in document["curves"]] == [0, 0, 0]


def test_half_random_chooses_half_of_the_texts_like_diverse_uncertainty():
    class Known:
        def predict_proba(self, data):
            return np.array([[float(text), 1 - float(text)] for text in data.x], dtype=np.float32)

    pool = st.TextDataset([str(0.5 + row / 200) for row in range(100)])  # the first ones are the most uncertain
    drawn = [
        strategies.query(
            "half-random", Known(), pool, labelled=np.arange(90, 100), y=np.zeros(10), count=5, seed=seed
        )
        for seed in range(200)
    ]
    assert {tuple(rows[:3]) for rows in drawn} == {(0, 1, 2)}
    others = np.array([rows[3:] for rows in drawn])
    assert set(others.ravel().tolist()) == set(range(3, 90))
    assert abs(others.mean() - 46) < 4  # 2.5 standard errors of the mean


def test_random_sampling_predicts_nothing():
    pool = st.TextDataset([str(row) for row in range(10)])
    rows = strategies.query("random", object(), pool, labelled=np.arange(4), y=np.zeros(4), count=3, seed=1)
    assert len(set(rows) & set(range(4, 10))) == 3


def test_strategies_without_enough_texts_choose_all_of_them():
    scores = np.array([0.2, 0.9, 0.4])
    for name in BUILT_IN:
        rows = strategies.select(name, object(), st.TextDataset(["a", "b", "c"]), scores, 9)
        assert sorted(rows.tolist()) == [0, 1, 2]
        assert strategies.select(name, object(), st.TextDataset([]), np.empty(0), 2).tolist() == []


SINGLE = [name for name, one in strategies.STRATEGIES.items() if one.labels != "multi" and name != "bald"]


@pytest.mark.parametrize("name", SINGLE)
def test_each_strategy_chooses_texts_without_a_label(name, mails):
    if strategies.STRATEGIES[name].library == "scikit-activeml":
        pytest.importorskip("skactiveml")
    texts = [f"{word} {other}" for word in ("fine", "dull", "warm", "flat", "odd") for other in "abcdefgh"]
    labelled = np.arange(0, 40, 4)
    y = np.array([row % 2 for row in range(10)])
    classifier = st.create_classifier("sklearn", 2, seed=0).fit(
        st.TextDataset([texts[row] for row in labelled], y)
    )
    options = {"labelled": labelled, "y": y, "count": 4, "seed": 3}
    chosen = strategies.query(name, classifier, st.TextDataset(texts), **options)
    assert len(set(chosen)) == 4
    assert not set(chosen) & set(labelled.tolist())
    assert chosen == strategies.query(name, classifier, st.TextDataset(texts), **options)


@pytest.mark.parametrize(
    ("name", "other"),
    [("least-confidence", "uncertainty-confidence"), ("prediction-entropy", "uncertainty-entropy")],
)
def test_both_libraries_find_the_same_texts_uncertain(name, other):
    pytest.importorskip("skactiveml")

    class Known:
        proba = np.random.default_rng(0).dirichlet([1, 1, 1], 30).astype(np.float32)

        def predict_proba(self, data):
            return self.proba[[int(text) for text in data.x]]

        def predict(self, data, return_proba=False):
            proba = self.predict_proba(data)
            return (proba.argmax(axis=1), proba) if return_proba else proba.argmax(axis=1)

    pool, labelled, y = st.TextDataset([str(row) for row in range(30)]), np.arange(5), np.array([0, 1, 2, 0, 1])
    found = [
        strategies.query(one, Known(), pool, labelled=labelled, y=y, count=6, seed=0) for one in (name, other)
    ]
    assert sorted(found[0]) == sorted(found[1])
