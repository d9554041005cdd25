import resource

import numpy as np
import pytest
from safetensors.numpy import save_file

from smalltext_core.errors import InvalidInputError
from smalltext_kimcnn.network import RANDOM_RANGE, random_vectors
from smalltext_kimcnn.vectors import Vectors, read_vectors
from smalltext_kimcnn.vocabulary import Vocabulary

MATRIX = np.array([[0.5, -1.0, 2.0], [0.25, 0.0, -0.125]], dtype=np.float32)
LINES = "good 0.5 -1 2\nbad 0.25 0 -1.25e-1\n"


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def matrix_file(folder, suffix):
    path = folder / f"vectors{suffix}"
    np.save(path, MATRIX) if suffix == ".npy" else save_file({"vectors": MATRIX}, path)
    return path


@pytest.mark.parametrize(
    "content", [LINES, f"2 3\n{LINES}", LINES.replace("\n", " \r\n"), LINES.replace(" ", "\t")]
)
def test_glove_and_word2vec_text_are_read(tmp_path, content):
    vectors = read_vectors(written(tmp_path / "vectors.txt", content))
    assert vectors.words == ("good", "bad")
    np.testing.assert_array_equal(vectors.matrix, MATRIX)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("list_suffix", [".words", ".txt", ".vocab"])
def test_a_matrix_is_read_with_its_list_of_words(tmp_path, suffix, list_suffix):
    path = matrix_file(tmp_path, suffix)
    written(path.with_suffix(list_suffix), "good\nbad\n")
    vectors = read_vectors(path)
    assert vectors.words == ("good", "bad")
    np.testing.assert_array_equal(vectors.matrix, MATRIX)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_the_words_of_a_matrix_can_be_passed(tmp_path, suffix):
    path = matrix_file(tmp_path, suffix)
    assert read_vectors(path, ["good", "bad"]).words == ("good", "bad")
    assert read_vectors(path, written(tmp_path / "elsewhere", "good\nbad")).words == ("good", "bad")


def test_words_with_spaces_are_read_from_the_right(tmp_path):
    path = written(tmp_path / "glove.txt", "good 1 2\n. . . 3 4\n")
    assert read_vectors(path).words == ("good", ". . .")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("good 1 2\nbad 3\n", "line 2 of .* with 1 numbers"),
        ("good 1 2\nbad 3 x\n", "line 2 of .* with 'x'"),
        ("3 2\ngood 1 2\nbad 3 4\n", "with 2 words; allowed: 3, as its line 1 says"),
        ("2 3\ngood 1 2 3\nbad 3 4\n", "line 3 of "),
        (b"good 1 2\nb\xff 3 4\n", "line 2 of .*UTF-8"),
        ("good 1 2\nbad nan 4\n", "vector of 'bad'"),
        ("", "whose line 1 is"),
        ("just text\n", "line 1"),
        ("0 5\n", "empty"),
    ],
)
def test_a_problem_in_a_text_file_is_reported_with_its_line(tmp_path, content, complaint):
    with pytest.raises(InvalidInputError, match=complaint):
        read_vectors(written(tmp_path / "glove.txt", content))


def test_the_line_number_is_right_far_into_the_file(tmp_path):
    path = written(tmp_path / "glove.txt", "".join(f"w{i} 1 2\n" for i in range(20_000)) + "bad 3\n")
    with pytest.raises(InvalidInputError, match="line 20001 of"):
        read_vectors(path)


def test_a_file_that_does_not_exist_is_refused_by_name(tmp_path):
    with pytest.raises(InvalidInputError, match=r"nowhere\.txt"):
        read_vectors(tmp_path / "nowhere.txt")


def test_a_matrix_without_words_names_the_missing_file(tmp_path):
    with pytest.raises(InvalidInputError, match=r"vectors\.words"):
        read_vectors(matrix_file(tmp_path, ".npy"))


def test_a_list_of_another_length_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="3 words and a matrix of shape"):
        read_vectors(matrix_file(tmp_path, ".npy"), ["a", "b", "c"])


def test_a_pickle_in_a_npy_file_is_not_loaded(tmp_path):
    np.save(tmp_path / "vectors.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInputError, match="embeddings"):
        read_vectors(tmp_path / "vectors.npy", ["a"])


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_damaged_matrix_is_refused(tmp_path, suffix):
    with pytest.raises(InvalidInputError, match="embeddings"):
        read_vectors(written(tmp_path / f"vectors{suffix}", b"\x00" * 20), ["a"])


def test_known_words_get_their_vectors_and_the_padding_zeros():
    vectors = Vectors(("good", "[PAD]", "bad"), np.ones((3, 2), dtype=np.float32))
    vocabulary = Vocabulary.from_words(["bad", "good"])
    matrix = vectors.lay_out(vocabulary, np.random.default_rng(0))
    np.testing.assert_array_equal(matrix[[0, 2, 3]], [[0, 0], [1, 1], [1, 1]])


def test_unknown_words_have_the_variance_of_the_pretrained_ones():
    pretrained = np.random.default_rng(0).normal(0, 0.6, (500, 50)).astype(np.float32)
    vectors = Vectors(tuple(f"w{i}" for i in range(500)), pretrained)
    drawn = vectors.lay_out(Vocabulary.from_words(f"u{i}" for i in range(500)), np.random.default_rng(1))[2:]
    assert drawn.var() == pytest.approx(pretrained.var(), rel=0.02)
    assert np.abs(drawn).max() <= np.sqrt(3 * pretrained.var()) * 1.001


def test_without_pretrained_vectors_words_are_drawn_from_a_quarter_around_zero():
    words = Vocabulary.from_words(f"u{i}" for i in range(998))
    matrix = random_vectors(words, 20, RANDOM_RANGE, np.random.default_rng(0))
    assert not matrix[0].any()
    assert np.abs(matrix).max() <= 0.25
    assert matrix[1:].std() == pytest.approx(0.25 / np.sqrt(3), rel=0.02)


def test_the_vectors_cannot_be_changed_and_the_matrix_of_the_caller_still_can():
    matrix = np.ones((1, 2), dtype=np.float32)
    vectors = Vectors(("a",), matrix)
    with pytest.raises(ValueError, match="read-only"):
        vectors.matrix[0] = 0
    matrix[0] = 0


def test_vectors_of_any_type_are_stored_in_float32():
    vectors = Vectors(["a"], np.ones((1, 2)))
    assert (vectors.matrix.dtype, vectors.words) == (np.float32, ("a",))


@pytest.mark.slow
def test_reading_text_takes_little_more_memory_than_its_matrix_and_words(tmp_path):
    path = tmp_path / "glove.txt"
    line = " ".join(["0.12345"] * 50)
    with path.open("w") as file:
        file.writelines(f"word{i} {line}\n" for i in range(100_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    vectors = read_vectors(path)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 2.5 * vectors.matrix.nbytes + 100 * len(vectors.words)
