from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pluggy
import pytest

import smalltext_core as st
from smalltext_core import registry

NOTES_OF_PIP = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def test_the_unpacked_files_are_those_that_pip_installs(install, wheels, tmp_path):
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", tmp_path, wheels["works"]]
    subprocess.run(command, check=True)

    def files(folder):
        paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]  # of other tests
        return {path.relative_to(folder): path.read_bytes() for path in paths}

    by_pip = {path: content for path, content in files(tmp_path).items() if path.name not in NOTES_OF_PIP}
    unpacked = {path: content for path, content in files(install("works")).items() if path.name != "RECORD"}
    assert by_pip == unpacked


def test_a_plugin_that_works_is_found_by_name_and_used(ask, tmp_path):
    labels, twin, names = ask(
        f"""
        texts = st.TextDataset(["a", "b", "c"], [1, 1, 0])
        classifier = st.create_classifier("majority", num_classes=2, bonus=3).fit(texts)
        classifier.save({str(tmp_path / "model")!r})
        again = st.load({str(tmp_path / "model")!r})
        answer([classifier.predict(texts).tolist(), again.predict_proba(texts).tolist(), list(st.classifiers())])
        """,
        "works",
    )
    assert labels == [1, 1, 1]
    assert twin == [[0, 1]] * 3
    assert names == ["majority"]


def test_a_plugin_is_listed_with_its_distribution_and_version(ask):
    assert ask("answer([str(plugin) for plugin in st.plugins()])", "works", "clash_two") == [
        "acme-clash-two 2.0 (entry point 'clash-two')",
        "acme-works 1.0 (entry point 'works')",
    ]


def test_listing_imports_no_backend(ask):
    assert ask("st.classifiers(); answer('acme_works.parts' in sys.modules)", "works") is False


class EntryPointOfTheBackport:
    """An entry point of the class that `importlib.metadata` returns if its backport was imported, as by dask."""

    name, group, value = "majority", "smalltext", "majority_of_the_backport"
    module = value
    dist = SimpleNamespace(name="acme-majority", version="2.0")

    def load(self):
        spec = st.ClassifierSpec("majority", "Votes.", protocol=1, classifier="acme:Majority")
        return type("Plugin", (), {"smalltext_classifiers": st.hookimpl(lambda self: [spec])})()


def test_plugins_are_found_where_another_library_finds_the_distributions(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPointOfTheBackport()])
    monkeypatch.setattr(registry, "plugin_manager", pluggy.PluginManager("smalltext"))
    registry.plugin_manager.add_hookspecs(registry.hooks)
    (plugin,) = registry.discover()
    assert (plugin.status, plugin.origin) == ("ready", "acme-majority 2.0"), plugin.error
    assert [spec.name for spec in plugin.specs] == ["majority"]


def test_no_plugins_are_not_an_error(ask):
    assert ask("answer([list(st.classifiers()), st.plugins()])") == [[], []]
    kind, message, *_ = ask("answer(refusal('majority'))")
    assert kind == "UnknownClassifierError"
    assert "No classifier is called 'majority'. Installed: none." in message


BROKEN = {
    "raises_on_import": ("ImportError", "libacme.so.3 is missing"),
    "hook_raises": ("RuntimeError", "no licence found"),
    "exits": ("SystemExit", "this plugin thinks that it is a program"),
    "misspelled_hook": ("PluginValidationError", "smalltext_clasifiers"),
    "no_hook": ("PluginError", "mark a function smalltext_classifiers() with @smalltext_core.hookimpl"),
    "yields_a_string": ("PluginError", "gave 'majority', not a ClassifierSpec"),
}


@pytest.mark.parametrize(("distribution", "cause"), BROKEN.items(), ids=BROKEN.keys())
def test_a_broken_plugin_is_listed_with_its_error_and_harms_no_other(ask, distribution, cause):
    status, error, names = ask(
        """
        plugin = next(plugin for plugin in st.plugins() if plugin.distribution != "acme-works")
        error = [plugin.version, type(plugin.error).__name__, str(plugin.error)]
        answer([listed(), error, list(st.classifiers())])
        """,
        distribution,
        "works",
    )
    name = "acme-" + distribution.replace("_", "-")
    assert status == {name: "broken", "acme-works": "ready"}
    assert error[:2] == ["1.0", cause[0]]
    assert cause[1] in error[2]
    assert names == ["majority"]


@pytest.mark.parametrize(("distribution", "cause"), BROKEN.items(), ids=BROKEN.keys())
def test_only_asking_for_the_classifier_of_a_broken_plugin_raises_with_the_cause(ask, distribution, cause):
    bare = distribution.replace("_", "-")
    names = [bare, f"acme-{bare}:anything", f"Acme_{bare}:anything"]
    refusals = ask(f"answer([refusal(name) for name in {names!r}])", distribution, "works")
    for kind, message, cause_kind, cause_message in refusals:
        assert kind == "PluginError"
        assert f"acme-{bare} 1.0 (entry point '{bare}')" in message
        assert cause_kind == cause[0]
        assert cause[1] in cause_message


