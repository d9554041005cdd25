"""The plugin manager: registration of plugins that are not installed, and the trace of hook calls."""

from __future__ import annotations

import pytest

NOTEBOOK = """
class Majority:
    def __init__(self, num_classes, multi_label=False, bonus=0):
        self.num_classes, self.multi_label, self.bonus = num_classes, multi_label, bonus

def plugin(name="votes", summary="Votes.", **fields):
    class Notebook:
        @st.hookimpl
        def smalltext_classifiers(self):
            yield st.ClassifierSpec(name, summary, **{"protocol": 1, "classifier": "__main__:Majority", **fields})
    return Notebook()
"""


def test_registering_an_object_adds_classifiers_and_unregistering_removes_them(ask):
    before, during, bonus, full, listed, after, refused = ask(
        NOTEBOOK
        + """
before = list(st.classifiers())
mine = plugin()
st.plugin_manager.register(mine, "notebook")
during = list(st.classifiers())
bonus = st.create_classifier("votes", num_classes=2, bonus=3).bonus
full = st.classifier_spec("in-process:votes").summary
listed = [[str(one), one.status, one.distribution] for one in st.plugins()]
st.plugin_manager.unregister(mine)
answer([before, during, bonus, full, listed, list(st.classifiers()), refusal("votes")])
""",
        "works",
    )
    assert before == after == ["majority"]
    assert during == ["majority", "votes"]
    assert (bonus, full) == (3, "Votes.")
    assert listed == [
        ["acme-works 1.0 (entry point 'works')", "ready", "acme-works"],
        ["in-process (plugin 'notebook')", "ready", "in-process"],
    ]
    assert refused[0] == "UnknownClassifierError"


def test_objects_registered_before_the_first_listing_are_found_also_after_refresh(ask):
    assert ask(
        NOTEBOOK
        + """
st.plugin_manager.register(plugin())
first = list(st.classifiers())
st.refresh()
answer([first, list(st.classifiers())])
""",
        "works",
    ) == [["majority", "votes"], ["majority", "votes"]]


def test_of_two_that_are_registered_under_one_name_the_later_one_is_found(ask):
    assert ask(
        NOTEBOOK
        + """
for summary in ("First.", "Second."):
    st.plugin_manager.register(plugin(summary=summary))
answer([st.classifier_spec("votes").summary, len(st.plugins())])
"""
    ) == ["Second.", 2]


def test_registering_looks_for_no_installed_plugin_again(ask):
    assert ask(
        NOTEBOOK
        + """
registry = sys.modules["smalltext_core.registry"]
first = st.classifiers()
registry.entry_points = None
st.plugin_manager.register(plugin())
answer([list(first), list(st.classifiers())])
""",
        "works",
    ) == [["majority"], ["majority", "votes"]]


def test_an_installed_name_stays_that_of_the_project_or_becomes_ambiguous(ask):
    ours, twice, mine = ask(
        NOTEBOOK
        + """
st.plugin_manager.register(plugin("sklearn"), "one")
st.plugin_manager.register(plugin("majority"), "two")
answer([refusal("sklearn"), refusal("majority"), st.classifier_spec("in-process:sklearn").summary])
""",
        "works",
    )
    assert ours[0] == twice[0] == "AmbiguousNameError"
    assert "Ask for 'in-process:sklearn'" in ours[1]
    assert "'majority' is registered by acme-works 1.0 and in-process." in twice[1]
    assert mine == "Votes."


