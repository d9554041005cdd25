"""What the tokenizers library is given: texts as it accepts them, and an untrusted tokenizer.json after checks.

A tokenizer cannot run code, but it can make texts, and tables of tokens, exhaust memory.
"""

from __future__ import annotations

import base64
import json
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

_MAX_TOKEN_ID = 10_000_000
_MAX_SPECIAL_TOKENS = 10_000
_MAX_GROWTH = 5000
_GROWTH = {"BertNormalizer": 3, "ByteLevel": 4, "Lowercase": 2, "NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18}
"""The factor by which normalizer steps can lengthen a text at most, in characters; 1 for other steps."""
_KEYS_OF_TOKENS = frozenset(
    {"__type", "content", "id", "lstrip", "normalized", "rstrip", "single_word", "special"}
)


def encodable(text: str) -> str:
    r"""Return a text with the replacement character in place of lone surrogates, which no tokenizer accepts.

    Parameters
    ----------
    text : str
        Any text.

    Examples
    --------
    >>> ascii(encodable("a \ud800 b"))
    "'a \\ufffd b'"
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class TokenizerError(ValueError):
    """A tokenizer is not sound, or cannot be read. Escape the message, which may quote it, to show it.

    Examples
    --------
    >>> try:
    ...     check_token_ids([-1])
    ... except TokenizerError as error:
    ...     print(error)
    a token has the id -1; allowed: whole numbers up to 10000000
    """


def check_tokenizer(content: Mapping[str, Any]) -> None:
    """Reject a tokenizer from an untrusted file that would exhaust memory or write to the terminal.

    Token ids are limited, and by how much texts are lengthened: by the normalizer, and by special tokens. Added
    tokens are checked by `check_added_token`.

    Parameters
    ----------
    content : mapping
        The content of a tokenizer.json. If the tokenizers library is to read the file itself, the caller has to
        reject keys that occur twice, for which the library may use another value.

    Raises
    ------
    TokenizerError
        If a limit is exceeded, or the tokenizers library cannot read the normalizer or the post-processor.
    """
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    check_token_ids(vocabulary.values() if isinstance(vocabulary, dict) else ())
    added = _objects(content.get("added_tokens"))
    check_token_ids(token.get("id") for token in added)
    for token in added:
        check_added_token(token)
    read = _as_read(content)
    _check_growth(read["normalizer"])
    _check_special_tokens(read["post_processor"])


def check_added_token(token: Mapping[str, Any]) -> None:
    """Reject an added token with unknown keys, which the tokenizers library prints as they are.

    Control characters in them would reach the terminal.

    Parameters
    ----------
    token : mapping
        A token from a JSON file.

    Raises
    ------
    TokenizerError
        If a key is not that of a token.
    """
    for key in token:
        if key not in _KEYS_OF_TOKENS:
            raise _error("a token has the key", reprlib.repr(key), ", ".join(sorted(_KEYS_OF_TOKENS)))


def check_token_ids(ids: Iterable[object]) -> None:
    """Reject token ids that are so large that tables of them would exhaust memory.

    Parameters
    ----------
    ids : iterable
        The token ids, of any type.

    Raises
    ------
    TokenizerError
        If one is not a whole number from 0 to 10,000,000.
    """
    for number in ids:
        if type(number) is not int or not 0 <= number <= _MAX_TOKEN_ID:
            raise _error("a token has the id", reprlib.repr(number), f"whole numbers up to {_MAX_TOKEN_ID}")


def steps(step: Any, inside: str) -> list[dict[str, Any]]:
    """Return the steps of a part of a tokenizer in order, with those of sequences, whose key is `inside`."""
    if step and step["type"] == "Sequence":
        return [one for inner in step[inside] for one in steps(inner, inside)]
    return [step] if step else []


def _as_read(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the normalizer and the post-processor as the tokenizers library writes them.

    It reads other forms too, such as lists in place of objects.
    """
    from tokenizers import Tokenizer

    parts = {name: content.get(name) for name in ("normalizer", "post_processor")}
    model = {"type": "WordLevel", "vocab": {}, "unk_token": ""}
    try:
        read: dict[str, Any] = json.loads(Tokenizer.from_str(json.dumps({**parts, "model": model})).to_str())
    except Exception as error:  # the library raises nothing more specific
        raise TokenizerError(f"the tokenizers library cannot read it ({error})") from error
    return read


def _check_growth(normalizer: Any) -> None:
    """Reject a normalizer that can make texts thousands of times as long.

    From the last step to the first, the length that a character can reach in the remaining steps is computed.
    """
    of_character: dict[str, int] = {}
    of_others = 1
    for step in reversed(steps(normalizer, "normalizers")):
        inserted = sum(of_character.get(one, of_others) for one in step.get("content", step.get("prepend", "")))
        if literal := step.get("pattern", {}).get("String"):
            of_character |= {one: max(inserted, of_character.get(one, of_others)) for one in literal}
        else:  # a regular expression can match between any two characters
            of_others = inserted + _factor(step) * max(of_others, *of_character.values(), 0)
            of_character = {}
        growth = max(inserted, of_others)
        if growth > _MAX_GROWTH:
            raise _error("a normalizer makes texts longer by a factor of", growth, f"up to {_MAX_GROWTH}")


def _factor(step: Mapping[str, Any]) -> int:
    """Return the factor by which a normalizer step can lengthen a text at most, apart from inserted text."""
    charsmap = base64.b64decode(step.get("precompiled_charsmap") or "")
    if not charsmap:
        return _GROWTH.get(step["type"], 1)
    # The size of a trie, the trie, and zero-terminated replacements of characters.
    replacements = charsmap[4 + int.from_bytes(charsmap[:4], "little") :].decode("utf-8", "surrogateescape")
    return max(map(len, replacements.split("\0")))


def _check_special_tokens(processor: Any) -> None:
    """Reject more special tokens around a text than any model can process."""
    for step in steps(processor, "processors"):
        pieces, special = step.get("single"), step.get("special_tokens")
        tokens = _objects([*special.values()]) if isinstance(special, dict) else []
        count = sum(len(token["ids"]) for token in tokens if isinstance(token.get("ids"), list))
        around = len(pieces) * max(count, 1) if isinstance(pieces, list) else 0
        if around > _MAX_SPECIAL_TOKENS:
            raise _error("the number of tokens around a text is", around, f"up to {_MAX_SPECIAL_TOKENS}")


def _objects(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _error(what: str, value: object, allowed: str) -> TokenizerError:
    return TokenizerError(f"{what} {value}; allowed: {allowed}")
