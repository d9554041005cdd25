r"""Which patterns of tokens can be run over any text in linear time.

A vectorizer of scikit-learn finds words by a regular expression, which may come from the folder of a model.
Python tries every way in which a pattern could match, so that ``(\w+)+$`` takes for ever on a text that nearly
matches. The patterns allowed are those that this package and scikit-learn ship, and alternatives of one kind of
character each, repeated or not: where such an alternative fails, it fails at once.
"""

from __future__ import annotations

import re

from smalltext_sklearn.words import TOKEN_PATTERN

SHIPPED_PATTERNS = frozenset({TOKEN_PATTERN, r"(?u)\b\w\w+\b"})
"""The defaults of this package and of scikit-learn; one that is replaced stays here, for models that have it."""

_LONGEST = 2000

# One character or a class of them, without sets in sets; and how often: at least 0 to 99 times.
_KIND = r"(?:\\[wWdDsS]|\[\^?(?:[^\[\]\\&|~-]|\\[wWdDsS\-\[\]\\]|(?<=\w)-(?=\w))+\]|[^\W_])"
_TIMES = r"(?:\+|\{[0-9]{1,2}(?:,(?:[0-9]{1,2})?)?\})?"
_ALTERNATIVE = rf"(?:(?:\\b)?{_KIND}{_TIMES}|\\b\\w{_TIMES}\\b)"
_SAFE = re.compile(rf"(?:\(\?u\))?{_ALTERNATIVE}(?:\|{_ALTERNATIVE})*")


def is_safe_pattern(pattern: object) -> bool:
    r"""Tell whether a pattern of tokens takes linear time on every text.

    Examples
    --------
    >>> is_safe_pattern(r"\w+|[^\w\s]"), is_safe_pattern(r"(\w+)+$")
    (True, False)
    """
    if not isinstance(pattern, str):
        return False
    short = len(pattern) <= _LONGEST
    return pattern in SHIPPED_PATTERNS or (short and _SAFE.fullmatch(pattern) is not None)
