"""Sentence transformers, fine-tuned on pairs of texts, as a classifier."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smalltext_core import validation
from smalltext_core.class_weights import ClassWeight, by_number, check_class_weight, class_weights
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.probabilities import Probabilities
from smalltext_core.saving import Manifest
from smalltext_core.validation import check_count
from smalltext_setfit import heads, predicting, saving
from smalltext_setfit._version import __version__
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.fitted import Fitted, KnownEmbeddings
from smalltext_setfit.keywords import TrainingKeywords, model_keywords, training_keywords
from smalltext_setfit.names import RENAMED_IN_MODEL, RENAMED_IN_TRAINING, translated
from smalltext_setfit.pairs import PairSource
from smalltext_setfit.refitting import refitted
from smalltext_setfit.sentence_encoder import SentenceClassifier, load_body, new_classifier
from smalltext_setfit.text_encoder import TextEncoder
from smalltext_setfit.training import FewShotTraining
from smalltext_setfit.validation import measured
from smalltext_torch.base import TorchModelBase
from smalltext_torch.device import (
    Precision,
    PrecisionName,
    check_device,
    check_precision,
    gradients,
    reproducible,
    resolve_device,
)
from smalltext_torch.losses import Loss
from smalltext_torch.progress import described
from smalltext_torch.randomness import Randomness
from smalltext_torch.saving import saved_value
from smalltext_torch.split import check_fit_data

if TYPE_CHECKING:
    from typing_extensions import Self


class SetFitClassification(TorchModelBase[Fitted]):
    """Few-shot text classifier: a sentence transformer, trained on pairs of texts, and a linear head.

    Parameters
    ----------
    setfit_model_args : SetFitModelArguments, str or path
        The pretrained sentence transformer: a name on the Hugging Face hub, the path of a folder, or either with
        further arguments.
    num_classes : int
        The number of classes, including those without a training text. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    max_seq_len : int, default=512
        The maximum number of tokens of a text, including special tokens; at most the number of positions of the
        model. A warning says how many texts are longer. At least 1.
    use_differentiable_head : bool, default=False
        Whether the head is trained by gradient descent, instead of fitting a logistic regression.
    mini_batch_size : int, default=32
        The number of pairs in a batch of contrastive training, and of texts in a batch of a differentiable head.
        At least 1.
    model_kwargs : mapping, optional
        Arguments of ``SetFitModel.from_pretrained``, as described in `ModelKeywords`.
    trainer_kwargs : mapping, optional
        Training arguments of setfit, as described in `TrainingKeywords`. Those of `fit` take precedence.
    device : str or torch.device, optional
        The device to compute on, such as "cpu" or "cuda"; by default the best that is available.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss of the head, by name (by number where classes have no names);
        "balanced" weights classes inversely to their frequency. A class that is not in the mapping weighs 1.
    pairs_per_text : int, default=40
        The maximum number of pairs in an epoch, per training text. A warning says if the sampling strategy needs
        more. At least 1.
    precision : {"float32", "auto"}, default="float32"
        The precision of matrix products; "auto" is bfloat16 or float16 where the device computes faster with it.
    multi_label_threshold : float, default=0.5
        In multi-label problems, the probability above which a class applies. From 0 to below 1.
    warm_start : bool, default=False
        Whether `fit` continues from the sentence transformer of the previous `fit`, instead of the pretrained one.
        The head is fitted anew.
    seed : int, optional
        The random seed: the same seed, data and machine give the same bits. From 0 to 2**32 - 1.

    Attributes
    ----------
    label_names_ : LabelNames or None
        The names of the classes, if the training set has any.
    validation_ : tuple of (float, float) or None
        Loss and accuracy on the validation set that was passed to `fit`, if any.

    Raises
    ------
    InvalidInputError
        If a parameter has another type or is out of range; the message names it, its value and what is allowed.

    References
    ----------
    Tunstall et al. (2022), Efficient Few-Shot Learning Without Prompts. https://arxiv.org/abs/2209.11055
    """

    name, distribution, version = "setfit", "smalltext-setfit", __version__
    further_files = frozenset({"model_head.pkl"})  # for setfit itself; see `save`

    def __init__(
        self,
        setfit_model_args: SetFitModelArguments | str | Path,
        num_classes: int,
        multi_label: bool = False,
        max_seq_len: int = 512,
        use_differentiable_head: bool = False,
        mini_batch_size: int = 32,
        model_kwargs: Mapping[str, Any] | None = None,
        trainer_kwargs: Mapping[str, Any] | None = None,
        device: str | torch.device | None = None,
        *,
        class_weight: ClassWeight = None,
        pairs_per_text: int = 40,
        precision: PrecisionName = "float32",
        multi_label_threshold: float = 0.5,
        warm_start: bool = False,
        seed: int | None = None,
    ) -> None:
        self.setfit_model_args = SetFitModelArguments.of(setfit_model_args)
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.max_seq_len = check_count("max_seq_len", max_seq_len)
        self.use_differentiable_head = validation.check_flag("use_differentiable_head", use_differentiable_head)
        self.mini_batch_size = check_count("mini_batch_size", mini_batch_size)
        given = translated("model_kwargs", model_kwargs, RENAMED_IN_MODEL)
        model_keywords(given)  # Values that cannot be used may be such that cannot be copied.
        self.model_kwargs = copy.deepcopy(given)
        self._model_keywords = model_keywords(self.model_kwargs)
        heads.check_head_params(
            self._model_keywords.head_params,
            self.use_differentiable_head,
            2 if self.multi_label else self.num_classes,
        )
        self.trainer_kwargs = translated("trainer_kwargs", trainer_kwargs, RENAMED_IN_TRAINING)
        training_keywords(("trainer_kwargs", self.trainer_kwargs))
        check_device(device)
        self.device = device
        check_class_weight(class_weight, self.num_classes)
        self.class_weight = class_weight
        self.pairs_per_text = check_count("pairs_per_text", pairs_per_text)
        self.precision = check_precision(precision)
        self.multi_label_threshold = validation.check_threshold(multi_label_threshold)
        self.warm_start = validation.check_flag("warm_start", warm_start)
        self.seed = validation.check_seed(seed)
        self._state: Fitted | None = None
        self.validation_: tuple[float, float] | None = None

    def fit(
        self,
        train_set: Dataset[Any],
        validation_set: Dataset[Any] | None = None,
        setfit_train_kwargs: Mapping[str, Any] | None = None,
        *,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Train from the pretrained model on labelled texts, and return this classifier.

        If anything goes wrong the classifier stays what it was before.

        Parameters
        ----------
        train_set : TextDataset
            Labelled texts, of two classes at least; one text of a class is enough.
        validation_set : TextDataset, optional
            Labelled texts; `validation_` tells loss and accuracy on them. Training does not look at them.
        setfit_train_kwargs : mapping, optional
            Arguments of setfit's training: `num_epochs`, `max_steps`, `sampling_strategy`, `num_iterations`,
            `body_learning_rate`, `head_learning_rate`, `loss`, `end_to_end`, `warmup_proportion`, `l2_weight`,
            `logging_strategy`, `logging_first_step`, `logging_steps`. They go before those in `trainer_kwargs`.
        weights : array-like of float, shape (n,), optional
            How much each text counts: 0 or more, finite, not all zero. Pairs are drawn in proportion to the
            product of the weights of their texts, and the head is fitted with them.

        Raises
        ------
        InvalidInputError
            If an argument is not what is described here. Nothing has been done then.
        DivergedError
            If what was trained gives no finite numbers.
        """
        train_set, validation_set, checked_weights = check_fit_data(self, train_set, validation_set, weights)
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        self._check_several_classes(train_set)
        if setfit_train_kwargs is not None and not isinstance(setfit_train_kwargs, Mapping):
            advice = "The third argument of fit is setfit_train_kwargs; pass weights=... by keyword."
            allowed = "a mapping from names to values, or None"
            raise InvalidInputError("setfit_train_kwargs", type(setfit_train_kwargs).__name__, allowed, advice)
        keywords = self._keywords(setfit_train_kwargs)
        device = resolve_device(self.device)
        randomness = Randomness(self.seed, device)
        source = PairSource(
            train_set.y,
            checked_weights,
            randomness.order,
            sampling_strategy=keywords.sampling_strategy,
            num_iterations=keywords.num_iterations,
            pairs_per_text=self.pairs_per_text,
        )
        if keywords.epochs[0] and keywords.max_steps < 0:
            source.warn_of_limit()
        continued = self._state if self.warm_start else None
        with gradients(device), randomness.network.lent():
            if continued is None:
                body = load_body(self.setfit_model_args, self._model_keywords)
            else:
                body = copy.deepcopy(continued.network).requires_grad_(requires_grad=True).body
        encoder = TextEncoder.of(body, self.max_seq_len) if continued is None else continued.encoder
        distinct = encoder.distinct(train_set)
        with gradients(device):
            network = new_classifier(body, encoder, self.num_classes, self._model_keywords.normalize_embeddings)
            network.to(device)
        training = FewShotTraining(
            network=network,
            texts=distinct,
            padding=encoder.padding,
            rows=self._rows(train_set, checked_weights),
            source=source,
            keywords=keywords,
            head=self._head_settings,
            batch_size=self.mini_batch_size,
            precision=Precision.of(device, self.precision == "auto"),
            randomness=randomness,
            head_randomness=Randomness(self.seed, device),
        )
        with gradients(device), reproducible(device, self.seed):
            embeddings = training.run()
        network.requires_grad_(requires_grad=False).eval()
        known = KnownEmbeddings.of(distinct.texts, embeddings)
        fitted = Fitted(encoder, network, training.rows.loss, train_set.label_names, known, keywords.head_training)
        validation = None if validation_set is None else self.compute_metrics(fitted, validation_set, None)
        self._state, self.validation_ = fitted, validation
        return self

    def refit_head(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Fit a new head, and leave the sentence transformer as it is: seconds instead of minutes.

        Embeddings of texts that a head was fitted with before are remembered; in the inner loop of active learning
        only the texts that are new are encoded. A differentiable head is trained as long, and at the same rate, as
        that of `fit` was.

        Parameters
        ----------
        train_set : TextDataset
            Labelled texts, of two classes at least.
        weights : array-like of float, shape (n,), optional
            How much each text counts: 0 or more, finite, not all zero.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        InvalidInputError
            If an argument is not what is described here. Nothing has been done then.
        """
        before = self.require_fitted()
        train_set, _, checked_weights = check_fit_data(self, train_set, None, weights)
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        self._check_several_classes(train_set)
        with gradients(before.device):
            self._state = refitted(
                before,
                before.encoder.distinct(train_set),
                self._rows(train_set, checked_weights),
                self._head_settings,
                self._precision(before),
                Randomness(self.seed, before.device),
                train_set.label_names,
            )
        self.validation_ = None
        return self

    @overload
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: Literal[False] = False,
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> NDArray[np.float32]: ...
    @overload
    def embed(
        self, data_set: Dataset[Any], return_proba: Literal[True], *, pbar: Literal["tqdm"] | None = "tqdm"
    ) -> tuple[NDArray[np.float32], Probabilities]: ...
    def embed(
        self, data_set: Dataset[Any], return_proba: bool = False, *, pbar: Literal["tqdm"] | None = "tqdm"
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], Probabilities]:
        """Turn texts into vectors: what the sentence transformer makes of them, and the head is given.

        Parameters
        ----------
        data_set : TextDataset
        return_proba : bool, default=False
            Whether to return the probabilities as well, at no further cost.
        pbar : {"tqdm", None}, default="tqdm"
            None shows no progress bar, even where bars are wanted.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, dimensions)
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.
        """
        description = described("embed", pbar)
        validation.check_flag("return_proba", return_proba)
        fitted = self.require_fitted()
        distinct = fitted.encoder.distinct(validation.prediction_data(data_set, fitted=True, classifier=self))
        embeddings, proba = predicting.embeddings_and_probabilities(
            fitted, distinct, self._precision(fitted), description
        )
        return (embeddings, proba) if return_proba else embeddings

    def save(self, folder: str | Path, *, for_setfit: bool = False) -> None:
        """Write the fitted classifier to a folder, whole or not at all: weights as safetensors, the rest as JSON.

        `callbacks` and an access `token` are not written; a classifier that is loaded has none. Where the
        pretrained model is, and `cache_dir`, are written, since `fit` needs them to train again: inside the home
        folder as paths that begin with ``~``. The folder holds no other path of this machine.

        Parameters
        ----------
        folder : path
        for_setfit : bool, default=False
            Whether ``SetFitModel.from_pretrained`` is to read the folder as well. It reads the head as a pickle,
            which is then added; `load` never looks at it.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ModelFolderError
            If the folder holds other things than a saved model.
        InvalidInputError
            If setfit has no form for such a classifier: for a single label.
        """
        saving.save_classifier(self, folder, for_setfit=for_setfit)

    @property
    def model(self) -> SentenceClassifier | None:
        """The trained network; None before `fit`. Its `body` is the SentenceTransformer, its `head` a Linear."""
        return None if self._state is None else self._state.network

    def __repr__(self) -> str:
        """Name the model and the number of classes."""
        kind = ", multi_label=True" if self.multi_label else ""
        model = self.setfit_model_args.sentence_transformer_model
        return f"{type(self).__name__}({model!r}, num_classes={self.num_classes}{kind})"

    def _check_several_classes(self, train_set: Dataset[Any]) -> None:
        if not self.multi_label and len(np.unique(train_set.y)) < 2:
            given = f"one class only, {train_set.y[0]}"
            raise InvalidInputError("train_set.y", given, "texts of two or more classes", "Label another text.")

    def load_state(self, folder: Path, manifest: Manifest) -> Fitted:
        self.validation_ = saving.read_validation(manifest)
        return saving.read(self, folder, manifest)

    @classmethod
    def check_saved_folder(cls, folder: Path, manifest: Manifest) -> None:
        saving.check_head(folder, saved_value(manifest, "constructor", dict).get("num_classes"))

    def parameters_to_save(self) -> dict[str, Any]:
        return saving.constructor_parameters(self)

    @classmethod
    def parameters_from_saved(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        model, keywords = SetFitModelArguments(**saved["setfit_model_args"]), dict(saved["model_kwargs"])
        if isinstance(keywords.get("cache_dir"), str):
            keywords["cache_dir"] = str(Path(keywords["cache_dir"]).expanduser())
        return {**super().parameters_from_saved(saved), "setfit_model_args": model, "model_kwargs": keywords}

    def _keywords(self, of_fit: Mapping[str, Any] | None = None) -> TrainingKeywords:
        return training_keywords(("trainer_kwargs", self.trainer_kwargs), ("setfit_train_kwargs", of_fit))

    @property
    def _head_settings(self) -> heads.HeadSettings:
        parameters = self._model_keywords.head_params
        return heads.HeadSettings(self.num_classes, self.use_differentiable_head, parameters, self.mini_batch_size)

    def _rows(self, train_set: Dataset[Any], weights: NDArray[np.float64] | None) -> heads.LabelledRows:
        y = train_set.y
        of_class = class_weights(self.class_weight, y, self.num_classes, train_set.label_names)
        loss = Loss(self.multi_label, of_class, self.multi_label_threshold)
        return heads.LabelledRows(y, loss.text_weights(y, weights), loss)

    def _precision(self, fitted: Fitted) -> Precision:
        return Precision.of(fitted.device, self.precision == "auto")

    def compute_probabilities(self, state: Fitted, data_set: Dataset[Any], samples: int) -> NDArray[np.float32]:
        distinct, precision = state.encoder.distinct(data_set), self._precision(state)
        if samples == 1:
            return predicting.probabilities(state, distinct, precision, "predict")
        randomness = Randomness(self.seed, state.device).network
        return predicting.sampled_probabilities(state, distinct, precision, samples, randomness)

    def compute_metrics(
        self, state: Fitted, validation_set: Dataset[Any], description: str | None = "validate"
    ) -> tuple[float, float]:
        distinct = state.encoder.distinct(validation_set)
        proba = predicting.probabilities(state, distinct, self._precision(state), description)
        return measured(proba, validation_set.y, state.loss)
