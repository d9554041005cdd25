"""The public API of the packages: the public names, their kinds, and their signatures.

It is recorded in ``public_face.json``. After an intended change, write the file again and review the diff:

    hatch run test:freeze
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import inspect
import json
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

FROZEN = Path(__file__).with_name("public_face.json")

MODULES = (
    "smalltext_cache",
    "smalltext_cli",
    "smalltext_core",
    "smalltext_core.errors",
    "smalltext_embeddings",
    "smalltext_onnx",
    "smalltext_kimcnn",
    "smalltext_scale",
    "smalltext_setfit",
    "smalltext_sklearn",
    "smalltext_testing",
    "smalltext_tokenizers",
    "smalltext_torch",
    "smalltext_transformers",
)
"""The modules that users import from: the packages, and the public modules of the core."""


def is_installed(name: str) -> bool:
    """Return whether the package of a module is installed: some versions of Python have no wheels of torch."""
    return importlib.util.find_spec(name.partition(".")[0]) is not None


def of_module(name: str) -> dict[str, Any]:
    """Return descriptions of the public members of a module, by name."""
    module = importlib.import_module(name)
    return {public: describe(getattr(module, public)) for public in sorted(names(module))}


def names(module: ModuleType) -> list[str]:
    """Return the public members of a module: its ``__all__``, else the classes and functions that it defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [name for name, found in vars(module).items() if getattr(found, "__module__", None) == module.__name__]


def describe(found: Any) -> Any:
    """Return the kind of an object and the signatures of it and its members, independent of the Python version."""
    if inspect.ismodule(found):
        return "module"
    if inspect.isclass(found) and typing.get_origin(found) is None:
        return {
            "kind": _kind(found),
            "bases": [base.__name__ for base in found.__mro__[1:] if _ours(base)],
            "call": [member.name for member in found] if issubclass(found, enum.Enum) else _call(found),
            "members": _members(found),
        }
    if inspect.isroutine(found):
        return {"kind": "function", "call": _call(found)}
    return "constant" if isinstance(found, (str, int, dict)) else "type"


def _kind(found: type) -> str:
    if issubclass(found, enum.Enum):
        return "enum"
    return "protocol" if getattr(found, "_is_protocol", False) else "class"


def _members(found: type) -> dict[str, str]:
    members = {}
    for name in dir(found):
        member = inspect.getattr_static(found, name)
        if name.startswith("_") or not any(name in vars(base) for base in found.__mro__ if _ours(base)):
            continue
        if isinstance(member, (property, functools.cached_property)):
            members[name] = "property"
        elif isinstance(member, (classmethod, staticmethod)) or inspect.isfunction(member):
            members[name] = _call(getattr(found, name))
        else:
            members[name] = "attribute"
    return members


def _ours(found: type) -> bool:
    return found.__module__.partition(".")[0].startswith("smalltext_")


def _call(found: Any) -> str:
    if inspect.isclass(found) and _kind(found) == "protocol":
        return "(...)"  # it is never instantiated, and versions of Python differ in its signature
    try:
        parameters = inspect.signature(found).parameters.values()
    except ValueError:  # an exception that has the constructor of Exception
        return "(...)"
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in parameters]
    return str(inspect.Signature(bare))


def main() -> None:
    """Record the current public API; entries of packages that are not installed are kept."""
    before = json.loads(FROZEN.read_text(encoding="utf-8")) if FROZEN.exists() else {}
    face = {name: of_module(name) if is_installed(name) else before[name] for name in MODULES}
    FROZEN.write_text(json.dumps(face, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
