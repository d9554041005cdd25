"""A cache of embeddings by encoder and text, in memory and optionally in a folder.

The memory is shared by all classifiers of the process. In a folder, each call atomically adds one file with the
vectors that it had to compute; several processes may share the folder.
"""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from itertools import repeat
from pathlib import Path
from sys import getsizeof
from typing import Any, NamedTuple, Protocol, TypeAlias
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"

CACHE_SIZE = 512 * 2**20
"""The default limit on the embeddings in memory, in bytes."""

_ENTRY = 250
"""The overhead of a text in bytes, besides its vector and its characters: entries of a dict and of arrays."""

_MAGIC = b"smalltext embeddings 1\n"
_KEY, _CHECK = 16, 32
_HEADER = len(_MAGIC) + 32 + 2 * 8
_MAX_FILES = 32
"""The files of an encoder are merged once there are this many."""


class Embedder(Protocol):
    """The interface of encoders that the cache calls.

    Attributes
    ----------
    fingerprint : str
        A hash of weights and settings, 64 hexadecimal digits; embedders with equal fingerprints return equal
        vectors.
    dimensions : int
        The number of dimensions of a vector.

    Examples
    --------
    >>> class Lengths:
    ...     fingerprint, dimensions = "00" * 32, 1
    ...
    ...     def embed(self, texts):
    ...         return np.array([[len(text)] for text in texts], dtype=np.float32)
    >>> EmbeddingCache().vectors(["one", "three"], Lengths()).tolist()
    [[3.0], [5.0]]
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: list[str]) -> Vectors:
        """Return the vectors of texts, shape (len(texts), dimensions).

        Parameters
        ----------
        texts : list of str
            Distinct texts.
        """


class CacheInfo(NamedTuple):
    """Statistics of an embedding cache, returned by ``cache_info`` of a classifier.

    Parameters
    ----------
    hits, misses : int
        The number of texts that this classifier found in memory, in the folder or earlier in the same call, and
        the number that it had to encode.
    texts : int
        The number of texts in memory, for all encoders and classifiers of the process.
    size, limit : int
        Their size and the maximum size, in bytes.

    Examples
    --------
    >>> CacheInfo(hits=90, misses=10, texts=100, size=230_000, limit=CACHE_SIZE).hits
    90
    """

    hits: int
    misses: int
    texts: int
    size: int
    limit: int


class MemoryCache:
    """Vectors in memory, up to a limit in bytes; the least recently used ones are evicted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._tables: dict[tuple[str, int], _Table] = {}  # by encoder and dimensions, the last used one last
        self.lock = threading.RLock()

    def find(self, encoder: str, texts: list[str], out: Vectors) -> NDArray[np.intp]:
        """Write the vectors of cached texts into `out`, and return the rows of the missing ones."""
        with self.lock:
            key = (encoder, out.shape[1])
            if (table := self._tables.pop(key, None)) is None:
                return np.arange(len(texts))
            self._tables[key] = table
            return table.find(texts, out)

    def add(self, encoder: str, texts: list[str], vectors: Vectors) -> None:
        """Store vectors of distinct texts, as many as the limit allows."""
        with self.lock:
            table = self._tables.setdefault((encoder, vectors.shape[1]), _Table(vectors.shape[1]))
            table.add(texts, vectors)
            while self.size > self.limit and len(self._tables) > 1:
                del self._tables[next(iter(self._tables))]
            if self.size > self.limit:
                table.shrink(int(0.9 * self.limit))

    @property
    def size(self) -> int:
        return sum(table.size for table in list(self._tables.values()))

    def __len__(self) -> int:
        return sum(len(table.rows) for table in list(self._tables.values()))


class _Table:
    """The vectors of one encoder: a row per text, and the number of the call that last used it."""

    def __init__(self, dimensions: int) -> None:
        self.rows: dict[str, int] = {}
        self.vectors: NDArray[Any] = np.empty((0, dimensions), dtype=np.float32)
        self.used: NDArray[Any] = np.empty(0, dtype=np.int64)
        self.calls = self.characters = 0

    @property
    def size(self) -> int:
        return len(self.rows) * (4 * int(self.vectors.shape[1]) + _ENTRY) + self.characters

    def find(self, texts: list[str], out: Vectors) -> NDArray[np.intp]:
        rows = np.array(list(map(self.rows.get, texts, repeat(-1))), dtype=np.intp)
        self.calls += 1
        known = rows >= 0
        if known.all():
            np.take(self.vectors, rows, axis=0, out=out)
        else:
            out[known] = self.vectors[rows[known]]
        self.used[rows[known]] = self.calls
        return np.flatnonzero(~known)

    def add(self, texts: list[str], vectors: Vectors) -> None:
        fresh = [number for number, text in enumerate(texts) if text not in self.rows]
        start, stop = len(self.rows), len(self.rows) + len(fresh)
        if stop > len(self.vectors):
            capacity = max(stop, 2 * len(self.vectors))
            # Assigned together: memory may run out, or Ctrl-C arrive, while the arrays are copied.
            longer = [np.empty((capacity, *old.shape[1:]), old.dtype) for old in (self.vectors, self.used)]
            longer[0][:start], longer[1][:start] = self.vectors[:start], self.used[:start]
            self.vectors, self.used = longer
        self.vectors[start:stop], self.used[start:stop] = vectors[fresh], self.calls
        self.rows.update(zip((texts[number] for number in fresh), range(start, stop), strict=True))
        self.characters += sum(getsizeof(texts[number]) for number in fresh)

    def shrink(self, size: int) -> None:
        """Keep the most recently used vectors, in at most `size` bytes."""
        texts = list(self.rows)  # in the order of their rows
        sizes = np.array([4 * self.vectors.shape[1] + _ENTRY + getsizeof(text) for text in texts])
        latest = np.argsort(-self.used[: len(texts)], kind="stable")
        kept = np.sort(latest[np.cumsum(sizes[latest]) <= size])
        rows = {texts[row]: new for new, row in enumerate(kept)}
        vectors, used, characters = self.vectors[kept], self.used[kept], sum(map(getsizeof, rows))
        # Assigned together: rows of other vectors would be wrong.
        self.rows, self.vectors, self.used, self.characters = rows, vectors, used, characters


