"""The parameters that this backend's classifier has beyond those of every torch classifier: checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_core.values import is_whole
from smalltext_transformers.arguments import FineTuningArguments


def check_fine_tuning(arguments: object) -> None:
    """Refuse what is neither fine-tuning arguments nor None."""
    if not isinstance(arguments, (FineTuningArguments, type(None))):
        raise InvalidInputError("fine_tuning_arguments", shown(arguments), "a FineTuningArguments, or None")


def check_memory_fix(epochs: object) -> int:
    """Return a number of epochs, which may be 0, or say so."""
    if not is_whole(epochs) or epochs < 0:
        raise InvalidInputError("memory_fix", shown(epochs), "a whole number; 0 switches it off")
    return int(epochs)


def check_model_selection(selects: object) -> bool:
    """Return whether a model is selected. What `fit` takes, such as 'none', would count as True."""
    if not isinstance(selects, (bool, np.bool_)):
        hint = 'Which model to keep is said to fit: fit(model_selection="none"), or a ModelSelection.'
        raise InvalidInputError("model_selection", shown(selects), "True or False", hint)
    return bool(selects)


def check_cache_dir(folder: object) -> None:
    """Refuse what is neither the path of a folder nor None. Whether there is such a folder is not asked."""
    if folder is not None and not (isinstance(folder, (str, Path)) and str(folder).strip()):
        raise InvalidInputError("cache_dir", shown(folder), "the path of a folder, or None")