def test_an_unknown_name_mentions_broken_plugins_and_chains_the_cause(ask):
    kind, message, cause_kind, _ = ask("answer(refusal('acme-forest'))", "raises_on_import", "works")
    assert kind == "UnknownClassifierError"
    assert "Broken plugins, whose classifiers are not known: acme-raises-on-import 1.0" in message
    assert cause_kind == "ImportError"


def test_all_broken_plugins_together_leave_the_one_that_works(ask):
    assert ask("answer(list(st.classifiers()))", *BROKEN, "newer_protocol", "works") == ["majority"]


@pytest.mark.parametrize(
    ("distribution", "name", "upgrade"),
    [
        ("newer_protocol", "from-the-future", "pip install --upgrade smalltext-core"),
        ("older_protocol", "from-the-past", "Upgrade acme-older-protocol."),
    ],
)
def test_another_protocol_version_names_the_package_to_upgrade(ask, distribution, name, upgrade):
    status, names, refusal = ask(
        f"answer([listed(), list(st.classifiers()), refusal({name!r})])", distribution, "works"
    )
    assert status["acme-" + distribution.replace("_", "-")] == "broken"
    assert names == ["majority"]
    assert refusal[0] == refusal[2] == "ProtocolVersionError"
    assert "the installed smalltext-core has version 1" in refusal[1]
    assert upgrade in refusal[1]


def test_one_entry_point_may_bring_several_classifiers(ask):
    names, third = ask("answer([list(st.classifiers()), refusal('third')])", "several")
    assert names == ["first", "second"]
    assert third[0] == "ProtocolVersionError"
    assert "'third'" in third[1]


@pytest.mark.parametrize(
    ("name", "cause"), [("missing-module", "ModuleNotFoundError"), ("missing-attribute", "AttributeError")]
)
def test_a_missing_target_is_an_error_only_on_use(ask, name, cause):
    names, refusal = ask(f"answer([list(st.classifiers()), refusal({name!r})])", "missing_target", "works")
    assert names == ["majority", "missing-attribute", "missing-module"]
    assert refusal[0] == "PluginError"
    assert f"The builder of the classifier {name!r} could not be loaded from 'acme_missing_target." in refusal[1]
    assert refusal[2] == cause


def test_metadata_that_is_half_removed_harms_no_other(ask, tmp_path):
    (tmp_path / "ghost-1.0.dist-info").mkdir()
    (tmp_path / "ghost-1.0.dist-info" / "entry_points.txt").write_text("[smalltext]\nghost = ghost.plugin\n")
    status, names = ask("answer([listed(), list(st.classifiers())])", "works", folders=(tmp_path,))
    assert "broken" in status.values()
    assert names == ["majority"]


def test_many_threads_that_ask_at_once_the_first_time_get_one_answer(ask):
    identities, labels = ask(
        """
        import threading
        from concurrent.futures import ThreadPoolExecutor
        start = threading.Barrier(16)

        def first_look(number):
            start.wait()
            if number % 2:
                return id(st.classifiers()), None
            classifier = st.create_factory("majority", num_classes=2).new().fit(st.TextDataset(["a"], [1]))
            return id(st.classifiers()), classifier.predict(st.TextDataset(["b"])).tolist()

        with ThreadPoolExecutor(16) as threads:
            found = list(threads.map(first_look, range(16)))
        answer([len({identity for identity, _ in found}), [labels for _, labels in found if labels]])
        """,
        "works",
        "raises_on_import",
    )
    assert identities == 1
    assert labels == [[1]] * 8


def test_refresh_finds_plugins_installed_while_the_process_runs(ask, install):
    before, kept, after = ask(
        f"""
        before = list(st.classifiers())
        sys.path.append({str(install("works"))!r})
        kept = list(st.classifiers())
        st.refresh()
        answer([before, kept, list(st.classifiers())])
        """
    )
    assert (before, kept, after) == ([], [], ["majority"])


def test_refresh_finds_plugins_installed_in_a_folder_that_was_read_before(ask, install, tmp_path):
    before, after = ask(
        f"""
        import shutil
        before = list(st.classifiers())
        shutil.copytree({str(install("works"))!r}, {str(tmp_path)!r}, dirs_exist_ok=True)
        st.refresh()
        st.create_classifier("majority", num_classes=2)
        answer([before, list(st.classifiers())])
        """,
        folders=(tmp_path,),
    )
    assert (before, after) == ([], ["majority"])
