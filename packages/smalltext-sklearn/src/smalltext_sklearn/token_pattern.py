r"""The tokens of the default vectorizer, in texts of any script.

A text is normalised (NFC), then matched by one regular expression:

- A word is a sequence of letters, digits and underscores with their combining marks, so that दिन and दान, or
  vocalised Arabic, are not split. A zero-width joiner or non-joiner between letters is part of the word.
- Each character of Chinese and Japanese, and of other scripts without spaces between words (Thai, Lao, Khmer,
  Myanmar and related scripts), is one token, with its marks. Korean is split at spaces.
- An emoji is one token, including skin tones, sequences with zero-width joiners, flags and keycaps.

ASCII texts are tokenized as by ``\b\w+\b``. No alternative can fail after it has matched, so the time is linear in
the length of any text.
"""

from __future__ import annotations

# Ranges of code points in hexadecimal. `re` has no Unicode properties, and Python's own tables differ between
# versions, while a saved pattern has to be the same everywhere.

_UNSPACED = (
    # Line_Break=SA: Thai, Lao, Myanmar, Khmer, Tai
    "0e01-0e46 0e81-0ec6 0edc-0edf 1000-103f 1050-108e 1780-17dc 1950-19c9 1a20-1a54 1aa7 a9e0-a9ef a9fa-a9fe "
    "aa60-aadd "
    # Han, Hiragana, Katakana, Bopomofo, Yi, Tangut, Nushu, Khitan
    "3005-3029 3038-303c 3041-312f 31a0-31ff 3400-a48c f900-fad9 ff66-ff9f 16fe0-1b2ff 20000-3fffd"
)
"""Scripts without spaces between words: each letter (as \\w matches it) within these ranges is one token."""

_MARKS = (
    "0300-036f 0483-0489 0591-05bd 05bf 05c1-05c2 05c4-05c5 05c7-05c9 0610-061a 064b-065f 0670 06d6-06dc "
    "06df-06e8 06ea-06ed 0711-07f3 07fd 0816-082d 0859-085b 0897-08e1 08e3-0963 0981-09e3 09fe-0a75 0a81-0ae3 "
    "0afa-0b63 0b82-0bd7 0c00-0c63 0c81-0c83 0cbc-0d4d 0d57-0d63 0d81-0df3 0f18-0f19 0f35 0f37 0f39 0f3e-0f84 "
    "0f86-0fbc 0fc6 135d-135f 1712-1734 1752-1773 180b-180d 180f-193b 1a17-1a1b 1a7f 1ab0-1b44 1b6b-1b73 "
    "1b80-1bf3 1c24-1c37 1cd0-1cd2 1cd4-1dff 20d0-20e2 20e4-20f0 2cef-2cf1 2d7f-2dff 302a-302f a66f-a672 "
    "a674-a67d a69e-a6f1 a802-a827 a82c a880-a8c5 a8e0-a8f1 a8ff-a92d a947-a953 a980-a9c0 aa29-aa4d aaeb-aaef "
    "aaf5-aaf6 abe3-abea abec-abed fb1e fe00-fe0d fe20-fe2f"
)
"""Combining marks. Some ranges include letters, digits or unassigned code points, which makes no difference."""

_RARE_MARKS = (
    "101fd-1037a 10a01-10a3f 10ae5-10ae6 10d24-10d6d 10eab-10eac 10ecb-10ecf 10ef0-10f50 10f82-10f85 "
    "11000-11046 11070-110ba 110c2 11100-11134 11145-11173 11180-111c0 111c9-111cc 111ce-111cf 1122c-11237 "
    "1123e-11241 112df-113d2 113e1-11446 1145e-114c3 115af-115c0 115dc-11640 116ab-116b7 1171d-1172b "
    "1182c-1183a 11930-11943 119d1-119e0 119e4-11a3e 11a47-11a99 11b60-11b67 11c2f-11c3f 11c92-11ef6 "
    "11f00-11f42 11f5a 13440-1612f 16af0-16af4 16b30-16b36 16f4f-16f92 1bc9d-1bc9e 1cf00-1cf46 1d165-1d169 "
    "1d16d-1d172 1da00-1da36 1da3b-1da6c 1da75 1da84 1da9b-1daaf 1e000-1e136 1e2ae-1e2ef 1e4ec-1e5ef "
    "1e6e3-1e94a e0100-e01ef"
)
"""Combining marks above U+FFFF, which `re` compares one by one."""

_MARKS_ON_UNSPACED = (
    "0300-036f 0e31 0e34-0e3a 0e47-0e4e 0eb1 0eb4-0ebc 0ec8-0ece 102b-103e 1056-1059 105e-1060 1062-1064 "
    "1067-106d 1071-1074 1082-108d 108f 109a-109d 17b4-17d3 17dd 1a55-1a7c 3099-309a a9e5 aa7b-aa7d aab0 "
    "aab2-aab4 aab7-aab8 aabe-aabf aac1 fe00-fe0d 16fe4-16ff1 e0100-e01ef"
)

_EMOJI = (
    "00a9 00ae 203c 2049 2122 2139 2194-2199 21a9-21aa 231a-231b 2328 23cf 23e9-23f3 23f8-23fa 24c2 24dc "
    "25aa-25ab 25b6 25c0 25fb-25fe 2600-27bf 2934-2935 2b05-2b07 2b1b-2b1c 2b50 2b55 3030 303d 3297 3299 "
    "1f000-1f1e5 1f200-1faff"
)
"""Code points with an emoji form and neighbouring symbols, without digits, # and *."""


def _characters(ranges: str) -> str:
    r"""Return ranges in the notation of a character class: ``0041-005a`` becomes ``\u0041-\u005a``."""
    return "".join("-".join(rf"\U{int(end, 16):08x}" for end in part.split("-")) for part in ranges.split())


_LETTER = rf"[^\W{_characters(_UNSPACED)}]"
_WORD = (
    rf"{_LETTER}+(?:(?:[{_characters(_MARKS)}]+"
    rf"|[\U000101fd-\U000e01ef](?<=[{_characters(_RARE_MARKS)}])"  # one comparison where there are none
    rf"|[\u200c\u200d](?=[{_characters(_MARKS)}]|{_LETTER}))"
    rf"{_LETTER}*)*"
)
_UNSPACED_LETTER = rf"\w[{_characters(_MARKS_ON_UNSPACED)}]*"  # \w that is not _LETTER, which comes first
_PICTURE = rf"[{_characters(_EMOJI)}][\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_PICTURES = rf"{_PICTURE}(?:\u200d{_PICTURE}){{0,9}}"
# Matches a subset of what _WORD matches, in two thirds of the time.
_ASCII_WORD = r"[0-9A-Za-z_]+(?![\w\x80-\U0010ffff])"
_KEYCAP = r"[0-9#*]\u20e3"
_FLAG = r"[\U0001f1e6-\U0001f1ff]{1,2}"

TOKEN_PATTERN = f"{_ASCII_WORD}|{_KEYCAP}|{_WORD}|{_UNSPACED_LETTER}|{_PICTURES}|{_FLAG}"
"""The regular expression of a token, for the `token_pattern` of scikit-learn's vectorizers."""
