"""The evaluation report: one HTML page of scores, charts and tables that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from statistics import median
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from smalltext_cli import charts, report_texts
from smalltext_cli.diagnostics import left_out_text, most_confused_classes, top_confusions
from smalltext_cli.evaluation import Evaluation, model_parameters
from smalltext_core.messages import printable


def render_report(evaluation: Evaluation) -> str:
    """Return the report as one HTML page, to be written as UTF-8.

    It loads no script, font or image. Texts and names are escaped, and the page forbids scripts. The same
    evaluation gives the same page.
    """
    scores = evaluation.scores
    # A browser shows a tab, a line break or a non-breaking space as a space, and two names as one.
    evaluation = replace(evaluation, names=tuple(printable(name, None) for name in evaluation.names))
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            evaluation=evaluation,
            scores=scores,
            rows=list(zip(evaluation.names, scores.per_class, strict=True)),
            weakest=charts.lowest_f1_first(scores.per_class)[:1],
            texts_summary=text_statistics(evaluation.texts),
            parameters=model_parameters(evaluation.manifest).items(),
            mistakes=report_texts.most_confident_mistakes(evaluation),
            unsure=report_texts.least_confident_right(evaluation),
            cells=report_texts.texts_of_cells(evaluation),
            left_out=left_out_text(scores, evaluation.names),
            max_bars=charts.MAX_BARS,
            max_matrix_classes=charts.MAX_MATRIX_CLASSES,
            **_charts(evaluation),
            **({} if scores.multi_label else _confusions(evaluation)),
        )
    )
    # A lone surrogate, which JSON can hold, has no UTF-8.
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _charts(evaluation: Evaluation) -> dict[str, Markup]:
    scores, names = evaluation.scores, evaluation.names
    kind, bins = scores.multi_label, scores.reliability
    drawn = {
        "accuracy_chart": charts.accuracy_chart(
            scores.accuracy, scores.accuracy_interval, scores.majority_baseline
        ),
        "class_chart": charts.class_scores_chart(scores.per_class, names),
        "reliability_chart": charts.reliability_diagram(bins, scores.expected_calibration_error, multi_label=kind),
        "confidence_chart": charts.confidence_histogram(bins, multi_label=kind),
    }
    if kind:
        drawn["decisions_chart"] = charts.decisions_chart(scores.confusion_matrix, scores.per_class, names)
    return drawn


def _confusions(evaluation: Evaluation) -> dict[str, Any]:
    """Draw the confusion matrix of a single-label problem; of many classes, the most confused ones."""
    matrix, names = evaluation.scores.confusion_matrix, evaluation.names
    shown = most_confused_classes(matrix, charts.MAX_MATRIX_CLASSES)
    part, part_names = matrix[np.ix_(shown, shown)], [names[k] for k in shown]
    return {
        "confusions": top_confusions(matrix, names),
        "confusion_chart": charts.confusion_heatmap(part, part_names, matrix.sum(axis=1)[shown]),
        "confusion_table": list(zip(part_names, part.tolist(), strict=True)),
    }


@cache
def environment() -> Environment:
    """Return the templates of reports; values are escaped."""
    templates = Environment(
        loader=PackageLoader("smalltext_cli", "templates/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["percent"] = lambda share: f"{share:.1%}"
    templates.filters["decimals"] = lambda value: f"{value:.3f}"
    templates.filters["thousands"] = lambda count: f"{count:,}"
    return templates


def text_statistics(texts: Sequence[str]) -> dict[str, int]:
    """Count exact duplicates of an earlier text and blank texts, and return the median length in characters."""
    return {
        "duplicates": len(texts) - len(set(texts)),
        "empty": sum(not text.strip() for text in texts),
        "median_length": round(median(map(len, texts))),
    }
