"""Third-party backends, built as wheels and installed in environments that were empty before."""

from __future__ import annotations

import json
import zipfile

import pytest

from architecture import packages

PLUGINS = packages.TOP / "tests" / "plugins"

pytestmark = [pytest.mark.install, pytest.mark.slow]

REVIEWS = "text,label\n" + "".join(
    f"{words} {number},{label}\n"
    for number in range(20)
    for words, label in (("a fine and moving film", "good"), ("a dull and tiring film", "bad"))
)

LOAD = """
import sys
import smalltext_core as s
print(type(s.load(sys.argv[1])).__module__, s.load(sys.argv[1]).predict(s.TextDataset(["fine", "dull"])).tolist())
"""

REQUIREMENTS = """
import importlib.metadata, re, sys
needed = [one for one in importlib.metadata.requires(sys.argv[1]) if "extra" not in one]
print(*sorted(re.match(r"[\\w.-]+", one)[0] for one in needed))
"""

each_backend = pytest.mark.parametrize("name", ["naive-bayes", "bag"])


def smalltext(environment, *arguments):
    return environment.fork_module("smalltext_cli", *arguments)


@pytest.fixture
def environment(name, request):
    return request.getfixturevalue(f"{name.replace('-', '_')}_environment")


@each_backend
def test_the_wheel_holds_the_package_its_license_and_the_mark_of_typing(name, plugin_wheels):
    package = f"smalltext_{name.replace('-', '_')}"
    (wheel,) = plugin_wheels.glob(f"{package}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    sources = {path.name for path in (PLUGINS / f"smalltext-{name}" / "src" / package).glob("*.*")}
    assert {path.partition("/")[2] for path in held if path.startswith(f"{package}/")} == sources
    assert "py.typed" in sources
    assert any(path.endswith("licenses/LICENSE") for path in held)


def test_naive_bayes_brings_no_framework(naive_bayes_environment):
    brought = naive_bayes_environment.distributions()
    assert {"smalltext-naive-bayes", "numpy", "scipy"} <= brought
    assert not {name for name in brought if name.startswith(("torch", "transformers"))}
    needed = naive_bayes_environment.run_python(REQUIREMENTS, "smalltext-naive-bayes").stdout
    assert needed.split() == ["numpy", "scipy", "smalltext-core"], "scikit-learn comes with the command"


@each_backend
def test_it_is_listed(name, environment):
    result = smalltext(environment, "list", "--json")
    listed = {one["name"]: one for one in json.loads(result.stdout)["classifiers"]}
    assert listed[name]["distribution"] == f"smalltext-{name}"
    assert not json.loads(result.stdout)["problems"]


@pytest.mark.parametrize("name", ["naive-bayes", pytest.param("bag", marks=pytest.mark.nightly)])
def test_it_trains_saves_loads_and_predicts(name, environment, tmp_path):
    data, model, output = tmp_path / "reviews.csv", tmp_path / "model", tmp_path / "labelled.csv"
    data.write_text(REVIEWS, encoding="utf-8")
    trained = smalltext(environment, "train", str(data), "-c", name, "-o", str(model))
    assert trained.returncode == 0, trained.stderr
    predicted = smalltext(environment, "predict", str(model), str(data), "-o", str(output))
    assert predicted.returncode == 0, predicted.stderr
    assert output.read_text(encoding="utf-8").splitlines()[1].rsplit(",", 1)[0].endswith(",good,good")
    loaded = environment.fork_python(LOAD, str(model))
    assert loaded.stdout == f"smalltext_{name.replace('-', '_')}.classifier [1, 0]\n", loaded.stderr


@pytest.mark.parametrize(
    ("name", "chosen", "least"),
    [
        ("naive-bayes", ["--single-label", "--only", "check_one_text_works"], 1),
        ("bag", ["--single-label", "--only", "check_one_text_works"], 1),
        pytest.param("naive-bayes", [], 60, marks=pytest.mark.nightly),
    ],
)
def test_it_is_checked_by_its_name(name, chosen, least, environment):
    result = smalltext(environment, "check", name, "--json", *chosen)
    found = json.loads(result.stdout)
    assert (result.returncode, found["failed"]) == (0, 0), result.stderr
    assert found["passed"] >= least


QUICKLY = "not repeated_training and not two-classes and not (multi-label and process)"
"""Checks that start processes run for one factory; the longest ones, and two classes, only in nightly runs."""


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        pytest.param("naive-bayes", QUICKLY, id="naive-bayes-quickly"),
        pytest.param("naive-bayes", "", id="naive-bayes-all", marks=pytest.mark.nightly),
        pytest.param("bag", "", id="bag-all", marks=pytest.mark.nightly),
    ],
)
def test_its_own_tests_pass_in_the_environment(name, environment, chosen):
    folder = PLUGINS / f"smalltext-{name}"
    options = ["-q", "-p", "no:cacheprovider", "--rootdir=.", "-c", "pyproject.toml", "-k", chosen]
    result = environment.run_module("pytest", *options, folder=folder)
    assert result.returncode == 0, result.stdout
