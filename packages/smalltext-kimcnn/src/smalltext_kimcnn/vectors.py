"""Pretrained word vectors: reading from a file, and creating the embedding matrix of a vocabulary.

Four file formats are supported: the text formats of GloVe (``word 0.1 0.2 ...``) and of word2vec (the same after
a header with the numbers of words and dimensions), a ``.npy`` matrix, and ``.safetensors``; the latter two need a
list of words in a separate file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from smalltext_core.atomic import as_path
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_kimcnn.network import random_vectors
from smalltext_kimcnn.vocabulary import Vocabulary

_LINES_AT_ONCE = 1_024
_ALLOWED = "GloVe or word2vec text, or a .npy or .safetensors matrix with a list of words"
_WORD_LISTS = (".words", ".txt", ".vocab")


@dataclass(frozen=True, eq=False)
class Vectors:
    """Words with one vector each.

    Parameters
    ----------
    words : sequence of str
        The words, in the order of the rows of `matrix`.
    matrix : ndarray of float, shape (len(words), dimensions)
        The vectors, kept as float32 and read-only.

    Raises
    ------
    InvalidInputError
        If the numbers of words and vectors differ, or a value is not finite.

    Examples
    --------
    >>> vectors = Vectors(("good", "bad"), np.eye(2, dtype=np.float32))
    >>> vectors.dimensions, vectors.rows["bad"]
    (2, 1)
    """

    words: tuple[str, ...]
    matrix: NDArray[np.float32]

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float32).view()
        matrix.flags.writeable = False
        object.__setattr__(self, "words", tuple(self.words))
        object.__setattr__(self, "matrix", matrix)
        if self.matrix.ndim != 2 or not self.matrix.size or len(self.matrix) != len(self.words):
            raise InvalidInputError(
                "embeddings",
                f"{len(self.words)} words and a matrix of shape {self.matrix.shape}",
                "one vector for each word",
            )
        finite = np.isfinite(self.matrix).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            raise InvalidInputError(
                "embeddings",
                f"the vector of {shown(self.words[row])} (row {row}) with NaN or inf",
                "finite numbers",
            )

    @property
    def dimensions(self) -> int:
        """The number of dimensions of a vector."""
        return int(self.matrix.shape[1])

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each word; the first row if a word occurs twice."""
        rows: dict[str, int] = {}
        for row, word in enumerate(self.words):
            rows.setdefault(word, row)
        return rows

    def lay_out(self, vocabulary: Vocabulary, generator: np.random.Generator) -> NDArray[np.float32]:
        """Return the embedding matrix of a vocabulary.

        The vectors of unknown words are drawn uniformly from [-a, a], with the variance of the pretrained vectors
        (Kim 2014, section 3.2); the vector of the padding is zero.

        Parameters
        ----------
        vocabulary : Vocabulary
            The words, in the order of the rows of the matrix.
        generator : numpy.random.Generator
            The random number generator for the vectors of unknown words.

        Returns
        -------
        ndarray of float32, shape (len(vocabulary), dimensions)
        """
        found = [(number, self.rows[word]) for word, number in vocabulary.numbers.items() if word in self.rows]
        numbers, rows = np.array(found, dtype=np.int64).reshape(-1, 2).T
        # The variance of U[-a, a] is a²/3.
        a = float(np.sqrt(3 * self._variance))
        matrix = random_vectors(vocabulary, self.dimensions, a, generator)
        matrix[numbers] = self.matrix[rows]
        matrix[vocabulary.padding_idx] = 0
        return matrix

    def extend(self, vocabulary: Vocabulary) -> Vocabulary:
        """Append the pretrained words to a vocabulary.

        If the vocabulary lowercases texts, words with capital letters are left out, since no text contains them.

        Parameters
        ----------
        vocabulary : Vocabulary
            The vocabulary to extend, which is not changed.

        Returns
        -------
        Vocabulary
        """
        return vocabulary.extended(word for word in self.rows if not vocabulary.lowercase or word == word.lower())

    def of(self, words: Sequence[str]) -> NDArray[np.float32]:
        """Look up the vectors of words.

        Parameters
        ----------
        words : sequence of str
            The words, each of which must have a vector.

        Returns
        -------
        ndarray of float32, shape (len(words), dimensions)

        Raises
        ------
        KeyError
            If a word has no vector.
        """
        return self.matrix[[self.rows[word] for word in words]]

    @cached_property
    def _variance(self) -> float:
        means = self.matrix.mean(axis=1, dtype=np.float64)
        variances = np.einsum("ij,ij->i", self.matrix, self.matrix) / self.dimensions
        return float(max(variances.mean() - means.mean() ** 2, 0))


