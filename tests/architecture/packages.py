"""The packages of this repository, as described by their own files."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP = Path(__file__).parents[2]
NAMES = sorted(path.parent.name for path in TOP.glob("packages/smalltext-*/pyproject.toml"))


def folder(name: str) -> Path:
    return TOP / "packages" / name


def sources(name: str) -> Path:
    return folder(name) / "src" / import_name(name)


def import_name(name: str) -> str:
    return name.replace("-", "_")


def version(name: str) -> str:
    text = (sources(name) / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


@cache
def project(name: str) -> dict[str, Any]:
    return tomllib.loads((folder(name) / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def required(name: str) -> list[Requirement]:
    return [Requirement(line) for line in project(name)["dependencies"]]


def extras(name: str) -> dict[str, list[Requirement]]:
    found = project(name).get("optional-dependencies", {})
    return {extra: [Requirement(line) for line in lines] for extra, lines in found.items()}


def optional(name: str) -> list[Requirement]:
    return [requirement for requirements in extras(name).values() for requirement in requirements]
