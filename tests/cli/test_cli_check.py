"""``smalltext check``: the conformance kit at a terminal."""

from __future__ import annotations

import json

import pytest

import smalltext_core as st
from smalltext_testing import checks, plugin_checks

ONE = ("--only", "check_one_text_works")


class Modest(st.ArrayClassifier):
    """Its probabilities do not sum to 1.

    Parameters
    ----------
    share : float, default=0.7
    """

    name, distribution = "modest", "smalltext-modest"

    def __init__(self, num_classes, *, share: float = 0.7, noisy: bool = False):
        super().__init__(num_classes)
        self.share, self.noisy = share, noisy

    def learn(self, texts, targets, weights):
        if self.noisy:
            print("learning!")  # noqa: T201 - as strangers do
        return {"shares": targets.mean(axis=0) * self.share}

    def probabilities(self, learned, texts):
        return learned["shares"][None].repeat(len(texts), axis=0)


class Needy(Modest):
    """Cannot do without a folder."""

    def __init__(self, num_classes, *, model: str):
        super().__init__(num_classes)
        self.model = model


@pytest.fixture
def installed(monkeypatch):
    """Install classifiers, some of them broken, for the length of a test."""

    def spec(name, target, abilities=("weights", "save")):
        return st.ClassifierSpec(
            name=name, summary="For tests", protocol=1, classifier=f"{__name__}:{target}", abilities=abilities
        )

    specs = (spec("modest", "Modest"), spec("needy", "Needy"), spec("lost", "NoSuchClass"))
    found = [
        st.Plugin("several", "acme-several", "1.0", specs),
        st.Plugin("broken", "acme-broken", "1.0", error=ImportError("No module named 'nothing'")),
    ]
    monkeypatch.setattr("smalltext_core.registry.discover", lambda: found)
    st.refresh()
    yield
    monkeypatch.undo()
    st.refresh()


def in_words(text):
    return " ".join(text.split())


@pytest.mark.usefixtures("forked_checks")
def test_every_rule_is_printed_with_its_outcome(smalltext):
    ended = smalltext("check", "sklearn", "--set", "calibration=none", "--single-label")
    assert ended.code == 0, ended.out
    said = in_words(ended.out)
    assert said.startswith("sklearn with calibration='none', seed=1 The plugin passed plugin")
    for check in (*plugin_checks(), *checks()):
        assert in_words(check.summary)[:60] in said
    assert "because: the problem is single-label" in said
    assert "0 failed" in said


@pytest.mark.usefixtures("installed")
def test_a_broken_rule_ends_with_one_and_is_explained(smalltext):
    ended = smalltext("check", "modest", "--only", "check_single_label_rows_sum_to_one", *ONE)
    assert ended.code == 1
    said = in_words(ended.out)
    assert "passed rule 3 Labelling a single text gives one row." in said
    assert "failed rule 1 In a single-label problem" in said
    assert "sums to 0.7000 expected: 1, within 0.001 why: Exactly one class applies" in said
    assert "what to do: use softmax over the classes, or divide each row by its sum." in said
    assert "1 passed, 1 failed, 0 skipped" in said
    assert "smalltext check modest --only check_single_label_rows_sum_to_one" in said


@pytest.mark.usefixtures("installed")
def test_settings_reach_the_classifier(smalltext):
    ended = smalltext("check", "modest", "--set", "share=1", "--only", "check_single_label_rows_sum_to_one")
    assert ended.code == 0


@pytest.mark.usefixtures("installed", "forked_checks")
def test_json_output_is_complete_whatever_the_classifier_prints(smalltext):
    ended = smalltext("check", "modest", "--set", "noisy=yes", "--classes", 4, "--json")
    said = json.loads(ended.out)
    assert ended.code == 1
    assert "learning!" in ended.err
    assert (said["classifier"], said["parameters"], said["num_classes"]) == ("modest", {"noisy": True}, 4)
    assert (
        said["passed"] + said["failed"] + said["skipped"]
        == len(said["checks"])
        == len(plugin_checks()) + len(checks())
    )
    (found,) = [one for one in said["checks"] if one["check"] == "check_single_label_rows_sum_to_one"]
    assert (found["part"], found["rule"], found["status"]) == ("single-label", 1, "failed")
    assert all(found[key] for key in ("what", "why", "what_to_do", "seen", "expected"))
    assert {one["part"] for one in said["checks"]} == {"plugin", "single-label"}


