"""The manifest of a saved model, whose fields are checked for type, range and size before any of them is used.

The folder may come from an untrusted source. Backends check what the parameters mean to them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import install_command, shown

MANIFEST = "smalltext.json"
"""The file that makes a folder a saved model."""

FORMAT_VERSION = 1

LARGEST_MANIFEST = 64 * 2**20
"""The largest size of a manifest in bytes, enough for the names of a million classes."""

_LARGEST_INTEGER = 2**63 - 1
_DEEPEST = 32
_MOST_FILES = 100_000

_CLASSIFIER = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
# The grammars of names (PEP 508) and of versions (PEP 440), both without spaces around.
_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(
    r"v?([0-9]+!)?[0-9]+(\.[0-9]+)*"
    r"([-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]*)?"
    r"(-[0-9]+|[-_.]?(post|rev|r)[-_.]?[0-9]*)?"
    r"([-_.]?dev[-_.]?[0-9]*)?"
    r"(\+[a-z0-9]+([-_.][a-z0-9]+)*)?",
    re.IGNORECASE | re.ASCII,
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_distribution_name(name: object) -> bool:
    """Return whether this is a valid name of a distribution, such as smalltext-sklearn."""
    return isinstance(name, str) and len(name) <= 128 and _DISTRIBUTION.fullmatch(name) is not None


def is_version(version: object) -> bool:
    """Return whether this is a valid version of a distribution, such as 1.0rc1."""
    return isinstance(version, str) and len(version) <= 128 and _VERSION.fullmatch(version) is not None


@dataclass(frozen=True)
class Manifest:
    """The description of a saved classifier, in the file smalltext.json of its folder.

    Parameters
    ----------
    classifier, distribution, version : str
        The name that its plugin registers it under, and the distribution that wrote the folder.
    parameters : mapping of str to JSON values, optional
        What the backend needs to create the classifier again.
    label_names : tuple of str, optional
        The names of the classes.
    files : mapping of str to str, optional
        The SHA-256 of every file, by its path inside the folder.
    format_version : int, default=1
        The version of the format of the manifest.

    Examples
    --------
    >>> Manifest("sklearn", "smalltext-sklearn", "0.1.0", label_names=("ham", "spam")).names
    LabelNames(names=('ham', 'spam'))
    """

    classifier: str
    distribution: str
    version: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    label_names: tuple[str, ...] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    @property
    def names(self) -> LabelNames | None:
        """What the classes are called, as LabelNames."""
        return None if self.label_names is None else LabelNames.saved(self.label_names)


def manifest_as_json(manifest: Manifest) -> bytes:
    """Return the contents of the file of a manifest."""
    content = json.dumps(asdict(manifest), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return content.encode("utf-8", "surrogatepass")  # as json.loads decodes


def manifest_from_json(content: bytes, path: object) -> Manifest:
    """Read a manifest from the content of its file, which errors call `path`.

    ModelFolderError is raised if a field is missing, of the wrong type, out of range or too large, or if the
    format is a newer one.
    """
    if len(content) > LARGEST_MANIFEST:
        raise ModelFolderError(f"{path} is damaged: it has more than {LARGEST_MANIFEST} bytes. Save it again.")
    try:
        fields = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path} is damaged, it is not JSON ({error}). Save the model again.") from error
    if not isinstance(fields, dict):
        raise ModelFolderError(f"{path} is damaged: it holds no JSON object. Save the model again.")
    version = fields.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        what = f"{path} has format version {shown(version)}, and this smalltext-core reads up to {FORMAT_VERSION}"
        raise ModelFolderError(f"{what}. Upgrade it: {install_command('smalltext-core', upgrade=True)}")
    problem = _problem(fields)
    if problem:
        what = f"{path} is damaged: fields are missing or of the wrong type ({problem})"
        raise ModelFolderError(f"{what}. Save it again.")
    said = {key: fields[key] for key in ("classifier", "distribution", "version", "parameters", "files")}
    names = fields.get("label_names")
    return Manifest(**said, label_names=None if names is None else tuple(names))


def check_origin(classifier: str, distribution: str, version: str) -> None:
    """Raise InvalidInputError unless a manifest may name this classifier and distribution as its writer."""
    for argument, value, valid, allowed in _origin(classifier, distribution, version):
        if not valid:
            raise InvalidInputError(argument, shown(value), allowed)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _origin(classifier: object, distribution: object, version: object) -> list[tuple[str, object, bool, str]]:
    named = (
        isinstance(classifier, str) and len(classifier) <= 128 and _CLASSIFIER.fullmatch(classifier) is not None
    )
    return [
        ("classifier", classifier, named, "lower-case letters and digits, such as 'my-svm'"),
        ("distribution", distribution, is_distribution_name(distribution), "the name of a distribution (PEP 508)"),
        ("version", version, is_version(version), "a version such as '1.0' (PEP 440)"),
    ]


def _problem(fields: dict[str, Any]) -> str:
    """Say what is wrong with the fields of a manifest; nothing if they are sound."""
    version = fields.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        return f"format_version is {shown(version)}"
    said = (fields.get(key) for key in ("classifier", "distribution", "version"))
    for key, _, valid, allowed in _origin(*said):
        if not valid:
            return f"{key} is not {allowed}" if key in fields else f"{key} is missing"
    return (
        _problem_of_parameters(fields.get("parameters"))
        or _problem_of_names(fields.get("label_names"), _num_classes(fields["parameters"]))
        or _problem_of_files(fields.get("files"))
    )


def _problem_of_parameters(parameters: object) -> str:
    if not isinstance(parameters, dict):
        return "parameters is no object"
    waiting: list[tuple[str, object, int]] = [("parameters", parameters, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if isinstance(value, (dict, list)):
            if depth == _DEEPEST:
                return f"{place[:100]} is nested more than {_DEEPEST} levels deep"
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((f"{place[:200]}.{shown(key, 40)}", entry, depth + 1) for key, entry in entries)
        elif isinstance(value, float) and not math.isfinite(value):
            return f"{place} is not a finite number"
        elif type(value) is int and abs(value) > _LARGEST_INTEGER:
            return f"{place} is a number of more than 64 bits"
    return ""


def _num_classes(parameters: dict[str, Any]) -> object:
    """Return the number of classes, which backends keep among their parameters or those of the constructor."""
    places = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    return next((place["num_classes"] for place in places if "num_classes" in place), None)


def _problem_of_names(names: object, num_classes: object) -> str:
    if names is None:
        return ""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "label_names is no list of strings"
    if len(set(names)) < len(names):
        return "a name stands twice in label_names"
    if type(num_classes) is int and len(names) > num_classes:
        return f"label_names has {len(names)} names for {num_classes} classes"
    return ""


def _problem_of_files(files: object) -> str:
    if not isinstance(files, dict) or len(files) > _MOST_FILES:
        return "files is no object of as many entries as a model has files"
    for name, digest in files.items():
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            return f"files.{shown(name)} is no SHA-256 in hexadecimal digits"
    return ""
