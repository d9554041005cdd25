"""`BatchScorer`, which labels batches of texts with a saved model in any engine that maps a callable over them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from smalltext_core.atomic import as_path
from smalltext_core.conversion import as_sequence, check_ordered, is_whole
from smalltext_core.dataset import Dataset, as_texts
from smalltext_core.errors import InvalidInputError
from smalltext_core.label_names import LabelNames, shown_name
from smalltext_core.labels import Labels, is_multi_label
from smalltext_core.messages import brief
from smalltext_core.probabilities import Probabilities
from smalltext_core.validation import check_flag
from smalltext_scale.batches import Column, column_names, read_texts, with_columns
from smalltext_scale.models import BATCH_CHARACTERS, LoadedModel, ModelSource, class_names, loaded_model
from smalltext_scale.workers import predict_in_processes, worker_devices

_BATCH_SIZE = 4_096
_WINDOW = 1_024
_WINDOW_BATCHES = 16
_TEXTS = "an iterable of strings"


class Prediction(NamedTuple):
    """The prediction for a text.

    Parameters
    ----------
    label : str or list of str
        The name of the predicted class; for multi-label models a list of names, which may be empty.
    score : float or list of float
        The probability of the label, or of each label.
    proba : dict of str to float, optional
        The probability of each class by its name, if the scorer was created with ``proba=True``.

    Examples
    --------
    >>> label, score, proba = Prediction("good", 0.75)
    >>> label, score, proba
    ('good', 0.75, None)
    """

    label: str | list[str]
    score: float | list[float]
    proba: dict[str, float] | None = None


@dataclass(frozen=True)
class BatchScorer:
    """Label batches of texts with a saved model, in an engine that maps a callable over batches.

    A scorer holds only its arguments. The first call in a process loads the model, which all scorers of the
    process share. The model is never pickled, so engines send only a few hundred bytes to a worker. If another
    model has been saved to the folder since a scorer was pickled, workers raise an error instead of mixing the
    two.

    Parameters
    ----------
    folder : path
        The folder of a saved model, which each worker reads at the same absolute path.
    text : str, default="text"
        The column of the texts.
    output : (str, str), default=("label", "score")
        The columns to add: the name of the class, and its probability as float32. Both hold lists if the model is
        multi-label.
    proba : bool, default=False
        Whether to also add a float32 column ``proba_<class>`` for each class.
    device : str, optional
        The inference device, such as "cuda", for backends that support several; by default the best one available.
    batch_size : int, optional
        The maximum number of texts predicted at a time, by default 4,096, with at most 8,000,000 characters.
        Larger batches are sorted by length and divided.
    trusted : sequence of str, default=()
        Types in the model to load although they are not known to be safe, as for `SklearnClassifier.load`.

    Raises
    ------
    InvalidInputError
        If an argument is invalid. When called: if the text column is missing, a column to add already exists, or a
        text is not a string (None, NaN).
    ModelFolderError
        When called: if the folder is not a saved model, is damaged, or holds a different model than before.

    Examples
    --------
    >>> import tempfile
    >>> import smalltext_core as st
    >>> texts = st.TextDataset.from_labels(["good film", "bad film"], ["good", "bad"])
    >>> folder = tempfile.TemporaryDirectory()
    >>> st.create_classifier("sklearn", num_classes=2).fit(texts).save(f"{folder.name}/model")
    >>> scorer = BatchScorer(f"{folder.name}/model", text="review")
    >>> batch = scorer({"id": [7, 8], "review": ["a good one", "a bad one"]})
    >>> list(batch), batch["label"]
    (['id', 'review', 'label', 'score'], ['good', 'bad'])
    >>> [found.label for found in scorer.predict_iter(["bad", "good"])]
    ['bad', 'good']
    >>> folder.cleanup()
    """

    folder: str | PathLike[str]
    text: str = "text"
    _: KW_ONLY
    output: Sequence[str] = ("label", "score")
    proba: bool = False
    device: str | None = None
    batch_size: int | None = None
    trusted: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidInputError("text", brief(self.text), "the name of a column, a string")
        converted = {
            "folder": str(as_path(self.folder).absolute()),
            "output": _checked_output(self.output, self.text),
            "proba": check_flag("proba", self.proba),
            "device": None if self.device is None else str(self.device),
            "batch_size": None if self.batch_size is None else _positive(self.batch_size),
            "trusted": tuple(as_sequence(self.trusted, "trusted", "a sequence of strings", "type")),
            "_model": None,
            "_digest": None,
        }
        for name, value in converted.items():
            object.__setattr__(self, name, value)

    def __call__(self, batch: Any) -> Any:
        """Return a batch with the predictions for its texts as additional columns.

        Parameters
        ----------
        batch : mapping of columns, pandas or polars DataFrame, or pyarrow Table or RecordBatch
            The columns of a mapping are arrays or lists.

        Returns
        -------
        A batch of the same kind
            Its rows, index and columns are those of `batch`, which is not changed.
        """
        self._check_free(batch, self.output)
        texts = read_texts(batch, self.text)
        model = self._loaded()
        proba_names = [f"proba_{name}" for name in model.names.names] if self.proba else []
        self._check_free(batch, proba_names)
        if twice := [name for name in self.output if name in proba_names]:
            given, allowed = f"{shown_name(twice[0])}, which proba=True adds", "names of columns other than those"
            raise InvalidInputError("output", given, allowed, "The default is ('label', 'score').")
        labels, proba = self._scores(self.batch_size or _BATCH_SIZE, texts)
        names, scores = _labels_and_scores(model.names, labels, proba)
        label, score = self.output
        added = {
            label: Column(names, kind=str, is_list=model.multi_label),
            score: Column(scores, kind=float, is_list=model.multi_label),
        }
        for number, name in enumerate(proba_names):
            added[name] = Column(np.ascontiguousarray(proba[:, number]), kind=float)
        return with_columns(batch, added, self.text)

    def predict_iter(
        self,
        texts: Iterable[str],
        batch_size: int | None = None,
        *,
        workers: int | None = None,
        devices: str | Sequence[str] | None = None,
    ) -> Iterator[Prediction]:
        """Label a stream of texts, which may be infinite, in constant memory.

        Texts are read in windows of 16 batches, or of 1,024 texts if no batch size is given, and of at most
        8,000,000 characters. Within a window they are sorted by length, since the time of a batch depends on its
        longest text.

        Parameters
        ----------
        texts : iterable of str
            A list, a generator, a column of a table: anything that yields texts one by one.
        batch_size : int, optional
            The maximum number of texts predicted at a time; by default that of the scorer, or else a whole window.
        workers : int, optional
            The number of worker processes; by default only the current process, or one per device. Each worker
            loads the model and gets one window at a time.
        devices : str or sequence of str, optional
            The devices to distribute the workers over: "all" CUDA devices, or "cuda:0,cuda:1".

        Yields
        ------
        Prediction
            For each text, in order.

        Raises
        ------
        InvalidInputError
            If a text is not a string, or an argument is invalid.
        WorkerError
            If a worker process ends early, for example because memory runs out. No prediction is skipped.

        Examples
        --------
        >>> import tempfile
        >>> from itertools import cycle, islice
        >>> import smalltext_core as st
        >>> train_set = st.TextDataset.from_labels(["good film", "bad film"], ["good", "bad"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     st.create_classifier("sklearn", num_classes=2).fit(train_set).save(f"{folder}/model")
        ...     endless = BatchScorer(f"{folder}/model").predict_iter(cycle(["bad", "good"]), batch_size=32)
        ...     [found.label for found in islice(endless, 3)]
        ['bad', 'good', 'bad']
        """
        check_ordered(texts, "texts", _TEXTS, "text")
        if not isinstance(texts, Iterable):
            raise InvalidInputError("texts", brief(texts), _TEXTS, "One text: [text].")
        if isinstance(texts, Dataset):
            raise InvalidInputError("texts", f"a {type(texts).__name__}", _TEXTS, "Give its texts: data_set.x.")
        size = self.batch_size if batch_size is None else _positive(batch_size)
        windows = _windows(texts, _WINDOW if size is None else size * _WINDOW_BATCHES)
        digest = self.__getstate__()["_digest"]
        return self._predictions(self._scored(windows, size or _WINDOW, workers, devices), digest)

    def predict_chunks(
        self,
        chunks: Iterable[list[str]],
        *,
        workers: int | None = None,
        devices: str | Sequence[str] | None = None,
    ) -> Iterator[tuple[list[str], tuple[Labels, Probabilities]]]:
        """Predict class numbers and probabilities for lists of texts, for programs with their own output format.

        Parameters
        ----------
        chunks : iterable of list of str
            The texts, in lists that fit into memory. With several workers, two lists per worker are read ahead.
        workers : int, optional
            The number of worker processes, as for `predict_iter`.
        devices : str or sequence of str, optional
            The devices to distribute the workers over, as for `predict_iter`.

        Yields
        ------
        list of str
            A list of texts, in order.
        (labels, proba)
            What ``predict(texts, return_proba=True)`` of the classifier returns.

        Raises
        ------
        InvalidInputError, WorkerError
            As for `predict_iter`.

        Examples
        --------
        >>> import tempfile
        >>> import smalltext_core as st
        >>> train_set = st.TextDataset.from_labels(["good film", "bad film"], ["good", "bad"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     st.create_classifier("sklearn", num_classes=2).fit(train_set).save(f"{folder}/model")
        ...     for texts, (labels, proba) in BatchScorer(f"{folder}/model").predict_chunks([["bad"], ["good"]]):
        ...         print(texts, labels, proba.shape)
        ['bad'] [0] (1, 2)
        ['good'] [1] (1, 2)
        """
        lists = (as_texts(chunk, "chunks") for chunk in chunks)
        return self._scored(lists, self.batch_size or _BATCH_SIZE, workers, devices)

    def _scored(
        self,
        chunks: Iterable[list[str]],
        batch_size: int,
        workers: int | None,
        devices: str | Sequence[str] | None,
    ) -> Iterator[tuple[list[str], tuple[Labels, Probabilities]]]:
        each = worker_devices(workers, devices, self.device)
        if not each:
            return ((chunk, self._scores(batch_size, chunk)) for chunk in chunks)
        return predict_in_processes([partial(self._on(device)._scores, batch_size) for device in each], chunks)

    def _on(self, device: str | None) -> BatchScorer:
        scorer = copy.copy(self)
        object.__setattr__(scorer, "device", device)
        return scorer

    def _scores(self, batch_size: int, texts: list[str]) -> tuple[Labels, Probabilities]:
        return self._loaded().predict(texts, batch_size)

    def _predictions(
        self, scored: Iterable[tuple[list[str], tuple[Labels, Probabilities]]], digest: str | None
    ) -> Iterator[Prediction]:
        classes: LabelNames | None = None
        for _, (labels, proba) in scored:
            classes = classes or self._names(proba.shape[1], digest)
            names, scores = _labels_and_scores(classes, labels, proba)
            for name, score, row in zip(names, _as_list(scores), proba, strict=True):
                by_name = dict(zip(classes.names, row.tolist(), strict=True)) if self.proba else None
                yield Prediction(name, score, by_name)

    def _names(self, num_classes: int, digest: str | None) -> LabelNames:
        """Return the names of all classes; if only workers have loaded the model, without loading it here."""
        model: LoadedModel | None = self.__dict__["_model"]
        if model is not None:
            return model.names
        names = class_names(self._source(), num_classes)
        self._source().check_digest(digest)
        return names

    def _loaded(self) -> LoadedModel:
        model: LoadedModel | None = self.__dict__["_model"]
        if model is None:
            model = loaded_model(self._source(), self.__dict__["_digest"])
            object.__setattr__(self, "_model", model)
        return model

    def _source(self) -> ModelSource:
        return ModelSource(str(self.folder), self.device, tuple(self.trusted))

    def _check_free(self, batch: Any, names: Sequence[str]) -> None:
        present = set(column_names(batch))
        for name in names:
            if name in present:
                given = f"{shown_name(name)}, which is a column of the batch already"
                advice = "For example: output=('predicted_label', 'predicted_score')."
                if name not in self.output:
                    advice = "It is added by proba=True; rename the column of the batch."
                raise InvalidInputError("output", given, "names of columns that the batch does not have", advice)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: the arguments, and a hash that identifies the model."""
        model: LoadedModel | None = self.__dict__["_model"]
        digest = self.__dict__["_digest"] or (self._source().digest() if model is None else model.digest)
        return {**self.__dict__, "_model": None, "_digest": digest}

    def __dask_tokenize__(self) -> object:
        """Return a token that identifies the results for Dask, which reuses results with equal tokens."""
        return type(self).__qualname__, sorted(self.__getstate__().items())


def _checked_output(output: Sequence[str], text: str) -> tuple[str, str]:
    allowed = "two names of columns, other than that of the texts"
    names = as_sequence(output, "output", allowed, "name")
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
        raise InvalidInputError("output", brief(output), allowed, "The default is ('label', 'score').")
    if len({*names, text}) < 3:
        raise InvalidInputError("output", f"{brief(tuple(names))} with text={brief(text)}", f"{allowed}, distinct")
    return names[0], names[1]


def _positive(value: int) -> int:
    if not is_whole(value) or value < 1:
        raise InvalidInputError("batch_size", brief(value), "an int, 1 or above, or None")
    return int(value)


def _labels_and_scores(classes: LabelNames, labels: Labels, proba: Probabilities) -> tuple[list[Any], Any]:
    """Return the class name or names predicted for each text, and their probabilities."""
    names = classes.decode(labels)
    if not is_multi_label(labels):
        return names, proba[np.arange(len(proba)), labels]
    return names, [row[numbers].tolist() for row, numbers in zip(proba, labels.tolil().rows, strict=True)]


def _as_list(scores: Any) -> list[Any]:
    return list(scores.tolist() if isinstance(scores, np.ndarray) else scores)


def _windows(texts: Iterable[Any], size: int) -> Iterator[list[str]]:
    """Divide a stream into windows with a limited number of texts and of characters."""
    window: list[str] = []
    characters = 0
    for row, text in enumerate(texts):
        if hasattr(type(text), "as_py"):  # the values of an arrow column
            text = text.as_py()
        if not isinstance(text, str):
            advice = "Drop that row, or give an empty string for an empty text."
            raise InvalidInputError("texts", f"{brief(text)} at row {row}", "strings", advice)
        window.append(text)
        characters += len(text)
        if len(window) == size or characters >= BATCH_CHARACTERS:
            yield window
            window, characters = [], 0
    if window:
        yield window
