"""`WordCharTfidfVectorizer`: TF-IDF of words and of the character n-grams within words.

Each text is tokenized once, and each distinct word is split into n-grams once. The n-gram counts of all texts are
a sparse product of the word counts and the n-grams of each word.

Saved models refer to `normalized` by its path in this module.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.utils.validation import check_is_fitted

from smalltext_core.conversion import nfc
from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import shown
from smalltext_sklearn.token_pattern import TOKEN_PATTERN

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_NGRAM = 50

_MAX_WORD_LENGTH = 100
"""The maximum length of a word; longer ones, such as encoded data, are truncated before n-grams are counted."""

_TEXTS_AT_ONCE = 64
"""The number of texts whose n-grams are counted together in training, which limits the memory."""


def normalized(text: str) -> str:
    r"""Normalise a text to NFC and remove emoji variation selectors.

    Pass it to scikit-learn's vectorizers as `strip_accents`. It does not strip accents.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> normalized("cafe\u0301 \u2764\ufe0f") == "caf\u00e9 \u2764"
    True
    """
    return text if text.isascii() else nfc(text).replace("\ufe0f", "").replace("\ufe0e", "")


class WordCharTfidfVectorizer(TfidfVectorizer):  # type: ignore[misc]
    """TF-IDF of words and word pairs and, with a lower weight, of the character n-grams within words.

    The n-grams relate words with the same stem and misspelt words, which helps most with short texts or few
    labels. Words are padded with a space on both sides, as with ``analyzer="char_wb"`` of scikit-learn. The
    n-grams of words that do not occur in training are used as well.

    Parameters
    ----------
    char_ngram_range : (int, int), default=(3, 5)
        The shortest and the longest n-gram, in characters. From 1 to 50.
    char_weight : float, default=0.7
        The length of the vector of n-grams, relative to that of words; 0 disables n-grams.
    input, encoding, decode_error, lowercase, preprocessor, tokenizer, analyzer, stop_words, max_df, min_df, \
