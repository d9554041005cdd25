"""The page on architecture names files that exist, and its picture shows the declared dependencies."""

from __future__ import annotations

import importlib
import re
import xml.etree.ElementTree as ET

import pytest

from architecture import packages

PAGE = packages.TOP / "docs" / "explanation" / "architecture.md"
PICTURE = PAGE.with_suffix(".svg")
TEXT = PAGE.read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"packages/[\w./-]+\.\w+", TEXT)))
NAMES = sorted(set(re.findall(r"`(smalltext_\w+(?:\.\w+)*)`", TEXT)))


def resolve(dotted: str) -> object:
    """Import a module, or return an attribute of one."""
    module, _, name = dotted.rpartition(".")
    if not module:
        return importlib.import_module(dotted)
    parent = resolve(module)
    return getattr(parent, name) if hasattr(parent, name) else importlib.import_module(dotted)


def test_files_exist():
    assert not [path for path in PATHS if not (packages.TOP / path).is_file()]
    assert len(NAMES) > 30


@pytest.mark.parametrize("name", NAMES)
def test_modules_and_their_names_exist(name):
    resolve(name)


def test_a_name_that_is_gone_is_found():
    with pytest.raises(ModuleNotFoundError):
        resolve("smalltext_core.gone")


def test_arrows_of_the_picture_are_the_declared_dependencies():
    paths = ET.parse(PICTURE).iter("{http://www.w3.org/2000/svg}path")
    arrows = {(path.get("data-from"), path.get("data-to")) for path in paths if path.get("data-from")}
    declared = {
        (name, found.name)
        for name in packages.NAMES
        for found in packages.required(name)
        if found.name in packages.NAMES
    }
    assert arrows == declared


def test_the_picture_loads_nothing():
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", PICTURE.read_text(encoding="utf-8")) == []
