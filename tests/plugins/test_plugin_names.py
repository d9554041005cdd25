"""The resolution of classifier names: clashes, first-party names, unknown names, parameters."""

from __future__ import annotations

import smalltext_core as st
from architecture import packages
from smalltext_core.registry import FIRST_PARTY


def test_two_distributions_that_claim_one_name_both_stay_reachable(ask):
    names, first, second, refusal = ask(
        """
        both = [st.classifier_spec(f"acme-clash-{which}:twin").summary for which in ("one", "two")]
        answer([list(st.classifiers()), *both, refusal("twin")])
        """,
        "clash_one",
        "clash_two",
    )
    assert names == ["acme-clash-one:twin", "acme-clash-two:twin"]
    assert (first, second) == ("The first twin", "The second twin")
    assert refusal[0] == "AmbiguousNameError"
    for part in ("acme-clash-one 1.0", "acme-clash-two 2.0", "'acme-clash-one:twin'", "'acme-clash-two:twin'"):
        assert part in refusal[1]


def test_the_order_on_the_path_does_not_decide_a_clash(ask):
    one_way = ask("answer(refusal('twin'))", "clash_one", "clash_two")
    assert one_way == ask("answer(refusal('twin'))", "clash_two", "clash_one")


def test_a_name_claimed_once_is_reachable_by_its_full_name_too(ask):
    same = ask("answer(st.classifier_spec('Acme.Works:majority') is st.classifier_spec('majority'))", "works")
    assert same is True


def test_a_third_party_plugin_never_replaces_a_first_party_name(ask):
    names, bare, full = ask(
        """
        summaries = [st.classifier_spec(name).summary for name in ("sklearn", "acme-claims-sklearn:sklearn")]
        answer([list(st.classifiers()), *summaries])
        """,
        "claims_sklearn",
        "first_party",
    )
    assert names == ["acme-claims-sklearn:sklearn", "sklearn"]
    assert (bare, full) == ("The one you think", "Not the one you think")


def test_a_third_party_plugin_does_not_replace_a_first_party_name_that_is_not_installed(ask):
    names, refusal = ask("answer([list(st.classifiers()), refusal('sklearn')])", "claims_sklearn")
    assert names == ["acme-claims-sklearn:sklearn"]
    assert refusal[0] == "AmbiguousNameError"
    assert "acme-claims-sklearn 1.0" in refusal[1]
    assert "'acme-claims-sklearn:sklearn'" in refusal[1]
    assert "pip install smalltext-sklearn" in refusal[1]


def test_a_third_party_plugin_does_not_replace_a_first_party_name_that_is_blocked(ask):
    refusal = ask(
        "answer(refusal('sklearn'))",
        "claims_sklearn",
        "first_party",
        SMALLTEXT_DISABLE_PLUGINS="smalltext-sklearn",
    )
    assert refusal[0] == "UnknownClassifierError"
    assert "SMALLTEXT_DISABLE_PLUGINS" in refusal[1]


def test_a_first_party_name_whose_plugin_is_broken_raises_with_the_cause(ask):
    refusal = ask("answer(refusal('setfit'))", "first_party_broken", "works")
    assert refusal[0] == "PluginError"
    assert "smalltext-setfit 1.0" in refusal[1]
    assert refusal[2:] == ["ImportError", "numpy.core.multiarray failed to import"]


def test_the_names_of_all_classifiers_of_this_project_are_reserved():
    plugins = (packages.project(name).get("entry-points", {}).get("smalltext", {}) for name in packages.NAMES)
    exported = {"onnx"}  # cannot be trained, and is not created by name
    assert set(FIRST_PARTY) == {name for each in plugins for name in each} - exported


def test_no_plugin_replaces_a_classifier_of_this_project_that_is_installed():
    for name, distribution in FIRST_PARTY.items():
        if name not in st.classifiers():
            continue
        spec = st.ClassifierSpec(name, "Not the one you think", protocol=1, classifier="rival:Classifier")
        rival = type("Rival", (), {"smalltext_classifiers": st.hookimpl(lambda _, spec=spec: [spec])})()
        st.plugin_manager.register(rival, name="rival")
        try:
            assert st.classifier_spec(name) is st.classifier_spec(f"{distribution}:{name}")
            assert st.classifier_spec(f"in-process:{name}") is spec
        finally:
            st.plugin_manager.unregister(name="rival")


def test_a_first_party_name_that_is_not_installed_names_its_package(ask):
    names = list(FIRST_PARTY)
    for name, (kind, message, *_) in zip(
        names, ask(f"answer([refusal(name) for name in {names}])", "works"), strict=True
    ):
        assert kind == "UnknownClassifierError"
        assert f"No classifier is called {name!r}. Installed: majority." in message
        assert f"pip install smalltext-{name}" in message


def test_an_unknown_name_suggests_the_closest(ask):
    advice = {
        "majorty": "Did you mean 'majority'?",
        "setfitt": "Did you mean 'setfit'? It comes with: pip install smalltext-setfit",
        "acme-works:majorty": "Did you mean 'majority'?",
        "smalltext-setfit:setfit": "pip install smalltext-setfit",
    }
    refusals = ask(f"answer([refusal(name) for name in {list(advice)}])", "works")
    for expected, (_, message, *_) in zip(advice.values(), refusals, strict=True):
        assert expected in message


def test_odd_names_are_unknown_names(ask):
    names = ["", ":", "acme-works:", ":no", "acme-works", "Majority ", "nobody:majority", "a:b:c"]
    for kind, message, *_ in ask(f"answer([refusal(name) for name in {names}])", "works"):
        assert kind == "UnknownClassifierError"
        assert "Installed: majority." in message


def test_a_name_that_is_not_a_string_is_refused(ask):
    assert ask("answer(refusal(None))", "works")[:2] == [
        "InvalidInputError",
        "name: got None; allowed: the name of a classifier, a str.",
    ]


def test_a_parameter_that_the_builder_does_not_know_names_the_right_ones(ask):
    kind, message, *_ = ask("answer(refusal('majority', bonnus=1))", "works")
    assert kind == "InvalidInputError"
    assert (
        message == "parameters: got 'bonnus' for the classifier 'majority'; allowed: bonus. Did you mean 'bonus'?"
    )


def test_the_number_of_classes_is_checked_before_the_backend_is_imported(ask):
    kind, imported = ask(
        """
        try:
            st.create_classifier("majority", num_classes=1)
        except ValueError as error:
            answer([error.argument, "acme_works.parts" in sys.modules])
        """,
        "works",
    )
    assert (kind, imported) == ("num_classes", False)
