"""Saving and loading of classifiers: folders with a manifest, replaced atomically and checked before use.

A backend's `save` writes its files into `model_folder`; its `load` starts with `read_manifest`.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from smalltext_core.atomic import as_path, staged_folder
from smalltext_core.classifier import Saving, SavingClassifier
from smalltext_core.errors import (
    AmbiguousNameError,
    ModelFolderError,
    ModelNotSavedError,
    PluginError,
    SmallTextError,
    UnknownClassifierError,
)
from smalltext_core.label_names import LabelNames
from smalltext_core.lazy_import import raised_by_signal
from smalltext_core.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    check_writer,
    manifest_as_json,
    manifest_from_json,
)
from smalltext_core.messages import REQUIREMENTS, install_command, one_line, shown
from smalltext_core.registry import canonical, classifier_spec

__all__ = [
    "MANIFEST",
    "Manifest",
    "check_destination",
    "damage_explained",
    "load",
    "model_folder",
    "read_manifest",
    "save_with_files",
]

_OS_ERROR = re.compile(r"(?:\(os error |Os \{ code: )(\d+)")
"""The format in which libraries written in Rust report errors of the operating system."""

_staged: ContextVar[Path | None] = ContextVar("staged", default=None)
"""The folder staged by `save_with_files`; the classifier writes into it instead of staging another one."""


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
    """Yield a folder to write the files of a classifier into; they and a manifest appear in `folder` at the end.

    An existing saved model is replaced, except for files that its manifest does not list. ModelFolderError is
    raised as by `check_destination`, and ModelNotSavedError if the files cannot be written.
    """
    check_writer(classifier=classifier, distribution=distribution, version=version)
    with _replacing(as_path(folder)) as staging:
        yield staging
        files = {}
        for path in sorted(path for path in staging.rglob("*") if path.is_file()):
            path.chmod(staging.stat().st_mode & 0o666)  # else only the owner may read what safetensors 0.8 writes
            files[path.relative_to(staging).as_posix()] = _digest(path)
        names = None if label_names is None else label_names.names
        manifest = Manifest(classifier, distribution, version, dict(parameters), names, files)
        (staging / MANIFEST).write_bytes(manifest_as_json(manifest))


def save_with_files(classifier: Saving, folder: str | Path, files: Mapping[str, bytes]) -> None:
    """Save a classifier and further files as one folder, all of them listed in its manifest.

    Parameters
    ----------
    classifier : Saving
    folder : path
        The folder, which is written atomically.
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
        manifest, _ = _manifest_and_time(staging)
        listed = {**manifest.files, **{name: _digest(staging / name) for name in files}}
        (staging / MANIFEST).write_bytes(manifest_as_json(replace(manifest, files=listed)))


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Stage a folder that replaces a saved model, with the files that its manifest does not list."""
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
    """Return the number and message of an operating system error; (None, "") for any other error."""
    if isinstance(error, OSError):
        return error.errno or errno.EIO, error.strerror or str(error)
    number = _OS_ERROR.search(str(error))
    return (None, "") if number is None else (int(number[1]), os.strerror(int(number[1])))


def read_manifest(folder: str | Path, *, verify: bool = True) -> Manifest:
    """Read and check the manifest of a saved model, and by default the SHA-256 of every file in it.

    ModelFolderError is raised if it is missing, damaged or of a newer version, or if a file has changed.
    """
    folder = as_path(folder)
    manifest, written = _manifest_and_time(folder)
    try:
        for name, digest in manifest.files.items():
            _check_file(folder, name, digest if verify else None)
    except ModelFolderError:
        if _manifest_and_time(folder) == (manifest, written):
            raise
        return read_manifest(folder, verify=verify)  # another model was saved meanwhile
    return manifest


def load(folder: str | Path, **options: Any) -> SavingClassifier:
    """Load a saved classifier of any class; its probabilities are bit for bit the same.

    Parameters
    ----------
    folder : path
        A folder written by a classifier's `save`; no code in it is run.
    **options
        Further arguments of the backend's own `load`, such as ``trusted`` (smalltext-sklearn) or ``device``.

    Raises
    ------
    ModelFolderError
        If the folder is not a saved model, is damaged, or needs a distribution that is not installed.

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
    state, manifest = _manifest_and_time(folder), read_manifest(folder, verify=False)
    try:
        classifier = classifier_spec(f"{manifest.distribution}:{manifest.classifier}").resolve("classifier")
    except (UnknownClassifierError, AmbiguousNameError, PluginError) as error:
        writer = f"{shown(manifest.distribution)} {shown(manifest.version)}"
        what = f"{shown(manifest.classifier)} classifier, written by {writer}"
        advice = "It is not part of smalltext: install it if you know and trust its publisher."
        if canonical(manifest.distribution) in REQUIREMENTS:  # else no folder gets a package recommended
            advice = f"Install it: {install_command(canonical(manifest.distribution))}"
        raise ModelFolderError(f"{folder} holds a {what}, which is not usable here. {error} {advice}") from error
    if not hasattr(classifier, "load"):
        raise ModelFolderError(f"{classifier.__name__} of {manifest.distribution} has no load(); upgrade it.")
    with suppress(ValueError):  # of a method that is not written in Python
        inspect.signature(classifier.load).bind("folder", **options)
    try:
        with damage_explained(folder):
            loaded: SavingClassifier = classifier.load(folder, **options)
    except Exception:
        if _manifest_and_time(folder) == state:
            raise
    else:
        if _manifest_and_time(folder) == state:
            return loaded
    return load(folder, **options)  # another model was saved meanwhile


