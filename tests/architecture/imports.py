"""The imports of a package, read from its sources: at the top, inside functions, and for type checking only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from architecture import packages


@dataclass(frozen=True)
class Import:
    """An imported name and the place of its import."""

    module: str
    attribute: str | None
    path: Path
    line: int
    at_top: bool
    for_types: bool

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]

    @property
    def parts(self) -> list[str]:
        return [*self.module.split("."), *([self.attribute] if self.attribute else [])]

    def __str__(self) -> str:
        names = f"{self.module}:{self.attribute}" if self.attribute else self.module
        return f"{self.path.relative_to(packages.TOP)}:{self.line} imports {names}"


def of_package(name: str) -> list[Import]:
    return [found for path in sorted(packages.sources(name).rglob("*.py")) for found in of_file(path)]


def third_party(name: str) -> list[Import]:
    own = packages.import_name(name)
    return [found for found in of_package(name) if found.root not in sys.stdlib_module_names | {own}]


@cache
def syntax_tree(path: Path) -> ast.Module:
    """Return the syntax tree of a source file, which many tests walk and none changes."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def of_file(path: Path) -> tuple[Import, ...]:
    return tuple(_walk(syntax_tree(path), path, at_top=True, for_types=False))


def _walk(node: ast.AST, path: Path, at_top: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, None, path, child.lineno, at_top, for_types)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(child.module or "", alias.name, path, child.lineno, at_top, for_types)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for statement in child.body:
                yield from _walk(ast.Module([statement], []), path, at_top, for_types=True)
            for statement in child.orelse:
                yield from _walk(ast.Module([statement], []), path, at_top, for_types)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk(child, path, at_top and not inside, for_types)


def module_strings(name: str) -> Iterator[tuple[Path, int, str]]:
    """Yield the strings that name a module of this repository, in the form for ``importlib.import_module``."""
    roots = {packages.import_name(other) for other in packages.NAMES}
    for path in sorted(packages.sources(name).rglob("*.py")):
        for node in ast.walk(syntax_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                module = node.value.partition(":")[0]
                if module.partition(".")[0] in roots and all(part.isidentifier() for part in module.split(".")):
                    yield path, node.lineno, module


def private_attributes(name: str) -> Iterator[str]:
    """Yield the places where a module uses a private name of another of these modules, as ``module._name``."""
    roots = {packages.import_name(other) for other in packages.NAMES}
    for path in sorted(packages.sources(name).rglob("*.py")):
        tree = syntax_tree(path)
        modules = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "") in roots
            for alias in node.names
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in modules
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                yield f"{path.relative_to(packages.TOP)}:{node.lineno} uses {node.value.id}.{node.attr}"
