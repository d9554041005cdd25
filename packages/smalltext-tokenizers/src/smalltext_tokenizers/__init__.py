"""What backends share about tokenizers: checks of untrusted ones, and tokens of texts by their words."""

from __future__ import annotations

from smalltext_tokenizers.inputs import (
    TokenizerError,
    check_added_token,
    check_token_ids,
    check_tokenizer,
    encodable,
)
from smalltext_tokenizers.words import CachedWordTokenizer, is_wordwise

__version__ = "0.1.0"

__all__ = [
    "CachedWordTokenizer",
    "TokenizerError",
    "__version__",
    "check_added_token",
    "check_token_ids",
    "check_tokenizer",
    "encodable",
    "is_wordwise",
]
