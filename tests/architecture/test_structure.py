"""The size of the packages, the depth of class hierarchies, and import cycles between modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import smalltext_core as st
from architecture import imports, packages


def files(name: str) -> list[Path]:
    return sorted(packages.sources(name).rglob("*.py"))


def module(name: str, path: Path) -> str:
    parts = path.relative_to(packages.sources(name).parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


CORE_LINES = 4473
CORE_FILES = 19
SOURCE_FILES = 100
"""Upper bounds, which may only be lowered: the design requires 2,000 lines, 15 files and 110 files."""

COMMAND, COMMAND_FILE_LINES = "smalltext-cli", 150
"""The package that gets further commands and file formats, one file each, and the mean length of its files."""

UNCOUNTED = ("smalltext-cache", "smalltext-cli", "smalltext-embeddings", "smalltext-onnx", "smalltext-scale")
"""Packages with their own bounds; smalltext-cache was a file of the newest backend."""

EXPORT, EXPORT_FILES = "smalltext-onnx", 8
"""The package that exports models, and the upper bound for its files."""

SCALE, SCALE_FILES = "smalltext-scale", 5

NEWEST, NEWEST_FILES, NEWEST_LINES = "smalltext-embeddings", 10, 1187
"""The backend that was built like a third-party plugin, and its upper bounds; the design requires 1,200 lines."""

CLASS_DEPTH = 4
FILE_LINES = 400
LONGER = {"smalltext_sklearn.word_char_tfidf": 419}
"""Files that are longer; they may only become fewer and shorter."""

CIRCLES: dict[str, set[str]] = {}
"""For each package, modules that still import one another; they may only become fewer."""

OURS = {packages.import_name(one) for one in packages.NAMES}

each_package = pytest.mark.parametrize("name", packages.NAMES)


def graph(name: str) -> dict[str, set[str]]:
    """Return the modules of a package that each of its modules imports: at the top, in functions, or for types."""
    modules = {module(name, path): path for path in files(name)}
    edges: dict[str, set[str]] = {}
    for own, path in modules.items():
        edges[own] = set()
        for found in imports.of_file(path):
            full = f"{found.module}.{found.attribute}"
            target = full if full in modules else found.module
            if target in modules and target != own and found.attribute != "__version__":
                edges[own].add(target)
    return edges


def circles(edges: dict[str, set[str]]) -> Iterator[set[str]]:
    """Yield the sets of modules that import one another, directly or through others."""
    reached = {start: _reachable(edges, start) for start in edges}
    seen: set[str] = set()
    for start in edges:
        circle = {other for other in reached[start] if start in reached[other]}
        if circle and start not in seen:
            seen |= circle
            yield circle


def _reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting.extend(edges[one])
    return found


def test_the_core_is_tiny():
    sources = [path.read_text(encoding="utf-8") for path in files("smalltext-core")]
    assert sum(text.count("\n") for text in sources) <= CORE_LINES
    assert len(sources) <= CORE_FILES


def test_there_are_few_source_files():
    assert sum(len(files(name)) for name in packages.NAMES if name not in UNCOUNTED) <= SOURCE_FILES


def test_the_export_of_models_is_a_few_files():
    assert len(files(EXPORT)) <= EXPORT_FILES


def test_files_of_the_command_are_whole_subjects():
    lines = [path.read_text(encoding="utf-8").count("\n") for path in files(COMMAND)]
    assert sum(lines) / len(lines) >= COMMAND_FILE_LINES


def test_the_newest_backend_is_small():
    sources = [path.read_text(encoding="utf-8") for path in files(NEWEST)]
    assert len(sources) <= NEWEST_FILES
    assert sum(map(lines_of_code, sources)) <= NEWEST_LINES


def lines_of_code(source: str) -> int:
    """Count the lines of a module that are neither blank, nor comments, nor in docstrings."""
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.split("\n"), start=1)
    return sum(bool(line.strip()) and line.strip()[0] != "#" and n not in documentation for n, line in lines)


def test_the_package_for_engines_is_small():
    assert len(files(SCALE)) <= SCALE_FILES


@each_package
def test_no_source_file_is_long(name):
    for path in files(name):
        most = LONGER.get(module(name, path), FILE_LINES)
        assert path.read_text(encoding="utf-8").count("\n") <= most, path.name


@pytest.mark.parametrize("name", st.classifiers())
def test_few_classes_are_above_a_classifier(name):
    above = [
        one.__qualname__
        for one in st.classifier_spec(name).resolve("classifier").__mro__
        if one.__module__.partition(".")[0] in OURS
    ]
    assert len(above) <= CLASS_DEPTH, above


@each_package
def test_no_modules_import_one_another(name):
    known = CIRCLES.get(name, set())
    assert [circle for circle in circles(graph(name)) if not circle <= known] == []


def test_import_cycles_are_detected():
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert list(circles(edges)) == [{"b", "c"}]


@each_package
def test_no_module_imports_a_private_name_of_another(name):
    wrong = [
        str(found)
        for found in imports.of_package(name)
        if found.attribute is not None
        and found.attribute.startswith("_")
        and found.attribute != "__version__"
        and f"{found.module}.{found.attribute}" not in graph(name)
        and found.root in OURS
    ]
    assert wrong == []


@each_package
def test_no_module_uses_a_private_name_of_another_that_it_imports(name):
    assert list(imports.private_attributes(name)) == []
