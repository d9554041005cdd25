"""Gaps in docstrings of public names: parameters without description, type or default; classes without example.

Known gaps are listed in ``docstring_gaps.txt``, which may only get shorter. To regenerate it, run this in the
folder of the tests:

    python -m architecture.docstrings
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from architecture import public_face

KNOWN_GAPS = Path(__file__).with_name("docstring_gaps.txt")

TITLES = ("Parameters", "Other Parameters")
SHARED = "Parameters of extension points"
"""The section of a class docstring with the common parameters of the methods for subclasses."""

_SECTION = re.compile(r"^(?P<title>[A-Z][A-Za-z ]+)\n-{3,}$", re.MULTILINE)
_ENTRY = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: ?: ?(?P<type>\S.*))?$")
_STARS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


@dataclass
class Entry:
    """The description of a parameter in a docstring."""

    type: str
    words: str = ""

    def lacks(self, parameter: inspect.Parameter) -> Iterator[str]:
        if not self.type and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield "type"
        if not self.words.strip():
            yield "words"
        if parameter.default is not parameter.empty and not re.search(
            r"\bdefault|\boptional\b", f"{self.type} {self.words}"
        ):
            yield "default"


def sections(doc: str) -> dict[str, str]:
    """Return the sections of a numpy-style docstring, by title."""
    found = list(_SECTION.finditer(doc))
    ends = [*(match.start() for match in found[1:]), len(doc)][: len(found)]
    return {match["title"]: doc[match.end() : end] for match, end in zip(found, ends, strict=True)}


def documented(doc: str, *titles: str) -> dict[str, Entry]:
    """Return the parameters that sections of a docstring describe, by name, with stars."""
    found: dict[str, Entry] = {}
    current: list[Entry] = []
    parts = sections(doc)
    for line in "".join(parts.get(title, "") for title in titles or TITLES).splitlines():
        match = _ENTRY.match(line)
        if match:
            current = [Entry(match["type"] or "") for _ in match["names"].split(", ")]
            found.update(zip(match["names"].split(", "), current, strict=True))
        elif line.strip():
            for entry in current:
                entry.words += line
    return found


def gaps_of_call(name: str, call: Any, doc: str, shared: Mapping[str, Entry] = {}) -> Iterator[str]:
    """Yield the gaps of a docstring in the parameters of a call, and descriptions of nonexistent parameters."""
    try:
        parameters = dict(inspect.signature(call).parameters)
    except ValueError:  # an exception that has the constructor of Exception
        return
    for hidden in ("self", "cls"):
        parameters.pop(hidden, None)
    described = documented(doc)
    sources = getattr(call, "parameter_sources", {})  # see smalltext_core.factory
    for taken, source in sources.items():
        entry = documented(inspect.getdoc(source) or "").get(taken)
        described.update({} if entry is None else {taken: entry})
    names = {_STARS.get(parameter.kind, "") + parameter.name: parameter for parameter in parameters.values()}
    accepts_any = bool(sources) or any(other.startswith("**") for other in names)
    for own, parameter in names.items():
        entry = described.get(own) or shared.get(own)
        if entry is not None:
            yield from (f"{name}({own}): no {what}" for what in entry.lacks(parameter))
        elif not own.startswith("_"):
            yield f"{name}({own}): not described"
    if not accepts_any:
        yield from (f"{name}({other}): no such parameter" for other in described if other not in names)


def gaps_of_class(name: str, found: type, protocols: Sequence[type] = ()) -> Iterator[str]:
    """Yield the gaps in the docstrings of a class and its public methods; protocols count as descriptions."""
    doc = inspect.getdoc(found) or ""
    is_protocol = getattr(found, "_is_protocol", False)
    if ">>>" not in doc and not issubclass(found, (BaseException, enum.Enum)) and not is_protocol:
        yield f"{name}: no example"
    own = getattr(inspect.getattr_static(found, "__init__"), "__module__", "").startswith("smalltext_")
    if (own or "__dataclass_fields__" in vars(found)) and not is_protocol:
        yield from gaps_of_call(name, found, doc)
    shared: dict[str, Entry] = {}
    for base in reversed(found.__mro__):
        shared.update(documented(inspect.getdoc(base) or "", SHARED))
    for attribute, member in vars(found).items():
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        inherits = (function.__doc__ is None) and any(hasattr(base, attribute) for base in found.__mro__[1:])
        if not attribute.startswith("_") and inspect.isfunction(function) and not inherits:
            doc = inspect.getdoc(function) or ""
            declared = dict(shared)
            for protocol in protocols:
                declared.update(documented(inspect.getdoc(getattr(protocol, attribute, None)) or ""))
            yield from gaps_of_call(f"{name}.{attribute}", function, doc, declared)


def gaps(module: str) -> list[str]:
    """Return the gaps in the docstrings of a module's public names."""
    found: list[str] = []
    imported = importlib.import_module(module)
    values = [getattr(imported, public) for public in public_face.names(imported)]
    protocols = [value for value in values if getattr(value, "_is_protocol", False)]
    for public in sorted(public_face.names(imported)):
        value, name = getattr(imported, public), f"{module}.{public}"
        if inspect.isclass(value) and value.__module__.startswith("smalltext_"):
            found.extend(gaps_of_class(name, value, protocols))
        elif inspect.isroutine(value):
            found.extend(gaps_of_call(name, value, inspect.getdoc(value) or ""))
    return found


def known_gaps() -> set[str]:
    return set(KNOWN_GAPS.read_text(encoding="utf-8").splitlines())


def main() -> None:
    lines = {gap for module in public_face.MODULES if public_face.is_installed(module) for gap in gaps(module)}
    KNOWN_GAPS.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
