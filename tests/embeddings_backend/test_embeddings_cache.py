"""Texts are encoded once: in memory up to a limit, and in a folder that is never believed if it is damaged."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from embeddings_backend.tiny_encoders import HashedWords
from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError
from smalltext_embeddings import EmbeddingClassifier, as_encoder
from smalltext_embeddings.cache import EmbeddingCache, FolderCache, MemoryCache, key_of, memory_cache

TEXTS = [f"text number {number}" for number in range(50)]


class Counted(HashedWords):
    """An encoder that no other test has filled the memory for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.fingerprint = name

    @property
    def encoded(self) -> list[str]:
        return [text for call in self.calls for text in call if text in TEXTS]


@pytest.fixture
def encoder(request):
    return Counted(request.node.nodeid)


@pytest.fixture
def expected(encoder):
    return EmbeddingCache(as_encoder(HashedWords())).vectors(TEXTS)


def forget():
    """Let the process forget all vectors, as a new process would."""
    memory_cache.cache_clear()


def test_a_text_is_encoded_once_by_all_classifiers(encoder, expected):
    for _ in range(3):
        np.testing.assert_array_equal(
            EmbeddingCache(as_encoder(encoder)).vectors(TEXTS * 2), expected[list(range(50)) * 2]
        )
    assert encoder.encoded == TEXTS


def test_cache_info_counts_the_texts_of_a_classifier(encoder):
    classifier = EmbeddingClassifier(encoder, 2).fit(TextDataset(TEXTS[:10], [0, 1] * 5))
    assert classifier.cache_info()[:2] == (0, 10)
    classifier.predict(TextDataset(TEXTS[:20]))
    info = classifier.cache_info()
    assert info[:2] == (10, 20)
    assert info.texts >= 20
    assert 20 * 256 < info.size <= info.limit == 512 * 2**20


def test_an_encoder_with_another_fingerprint_is_not_believed(encoder):
    other = Counted("another")
    EmbeddingCache(as_encoder(encoder)).vectors(TEXTS)
    EmbeddingCache(as_encoder(other)).vectors(TEXTS)
    assert other.encoded == TEXTS


def test_the_memory_keeps_what_was_used_last():
    memory = MemoryCache(30 * (4 * 8 + 300))
    vectors = np.arange(400, dtype=np.float32).reshape(50, 8)
    out = np.empty((1, 8), dtype=np.float32)
    for number, text in enumerate(TEXTS):
        memory.add("one", [text], vectors[number : number + 1])
        assert len(memory.find("one", TEXTS[:1], out)) == 0
        assert memory.size <= memory.limit
    assert len(memory.find("one", TEXTS[-1:], out)) == 0
    np.testing.assert_array_equal(out, vectors[-1:])
    assert len(memory.find("one", TEXTS[1:2], out)) == 1


def test_the_memory_forgets_other_encoders_first():
    memory = MemoryCache(60 * (4 * 8 + 300))
    for encoder in ("one", "two"):
        memory.add(encoder, TEXTS, np.zeros((50, 8), dtype=np.float32))
    out = np.empty((50, 8), dtype=np.float32)
    assert len(memory.find("one", TEXTS, out)) == 50
    assert len(memory.find("two", TEXTS, out)) == 0


def test_a_limit_of_zero_keeps_nothing(encoder, expected):
    cache = EmbeddingCache(as_encoder(encoder), 0)
    for _ in range(2):
        np.testing.assert_array_equal(cache.vectors(TEXTS), expected)
    assert encoder.encoded == TEXTS * 2
    assert cache.info().size == 0
    with pytest.raises(InvalidInputError, match="cache_size"):
        EmbeddingClassifier(encoder, 2, cache_size=-1)


def test_threads_share_the_memory(encoder, expected):
    cache = EmbeddingCache(as_encoder(encoder), 50 * 400)
    wrong = []

    def work(start):
        for step in range(20):
            rows = np.arange(start + step, start + step + 20) % 50
            if not np.array_equal(cache.vectors([TEXTS[row] for row in rows]), expected[rows]):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 10, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_folder_is_read_by_later_processes(encoder, expected, tmp_path):
    EmbeddingCache(as_encoder(encoder), folder=tmp_path).vectors(TEXTS[:30])
    for _ in range(2):
        forget()
        found = EmbeddingCache(as_encoder(encoder), folder=tmp_path)
        np.testing.assert_array_equal(found.vectors(TEXTS), expected)
    assert encoder.encoded == TEXTS
    assert found.info()[:2] == (50, 0)


