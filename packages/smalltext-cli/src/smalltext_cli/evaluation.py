"""Loading of a saved model, and its evaluation on labelled texts."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalltext_cli.console import InputFileError, UsageError, listed_names
from smalltext_cli.data_checks import label_set, similar_name_hint, unify_spellings
from smalltext_cli.diagnostics import calibration_text, threshold_text
from smalltext_cli.metrics import Scores, score
from smalltext_cli.readers import Row
from smalltext_cli.readers.files import STDIN
from smalltext_cli.training_texts import TrainingTexts
from smalltext_core import AnyClassifier, LabelNames, TextDataset, classifier_spec, load
from smalltext_core.calibration import Calibration
from smalltext_core.errors import InvalidInputError, SmallTextError, UntrustedModelError
from smalltext_core.label_names import shown_name
from smalltext_core.labels import Labels
from smalltext_core.saving import Manifest, read_manifest
from smalltext_scale.models import ModelSource, names_of_all_classes

_MAX_VALUE = 300
_CHUNK = 4_096


@dataclass(frozen=True)
class Model:
    """A saved classifier and the names of its classes."""

    classifier: AnyClassifier
    names: LabelNames
    multi_label: bool
    manifest: Manifest

    @property
    def probabilities(self) -> Probabilities:
        """The calibration of its probabilities, and its thresholds."""
        return Probabilities.of(self.classifier, self.names.names)


def model_parameters(manifest: Manifest, limit: int | None = _MAX_VALUE) -> dict[str, str]:
    """Return the parameters that a saved model was created with, as JSON.

    Long values are truncated to `limit` characters. Values that are not parameters of the classifier, such as
    those determined by training, are left out.
    """
    saved = manifest.parameters
    given = saved.get("constructor")
    if not isinstance(given, dict):
        # The embeddings backend saves most arguments in a mapping, next to fitted values with the same names.
        inner = saved.get("classifier")
        given = {**saved, **inner} if isinstance(inner, dict) else saved
    known = _constructor_parameters(manifest)
    values = {
        name: json.dumps(given[name], ensure_ascii=False)
        for name in sorted(given)
        if name[-1:] != "_" and (known is None or name in known)
    }
    return {
        name: value if limit is None or len(value) <= limit else f"{value[:limit]} …"
        for name, value in values.items()
    }


def _constructor_parameters(manifest: Manifest) -> set[str] | None:
    """Return the names of the constructor parameters of a saved model's classifier; None if unknown."""
    try:
        spec = classifier_spec(f"{manifest.distribution}:{manifest.classifier}")
        parameters = inspect.signature(spec.resolve("classifier")).parameters.values()
    except (SmallTextError, TypeError, ValueError):
        return None
    return None if any(one.kind is one.VAR_KEYWORD for one in parameters) else {one.name for one in parameters}


@dataclass(frozen=True)
class Probabilities:
    """The calibration of a fitted classifier's probabilities, and (multi-label) the threshold of each class.

    `calibration` is None if they are not calibrated, and `thresholds` is None if single-label.
    """

    calibration: Calibration | None
    thresholds: dict[str, float] | None

    @classmethod
    def of(cls, classifier: AnyClassifier, names: Sequence[str]) -> Probabilities:
        """Read both from the attributes of a classifier, if it has them."""
        calibration = getattr(classifier, "calibration_", None)
        if not getattr(classifier, "multi_label", False):
            return cls(calibration, None)
        thresholds = np.broadcast_to(np.asarray(thresholds_of(classifier), dtype=np.float64), len(names))
        return cls(calibration, dict(zip(names, thresholds.tolist(), strict=True)))

    def as_dict(self) -> dict[str, Any]:
        """Return both as JSON values."""
        calibration = None if self.calibration is None else self.calibration.to_json()
        return {"calibration": calibration, "thresholds": self.thresholds}

    def as_text(self) -> dict[str, str]:
        """Return descriptions of both, by name.

        Examples
        --------
        >>> from smalltext_core.calibration import prior_temperature
        >>> Probabilities(prior_temperature(1.5), {"ham": 0.5, "spam": 0.25}).as_text()["thresholds"]
        "'ham' 0.5, 'spam' 0.25"
        """
        words = {"calibration": calibration_text(self.calibration)}
        return words if self.thresholds is None else {**words, "thresholds": threshold_text(self.thresholds)}


def load_model(folder: str, *, trusted: list[str] | None = None, device: str | None = None) -> Model:
    """Load a model folder with the values of ``--trust`` and ``--device``, or reject options that do not apply."""
    if not Path(folder).is_dir():
        what = "it is a file" if Path(folder).exists() else "there is no such folder"
        problem = f"this is not a saved model: {what}"
        raise InputFileError(
            folder, problem, "Give the folder of a model, which `smalltext train` or save() wrote."
        )
    source = ModelSource(folder)
    digest, manifest = source.digest(), read_manifest(folder)
    options: dict[str, Any] = {}
    for name, option, value in (("trusted", "--trust", trusted or None), ("device", "--device", device)):
        if value is None:
            continue
        loader = classifier_spec(f"{manifest.distribution}:{manifest.classifier}").resolve("classifier").load
        if name not in inspect.signature(loader).parameters:
            raise UsageError(f"{option} does not apply to the classifier {manifest.classifier!r}; leave it out.")
        options[name] = value
    try:
        classifier = load(folder, **options)
    except UntrustedModelError as error:
        raise UntrustedModelError(f"{error}. On the command line: --trust TYPE, once for each.") from error
    if source.digest() != digest:  # another model was saved in the meantime: its classes may have other names
        return load_model(folder, trusted=trusted, device=device)
    names = names_of_all_classes(manifest.names, classifier.num_classes)
    return Model(classifier, names, bool(classifier.multi_label), manifest)


