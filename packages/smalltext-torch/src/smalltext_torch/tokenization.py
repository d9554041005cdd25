"""Tokenization with tokenizers of transformers: token ids without padding, truncation, windows of long texts."""

from __future__ import annotations

import copy
import hashlib
import warnings
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from smalltext_core.dataset import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown
from smalltext_core.validation import check_count
from smalltext_tokenizers import encodable
from smalltext_torch.batching import Ragged
from smalltext_torch.model_loading import library_errors_explained
from smalltext_torch.progress import stacklevel_of_caller

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from transformers.configuration_utils import PretrainedConfig
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

_UNLIMITED = 2**31 - 1

UNBOUNDED = 1_000_000
"""Tokenizers without a set `model_max_length` have a larger value than this."""

DEFAULT_WINDOW = 512
"""The maximum number of tokens if neither the model nor its tokenizer sets a limit."""

AT_ONCE = 256
"""The number of texts tokenized in one call, since its output takes far more memory than the token ids."""

_PROBE = "Hello, WORLD! Zwölf Boxkämpfer jagen 1234 Hühner 👍 今日は"

POSITIONS_AFTER_PADDING = frozenset(
    (
        *("camembert", "data2vec-text", "esm", "ibert", "lilt", "longformer", "luke", "mpnet", "roberta"),
        *("roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
    )
)
"""Types of models whose first tokens have the position after that of the padding token, so that fewer are left."""


@dataclass(frozen=True)
class SpecialTokens:
    """The numbers of special tokens that a tokenizer puts before and after a text."""

    before: int
    after: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
        """Return the numbers for a tokenizer, which is not changed."""
        if tokenizer.is_fast:
            marks = without_limits(tokenizer).encode("a").special_tokens_mask
        else:
            marks = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        if all(marks):
            return cls(0, 0)
        return cls(marks.index(0), marks[::-1].index(0))

    def truncated(self, texts: Ragged, max_length: int) -> Ragged:
        """Truncate texts to `max_length` tokens; special tokens at the end stay there."""
        rows = np.flatnonzero(texts.lengths > max_length)
        if not rows.size:
            return texts
        shortened = texts.truncated(max_length)
        for number in range(1, self.after + 1):
            shortened.tokens[shortened.offsets[rows + 1] - number] = texts.tokens[texts.offsets[rows + 1] - number]
        return shortened

    def windows(self, texts: Ragged, max_length: int) -> tuple[Ragged, NDArray[np.int64]]:
        """Divide texts into overlapping windows of at most `max_length` tokens, including special tokens.

        Returns the windows of all texts, and the number of windows of each. Each window begins in the middle of
        the one before; the last ends with the text.
        """
        counts = np.ones(len(texts), dtype=np.int64)
        if not (texts.lengths > max_length).any():
            return texts, counts
        room = max_length - self.before - self.after
        found: list[NDArray[np.int32]] = []
        for row in range(len(texts)):
            tokens = texts[row]
            if len(tokens) <= max_length:
                found.append(tokens)
                continue
            inner = len(tokens) - self.before - self.after
            starts = [*range(0, inner - room, max(room // 2, 1)), inner - room]
            counts[row] = len(starts)
            around = tokens[: self.before], tokens[len(tokens) - self.after :]
            for start in starts:
                part = tokens[self.before + start : self.before + start + room]
                found.append(np.concatenate([around[0], part, around[1]]))
        return Ragged.from_sequences(found), counts


def tokenize(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Ragged:
    """Return the token ids of texts with special tokens, untruncated.

    A text without any token gets one, since networks need one. The tokenizer is not changed.
    """
    substitute = filler(tokenizer)
    chunks, lengths = [np.empty(0, dtype=np.int32)], [np.zeros(1, dtype=np.int64)]
    for ids in _ids(texts, tokenizer):
        filled = [numbers or [substitute] for numbers in ids]
        lengths.append(np.array([len(numbers) for numbers in filled], dtype=np.int64))
        chunks.append(np.concatenate([np.array(numbers, dtype=np.int32) for numbers in filled]))
    return Ragged(np.concatenate(chunks), np.cumsum(np.concatenate(lengths)))


def _ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> Iterator[list[list[int]]]:
    if tokenizer.is_fast:
        fast = without_limits(tokenizer)
    for start in range(0, len(texts), AT_ONCE):
        some = [encodable(text) for text in texts[start : start + AT_ONCE]]
        if tokenizer.is_fast:
            yield [encoding.ids for encoding in fast.encode_batch_fast(some)]
        else:
            yield tokenizer(some, truncation=False, padding=False, verbose=False)["input_ids"]


def without_limits(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return a copy of the Tokenizer of a fast tokenizer, with truncation and padding turned off."""
    fast: Tokenizer = copy.deepcopy(tokenizer.backend_tokenizer)
    fast.no_truncation()
    fast.no_padding()
    return fast


def filler(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the token that represents a text without tokens."""
    candidates = (tokenizer.unk_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    return next((number for number in candidates if number is not None), 0)


def tokenizer_id(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return a short string that is equal for tokenizers that assign the same ids to the same texts."""
    digest = hashlib.sha256()
    for token, number in sorted(tokenizer.get_vocab().items()):
        digest.update(f"{token}\0{number}\0".encode("utf-8", "surrogatepass"))
    digest.update(repr(tokenize([_PROBE], tokenizer).tokens.tolist()).encode())
    return digest.hexdigest()[:32]


def _tried(tokenizer: PreTrainedTokenizerBase) -> tuple[SpecialTokens, str]:
    """Return the special tokens and the id of a tokenizer; InvalidInputError if it cannot tokenize a text."""
    source, allowed = tokenizer.name_or_path, "a tokenizer whose parts fit each other"
    with library_errors_explained("tokenizer", source, allowed, ", which cannot tokenize a text"):
        return SpecialTokens.of(tokenizer), tokenizer_id(tokenizer)


def max_positions(config: PretrainedConfig) -> int | None:
    """Return the maximum number of positions of a model; None if its configuration sets no limit."""
    most = getattr(config, "max_position_embeddings", None)
    if most is None or most <= 0:
        return None
    # MPNet counts from 2 whatever its padding token is, the others from the number after that of the token.
    skipped = max(getattr(config, "pad_token_id", None) or 0, 1) + 1
    return int(most - skipped if config.model_type in POSITIONS_AFTER_PADDING else most)


def max_tokens(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the maximum number of tokens per text that a model accepts."""
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length <= UNBOUNDED else []
    most = max_positions(config)
    if most is not None:
        limits.append(most)
    return min(limits, default=DEFAULT_WINDOW)


def check_length(argument: str, length: object, special_tokens: SpecialTokens) -> int:
    """Return a maximum length, or raise InvalidInputError if special tokens alone would fill it."""
    least = special_tokens.before + special_tokens.after + 1
    if check_count(argument, length) < least:
        raise InvalidInputError(argument, shown(length), f"{least} or above, special tokens included")
    return int(length)  # type: ignore[call-overload, no-any-return]


def truncate_and_warn(texts: Ragged, length: int, special_tokens: SpecialTokens) -> Ragged:
    """Truncate texts to `length` tokens, and warn of the number of texts that are longer."""
    longer = int((texts.lengths > length).sum())
    if not longer:
        return texts
    share = longer / len(texts)
    percentage = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
    warnings.warn(
        f"{longer} of {len(texts)} texts ({percentage}) have more than {length} tokens and are truncated.",
        UserWarning,
        stacklevel=stacklevel_of_caller(),
    )
    return special_tokens.truncated(texts, length)


@dataclass(frozen=True)
class _Tokenized:
    """The tokens of a dataset, with a hash of the texts, since the list of texts in a dataset can be changed."""

    tokenizer_id: str
    fingerprint: int
    tokens: Ragged


_TOKENIZED: weakref.WeakKeyDictionary[TextDataset, _Tokenized] = weakref.WeakKeyDictionary()
"""A cache of the tokens of datasets that still exist, so that each is tokenized once."""


def tokens_of(data_set: TextDataset, tokenizer: PreTrainedTokenizerBase, tokenizer_id: str) -> Ragged:
    """Return the untruncated token ids of the texts of a dataset, cached for as long as the dataset exists."""
    texts = data_set.x
    fingerprint = hash(tuple(texts))
    known = _TOKENIZED.get(data_set)
    if known is None or (known.tokenizer_id, known.fingerprint) != (tokenizer_id, fingerprint):
        known = _Tokenized(tokenizer_id, fingerprint, tokenize(texts, tokenizer))
        _TOKENIZED[data_set] = known
    return known.tokens


@dataclass(frozen=True)
class Encoder:
    """Encodes texts as token ids for a model, truncated to `max_length` tokens."""

    tokenizer: PreTrainedTokenizerBase
    config: PretrainedConfig
    max_length: int
    special_tokens: SpecialTokens
    tokenizer_id: str

    @classmethod
    def of(
        cls, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, max_seq_len: int | None = None
    ) -> Encoder:
        """Return the encoder of a model, of whose window (the default) only a part may be used.

        Raises
        ------
        InvalidInputError
            If `max_seq_len` is more than the model takes, or the tokenizer cannot tokenize a text.
        """
        special_tokens, known_as = _tried(tokenizer)
        most = max_tokens(config, tokenizer)
        length = most if max_seq_len is None else check_length("max_seq_len", max_seq_len, special_tokens)
        if length > most:
            raise InvalidInputError("max_seq_len", brief(length), f"up to {most}, which is what the model takes")
        return cls(tokenizer, config, length, special_tokens, known_as)

    @property
    def padding(self) -> int:
        """The token that batches are padded with, which is in the vocabulary of the model."""
        known = (
            getattr(self.config, "pad_token_id", None),
            self.tokenizer.pad_token_id,
            self.tokenizer.eos_token_id,
        )
        return next((number for number in known if number is not None and self._is_known(number)), 0)

    def encode(self, texts: TextDataset | Ragged) -> Ragged:
        """Return the token ids of texts or of token ids, truncated, and warn of truncated texts.

        Raises
        ------
        InvalidInputError
            If an id is not in the vocabulary of the model.
        """
        return truncate_and_warn(self.untruncated(texts), self.max_length, self.special_tokens)

    def windows(self, texts: TextDataset | Ragged) -> tuple[Ragged, NDArray[np.int64]]:
        """Return the token ids of all windows of texts, and how many windows belong to each text."""
        return self.special_tokens.windows(self.untruncated(texts), self.max_length)

    def untruncated(self, texts: TextDataset | Ragged) -> Ragged:
        """Return the token ids of texts, or the token ids themselves, without truncation."""
        tokens = texts if isinstance(texts, Ragged) else tokens_of(texts, self.tokenizer, self.tokenizer_id)
        greatest = int(tokens.tokens.max(initial=0))
        if not self._is_known(greatest):
            allowed = f"ids that the model knows, 0 to {self.config.vocab_size - 1}"
            raise InvalidInputError("data_set", f"the token id {greatest}", allowed)
        return self._with_one_end(tokens) if self.config.is_encoder_decoder else tokens

    def _is_known(self, token: int) -> bool:
        size = getattr(self.config, "vocab_size", None)
        return token >= 0 and (size is None or token < size)

    def _with_one_end(self, texts: Ragged) -> Ragged:
        """Replace end-of-sequence tokens in the middle of texts by unknown tokens.

        The heads of encoder-decoder models classify the state at the last end-of-sequence token, and reject a
        batch if its texts have different numbers of them.
        """
        inside = np.isin(texts.tokens, self.config.eos_token_id)
        for number in range(1, max(self.special_tokens.after, 1) + 1):
            inside[texts.offsets[1:][texts.lengths >= number] - number] = False
        if not inside.any():
            return texts
        changed, unknown = texts.copy(), self.tokenizer.unk_token_id
        changed.tokens[inside] = self.padding if unknown is None else unknown
        return changed


@dataclass(frozen=True)
class SentenceTokenizer:
    """Turns texts into token ids: `prompt` before each text, truncated to `max_length` with its special tokens."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    special_tokens: SpecialTokens
    tokenizer_id: str
    padding: int
    prompt: str = ""
    vocabulary_size: int = _UNLIMITED

    @classmethod
    def of(cls, body: SentenceTransformer, max_seq_len: int | Literal["auto"]) -> SentenceTokenizer:
        """Return the tokenizer of a sentence transformer, for at most `max_seq_len` tokens, or as it is set."""
        tokenizer, transformer = body.tokenizer, cast("Any", body[0]).auto_model
        special_tokens, known_as = _tried(tokenizer)
        limit = max_positions(transformer.config)
        size = getattr(transformer.get_input_embeddings(), "num_embeddings", _UNLIMITED)
        padding = tokenizer.pad_token_id or 0
        wanted = (body.max_seq_length or DEFAULT_WINDOW) if max_seq_len == "auto" else max_seq_len
        length = check_length("max_seq_len", wanted, special_tokens)
        return cls(
            tokenizer,
            length if limit is None else min(length, limit),
            special_tokens,
            known_as,
            padding if padding < size else 0,
            (body.prompts or {}).get(body.default_prompt_name or "", "") or "",
            size,
        )

    def check(self, tokens: Ragged, argument: str = "data_set") -> None:
        """Raise InvalidInputError if the model has no embedding for a token."""
        largest = int(tokens.tokens.max(initial=0))
        if largest >= self.vocabulary_size:
            allowed = f"ids that the model knows, 0 to {self.vocabulary_size - 1}"
            raise InvalidInputError(argument, f"a text to which the tokenizer gives the id {largest}", allowed)

    def prompted(self, texts: Sequence[str]) -> list[str]:
        """Return the texts with the prompt before each."""
        return [self.prompt + text for text in texts] if self.prompt else list(texts)
