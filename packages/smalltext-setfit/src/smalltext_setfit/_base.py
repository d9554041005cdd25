"""The base class of the classifier: inference, and saving as a sentence transformer with a head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import joblib
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer
from torch import nn

from smalltext_cache import CacheInfo
from smalltext_core import validation
from smalltext_core.atomic import as_path
from smalltext_core.calibration import Calibration
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import shown
from smalltext_core.probabilities import Probabilities
from smalltext_core.saving import MANIFEST, Manifest
from smalltext_core.validation import check_positive, check_within
from smalltext_setfit import __version__
from smalltext_setfit._embedding_cache import SentenceEmbeddingCache
from smalltext_setfit._model import (
    SentenceClassifier,
    SetFitInference,
    SetFitState,
    TrainedEmbeddings,
    UniqueTexts,
    load_saved_body,
    make_network,
)
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.training_args import HeadTrainingArgs, parse_training_args
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.base import TorchModelBase
from smalltext_torch.batching import Batch
from smalltext_torch.device import Precision, PrecisionName, TorchRandomness
from smalltext_torch.model_loading import abbreviated
from smalltext_torch.progress import described
from smalltext_torch.saving import calibration_to_json, saved_thresholds, saved_value
from smalltext_torch.sentence_transformer import quiet_libraries
from smalltext_torch.tokenization import SentenceTokenizer

if TYPE_CHECKING:
    from typing_extensions import Self

HEAD = "head.safetensors"
SETFIT_CONFIG, SETFIT_HEAD = "config_setfit.json", "model_head.pkl"

ProgressBar = Literal["tqdm"] | None


class SetFitBase(TorchModelBase[SetFitState]):
    """Inference and saving of a trained sentence transformer with a head; see `SetFitClassification`."""

    name, distribution, version = "setfit", "smalltext-setfit", __version__
    further_files = frozenset({"model_head.pkl"})  # for setfit itself; see `save`

    setfit_model_args: SetFitModelArguments
    model_kwargs: Mapping[str, Any]
    trainer_kwargs: Mapping[str, Any]
    use_differentiable_head: bool
    precision: PrecisionName
    seed: int | None
    embedding_cache_size: int
    embedding_cache_dir: Path | None
    validation_: tuple[float, float] | None
    _cache: SentenceEmbeddingCache | None = None
    """None while a loaded network, which may be damaged, is tested."""

    @overload
    def embed(
        self, data_set: Dataset[Any], return_proba: Literal[False] = False, *, pbar: ProgressBar = "tqdm"
    ) -> NDArray[np.float32]: ...
    @overload
    def embed(
        self, data_set: Dataset[Any], return_proba: Literal[True], *, pbar: ProgressBar = "tqdm"
    ) -> tuple[NDArray[np.float32], Probabilities]: ...
    def embed(
        self, data_set: Dataset[Any], return_proba: bool = False, *, pbar: ProgressBar = "tqdm"
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], Probabilities]:
        """Compute the embeddings of texts: the output of the sentence transformer, and the input of the head.

        Parameters
        ----------
        data_set : TextDataset
            Texts; labels are ignored.
        return_proba : bool, default=False
            Whether to return the probabilities as well, at no further cost.
        pbar : {"tqdm", None}, default="tqdm"
            None shows no progress bar, even if bars are enabled.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, dimensions)
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.
        """
        description = described("embed", pbar)
        validation.check_flag("return_proba", return_proba)
        state = self.require_fitted()
        data_set = validation.prediction_data(data_set, fitted=True, classifier=self)
        embeddings, proba = self.inference_strategy(state, data_set, description).embeddings()
        return (embeddings, proba) if return_proba else embeddings

    def cache_info(self) -> CacheInfo:
        """Return the hits, misses and size of the embedding cache.

        Returns
        -------
        CacheInfo
            Hits and misses are counted per classifier; texts and sizes are those of the memory cache of the
            process.
        """
        cache = self._new_cache() if self._cache is None else self._cache
        return cache.embeddings.info()

    def save(self, folder: str | Path, *, for_setfit: bool = False) -> None:
        """Write the fitted classifier to a folder atomically: weights as safetensors, the rest as JSON.

        `callbacks` and an access `token` are not saved. The path of the pretrained model and `cache_dir` are
        saved, since `fit` needs them for retraining; paths in the home folder begin with ``~``. The folder
        contains no other path of this machine.

        Parameters
        ----------
        folder : path
            A new or empty folder, or a saved model, which is replaced.
        for_setfit : bool, default=False
            Whether ``SetFitModel.from_pretrained`` can read the folder as well. It reads the head from a pickle,
            which is then added; `load` never reads the pickle.

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        ModelFolderError
            If the folder contains anything but a saved model.
        InvalidInputError
            If `for_setfit` is True for a single label, which setfit does not support.
        """
        state = self.require_fitted()
        if for_setfit and self.num_classes == 1:
            raise InvalidInputError(
                "for_setfit",
                "True, where there is a single label (multi_label=True, num_classes=1)",
                "False, or two labels or more",
                "The heads of setfit are for two classes or several labels; none is for a single label.",
            )
        learned = {
            "max_length": state.tokenizer.max_length,
            "validation": self.validation_,
            "head_training": asdict(state.head_training),
            **calibration_to_json(self.calibration_, self.multi_label_threshold_),
        }

        def write(staging: Path) -> None:
            with quiet_libraries():
                state.network.body.save(str(staging), create_model_card=False, safe_serialization=True)
            pretrained_files.tidy(staging, transformers)
            head = state.network.head
            save_file({"weight": head.weight.cpu(), "bias": head.bias.cpu()}, str(staging / HEAD))
            if for_setfit:
                _write_setfit_files(state, staging, differentiable=self.use_differentiable_head)

        self.write_folder(folder, write, learned)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device | None = None,
        *,
        embedding_cache_dir: str | Path | None = None,
    ) -> Self:
        """Load a classifier from a folder that `save` wrote; no code in the folder is run.

        The folder may be untrusted: its contents are checked before use.

        Parameters
        ----------
        folder : path
        device : str or torch.device, optional
            The device to compute on; by default that of the saved classifier if available, else the best one.
        embedding_cache_dir : path, optional
            A folder in which embeddings are stored; it is not part of a saved model.

        Raises
        ------
        ModelFolderError
            If the folder is not a saved model of this class, or is damaged.
        InvalidInputError
            If the device does not exist.
        """
        path = None if embedding_cache_dir is None else as_path(embedding_cache_dir, "embedding_cache_dir")
        classifier = super().load(folder, device)
        classifier.embedding_cache_dir = path
        classifier._cache = classifier._new_cache()
        return classifier

    @property
    def model(self) -> SentenceClassifier | None:
        """The trained network; None before `fit`. Its `body` is the SentenceTransformer, its `head` a Linear."""
        return None if self._state is None else self._state.network

    def __repr__(self) -> str:
        kind = ", multi_label=True" if self.multi_label else ""
        model = self.setfit_model_args.sentence_transformer_model
        return f"{type(self).__name__}({model!r}, num_classes={self.num_classes}{kind})"

    def inference_strategy(
        self, state: SetFitState, data_set: Dataset[Any], description: str | None = "predict"
    ) -> SetFitInference:
        """Return how the probabilities of the texts of a checked dataset are computed."""
        texts = UniqueTexts.of(data_set, state.tokenizer)
        cache = self._cache if state is self._state else None  # nothing is cached during `fit`
        return SetFitInference(state, texts, self.precision_on(state.device), description, cache)

    def forward(self, network: SentenceClassifier, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch, shape (n, num_classes)."""
        logits: torch.Tensor = network(batch)[1]
        return logits

    def compute_metrics(self, state: SetFitState, validation_set: Dataset[Any]) -> tuple[float, float]:
        proba = self.inference_strategy(state, validation_set, "validate").probabilities()
        return state.evaluate(proba, validation_set.y)

    def parameters_to_save(self) -> dict[str, Any]:
        """Return the constructor's arguments to save, without callbacks and access token."""
        model = {name: value for name, value in self.model_kwargs.items() if name != "token"}
        if model.get("cache_dir") is not None:
            model["cache_dir"] = abbreviated(str(model["cache_dir"]))
        training = {name: value for name, value in self.trainer_kwargs.items() if name != "callbacks"}
        if not isinstance(training.get("loss", ""), str):
            training["loss"] = training["loss"].__name__
        saved = {**super().parameters_to_save(), "model_kwargs": model, "trainer_kwargs": training}
        del saved["embedding_cache_dir"]
        return {**saved, "setfit_model_args": self.setfit_model_args.to_json()}

    @classmethod
    def parameters_from_saved(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Restore the constructor's arguments from the return value of `parameters_to_save`."""
        parameters = super().parameters_from_saved(saved)
        arguments, model = (
            SetFitModelArguments(**parameters["setfit_model_args"]),
            dict(parameters["model_kwargs"]),
        )
        if isinstance(model.get("cache_dir"), str):
            model["cache_dir"] = str(Path(model["cache_dir"]).expanduser())
        return {**parameters, "setfit_model_args": arguments, "model_kwargs": model}

    @classmethod
    def check_saved_folder(cls, folder: Path, manifest: Manifest) -> None:
        """Reject a saved classifier whose head does not fit its number of classes."""
        shapes = model_loading.shapes_of([folder / HEAD])
        weight, bias = shapes.get("weight", ()), shapes.get("bias", ())
        if shapes.keys() != {"weight", "bias"} or len(weight) != 2 or bias != weight[:1]:
            raise ModelFolderError(f"{folder / HEAD} holds no head: a weight and a bias. Save the model again.")
        num_classes = saved_value(manifest, "constructor", dict).get("num_classes")
        if type(num_classes) is not int or num_classes != weight[0]:
            key = "key 'parameters.constructor.num_classes'"
            what = f"{folder / MANIFEST}, {key}: it holds {shown(num_classes, 100)}"
            raise ModelFolderError(
                f"{what}; allowed: {weight[0]}, for which there is a head. Save the model again."
            )

    def load_state(self, folder: Path, manifest: Manifest) -> SetFitState:
        """Load what `save` wrote, on the CPU, and set the attributes of a fitted classifier."""
        num_classes, dimensions = model_loading.shapes_of([folder / HEAD])["weight"]
        with TorchRandomness(0, torch.device("cpu")).as_global():
            body = load_saved_body(folder, dimensions)
        tokenizer = SentenceTokenizer.of(body, saved_value(manifest, "max_length", int))
        normalize = bool(self.model_kwargs.get("normalize_embeddings", False))
        network = make_network(body, tokenizer, num_classes, normalize)
        network.head.load_state_dict(load_file(str(folder / HEAD)))
        network.requires_grad_(requires_grad=False).eval()
        self.validation_ = _read_validation(manifest)
        saved = manifest.parameters  # earlier versions wrote fewer keys
        self.calibration_ = Calibration.from_json(saved.get("calibration"), num_classes, self.multi_label)
        self.multi_label_threshold_ = saved_thresholds(manifest, num_classes) if self.multi_label else None
        args = parse_training_args(trainer_kwargs=self.trainer_kwargs).head_training
        if saved.get("head_training") is not None:
            held = saved_value(manifest, "head_training", dict)
            args = HeadTrainingArgs(
                int(check_within("head_training.num_epochs", held["num_epochs"], 0)),
                check_positive("head_training.learning_rate", held["learning_rate"]),
                check_within("head_training.l2_weight", held["l2_weight"], 0),
            )
        trained = TrainedEmbeddings.of([], np.empty((0, dimensions), dtype=np.float32))
        self._cache = None
        return SetFitState(tokenizer, network, self.saved_loss(manifest), manifest.names, trained, args)

    def precision_on(self, device: torch.device) -> Precision:
        """Return the precision to compute in on a device."""
        return Precision.of(device, self.precision == "auto")

    def _new_cache(self) -> SentenceEmbeddingCache:
        return SentenceEmbeddingCache(self.embedding_cache_size, self.embedding_cache_dir)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_cache": None}  # embeddings stay in the process that computed them

    def __setstate__(self, pickled: dict[str, Any]) -> None:
        super().__setstate__(pickled)
        self._cache = self._new_cache()


def _read_validation(manifest: Manifest) -> tuple[float, float] | None:
    """Return the loss and accuracy on the validation set of `fit`, if there was one."""
    saved = saved_value(manifest, "validation", list, type(None))
    if saved is None:
        return None
    loss, accuracy = saved
    return check_within("validation", loss, 0), check_within("validation", accuracy, 0, 1)


def _write_setfit_files(state: SetFitState, folder: Path, *, differentiable: bool) -> None:
    """Write the files that `SetFitModel` needs; one of them is a pickle of the head, which is never read here."""
    names = None if state.label_names is None else list(state.label_names.names)
    labels = None if state.loss.multi_label else names
    config = {"normalize_embeddings": state.network.normalize, "labels": labels}
    (folder / SETFIT_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    convert = _as_setfit_head if differentiable else _as_logistic_regression
    joblib.dump(convert(state.network.head, state.loss.multi_label), folder / SETFIT_HEAD)


def _as_setfit_head(head: nn.Linear, multi_label: bool) -> Any:
    from smalltext_setfit._trainer import SetFitHead

    with TorchRandomness(0, torch.device("cpu")).as_global():
        converted = SetFitHead(head.in_features, head.out_features, eps=0.0, device="cpu", multitarget=multi_label)
    with torch.no_grad():
        converted.linear.weight.copy_(head.weight.cpu())
        converted.linear.bias.copy_(head.bias.cpu())
    return converted.eval()


def _as_logistic_regression(head: nn.Linear, multi_label: bool) -> Any:
    """Return a LogisticRegression, or one for each label if multi-label."""
    weight = head.weight.detach().cpu().numpy().astype(np.float64)
    bias = head.bias.detach().cpu().numpy().astype(np.float64)
    if not multi_label:
        return _regression(weight, bias)
    combined = OneVsRestClassifier(LogisticRegression())
    combined.estimators_ = [
        _regression(np.stack([np.zeros_like(row), row]), np.array([0.0, value]))
        for row, value in zip(weight, bias, strict=True)
    ]
    combined.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(np.eye(len(bias), dtype=int))
    combined.classes_ = combined.label_binarizer_.classes_
    return combined


def _regression(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> LogisticRegression:
    """Return a fitted LogisticRegression; for two classes, scikit-learn stores only the difference."""
    classes = np.arange(len(bias))
    if len(bias) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    regression = LogisticRegression()
    regression.classes_, regression.coef_, regression.intercept_ = classes, weight, bias
    regression.n_features_in_ = weight.shape[1]
    regression.n_iter_ = np.zeros(1, dtype=np.int32)
    return regression
