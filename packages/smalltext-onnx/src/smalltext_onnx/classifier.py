"""`OnnxClassifier`: an exported model, run by onnxruntime."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from smalltext_core import Classifier, Dataset, ProbabilisticClassifier, TextDataset, validation
from smalltext_core.atomic import as_path
from smalltext_core.errors import InvalidInputError, ModelFolderError, PluginError, UnsupportedError
from smalltext_core.label_names import LabelNames
from smalltext_core.messages import install_command, shown
from smalltext_core.probabilities import Probabilities, empty_probabilities
from smalltext_core.saving import check_destination, damage_explained, model_folder, read_manifest
from smalltext_onnx import __version__
from smalltext_onnx.graph_checks import MODEL, check_graph
from smalltext_onnx.inference import TOKENIZER, Runtime, TextEncoder, check_tokenizer_file, mean_of_windows
from smalltext_onnx.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

OPSET = 17
"""The default ONNX opset version."""

MAX_DIFFERENCE = 1e-4
"""The maximum allowed difference between the probabilities of the exported model and of the classifier."""

SMOKE_TESTS = (
    (
        "a",
        "Hello, WORLD! It's 12.5 % of 3, don't you think?",
        "",
        "\u4f60\u597d \u0645\u0631\u062d\u0628\u0627 \U0001f44d",
    ),
    ("goal 1 the " * 200, "a b c d e f g"),
    ("",),
    ("a b",),
)
"""Batches of texts of several scripts and lengths, on which loaded models are tested."""

_MAX_TOKENIZER_BYTES = 256 * 2**20
_CANNOT_TRAIN = (
    "An exported model cannot be trained. Train the classifier that it was exported from, and export that again: "
    "smalltext export MODEL --format onnx --output FOLDER, or smalltext_onnx.export(classifier, folder)"
)


class OnnxClassifier(ProbabilisticClassifier, Classifier):
    """A trained text classifier that runs in onnxruntime on the CPU, without torch and transformers.

    `smalltext_onnx.export` creates it, and `smalltext_core.load` loads it from a folder. Its probabilities equal
    those of the original classifier up to rounding, including calibration. It cannot be trained.

    Parameters
    ----------
    model : bytes
        The ONNX graph that maps token ids and attention mask to calibrated probabilities.
    tokenizer : str
        The tokenizer, in the JSON format of the tokenizers library.
    settings : Settings
        Number of classes, thresholds, and how texts become token ids.
    label_names : LabelNames or None, default=None
        The names of the classes.
    threads : int, optional
        The number of inference threads. By default the value of the environment variable OMP_NUM_THREADS, if it is
        set, or else the default of onnxruntime: one per core.

    Attributes
    ----------
    label_names_ : LabelNames or None
        The names of the classes, if they have any.
    calibration_ : Calibration or None
        The calibration of the probabilities, which is part of the graph.
    settings : Settings
        ``settings.export`` records what was exported, and with which versions.

    Examples
    --------
    >>> import smalltext_core as st
    >>> classifier = st.load("exported")  # doctest: +SKIP
    >>> classifier.predict(st.TextDataset(["a fine film"]))  # doctest: +SKIP
    array([1], dtype=int32)
    """

    def __init__(
        self,
        model: bytes,
        tokenizer: str,
        settings: Settings,
        *,
        label_names: LabelNames | None = None,
        threads: int | None = None,
    ) -> None:
        self.threads = None if threads is None else validation.check_count("threads", threads)
        self.settings = settings
        self.num_classes, self.multi_label = settings.num_classes, settings.multi_label
        self.multi_label_threshold = settings.threshold
        self.calibration_ = settings.calibration
        self.label_names_ = label_names
        self._runtime = Runtime(model, settings.num_classes, self.threads)
        self._encoder = TextEncoder(tokenizer, settings.text)

    @classmethod
    def from_classifier(cls, classifier: Any, *, opset: int = OPSET) -> Self:
        """Export a fitted classifier; this needs torch, see `export`.

        Parameters
        ----------
        classifier : AnyClassifier
            A fitted classifier of transformers or setfit, or of embeddings with a sentence transformer.
        opset : int, default=17
            The ONNX opset version.

        Raises
        ------
        InvalidInputError
            If `opset` is not from 14 to 20.
        UnsupportedError
            If the classifier cannot be exported, or the exported one would not give the same probabilities.
        NotFittedError
            If `fit` was not called.
        PluginError
            If a package that is needed for exporting is missing; the message has the command.
        """
        for module in ("torch", "smalltext_torch", "onnx"):
            if find_spec(module) is None:
                what = f"Exporting to ONNX needs the package {module.replace('_', '-')}"
                raise PluginError(f"{what}. Install it: {install_command('smalltext-onnx[export]')}")
        from smalltext_onnx.exporting import check_opset, largest_difference, traced
        from smalltext_onnx.networks import exportable

        opset = check_opset(opset)
        if isinstance(classifier, OnnxClassifier):
            raise UnsupportedError(
                f"{type(classifier).__name__} is exported already. Copy its folder, or save it."
            )
        exported = exportable(classifier)
        model = traced(exported, opset)
        try:
            check_graph(model)
        except ModelFolderError as error:
            raise UnsupportedError(f"{type(classifier).__name__} is not exported to ONNX: {error}") from error
        threshold = np.asarray(classifier.decision_threshold())
        settings = Settings(
            classifier.num_classes,
            classifier.multi_label,
            tuple(threshold.tolist()) if threshold.ndim else float(threshold),
            classifier.calibration_,
            exported.text,
            _origin(classifier, opset),
        )
        made = cls(model, exported.tokenizer, settings, label_names=classifier.label_names_)
        difference = largest_difference(classifier, exported, made._probabilities)
        if difference > MAX_DIFFERENCE:
            what = f"{type(classifier).__name__} is not exported to ONNX: its probabilities would differ"
            raise UnsupportedError(
                f"{what} by {difference:g}, more than {MAX_DIFFERENCE:g}. Train another pretrained model."
            )
        made.settings = replace(settings, export={**settings.export, "largest_difference": difference})
        return made

    def fit(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> NoReturn:  # noqa: ARG002
        """Raise UnsupportedError, since only the original classifier can be trained.

        Parameters
        ----------
        train_set : Dataset
            Not looked at.
        weights : array-like of float, optional
            Not looked at.
        """
        raise UnsupportedError(f"{_CANNOT_TRAIN}.")

    def predict_proba(self, data_set: Dataset[Any]) -> Probabilities:
        """Predict the probability of each class for each text.

        Parameters
        ----------
        data_set : TextDataset
            Texts; labels are ignored.

        Returns
        -------
        ndarray of float32, shape (n, num_classes)

        Raises
        ------
        InvalidInputError
            If the dataset is not a TextDataset, or the model has no embedding for a token.
        """
        validation.prediction_data(data_set, fitted=True, classifier=self)
        if not isinstance(data_set, TextDataset):
            given = f"a {type(data_set).__name__}"
            raise InvalidInputError("data_set", given, "a TextDataset", "Give the texts themselves.")
        return self._probabilities(list(data_set.x))

    def save(self, folder: str | Path) -> None:
        """Write the model to a folder atomically: the graph, the tokenizer, and the settings as JSON.

        Parameters
        ----------
        folder : path
            A new or empty folder, or a saved model, which is replaced.

        Raises
        ------
        ModelFolderError
            If the folder contains anything but a saved model.
        """
        with model_folder(
            folder,
            classifier="onnx",
            distribution="smalltext-onnx",
            version=__version__,
            parameters=self.settings.to_json(),
            label_names=self.label_names_,
        ) as staging:
            (staging / MODEL).write_bytes(self._runtime.model)
            (staging / TOKENIZER).write_text(self._encoder.json, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, *, threads: int | None = None) -> Self:
        """Load a model from a folder that `save` wrote; no code in the folder is run.

        The folder may be untrusted: the graph may only contain standard operators, and must contain all weights. A
        few texts are classified, so that an unusable model is rejected here.

        Parameters
        ----------
        folder : path
            A folder that `save` or `export` wrote.
        threads : int, optional
            The number of inference threads; see `OnnxClassifier`.

        Raises
        ------
        ModelFolderError
            If the folder is not an exported model, is damaged, or contains something that is not allowed.
        """
        folder = as_path(folder)
        manifest = read_manifest(folder)
        if manifest.classifier != "onnx":
            what = f"{folder} holds a {shown(manifest.classifier)} classifier"
            raise ModelFolderError(f"{what}; use smalltext_core.load.")
        if not {MODEL, TOKENIZER} <= manifest.files.keys():
            raise ModelFolderError(f"{folder} is incomplete: its manifest lists no {MODEL} or no {TOKENIZER}.")
        with damage_explained(folder):
            settings = Settings.from_manifest(manifest)
            if (folder / TOKENIZER).stat().st_size > _MAX_TOKENIZER_BYTES:
                raise ModelFolderError(f"{folder / TOKENIZER} has more than {_MAX_TOKENIZER_BYTES} bytes.")
            tokenizer = (folder / TOKENIZER).read_text(encoding="utf-8")
            check_tokenizer_file(tokenizer)
            model = (folder / MODEL).read_bytes()
            check_graph(model)
            classifier = cls(model, tokenizer, settings, label_names=manifest.names, threads=threads)
            classifier._try_out()
        return classifier

    def __repr__(self) -> str:
        kind = ", multi_label=True" if self.multi_label else ""
        exported = shown(self.settings.export.get("classifier", ""), 100)
        return f"{type(self).__name__}({exported}, num_classes={self.num_classes}{kind})"

    def _probabilities(self, texts: list[str]) -> Probabilities:
        if not texts:
            return empty_probabilities(self.num_classes)
        encoded, counts = self._encoder.encode(texts)
        proba = np.empty((len(encoded), self.num_classes), dtype=np.float32)
        for rows, tokens, mask in self._encoder.batches(encoded):
            proba[rows] = self._runtime.run(tokens, mask)
        return mean_of_windows(proba, counts)

    def _try_out(self) -> None:
        """Classify a few texts; raise ModelFolderError if the results are not probabilities."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for texts in SMOKE_TESTS:
                try:
                    proba = self._probabilities(list(texts))
                except InvalidInputError as error:  # about token ids, which come from the folder
                    raise ModelFolderError(f"The exported model cannot be used: {error}") from error
                sums = proba.sum(axis=1)
                valid = np.isfinite(proba).all() and proba.min() >= 0 and proba.max() <= 1
                if not valid or not (self.multi_label or np.allclose(sums, 1, atol=1e-3)):
                    raise ModelFolderError("The exported model does not return probabilities. Export it again.")


