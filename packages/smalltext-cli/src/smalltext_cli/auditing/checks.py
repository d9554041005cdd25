"""The checks of an audit that need no classifier: labels, copies, names, lengths and scripts."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from smalltext_cli.auditing.near_duplicates import near_duplicates, normalized, similarity
from smalltext_cli.auditing.texts import AuditedTexts, Finding, group_finding, row_finding
from smalltext_cli.data_checks import class_counts, label_set, suspicious_names
from smalltext_core.label_names import shown_name

_LONG = 2_000
_TIMES_THE_MEDIAN = 10
_RARE_SCRIPT = 0.1

NO_LETTERS = "no letters"

_KANA = "Kana"
_HAN = "Han"
_SCRIPTS = {"CJK": _HAN, "IDEOGRAPHIC": _HAN, "HIRAGANA": _KANA, "KATAKANA": _KANA, "KATAKANA-HIRAGANA": _KANA}


def checks_of(data: AuditedTexts, *, is_labelled: bool = True, threshold: float = 0.8) -> Iterator[Finding]:
    """Yield the finding of each check; checks of labels are skipped unless the texts are labelled.

    Parameters
    ----------
    data : AuditedTexts
    is_labelled : bool, default=True
        Whether the file has a label column.
    threshold : float, default=0.8
        The minimum similarity of near duplicates.
    """
    if is_labelled:
        yield from label_checks(data)
    yield exact_duplicates(data)
    yield near_duplicate_groups(data, threshold)
    yield empty_texts(data)
    yield long_texts(data)
    yield rare_scripts(data)


def label_checks(data: AuditedTexts) -> Iterator[Finding]:
    """Yield the findings on labels: missing and contradictory labels, class names, and classes with one text."""
    missing = [row for row, label in enumerate(data.labels) if label is None]
    yield row_finding("missing_labels", "texts without a label", data, missing, "Label them, or leave them out.")
    yield contradictory_labels(data)
    counts = class_counts(label for label in data.labels if label is not None)
    sentences = suspicious_names(counts, multi_label=any(isinstance(label, tuple) for label in data.labels))
    yield Finding(
        "suspicious_names",
        "names of classes that may be mistakes",
        len(sentences),
        sentences,
        "Use one name per class.",
        list(sentences),
    )
    yield single_text_classes(data, counts)


def contradictory_labels(data: AuditedTexts) -> Finding:
    """Find texts with different labels that differ only in case, whitespace and Unicode variants."""
    copies: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(data.labels):
        if label is not None:
            copies[normalized(data.texts[row])].append(row)
    groups = [rows for rows in copies.values() if _labels_differ(data, rows)]
    return group_finding(
        "contradictory_labels",
        "the same text with different labels",
        data,
        groups,
        "Decide on one label for each text.",
    )


def single_text_classes(data: AuditedTexts, counts: Counter[str]) -> Finding:
    """Find classes with one text, which can be used for training or for scoring, but not both."""
    single = {name for name, count in counts.items() if count == 1}
    rows = {name: row for row in range(len(data.texts)) for name in single.intersection(_names(data, row))}
    return Finding(
        "single_text_classes",
        "classes with one text",
        len(rows),
        [f"{shown_name(name)}, {data.place(row)}" for name, row in rows.items()],
        "Label more texts of these classes, or merge them with others.",
        [data.as_dict(row, **{"class": name}) for name, row in rows.items()],
    )


def exact_duplicates(data: AuditedTexts) -> Finding:
    """Find texts that occur more than once; all copies but the first are counted."""
    copies: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(data.texts):
        if text.strip():
            copies[text].append(row)
    groups = sorted((rows for rows in copies.values() if len(rows) > 1), key=lambda rows: (-len(rows), rows))
    return group_finding(
        "exact_duplicates",
        "exact copies of an earlier text",
        data,
        groups,
        "Keep one of each: labelling the others adds nothing.",
        count=sum(len(rows) - 1 for rows in groups),
    )


def near_duplicate_groups(data: AuditedTexts, threshold: float) -> Finding:
    """Find groups of near-duplicate texts; all but one text per group are counted."""
    first: dict[str, int] = {}
    for row, text in enumerate(data.texts):
        if text.strip():
            first.setdefault(text, row)
    rows = list(first.values())
    groups = [[rows[one] for one in group] for group in near_duplicates(list(first), threshold)]
    more = [
        {
            "similarity": round(min(similarity(data.texts[group[0]], data.texts[row]) for row in group[1:]), 3),
            "labels_differ": _labels_differ(data, group),
        }
        for group in groups
    ]
    differing = sum(one["labels_differ"] for one in more)
    return group_finding(
        "near_duplicates",
        f"near duplicates of another text (similarity {threshold:g} or more)",
        data,
        groups,
        "Check them: copies in both training and test set make scores too optimistic."
        + (f" In {differing:,} of {len(groups):,} groups the labels differ." if differing else ""),
        count=sum(len(group) - 1 for group in groups),
        more=more,
    )


def empty_texts(data: AuditedTexts) -> Finding:
    """Find texts that contain only whitespace."""
    rows = [row for row, text in enumerate(data.texts) if not text.strip()]
    return row_finding("empty_texts", "empty texts", data, rows, "Leave them out.")


def long_texts(data: AuditedTexts) -> Finding:
    """Find texts with more than 2,000 characters and more than ten times the median length."""
    lengths = np.array([len(text) for text in data.texts])
    limit = max(_LONG, _TIMES_THE_MEDIAN * float(np.median(lengths))) if len(lengths) else _LONG
    rows = sorted(np.flatnonzero(lengths > limit).tolist(), key=lambda row: -lengths[row])
    return row_finding(
        "long_texts",
        f"texts of more than {limit:,.0f} characters",
        data,
        rows,
        "Check that each is one text: an unclosed quote can join many lines.",
        characters=lengths[rows].tolist(),
    )


def rare_scripts(data: AuditedTexts) -> Finding:
    """Find texts in a script that fewer than a tenth of the texts use, and texts without letters."""
    scripts = [script_of(text) for text in data.texts]
    counts = Counter(scripts)
    rare = {name for name, count in counts.items() if count < _RARE_SCRIPT * len(scripts) or name == NO_LETTERS}
    rows = [row for row, script in enumerate(scripts) if script in rare and data.texts[row].strip()]
    found = [scripts[row] for row in rows]
    listed = ", ".join(f"{name} {count:,}" for name, count in Counter(found).most_common())
    return row_finding(
        "rare_scripts",
        f"texts in a rare script, or without letters ({listed})" if listed else "texts in a rare script",
        data,
        rows,
        "A model learns little about a script with few texts: label more of them, or leave them out.",
        script=found,
    )


def script_counts(texts: Sequence[str]) -> dict[str, int]:
    """Return the number of texts in each script, the most frequent first."""
    return dict(Counter(map(script_of, texts)).most_common())


def _labels_differ(data: AuditedTexts, rows: Sequence[int]) -> bool:
    return len({frozenset(_names(data, row)) for row in rows if data.labels[row] is not None}) > 1


def _names(data: AuditedTexts, row: int) -> tuple[str, ...]:
    label = data.labels[row]
    return () if label is None else label_set(label)


def script_of(text: str) -> str:
    """Return the most frequent script among the letters of a text; Japanese, which mixes scripts, is "Kana".

    Examples
    --------
    >>> script_of("Dobrý den"), script_of("Привет"), script_of("日本語です"), script_of("123 !")
    ('Latin', 'Cyrillic', 'Kana', 'no letters')
    """
    if text.isascii():
        return "Latin" if any(map(str.isalpha, text)) else NO_LETTERS
    counts: Counter[str] = Counter()
    for letter, count in Counter(text).items():
        if letter.isalpha():
            counts[_script_of_letter(letter)] += count
    if counts[_KANA]:
        counts[_KANA] += counts.pop(_HAN, 0)
    return max(counts, key=lambda name: (counts[name], name)) if +counts else NO_LETTERS


@cache
def _script_of_letter(letter: str) -> str:
    """Return the first word of a letter's Unicode name, after replacing compatibility variants."""
    plain = unicodedata.normalize("NFKC", letter)[:1]
    word = unicodedata.name(plain, "UNKNOWN").split(" ")[0]
    return _SCRIPTS.get(word, word.capitalize())
