"""Scores as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from smalltext_cli.console import plain
from smalltext_cli.metrics import top_confusions

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from smalltext_cli.metrics import Scores

MOST_COLUMNS = 8
"""A confusion matrix of more classes does not fit into a terminal; the most frequent confusions do."""


def score_tables(scores: Scores, names: Sequence[str]) -> Iterator[Table]:
    """Yield the tables that show scores: the figures, the classes, and what was taken for what.

    Parameters
    ----------
    scores : Scores
    names : sequence of str
        What the classes are called, in the order of their numbers.
    """
    yield _figures(scores)
    yield _classes(scores, names)
    if scores.multi_label:
        yield _decisions(scores, names)
    elif len(names) <= MOST_COLUMNS:
        yield _matrix(scores, names)
    else:
        yield _top_confusions(scores, names)


def _figures(scores: Scores) -> Table:
    low, high = scores.accuracy_interval
    table = _table("", "", left=(0, 1, 2))
    table.show_header = False
    table.add_column()
    exactly = "all classes right; " if scores.multi_label else ""
    table.add_row("accuracy", f"{scores.accuracy:.4f}", f"{exactly}95% interval {low:.3f} to {high:.3f}")
    table.add_row("macro F1", f"{scores.macro_f1:.4f}", "every class counts the same")
    unit = "decision" if scores.multi_label else "text"
    table.add_row("micro F1", f"{scores.micro_f1:.4f}", f"every {unit} counts the same")
    if scores.hamming_loss is not None:
        table.add_row("Hamming loss", f"{scores.hamming_loss:.4f}", "wrong decisions on a text and a class")
    zeros = scores.zero_probability_truths
    note = f"; {zeros:,} times the truth had probability 0" if zeros else ""
    table.add_row("log loss", f"{scores.log_loss:.4f}", f"0 is best{note}")
    table.add_row("calibration error", f"{scores.expected_calibration_error:.4f}", "0 is best; 15 bins")
    table.add_row("Brier score", f"{scores.brier:.4f}", "0 is best")
    return table


def _classes(scores: Scores, names: Sequence[str]) -> Table:
    table = _table("class", "precision", "recall", "F1", "texts")
    for name, one in zip(names, scores.per_class, strict=True):
        table.add_row(
            _name(name),
            f"{one.precision:.3f}" if one.predicted else "-",
            f"{one.recall:.3f}" if one.support else "-",
            f"{one.f1:.3f}" if one.support or one.predicted else "-",
            f"{one.support:,}",
        )
    return table


def _decisions(scores: Scores, names: Sequence[str]) -> Table:
    table = _table("class", "found", "missed", "false alarms", "rightly not given")
    for name, ((true_negatives, false_alarms), (missed, found)) in zip(
        names, scores.confusion_matrix.tolist(), strict=True
    ):
        table.add_row(_name(name), *(f"{count:,}" for count in (found, missed, false_alarms, true_negatives)))
    return table


def _matrix(scores: Scores, names: Sequence[str]) -> Table:
    table = _table("truth, and what was said")
    for name in names:
        table.add_column(_name(name, limit=12), justify="right")
    for row, (name, counts) in enumerate(zip(names, scores.confusion_matrix.tolist(), strict=True)):
        cells = (_cell(count, right=row == column) for column, count in enumerate(counts))
        table.add_row(_name(name), *cells)
    return table


def _top_confusions(scores: Scores, names: Sequence[str]) -> Table:
    table = _table("truth", "most often taken for", "texts", "share of the truth", left=(0, 1))
    for one in top_confusions(scores.confusion_matrix, names):
        table.add_row(_name(one.truth), _name(one.predicted), f"{one.count:,}", f"{one.share:.1%}")
    return table


def _cell(count: int, *, right: bool) -> Text:
    from rich.text import Text

    style = "bold green" if right else "red" if count else "dim"
    return Text(f"{count:,}" if count or right else ".", style=style)


def _table(*headers: str, left: tuple[int, ...] = (0,)) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, header in enumerate(headers):
        table.add_column(header, justify="left" if number in left else "right")
    return table


def _name(name: str, limit: int = 40) -> Text:
    """Return the name of a class as it may be printed: no markup, nothing that controls the terminal."""
    return plain(name, limit)
