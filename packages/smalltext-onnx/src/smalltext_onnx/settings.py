"""The settings of an exported model: classes, thresholds, and how texts become token ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from smalltext_core.calibration import Calibration
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import brief
from smalltext_core.saving import MANIFEST, Manifest
from smalltext_core.validation import check_thresholds

MAX_TOKEN_ID = 2**31 - 1
_MAX_TEXT_TOKENS = 1_000_000
_MAX_SPECIAL_TOKENS = 10_000
_MAX_PROMPT_LENGTH = 10_000
_MAX_CLASSES = 1_000_000


@dataclass(frozen=True)
class TextSettings:
    """How texts become token ids.

    Parameters
    ----------
    max_length : int
        The maximum number of tokens of a text, special tokens included.
    before, after : int
        The number of special tokens before and after a text.
    padding, filler : int
        The ids of the padding token, and of the token that represents a text without tokens.
    vocabulary_size : int
        The number of tokens that the model has an embedding for.
    prompt : str
        A prefix of each text.
    windows : bool
        Whether longer texts are divided into windows, whose probabilities are averaged, instead of being
        truncated.
    """

    max_length: int
    before: int
    after: int
    padding: int
    filler: int
    vocabulary_size: int = MAX_TOKEN_ID
    prompt: str = ""
    windows: bool = False


@dataclass(frozen=True)
class Settings:
    """The settings of an exported model, which are stored in its manifest.

    Parameters
    ----------
    num_classes : int
    multi_label : bool
    threshold : float or tuple of float
        The multi-label threshold of all classes, or one per class.
    calibration : Calibration or None
        The calibration of the probabilities, which is part of the graph.
    text : TextSettings
    export : mapping of str to JSON values
        What was exported, with which versions and options, and the largest difference between probabilities.
    """

    num_classes: int
    multi_label: bool
    threshold: float | tuple[float, ...]
    calibration: Calibration | None
    text: TextSettings
    export: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the settings as stored in a manifest."""
        threshold = list(self.threshold) if isinstance(self.threshold, tuple) else self.threshold
        return {
            "num_classes": self.num_classes,
            "multi_label": self.multi_label,
            "multi_label_threshold": threshold,
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "text": asdict(self.text),
            "export": dict(self.export),
        }

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Settings:
        """Return the settings in a manifest; raise ModelFolderError if one is missing or out of range."""
        saved = manifest.parameters
        multi_label = _flag(saved, "multi_label")
        num_classes = _number(saved, "num_classes", 1 if multi_label else 2, _MAX_CLASSES)
        given = saved.get("multi_label_threshold")
        try:
            threshold = check_thresholds(given, num_classes)
        except InvalidInputError as error:
            raise _refused("multi_label_threshold", given, "numbers from 0 to below 1") from error
        if isinstance(threshold, str):
            raise _refused("multi_label_threshold", given, "numbers from 0 to below 1")
        calibration = Calibration.from_json(saved.get("calibration"), num_classes, multi_label)
        text, export = saved.get("text"), saved.get("export")
        if not isinstance(text, dict) or not isinstance(export, dict):
            raise _refused("text", text, "an object, and another one as 'export'")
        return cls(num_classes, multi_label, threshold, calibration, _text_settings(text), export)


def _text_settings(saved: Mapping[str, Any]) -> TextSettings:
    prompt = saved.get("prompt")
    if not isinstance(prompt, str) or len(prompt) > _MAX_PROMPT_LENGTH:
        raise _refused("text.prompt", prompt, f"a text of up to {_MAX_PROMPT_LENGTH} characters")
    size = _number(saved, "vocabulary_size", 1, MAX_TOKEN_ID)
    before, after = (_number(saved, name, 0, _MAX_SPECIAL_TOKENS) for name in ("before", "after"))
    return TextSettings(
        _number(saved, "max_length", before + after + 1, _MAX_TEXT_TOKENS),
        before,
        after,
        _number(saved, "padding", 0, size - 1),
        _number(saved, "filler", 0, size - 1),
        size,
        prompt,
        _flag(saved, "windows"),
    )


def _number(saved: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = saved.get(name)
    if type(value) is not int or not least <= value <= most:
        raise _refused(name, value, f"a whole number from {least} to {most}")
    return value


def _flag(saved: Mapping[str, Any], name: str) -> bool:
    value = saved.get(name)
    if not isinstance(value, bool):
        raise _refused(name, value, "true or false")
    return value


def _refused(key: str, value: object, allowed: str) -> ModelFolderError:
    what = f"{MANIFEST}, key {key!r}: it holds {brief(value)}; allowed: {allowed}"
    return ModelFolderError(f"{what}. Export the model again.")
