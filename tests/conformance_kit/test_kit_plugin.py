"""Plugins with a wrong spec are reported."""

from __future__ import annotations

import sys
import textwrap

import pytest

import smalltext_core as st
from smalltext_core.errors import UnknownClassifierError
from smalltext_testing import ConformanceError, check_plugin, plugin_checks, run_plugin_checks

CLASSIFIER = """
from smalltext_core import ProbabilisticClassifier

class Silent(ProbabilisticClassifier):
    def __init__(self, num_classes, multi_label=False):
        self.num_classes, self.multi_label = num_classes, multi_label
    def fit(self, train_set, weights=None): ...
    def predict_proba(self, data_set): ...
    def embed(self, data_set): ...

class IgnoresArguments(Silent):
    def __init__(self, num_classes, multi_label=False):
        super().__init__(3)

class OnlyMultiLabel(Silent):
    def __init__(self, num_classes, multi_label=True):
        super().__init__(num_classes, True)

def build(num_classes, *, multi_label=False):
    return Factory()

class Factory:
    def new(self):
        return [].copy()
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a plugin with a given spec."""

    def install(spec, *, top="", module="silent_parts"):
        (tmp_path / "silent_parts.py").write_text(CLASSIFIER)
        (tmp_path / "silent_plugin.py").write_text(
            f"{textwrap.dedent(top)}\nfrom smalltext_core import ClassifierSpec, hookimpl\n"
            "@hookimpl\ndef smalltext_classifiers():\n"
            f"    yield ClassifierSpec(name='silent', summary='Does nothing', protocol=1, {spec})\n"
        )
        metadata = tmp_path / "smalltext_silent-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: smalltext-silent\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[smalltext]\nsilent = silent_plugin\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        st.refresh()

    yield install
    monkeypatch.undo()
    for name in ("silent_parts", "silent_plugin"):
        sys.modules.pop(name, None)
    st.refresh()


def results(status):
    return {result.check.name: result for result in run_plugin_checks("silent") if result.status == status}


def test_a_correct_plugin_passes(install):
    install("classifier='silent_parts:Silent', abilities=('multi_label', 'weights', 'embed')")
    assert {result.status for result in check_plugin("silent")} == {"passed"}


@pytest.mark.parametrize(
    ("spec", "top", "check", "seen"),
    [
        ("classifier='silent_parts:Quiet'", "", "check_spec_targets_can_be_imported", "silent_parts:Quiet"),
        (
            "classifier='silent_parts:Silent', dataset='silent_parts:Data', abilities=('embed',)",
            "",
            "check_spec_targets_can_be_imported",
            "dataset of the classifier 'silent'",
        ),
        (
            "classifier='silent_parts:Silent', abilities=('embed',)",
            "import pytest",
            "check_plugin_imports_no_other_package",
            "pytest",
        ),
        (
            "classifier='silent_parts:Silent', builder='silent_parts:build', abilities=('embed',)",
            "",
            "check_factory_makes_the_declared_class",
            "a list",
        ),
        (
            "classifier='silent_parts:IgnoresArguments', abilities=('multi_label', 'embed')",
            "",
            "check_declared_abilities_exist",
            "multi_label=False",
        ),
        (
            "classifier='silent_parts:Silent', abilities=('save', 'embed', 'dropout_sampling')",
            "",
            "check_declared_abilities_exist",
            "declares save, dropout_sampling",
        ),
        ("classifier='silent_parts:Silent'", "", "check_abilities_are_declared", "Silent has embed"),
        (
            (
                "classifier='silent_parts:Silent', abilities=('embed',)); "
                "yield ClassifierSpec('silent', 'Another', protocol=1, classifier='silent_parts:Other'"
            ),
            "",
            "check_plugin_can_be_loaded",
            "2 specs with the name 'silent'",
        ),
    ],
)
def test_a_wrong_spec_is_reported(install, spec, top, check, seen):
    install(spec, top=top)
    failed = results("failed")
    assert list(failed) == [check]
    assert seen in failed[check].seen


def test_imported_packages_are_named_without_their_extension_modules(install):
    install("classifier='silent_parts:Silent', abilities=('embed',)", top="import sklearn")
    names = results("failed")["check_plugin_imports_no_other_package"].seen.partition(" imports ")[2].split(", ")
    assert "sklearn" in names
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize(
    "top", ["import no_such_module", "1 / 0", "raise SystemExit", "from silent_parts import No"]
)
def test_a_plugin_that_cannot_be_loaded_is_reported_once(install, top):
    install("classifier='silent_parts:Silent'", top=top)
    assert list(results("failed")) == ["check_plugin_can_be_loaded"]
    assert {result.reason for result in results("skipped").values()} == {"check_plugin_can_be_loaded failed"}


def test_an_exception_is_reported_with_file_and_line(install, tmp_path):
    install("classifier='silent_parts:Silent'", top="import no_such_module")
    assert f"{tmp_path / 'silent_plugin.py'}:1)" in results("failed")["check_plugin_can_be_loaded"].seen


def test_one_error_lists_the_failures(install):
    install("classifier='silent_parts:Silent'")
    with pytest.raises(ConformanceError, match="check_abilities_are_declared") as caught:
        check_plugin("silent")
    assert "what to do: add the ability" in " ".join(str(caught.value).split())


def test_a_plugin_for_multi_label_problems_only_is_told_what_is_missing(install):
    install("classifier='silent_parts:OnlyMultiLabel', abilities=('multi_label', 'embed')")
    failed = results("failed")
    assert list(failed) == ["check_factory_makes_the_declared_class"]
    assert "'multi_label': True" in failed["check_factory_makes_the_declared_class"].seen
    assert "supports single-label problems" in failed["check_factory_makes_the_declared_class"].check.remedy


def test_an_unknown_name_is_not_a_failed_check():
    with pytest.raises(UnknownClassifierError):
        check_plugin("nobody")


@pytest.mark.parametrize("check", plugin_checks(), ids=lambda check: check.name)
def test_every_check_of_a_plugin_has_a_reason_and_a_remedy(check):
    assert (check.rule, check.family) == (0, "the plugin")
    assert check.summary.endswith(".")
    assert len(check.reason) > 40
    assert len(check.remedy) > 30