def check_source(embeddings: Any, embedding_matrix: Any) -> str | Path | Vectors | None:
    """Return the source of pretrained vectors, or raise InvalidInputError."""
    if embeddings is not None and not isinstance(embeddings, (str, Path, Vectors)):
        raise InvalidInputError(
            "embeddings", type(embeddings).__name__, "None, a path, or Vectors", "For a tensor: embedding_matrix."
        )
    if embeddings is not None and embedding_matrix is not None:
        raise InvalidInputError("embeddings", "vectors, and an embedding_matrix too", "one of the two")
    return embeddings


def load_vectors(source: str | Path | Vectors) -> Vectors:
    """Return vectors unchanged, or read them from a file, which is cached for the classifiers of a factory."""
    if isinstance(source, Vectors):
        return source
    path = as_path(source, "embeddings")
    return _read_once(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=1)
def _read_once(path: Path, _changed: int) -> Vectors:
    return read_vectors(path)


def read_vectors(path: str | Path, words: str | Path | Sequence[str] | None = None) -> Vectors:
    r"""Read word vectors from a file.

    Parameters
    ----------
    path : path
        ``.npy``, ``.safetensors`` (one matrix), or text in the format of GloVe or word2vec.
    words : path or sequence of str, optional
        For ``.npy`` and ``.safetensors``: the words in the order of the rows, or a UTF-8 file with one word per
        line. By default, the file in the same folder with the same name and the suffix .words, .txt or .vocab.

    Raises
    ------
    InvalidInputError
        If the file does not exist or has another format; the message names the line.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "glove.txt")
    ...     _ = path.write_text("good 0.5 1\nbad -0.5 -1\n")
    ...     read_vectors(path).words
    ('good', 'bad')
    """
    path = as_path(path, "path")
    if not path.is_file():
        raise InvalidInputError("embeddings", shown(str(path)), "the path of a file that exists")
    if path.suffix == ".npy":
        return Vectors(_words_of(path, words), _as_matrix(path, _read_npy(path)))
    if path.suffix == ".safetensors":
        return Vectors(_words_of(path, words), _as_matrix(path, _read_safetensors(path)))
    with path.open("rb") as file:
        return _read_text(path, file)


