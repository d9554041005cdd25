"""The saved models of a process, each loaded once, however often the scorers that use it are unpickled."""

from __future__ import annotations

import hashlib
import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import vstack

from smalltext_core import AnyClassifier, LabelNames, TextDataset, classifier_spec, load
from smalltext_core.atomic import as_path
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.labels import Labels
from smalltext_core.messages import shown
from smalltext_core.probabilities import Probabilities
from smalltext_core.saving import MANIFEST, read_manifest

BATCH_CHARACTERS = 8_000_000
"""The maximum number of characters that are predicted at a time, unless a single text is longer."""

_KEPT_MODELS = 8


@dataclass(frozen=True)
class ModelSource:
    """Where a model is loaded from, and how."""

    folder: str
    device: str | None = None
    trusted: tuple[str, ...] = ()

    def digest(self) -> str | None:
        """Return the SHA-256 of the manifest, which identifies the model; None if the folder cannot be read."""
        try:
            return hashlib.sha256((as_path(self.folder) / MANIFEST).read_bytes()).hexdigest()
        except OSError:
            return None

    def check_digest(self, expected: str | None) -> str | None:
        """Return `digest`, or raise ModelFolderError if it differs from an expected one."""
        present = self.digest()
        if expected is not None and present is not None and present != expected:
            raise ModelFolderError(
                f"{self.folder} holds another model than when the scorer was pickled: it was saved again "
                "meanwhile, or differs on this machine. Save each model to a new folder, and start again."
            )
        return present


@dataclass(frozen=True)
class LoadedModel:
    """A classifier, the names of its classes, and the digest of its manifest."""

    classifier: AnyClassifier
    names: LabelNames
    multi_label: bool
    digest: str | None

    def predict(self, texts: list[str], batch_size: int) -> tuple[Labels, Probabilities]:
        """Return the class numbers and probabilities of texts, in input order.

        Batches consist of texts of similar length, since the time of a batch depends on its longest text.
        """
        if len(texts) <= batch_size and sum(map(len, texts)) <= BATCH_CHARACTERS:
            return self._predict(texts)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        parts = [self._predict([texts[row] for row in batch]) for batch in _batches(texts, order, batch_size)]
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.arange(len(order))
        labels = [part for part, _ in parts]
        joined = vstack(labels, format="csr") if self.multi_label else np.concatenate(labels)
        return joined[place], np.concatenate([part for _, part in parts])[place]

    def _predict(self, texts: list[str]) -> tuple[Labels, Probabilities]:
        labels, proba = self.classifier.predict(TextDataset(texts), return_proba=True)
        return labels, proba


def _batches(texts: Sequence[str], order: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Divide rows, which are sorted by length, into batches with a limited number of texts and of characters."""
    batch: list[int] = []
    characters = 0
    for row in order:
        if batch and (len(batch) == batch_size or characters + len(texts[row]) > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(row)
        characters += len(texts[row])
    if batch:
        yield batch


_loaded: OrderedDict[ModelSource, LoadedModel] = OrderedDict()
_lock = threading.Lock()


def _forget() -> None:
    """Clear the models, which may be on a GPU, and the lock, which a thread may hold, in a forked process."""
    global _lock
    _loaded.clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def loaded_model(source: ModelSource, digest: str | None = None) -> LoadedModel:
    """Return the model in a folder, which is loaded once per process, and again if another model was saved there.

    Parameters
    ----------
    source : ModelSource
    digest : str, optional
        The expected digest of the manifest; ModelFolderError is raised if it differs.
    """
    with _lock:
        present = source.check_digest(digest)
        model = _loaded.get(source)
        if model is None or model.digest != present:
            model = _loaded[source] = _load(source)
        _loaded.move_to_end(source)
        while len(_loaded) > _KEPT_MODELS:
            _loaded.popitem(last=False)
        return model


def class_names(source: ModelSource, num_classes: int) -> LabelNames:
    """Return the names of all classes of a saved model."""
    return names_of_all_classes(read_manifest(source.folder, verify=False).names, num_classes)


def names_of_all_classes(names: LabelNames | None, num_classes: int) -> LabelNames:
    """Return the names of all classes, by number where the training set had none.

    Examples
    --------
    >>> names_of_all_classes(LabelNames(("bad", "2")), 4).names
    ('bad', '2', 'class 2', '3')
    """
    known = () if names is None else names.names
    numbers = range(len(known), num_classes)
    return LabelNames.saved((*known, *(f"class {k}" if str(k) in known else str(k) for k in numbers)))


def _load(source: ModelSource) -> LoadedModel:
    digest = source.digest()
    manifest = read_manifest(source.folder, verify=False)
    options: dict[str, Any] = {}
    for name, value in (("device", source.device), ("trusted", list(source.trusted) or None)):
        if value is None:
            continue
        loader = classifier_spec(f"{manifest.distribution}:{manifest.classifier}").resolve("classifier").load
        if name not in inspect.signature(loader).parameters:
            allowed = f"None for the classifier {shown(manifest.classifier)}, which has no such option"
            raise InvalidInputError(name, shown(value), allowed)
        options[name] = value
    classifier = load(source.folder, **options)
    names = class_names(source, classifier.num_classes)
    if source.digest() != digest:
        return _load(source)  # another model was saved in the meantime
    return LoadedModel(classifier, names, bool(classifier.multi_label), digest)
