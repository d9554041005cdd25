"""Loading of pretrained models: lookup, downloads, and untrusted weight files."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from smalltext_core import atomic
from smalltext_core.errors import InvalidInputError, ModelFolderError, SmallTextError
from smalltext_core.lazy_import import raised_by_signal
from smalltext_core.messages import one_line, shown
from smalltext_torch.untrusted_json import TOKENIZER_FILES, read_object, refuse

OFFLINE = ("SMALL_TEXT_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE")
"""The environment variables each of which forbids downloads."""

_YES = ("1", "on", "true", "yes", "y", "t")

SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"

_SHARD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_RATIO = 4
"""The maximum ratio of the size of the tensors to that of their pickle, which stores shared memory only once."""
_MAX_SPARE = 64 * 2**20
"""The maximum number of elements of a network besides its weights, such as position tables."""

Shapes = dict[str, tuple[int, ...]]


CONFIG_FILES = ("config.json", "adapter_config.json")
"""The files that declare the type of a model."""

TOKENIZER_PATTERNS = (*CONFIG_FILES, *sorted(TOKENIZER_FILES))

SAFE_WEIGHTS = (SAFE, SAFE_INDEX, "model-*.safetensors")
PICKLED_WEIGHTS = (PICKLED, PICKLED_INDEX, "pytorch_model-*.bin")


class ModelLoadingStrategy(Enum):
    """Where to look for a pretrained model, its configuration and its tokenizer."""

    DEFAULT = "default"
    """The local cache, then the hub; only the local cache if a variable in `OFFLINE` is set."""
    ALWAYS_LOCAL = "always-local"
    """Only the local cache."""
    ALWAYS_DOWNLOAD = "always-download"
    """The hub, even if the model is cached. A folder is read as it is."""

    @classmethod
    def of(cls, strategy: object) -> ModelLoadingStrategy:
        """Return a strategy unchanged, or the strategy that has a value.

        Parameters
        ----------
        strategy : ModelLoadingStrategy or str
            The strategy, or its value: "default", "always-local" or "always-download".

        Returns
        -------
        ModelLoadingStrategy

        Raises
        ------
        InvalidInputError
            If it is neither a strategy nor the value of one.

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
        """Return the arguments for ``from_pretrained`` of transformers and related libraries."""
        if self is ModelLoadingStrategy.ALWAYS_LOCAL:
            return {"local_files_only": True, "force_download": False}
        if self is ModelLoadingStrategy.ALWAYS_DOWNLOAD:
            return {"local_files_only": False, "force_download": True}
        return {"local_files_only": is_offline(), "force_download": False}


def is_offline() -> bool:
    """Return whether a variable in `OFFLINE` is set to yes, true, on or 1, in upper or lower case."""
    return any(os.environ.get(variable, "").strip().lower() in _YES for variable in OFFLINE)


def as_source(argument: str, source: object) -> str:
    """Return the folder or the hub name of a pretrained model as a string, with ``~`` expanded.

    Shells expand ``~``, and Python does not. A path that does not exist is returned unchanged, so that errors show
    it as the user wrote it. InvalidInputError, which names the argument, is raised for anything else.
    """
    if not isinstance(source, (str, Path)) or not str(source).strip():
        raise InvalidInputError(argument, shown(source), "a folder, or a name on the Hugging Face hub")
    folder = atomic.as_path(str(source), argument)
    return str(folder) if folder.is_dir() else str(source)


def check_source_exists(argument: str, source: str, allowed: str) -> None:
    """Raise InvalidInputError for a path to a folder that does not exist.

    The libraries take any string that is not a folder for a name on the hub, and their errors are about the
    characters of the name.
    """
    is_path = Path(source).is_absolute() or source.startswith((".", "~"))
    if is_path and not Path(source).is_dir():
        raise InvalidInputError(argument, f"{shown(source)}, where there is no folder", allowed)


@contextmanager
def library_errors_explained(argument: str, source: str, allowed: str, problem: str = "") -> Iterator[None]:
    """Convert exceptions of libraries that use a pretrained model to InvalidInputError, with the cause chained.

    The error names the `source` of the model, followed by the `problem`. Damaged files, and files that do not fit
    each other, can cause any exception, including bare ones and panics of libraries written in Rust. Exceptions
    that the model does not cause pass through, and so do those of smalltext.
    """
    try:
        yield
    except (SmallTextError, MemoryError, Warning):
        raise
    except BaseException as error:
        ordinary = isinstance(error, Exception) or type(error).__name__ == "PanicException"
        if not ordinary or raised_by_signal(error):
            raise
        reason = one_line(str(error).strip().partition("\n")[0])
        given = f"{shown(source)}{problem}"
        raise InvalidInputError(argument, given, allowed, f"{type(error).__name__}: {reason}") from error


