"""The evaluation report: a self-contained HTML page with scores, charts and tables."""

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

    The page loads no script, font or image. Texts and names are escaped, and a policy forbids scripts. The output
    is deterministic.
    """
    scores = evaluation.scores
    # A browser shows tabs, line breaks and non-breaking spaces as spaces, so different names could look the same.
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
    # A lone surrogate, which JSON can contain, cannot be encoded in UTF-8.
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
    """Draw the confusion matrix of a single-label problem, limited to the most confused of many classes."""
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
    """Return the Jinja environment of report templates, which escapes values."""
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
    """Return the number of exact duplicates and of blank texts, and the median length in characters."""
    return {
        "duplicates": len(texts) - len(set(texts)),
        "empty": sum(not text.strip() for text in texts),
        "median_length": round(median(map(len, texts))),
    }
