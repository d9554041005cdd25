"""The manifest of a saved model. All fields are checked for type, range and size before any of them is used.

The folder may come from an untrusted source. Backends validate the values of their own parameters.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import install_command, shown
from smalltext_core.spec import CLASSIFIER_NAME

MANIFEST = "smalltext.json"
"""The name of the manifest file; a folder with it is a saved model."""

FORMAT_VERSION = 1

MAX_MANIFEST_BYTES = 64 * 2**20
"""The largest size of a manifest in bytes, enough for the names of a million classes."""

_MAX_INTEGER = 2**63 - 1
_MAX_DEPTH = 32
_MAX_FILES = 100_000

# The grammars of names (PEP 508) and of versions (PEP 440), without whitespace around them.
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
_WRITER = {
    "classifier": (CLASSIFIER_NAME, "lower-case letters and digits, such as 'my-svm'"),
    "distribution": (_DISTRIBUTION, "the name of a distribution (PEP 508)"),
    "version": (_VERSION, "a version such as '1.0' (PEP 440)"),
}
"""The fields that name the writer of a model: their grammar, and what is allowed, in words."""


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and len(value) <= 128 and pattern.fullmatch(value) is not None


def is_version(version: object) -> bool:
    """Return whether this is a valid version of a distribution, such as 1.0rc1."""
    return _matches(_VERSION, version)


@dataclass(frozen=True)
class Manifest:
    """The description of a saved classifier, in the file smalltext.json of its folder.

    Parameters
    ----------
    classifier, distribution, version : str
        The registered name of the classifier, and the distribution and version that wrote the folder.
    parameters : mapping of str to JSON values, optional
        The values that the backend needs to create the classifier again.
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
        """The names of the classes as LabelNames."""
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

    def damaged(what: str) -> ModelFolderError:
        return ModelFolderError(f"{path} is damaged: {what}. Save the model again.")

    if len(content) > MAX_MANIFEST_BYTES:
        raise damaged(f"it has more than {MAX_MANIFEST_BYTES} bytes")
    try:
        fields = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise damaged(f"it is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise damaged("it holds no JSON object")
    version = fields.get("format_version")
    if type(version) is int and version > FORMAT_VERSION:
        what = f"{path} has format version {shown(version)}, and this smalltext-core reads up to {FORMAT_VERSION}"
        raise ModelFolderError(f"{what}. Upgrade it: {install_command('smalltext-core', upgrade=True)}")
    for problem in _problems(fields):
        raise damaged(f"fields are missing or of the wrong type ({problem})")
    names = fields.get("label_names")
    known = {key: fields[key] for key in (*_WRITER, "parameters", "files")}
    return Manifest(**known, label_names=None if names is None else tuple(names))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def check_writer(**writer: str) -> None:
    """Raise InvalidInputError unless the `classifier`, its `distribution` and `version` can be in a manifest."""
    for argument, value in writer.items():
        pattern, allowed = _WRITER[argument]
        if not _matches(pattern, value):
            raise InvalidInputError(argument, shown(value), allowed)


def _problems(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the problems of a manifest's fields; those after the first one may be consequences of it."""
    version = fields.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        yield f"format_version is {shown(version)}"
    for key, (pattern, allowed) in _WRITER.items():
        if not _matches(pattern, fields.get(key)):
            yield f"{key} is not {allowed}" if key in fields else f"{key} is missing"
    parameters, names, files = (fields.get(key) for key in ("parameters", "label_names", "files"))
    if not isinstance(parameters, dict):
        yield "parameters is no object"
        return
    yield from _problems_of_values(parameters)
    num_classes = _num_classes(parameters)
    if names is not None and (not isinstance(names, list) or not all(isinstance(name, str) for name in names)):
        yield "label_names is not a list of strings"
    elif names and len(set(names)) < len(names):
        yield "label_names has a name twice"
    elif names and type(num_classes) is int and len(names) > num_classes:
        yield f"label_names has {len(names)} names for {num_classes} classes"
    if not isinstance(files, dict) or len(files) > _MAX_FILES:
        yield f"files is not an object with up to {_MAX_FILES:,} entries"
        return
    for name, digest in files.items():
        if not _matches(_DIGEST, digest):
            yield f"files.{shown(name)} is not a SHA-256 hash in hexadecimal"


def _problems_of_values(parameters: dict[str, Any]) -> Iterator[str]:
    waiting: list[tuple[str, object, int]] = [("parameters", parameters, 0)]
    while waiting:
        place, value, depth = waiting.pop()
        if isinstance(value, (dict, list)):
            if depth == _MAX_DEPTH:
                yield f"{place[:100]} is nested more than {_MAX_DEPTH} levels deep"
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            waiting.extend((f"{place[:200]}.{shown(key, 40)}", entry, depth + 1) for key, entry in entries)
        elif isinstance(value, float) and not math.isfinite(value):
            yield f"{place} is not a finite number"
        elif type(value) is int and abs(value) > _MAX_INTEGER:
            yield f"{place} is a number of more than 64 bits"


def _num_classes(parameters: dict[str, Any]) -> object:
    """Return the number of classes, which backends store in their parameters or those of the constructor."""
    places = [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    return next((place["num_classes"] for place in places if "num_classes" in place), None)
