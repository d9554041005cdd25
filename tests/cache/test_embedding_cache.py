"""Texts are encoded only once: they are cached in memory, up to a limit, and in a folder, unless it is damaged."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cache.hashed_texts import HashedTexts
from smalltext_cache import EmbeddingCache
from smalltext_cache.cache import FolderCache, MemoryCache, key_of, memory_cache

TEXTS = [f"text number {number}" for number in range(50)]


@pytest.fixture
def encoder(request):
    """Return an encoder without embeddings in memory from other tests."""
    return HashedTexts(request.node.nodeid)


@pytest.fixture
def expected():
    return HashedTexts("any").embed(TEXTS)


def forget():
    """Clear all vectors from memory, as in a new process."""
    memory_cache.cache_clear()


def test_a_text_is_encoded_once_by_all_classifiers(encoder, expected):
    for _ in range(3):
        np.testing.assert_array_equal(EmbeddingCache().vectors(TEXTS * 2, encoder), expected[list(range(50)) * 2])
    assert encoder.texts == TEXTS


def test_embeddings_of_another_fingerprint_are_not_used(encoder):
    other = HashedTexts("another")
    EmbeddingCache().vectors(TEXTS, encoder)
    EmbeddingCache().vectors(TEXTS, other)
    assert other.texts == TEXTS


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("dimensions", [1, 4, 16])
@pytest.mark.filterwarnings("ignore:.*damaged, or was written for another encoder")
def test_encoders_with_one_fingerprint_and_vectors_of_other_lengths_are_kept_apart(
    request, tmp_path, dimensions, in_folder
):
    """A user names the fingerprint of an object, and may change its number of dimensions only."""
    one, other = HashedTexts(request.node.nodeid), HashedTexts(request.node.nodeid, dimensions)
    folder = tmp_path if in_folder else None
    for texts in (TEXTS[:20], TEXTS[10:30], TEXTS):
        for encoder in (one, other):
            found = EmbeddingCache(folder=folder).vectors(texts, encoder)
            np.testing.assert_array_equal(found, HashedTexts("any", encoder.dimensions).embed(texts))
            if in_folder:
                forget()
    if not in_folder:
        assert one.texts == other.texts == TEXTS


def test_the_memory_cache_keeps_recently_used_texts():
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


def test_the_memory_cache_evicts_other_encoders_first():
    memory = MemoryCache(60 * (4 * 8 + 300))
    for encoder in ("one", "two"):
        memory.add(encoder, TEXTS, np.zeros((50, 8), dtype=np.float32))
    out = np.empty((50, 8), dtype=np.float32)
    assert len(memory.find("one", TEXTS, out)) == 50
    assert len(memory.find("two", TEXTS, out)) == 0


def test_a_limit_of_zero_disables_the_cache(encoder, expected):
    cache = EmbeddingCache(0)
    for _ in range(2):
        np.testing.assert_array_equal(cache.vectors(TEXTS, encoder), expected)
    assert encoder.texts == TEXTS * 2
    assert cache.info().size == 0


def test_threads_share_the_memory(encoder, expected):
    cache = EmbeddingCache(50 * 400)
    wrong = []

    def work(start):
        for step in range(20):
            rows = np.arange(start + step, start + step + 20) % 50
            if not np.array_equal(cache.vectors([TEXTS[row] for row in rows], encoder), expected[rows]):
                wrong.append(start)

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 10, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def no_memory():
    raise MemoryError


class NoMemory(np.ndarray):
    """An array without memory for a copy of its rows."""

    def __getitem__(self, rows):
        return super().__getitem__(rows) if isinstance(rows, slice) else no_memory()


@pytest.mark.parametrize("name", ["vectors", "used"])
def test_texts_keep_their_vectors_if_memory_runs_out_while_others_are_evicted(name):
    memory, vectors = MemoryCache(2**20), np.arange(400, dtype=np.float32).reshape(50, 8)
    memory.add("one", TEXTS, vectors)
    (table,) = memory._tables.values()
    whole = getattr(table, name)
    setattr(table, name, whole.view(NoMemory))
    with pytest.raises(MemoryError):
        table.shrink(memory.size // 2)
    setattr(table, name, whole)
    out = np.empty((50, 8), dtype=np.float32)
    assert len(memory.find("one", TEXTS, out)) == 0
    np.testing.assert_array_equal(out, vectors)


@pytest.mark.parametrize("failing", [1, 2])
def test_texts_keep_their_vectors_if_memory_runs_out_while_the_table_grows(failing, monkeypatch):
    memory, vectors = MemoryCache(2**20), np.arange(400, dtype=np.float32).reshape(50, 8)
    memory.add("one", TEXTS[:10], vectors[:10])
    longer, empty = [], np.empty

    def limited(shape, *args, **kwargs):
        longer.extend([shape] if shape not in (0, (0, 8)) else [])
        if len(longer) == failing:
            raise MemoryError
        return empty(shape, *args, **kwargs)

    monkeypatch.setattr(np, "empty", limited)
    with pytest.raises(MemoryError):
        memory.add("one", TEXTS[10:12], vectors[10:12])
    monkeypatch.undo()
    memory.add("one", TEXTS[10:12], vectors[10:12])
    out = np.empty((12, 8), dtype=np.float32)
    assert len(memory.find("one", TEXTS[:12], out)) == 0
    np.testing.assert_array_equal(out, vectors[:12])


@pytest.mark.parametrize("several", [False, True], ids=["one encoder", "two encoders"])
def test_threads_share_a_folder(several, tmp_path):
    cache, wrong = EmbeddingCache(0, tmp_path), []

    def work(start):
        encoder = HashedTexts(f"encoder {start % 2 if several else 0}")
        hashed = encoder.embed
        encoder.embed = lambda texts: hashed(texts) + start % 2 * several
        try:
            for step in range(20):
                texts = [f"{step + start // 2}", f"{start} {step}"]
                if not np.array_equal(cache.vectors(texts, encoder), encoder.embed(texts)):
                    wrong.append(texts)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong


@pytest.mark.parametrize("shape", [(50, 1), (50, 7), (49, 8), (50,), (1, 50, 8)])
def test_vectors_of_another_shape_are_refused(encoder, shape):
    encoder.embed = lambda texts: np.zeros(shape, dtype=np.float32)
    cache = EmbeddingCache()
    with pytest.raises(ValueError, match=r"allowed: \(50, 8\)"):
        cache.vectors(TEXTS, encoder)
    assert cache._memory.find(encoder.fingerprint, TEXTS, np.empty((50, 8), dtype=np.float32)).tolist()


def test_a_folder_is_read_by_later_processes(encoder, expected, tmp_path):
    EmbeddingCache(folder=tmp_path).vectors(TEXTS[:30], encoder)
    for _ in range(2):
        forget()
        found = EmbeddingCache(folder=tmp_path)
        np.testing.assert_array_equal(found.vectors(TEXTS, encoder), expected)
    assert encoder.texts == TEXTS
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
def test_a_damaged_cache_file_is_ignored(encoder, expected, tmp_path, damage):
    EmbeddingCache(folder=tmp_path).vectors(TEXTS, encoder)
    (file,) = tmp_path.rglob("*.embeddings")
    file.write_bytes(damage(file.read_bytes()))
    forget()
    with pytest.warns(UserWarning, match="damaged"):
        found = EmbeddingCache(folder=tmp_path).vectors(TEXTS, encoder)
    np.testing.assert_array_equal(found, expected)
    assert encoder.texts == TEXTS * 2


def test_files_of_a_cache_have_the_permissions_of_any_new_file(encoder, tmp_path):
    EmbeddingCache(folder=tmp_path).vectors(TEXTS, encoder)
    (file,) = tmp_path.rglob("*.embeddings")
    (tmp_path / "new").write_text("mine")
    assert file.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_cache_file_of_another_encoder_is_ignored(encoder, expected, tmp_path):
    own, foreign = (FolderCache(tmp_path, one.fingerprint, 8) for one in (encoder, HashedTexts("foreign")))
    foreign.add([key_of(text) for text in TEXTS], np.zeros((50, 8), dtype=np.float32))
    own.folder.mkdir()
    for file in foreign.folder.iterdir():
        file.rename(own.folder / file.name)
    with pytest.warns(UserWarning, match="another encoder"):
        found = EmbeddingCache(folder=tmp_path).vectors(TEXTS, encoder)
    np.testing.assert_array_equal(found, expected)


def test_many_files_are_merged(encoder, expected, tmp_path):
    reader, cache = EmbeddingCache(0, tmp_path), EmbeddingCache(folder=tmp_path)
    for text in TEXTS:
        cache.vectors([text], encoder)
        reader.vectors(TEXTS[:1], encoder)
    assert len(list(tmp_path.rglob("*.embeddings"))) < 40
    forget()
    np.testing.assert_array_equal(EmbeddingCache(folder=tmp_path).vectors(TEXTS, encoder), expected)
    np.testing.assert_array_equal(reader.vectors(TEXTS, encoder), expected)
    assert encoder.texts == TEXTS
    assert not list(tmp_path.rglob("*.tmp"))


def test_files_that_two_processes_merge_at_the_same_time_are_kept(encoder, expected, tmp_path):
    keys, caches = [key_of(text) for text in TEXTS], [FolderCache(tmp_path, encoder.fingerprint, 8) for _ in "12"]
    for number in range(50):
        rows = slice(number, number + 1)
        for process in caches:
            process.find(keys[rows], np.empty((1, 8), dtype=np.float32))
        for process in caches:
            process.add(keys[rows], expected[rows])
    found = EmbeddingCache(0, tmp_path)
    np.testing.assert_array_equal(found.vectors(TEXTS, encoder), expected)
    assert found.info()[:2] == (50, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError])
def test_an_interrupted_write_leaves_no_file_behind(encoder, expected, tmp_path, monkeypatch, error):
    def fail(self, target):
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(error) if error is not OSError else pytest.warns(UserWarning, match="could not be written"):
        EmbeddingCache(0, tmp_path).vectors(TEXTS, encoder)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.undo()
    np.testing.assert_array_equal(EmbeddingCache(0, tmp_path).vectors(TEXTS, encoder), expected)


def test_files_are_kept_as_they_are_without_memory_to_merge_them(encoder, expected, tmp_path, monkeypatch):
    write = FolderCache._write
    monkeypatch.setattr(
        FolderCache,
        "_write",
        lambda self, keys, *rest: write(self, keys, *rest) if len(keys) == 1 else no_memory(),
    )
    cache = EmbeddingCache(0, tmp_path)
    for text in TEXTS:
        cache.vectors([text], encoder)
    np.testing.assert_array_equal(EmbeddingCache(0, tmp_path).vectors(TEXTS, encoder), expected)
    assert encoder.texts == TEXTS


def test_one_cache_serves_several_encoders(encoder, expected, tmp_path):
    cache, other = EmbeddingCache(0, tmp_path), HashedTexts("of other dimensions", dimensions=4)
    for _ in range(2):
        np.testing.assert_array_equal(cache.vectors(TEXTS, encoder), expected)
        np.testing.assert_array_equal(cache.vectors(TEXTS, other), expected[:, :4])
    assert encoder.texts == other.texts == TEXTS


def test_info_counts_hits_and_misses(encoder, tmp_path):
    cache = EmbeddingCache(2**20, tmp_path)
    cache.vectors(TEXTS[:10], encoder)
    cache.vectors(TEXTS[:20] * 2, encoder)
    info = cache.info()
    assert info[:3] == (30, 20, 20)
    assert 20 * 8 * 4 < info.size <= info.limit == 2**20


def test_a_read_only_folder_causes_a_warning(encoder, expected, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be written"):
        found = EmbeddingCache(folder=tmp_path / "file").vectors(TEXTS, encoder)
    np.testing.assert_array_equal(found, expected)


WORKER = """
import sys
from pathlib import Path
import numpy as np
from cache.hashed_texts import HashedTexts
from smalltext_cache import EmbeddingCache
texts = [f"text number {number}" for number in range(50)]
encoder = HashedTexts("shared")
for start in range(0, 50, 5):
    chosen = [texts[(start * int(sys.argv[2]) + step) % 50] for step in range(10)]
    found = EmbeddingCache(0, Path(sys.argv[1])).vectors(chosen, encoder)
    assert np.array_equal(found, encoder.embed(chosen))
"""


def test_several_processes_share_a_folder(tmp_path):
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{WORKER}"
    workers = [subprocess.Popen([sys.executable, "-c", code, tmp_path, factor]) for factor in ("1", "3")]
    assert [worker.wait() for worker in workers] == [0, 0]
    cache = EmbeddingCache(folder=tmp_path)
    cache.vectors(TEXTS, HashedTexts("shared"))
    assert cache.info().misses == 0