max_features, vocabulary, binary, dtype, norm, use_idf, smooth_idf
        As in `sklearn.feature_extraction.text.TfidfVectorizer`. Those that select words do not apply to n-grams,
        which are not used if `analyzer` is not "word" or `max_features` is set.
    strip_accents : {"ascii", "unicode"}, callable or None, default=normalized
        Normalises texts; by default to NFC.
    token_pattern : str, default=TOKEN_PATTERN
        The regular expression of a word, by default for texts in any script.
    ngram_range : (int, int), default=(1, 2)
        The minimum and maximum number of words of a term.
    sublinear_tf : bool, default=True
        Whether a term that occurs ``tf`` times in a text counts as ``1 + log(tf)``.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        The column of each word.
    char_vocabulary_ : dict of str to int
        The column of each n-gram; they follow the columns of words.
    char_tfidf_ : TfidfTransformer
        The inverse document frequencies of n-grams.

    Examples
    --------
    >>> vectorizer = WordCharTfidfVectorizer(char_ngram_range=(4, 4), char_weight=1.0)
    >>> x = vectorizer.fit_transform(["good films", "a film"])
    >>> x.shape, sorted(vectorizer.char_vocabulary_)[:4]
    ((2, 15), [' a ', ' fil', ' goo', 'film'])
    """

    def __init__(
        self,
        *,
        char_ngram_range: tuple[int, int] = (3, 5),
        char_weight: float = 0.7,
        input: str = "content",  # noqa: A002 - the names of scikit-learn, which reads them from this signature
        encoding: str = "utf-8",
        decode_error: str = "strict",
        strip_accents: Any = normalized,
        lowercase: bool = True,
        preprocessor: Any = None,
        tokenizer: Any = None,
        analyzer: Any = "word",
        stop_words: Any = None,
        token_pattern: str = TOKEN_PATTERN,
        ngram_range: tuple[int, int] = (1, 2),
        max_df: float = 1.0,
        min_df: float = 1,
        max_features: int | None = None,
        vocabulary: Any = None,
        binary: bool = False,
        dtype: Any = np.float64,
        norm: str | None = "l2",
        use_idf: bool = True,
        smooth_idf: bool = True,
        sublinear_tf: bool = True,
    ) -> None:
        super().__init__(
            input=input,
            encoding=encoding,
            decode_error=decode_error,
            strip_accents=strip_accents,
            lowercase=lowercase,
            preprocessor=preprocessor,
            tokenizer=tokenizer,
            analyzer=analyzer,
            stop_words=stop_words,
            token_pattern=token_pattern,
            ngram_range=ngram_range,
            max_df=max_df,
            min_df=min_df,
            max_features=max_features,
            vocabulary=vocabulary,
            binary=binary,
            dtype=dtype,
            norm=norm,
            use_idf=use_idf,
            smooth_idf=smooth_idf,
            sublinear_tf=sublinear_tf,
        )
        self.char_ngram_range = char_ngram_range
        self.char_weight = char_weight

    @property
    def counts_characters(self) -> bool:
        """Whether there are n-grams in addition to words."""
        return self.analyzer == "word" and self.max_features is None and self.char_weight > 0

    def fit(self, raw_documents: Iterable[str], y: Any = None) -> Self:
        """Learn words, n-grams and their inverse document frequencies.

        Parameters
        ----------
        raw_documents : iterable of str
            Texts.
        y : Any, optional
            Ignored.

        Returns
        -------
        WordCharTfidfVectorizer
            This object.
        """
        self.fit_transform(raw_documents, y)
        return self

    def fit_transform(self, raw_documents: Iterable[str], y: Any = None) -> csr_matrix:
        """Learn words, n-grams and their inverse document frequencies, and return the features of the texts.

        Parameters
        ----------
        raw_documents : iterable of str
            Texts.
        y : Any, optional
            Ignored.

        Returns
        -------
        csr_matrix of float, shape (n, words + n-grams)
        """
        self.check_characters()
        texts = list(raw_documents)
        words = super().fit_transform(texts, y)
        if not self.counts_characters:
            return words
        tokens = self._tokens(texts)
        vocabulary: dict[str, int] = {}
        ngrams = self._cut(tokens.words, vocabulary, learn=True)
        self.char_vocabulary_ = {ngram: column for column, ngram in enumerate(sorted(vocabulary))}
        ngrams = ngrams[:, [vocabulary[ngram] for ngram in self.char_vocabulary_]]
        return self._fit_ngrams(words, tokens.counts(), ngrams)

    def transform(self, raw_documents: Iterable[str]) -> csr_matrix:
        """Return the features of texts.

        Parameters
        ----------
        raw_documents : iterable of str
            Texts.

        Returns
        -------
        csr_matrix of float, shape (n, words + n-grams)
        """
        if not self.counts_characters:
            return super().transform(raw_documents)
        check_is_fitted(self, "char_vocabulary_")
        words, characters = self.count_terms(raw_documents)
        weighting = weighting_of(self)
        weighting.n_features_in_ = words.shape[1]
        if self.use_idf:
            weighting.idf_ = self.idf_
        return self.joined(
            weighting.transform(words, copy=False), self.char_tfidf_.transform(characters, copy=False)
        )

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Return the words and n-grams in the order of the columns.

        Parameters
        ----------
        input_features : Any, optional
            Ignored.

        Returns
        -------
        ndarray of str objects, shape (features,)
        """
        words = super().get_feature_names_out(input_features)
        if not self.counts_characters:
            return np.asarray(words)
        return np.concatenate([words, np.array(list(self.char_vocabulary_), dtype=object)])

    def count_terms(self, texts: Iterable[str]) -> list[csr_matrix]:
        """Return the counts of the terms of `vocabulary_`, and of the n-grams of `char_vocabulary_`, if any.

        Parameters
        ----------
        texts : iterable of str
            Texts.

        Returns
        -------
        list of csr_matrix of float, shapes (n, words) and (n, n-grams)
        """
        if not self.counts_characters or self.stop_words is not None:
            texts = list(texts)
            counts = [CountVectorizer.transform(self, texts)]
            return [*counts, self._count_ngrams(self._tokens(texts))] if self.counts_characters else counts
        tokens = self._tokens(texts)
        shortest, longest = self.ngram_range
        words = tokens.sequence_counts(self.vocabulary_, range(shortest, longest + 1)).astype(self.dtype)
        if self.binary:
            words.data.fill(1)
        return [words, self._count_ngrams(tokens)]

    def joined(self, words: csr_matrix, characters: csr_matrix) -> csr_matrix:
        """Return the columns of both, weighted so that each row has unit length.

        Parameters
        ----------
        words : csr_matrix of float, shape (n, words)
            Their TF-IDF.
        characters : csr_matrix of float, shape (n, n-grams)
            Their TF-IDF. Both are changed in place.
        """
        length = np.hypot(1.0, self.char_weight)
        words.data /= length
        characters.data *= self.char_weight / length
        return hstack([words, characters], format="csr")

    def _fit_ngrams(self, words: csr_matrix, counts: csr_matrix, ngrams: csr_matrix) -> csr_matrix:
        """Learn the inverse document frequencies of n-grams, and return the features of the texts.

        `words` are the TF-IDF of words, `counts` the counts of words in texts, and `ngrams` those of n-grams in
        words. `TfidfTransformer.fit` would need the n-grams of all texts at once; here they are counted in parts.
        """
        parts = [slice(start, start + _TEXTS_AT_ONCE) for start in range(0, counts.shape[0], _TEXTS_AT_ONCE)]
        frequencies, size = np.zeros(ngrams.shape[1], dtype=np.float32), words.nnz
        for part in parts:
            found = (counts[part] @ ngrams).indices
            frequencies += np.bincount(found, minlength=len(frequencies))
            size += len(found)
        weighting = self.char_tfidf_ = weighting_of(self)
        weighting.n_features_in_ = len(frequencies)
        if self.use_idf:
            one, smooth = np.float32(1), np.float32(self.smooth_idf)
            weighting.idf_ = np.log((np.float32(counts.shape[0]) + smooth) / (frequencies + smooth)) + one
        data, columns = np.empty(size, np.result_type(words, np.float32)), np.empty(size, np.int32)
        bounds = np.zeros(counts.shape[0] + 1, dtype=np.int64)
        for part in parts:
            rows = self.joined(words[part], weighting.transform(counts[part] @ ngrams, copy=False))
            start = bounds[part.start]
            bounds[part.start + 1 : part.stop + 1] = start + rows.indptr[1:]
            data[start : start + rows.nnz], columns[start : start + rows.nnz] = rows.data, rows.indices
        return csr_matrix((data, columns, bounds), shape=(counts.shape[0], words.shape[1] + len(frequencies)))

    def _tokens(self, texts: Iterable[str]) -> _Tokens:
        preprocess, tokenize = self.build_preprocessor(), self.build_tokenizer()
        number_of: dict[str, int] = {}
        numbers, bounds = array("i"), array("q", [0])
        for text in texts:
            tokens = tokenize(preprocess(self.decode(text)))
            numbers.extend([number_of.setdefault(token, len(number_of)) for token in tokens])
            bounds.append(len(numbers))
        return _Tokens(list(number_of), np.array(numbers, dtype=np.int32), np.array(bounds, dtype=np.int64))

    def _count_ngrams(self, tokens: _Tokens) -> csr_matrix:
        return tokens.counts() @ self._cut(tokens.words, self.char_vocabulary_, learn=False)

    def _cut(self, words: list[str], vocabulary: dict[str, int], *, learn: bool) -> csr_matrix:
        """Return the counts of n-grams in words; new n-grams are added to the vocabulary (`learn`) or dropped."""
        numbers, bounds = array("i"), array("q", [0])
        for word in words:
            found = _ngrams(word, *self.char_ngram_range)
            if learn:
                numbers.extend([vocabulary.setdefault(ngram, len(vocabulary)) for ngram in found])
            else:
                numbers.extend([vocabulary[ngram] for ngram in found if ngram in vocabulary])
            bounds.append(len(numbers))
        return _counts(np.array(numbers, dtype=np.int32), np.array(bounds), len(vocabulary))

    def check_characters(self) -> None:
        """Raise InvalidInputError if `char_ngram_range` or `char_weight` is out of range."""
        given = self.char_ngram_range
        numbers = isinstance(given, tuple) and len(given) == 2 and all(type(one) is int for one in given)
        if not numbers or not 1 <= given[0] <= given[1] <= MAX_NGRAM:
            allowed = f"two numbers of characters from 1 to {MAX_NGRAM}, such as (3, 5)"
            raise InvalidInputError("char_ngram_range", shown(given), allowed)
        if not isinstance(self.char_weight, (int, float)) or not 0 <= self.char_weight < float("inf"):
            raise InvalidInputError("char_weight", shown(self.char_weight), "a finite number, 0 or above")


