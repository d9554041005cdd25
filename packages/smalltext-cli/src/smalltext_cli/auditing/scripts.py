"""The scripts that texts are written in, by the names of their letters in Unicode."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache

NO_LETTERS = "no letters"

_KANA = "Kana"
_HAN = "Han"
_SCRIPTS = {"CJK": _HAN, "IDEOGRAPHIC": _HAN, "HIRAGANA": _KANA, "KATAKANA": _KANA, "KATAKANA-HIRAGANA": _KANA}


def script_of(text: str) -> str:
    """Return the script of most letters of a text; Japanese, which mixes them, is "Kana".

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
    """Return the first word of the name of a letter, after compatibility variants are replaced."""
    plain = unicodedata.normalize("NFKC", letter)[:1]
    word = unicodedata.name(plain, "UNKNOWN").split(" ")[0]
    return _SCRIPTS.get(word, word.capitalize())
