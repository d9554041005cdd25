"""The packages that messages recommend to install match the dependencies."""

from __future__ import annotations

import ast
import re

import pytest

from architecture import imports, packages
from install.environments import ours_needed
from smalltext_core.messages import REQUIREMENTS, install_command

LIKE_A_THIRD_PARTY = {"smalltext-cache", "smalltext-scale", "smalltext-tokenizers"}
"""Packages that the core does not list: they save no models, and no message recommends them."""

DISTRIBUTIONS = {name for name in REQUIREMENTS if "[" not in name}

SOURCES = [path for name in packages.NAMES for path in packages.sources(name).rglob("*.py")]


NOT_ADVISED = {"smalltext-cli[demo]", "smalltext-kimcnn[distributed]", "smalltext-transformers[distributed]"}
"""Extras with packages of this project that no message recommends to install."""

EXTRAS = {
    f"{name}[{extra}]": {one.name for one in requirements if one.name in packages.NAMES}
    for name in packages.NAMES
    for extra, requirements in packages.extras(name).items()
}
"""The packages of this project that each extra requires directly."""


def test_every_package_and_its_dependencies_are_known():
    assert sorted(DISTRIBUTIONS | LIKE_A_THIRD_PARTY) == packages.NAMES
    assert not DISTRIBUTIONS & LIKE_A_THIRD_PARTY
    for name in DISTRIBUTIONS:
        assert set(REQUIREMENTS[name]) == ours_needed(name) - {name, "smalltext-core"}


def test_every_extra_with_packages_of_ours_is_known():
    advised = REQUIREMENTS.keys() - DISTRIBUTIONS
    assert {extra for extra, direct in EXTRAS.items() if direct} == advised | NOT_ADVISED
    for extra in advised:
        assert set(REQUIREMENTS[extra]) == ours_needed(*EXTRAS[extra]) - {"smalltext-core"}


def test_the_folders_of_the_advice_exist():
    for name in REQUIREMENTS:
        command = install_command(name)
        parts = [part.rstrip(")").strip("'").partition("[")[0] for part in command.split()]
        folders = [part for part in parts if part.startswith("./packages/")]
        assert folders
        assert all((packages.TOP / folder / "pyproject.toml").is_file() for folder in folders)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_install_advice_for_our_packages_comes_from_one_function(path):
    if path.name == "messages.py":
        return
    nodes = ast.walk(imports.syntax_tree(path))
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not [
        text for text in texts if "pip install smalltext-" in text or "pip install --upgrade smalltext" in text
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_install_advice_for_an_extra_of_ours_has_the_command_for_a_clone(path):
    nodes = list(ast.walk(imports.syntax_tree(path)))
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in nodes if isinstance(node, ast.JoinedStr)
    }
    texts = [
        ast.unparse(node)
        for node in nodes
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and id(node) not in parts
    ]
    ours = [text for text in texts if re.search(r"pip install \\?'({|smalltext-)", text)]
    assert not [text for text in ours if "in a clone: " not in text]