def weighting_of(vectorizer: TfidfVectorizer) -> TfidfTransformer:
    """Return an unfitted transformer with the TF-IDF weighting of a vectorizer.

    Parameters
    ----------
    vectorizer : TfidfVectorizer
    """
    names = ("norm", "use_idf", "smooth_idf", "sublinear_tf")
    return TfidfTransformer(**{name: getattr(vectorizer, name) for name in names})


class _Tokens(NamedTuple):
    """The distinct words of texts, the word number of each token, and the offsets of the texts."""

    words: list[str]
    numbers: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def counts(self) -> csr_matrix:
        """Return the counts of words in texts, shape (texts, words)."""
        return _counts(self.numbers, self.bounds, len(self.words))

    def sequence_counts(self, vocabulary: Mapping[str, int], lengths: range) -> csr_matrix:
        """Return the counts of the terms of a vocabulary in texts, shape (texts, terms).

        A term consists of words joined by spaces; `lengths` are the allowed numbers of words.
        """
        text_of = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        found = []
        for length, (starts, numbers, names) in enumerate(self._sequences(lengths.stop - 1), 1):
            if length in lengths:
                column_of = np.array([vocabulary.get(name, -1) for name in names], dtype=np.int64)
                columns = column_of[numbers]
                found.append((text_of[starts][columns >= 0], columns[columns >= 0]))
        rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(rows, kind="stable")
        per_text = np.bincount(rows, minlength=len(self.bounds) - 1)
        return _counts(columns[order], np.concatenate([[0], np.cumsum(per_text)]), len(vocabulary))

    def _sequences(self, longest: int) -> Iterator[tuple[NDArray[Any], NDArray[Any], list[str]]]:
        """Yield, for each length, the starts of sequences of words, their numbers, and the distinct sequences."""
        ends = np.repeat(self.bounds[1:], np.diff(self.bounds))
        starts, numbers, names = np.arange(len(self.numbers)), self.numbers.astype(np.int64), self.words
        yield starts, numbers, names
        for length in range(2, longest + 1):
            inside = starts + length <= ends[starts]
            starts = starts[inside]
            codes = numbers[inside] * len(self.words) + self.numbers[starts + length - 1]
            distinct, numbers = np.unique(codes, return_inverse=True)
            heads, tails = np.divmod(distinct, len(self.words)) if len(distinct) else (distinct, distinct)
            names = [f"{names[head]} {self.words[tail]}" for head, tail in zip(heads, tails, strict=True)]
            yield starts, numbers, names


def _ngrams(word: str, shortest: int, longest: int) -> Iterator[str]:
    """Yield the n-grams of a word that is padded with spaces; if it is shorter, the whole word once."""
    padded = f" {word[:_MAX_WORD_LENGTH]} "
    for length in range(shortest, longest + 1):
        yield padded[:length]
        for start in range(1, len(padded) - length + 1):
            yield padded[start : start + length]
        if len(padded) <= length:
            return


def _counts(columns: NDArray[Any], bounds: NDArray[Any], width: int) -> csr_matrix:
    """Return the counts of columns in rows; the entries of each row lie between two bounds.

    Single precision represents counts exactly and takes two thirds of the memory.
    """
    matrix = csr_matrix(
        (np.ones(len(columns), dtype=np.float32), columns.astype(np.int32), bounds), shape=(len(bounds) - 1, width)
    )
    matrix.sum_duplicates()
    return matrix
