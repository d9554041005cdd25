"""The requirements for publishing each package separately."""

from __future__ import annotations

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from architecture import packages

pytestmark = pytest.mark.parametrize("name", packages.NAMES)

PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


def operators(requirement: Requirement) -> set[str]:
    return {specifier.operator for specifier in requirement.specifier}


def test_license_is_the_one_at_the_top(name):
    assert (packages.folder(name) / "LICENSE").read_bytes() == (packages.TOP / "LICENSE").read_bytes()


def test_readme_starts_with_the_name_and_a_description(name):
    heading, *rest = (packages.folder(name) / "README.md").read_text(encoding="utf-8").splitlines()
    assert heading == f"# {name}"
    assert len(" ".join(rest).split()) > 20


def test_changelog_has_an_entry_for_the_version(name):
    changelog = (packages.folder(name) / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    assert changelog[0] == f"# Changelog of {name}"
    assert f"## {packages.version(name)}" in changelog


def test_is_typed(name):
    assert (packages.sources(name) / "py.typed").is_file()
    assert "Typing :: Typed" in packages.project(name)["classifiers"]


def test_version_is_valid(name):
    assert str(Version(packages.version(name))) == packages.version(name)


def test_metadata_is_complete_for_an_index(name):
    project = packages.project(name)
    assert project["name"] == name
    assert project["license"] == "MIT"
    assert project["requires-python"] == ">=3.10"
    assert {"Documentation", "Source", "Changelog", "Issues"} <= project["urls"].keys()
    listed = [entry.rpartition(" ")[2] for entry in project["classifiers"] if ":: 3." in entry]
    assert listed == PYTHONS


def test_every_dependency_has_a_lower_bound(name):
    unbounded = [
        str(found)
        for found in packages.required(name) + packages.optional(name)
        if not operators(found) & {">=", "=="} and canonicalize_name(found.name) not in packages.NAMES
    ]
    assert not unbounded


def test_an_upper_bound_is_explained(name):
    lines = (packages.folder(name) / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    bounded = [line for line in lines if re.search(r'"[\w\[\]-]+[^"]*(<|==|~=)', line)]
    assert all("#" in line for line in bounded)


def test_a_dependency_on_one_of_ours_asks_for_a_version_that_exists(name):
    for found in packages.required(name) + packages.optional(name):
        if found.name in packages.NAMES:
            assert operators(found) == {">="}
            assert found.specifier.contains(packages.version(found.name))


def test_a_job_installs_it_alone(name):
    workflow = (packages.TOP / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert f"- package: {name.removeprefix('smalltext-')}\n" in workflow
