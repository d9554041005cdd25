"""Saving and loading of `EmbeddingClassifier`: the head as arrays, and the encoder as files or by name.

No code in the folder is run: an encoder in it is read as arrays and a tokenizer, a sentence transformer after its
files were checked. One by name has to have the fingerprint that the folder says, and nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_core.atomic import as_path, expanded
from smalltext_core.calibration import Calibration
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import shown
from smalltext_core.saving import Manifest, damage_explained, model_folder, read_manifest
from smalltext_embeddings import __version__
from smalltext_embeddings._head import Head
from smalltext_embeddings.choice import as_encoder
from smalltext_embeddings.encoders import Encoder, contents_of, require
from smalltext_embeddings.multilingual import MULTILINGUAL, MultilingualEncoder
from smalltext_embeddings.sentence_transformer import SentenceTransformerEncoder
from smalltext_embeddings.static import StaticEncoder

MOST_BYTES_WITH_ENCODER = 100_000_000
"""The size of an encoder from which it is saved by name, unless `with_encoder` is True."""

PARAMETERS = (
    *("num_classes", "multi_label", "head", "class_weight", "calibration", "multi_label_threshold", "label_texts"),
    *("warm_start", "seed", "precision", "embedding_cache_size"),
)
"""The arguments of the constructor that are saved."""

_HEAD_FILES = ("coefficients.npy", "intercepts.npy")
_ENCODER = "encoder"
_FIELDS = frozenset({"classifier", "encoder", "C", "calibration", "thresholds"})


def save(
    folder: str | Path,
    attributes: Mapping[str, Any],
    head: Head,
    encoder: Encoder,
    label_names: LabelNames | None,
    with_encoder: bool | None,
) -> None:
    """Write a fitted classifier, with these attributes, to a folder, whole or not at all."""
    parameters = {name: attributes[name] for name in PARAMETERS}
    wanted = encoder.in_saved_models if with_encoder is None else with_encoder
    content = encoder.files() if wanted else None
    if with_encoder is True and content is None:
        advice = "Save it by name (with_encoder=False), and keep it where it is."
        raise InvalidInputError("with_encoder", "True", f"False or None for {encoder!r}", advice)
    if content is not None and with_encoder is None:
        size = sum(map(len, content.values()))
        content = content if size < MOST_BYTES_WITH_ENCODER else None
    for name in ("class_weight", "label_texts"):
        if isinstance(parameters[name], Mapping):  # numbers are no keys in JSON
            pairs = [
                (label if isinstance(label, str) else int(label), value)
                for label, value in parameters[name].items()
            ]
            parameters[name] = [
                [label, value if isinstance(value, list) else float(value)] for label, value in pairs
            ]
    if not isinstance(parameters["head"], (str, float)):
        parameters["head"] = _estimator_to_json(parameters["head"])
    state = {
        "classifier": parameters,
        "encoder": {
            "kind": encoder.kind,
            "name": _saved_name(encoder.name, in_folder=content is not None),
            "fingerprint": encoder.fingerprint,
            "dimensions": encoder.dimensions,
            "files": sorted(content or ()),
        },
        "C": head.C,
        "calibration": None if head.calibration is None else head.calibration.to_json(),
        "thresholds": None if head.thresholds is None else head.thresholds.tolist(),
    }
    with model_folder(
        folder,
        classifier="embeddings",
        distribution="smalltext-embeddings",
        version=__version__,
        parameters=state,
        label_names=label_names,
    ) as staging:
        np.save(staging / "coefficients.npy", head.coefficients, allow_pickle=False)
        np.save(staging / "intercepts.npy", head.intercepts, allow_pickle=False)
        if content is not None:
            for name, each in content.items():
                (staging / _ENCODER / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / _ENCODER / name).write_bytes(each)


def _saved_name(name: str, *, in_folder: bool) -> str:
    """Return the name of an encoder without what a path says about this machine, if it is not needed."""
    path = expanded(Path(name))
    if not path.is_absolute():
        return name
    if in_folder:
        return path.name
    with suppress(RuntimeError, ValueError):  # there is no home folder, or it is elsewhere
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return name


def _estimator_to_json(estimator: Any) -> dict[str, Any]:
    """Return the parameters of a LogisticRegression that are not the defaults, which versions may change."""
    defaults = type(estimator)().get_params()
    changed = {name: value for name, value in estimator.get_params().items() if value != defaults[name]}
    return {
        name: repr(float(value)) if isinstance(value, (float, np.floating)) else value
        for name, value in changed.items()
    }


def load(
    folder: str | Path, encoder: object, device: Any, create: Callable[..., Any]
) -> tuple[dict[str, Any], Head, Encoder, LabelNames | None]:
    """Return the parameters of the constructor, the head, the encoder and the label names, all of them checked."""
    folder = as_path(folder)
    manifest = read_manifest(folder)
    if manifest.classifier != "embeddings":
        raise ModelFolderError(f"{folder} holds a {shown(manifest.classifier)} classifier, not 'embeddings'.")
    with damage_explained(folder):
        state = manifest.parameters
        with _as_damage(folder):
            _expect(set(state) == _FIELDS, "its fields are not those of this version")
            parameters = _parameters(state["classifier"])
            create(_Nothing(), **{**parameters, "precision": "float32"})  # checks them all
            head = _head(folder, manifest, parameters)
        options = {"device": device, "precision": parameters.pop("precision")}
        found = _encoder(folder, manifest, encoder, len(head.coefficients), options)
        return parameters, head, found, manifest.names


@contextmanager
def _as_damage(folder: Path) -> Iterator[None]:
    """Turn errors about values in a folder into ModelFolderError."""
    try:
        yield
    except ModelFolderError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OSError, EOFError) as error:
        what = f"{folder} is no whole classifier of smalltext-embeddings ({type(error).__name__}: {error})"
        raise ModelFolderError(f"{what}. Copy it again, or save the model again.") from error


def _parameters(saved: Any) -> dict[str, Any]:
    parameters = {name: saved[name] for name in PARAMETERS}
    for name in ("class_weight", "label_texts"):
        if isinstance(parameters[name], list):
            parameters[name] = {
                label if isinstance(label, str) else int(label): value for label, value in parameters[name]
            }
    if isinstance(parameters["head"], dict):
        from sklearn.linear_model import LogisticRegression

        allowed = (str, bool, int, type(None))
        _expect(all(isinstance(value, allowed) for value in parameters["head"].values()), "wrong head")
        given = {name: _number(value) for name, value in parameters["head"].items()}
        parameters["head"] = LogisticRegression(**given)
    return parameters


def _number(value: str | float | None) -> str | float | None:
    """Return the number that a text stands for, such as infinity, which JSON has not; other values unchanged."""
    with suppress(ValueError):
        return float(value) if isinstance(value, str) else value
    return value


class _Nothing:
    """An encoder that is never used, to check the other parameters."""

    def encode(self, texts: list[str]) -> NDArray[Any]:
        return np.zeros((len(texts), 1))


def _head(folder: Path, manifest: Manifest, parameters: Mapping[str, Any]) -> Head:
    state, num_classes = manifest.parameters, parameters["num_classes"]
    _expect(set(_HEAD_FILES) <= set(manifest.files), "the manifest does not list the head")
    coefficients, intercepts = (_array(folder / name) for name in _HEAD_FILES)
    _expect(coefficients.shape == (state["encoder"]["dimensions"], num_classes), "the head has another shape")
    _expect(intercepts.shape == (num_classes,), "the head has another shape")
    allowed = (
        np.isfinite(intercepts) | (intercepts == -np.inf) | (parameters["multi_label"] & (intercepts == np.inf))
    )
    sound = (
        np.isfinite(coefficients).all()
        and allowed.all()
        and np.isfinite(intercepts).any() | parameters["multi_label"]
    )
    _expect(bool(sound), "the head holds NaN or infinity")
    C = state["C"]
    _expect(C is None or (type(C) in (int, float) and C > 0), "C is no number above 0")
    calibration = Calibration.from_json(state["calibration"], num_classes, parameters["multi_label"])
    thresholds = None
    if state["thresholds"] is not None:
        given = state["thresholds"]
        numbers = isinstance(given, list) and all(type(one) is float and 0 <= one < 1 for one in given)
        _expect(
            numbers and len(given) == num_classes and parameters["multi_label"], "thresholds are no thresholds"
        )
        thresholds = np.array(given)
    return Head(coefficients, intercepts, None if C is None else float(C), calibration, thresholds)


def _array(path: Path) -> NDArray[np.float32]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)  # mapped, so that no size is believed
    _expect(array.dtype == np.float32, f"{path.name} holds {array.dtype}")
    return np.array(array, order="C")


def _encoder(folder: Path, manifest: Manifest, given: object, dimensions: int, options: dict[str, Any]) -> Encoder:
    with _as_damage(folder):
        saved = manifest.parameters["encoder"]
        kind, name, fingerprint = (saved[key] for key in ("kind", "name", "fingerprint"))
        texts = all(isinstance(one, str) for one in (kind, name, fingerprint))
        _expect(texts and isinstance(saved["files"], list), "what it says of the encoder is no text")
        files = {one: manifest.files[f"{_ENCODER}/{one}"] for one in saved["files"]}
    if given is not None:
        encoder = as_encoder(given, **options)
    elif files:
        encoder = _from_files(folder, kind, name, files, options)
    else:
        encoder = _from_name(folder, kind, name, options)
    if encoder.fingerprint != fingerprint or encoder.dimensions != dimensions:
        what = f"{folder} was trained with the encoder {shown(name)}, and {encoder!r} is another one"
        raise ModelFolderError(f"{what} (its fingerprint differs). Give the right one: load(folder, encoder=...).")
    return encoder


def _from_files(folder: Path, kind: str, name: str, digests: dict[str, str], options: dict[str, Any]) -> Encoder:
    place = folder / _ENCODER
    if kind == MULTILINGUAL:
        return MultilingualEncoder.from_folder(place, digests)
    if kind == SentenceTransformerEncoder.kind:
        return _sentence_transformer(folder, name, digests, options)
    if kind != StaticEncoder.kind or set(digests) != set(StaticEncoder.FILES):
        raise ModelFolderError(f"{place} does not hold an encoder of a kind that is known here. Save it again.")
    return StaticEncoder(contents_of(place, StaticEncoder.FILES), name)


def _sentence_transformer(
    folder: Path, name: str, digests: dict[str, str], options: dict[str, Any]
) -> SentenceTransformerEncoder:
    require(("sentence_transformers", "smalltext_torch"), SentenceTransformerEncoder.kind, name)
    from smalltext_torch.pretrained_files import check_files

    check_files(folder, _HEAD_FILES)
    encoder = SentenceTransformerEncoder(folder / _ENCODER, name, **options)
    try:
        whole = set(encoder.files() or ()) == set(digests)
    except ModelFolderError:
        raise
    except InvalidInputError as error:
        raise ModelFolderError(f"{folder / _ENCODER} is damaged ({error}). Save the model again.") from error
    if not whole:
        what = f"{folder / _ENCODER} does not hold the files of a sentence transformer, weights as safetensors"
        raise ModelFolderError(f"{what}. Save the model again.")
    encoder.in_saved_models = True  # there may be no other copy
    return encoder


def _from_name(folder: Path, kind: str, name: str, options: dict[str, Any]) -> Encoder:
    if kind != "object":
        try:
            return as_encoder(name, download=False, **options)
        except InvalidInputError as error:
            what = f"{folder} needs the encoder {shown(name)}, which is not on this computer"
            raise ModelFolderError(f"{what}. Give it: load(folder, encoder=...).") from error
    what = f"{folder} was trained with an object of the class {shown(name)} as encoder, which it does not hold"
    raise ModelFolderError(f"{what}. Give it: load(folder, encoder=...).")


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
