"""Every backend by name, with default settings, on small samples of the corpora.

Five samples of 8 and of 64 texts per class, tested on balanced texts, and of 500 texts, with natural class
frequencies in training and testing; three samples if fine-tuning takes minutes. `embeddings` has its default
encoder, the multilingual Universal Sentence Encoder, and two others: MiniLM and a model that model2vec distilled
from it. Its probabilities with the default encoder are also combined with those of `sklearn`. Beside the backends:
the frozen sentence transformer that `setfit` and `transformers` start from, and bare TF-IDF, each with logistic
regression. The last part has several labels per text. A quick look takes three of the corpora, and two samples.

To measure again after a change, remove ``.benchmarks/small-data/measurements.jsonl``, or the lines in question.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from study import Group, Measurement, Study

CORPORA = ("products", "election", "reviews", "tweets", "editorials", "spam", "news", "r8", "newsgroups")
SIZES = {8: "8 per class", 64: "64 per class", 500: "500 at natural class frequencies"}
METHODS = (
    *("TF-IDF", "sklearn", "embeddings", "sklearn and embeddings", "embeddings, MiniLM", "embeddings, distilled"),
    *("frozen encoder", "setfit", "transformers", "kimcnn"),
)
FINE_TUNED = ("setfit", "transformers", "kimcnn")
MULTI_LABEL, MULTI_LABEL_SIZE, MULTI_LABEL_METHODS = "debtags", 2000, ("sklearn", "setfit")
SAMPLES, FINE_TUNED_SAMPLES, QUICK_SAMPLES = 5, 3, 2
QUICK = ("products", "reviews", "news")

MEASURES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "calibration_error": "Expected calibration error (15 bins, top label)",
    "uncalibrated_calibration_error": "The same without calibration",
    "log_loss": "Log loss",
    "uncalibrated_log_loss": "The same without calibration",
    "cpu_seconds": "CPU seconds, to train and to classify 1,000 texts",
}


def groups(quick: bool) -> Iterator[Group]:
    """Yield measurements that take seconds first, and then, corpus by corpus, those that take minutes."""
    corpora = QUICK if quick else CORPORA
    for fine_tuned in (False, True):
        samples = QUICK_SAMPLES if quick else FINE_TUNED_SAMPLES if fine_tuned else SAMPLES
        for corpus in corpora:
            for size in SIZES:
                for method in METHODS:
                    if (method in FINE_TUNED) == fine_tuned:
                        yield Group({"corpus": corpus, "size": size, "method": method}, tuple(range(samples)))
    for method in MULTI_LABEL_METHODS:
        settings = {"corpus": MULTI_LABEL, "size": MULTI_LABEL_SIZE, "method": method}
        yield Group(settings, tuple(range(QUICK_SAMPLES if quick else FINE_TUNED_SAMPLES)))


def tables(measurements: list[Measurement]) -> str:
    """Return tables in Markdown: means over samples, with the standard error of the mean."""
    cells = defaultdict(list)
    for each in measurements:
        cells[each["corpus"], each["size"], each["method"]].append(each)
    parts = [_by_corpus(cells, "accuracy"), _by_corpus(cells, "calibration_error"), _by_corpus(cells, "log_loss")]
    return "\n\n".join([*parts, _means(cells), _multi_label(cells)])


Cells = dict[tuple[str, int, str], list[Measurement]]


def _by_corpus(cells: Cells, measure: str) -> str:
    rows = [
        [
            f"{corpus}, {SIZES[size]}",
            *(_mean(cells.get((corpus, size, method), []), measure) for method in METHODS),
        ]
        for size in SIZES
        for corpus in CORPORA
    ]
    return _table(MEASURES[measure], METHODS, [row for row in rows if any(row[1:])])


def _means(cells: Cells) -> str:
    """Return means over those corpora on which all methods with any measurement were measured."""
    rows = []
    for size in SIZES:
        methods = [method for method in METHODS if any(key[1:] == (size, method) for key in cells)]
        common = [corpus for corpus in CORPORA if all((corpus, size, method) in cells for method in methods)]
        for measure, title in MEASURES.items():
            values = [_over(cells, common, size, method, measure) for method in METHODS]
            if any(values):
                rows.append([f"{SIZES[size]}, {len(common)} corpora: {title}", *values])
    return _table("Means over the corpora on which every method was measured", METHODS, rows)


def _over(cells: Cells, corpora: Iterable[str], size: int, method: str, measure: str) -> str:
    found = [cells.get((corpus, size, method), []) for corpus in corpora]
    if not found or not all(cell and measure in cell[0] for cell in found):
        return ""
    return _number(statistics.fmean(statistics.fmean(each[measure] for each in cell) for cell in found))


def _multi_label(cells: Cells) -> str:
    columns = {
        "macro_f1": "macro-F1 by name",
        "macro_f1_at_half": "at .5",
        "uncalibrated_macro_f1_at_half": "at .5, uncalibrated",
        "without_labels": "texts without a label",
        "cpu_seconds": "CPU seconds",
    }
    found = {method: cells.get((MULTI_LABEL, MULTI_LABEL_SIZE, method), []) for method in MULTI_LABEL_METHODS}
    rows = [[method, *(_mean(cell, measure) for measure in columns)] for method, cell in found.items() if cell]
    return _table("Several labels per text", columns.values(), rows)


def _mean(cell: Sequence[Measurement], measure: str) -> str:
    values = [each[measure] for each in cell]
    if not values:
        return ""
    mean = _number(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} ({_number(statistics.stdev(values) / len(values) ** 0.5)})"


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 3 else f"{value:.3f}".removeprefix("0")


def _table(title: str, columns: Iterable[str], rows: Iterable[list[str]]) -> str:
    header = ["", *columns]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join([f"{title}:", "", *(f"| {' | '.join(line)} |" for line in lines)])


STUDIES = (
    Study(
        name="small-data",
        script="small_data.py",
        groups=groups,
        tables=tables,
        libraries=("numpy", "scikit-learn", "torch", "transformers", "sentence-transformers", "smalltext-core"),
    ),
)