def abbreviated(source: str) -> str:
    """Return the path of a folder for the manifest, with ``~`` for the home folder.

    `fit` needs the path for retraining; the user name is not part of it.
    """
    path = Path(source)
    with suppress(RuntimeError, ValueError):  # there is no home folder, or it is elsewhere
        if path.is_absolute():
            return f"~/{path.relative_to(Path.home()).as_posix()}"
    return source


def fetched(download: Callable[..., str], name: str, patterns: tuple[str, ...], **options: Any) -> Path:
    """Download the files of a model that match patterns, and return their folder in the cache.

    `download` is ``snapshot_download`` of huggingface_hub, which is called with the options.

    Raises
    ------
    OSError
        If the model does not exist or cannot be downloaded.
    """
    return Path(download(name, allow_patterns=list(patterns), **options))


def fetched_weights(
    download: Callable[..., str], name: str, patterns: tuple[str, ...] = (), *, deep: bool = False, **options: Any
) -> Path:
    """Download a model with its weights, pickled ones only if there are no others; `deep`: from subfolders too."""
    inner = (f"*/{SAFE}",) if deep else ()
    folder = fetched(download, name, (*patterns, *SAFE_WEIGHTS, *inner), **options)
    if next(folder.rglob("*.safetensors"), None) is not None:
        return folder
    inner = (f"*/{PICKLED}",) if deep else ()
    return fetched(download, name, (*patterns, *PICKLED_WEIGHTS, *inner), **options)


def weight_files(folder: Path, *, saved: bool) -> list[Path]:
    """Return the weight files of a model: all safetensors, or (unless `saved`) all pickles.

    Raises
    ------
    ModelFolderError
        If an index names anything but a file of the same kind in the folder, or there are no weights.
    """
    indexed = {name: _shards(folder, name, kind) for name, kind in _INDEXES if (folder / name).is_file()}
    if saved:
        for name in (PICKLED, PICKLED_INDEX):
            if os.path.lexists(folder / name):
                refuse(folder / name, "", "a saved classifier stores its weights only as safetensors")
    if (folder / SAFE).is_file():
        return [folder / SAFE]
    if SAFE_INDEX in indexed:
        return indexed[SAFE_INDEX]
    if (folder / PICKLED).is_file():
        return [folder / PICKLED]
    if PICKLED_INDEX in indexed:
        return indexed[PICKLED_INDEX]
    raise ModelFolderError(f"{folder} holds no weights: there is neither {SAFE} nor {PICKLED} in it.")


_INDEXES = ((SAFE_INDEX, ".safetensors"), (PICKLED_INDEX, ".bin"))


def _shards(folder: Path, name: str, kind: str) -> list[Path]:
    path = folder / name
    files = read_object(path).get("weight_map")
    if not isinstance(files, dict) or not files:
        refuse(path, "weight_map", "it holds no object with the file of each weight")
    for weight, file in files.items():
        valid = isinstance(file, str) and _SHARD.fullmatch(file) and file.endswith(kind)
        if not valid or not (folder / file).is_file():
            allowed = f"the name of a file beside it that ends in {kind}"
            refuse(path, f"weight_map.{weight}", f"it names {shown(file, 100)}", allowed)
    return [folder / file for file in sorted(set(files.values()))]


def shapes_of(files: Iterable[Path]) -> Shapes:
    """Return the shape of every tensor in safetensors files, of which only the headers are read.

    Raises
    ------
    ModelFolderError
        If one of them is damaged.
    """
    return {name: shape for path in files for name, shape in _shapes(path).items()}


