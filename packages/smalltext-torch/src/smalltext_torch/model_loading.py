"""Where pretrained models are looked for: on this machine, on a hub, or on a hub again although they are here."""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from smalltext_core import atomic
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown

OFFLINE = ("SMALL_TEXT_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE")
"""The environment variables any one of which says that nothing is to be downloaded."""

_YES = ("1", "on", "true", "yes", "y", "t")


class ModelLoadingStrategy(Enum):
    """Where a pretrained model, its configuration and its tokenizer are looked for."""

    DEFAULT = "default"
    """On this machine, then on the hub; on this machine alone if the environment says so (see `OFFLINE`)."""
    ALWAYS_LOCAL = "always-local"
    """On this machine alone."""
    ALWAYS_DOWNLOAD = "always-download"
    """On the hub, even if a copy is here. A folder is read as it is."""

    @classmethod
    def of(cls, strategy: object) -> ModelLoadingStrategy:
        """Return a strategy, which may be given by its value.

        Raises
        ------
        InvalidInputError
            If there is none of that name.

        Examples
        --------
        >>> ModelLoadingStrategy.of("always-local")
        <ModelLoadingStrategy.ALWAYS_LOCAL: 'always-local'>
        """
        for known in cls:
            if strategy is known or (isinstance(strategy, str) and strategy == known.value):
                return known
        allowed = ", ".join(repr(known.value) for known in cls)
        raise InvalidInputError("model_loading_strategy", shown(strategy), f"one of {allowed}")

    def arguments(self) -> dict[str, Any]:
        """Return what every ``from_pretrained`` of transformers and its relatives is to be told."""
        if self is ModelLoadingStrategy.ALWAYS_LOCAL:
            return {"local_files_only": True, "force_download": False}
        if self is ModelLoadingStrategy.ALWAYS_DOWNLOAD:
            return {"local_files_only": False, "force_download": True}
        return {"local_files_only": is_offline(), "force_download": False}


def is_offline() -> bool:
    """Tell whether one of the variables in `OFFLINE` is set to a way of saying yes, in capitals or not."""
    return any(os.environ.get(variable, "").strip().lower() in _YES for variable in OFFLINE)


def expanded(source: str, argument: str = "model") -> str:
    """Return the folder that a name with ``~`` stands for, if there is one, and any other name as it is.

    Shells expand it, and Python does not; what leads nowhere is left for an error that says it as it was given.
    InvalidInputError, which names the argument, is raised where it can be no path.
    """
    folder = atomic.as_path(source, argument)
    return str(folder) if folder.is_dir() else source


def abbreviated(source: str) -> str:
    """Return the path of a folder as a manifest holds it: inside the home folder it begins with ``~``.

    `fit` needs the path to train again, and who trained the model need not be read from it.
    """
    path = Path(source)
    with suppress(RuntimeError, ValueError):  # there is no home folder, or it is elsewhere
        if path.is_absolute():
            return f"~/{path.relative_to(Path.home()).as_posix()}"
    return source
