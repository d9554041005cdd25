"""Putting the report together: the figures, the pictures, and the template around them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smalltext_cli.confusion import most_confused, top_confusions
from smalltext_cli.evaluation import Evaluation
from smalltext_cli.report.accuracy_chart import accuracy_line
from smalltext_cli.report.calibration_charts import confidence_histogram, reliability_diagram
from smalltext_cli.report.class_charts import MOST_ROWS, class_bars, outcome_bars, weakest_first
from smalltext_cli.report.facts import baseline, calibration_verdict, data_facts, mean_confidence, model_facts
from smalltext_cli.report.heat_map import MOST_CLASSES, heat_map
from smalltext_cli.report.mistakes import most_confident_mistakes
from smalltext_core.messages import printable


def render_report(evaluation: Evaluation) -> str:
    """Return the report as one HTML page that loads nothing: no script, no font, no picture from elsewhere.

    The same evaluation gives the same page. Texts and names are escaped, and the page forbids scripts, so that
    what strangers wrote stays text.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    str
        To be written as UTF-8.
    """
    scores = evaluation.scores
    # A browser shows a tab, a line break or a non-breaking space as a space, and two names as one.
    evaluation = replace(evaluation, names=tuple(printable(name, None) for name in evaluation.names))
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            evaluation=evaluation,
            scores=scores,
            rows=list(zip(evaluation.names, scores.per_class, strict=True)),
            weakest=weakest_first(scores.per_class)[:1],
            baseline=baseline(scores),
            mean_confidence=mean_confidence(scores),
            verdict=calibration_verdict(scores),
            data=data_facts(evaluation.texts, scores),
            parameters=model_facts(evaluation.manifest),
            mistakes=most_confident_mistakes(evaluation),
            most_rows=MOST_ROWS,
            most_classes=MOST_CLASSES,
            **_pictures(evaluation),
            **({} if scores.multi_label else _confusions(evaluation)),
        )
    )
    # A lone surrogate, which JSON can hold, has no UTF-8.
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _pictures(evaluation: Evaluation) -> dict[str, Markup]:
    scores, names = evaluation.scores, evaluation.names
    kind = scores.multi_label
    pictures = {
        "accuracy_picture": accuracy_line(scores.accuracy, scores.accuracy_interval, baseline(scores)),
        "class_picture": class_bars(scores.per_class, names),
        "reliability_picture": reliability_diagram(
            scores.reliability, scores.expected_calibration_error, multi_label=kind
        ),
        "confidence_picture": confidence_histogram(scores.reliability, multi_label=kind),
    }
    if kind:
        pictures["outcome_picture"] = outcome_bars(scores.confusion_matrix, scores.per_class, names)
    return pictures


def _confusions(evaluation: Evaluation) -> dict[str, Any]:
    """Draw the confusion matrix of a single-label problem; of many classes, the most confused ones."""
    matrix, names = evaluation.scores.confusion_matrix, evaluation.names
    shown = most_confused(matrix, MOST_CLASSES)
    part, part_names = matrix[np.ix_(shown, shown)], [names[k] for k in shown]
    return {
        "confusions": top_confusions(matrix, names),
        "confusion_picture": heat_map(part, part_names, matrix.sum(axis=1)[shown]),
        "confusion_table": list(zip(part_names, part.tolist(), strict=True)),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("smalltext_cli.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{share:.1%}"
    environment.filters["decimals"] = lambda value: f"{value:.3f}"
    environment.filters["thousands"] = lambda count: f"{count:,}"
    return environment