BROKEN = {
    "raises": ("smalltext_classifiers", "self", "1 / 0", "ZeroDivisionError"),
    "misspelt": ("smalltext_clasifiers", "self", "return []", "PluginValidationError"),
    "gives-a-string": ("smalltext_classifiers", "self", "return ['majority']", "PluginError"),
    "gives-nothing": ("smalltext_classifiers", "self", "return None", "PluginError"),
    "exits": ("smalltext_classifiers", "self", "raise SystemExit(3)", "SystemExit"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_object_that_is_broken_is_unregistered_and_named_and_harms_no_other(ask, kind):
    hook, arguments, body, error = BROKEN[kind]
    names, listed, registered, refused = ask(
        f"""
class Broken:
    @st.hookimpl
    def {hook}({arguments}):
        {body}
"""
        + NOTEBOOK
        + f"""
st.plugin_manager.register(plugin(), "notebook")
st.plugin_manager.register(Broken(), {kind!r})
names = list(st.classifiers())
problems = [[str(one), type(one.error).__name__] for one in st.plugins() if one.status == "broken"]
answer([names, problems, st.plugin_manager.has_plugin({kind!r}), refusal("in-process:unknown")])
""",
        "works",
    )
    assert names == ["majority", "votes"]
    assert listed == [[f"in-process (plugin {kind!r})", error]]
    assert not registered
    assert refused[0] == "PluginError"
    assert f"in-process (plugin {kind!r})" in refused[1]
    assert refused[2] == error


def test_an_object_that_is_fixed_and_registered_again_is_listed_once(ask):
    assert ask(
        NOTEBOOK
        + """
class Broken:
    @st.hookimpl
    def smalltext_classifiers(self):
        raise RuntimeError("not yet")

st.plugin_manager.register(Broken(), "notebook")
before = listed()
st.plugin_manager.register(plugin(), "notebook")
answer([before, listed(), len(st.plugins()), list(st.classifiers())])
"""
    ) == [{"in-process": "broken"}, {"in-process": "ready"}, 1, ["votes"]]


def test_an_invalid_object_is_refused_at_registration_and_not_registered(ask):
    message, names = ask(
        """
class Wrong:
    @st.hookimpl
    def smalltext_classifiers(self, config):
        return []

try:
    st.plugin_manager.register(Wrong(), "wrong")
except Exception as error:
    message = str(error)
answer([message, list(st.classifiers())])
""",
        "works",
    )
    assert "'config'" in message
    assert names == ["majority"]


def test_an_installed_plugin_whose_hook_takes_wrong_arguments_is_listed_and_harms_no_other(ask, tmp_path):
    (tmp_path / "asks-1.0.dist-info").mkdir()
    (tmp_path / "asks-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: asks\nVersion: 1.0\n")
    (tmp_path / "asks-1.0.dist-info" / "entry_points.txt").write_text("[smalltext]\nasks = asks\n")
    (tmp_path / "asks.py").write_text(
        "import smalltext_core\n@smalltext_core.hookimpl\ndef smalltext_classifiers(config):\n    return []\n"
    )
    status, names, refused, registered = ask(
        "answer([listed(), list(st.classifiers()), refusal('asks'), len(st.plugin_manager.get_plugins())])",
        "works",
        folders=(tmp_path,),
    )
    assert status == {"acme-works": "ready", "asks": "broken"}
    assert names == ["majority"]
    assert refused[2] == "PluginValidationError"
    assert "'config'" in refused[3]
    assert registered == 1


def test_two_entry_points_may_name_one_module(ask, tmp_path):
    (tmp_path / "same-1.0.dist-info").mkdir()
    (tmp_path / "same-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: same\nVersion: 1.0\n")
    (tmp_path / "same-1.0.dist-info" / "entry_points.txt").write_text("[smalltext]\none = same\ntwo = same\n")
    (tmp_path / "same.py").write_text(
        "import smalltext_core as st\n@st.hookimpl\ndef smalltext_classifiers():\n"
        "    return [st.ClassifierSpec(name='alone', summary='One.', protocol=1, classifier='same:Alone')]\n"
    )
    assert ask(
        NOTEBOOK
        + """
before = [one.status for one in st.plugins()]
st.plugin_manager.register(plugin())
answer([before, list(st.classifiers())])
""",
        folders=(tmp_path,),
    ) == [["ready", "ready"], ["alone", "votes"]]


def test_an_installed_plugin_that_is_unregistered_is_missing_until_refresh(ask):
    assert ask(
        """
before = list(st.classifiers())
st.plugin_manager.unregister(name="acme-works:works")
during = list(st.classifiers())
st.refresh()
answer([before, during, list(st.classifiers())])
""",
        "works",
    ) == [["majority"], [], ["majority"]]


def test_another_protocol_version_is_reported_for_a_registered_plugin(ask):
    (kind, message, *_), status = ask(
        NOTEBOOK
        + """
st.plugin_manager.register(plugin(protocol=2), "notebook")
answer([refusal("votes"), [[str(one), one.status] for one in st.plugins()]])
"""
    )
    assert kind == "ProtocolVersionError"
    assert "of in-process was written for version 2" in message
    assert status == [["in-process (plugin 'notebook')", "broken"]]


TRACED = """
import io
sys.stderr = io.StringIO()
names = list(st.classifiers())
answer([names, sys.stderr.getvalue()])
"""


@pytest.mark.parametrize("value", ["1", "yes"])
def test_the_trace_names_plugins_hooks_and_unregistered_objects(ask, value):
    names, trace = ask(TRACED, "works", "hook_raises", SMALLTEXT_TRACE_PLUGINS=value)
    assert names == ["majority"]
    assert "plugin acme-works:works" in trace
    assert "smalltext_classifiers [hook]" in trace
    assert "unregister acme-hook-raises:hook-raises RuntimeError no licence found" in trace


@pytest.mark.parametrize("environment", [{}, {"SMALLTEXT_TRACE_PLUGINS": "0"}, {"SMALLTEXT_TRACE_PLUGINS": ""}])
def test_nothing_is_traced_by_default(ask, environment):
    assert ask(TRACED, "works", **environment) == [["majority"], ""]
