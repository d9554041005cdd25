"""Diagnostics of a model: confusions, warnings, and descriptions of its scores and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.console import counted, note, warn
from smalltext_cli.metrics import Scores
from smalltext_core import AnyClassifier
from smalltext_core.calibration import Calibration
from smalltext_core.label_names import shown_name

_MAX_NAMES = 5
_MAX_CONFUSIONS = 10
_MAX_GAP = 0.05
"""Single-label: the maximum difference of mean confidence and accuracy without a warning."""

_MAX_RATIO = 1.25
"""Multi-label: the maximum ratio of the expected and the true number of classes without a warning."""


@dataclass(frozen=True)
class Confusion:
    """A true class confused with a predicted one: the number of texts, and their share of the true class."""

    truth: str
    predicted: str
    count: int
    share: float


def top_confusions(matrix: NDArray[np.int64], names: Sequence[str]) -> list[Confusion]:
    """Return the most frequent confusions in descending order; ties are in the order of the classes.

    Examples
    --------
    >>> top_confusions(np.array([[8, 2], [0, 5]]), ["ham", "spam"])
    [Confusion(truth='ham', predicted='spam', count=2, share=0.2)]
    """
    wrong = matrix - np.diag(np.diag(matrix))
    places = np.argsort(-wrong, axis=None, kind="stable")[:_MAX_CONFUSIONS]
    pairs = [divmod(int(place), len(matrix)) for place in places]
    return [
        Confusion(
            names[row], names[column], int(wrong[row, column]), float(wrong[row, column] / matrix[row].sum())
        )
        for row, column in pairs
        if wrong[row, column]
    ]


def most_confused_classes(matrix: NDArray[np.int64], most: int) -> list[int]:
    """Return the classes with the most false positives and false negatives, in ascending order."""
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    return sorted(np.argsort(-mistakes, kind="stable")[:most].tolist())


def print_diagnostics(classifier: AnyClassifier, scores: Scores, names: Sequence[str]) -> None:
    """Print the warnings and the note on texts without a class to standard error."""
    for sentence in warnings_of(classifier, scores, names):
        warn(sentence)
    if sentence := without_class_note(scores):
        note(sentence)


def warnings_of(classifier: AnyClassifier, scores: Scores, names: Sequence[str]) -> list[str]:
    """Return a warning for each problem that the scores reveal, with a parameter that may solve it.

    The problems are a model that is no better than the majority baseline, classes that are never predicted, and
    overconfident or underconfident probabilities.
    """
    found = [_majority(classifier, scores, names) or _never_predicted(classifier, scores, names)]
    found.append(_miscalibrated(classifier, scores))
    return [sentence for sentence in found if sentence]


def _majority(classifier: AnyClassifier, scores: Scores, names: Sequence[str]) -> str:
    baseline = scores.majority_baseline
    supports = [one.support for one in scores.per_class]
    if baseline is None or baseline == 1:
        return ""
    most = next((k for k, one in enumerate(scores.per_class) if one.predicted == scores.num_texts), None)
    if most is not None:
        problem = f"the class {shown_name(names[most])} is predicted for all {counted(scores.num_texts, 'text')}"
    elif scores.accuracy <= baseline and not _is_balanced(classifier):
        frequent = shown_name(names[supports.index(max(supports))])
        problem = f"an accuracy of {scores.accuracy:.3f} is no better than that of always predicting {frequent}"
        problem += f" ({baseline:.3f})"
    else:
        return ""
    return f"{problem}. {_more_weight(classifier, 'of the other classes')}"


def _never_predicted(classifier: AnyClassifier, scores: Scores, names: Sequence[str]) -> str:
    missing = [k for k, one in enumerate(scores.per_class) if one.support and not one.predicted]
    if not missing:
        return ""
    listed = [
        f"{shown_name(names[k])} ({counted(scores.per_class[k].support, 'text')})" for k in missing[:_MAX_NAMES]
    ]
    more = f" and {len(missing) - _MAX_NAMES:,} more" if len(missing) > _MAX_NAMES else ""
    them = "it" if len(missing) == 1 else "them"
    problem = f"never predicted, although texts have {them}: {', '.join(listed)}{more}"
    if scores.multi_label and getattr(classifier, "multi_label_threshold", "auto") != "auto":
        return f"{problem}. Let training choose the thresholds: --set multi_label_threshold=auto."
    return f"{problem}. {_more_weight(classifier, f'of {them}')}"


def _miscalibrated(classifier: AnyClassifier, scores: Scores) -> str:
    direction, confidence, right = scores.miscalibration, scores.mean_confidence, scores.mean_correctness
    if scores.multi_label:
        classes, ratio = len(scores.per_class), max(confidence, 1e-9) / max(right, 1e-9)
        is_small = 1 / _MAX_RATIO <= ratio <= _MAX_RATIO
        problem = f"by its probabilities, {confidence * classes:.2f} classes apply to a text on average, but "
        problem += f"{right * classes:.2f} do"
    else:
        is_small = abs(confidence - right) < _MAX_GAP
        problem = f"its mean confidence is {confidence:.3f}, but its accuracy {right:.3f}"
    if not direction or is_small:
        return ""
    advice = "Rely on its labels rather than on a probability, or choose a threshold on texts like these."
    if getattr(classifier, "calibration", "auto") == "none":
        advice = "Calibrate its probabilities: train with --set calibration=auto."
    return f"the model is {direction}confident: {problem}. {advice}"


def _is_balanced(classifier: AnyClassifier) -> bool:
    return getattr(classifier, "class_weight", None) is not None


def _more_weight(classifier: AnyClassifier, texts: str) -> str:
    """Return the advice to weight classes if the classifier can but does not, or else to label more texts."""
    if hasattr(classifier, "class_weight") and not _is_balanced(classifier):
        return f"Train with --set class_weight=balanced, or label more texts {texts}."
    return f"Label more texts {texts}."


def without_class_note(scores: Scores) -> str:
    """Return a note on the texts for which no class is above its threshold; empty if there are none."""
    one = scores.without_class
    if one is None or not one.texts:
        return ""
    without = f"{one.texts:,} of {counted(scores.num_texts, 'text')} get no label, since no class is above its"
    right = f"{one.right:,} of them correctly; " if one.right else ""
    missed = f"{counted(one.missed, 'true label')} {'is' if one.missed == 1 else 'are'} missed"
    return (
        f"{without} threshold: {right}{missed}. With the most probable class of each, micro F1 would be "
        f"{one.micro_f1_with_top:.3f} instead of {scores.micro_f1:.3f}, macro F1 {one.macro_f1_with_top:.3f} "
        f"instead of {scores.macro_f1:.3f}."
    )


def left_out_text(scores: Scores, names: Sequence[str]) -> str:
    """Return a parenthesis on the classes that are excluded from the macro F1; empty if there are none."""
    return _left_out([names[k] for k in scores.unscored], len(names))


def _left_out(missing: Sequence[str], classes: int) -> str:
    if not missing:
        return ""
    listed = ", ".join(map(shown_name, missing[:_MAX_NAMES]))
    more = f" and {len(missing) - _MAX_NAMES:,} more" if len(missing) > _MAX_NAMES else ""
    return f" (of {classes - len(missing):,} of {classes:,} classes, without {listed}{more})"


def scores_text(scores: Mapping[str, Any]) -> str:
    """Describe the main scores, in the form of `Scores.as_dict` and ``scores.json``."""
    low, high = scores["accuracy_interval"]
    left_out = _left_out(scores.get("macro_leaves_out", ()), scores["classes"])
    return (
        f"accuracy {scores['accuracy']:.3f} (95% interval {low:.3f} to {high:.3f}), macro F1 "
        f"{scores['macro_f1']:.3f}{left_out}, log loss {scores['log_loss']:.3f}, calibration error "
        f"{scores['expected_calibration_error']:.3f}"
    )


def calibration_text(calibration: Calibration | None) -> str:
    """Describe a calibration: its kind, the number of texts it was fitted on, and its effect on them.

    Examples
    --------
    >>> from smalltext_core.calibration import prior_temperature
    >>> calibration_text(prior_temperature(1.5)), calibration_text(None)
    ('temperature 1.50, assumed: there were too few texts to fit one', 'none')
    """
    if calibration is None:
        return "none"
    if calibration.method == "temperature":
        what = f"temperature {calibration.temperature:.2f}"
    else:
        what = f"a logistic map for each class (mean temperature {calibration.temperature:.2f})"
    if not calibration.n_texts:
        return f"{what}, assumed: there were too few texts to fit one"
    measured = {"log loss": calibration.log_loss, "calibration error": calibration.calibration_error}
    effects = [f"{name} {pair[0]:.3f} before, {pair[1]:.3f} after" for name, pair in measured.items() if pair]
    return "; ".join(
        (f"{what}, fitted to held-out predictions of {counted(calibration.n_texts, 'text')}", *effects)
    )


def threshold_text(thresholds: Mapping[str, float]) -> str:
    """Describe multi-label thresholds: by one number if all are equal, or else by class, or by their range.

    Examples
    --------
    >>> threshold_text({"ham": 0.5, "spam": 0.5}), threshold_text({"ham": 0.5, "spam": 0.25})
    ('0.5', "'ham' 0.5, 'spam' 0.25")
    """
    values = list(thresholds.values())
    if len(set(values)) == 1:
        return f"{values[0]:.3g}"
    if len(values) > 2 * _MAX_NAMES:
        return f"from {min(values):.3g} to {max(values):.3g}"
    return ", ".join(f"{shown_name(name)} {one:.3g}" for name, one in thresholds.items())