class FolderCache:
    """Vectors in the memory-mapped files of a folder.

    A file holds a header, the hashes of texts, their vectors, and a checksum over everything. A file that is
    damaged, truncated or of another encoder is ignored, with a warning.
    """

    def __init__(self, folder: Path, encoder: str, dimensions: int) -> None:
        self.folder = folder / encoder[:32]
        self._encoder, self._dimensions = bytes.fromhex(encoder), dimensions
        self._vectors: dict[str, Vectors] = {}
        self._places: dict[bytes, tuple[str, int]] = {}

    def is_of(self, encoder: str, dimensions: int) -> bool:
        """Return whether this folder holds the vectors of an encoder."""
        return self._encoder.hex() == encoder and self._dimensions == dimensions

    def find(self, keys: list[bytes], out: Vectors) -> NDArray[np.intp]:
        """Write the vectors of cached texts (by `key_of`) into `out`, and return the rows of the missing ones."""
        with _folder_lock:
            self._read_new_files()
            places = [self._places.get(key) for key in keys]
            for row, place in enumerate(places):
                if place is not None:
                    out[row] = self._vectors[place[0]][place[1]]
        return np.array([row for row, place in enumerate(places) if place is None], dtype=np.intp)

    def add(self, keys: list[bytes], vectors: Vectors) -> None:
        """Write vectors to a new file that other processes can find, or warn if that fails."""
        with _folder_lock:
            if keys and self._write(keys, vectors) and len(self._vectors) >= _MAX_FILES:
                with suppress(MemoryError):  # the files can be used as they are
                    self._merge()

    def _merge(self) -> None:
        """Replace all files by one, which another process may have just written under the same name."""
        self._read_new_files()
        merged = np.array([self._vectors[name][row] for name, row in self._places.values()])
        written = self._write(list(self._places), merged)
        for name in self._vectors.keys() - {written} if written else ():
            with suppress(OSError):
                (self.folder / name).unlink()
        self._vectors, self._places = {}, {}

    def _write(self, keys: list[bytes], vectors: Vectors) -> str:
        """Return the name of a new file; empty if it could not be written."""
        counts = np.array([len(keys), self._dimensions], dtype="<i8").tobytes()
        parts = (_MAGIC, self._encoder, counts, b"".join(keys), np.ascontiguousarray(vectors, dtype="<f4").data)
        check = blake2b(digest_size=_CHECK)
        for part in parts:
            check.update(part)
        name, temporary = f"{check.hexdigest()[:32]}.embeddings", None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = self.folder / f".{uuid4().hex}.tmp"
            with temporary.open("xb") as file:  # with the permissions of any new file, unlike those of tempfile
                file.writelines((*parts, check.digest()))
            temporary.replace(self.folder / name)
        except OSError as error:
            warnings.warn(f"Embeddings could not be written to {self.folder} ({error}).", stacklevel=2)
            return ""
        finally:
            if temporary is not None:
                with suppress(OSError):  # it is still there after an error or Ctrl-C
                    temporary.unlink()
        return name

    def _read_new_files(self) -> None:
        try:
            names = sorted(name for name in os.listdir(self.folder) if name.endswith(".embeddings"))  # noqa: PTH208
        except OSError:
            return
        for name in names:
            if name not in self._vectors:
                keys, self._vectors[name] = self._read(self.folder / name)
                for row in range(len(keys) // _KEY):
                    self._places.setdefault(keys[row * _KEY : (row + 1) * _KEY], (name, row))

    def _read(self, path: Path) -> tuple[bytes, Vectors]:
        """Return the keys and the vectors of a file; none if it is incomplete or of another encoder."""
        nothing = (b"", np.empty((0, self._dimensions), dtype=np.float32))
        data: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        try:
            data = np.memmap(path, mode="r", dtype=np.uint8)
        except FileNotFoundError:  # another process has merged it with others
            return nothing
        except (OSError, ValueError):
            pass
        head = data[:_HEADER].tobytes()
        count, dimensions = np.frombuffer(head[-16:], dtype="<i8").tolist() if len(head) == _HEADER else (-1, 0)
        stop = _HEADER + count * _KEY
        whole = head[:-16] == _MAGIC + self._encoder and dimensions == self._dimensions
        whole = whole and 0 <= count < 2**40 and len(data) == stop + 4 * count * dimensions + _CHECK
        if not whole or blake2b(data[:-_CHECK].data, digest_size=_CHECK).digest() != data[-_CHECK:].tobytes():
            warnings.warn(f"{path} is damaged, or was written for another encoder, and is ignored.", stacklevel=2)
            return nothing
        vectors = np.frombuffer(data.data, dtype="<f4", count=count * dimensions, offset=stop)
        return data[_HEADER:stop].tobytes(), vectors.reshape(count, dimensions)


def key_of(text: str) -> bytes:
    """Return the hash that identifies a text in a folder."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


@cache
def memory_cache(limit: int) -> MemoryCache:
    """Return the memory cache of this process with a limit in bytes."""
    memory = MemoryCache(limit)
    _release_in_forks(memory.lock)
    return memory


def _release_in_forks(lock: Any) -> None:
    if hasattr(os, "register_at_fork"):  # a child inherits locks, but no thread to release them
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


_folder_lock = threading.RLock()
"""Held by a thread that reads or writes the files of any folder."""
_release_in_forks(_folder_lock)


class EmbeddingCache:
    """A cache of embeddings, which are taken from memory or a folder, or else computed.

    Parameters
    ----------
    limit : int, default=536870912
        The maximum size in bytes of the embeddings kept in memory, shared by all caches of the process with this
        limit; 0 keeps nothing.
    folder : path, optional
        A folder in which embeddings are stored for later processes; by default they are kept only in memory.
    portion : int, default=2048
        The maximum number of texts passed to an encoder at once.

    Examples
    --------
    >>> cache = EmbeddingCache(limit=2**20)
    >>> cache.info().hits, cache.info().limit
    (0, 1048576)
    """

    def __init__(self, limit: int = CACHE_SIZE, folder: Path | None = None, *, portion: int = 2048) -> None:
        self._memory = memory_cache(limit)
        self._folder = folder
        self._portion = portion
        self._reader: FolderCache | None = None
        self._hits = self._misses = 0

    def vectors(self, texts: list[str], encoder: Embedder) -> Vectors:
        """Return the vectors of texts; those that are not cached are computed, once per distinct text.

        Parameters
        ----------
        texts : list of str
            Texts.
        encoder : Embedder
            The encoder that computes missing vectors; cached vectors are identified by its fingerprint.

        Returns
        -------
        ndarray of float32, shape (len(texts), dimensions)
        """
        vectors = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
        missing = np.arange(len(texts))
        if self._memory.limit:
            missing = self._memory.find(encoder.fingerprint, texts, vectors)
        number_of: dict[str, int] = {}
        if len(missing):
            numbers = [number_of.setdefault(texts[row], len(number_of)) for row in missing]
            vectors[missing] = self._computed(list(number_of), encoder)[numbers]
        self._hits += len(texts) - len(number_of)
        return vectors

    def info(self) -> CacheInfo:
        """Return the hits, misses and size of the cache.

        Returns
        -------
        CacheInfo
        """
        memory = self._memory
        return CacheInfo(self._hits, self._misses, len(memory), memory.size, memory.limit)

    def _computed(self, texts: list[str], encoder: Embedder) -> Vectors:
        """Return the vectors of distinct texts that are not in memory, and store them."""
        vectors = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
        missing, keys, reader = np.arange(len(texts)), [], self._reader
        if self._folder is not None:
            if reader is None or not reader.is_of(encoder.fingerprint, encoder.dimensions):
                reader = FolderCache(self._folder, encoder.fingerprint, encoder.dimensions)
            self._reader = reader  # another thread, with another encoder, may replace it
            keys = [key_of(text) for text in texts]
            missing = reader.find(keys, vectors)
            known = np.setdiff1d(np.arange(len(texts)), missing)
            self._keep([texts[row] for row in known], vectors[known], encoder)
            self._hits += len(known)
        self._misses += len(missing)
        for start in range(0, len(missing), self._portion):
            rows = missing[start : start + self._portion]
            chosen = [texts[row] for row in rows]
            found, allowed = encoder.embed(chosen), (len(chosen), encoder.dimensions)
            if np.shape(found) != allowed:  # numpy would repeat a single column
                raise ValueError(f"embed of the encoder returned the shape {np.shape(found)}; allowed: {allowed}")
            vectors[rows] = found
            self._keep(chosen, vectors[rows], encoder)
        if reader is not None and len(missing):
            reader.add([keys[row] for row in missing], vectors[missing])
        return vectors

    def _keep(self, texts: list[str], vectors: Vectors, encoder: Embedder) -> None:
        if self._memory.limit:  # otherwise skip the fingerprint, which may be slow to compute
            self._memory.add(encoder.fingerprint, texts, vectors)