DAMAGES = {
    "a changed byte": lambda data: bytes([*data[:300], data[300] ^ 1, *data[301:]]),
    "a changed count": lambda data: data[:55] + b"\xff" + data[56:],
    "cut short": lambda data: data[:-100],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0" * 16,
    "something else": lambda data: b"not embeddings",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_not_believed(encoder, expected, tmp_path, damage):
    EmbeddingCache(as_encoder(encoder), folder=tmp_path).vectors(TEXTS)
    (file,) = tmp_path.rglob("*.embeddings")
    file.write_bytes(damage(file.read_bytes()))
    forget()
    with pytest.warns(UserWarning, match="damaged"):
        found = EmbeddingCache(as_encoder(encoder), folder=tmp_path).vectors(TEXTS)
    np.testing.assert_array_equal(found, expected)
    assert encoder.encoded == TEXTS * 2


def test_a_file_of_another_encoder_is_not_believed(encoder, expected, tmp_path):
    own, foreign = (
        FolderCache(tmp_path, as_encoder(one).fingerprint, 64) for one in (encoder, Counted("foreign"))
    )
    foreign.add([key_of(text) for text in TEXTS], np.zeros((50, 64), dtype=np.float32))
    own.folder.mkdir()
    for file in foreign.folder.iterdir():
        file.rename(own.folder / file.name)
    with pytest.warns(UserWarning, match="another encoder"):
        found = EmbeddingCache(as_encoder(encoder), folder=tmp_path).vectors(TEXTS)
    np.testing.assert_array_equal(found, expected)


def test_many_files_are_merged(encoder, expected, tmp_path):
    reader = EmbeddingCache(as_encoder(encoder), 0, tmp_path)
    cache = EmbeddingCache(as_encoder(encoder), folder=tmp_path)
    for text in TEXTS:
        cache.vectors([text])
        reader.vectors(TEXTS[:1])
    assert len(list(tmp_path.rglob("*.embeddings"))) < 40
    forget()
    np.testing.assert_array_equal(EmbeddingCache(as_encoder(encoder), folder=tmp_path).vectors(TEXTS), expected)
    np.testing.assert_array_equal(reader.vectors(TEXTS), expected)
    assert encoder.encoded == TEXTS
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_takes_no_files_is_a_warning(encoder, expected, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be written"):
        found = EmbeddingCache(as_encoder(encoder), folder=tmp_path / "file").vectors(TEXTS)
    np.testing.assert_array_equal(found, expected)


WORKER = """
import sys
from embeddings_backend.tiny_encoders import HashedWords
from smalltext_embeddings.cache import EmbeddingCache
from smalltext_embeddings import as_encoder
from pathlib import Path
texts = [f"text number {number}" for number in range(50)]
for start in range(0, 50, 5):
    cache = EmbeddingCache(as_encoder(HashedWords()), 0, Path(sys.argv[1]))
    rows = [(start * int(sys.argv[2]) + step) % 50 for step in range(10)]
    found = cache.vectors([texts[row] for row in rows])
    assert (found == as_unit(HashedWords(), [texts[row] for row in rows])).all()
"""


def test_several_processes_share_a_folder(tmp_path):
    code = WORKER.replace("as_unit(HashedWords(), ", "unit_vectors(as_encoder(HashedWords()).encode(")
    code = code.replace("for row in rows])).all()", "for row in rows]))).all()")
    code = code.replace("import EmbeddingCache", "import EmbeddingCache, unit_vectors")
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{code}"
    workers = [subprocess.Popen([sys.executable, "-c", code, tmp_path, factor]) for factor in ("1", "3")]
    assert [worker.wait() for worker in workers] == [0, 0]
    forget()
    cache = EmbeddingCache(as_encoder(HashedWords()), folder=tmp_path)
    cache.vectors(TEXTS)
    assert cache.info().misses == 0
