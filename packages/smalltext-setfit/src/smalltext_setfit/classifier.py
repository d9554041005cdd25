"""The classifier: a sentence transformer fine-tuned on pairs of texts, with a linear head."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from smalltext_cache import CACHE_SIZE
from smalltext_core import validation
from smalltext_core.atomic import as_path
from smalltext_core.calibration import Calibration, CalibrationChoice, check_calibration
from smalltext_core.dataset import Dataset
from smalltext_core.errors import InvalidInputError
from smalltext_core.validation import ClassWeight, by_number, check_class_weight, check_count, class_weights
from smalltext_setfit._base import SetFitBase
from smalltext_setfit._head import (
    HeadSettings,
    HeadTargets,
    HeldOut,
    calibrate_head,
    calibrated,
    check_head_params,
    fit_head,
)
from smalltext_setfit._model import (
    SetFitInference,
    SetFitState,
    TrainedEmbeddings,
    UniqueTexts,
    load_pretrained_body,
    make_network,
)
from smalltext_setfit.arguments import ModelKwargs, SetFitModelArguments, current_model_kwargs
from smalltext_setfit.sampler import PairSampler
from smalltext_setfit.training_args import (
    AUTO,
    MinSteps,
    check_min_steps,
    current_trainer_kwargs,
    parse_training_args,
)
from smalltext_torch.device import (
    Precision,
    PrecisionName,
    Randomness,
    check_device,
    check_precision,
    gradients,
    reproducible,
    resolve_device,
)
from smalltext_torch.inference import Loss
from smalltext_torch.progress import check_one_process
from smalltext_torch.tokenization import SentenceTokenizer
from smalltext_torch.training_set import check_fit_data, check_validation_set_size, is_auto, split_rows

if TYPE_CHECKING:
    from typing_extensions import Self


class SetFitClassification(SetFitBase):
    """Few-shot text classifier: a sentence transformer, trained on pairs of texts, and a linear head.

    Parameters
    ----------
    setfit_model_args : SetFitModelArguments, str or path
        The pretrained sentence transformer: a name on the Hugging Face hub, the path of a folder, or either with
        further arguments.
    num_classes : int
        The number of classes, including those without training texts. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    max_seq_len : int or "auto", default=512
        The maximum number of tokens per text, including special tokens; at most the number of positions of the
        model. A warning reports the number of longer texts. At least 1. "auto" is the setting of the sentence
        transformer, the length that it was trained with; training on pairs then reads the first 128 tokens of each
        text, or more if the total stays below 160,000.
    use_differentiable_head : bool, default=False
        Whether the head is trained by gradient descent, instead of fitting a logistic regression.
    mini_batch_size : int, default=32
        The training batch size: the number of pairs, or of texts for a differentiable head. At least 1.
    model_kwargs : mapping, optional
        Arguments of ``SetFitModel.from_pretrained``, as described in `ModelKwargs`.
    trainer_kwargs : mapping, optional
        Training arguments of setfit, as described in `TrainingArgs`. Those of `fit` take precedence.
    device : str or torch.device, optional
        The device to compute on, such as "cpu" or "cuda"; by default the best one available.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss, by class name (by number if classes have no names); "balanced"
        weights classes inversely to their frequency. A class that is not in the mapping has a weight of 1.
    pairs_per_text : int, default=40
        The maximum number of pairs per training text in an epoch, at least 1. A warning reports if it is reached.
    precision : {"float32", "auto"}, default="float32"
        The floating-point precision; "auto" is bfloat16 or float16 on devices that are faster with it.
    multi_label_threshold : float, sequence of float or "auto", default=0.5
        In multi-label problems, the probability above which a class applies, or one probability per class, from 0
        to below 1; "auto" chooses one per class, for the greatest F1 on out-of-fold probabilities of the head.
    warm_start : bool, default=False
        Whether `fit` continues from the previous sentence transformer; the head is always refitted from scratch.
    seed : int, optional
        The random seed, from 0 to 2**32 - 1. The same seed, data and machine give bitwise identical results.
    min_steps : int or "auto", default=0
        The minimum number of optimizer steps on pairs; epochs are added if necessary. "auto" is 40 steps instead
        of one epoch, or fewer, down to 20, if those would read more than 160,000 tokens; `num_epochs`,
        `num_iterations` or `max_steps`, if set, take precedence.
    calibration : {"auto", "none"}, default="none"
        Whether probabilities are calibrated: by temperature scaling, fitted on the validation set or held-out
        training texts; in multi-label problems by Platt scaling of each class, on out-of-fold predictions.
    validation_set_size : float or "auto", default=0.0
        The share of the training texts that is held out from training on pairs, to fit the temperature on; the
        head is fitted to all texts. From 0 to below 1. "auto" is 0.1, or 0 if that is fewer than 20 texts or lacks
        a class.
    pretrained_share : float, default=0.0
        The share of the pretrained weights in an average with the weights after training on pairs, from 0 to 1.
        Averaging preserves pretrained knowledge, at no cost in inference (Wortsman et al. 2022).
    embedding_cache_size : int, default=536870912
        The maximum size in bytes of the embeddings kept in memory, shared by all classifiers of the process, so
        that `predict_proba`, `embed`, `validate` and `refit_head` encode each text once; 0 keeps none. The cache
        never returns embeddings of another sentence transformer, or of previous weights.
    embedding_cache_dir : path, optional
        A folder in which embeddings are stored for later processes; by default they are kept only in memory.

    Attributes
    ----------
    label_names_ : LabelNames or None
        The names of the classes, if the training set has any.
    validation_ : tuple of (float, float) or None
        The loss and accuracy on the validation set that was passed to `fit`, if any.
    calibration_ : Calibration or None
        The calibration of the probabilities, which is part of the weights of the head.
    multi_label_threshold_ : ndarray of float64, shape (num_classes,), or None
        The chosen thresholds.

    Raises
    ------
    InvalidInputError
        If a parameter has the wrong type or is out of range; the message names it, its value and what is allowed.

    References
    ----------
    Tunstall et al. (2022), Efficient Few-Shot Learning Without Prompts. https://arxiv.org/abs/2209.11055
    Wortsman et al. (2022), Robust fine-tuning of zero-shot models. https://arxiv.org/abs/2109.01903

    Examples
    --------
    >>> SetFitClassification("sentence-transformers/all-MiniLM-L6-v2", num_classes=2, seed=1)
    SetFitClassification('sentence-transformers/all-MiniLM-L6-v2', num_classes=2)
    """

    def __init__(
        self,
        setfit_model_args: SetFitModelArguments | str | Path,
        num_classes: int,
        multi_label: bool = False,
        max_seq_len: int | Literal["auto"] = 512,
        use_differentiable_head: bool = False,
        mini_batch_size: int = 32,
        model_kwargs: Mapping[str, Any] | None = None,
        trainer_kwargs: Mapping[str, Any] | None = None,
        device: str | torch.device | None = None,
        *,
        class_weight: ClassWeight = None,
        pairs_per_text: int = 40,
        precision: PrecisionName = "float32",
        multi_label_threshold: validation.Threshold = 0.5,
        warm_start: bool = False,
        seed: int | None = None,
        min_steps: MinSteps = 0,
        calibration: CalibrationChoice = "none",
        validation_set_size: float | Literal["auto"] = 0.0,
        pretrained_share: float = 0.0,
        embedding_cache_size: int = CACHE_SIZE,
        embedding_cache_dir: str | Path | None = None,
    ) -> None:
        self.setfit_model_args = SetFitModelArguments.of(setfit_model_args)
        self.num_classes = validation.check_num_classes(num_classes, multi_label)
        self.multi_label = validation.check_flag("multi_label", multi_label)
        self.max_seq_len: int | Literal["auto"] = (
            AUTO if is_auto(max_seq_len) else check_count("max_seq_len", max_seq_len)
        )
        self.use_differentiable_head = validation.check_flag("use_differentiable_head", use_differentiable_head)
        self.mini_batch_size = check_count("mini_batch_size", mini_batch_size)
        self.model_kwargs = copy.deepcopy(current_model_kwargs(model_kwargs))
        self._parsed_model_kwargs = ModelKwargs(**self.model_kwargs)
        check_head_params(self._head_settings, self.multi_label)
        self.trainer_kwargs = current_trainer_kwargs(trainer_kwargs)
        self._parsed_training_args = parse_training_args(trainer_kwargs=self.trainer_kwargs)
        check_device(device)
        self.device = device
        check_class_weight(class_weight, self.num_classes)
        self.class_weight = class_weight
        self.pairs_per_text = check_count("pairs_per_text", pairs_per_text)
        self.precision = check_precision(precision)
        self.multi_label_threshold = validation.check_thresholds(multi_label_threshold, self.num_classes)
        self.warm_start = validation.check_flag("warm_start", warm_start)
        self.seed = validation.check_seed(seed)
        self.min_steps = check_min_steps(min_steps)
        self.calibration = check_calibration(calibration)
        self.validation_set_size = check_validation_set_size(validation_set_size)
        self.pretrained_share = validation.check_within("pretrained_share", pretrained_share, 0, 1)
        self.embedding_cache_size = check_count("embedding_cache_size", embedding_cache_size, minimum=0)
        path = embedding_cache_dir
        self.embedding_cache_dir = None if path is None else as_path(path, "embedding_cache_dir")
        self._cache = self._new_cache()
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
            Labelled texts of at least two classes; one text per class is enough.
        validation_set : TextDataset, optional
            Labelled texts that do not affect training; `validation_` is the loss and accuracy on them. If
            `calibration` is "auto", the temperature is fitted on them, and no training texts are held out.
        setfit_train_kwargs : mapping, optional
            Training arguments of setfit, as described in `TrainingArgs`; they override `trainer_kwargs`.
        weights : array-like of float, shape (n,), optional
            The weight of each text, 0 or greater; all equal by default. Pairs are drawn in proportion to the
            product of the weights of their texts, and the head is fitted with the weights.

        Raises
        ------
        InvalidInputError
            If an argument has the wrong type or is out of range. It is raised before training.
        DivergedError
            If the embeddings or the weights of the head are not finite.
        UnsupportedError
            If a launcher such as torchrun started several processes.
        """
        check_one_process("setfit")
        train_set, validation_set, checked_weights = check_fit_data(self, train_set, validation_set, weights)
        self._check_classes(train_set)
        args = self._parsed_training_args
        if setfit_train_kwargs is not None:
            args = parse_training_args(trainer_kwargs=self.trainer_kwargs, setfit_train_kwargs=setfit_train_kwargs)
        device = resolve_device(self.device)
        randomness = Randomness(self.seed, device)
        holds_out = self.calibration == AUTO and not self.multi_label and validation_set is None
        size = self.validation_set_size if holds_out else 0
        rows, held_out_rows = split_rows(train_set.y, size, randomness.split)
        sampler = PairSampler(
            train_set.y[rows],
            None if checked_weights is None else checked_weights[rows],
            randomness.order,
            sampling_strategy=args.sampling_strategy,
            num_iterations=args.num_iterations,
            pairs_per_text=self.pairs_per_text,
        )
        batches = sampler.batches_per_epoch(self.mini_batch_size)
        kwargs, warm = self._parsed_model_kwargs, self._state if self.warm_start else None
        with gradients(device), randomness.network.as_global():
            if warm is None:
                body = load_pretrained_body(self.setfit_model_args, kwargs)
                tokenizer = SentenceTokenizer.of(body, self.max_seq_len)
            else:
                body = copy.deepcopy(warm.network).requires_grad_(requires_grad=True).body
                tokenizer = warm.tokenizer
        texts = UniqueTexts.of(train_set, tokenizer)
        per_step, steps = sampler.texts_per_batch(self.mini_batch_size), args.num_steps(batches, self.min_steps)
        train_texts = texts.for_training(tokenizer, steps * per_step) if is_auto(self.max_seq_len) else texts
        steps = args.num_steps(batches, self.min_steps, train_texts.max_steps(per_step))
        if steps == args.epochs[0] * batches:
            sampler.warn_of_limit()
        from smalltext_setfit._trainer import FewShotTrainer  # imports setfit, which takes seconds

        targets = self._head_targets(train_set, checked_weights)
        with gradients(device), reproducible(device, self.seed):
            network = make_network(body, tokenizer, self.num_classes, kwargs.normalize_embeddings).to(device)
            args = args.for_encoder(network.head.in_features)
            trained = FewShotTrainer(
                network=network,
                texts=replace(train_texts, of_row=texts.of_row[rows]),
                untruncated=texts.tokens,
                targets=targets.take(rows),
                sampler=sampler,
                steps=steps,
                pretrained_share=self.pretrained_share,
                args=args,
                head=self._head_settings,
                precision=Precision.of(device, self.precision == "auto"),
                randomness=randomness,
                head_randomness=Randomness(self.seed, device),
            ).train()
        network.requires_grad_(requires_grad=False).eval()
        of_texts = TrainedEmbeddings.of(texts.texts, trained)
        state = SetFitState(tokenizer, network, targets.loss, train_set.label_names, of_texts, args.head_training)
        embeddings, held_out = trained[texts.of_row], None
        if len(held_out_rows):
            held_out = HeldOut.of(network.head, embeddings[held_out_rows], targets.take(held_out_rows))
            if not (self.use_differentiable_head and args.end_to_end):
                network.head = self._fit_head(state, embeddings, targets)
        return self._finish(state, embeddings, targets, held_out, validation_set)

    def refit_head(self, train_set: Dataset[Any], weights: ArrayLike | None = None) -> Self:
        """Fit a new head without training the sentence transformer, in seconds instead of minutes.

        Embeddings are cached, so that an active learning loop encodes only new texts. A differentiable head is
        trained with the number of epochs and the learning rate of `fit`.

        Parameters
        ----------
        train_set : TextDataset
            Labelled texts of at least two classes.
        weights : array-like of float, shape (n,), optional
            The weight of each text, 0 or greater; all equal by default.

        Raises
        ------
        NotFittedError
            If the classifier was not fitted.
        InvalidInputError
            If an argument has the wrong type or is out of range. It is raised before training.
        """
        before = self.require_fitted()
        train_set, _, checked_weights = check_fit_data(self, train_set, None, weights)
        self._check_classes(train_set)
        with gradients(before.device):
            texts = UniqueTexts.of(train_set, before.tokenizer)
            targets = self._head_targets(train_set, checked_weights)
            precision = self.precision_on(before.device)
            inference = SetFitInference(before, texts, precision, None, self._cache)
            embeddings = inference.with_trained(before.trained)
            network = before.network.with_head(self._fit_head(before, embeddings, targets))
            state = replace(before, network=network, label_names=train_set.label_names)
            return self._finish(state, embeddings, targets, self.calibration_)

    def _check_classes(self, train_set: Dataset[Any]) -> None:
        by_number(self.class_weight, self.num_classes, train_set.label_names)
        if not self.multi_label and len(np.unique(train_set.y)) < 2:
            given = f"one class only, {train_set.y[0]}"
            raise InvalidInputError("train_set.y", given, "texts of two or more classes", "Label another text.")

    @property
    def _head_settings(self) -> HeadSettings:
        parameters = self._parsed_model_kwargs.head_params
        return HeadSettings(self.num_classes, self.use_differentiable_head, parameters, self.mini_batch_size)

    def _head_targets(self, train_set: Dataset[Any], weights: NDArray[np.float64] | None) -> HeadTargets:
        y = train_set.y
        of_class = class_weights(self.class_weight, y, self.num_classes, train_set.label_names)
        loss = Loss(self.multi_label, of_class, self.decision_threshold() if self.multi_label else 0.5)
        return HeadTargets(y, loss.text_weights(y, weights), loss)

    def _fit_head(self, state: SetFitState, embeddings: NDArray[np.float32], targets: HeadTargets) -> nn.Linear:
        randomness = Randomness(self.seed, state.device)
        head = fit_head(embeddings, targets, self._head_settings, state.head_training, randomness)
        return head.to(state.device)

    def _finish(
        self,
        state: SetFitState,
        embeddings: NDArray[np.float32],
        targets: HeadTargets,
        held_out: HeldOut | Calibration | None,
        validation_set: Dataset[Any] | None = None,
    ) -> Self:
        """Calibrate the head, and set the attributes of a fitted classifier."""
        choose = self.multi_label and self.multi_label_threshold == AUTO
        args, randomness = state.head_training, Randomness(self.seed, state.device)
        network, loss, metrics = state.network, targets.loss, None
        if validation_set is not None:
            inference = self.inference_strategy(state, validation_set, None)
            validated = inference.unique_embeddings()
            if not self.multi_label:
                of_classes = HeadTargets(validation_set.y, loss.text_weights(validation_set.y), loss)
                held_out = HeldOut.of(network.head, validated[inference.texts.of_row], of_classes)
        calibration, thresholds = calibrate_head(
            *(embeddings, targets, held_out, self._head_settings, args, randomness),
            calibrate=self.calibration == AUTO,
            choose=choose,
        )
        if calibration is not None:
            network = network.with_head(calibrated(network.head, calibration))
        if choose:
            loss = replace(loss, threshold=0.5 if thresholds is None else thresholds)
        state = replace(state, network=network, loss=loss)
        if validation_set is not None:
            proba = replace(inference, state=state).probabilities_of(validated)
            metrics = state.evaluate(proba[inference.texts.of_row], validation_set.y)
        self._state, self.validation_ = state, metrics
        self.calibration_, self.multi_label_threshold_ = calibration, thresholds
        return self