def test_both_kinds_of_problems_are_checked_where_both_are_declared(smalltext):
    said = json.loads(smalltext("check", "sklearn", *ONE, "--json").out)
    assert [one["part"] for one in said["checks"]] == ["single-label", "multi-label"]
    said = json.loads(smalltext("check", "sklearn", *ONE, "--multi-label", "--json").out)
    assert [one["part"] for one in said["checks"]] == ["multi-label"]


def test_what_passed_is_explained_on_demand(smalltext):
    said = in_words(smalltext("check", "sklearn", *ONE, "--single-label", "--explain").out)
    assert "why: A squeezed dimension turns the answer for one text into a scalar" in said
    assert "check: check_one_text_works" in said


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "check", "said"),
    [
        ("lost", "check_spec_targets_can_be_imported", "NoSuchClass"),
        ("broken", "check_plugin_can_be_loaded", "No module named 'nothing'"),
    ],
)
def test_a_broken_plugin_is_reported_like_a_broken_rule(smalltext, name, check, said):
    ended = smalltext("check", name)
    assert (ended.code, ended.err) == (1, "")
    assert "The rules were not checked" in ended.out
    assert said in in_words(ended.out)
    found = json.loads(smalltext("check", name, "--json").out)
    assert [one["check"] for one in found["checks"] if one["status"] == "failed"] == [check]
    assert found["rules_checked"] is False


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "No classifier is called 'nobody'"),
        (["needy"], "needs model. Give it: --set model=..."),
        (["modest", "--set", "shar=1"], "Did you mean 'share'?"),
        (["modest", "--only", "check_one_text"], "Did you mean 'check_one_text_works'?"),
        (["modest", "--multi-label"], "for single-label problems"),
        (["modest", "--classes", "1"], "num_classes: got 1"),
        (["modest", "--seed", "1"], "Leave --seed out"),
    ],
)
def test_what_cannot_be_meant_ends_with_two(smalltext, arguments, said):
    ended = smalltext("check", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.usefixtures("installed")
def test_what_a_chosen_check_depends_on_is_reported_if_it_fails(smalltext, monkeypatch):
    monkeypatch.setattr(Modest, "learn", lambda *_: 1 / 0)
    ended = smalltext("check", "modest", *ONE)
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.out
    assert "check: check_fit_trains_and_returns_self" in ended.out
    assert "0 passed, 1 failed, 1 skipped" in ended.out


@pytest.mark.usefixtures("installed")
def test_a_parameter_that_is_needed_is_set(smalltext):
    ended = smalltext("check", "needy", "--set", "model=folder", *ONE)
    assert ended.code == 0
    assert "needy with model='folder'" in ended.out


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "check", "said"),
    [
        ("lost", "check_spec_targets_can_be_imported", "NoSuchClass"),
        ("broken", "check_plugin_can_be_loaded", "No module named 'nothing'"),
    ],
)
@pytest.mark.parametrize("only", [*ONE[1:], "check_abilities_are_declared"])
def test_one_check_of_a_broken_plugin_says_that_it_is_broken(smalltext, name, check, said, only):
    ended = smalltext("check", name, "--only", only)
    assert ended.code == 1
    assert said in in_words(ended.out)
    found = json.loads(smalltext("check", name, "--only", only, "--json").out)
    assert check in [one["check"] for one in found["checks"] if one["status"] == "failed"]


class Unmakeable(Modest):
    def __init__(self, num_classes, **_):
        raise RuntimeError("no room")


@pytest.mark.usefixtures("installed")
def test_one_check_of_a_classifier_that_cannot_be_made_is_not_green(smalltext, monkeypatch):
    monkeypatch.setattr(Modest, "__init__", Unmakeable.__init__)
    ended = smalltext("check", "modest", *ONE)
    assert ended.code == 1
    assert "no room" in ended.out


def test_a_check_that_is_skipped_is_not_green(smalltext):
    ended = smalltext("check", "sklearn", "--single-label", "--only", "check_multi_label_columns_are_independent")
    assert ended.code == 1, ended.out
    assert "No check could be run" in ended.out
