"""Our signatures beside those of the installed small-text 1.4.1, and beside those on its documentation page."""

from __future__ import annotations

import enum
import importlib
import inspect

import pytest

from integrations.documented import SIGNATURES, documented
from integrations.page import MIGRATION, says
from integrations.signature_differences import DIFFERENCES, OF_ACTIVE_LEARNING, OTHER_FUNCTIONS, REPLACED
from integrations.signatures import differences, new_by_keyword

small_text = pytest.importorskip("small_text")

PACKAGES = ("core", "sklearn", "torch", "kimcnn", "transformers", "setfit")


def our_names():
    modules = [importlib.import_module(f"smalltext_{package}") for package in PACKAGES]
    return {name: getattr(module, name) for module in reversed(modules) for name in module.__all__}


OURS = our_names()


def public_names():
    return [
        name
        for name in dir(small_text)
        if not name.startswith("_") and not inspect.ismodule(getattr(small_text, name))
    ]


def members(theirs):
    """Return the public members of a class that small-text itself defines."""
    defined = {}
    for one in reversed(theirs.__mro__):
        if one.__module__.startswith("small_text"):
            defined.update({name: value for name, value in vars(one).items() if not name.startswith("_")})
    return defined


def has_constructor(theirs):
    return any("__init__" in vars(one) for one in theirs.__mro__ if one.__module__.startswith("small_text"))


def pairs():
    """Yield every function that both libraries have: its name, theirs and ours."""
    for name in public_names():
        theirs, ours = getattr(small_text, name), OURS.get(name)
        if inspect.isfunction(theirs) and inspect.isfunction(ours):
            yield name, theirs, ours
        elif inspect.isclass(theirs) and ours is not None and not issubclass(theirs, enum.Enum):
            if has_constructor(theirs):
                yield name, theirs, ours
            for member, value in members(theirs).items():
                if inspect.isroutine(value) and hasattr(ours, member):
                    yield f"{name}.{member}", getattr(theirs, member), getattr(ours, member)


def of_members():
    """Return the differences of classes that are not about signatures."""
    found = set()
    for name in public_names():
        theirs, ours = getattr(small_text, name), OURS.get(name)
        if not inspect.isclass(theirs) or ours is None:
            continue
        for member, value in members(theirs).items():
            if not hasattr(ours, member) and member not in getattr(ours, "__annotations__", {}):
                found.add(f"{name}.{member} is missing")
            elif isinstance(value, property) and value.fset is not None:
                mine = inspect.getattr_static(ours, member)
                if isinstance(mine, property) and mine.fset is None:
                    found.add(f"{name}.{member} cannot be set")
    return found


def documented_pairs(library):
    for name, theirs in documented().items():
        one, _, method = name.partition(".")
        yield name, theirs, getattr(library[one], method) if method else library[one]


@pytest.fixture(scope="module")
def found():
    both = [*pairs(), *documented_pairs(OURS)]
    return of_members().union(*(differences(name, theirs, ours) for name, theirs, ours in both))


def test_every_difference_is_listed(found):
    assert sorted(found - DIFFERENCES.keys()) == []


def test_every_difference_that_is_listed_exists(found):
    assert sorted(DIFFERENCES.keys() - found) == []


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_the_page_says_so(difference):
    assert says(DIFFERENCES[difference]), DIFFERENCES[difference]


def new_parameters():
    """Return the cells of the page's table of new parameters, by the classifiers in its rows."""
    section = MIGRATION.read_text(encoding="utf-8").partition("## New parameters")[2]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")][2:]
    return {who.strip().replace("`", ""): cell for who, cell in rows}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("SklearnClassifier", ["all"]),
        ("KimCNNClassifier", ["all", "KimCNN and transformers"]),
        ("TransformerBasedClassification", ["all", "KimCNN and transformers"]),
        ("SetFitClassification", ["all"]),
    ],
)
def test_every_new_parameter_is_in_the_row_of_its_classifier(name, rows):
    theirs, ours = (inspect.signature(one).parameters for one in (getattr(small_text, name), OURS[name]))
    listed = " ".join(new_parameters()[row] for row in [*rows, name])
    assert [one for one in ours if one not in theirs and f"`{one}`" not in listed] == []


def test_what_is_transcribed_of_the_documentation_is_what_is_installed():
    theirs = {name: getattr(small_text, name) for name in public_names()}
    assert not set().union(*(differences(*one) for one in documented_pairs(theirs)))
    assert {name.partition(".")[0] for name in SIGNATURES} <= OURS.keys()


def test_every_public_name_exists_or_is_explained_on_the_page():
    elsewhere = {
        name
        for name in public_names()
        if any(
            f".{module}" in getattr(getattr(small_text, name), "__module__", "") for module in OF_ACTIVE_LEARNING
        )
    }
    left = {name for name in public_names() if name not in OURS} - elsewhere - set(OTHER_FUNCTIONS)
    assert sorted(left - set(REPLACED)) == []
    assert sorted(set(REPLACED) - set(public_names())) == []
    assert not [name for name in REPLACED if not says(f"`{name}") and not says(f"`{name}`")]


def test_every_name_that_stays_is_on_the_page():
    shared = [name for name in public_names() if name in OURS and name != "classifiers"]
    assert not [name for name in shared if not says(f"`{name}`")]


@pytest.mark.parametrize("name", ["ModelLoadingStrategy"])
def test_enumerations_have_the_same_members(name):
    theirs, ours = getattr(small_text, name), OURS[name]
    assert {one.name: one.value for one in theirs} == {one.name: one.value for one in ours}


def test_constants_have_the_same_values():
    for name in (
        "LABEL_UNLABELED",
        "VERBOSITY_QUIET",
        "VERBOSITY_VERBOSE",
        "VERBOSITY_MORE_VERBOSE",
        "VERBOSITY_ALL",
    ):
        assert getattr(small_text, name) == OURS[name]


def test_new_parameters_are_on_the_page():
    new = {(name, one) for name, theirs, ours in pairs() for one in new_by_keyword(theirs, ours)}
    assert len(new) > 20
    assert not sorted((where, one) for where, one in new if not (says(f"`{one}`") or says(f"({one}=...)")))


def before(a, b=1, c=(1, 2)):
    """A function to compare others with."""


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (lambda a, b=1, c=(1, 2), *, d=None: None, set()),
        (lambda a, b=1: None, {"f(c) is missing"}),
        (lambda a, x=1, c=(1, 2): None, {"f(b) is called x"}),
        (lambda a, c=(1, 2), b=1: None, {"f takes a, b, c in another order"}),
        (lambda a, b=2, c=(1, 2): None, {"f(b=1) is 2 here"}),
        (lambda a, b=1, c=[1, 2]: None, {"f(c=(1, 2)) is [1, 2] here"}),
        (lambda a=0, b=1, c=(1, 2): None, {"f(a) is 0 here"}),
        (lambda a, b=1, *, c=(1, 2): None, {"f(c) is keyword-only"}),
        (lambda a, b=1, c=(1, 2), d=3: None, {"f(d) is new, before keyword-only parameters"}),
    ],
)
def test_the_comparison_finds_each_kind_of_difference(after, expected):
    assert differences("f", before, after) == expected