def _shapes(path: Path) -> Shapes:
    try:
        with safe_open(str(path), framework="pt") as content:
            return {name: tuple(content.get_slice(name).get_shape()) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        what = f"{path} is damaged ({type(error).__name__}: {one_line(str(error))})"
        raise ModelFolderError(f"{what}. Copy it again.") from error


def put_weights(folder: Path, target: Path, *, saved: bool) -> Shapes:
    """Put the weights of a model into another folder, as safetensors, and return the shape of every tensor.

    Files are linked if the file system supports it, else copied. Pickles are read with ``weights_only=True``.

    Raises
    ------
    ModelFolderError
        If `weight_files` rejects the weights, a pickle contains more than tensors, or a file is damaged.
    """
    files = weight_files(folder, saved=saved)
    if files[0].suffix == ".bin":
        tensors = {name: tensor for path in files for name, tensor in _unpickled(path).items()}
        save_file(tensors, str(target / SAFE), metadata={"format": "pt"})
        return shapes_of([target / SAFE])
    shapes = shapes_of(files)
    if len(files) == 1:
        place(files[0], target / SAFE)
        return shapes
    shard_of: dict[str, str] = {}
    for path in files:
        place(path, target / path.name)
        shard_of.update(dict.fromkeys(shapes_of([path]), path.name))
    size = sum(path.stat().st_size for path in files)
    index = {"metadata": {"total_size": size}, "weight_map": shard_of}
    (target / SAFE_INDEX).write_text(json.dumps(index), encoding="utf-8")
    return shapes


def place(source: Path, target: Path) -> None:
    """Link a file to another path, or copy it if the file system does not support links."""
    source = source.resolve()
    try:
        target.hardlink_to(source)
    except OSError:
        try:
            target.symlink_to(source)
        except OSError:  # as on Windows, without the privilege
            shutil.copyfile(source, target)


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in a pickle, read with ``weights_only=True``."""
    most = _MAX_RATIO * path.stat().st_size + _MAX_SPARE
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > most:
                raise ValueError(f"it is {unpacked} bytes unpacked")
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError, TypeError) as error:
        reason = one_line(str(error).partition("\n")[0])
        what = f"{path} contains more than weights, or is damaged ({type(error).__name__}: {reason})"
        raise ModelFolderError(f"{what}. It is read with weights_only=True, and never otherwise.") from error
    if not isinstance(content, dict):
        raise ModelFolderError(f"{path} holds no weights by their names.")
    # The elements of a tensor of any size may share one stored number; a copy takes its full size.
    tensors = [tensor for tensor in content.values() if isinstance(tensor, torch.Tensor)]
    if any(tensor.layout != torch.strided or tensor.device.type != "cpu" for tensor in tensors):
        raise ModelFolderError(f"{path} holds other tensors than dense ones.")
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > most:
        raise ModelFolderError(f"{path} holds tensors of many times the size of the file. Do not use it.")
    # Old files contain tensors that share memory, which safetensors rejects.
    return {
        str(name): tensor.detach().clone().contiguous()
        for name, tensor in content.items()
        if isinstance(tensor, torch.Tensor)
    }


def num_elements(shapes: Shapes) -> int:
    """Return the number of elements of tensors of these shapes."""
    return sum(torch.Size(shape).numel() for shape in shapes.values())


def check_size(network: nn.Module, shapes: Shapes, what: object) -> None:
    """Reject a network on the meta device that would need far more memory than its saved weights."""
    wanted = sum(parameter.numel() for parameter in network.parameters())
    spare = sum(buffer.numel() for buffer in network.buffers())
    there = num_elements(shapes)
    if wanted > 4 * there + _MAX_SPARE or spare > there + _MAX_SPARE:
        numbers = f"it describes a network with {wanted + spare:,} parameters, but {there:,} are saved"
        raise ModelFolderError(f"{what} does not fit the weights: {numbers}. Save the model again.")


def check_complete(network: nn.Module, shapes: Shapes, what: object) -> None:
    """Reject a network with weights that were not saved, since they would be initialised at random."""
    parameters = sum(parameter.numel() for parameter in network.parameters())
    # A weight that is used twice may be saved once or twice, and buffers may be saved or not.
    most = sum(tensor.numel() for tensor in network.state_dict().values())
    most += sum(buffer.numel() for buffer in network.buffers())
    there = num_elements(shapes)
    if not parameters <= there <= most:
        numbers = f"it describes a network with {parameters:,} parameters, but {there:,} are saved"
        raise ModelFolderError(f"{what} does not fit the weights: {numbers}. Save the model again.")


def check_shapes(network: nn.Module, shapes: Shapes, what: object) -> None:
    """Reject weights whose names and shapes differ from those of a network, which may be on the meta device."""
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    if wanted != shapes:
        names = sorted(name for name in {*wanted, *shapes} if wanted.get(name) != shapes.get(name))
        problem = f"{shown(names[0])} has the shape {shapes.get(names[0])} instead of {wanted.get(names[0])}"
        raise ModelFolderError(f"{what} does not fit the saved parameters: {problem}. Save the model again.")