@contextmanager
def damage_explained(folder: str | Path) -> Iterator[None]:
    """Convert exceptions raised while a saved model is read to ModelFolderError, with the cause chained.

    `load` does this for every backend. Exceptions of smalltext pass through, and so do those that the folder does
    not cause: MemoryError, KeyboardInterrupt, SystemExit, warnings as errors, and exceptions of signal handlers.
    """
    try:
        yield
    except (SmallTextError, MemoryError, Warning):
        raise
    except BaseException as error:
        ordinary = isinstance(error, Exception) or type(error).__name__ == "PanicException"  # of Rust's libraries
        if not ordinary or raised_by_signal(error):
            raise
        what = f"{folder} cannot be loaded, {type(error).__name__}: {one_line(str(error))}"
        advice = "It is damaged, or was saved with versions of libraries that the installed ones cannot read"
        raise ModelFolderError(f"{what}. {advice}: copy the folder again, or save the model again.") from error


def check_destination(folder: str | Path) -> list[Path]:
    """Check that a model can be saved to a folder, before anything is trained.

    Returns
    -------
    list of Path
        The files in it that will be kept, since the manifest of the saved model does not list them.

    Raises
    ------
    ModelFolderError
        If it is a file, a folder without a model, the working directory, the root of a disk, or not writable.
    """
    folder = as_path(folder)
    place = next(place for place in (folder, *folder.absolute().parents) if os.access(place, os.F_OK))
    if not place.is_dir():
        raise ModelFolderError(f"{place} is a file. Give the path of a folder for the model.")
    if place == folder and (place.samefile(".") or os.path.ismount(place.resolve())):
        what = f"{folder} is the working directory or the root of a disk, and cannot be replaced by a new folder"
        raise ModelFolderError(f"{what}. Give a folder inside it, such as {folder / 'model'}.")
    parent = place.resolve().parent if place == folder else place
    if not os.access(parent, os.W_OK | os.X_OK):
        what = f"{folder}: the model cannot be written, there is no permission to write to {parent}"
        raise ModelFolderError(f"{what}. Choose another folder, or change the permissions.")
    present = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    if not present:
        return []
    try:
        manifest, _ = _manifest_and_time(folder)
    except ModelFolderError as error:
        what = f"{folder} exists and is not a saved model, so it is not written to"
        raise ModelFolderError(f"{what} ({error}) Choose another folder, or empty this one.") from error
    ours = {MANIFEST, *manifest.files}
    return [path for path in present if path.relative_to(folder).as_posix() not in ours]


def _manifest_and_time(folder: Path) -> tuple[Manifest, int]:
    """Return the manifest and when it was written: a model may be saved again after another one."""
    path = folder / MANIFEST
    try:
        if not path.is_file():
            advice = "Give the folder that save() or `smalltext train --output` wrote."
            raise ModelFolderError(f"{folder} is not a saved model: it has no {MANIFEST}. {advice}")
        _check_file(folder, MANIFEST, None)
        with path.open("rb") as file:
            content, written = file.read(MAX_MANIFEST_BYTES + 1), os.fstat(file.fileno()).st_mtime_ns
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {error.strerror}.") from error
    return manifest_from_json(content, path), written


def _check_file(folder: Path, name: str, digest: str | None) -> None:
    """Reject a file that is outside the folder, is missing, or differs from the saved one."""
    relative = PurePosixPath(name)
    escapes = relative.is_absolute() or ".." in relative.parts or "\\" in name or "\0" in name or not name
    path = folder / relative
    try:
        if escapes or not path.resolve().is_relative_to(folder.resolve()):
            what = f"{folder / MANIFEST} leads to {shown(name)}, outside the folder"
            raise ModelFolderError(f"{what}; it is not read.")
        if not path.is_file():
            what = f"{folder} is incomplete: {shown(name)} is missing"
            raise ModelFolderError(f"{what}. Copy all of it, or save again.")
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
