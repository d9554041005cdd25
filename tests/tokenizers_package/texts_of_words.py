"""Texts whose tokens by words and as a whole have to be equal."""

from __future__ import annotations

from smalltext_testing import training_texts, unseen_texts

TEXTS = [
    *training_texts(3, multi_label=False).x,
    *unseen_texts(4).x,
    *(
        "",
        " ",
        "  film,film!  FILM ",
        "caf\u00e9 film",
        "a\tfilm",
        "film\x1cfilm",
        "film " * 300,
        "[UNK] film",
        "x" * 600,
    ),
]
