"""Saved classifiers: a folder with a manifest, written whole or not at all, checked before it is used.

A backend's `save` opens `model_folder` and writes its files; its `load` begins with `read_manifest`.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from smalltext_core.atomic import as_path, staged_folder
from smalltext_core.classifier import Saving, SavingClassifier
from smalltext_core.discovery import canonical
from smalltext_core.errors import (
    AmbiguousNameError,
    ModelFolderError,
    ModelNotSavedError,
    PluginError,
    SmallTextError,
    UnknownClassifierError,
)
from smalltext_core.labels import LabelNames
from smalltext_core.manifest import (
    FORMAT_VERSION,
    LARGEST_MANIFEST,
    MANIFEST,
    Manifest,
    check_origin,
    manifest_as_json,
    manifest_from_json,
)
from smalltext_core.messages import install_command, one_line, shown
from smalltext_core.process import raised_by_signal
from smalltext_core.registry import FIRST_PARTY, classifier_spec

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Manifest",
    "check_destination",
    "damage_explained",
    "load",
    "model_folder",
    "read_manifest",
    "save_with_files",
]

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""What libraries written in Rust say where Python raises an OSError."""

_staged: ContextVar[Path | None] = ContextVar("staged", default=None)
"""The folder that `save_with_files` has staged, into which the classifier writes without staging another one."""


@contextmanager
def model_folder(
    folder: str | Path,
    *,
    classifier: str,
    distribution: str,
    version: str,
    parameters: Mapping[str, Any],
    label_names: LabelNames | None = None,
) -> Iterator[Path]:
    """Open a folder to write a classifier's files into; the manifest is added at the end.

    Files written into the folder that it yields appear in `folder` when the block ends without an exception.
    A saved model that is there already is replaced, except for what somebody else put into it; what
    `check_destination` refuses is refused. ModelNotSavedError is raised if the disk does not take the files.
    """
    check_origin(classifier, distribution, version)
    with _replacing(as_path(folder)) as staging:
        yield staging
        written = sorted(path for path in staging.rglob("*") if path.is_file())
        files = {path.relative_to(staging).as_posix(): _digest(path) for path in written}
        names = None if label_names is None else label_names.names
        _write(staging, Manifest(classifier, distribution, version, dict(parameters), names, files))


def save_with_files(classifier: Saving, folder: str | Path, files: Mapping[str, bytes]) -> None:
    """Save a classifier and further files as one folder, for all of which the manifest vouches.

    Parameters
    ----------
    classifier : Saving
    folder : path
        As for `model_folder`: it appears whole or not at all.
    files : mapping of str to bytes
        The content of each further file, by its name.
    """
    with _replacing(as_path(folder)) as staging:
        token = _staged.set(staging)
        try:
            classifier.save(staging)
        finally:
            _staged.reset(token)
        for name, content in files.items():
            (staging / name).write_bytes(content)
        manifest = _read(staging)
        digests = {name: _digest(staging / name) for name in files}
        _write(staging, replace(manifest, files={**manifest.files, **digests}))


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Stage a folder that takes the place of a saved model, with what others put into it."""
    if folder == _staged.get():
        yield folder
        return
    keep = check_destination(folder)
    try:
        with staged_folder(folder) as staging:
            yield staging
            for path in keep:
                copy = staging / path.relative_to(folder)
                if not copy.exists():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, copy, follow_symlinks=False)
    except Exception as error:
        number, reason = _of_the_disk(error)
        if number is None or (isinstance(error, SmallTextError) and not isinstance(error, ModelNotSavedError)):
            raise
        raise ModelNotSavedError(number, reason, str(folder)) from error


def _of_the_disk(error: Exception) -> tuple[int | None, str]:
    """Return what the operating system said, if it is what went wrong."""
    if isinstance(error, OSError):
        return error.errno or errno.EIO, error.strerror or str(error)
    number = _OS_ERROR.search(str(error))
    return (None, "") if number is None else (int(number[1]), os.strerror(int(number[1])))


def read_manifest(folder: str | Path, *, verify: bool = True) -> Manifest:
    """Read and check the manifest of a saved model, and by default the hash of every file it lists.

    ModelFolderError is raised if it is damaged, from a newer version, names a file outside, or is none.
    """
    folder = as_path(folder)
    manifest = _read(folder)
    try:
        for name, digest in manifest.files.items():
            _check_file(folder, name, digest if verify else None)
    except ModelFolderError:
        if _read(folder) == manifest:
            raise
        return read_manifest(folder, verify=verify)  # somebody saved another model while this one was read
    return manifest


def load(folder: str | Path, **options: Any) -> SavingClassifier:
    """Bring back the classifier that a folder holds, whatever its class; its probabilities are the same bits.

    Parameters
    ----------
    folder : path
        A folder that a classifier's `save` wrote; no code in it is run.
    **options
        What the backend's own `load` takes, such as ``trusted`` (smalltext-sklearn) or ``device``.

    Raises
    ------
    ModelFolderError
        If the folder is no saved model, is damaged, or needs a distribution that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import smalltext_core as st
    >>> texts = st.TextDataset(["good film", "bad film"], [1, 0])
    >>> classifier = st.create_classifier("sklearn", num_classes=2).fit(texts)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier.save(f"{folder}/model")
    ...     again = st.load(f"{folder}/model")
    >>> bool((again.predict_proba(texts) == classifier.predict_proba(texts)).all())
    True
    """
    folder = as_path(folder)
    manifest = read_manifest(folder, verify=False)
    name = f"{manifest.distribution}:{manifest.classifier}"
    try:
        classifier = classifier_spec(name).resolve("classifier")
    except (UnknownClassifierError, AmbiguousNameError, PluginError) as error:
        writer = f"{shown(manifest.distribution)} {shown(manifest.version)}"
        what = f"{shown(manifest.classifier)} classifier, written by {writer}"
        advice = _advice(manifest.distribution)
        raise ModelFolderError(f"{folder} holds a {what}, which is not usable here. {error} {advice}") from error
    if not hasattr(classifier, "load"):
        raise ModelFolderError(f"{classifier.__name__} of {manifest.distribution} has no load(); upgrade it.")
    _check_options(classifier.load, options)
    try:
        with damage_explained(folder):
            loaded: SavingClassifier = classifier.load(folder, **options)
    except Exception:
        if _read(folder) == manifest:
            raise
    else:
        if _read(folder) == manifest:
            return loaded
    return load(folder, **options)  # somebody saved another model while this one was read


def _advice(distribution: str) -> str:
    """Say how to get a distribution; only those of this project are recommended, not whatever a folder names."""
    if canonical(distribution) in FIRST_PARTY.values():
        return f"Install it: {install_command(canonical(distribution))}"
    return "It is not part of smalltext: install it if you know it, and trust who publishes it."


def _check_options(loader: Any, options: Mapping[str, Any]) -> None:
    """Raise TypeError, as a call would, if a backend's load() has no such parameters."""
    try:
        signature = inspect.signature(loader)
    except ValueError:  # it is not written in Python
        return
    signature.bind("folder", **options)