@dataclass(frozen=True)
class Evaluation:
    """The predictions and scores of one model on one file of labelled texts.

    Parameters
    ----------
    manifest : Manifest
    probabilities : Probabilities
        The calibration and the thresholds of the model.
    data_name : str
        The name of the file.
    names : tuple of str
        The names of the classes, in the order of their numbers.
    texts : sequence of str
    lines : sequence of int
        The line (or row) of each text in the file.
    line_unit : {"line", "row"}
    y : Labels
        The true labels: int array of shape (n,), or csr_matrix of shape (n, num_classes).
    proba : ndarray of float32, shape (n, num_classes)
    scores : Scores
    notes : tuple of str
        A sentence on each label that was merged with another spelling of the same value.
    seen : int, optional
        The number of texts that the model was trained on; None if that is not known.
    scored_model : str, default=""
        A sentence on the model that was scored, if it is not the saved one.
    """

    manifest: Manifest
    probabilities: Probabilities
    data_name: str
    names: tuple[str, ...]
    texts: Sequence[str]
    lines: Sequence[int]
    line_unit: Literal["line", "row"]
    y: Labels
    proba: NDArray[np.float32]
    scores: Scores
    notes: tuple[str, ...] = ()
    seen: int | None = None
    scored_model: str = ""


def evaluate_model(
    model: Model,
    rows: Sequence[Row],
    source: str,
    line_unit: Literal["line", "row"] = "line",
    known: TrainingTexts | None = None,
    on_progress: Callable[[int, float], None] = lambda *_: None,
) -> Evaluation:
    """Predict and score the labelled rows of a file (``-`` is standard input).

    `known` holds the texts that the model was trained on. `on_progress` is called with the number of processed
    texts and their share.

    Raises
    ------
    InputFileError
        If there are no texts, or labels are unknown to the model; the message has the first such line and the
        labels.
    """
    place = "standard input" if source == STDIN else source
    if not rows:
        raise InputFileError(place, "there are no texts in it", "Give a row for each text.")
    given, notes = unify_spellings([row.label for row in rows if row.label is not None], place, model.names.names)
    labels = [label_set(label) for label in given]
    _check_labels(model.names, labels, rows, place, line_unit)
    texts = [row.text for row in rows]
    if model.multi_label:
        y: Labels = model.names.encode_multi_label(labels)
    else:
        y = model.names.encode([name for (name,) in labels])
    parts = []
    for start in range(0, len(texts), _CHUNK):
        parts.append(model.classifier.predict_proba(TextDataset(texts[start : start + _CHUNK])))
        done = min(start + _CHUNK, len(texts))
        on_progress(done, done / len(texts))
    proba = np.concatenate(parts)
    return Evaluation(
        manifest=model.manifest,
        probabilities=model.probabilities,
        data_name=PurePath(place).name,
        names=model.names.names,
        texts=texts,
        lines=[row.line for row in rows],
        line_unit=line_unit,
        y=y,
        proba=proba,
        scores=score(y, proba, multi_label=model.multi_label, threshold=thresholds_of(model.classifier)),
        notes=tuple(notes),
        seen=None if known is None else int(known.contain(texts).sum()),
    )


def thresholds_of(classifier: AnyClassifier) -> ArrayLike:
    """Return the multi-label thresholds that a fitted classifier predicts with; 0.5 if it has none."""
    fitted = getattr(classifier, "multi_label_threshold_", None)
    given = getattr(classifier, "multi_label_threshold", 0.5)
    return fitted if fitted is not None else cast("ArrayLike", 0.5 if given == "auto" else given)


def _check_labels(
    names: LabelNames, labels: Sequence[tuple[str, ...]], rows: Sequence[Row], place: str, line_unit: str
) -> None:
    first: dict[str, int] = {}
    for label, row in zip(labels, rows, strict=True):
        for name in label:
            first.setdefault(name, row.line)
    unknown = {name: line for name, line in first.items() if not is_class(names, name)}
    if not unknown:
        return
    known = names.names
    shown = ", ".join(f"{shown_name(name)} ({line_unit} {line})" for name, line in list(unknown.items())[:5])
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    raise InputFileError(
        f"{place}, {line_unit} {min(unknown.values())}",
        f"the model does not know the label {shown}{more}",
        f"It knows {listed_names(known)}. {similar_name_hint(unknown, known)}"
        "Correct or drop those rows, or name another column with --label-column.",
    )


def is_class(names: LabelNames, name: str) -> bool:
    """Return whether a name is that of a class, in any accepted form."""
    try:
        names.number(name)
    except InvalidInputError:
        return False
    return True
