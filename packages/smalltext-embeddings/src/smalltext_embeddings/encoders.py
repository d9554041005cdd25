"""Encoders, which turn texts into vectors and are not changed by training: objects, static models, transformers.

The vector of a text depends on that text only, not on the other texts of the batch, so that cached vectors equal
recomputed ones.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import numpy as np
import scipy
from numpy.typing import NDArray

from smalltext_core.errors import InvalidInputError, ModelFolderError, PluginError
from smalltext_core.messages import install_command, shown
from smalltext_core.saving import damage_explained

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

    from smalltext_tokenizers import CachedWordTokenizer
    from smalltext_torch.sentence_encoder import SentenceEncoder

Vectors: TypeAlias = "NDArray[np.float32]"
Content: TypeAlias = "Mapping[str, Any]"
"""The files of an encoder: bytes, or arrays of bytes, by name."""

_MAX_TOKENS, _BATCH = 512, 1024

SAMPLE = ("a", "The quick brown fox jumps over the lazy dog.", "2026: ein Satz, der etwas sagt", "\u4f60\u597d")

WAYS = (
    "'use-multilingual' (extra use of smalltext-embeddings), the folder or hub name of a static model that "
    "model2vec wrote (extra static) or of a sentence transformer (extra sentence-transformers), or an object with "
    "encode(list of str)"
)
"""The allowed values of `encoder`, for error messages."""


class Encoder(ABC):
    """A frozen encoder of texts.

    Attributes
    ----------
    kind, name : str
        How it is stored, and the string that it was created from.
    fingerprint : str
        A hash of weights and settings, 64 hexadecimal digits; encoders with equal fingerprints return equal
        vectors.
    dimensions : int
        The number of dimensions of a vector.

    Examples
    --------
    >>> class Lengths(Encoder):
    ...     kind, name, fingerprint, dimensions = "object", "lengths", "0" * 64, 1
    ...
    ...     def encode(self, texts):
    ...         return np.array([[len(text)] for text in texts], dtype=np.float32)
    >>> Lengths().encode(["one", "three"]).tolist()
    [[3.0], [5.0]]
    """

    kind: ClassVar[str]
    in_saved_models: bool = True  # by default, if they are small
    name: str
    fingerprint: Any
    dimensions: Any

    @abstractmethod
    def encode(self, texts: list[str]) -> Vectors:
        """Return the vectors of texts, shape (len(texts), dimensions).

        Parameters
        ----------
        texts : list of str
            Any texts; long ones are cut.
        """

    def embed(self, texts: list[str]) -> Vectors:
        """Return the vectors of texts, scaled to unit length, shape (len(texts), dimensions).

        Parameters
        ----------
        texts : list of str
            Any texts; long ones are cut.
        """
        return unit_vectors(self.encode(texts))

    @cached_property
    def sentiment_directions(self) -> Vectors | None:
        """The unit vectors from unfavourable to favourable sentences, shape (pairs, dimensions).

        They are None for objects of other libraries than sentence-transformers and model2vec, which may know only
        certain texts.
        """
        pairs = json.loads(Path(__file__).with_name("sentiment_pairs.json").read_bytes())
        return unit_vectors(np.subtract(*(self.embed(list(side)) for side in zip(*pairs, strict=True))))

    def files(self) -> Content | None:
        """Return the files from which a saved classifier can restore this encoder; None if it cannot."""
        return None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # it is immutable, and may be large

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class ObjectEncoder(Encoder):
    """Any Python object with ``encode(list of str)``, which must not change while it is used.

    It is identified by its attribute ``fingerprint``, a string, or else by the vectors it returns for a few sample
    texts.
    """

    kind = "object"

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.name = type(encoder).__qualname__
        if type(encoder).__module__.partition(".")[0] not in ("sentence_transformers", "model2vec"):
            self.sentiment_directions = None

    @cached_property
    def fingerprint(self) -> str:
        given = getattr(self.encoder, "fingerprint", None)
        if isinstance(given, str) and given:
            return hash_of(self.kind, self.name, given)
        return hash_of(self.kind, self.name, *(self.encode([text]).tobytes() for text in SAMPLE))

    @cached_property
    def dimensions(self) -> int:
        return int(self.encode(list(SAMPLE[:1])).shape[1])

    def encode(self, texts: list[str]) -> Vectors:
        given, vectors = self.encoder.encode(list(texts)), cast("Vectors", np.empty(0, dtype=np.float32))
        with suppress(TypeError, ValueError, RuntimeError):
            vectors = np.asarray(given, dtype=np.float32)
        width = vars(self).get("dimensions", vectors.ndim == 2 and vectors.shape[1]) or "dimensions"
        if vectors.shape != (len(texts), width) or not np.isfinite(vectors).all():
            allowed = f"finite numbers, shape ({len(texts)}, {width}), for {len(texts)} texts"
            raise InvalidInputError("encoder", f"{self.name}.encode, which returned {shown(given)}", allowed)
        return vectors


class StaticEncoder(Encoder):
    """A model2vec model: the mean of the vectors of a text's first 512 tokens.

    No code is run: the files hold tensors and a tokenizer, and only ``max_length`` is read from the configuration.
    """

    kind = "static"
    FILES = ("model.safetensors", "tokenizer.json", "config.json")

    def __init__(self, content: Content, name: str) -> None:
        self._content = content
        self.name = name

    @cached_property
    def fingerprint(self) -> str:
        return hash_of(self.kind, *(self._content[name] for name in self.FILES))

    @cached_property
    def dimensions(self) -> int:
        return int(self._loaded[0].embedding.shape[1])

    def files(self) -> Content:
        return self._content

    def encode(self, texts: list[str]) -> Vectors:
        model, tokens = self._loaded
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            vectors[start : start + _BATCH] = _means(model, *tokens(texts[start : start + _BATCH]))
        return vectors

    @cached_property
    def _loaded(self) -> tuple[Any, CachedWordTokenizer]:
        """The model, and what tokenizes texts."""
        with damage_explained(self.name):
            return _read(self._content)

    def __getstate__(self) -> dict[str, Any]:
        return {"_content": {name: bytes(value) for name, value in self._content.items()}, "name": self.name}


def _read(content: Content) -> tuple[Any, CachedWordTokenizer]:
    """Return a model2vec model and what tokenizes texts; any error means that a file is damaged."""
    from model2vec import StaticModel
    from safetensors.numpy import load
    from tokenizers import Tokenizer

    from smalltext_tokenizers import CachedWordTokenizer, check_tokenizer, is_wordwise

    config, tensors = json.loads(bytes(content["config.json"])), load(bytes(content["model.safetensors"]))
    tokenizer = json.loads(bytes(content["tokenizer.json"]))
    check_tokenizer(tokenizer)
    longest = config.get("max_length")
    longest = min(longest, _MAX_TOKENS) if type(longest) is int and longest > 0 else _MAX_TOKENS
    vectors = tensors["embeddings" if "embeddings" in tensors else "embedding.weight"].astype(np.float32)
    weights, mapping = tensors.get("weights"), tensors.get("mapping")
    read = Tokenizer.from_str(json.dumps(tokenizer))  # not the file itself, which may contain a key twice
    model = StaticModel(vectors, read, weights=weights, token_mapping=mapping, max_length=longest)
    ids = model.tokenizer.get_vocab().values()
    rows = len(vectors) if mapping is None else len(mapping)
    targets = np.arange(len(vectors)) if mapping is None else mapping
    valid = vectors.ndim == 2 and vectors.shape[1] > 0 and min(ids) == 0 and max(ids) < rows
    valid = valid and targets.ndim == 1 and 0 <= targets.min() <= targets.max() < len(vectors)
    valid = valid and (weights is None or weights.shape == (rows,))
    if not valid or not all(np.isfinite(each).all() for each in (vectors, *tensors.values())):
        raise ValueError("tensors do not fit the tokenizer, or hold NaN or infinity")
    most = longest * model.median_token_length  # as model2vec cuts texts
    return model, CachedWordTokenizer(model.tokenize, longest, most, by_word=is_wordwise(tokenizer))


def _means(model: Any, ids: NDArray[np.int64], starts: NDArray[np.int64]) -> Vectors:
    """Return the mean token vector of each text; the tokens of text i are ``ids[starts[i] : starts[i + 1]]``."""
    factors = np.ones(len(ids), dtype=np.float32) if model.weights is None else model.weights[ids]
    rows = ids if model.token_mapping is None else model.token_mapping[ids]
    matrix = scipy.sparse.csr_matrix((factors, rows, starts), shape=(len(starts) - 1, len(model.embedding)))
    means: Vectors = matrix @ model.embedding / np.maximum(np.diff(starts), 1, dtype=np.float32)[:, None]
    return means


class SentenceTransformerEncoder(Encoder):
    """A sentence transformer, from a folder that is checked before any library reads it.

    In float32 on a CPU, the vector of a text does not depend on the other texts of the batch; in other cases, it
    depends on them up to rounding errors.
    """

    kind = "sentence-transformers"
    in_saved_models = False

    def __init__(self, folder: Path, name: str, device: str | torch.device | None, precision: Any) -> None:
        self.name, self.device, self.precision = name, device, precision
        self._source: Path | Content = folder

    @cached_property
    def fingerprint(self) -> str:
        content = self._loaded[1]  # the fingerprint depends on the order of the files
        return hash_of(self.kind, self.precision, *content, *content.values())

    @cached_property
    def dimensions(self) -> int:
        return self.loaded.dimensions

    def files(self) -> Content | None:
        content = self._loaded[1]
        return None if any(name.endswith(".bin") for name in content) else content

    def encode(self, texts: list[str]) -> Vectors:
        return self.loaded.encode(texts)

    @property
    def loaded(self) -> SentenceEncoder:
        """The sentence transformer in memory, loaded on first use."""
        return self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[SentenceEncoder, Content]:
        from smalltext_torch.sentence_encoder import SentenceEncoder

        source: Any = self._source
        encoder, files = SentenceEncoder.load(source, self.name, device=self.device, precision=self.precision)
        paths = [name for name, part in files.items() if isinstance(part, Path)]
        return encoder, {**files, **contents_of(source, paths)}

    def __getstate__(self) -> dict[str, Any]:
        content = {name: bytes(part) for name, part in self._loaded[1].items()}
        return {**{name: held for name, held in vars(self).items() if name != "_loaded"}, "_source": content}


def unit_vectors(vectors: Vectors) -> Vectors:
    """Return vectors scaled to unit length; zero vectors stay zero.

    Examples
    --------
    >>> unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)).round(2).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    least = np.float32(1e-30)
    scaled = vectors / np.maximum(np.abs(vectors).max(axis=1, keepdims=True, initial=0), least)
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return np.asarray(scaled / np.maximum(lengths, least)[:, None], dtype=np.float32)


def require(modules: tuple[str, ...], extra: str, name: str) -> None:
    """Raise PluginError, which says what to do, if a package for an encoder is missing."""
    for module in (module for module in modules if find_spec(module) is None):
        command = install_command(f"smalltext-embeddings[{extra}]")
        what = f"The encoder {shown(name)} needs the package {module}. Install it: {command}"
        raise PluginError(f"{what}. Or take another encoder: {WAYS}.")


def hash_of(*parts: Any) -> str:
    """Return a hash of strings and bytes; each is hashed separately, so that their order and boundaries matter."""
    hashes = [hashlib.sha256(part.encode() if isinstance(part, str) else part).digest() for part in parts]
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def contents_of(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the content of files by name; large ones are memory-mapped, and outlive the folder."""
    content: dict[str, Any] = {}
    for name in names:
        path = folder / name
        try:
            large = path.stat().st_size > 2**20
            content[name] = np.memmap(path, mode="r", dtype=np.uint8) if large else path.read_bytes()
        except OSError as error:
            what = f"{path} cannot be read ({error.strerror}), so {folder} is not a whole encoder"
            raise ModelFolderError(f"{what}. Download it, or save it, again.") from error
    return content