@contextmanager
def damage_explained(folder: str | Path) -> Iterator[None]:
    """Turn whatever is raised while a saved model is read into a ModelFolderError, with the cause chained.

    `load` does it for every backend; a backend's own `load` may do so too, for those who call it. Exceptions of
    smalltext pass, and so does what says nothing about the folder: MemoryError, KeyboardInterrupt, SystemExit,
    warnings that the caller has turned into errors, and what the handler of a signal raises.
    """
    try:
        yield
    except (SmallTextError, MemoryError, Warning):
        raise
    except BaseException as error:
        # Libraries written in Rust panic with an exception that Python does not count among the ordinary ones.
        ordinary = isinstance(error, Exception) or type(error).__name__ == "PanicException"
        if not ordinary or raised_by_signal(error):
            raise
        what = f"{folder} cannot be loaded, {type(error).__name__}: {one_line(str(error))}"
        advice = "It is damaged, or was saved with versions that those installed here do not understand"
        raise ModelFolderError(f"{what}. {advice}: copy the folder again, or save the model again.") from error


def check_destination(folder: str | Path) -> list[Path]:
    """Refuse a place that no model can be saved to, as a command does before it trains for hours.

    Returns
    -------
    list of Path
        The files that are kept if a model is saved there: those that the manifest of the former one leaves out.

    Raises
    ------
    ModelFolderError
        If there is a file, or a folder that holds something else than a model, or nothing may be written.
    """
    folder = as_path(folder)
    place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not place.is_dir():
        raise ModelFolderError(f"{place} is a file. Give the path of a folder for the model.")
    room = place.resolve().parent if place == folder else place
    if not os.access(room, os.W_OK | os.X_OK):
        advice = "Choose another place, or change the permissions"
        raise ModelFolderError(f"{folder}: nothing may be written to {room}, where the model is to be. {advice}.")
    return _files_of_others(folder)


def _files_of_others(folder: Path) -> list[Path]:
    """Return the files in an existing model folder that no manifest vouches for; they are kept."""
    present = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    if not present:
        return []
    try:
        manifest = _read(folder)
    except ModelFolderError as error:
        what = f"{folder} exists and is not a saved model, so it is not written to"
        raise ModelFolderError(f"{what} ({error}) Choose another folder, or empty this one.") from error
    ours = {MANIFEST, *manifest.files}
    return [path for path in present if path.relative_to(folder).as_posix() not in ours]


def _write(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_bytes(manifest_as_json(manifest))


def _read(folder: Path) -> Manifest:
    """Read the manifest of a folder."""
    path = folder / MANIFEST
    if not path.is_file():
        advice = "Give the folder that save() or `smalltext train --output` wrote."
        raise ModelFolderError(f"{folder} is not a saved model: it has no {MANIFEST}. {advice}")
    _check_file(folder, MANIFEST, None)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_MANIFEST + 1)
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {error.strerror}.") from error
    return manifest_from_json(content, path)


def _check_file(folder: Path, name: str, digest: str | None) -> None:
    """Refuse a file that lies outside the folder, is missing, or is not the one that was saved."""
    relative = PurePosixPath(name)
    climbs = relative.is_absolute() or ".." in relative.parts or "\\" in name or "\0" in name or not name
    path = folder / relative
    try:
        if climbs or not path.resolve().is_relative_to(folder.resolve()):
            raise ModelFolderError(
                f"{folder / MANIFEST} leads to {shown(name)}, outside the folder; it is not read."
            )
        if not path.is_file():
            raise ModelFolderError(
                f"{folder} is incomplete: {shown(name)} is missing. Copy all of it, or save again."
            )
        found = None if digest is None else _digest(path)
    except (OSError, RuntimeError, UnicodeError) as error:  # too long, a circle of links, not a file name, ...
        raise ModelFolderError(f"{folder}: {shown(name)} cannot be read ({one_line(str(error))}).") from error
    if found != digest:
        what = f"{path} is not the file that was saved: its SHA-256 differs from the manifest's"
        raise ModelFolderError(f"{what}. Copy the folder again, or save the model again.")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
