"""Saving and loading of `EmbeddingClassifier`, with the head as arrays and the encoder as files or by name.

No code in the folder is run: a saved encoder is read as arrays and a tokenizer, and a sentence transformer only
after its files were checked. An encoder saved by name must have the saved fingerprint, and nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from smalltext_core.atomic import as_path, expanded
from smalltext_core.calibration import Calibration
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import shown
from smalltext_core.saving import Manifest, damage_explained, model_folder, read_manifest
from smalltext_core.validation import check_positive, check_thresholds
from smalltext_embeddings import __version__
from smalltext_embeddings._head import Head
from smalltext_embeddings.encoder_choice import as_encoder, encoder_in
from smalltext_embeddings.encoders import Encoder, SentenceTransformerEncoder
from smalltext_embeddings.multilingual import MULTILINGUAL, MultilingualEncoder

MAX_BYTES_WITH_ENCODER = 100_000_000
"""An encoder of this size or larger is saved by name only, unless `with_encoder` is True."""

PARAMETERS = (
    *("num_classes", "multi_label", "head", "class_weight", "calibration", "multi_label_threshold", "label_texts"),
    *("warm_start", "seed", "precision", "embedding_cache_size"),
)
"""The constructor arguments that are saved."""

_BY_CLASS = ("class_weight", "label_texts")
"""Parameters that may be mappings by class. They are saved as pairs, since class numbers cannot be keys in
JSON.
"""

_HEAD_FILES = ("coefficients.npy", "intercepts.npy")
_ENCODER = "encoder"
_FIELDS = frozenset({"classifier", "encoder", "C", "calibration", "thresholds"})

C = TypeVar("C")


def save(folder: str | Path, classifier: Any, with_encoder: bool | None) -> None:
    """Write a fitted EmbeddingClassifier to a folder atomically."""
    encoder, head = classifier.encoder, classifier.head_
    wanted = encoder.in_saved_models if with_encoder is None else with_encoder
    content = (encoder.files() if wanted else None) or {}
    if with_encoder and not content:
        advice = "Save it by name (with_encoder=False), and keep it where it is."
        raise InvalidInputError("with_encoder", "True", f"False or None for {encoder!r}", advice)
    if with_encoder is None and sum(map(len, content.values())) >= MAX_BYTES_WITH_ENCODER:
        content = {}
    state = {
        "classifier": {name: _as_json(getattr(classifier, name)) for name in PARAMETERS},
        "encoder": {
            "kind": encoder.kind,
            "name": _saved_name(encoder.name, in_folder=bool(content)),
            "fingerprint": encoder.fingerprint,
            "dimensions": encoder.dimensions,
            "files": sorted(content),
        },
        "C": head.C,
        "calibration": None if head.calibration is None else head.calibration.to_json(),
        "thresholds": None if head.thresholds is None else head.thresholds.tolist(),
    }
    writer = {"classifier": "embeddings", "distribution": "smalltext-embeddings", "version": __version__}
    with model_folder(folder, **writer, parameters=state, label_names=classifier.label_names_) as staging:
        for name, array in zip(_HEAD_FILES, (head.coefficients, head.intercepts), strict=True):
            np.save(staging / name, array, allow_pickle=False)
        for name, each in content.items():
            (staging / _ENCODER / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / _ENCODER / name).write_bytes(each)


def _saved_name(name: str, *, in_folder: bool) -> str:
    """Return the name of an encoder, without the machine-specific part of a path where possible."""
    path = expanded(Path(name))
    if not path.is_absolute():
        return name
    if in_folder:
        return path.name
    with suppress(RuntimeError, ValueError):  # there is no home folder, or the encoder is not in it
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return name


def _as_json(value: Any) -> Any:
    """Return a parameter as a JSON value; a LogisticRegression becomes a string of non-default parameters."""
    if isinstance(value, Mapping):
        pairs = [(label if isinstance(label, str) else int(label), held) for label, held in value.items()]
        return [[label, held if isinstance(held, list) else float(held)] for label, held in pairs]
    if not hasattr(value, "get_params"):
        return value
    defaults = type(value)().get_params()
    changed = {name: held for name, held in value.get_params().items() if held != defaults[name]}
    return json.dumps(changed, default=lambda number: number.item())


def load(folder: str | Path, encoder: object, device: Any, create: Callable[..., C]) -> tuple[C, Head, Manifest]:
    """Return a classifier created with the saved parameters, its head, and the manifest, all validated."""
    folder = as_path(folder)
    manifest = read_manifest(folder)
    if manifest.classifier != "embeddings":
        raise ModelFolderError(f"{folder} holds a {shown(manifest.classifier)} classifier, not 'embeddings'.")
    state = manifest.parameters
    with _damage_explained(folder):
        _expect(set(state) == _FIELDS, "its fields are not those of this version")
        parameters = {name: state["classifier"][name] for name in PARAMETERS}
        for name in _BY_CLASS:
            if isinstance(parameters[name], list):
                parameters[name] = dict(parameters[name])
        if str(parameters["head"]).startswith("{"):
            from sklearn.linear_model import LogisticRegression

            parameters["head"] = LogisticRegression(**json.loads(parameters["head"]))
    found = _encoder(folder, manifest, encoder, device=device, precision=parameters.pop("precision"))
    with _damage_explained(folder):
        classifier = create(found, **parameters)
        head = _head(folder, manifest, parameters["num_classes"], parameters["multi_label"])
    return classifier, head, manifest


@contextmanager
def _damage_explained(folder: Path) -> Iterator[None]:
    """Turn errors about values in a folder into ModelFolderError."""
    with damage_explained(folder):
        try:
            yield
        except InvalidInputError as error:
            if isinstance(error, ModelFolderError):
                raise
            raise ValueError(str(error)) from error


def _head(folder: Path, manifest: Manifest, num_classes: int, multi_label: bool) -> Head:
    state = manifest.parameters
    _expect(set(_HEAD_FILES) <= set(manifest.files), "the manifest does not list the head")
    shapes = (state["encoder"]["dimensions"], num_classes), (num_classes,)
    coefficients, intercepts = (
        _array(folder / name, *shape) for name, shape in zip(_HEAD_FILES, shapes, strict=True)
    )
    finite = np.isfinite(intercepts)
    allowed = finite | (intercepts == -np.inf) | (multi_label & (intercepts == np.inf))
    valid = np.isfinite(coefficients).all() and allowed.all() and (multi_label or finite.any())
    _expect(bool(valid), "the head holds NaN or infinity")
    regularisation = None if state["C"] is None else check_positive("C", state["C"])
    calibration = Calibration.from_json(state["calibration"], num_classes, multi_label)
    thresholds = None
    if state["thresholds"] is not None:
        _expect(multi_label and isinstance(state["thresholds"], list), "single-label models have no thresholds")
        thresholds = np.array(check_thresholds(state["thresholds"], num_classes))
    return Head(coefficients, intercepts, regularisation, calibration, thresholds)


def _array(path: Path, *shape: int) -> NDArray[np.float32]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)  # memory-mapped: a forged size allocates nothing
    _expect(array.dtype == np.float32 and array.shape == shape, f"{path.name} has another shape or type")
    return np.array(array, order="C")


def _encoder(folder: Path, manifest: Manifest, given: object, **options: Any) -> Encoder:
    """Return the encoder that is given, in the folder, or of the saved name; it must be the one of training."""
    with _damage_explained(folder):
        saved = manifest.parameters["encoder"]
        kind, name, fingerprint = (saved[key] for key in ("kind", "name", "fingerprint"))
        texts = all(isinstance(one, str) for one in (kind, name, fingerprint))
        _expect(texts and isinstance(saved["files"], list), "the entries on the encoder are not strings")
        digests = {one: manifest.files[f"{_ENCODER}/{one}"] for one in saved["files"]}
    if given is not None:
        encoder = as_encoder(given, **options)
    elif kind == "object":
        what = f"{folder} was trained with an object of the class {shown(name)} as encoder, which it does not hold"
        raise ModelFolderError(f"{what}. Give it: load(folder, encoder=...).")
    else:
        with _damage_explained(folder / _ENCODER if digests else folder):
            encoder = _stored(folder, digests, kind, name, options)
    if encoder.fingerprint != fingerprint or encoder.dimensions != saved["dimensions"]:
        what = f"{folder} was trained with the encoder {shown(name)}, and {encoder!r} is another one"
        raise ModelFolderError(f"{what} (its fingerprint differs). Train it again, or load(folder, encoder=...).")
    return encoder


def _stored(folder: Path, digests: Mapping[str, str], kind: str, name: str, options: Mapping[str, Any]) -> Encoder:
    """Return the encoder whose files are in the folder, with their SHA-256 digests, or else the one of a name."""
    place = folder / _ENCODER
    if not digests:
        try:
            return as_encoder(name, download=False, **options)
        except InvalidInputError as error:
            what = f"{folder} needs the encoder {shown(name)}, which is not on this computer"
            raise ModelFolderError(f"{what}. Give it: load(folder, encoder=...).") from error
    if kind == MULTILINGUAL:
        return MultilingualEncoder.from_folder(place, digests)
    encoder = encoder_in(place, kind, name, **options)
    if kind == SentenceTransformerEncoder.kind:
        from smalltext_torch.pretrained_files import check_files

        check_files(folder, _HEAD_FILES)
        encoder.in_saved_models = True  # there may be no other copy
    _expect(set(encoder.files() or ()) == set(digests), f"it does not hold the files of an encoder, {kind}")
    return encoder


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
