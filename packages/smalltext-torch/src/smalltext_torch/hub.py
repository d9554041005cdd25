"""Pretrained models on a hub: which of their files are fetched, and where they then are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from smalltext_torch.allowed_keys import TOKENIZER_FILES
from smalltext_torch.weight_files import PICKLED, PICKLED_INDEX, SAFE, SAFE_INDEX

CONFIG_FILES = ("config.json", "adapter_config.json")
"""What says of which type a model is."""

TOKENIZER_PATTERNS = (*CONFIG_FILES, *sorted(TOKENIZER_FILES))

SAFE_WEIGHTS = (SAFE, SAFE_INDEX, "model-*.safetensors")
PICKLED_WEIGHTS = (PICKLED, PICKLED_INDEX, "pytorch_model-*.bin")


def fetched(download: Callable[..., str], name: str, patterns: tuple[str, ...], **options: Any) -> Path:
    """Return the folder of a model in the cache, with what is wanted of it.

    Parameters
    ----------
    download : callable
        ``snapshot_download`` of huggingface_hub, or what takes the same arguments.
    name : str
    patterns : tuple of str
        Which files are wanted.
    **options
        Further arguments of `download`, such as `cache_dir` and `local_files_only`.

    Raises
    ------
    OSError
        If there is no such model, or it cannot be fetched.
    """
    return Path(download(name, allow_patterns=list(patterns), **options))


def fetched_weights(
    download: Callable[..., str], name: str, patterns: tuple[str, ...] = (), *, deep: bool = False, **options: Any
) -> Path:
    """Return the folder of a model in the cache, with its weights: the pickled ones only if there are no others.

    Parameters
    ----------
    download, name, **options
        As for `fetched`.
    patterns : tuple of str, default=()
        Which files are wanted as well.
    deep : bool, default=False
        Whether there are weights in folders inside too.
    """
    inner = (f"*/{SAFE}",) if deep else ()
    folder = fetched(download, name, (*patterns, *SAFE_WEIGHTS, *inner), **options)
    if next(folder.rglob("*.safetensors"), None) is not None:
        return folder
    inner = (f"*/{PICKLED}",) if deep else ()
    return fetched(download, name, (*patterns, *PICKLED_WEIGHTS, *inner), **options)
