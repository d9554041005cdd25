"""SMALLTEXT_PLUGINS allows and SMALLTEXT_DISABLE_PLUGINS disables plugins, which are then not imported."""

from __future__ import annotations

import pytest

ALLOW, FORBID = "SMALLTEXT_PLUGINS", "SMALLTEXT_DISABLE_PLUGINS"


def test_a_plugin_that_is_not_blocked_is_imported(ask, tmp_path):
    assert ask("answer(list(st.classifiers()))", "leaves_a_trace", ACME_TRACE=str(tmp_path / "t")) == ["traced"]
    assert (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (FORBID, "acme-leaves-a-trace"),
        (FORBID, "Acme_Leaves.A-Trace"),
        (FORBID, "other, acme-leaves-a-trace ,"),
        (ALLOW, "acme-works"),
        (ALLOW, ""),
    ],
)
def test_a_blocked_plugin_is_listed_and_never_imported(ask, tmp_path, variable, value):
    status, refusal = ask(
        "answer([listed(), refusal('acme-leaves-a-trace:traced')])",
        "leaves_a_trace",
        ACME_TRACE=str(tmp_path / "t"),
        **{variable: value},
    )
    assert status == {"acme-leaves-a-trace": "blocked"}
    assert refusal[0] == "UnknownClassifierError"
    assert "acme-leaves-a-trace 1.0" in refusal[1]
    assert variable in refusal[1]
    assert not (tmp_path / "t").exists()


def test_the_others_are_not_blocked(ask):
    code = "answer([listed(), list(st.classifiers())])"
    for environment in (
        {FORBID: "acme-several"},
        {ALLOW: "acme-works"},
        {ALLOW: "ACME_works,acme-several", FORBID: "acme-several"},
    ):
        status, names = ask(code, "works", "several", **environment)
        assert status == {"acme-several": "blocked", "acme-works": "ready"}
        assert names == ["majority"]


def test_an_empty_list_of_the_forbidden_forbids_nothing(ask):
    assert ask("answer(list(st.classifiers()))", "works", **{FORBID: ""}) == ["majority"]


def test_blocking_one_of_two_twins_gives_the_name_to_the_other(ask):
    summary = ask(
        "answer(st.classifier_spec('twin').summary)", "clash_one", "clash_two", **{FORBID: "acme-clash-one"}
    )
    assert summary == "The second twin"