def _origin(classifier: Any, opset: int) -> dict[str, Any]:
    """Return what was exported and with which versions, without paths and model names."""
    libraries = {"torch", "transformers", "sentence-transformers", "tokenizers", "onnxruntime"}
    versions = {name: version(name) for name in sorted(libraries) if find_spec(name.replace("-", "_"))}
    return {"classifier": type(classifier).__name__, "opset": opset, "versions": versions}


def export(classifier: Any, folder: str | Path, *, opset: int = OPSET) -> OnnxClassifier:
    """Export a fitted classifier to a folder that onnxruntime runs without torch.

    The exported model is compared with the classifier on texts of many scripts and lengths before it is written.

    Parameters
    ----------
    classifier : AnyClassifier
        A fitted classifier of transformers or setfit, or of embeddings with a sentence transformer. Adapters are
        merged into the weights, and weights are float32.
    folder : path
        A new or empty folder, or a saved model, which is replaced.
    opset : int, default=17
        The ONNX opset version, from 14 to 20.

    Returns
    -------
    OnnxClassifier
        The exported model; `smalltext_core.load` loads it from the folder.

    Raises
    ------
    InvalidInputError
        If `opset` is not from 14 to 20.
    UnsupportedError
        If the classifier cannot be exported, or the exported one would not give the same probabilities.
    NotFittedError
        If `fit` was not called.
    PluginError
        If a package that is needed for exporting is missing; the message has the command.
    ModelFolderError
        If the folder contains anything but a saved model.

    Examples
    --------
    >>> import smalltext_core as st
    >>> export(st.load("model"), "exported")  # doctest: +SKIP
    OnnxClassifier('SetFitClassification', num_classes=2)
    """
    check_destination(folder)
    exported = OnnxClassifier.from_classifier(classifier, opset=opset)
    exported.save(folder)
    return exported


def build(num_classes: int, **parameters: Any) -> NoReturn:  # noqa: ARG001
    """Raise UnsupportedError: an exported model is loaded, not created.

    Parameters
    ----------
    num_classes : int
        Not looked at.
    **parameters
        Not looked at.
    """
    raise UnsupportedError(f"{_CANNOT_TRAIN}.")
