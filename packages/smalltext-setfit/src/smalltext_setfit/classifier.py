"""The classifier: a sentence transformer fine-tuned on pairs of texts, with a linear head."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smalltext_core import validation
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.probabilities import Probabilities
from smalltext_core.saving import Manifest
from smalltext_core.validation import ClassWeight, by_number, check_class_weight, class_weights
from smalltext_setfit import __version__, _saving, training_args
from smalltext_setfit._checkpoint import load_pretrained_body
from smalltext_setfit._head import HeadSettings, HeadTargets, check_head_params, fit_head
from smalltext_setfit._model import EmbeddingCache, SentenceClassifier, SetFitState, make_network
from smalltext_setfit._tokenization import SentenceTokenizer
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.sampler import PairSampler
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

ProgressBar = Literal["tqdm"] | None


class SetFitClassification(TorchModelBase[SetFitState]):
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
        The number of pairs in a training batch, or of texts for a differentiable head. At least 1.
    model_kwargs : mapping, optional
        Arguments of ``SetFitModel.from_pretrained``, as described in `ModelKwargs`.
    trainer_kwargs : mapping, optional
        Training arguments of setfit, as described in `TrainingArgs`. Those of `fit` take precedence.
    device : str or torch.device, optional
        The device to compute on, such as "cpu" or "cuda"; by default the best that is available.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss, by name (by number where classes have no names), 1 for all others;
        "balanced" weights classes inversely to their frequency.
    pairs_per_text : int, default=40
        The maximum number of pairs per training text in an epoch, at least 1. A warning says if it limits them.
    precision : {"float32", "auto"}, default="float32"
        The precision of matrix products; "auto" is bfloat16 or float16 where the device computes faster with it.
    multi_label_threshold : float, default=0.5
        In multi-label problems, the probability above which a class applies. From 0 to below 1.
    warm_start : bool, default=False
        Whether `fit` continues from the previous sentence transformer; the head is always fitted anew.
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

    Examples
    --------
    >>> SetFitClassification("sentence-transformers/all-MiniLM-L6-v2", num_classes=2, seed=1)
    SetFitClassification('sentence-transformers/all-MiniLM-L6-v2', num_classes=2)
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
        self.max_seq_len = validation.check_count("max_seq_len", max_seq_len)
        self.use_differentiable_head = validation.check_flag("use_differentiable_head", use_differentiable_head)
        self.mini_batch_size = validation.check_count("mini_batch_size", mini_batch_size)
        self.model_kwargs = copy.deepcopy(training_args.current_model_kwargs(model_kwargs))
        self._parsed_model_kwargs = training_args.ModelKwargs(**self.model_kwargs)
        check_head_params(self._head_settings, self.multi_label)
        self.trainer_kwargs = training_args.current_trainer_kwargs(trainer_kwargs)
        self._training_args()
        check_device(device)
        self.device = device
        check_class_weight(class_weight, self.num_classes)
        self.class_weight = class_weight
        self.pairs_per_text = validation.check_count("pairs_per_text", pairs_per_text)
        self.precision = check_precision(precision)
        self.multi_label_threshold = validation.check_threshold(multi_label_threshold)
        self.warm_start = validation.check_flag("warm_start", warm_start)
        self.seed = validation.check_seed(seed)
        self._state: SetFitState | None = None
        self.validation_: tuple[float, float] | None = None

    def fit(
        self,
        train_set: Dataset[Any],
        validation_set: Dataset[Any] | None = None,
        setfit_train_kwargs: Mapping[str, Any] | None = None,
        *,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Train on labelled texts, and return this classifier, which is left unchanged if training fails.

        Parameters
        ----------
        train_set : TextDataset
            Labelled texts, of two classes at least; one text of a class is enough.
        validation_set : TextDataset, optional
            Labelled texts; `validation_` holds loss and accuracy on them. They have no effect on training.
        setfit_train_kwargs : mapping, optional
            Training arguments of setfit, as described in `TrainingArgs`; they override `trainer_kwargs`.
        weights : array-like of float, shape (n,), optional
            The weight of each text: 0 or more, finite, not all zero. Pairs are drawn in proportion to the
            product of the weights of their texts, and the head is fitted with them.

        Raises
        ------
        InvalidInputError
            If an argument has another type or is out of range. It is raised before training.
        DivergedError
            If the embeddings, or the weights of the head, are not finite numbers.
        """
        train_set, validation_set, checked_weights = check_fit_data(self, train_set, validation_set, weights)
        self._check_classes(train_set)
        args = self._training_args(setfit_train_kwargs)
        device = resolve_device(self.device)
        randomness = Randomness(self.seed, device)
        sampler = PairSampler(
            train_set.y,
            checked_weights,
            randomness.order,
            sampling_strategy=args.sampling_strategy,
            num_iterations=args.num_iterations,
            pairs_per_text=self.pairs_per_text,
        )
        if args.epochs[0] and args.max_steps < 0:
            sampler.warn_of_limit()
        kwargs, warm = self._parsed_model_kwargs, self._state if self.warm_start else None
        with gradients(device), randomness.network.as_global():
            if warm is None:
                body = load_pretrained_body(self.setfit_model_args, kwargs)
                tokenizer = SentenceTokenizer.of(body, self.max_seq_len)
            else:
                body = copy.deepcopy(warm.network).requires_grad_(requires_grad=True).body
                tokenizer = warm.tokenizer
        texts = tokenizer.tokenize(train_set)
        from smalltext_setfit._trainer import FewShotTrainer  # imports setfit, which takes seconds

        with gradients(device), reproducible(device, self.seed):
            network = make_network(body, tokenizer, self.num_classes, kwargs.normalize_embeddings).to(device)
            targets = self._head_targets(train_set, checked_weights)
            embeddings = FewShotTrainer(
                network=network,
                texts=texts,
                targets=targets,
                sampler=sampler,
                args=args,
                head=self._head_settings,
                precision=self._precision(device),
                randomness=randomness,
                head_randomness=Randomness(self.seed, device),
            ).train()
        network.requires_grad_(requires_grad=False).eval()
        cache = EmbeddingCache.of(texts.texts, embeddings)
        state = SetFitState(tokenizer, network, targets.loss, train_set.label_names, cache, args.head_training)
        metrics = None if validation_set is None else self.compute_metrics(state, validation_set, None)
        self._state, self.validation_ = state, metrics
        return self

    def refit_head(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Fit a new head, and leave the sentence transformer as it is: seconds instead of minutes.

        Embeddings are cached, so that in the inner loop of active learning only new texts are encoded. A
        differentiable head is trained for the epochs, and at the learning rate, of `fit`.

        Parameters
        ----------
        train_set : TextDataset
            Labelled texts, of two classes at least.
        weights : array-like of float, shape (n,), optional
            The weight of each text: 0 or more, finite, not all zero.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        InvalidInputError
            If an argument has another type or is out of range. It is raised before training.
        """
        before = self.require_fitted()
        train_set, _, checked_weights = check_fit_data(self, train_set, None, weights)
        self._check_classes(train_set)
        device = before.device
        with gradients(device):
            texts = before.tokenizer.tokenize(train_set)
            targets = self._head_targets(train_set, checked_weights)
            cache = before.cache_with(texts, self._precision(device))
            embeddings, randomness = cache.take(texts.texts)[texts.of_row], Randomness(self.seed, device)
            head = fit_head(embeddings, targets, self._head_settings, before.head_training, randomness)
            network = before.network.with_head(head.to(device))
        self._state = replace(
            before, network=network, loss=targets.loss, label_names=train_set.label_names, cache=cache
        )
        self.validation_ = None
        return self

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
        """Embed texts with the sentence transformer; these embeddings are the input of the head.

        Parameters
        ----------
        data_set : TextDataset
            Texts; labels are ignored.
        return_proba : bool, default=False
            Whether to return the probabilities as well, at no further cost.
        pbar : {"tqdm", None}, default="tqdm"
            None shows no progress bar, even where bars are enabled.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, dimensions)
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.
        """
        description = described("embed", pbar)
        validation.check_flag("return_proba", return_proba)
        state = self.require_fitted()
        texts = state.tokenizer.tokenize(validation.prediction_data(data_set, fitted=True, classifier=self))
        embeddings, proba = state.embed(texts, self._precision(state.device), description)
        return (embeddings, proba) if return_proba else embeddings

    def save(self, folder: str | Path, *, for_setfit: bool = False) -> None:
        """Write the fitted classifier to a folder, whole or not at all: weights as safetensors, the rest as JSON.

        `callbacks` and an access `token` are not saved. The path of the pretrained model and `cache_dir` are,
        since `fit` needs them to train again; paths in the home folder begin with ``~``. The folder holds no other
        path of this machine.

        Parameters
        ----------
        folder : path
            The folder to write to: one that does not exist, is empty, or holds a saved model.
        for_setfit : bool, default=False
            Whether ``SetFitModel.from_pretrained`` can read the folder as well. It reads the head as a pickle,
            which is then added; `load` never reads it.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ModelFolderError
            If the folder holds other things than a saved model.
        InvalidInputError
            If `for_setfit` is True for a single label, which models of setfit cannot have.
        """
        state = self.require_fitted()
        if for_setfit:
            _saving.check_setfit_form(self.num_classes)

        def write(staging: Path) -> None:
            _saving.write_state(state, staging)
            if for_setfit:
                _saving.write_setfit_form(state, staging, differentiable=self.use_differentiable_head)

        self.write_folder(folder, write, _saving.values_to_save(state, self.validation_))

    @property
    def model(self) -> SentenceClassifier | None:
        """The trained network; None before `fit`. Its `body` is the SentenceTransformer, its `head` a Linear."""
        return None if self._state is None else self._state.network

    def __repr__(self) -> str:
        kind = ", multi_label=True" if self.multi_label else ""
        model = self.setfit_model_args.sentence_transformer_model
        return f"{type(self).__name__}({model!r}, num_classes={self.num_classes}{kind})"

    def compute_probabilities(self, state: SetFitState, data_set: Dataset[Any], samples: int) -> Probabilities:
        texts, precision = state.tokenizer.tokenize(data_set), self._precision(state.device)
        if samples == 1:
            return state.predict_proba(texts, precision, "predict")
        return state.sample_proba(texts, precision, samples, Randomness(self.seed, state.device).network)

    def compute_metrics(
        self, state: SetFitState, validation_set: Dataset[Any], description: str | None = "validate"
    ) -> tuple[float, float]:
        texts = state.tokenizer.tokenize(validation_set)
        proba = state.predict_proba(texts, self._precision(state.device), description)
        return state.evaluate(proba, validation_set.y)

    def load_state(self, folder: Path, manifest: Manifest) -> SetFitState:
        self.validation_ = _saving.read_validation(manifest)
        normalize = self._parsed_model_kwargs.normalize_embeddings
        head_training = self._training_args().head_training
        return _saving.read_state(folder, manifest, self.saved_loss(manifest), head_training, normalize=normalize)

    @classmethod
    def check_saved_folder(cls, folder: Path, manifest: Manifest) -> None:
        _saving.check_head(folder, saved_value(manifest, "constructor", dict).get("num_classes"))

    def parameters_to_save(self) -> dict[str, Any]:
        return _saving.parameters_to_save(super().parameters_to_save())

    @classmethod
    def parameters_from_saved(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        return _saving.parameters_from_saved(super().parameters_from_saved(saved))

    def _check_classes(self, train_set: Dataset[Any]) -> None:
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        if not self.multi_label and len(np.unique(train_set.y)) < 2:
            given = f"one class only, {train_set.y[0]}"
            raise InvalidInputError("train_set.y", given, "texts of two or more classes", "Label another text.")

    def _training_args(self, of_fit: Mapping[str, Any] | None = None) -> training_args.TrainingArgs:
        return training_args.parse_training_args(trainer_kwargs=self.trainer_kwargs, setfit_train_kwargs=of_fit)

    @property
    def _head_settings(self) -> HeadSettings:
        parameters = self._parsed_model_kwargs.head_params
        return HeadSettings(self.num_classes, self.use_differentiable_head, parameters, self.mini_batch_size)

    def _head_targets(self, train_set: Dataset[Any], weights: NDArray[np.float64] | None) -> HeadTargets:
        y = train_set.y
        of_class = class_weights(self.class_weight, y, self.num_classes, train_set.label_names)
        loss = Loss(self.multi_label, of_class, self.decision_threshold() if self.multi_label else 0.5)
        return HeadTargets(y, loss.text_weights(y, weights), loss)

    def _precision(self, device: torch.device) -> Precision:
        return Precision.of(device, self.precision == "auto")