def _read_npy(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise InvalidInputError("embeddings", f"{path} ({error})", "a matrix of numbers, saved by numpy") from None


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:
        raise InvalidInputError("embeddings", f"{path} ({error})", "a safetensors file") from None
    if len(tensors) != 1:
        raise InvalidInputError("embeddings", f"{path} with the tensors {sorted(tensors)}", "one tensor, a matrix")
    return next(iter(tensors.values()))


def _as_matrix(path: Path, array: Any) -> NDArray[np.float32]:
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise InvalidInputError(
            "embeddings", f"{path} of {array.dtype}, shape {array.shape}", "floats of shape (words, dimensions)"
        )
    return np.array(array, dtype=np.float32)


def _words_of(path: Path, words: str | Path | Sequence[str] | None) -> tuple[str, ...]:
    if words is not None and not isinstance(words, (str, Path)):
        return tuple(words)
    candidates = (
        [path.with_suffix(suffix) for suffix in _WORD_LISTS] if words is None else [as_path(words, "words")]
    )
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise InvalidInputError(
            "embeddings",
            f"{path} without a list of its words",
            f"a file with one word per line, such as {candidates[0]}",
        )
    return tuple(_decode(found, number, line) for number, line in enumerate(found.read_bytes().splitlines(), 1))


def _read_text(path: Path, file: BinaryIO) -> Vectors:
    """Read GloVe or word2vec text, a block of lines at a time."""
    first = file.readline()
    count, dimensions = _header(first)
    first_number = 1 if dimensions else 0
    if not dimensions:
        file.seek(0)
        dimensions = len(first.split()) - 1
        if dimensions < 1:
            raise InvalidInputError("embeddings", f"{path}, whose line 1 is {_excerpt(first)}", _ALLOWED)
    words: list[str] = []
    blocks: list[NDArray[np.float32]] = []
    for start, lines in _blocks(file, first_number + 1):
        block_words, block = _parse(path, start, lines, dimensions)
        words += block_words
        blocks.append(block)
    if count is not None and count != len(words):
        raise InvalidInputError(
            "embeddings",
            f"{path} with {len(words)} words",
            f"{count}, as its line 1 says",
            "The file may be truncated; download it again.",
        )
    if not words:
        raise InvalidInputError("embeddings", f"{path}, which is empty", _ALLOWED)
    return Vectors(tuple(words), _joined(blocks, dimensions))


def _joined(blocks: list[NDArray[np.float32]], dimensions: int) -> NDArray[np.float32]:
    """Concatenate blocks into one matrix, freeing the memory of each one as soon as it is copied."""
    matrix = np.empty((sum(map(len, blocks)), dimensions), dtype=np.float32)
    end = len(matrix)
    while blocks:
        block = blocks.pop()
        matrix[end - len(block) : end] = block
        end -= len(block)
    return matrix


def _header(line: bytes) -> tuple[int | None, int]:
    """Return the contents of the first line of word2vec text; (None, 0) for GloVe text."""
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return None, 0


def _blocks(file: BinaryIO, number: int) -> Iterator[tuple[int, list[bytes]]]:
    while lines := list(islice(file, _LINES_AT_ONCE)):
        yield number, lines
        number += len(lines)


def _parse(path: Path, start: int, lines: list[bytes], dimensions: int) -> tuple[list[str], NDArray[np.float32]]:
    """Parse lines of a word and its numbers from the right, since the word may contain spaces."""
    words: list[str] = []
    numbers: list[bytes] = []
    for number, line in enumerate(lines, start):
        fields = line.strip(b" \t\r\n").rsplit(None if b"\t" in line else b" ", dimensions)
        if len(fields) != dimensions + 1:
            raise InvalidInputError(
                "embeddings",
                f"line {number} of {path} with {len(fields) - 1} numbers: {_excerpt(line)}",
                f"a word and {dimensions} numbers, as on the first line",
            )
        words.append(_decode(path, number, fields[0]))
        numbers += fields[1:]
    try:
        return words, np.array(numbers, dtype=np.float32).reshape(-1, dimensions)
    except ValueError:
        _refuse_numbers(path, start, numbers, dimensions)


def _refuse_numbers(path: Path, start: int, numbers: list[bytes], dimensions: int) -> NoReturn:
    position = next(position for position, number in enumerate(numbers) if not _is_number(number))
    raise InvalidInputError(
        "embeddings",
        f"line {start + position // dimensions} of {path} with {_excerpt(numbers[position])}",
        f"a word and {dimensions} numbers",
        "Word2vec's binary format is not read; convert it to text.",
    ) from None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _decode(path: Path, number: int, word: bytes) -> str:
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError(
            "embeddings",
            f"line {number} of {path} with {_excerpt(word)}",
            "words in UTF-8",
            "Word2vec's binary format is not read; convert it to text.",
        ) from None


def _excerpt(line: bytes) -> str:
    return shown(line[:40].decode("utf-8", "replace"))
