"""Fine-tuned transformers as a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from smalltext_core import validation
from smalltext_core.calibration import CalibrationChoice
from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.probabilities import Probabilities
from smalltext_core.validation import ClassWeight, Threshold
from smalltext_torch.base import TorchState
from smalltext_torch.batching import Batch, Ragged
from smalltext_torch.calibration import TemperaturePrior
from smalltext_torch.classifier import TorchClassifier
from smalltext_torch.device import Precision, PrecisionName, check_precision
from smalltext_torch.inference import BatchInference, NetworkInference
from smalltext_torch.model_loading import abbreviated
from smalltext_torch.optimization import OptimizerChoice, Scheduler, SchedulerChoice, adamw, linear_decay
from smalltext_torch.progress import VERBOSITY_MORE_VERBOSE, described
from smalltext_torch.tokenization import Encoder
from smalltext_torch.training_set import FEW_TEXTS, is_auto, training_length
from smalltext_transformers import __version__, _adapters, _network, arguments
from smalltext_transformers._network import EmbeddingMethod, WindowInference, with_first_token_hooks
from smalltext_transformers._pretrained import Pretrained, save_encoder, saved_encoder, saved_network
from smalltext_transformers.arguments import FineTuningArguments, TransformerModelArguments
from smalltext_transformers.dataset import TransformersDataset

if TYPE_CHECKING:
    from peft import PeftConfig

LONG_TEXTS = ("truncate", "window")
FLOAT32_ONLY = frozenset(("deberta",))
"""Model types that mix data types in a way that autocast does not handle."""


class TransformerBasedClassification(TorchClassifier[Encoder]):
    """Text classifier that fine-tunes a pretrained transformer with a classification head.

    Parameters
    ----------
    transformer_model : TransformerModelArguments, str or path
        The pretrained model: a name on the Hugging Face hub, the path of a folder, or either with further
        arguments.
    num_classes : int
        The number of classes, including those without training texts. At least 2, or 1 if multi-label.
    multi_label : bool, default=False
        Whether several classes, or none, may apply to a text.
    num_epochs : int, default=10
        The maximum number of epochs, at least 1. Training stops early if the validation loss stops improving.
    lr : float or "auto", default=2e-5
        The learning rate of the default optimizer, AdamW; it decays linearly to 0. Above 0. "auto" depends on the
        size of the encoder, from 1e-4 for hidden sizes up to 512 to 1e-5 for hidden sizes above 768.
    mini_batch_size : int, default=12
        The training batch size, per process in data-parallel training. At least 1.
    validation_set_size : float or "auto", default=0.1
        The share of the training texts that is held out for validation if no validation set is passed to `fit`.
        From 0 (no validation: the last model is kept) to below 1. "auto" is 0.1, or 0 if that is fewer than 20
        texts or lacks a class.
    validations_per_epoch : int, default=1
        The number of evenly spaced validations per epoch, the last one at its end. At least 1.
    model_selection : bool, default=True
        Whether to keep the model with the lowest validation loss instead of the last one. The argument of `fit`
        takes precedence.
    fine_tuning_arguments : FineTuningArguments, optional
        Layer-wise learning rates and gradual unfreezing.
    device : str or torch.device, optional
        The device to compute on, such as "cpu" or "cuda"; by default the best one available.
    class_weight : "balanced" or mapping of str (or int) to float, optional
        The weight of each class in the loss, by class name (by number if classes have no names); "balanced"
        weights classes inversely to their frequency. A class that is not in the mapping has a weight of 1.
    cache_dir : str or path, optional
        The folder for downloaded models; by default that of transformers. Nothing else is written there.
    max_seq_len : int or "auto", optional
        The maximum number of tokens per text, including special tokens, at least 1; None is that of the model.
        A warning reports the number of longer texts. "auto" is the setting of a sentence transformer;
        with fewer than 200 texts, training reads 128 tokens per text, or more if the total stays below 160,000.
    long_texts : {"truncate", "window"}, default="truncate"
        The treatment of texts longer than `max_seq_len`: truncation, or inference over overlapping windows with
        averaged results. Training uses the first window in either case.
    peft_config : PeftConfig, optional
        An adapter to train instead of the whole model, such as ``peft.LoraConfig(r=8)``. `save` then writes the
        adapter and the name of the pretrained model, which `load` needs.
    precision : {"float32", "auto"}, default="float32"
        The floating-point precision; "auto" is bfloat16 or float16 on devices that are faster with it. DeBERTa,
        but not its versions 2 and 3, always computes in float32.
    max_gradient_norm : float, default=1.0
        The maximum L2 norm of the gradient, for gradient clipping. Above 0.
    multi_label_threshold : float, sequence of float or "auto", default=0.5
        In multi-label problems, the probability above which a class applies, or one per class; from 0 to below 1.
        "auto" chooses one per class, for the greatest F1 on the validation texts, or 0.5 for fewer than 20 texts.
    warm_start : bool, default=False
        Whether `fit` continues from the model of the previous `fit`, instead of the pretrained one.
    min_steps : int or "auto", default=0
        The minimum number of training steps, at least 0, for which epochs are added; the early stopping patience
        is increased in proportion. "auto" is 100; a classifier by name with `num_epochs` has no minimum.
    calibration : {"auto", "none"}, default="none"
        Whether to calibrate probabilities on the validation texts: by temperature scaling, estimated from the
        training texts if there are none; if multi-label, by Platt scaling, given 20 texts and no `class_weight`.
    seed : int, optional
        The random seed, from 0 to 2**32 - 1. The same seed, data and machine give bitwise identical results.

    Other Parameters
    ----------------
    early_stopping_no_improvement : int, default=5
        Deprecated, use ``fit(early_stopping=...)``: the early stopping patience on the validation loss, in epochs;
        0 disables it.
    early_stopping_acc : float, default=-1
        Deprecated, use ``fit(early_stopping=...)``: training stops above this training accuracy; -1 disables it.
    memory_fix : int, default=1
        The number of epochs between calls that free cached CUDA memory; 0 for never.
    verbosity : int, default=VERBOSITY_MORE_VERBOSE
        The amount of logging: one of the constants of `smalltext_torch.progress`.

    Notes
    -----
    Two optimizations modify the network without changing results, up to rounding: only the rows of the word
    embedding that occur are trained (`smalltext_torch.optimization.rows_in_use`), and the last layer computes only
    the first token if the head uses no other (`smalltext_transformers._network.with_first_token_hooks`).

    Raises
    ------
    InvalidInputError
        If a parameter has the wrong type or is out of range; the message names it, its value and what is allowed.

    Examples
    --------
    >>> TransformerBasedClassification("bert-base-uncased", num_classes=2, seed=1)
    TransformerBasedClassification('bert-base-uncased', num_classes=2)
    """

    name, distribution, version = "transformers", "smalltext-transformers", __version__
    auto_min_steps = 100
    temperature_prior = TemperaturePrior(2.6, class_exponent=1.0, skill_exponent=0.3, usual_skill=0.1)

    def __init__(
        self,
        transformer_model: TransformerModelArguments | str | Path,
        num_classes: int,
        multi_label: bool = False,
        num_epochs: int = 10,
        lr: float | Literal["auto"] = 2e-5,
        mini_batch_size: int = 12,
        validation_set_size: float | Literal["auto"] = 0.1,
        validations_per_epoch: int = 1,
        early_stopping_no_improvement: int = 5,
        early_stopping_acc: float = -1,
        model_selection: bool = True,
        fine_tuning_arguments: FineTuningArguments | None = None,
        device: str | torch.device | None = None,
        memory_fix: int = 1,
        class_weight: ClassWeight = None,
        verbosity: int = VERBOSITY_MORE_VERBOSE,
        cache_dir: str | Path | None = None,
        *,
        max_seq_len: int | Literal["auto"] | None = None,
        long_texts: Literal["truncate", "window"] = "truncate",
        peft_config: PeftConfig | None = None,
        precision: PrecisionName = "float32",
        max_gradient_norm: float = 1.0,
        multi_label_threshold: Threshold | Sequence[float] = 0.5,
        warm_start: bool = False,
        min_steps: int | Literal["auto"] = 0,
        calibration: CalibrationChoice = "none",
        seed: int | None = None,
    ) -> None:
        validation.check_choice("long_texts", long_texts, LONG_TEXTS)
        super().__init__(
            num_classes,
            multi_label,
            num_epochs=num_epochs,
            lr=arguments.DEFAULT_LR if is_auto(lr) else lr,
            mini_batch_size=mini_batch_size,
            validation_set_size=validation_set_size,
            validations_per_epoch=validations_per_epoch,
            early_stopping_no_improvement=early_stopping_no_improvement,
            early_stopping_acc=early_stopping_acc,
            class_weight=class_weight,
            device=device,
            verbosity=verbosity,
            seed=seed,
            multi_label_threshold=multi_label_threshold,
            precision=check_precision(precision),
            max_gradient_norm=max_gradient_norm,
            warm_start=warm_start,
            min_steps=min_steps,
            calibration=calibration,
        )
        arguments.check_cache_dir(cache_dir)
        self.lr = "auto" if is_auto(lr) else self.lr
        self.transformer_model = TransformerModelArguments.of(transformer_model)
        self.model_selection = arguments.check_model_selection(model_selection)
        self.fine_tuning_arguments = arguments.check_fine_tuning(fine_tuning_arguments)
        self.memory_fix = arguments.check_memory_fix(memory_fix)
        self.cache_dir = cache_dir
        self.max_seq_len = arguments.check_max_seq_len(max_seq_len)
        self.long_texts = long_texts
        self.peft_config = _adapters.check_peft_config(peft_config, fine_tuning_arguments)

    @overload
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: Literal[False] = False,
        embedding_method: EmbeddingMethod = "avg",
        hidden_layer_index: int = -1,
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> NDArray[np.float32]: ...
    @overload
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: Literal[True],
        embedding_method: EmbeddingMethod = "avg",
        hidden_layer_index: int = -1,
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> tuple[NDArray[np.float32], Probabilities]: ...
    def embed(
        self,
        data_set: Dataset[Any],
        return_proba: bool = False,
        embedding_method: EmbeddingMethod = "avg",
        hidden_layer_index: int = -1,
        *,
        pbar: Literal["tqdm"] | None = "tqdm",
    ) -> NDArray[np.float32] | tuple[NDArray[np.float32], Probabilities]:
        """Compute the embeddings of texts.

        Parameters
        ----------
        data_set : TextDataset or TransformersDataset
            Texts; labels are ignored.
        return_proba : bool, default=False
            Whether to return the probabilities as well, at no further cost.
        embedding_method : {"avg", "cls"}, default="avg"
            "avg" for the mean over the tokens of the text, without padding; "cls" for the first token.
        hidden_layer_index : int, default=-1
            The index of the hidden states: 0 is the input of the first layer, -1 the output of the last layer.
        pbar : {"tqdm", None}, default="tqdm"
            None shows no progress bar, even if bars are enabled.

        Returns
        -------
        embeddings : ndarray of float32, shape (n, hidden_size)
        proba : ndarray of float32, shape (n, num_classes)
            Only with `return_proba`.
        """
        description = described("embed", pbar)
        validation.check_flag("return_proba", return_proba)
        state = self.require_fitted()
        data_set = validation.prediction_data(data_set, fitted=True, classifier=self)
        _network.check_embedding(embedding_method, hidden_layer_index, state.encoder.config)
        batches = self.batch_inference(state, data_set, description)
        found = _network.embed(batches, state.network, state.loss, embedding_method, hidden_layer_index)
        return found if return_proba else found[0]

    def __repr__(self) -> str:
        """Name the model and the number of classes."""
        kind = ", multi_label=True" if self.multi_label else ""
        return f"{type(self).__name__}({self.transformer_model.model!r}, num_classes={self.num_classes}{kind})"

    def _pretrained(self) -> Pretrained:
        return Pretrained(self.transformer_model, self.cache_dir)

    def make_encoder(self, train_set: Dataset[Any]) -> Encoder:  # noqa: ARG002
        source = self._pretrained()
        tokenizer, config = source.tokenizer(), source.config(self.num_classes, self.multi_label)
        length = source.sentence_length(config, tokenizer) if is_auto(self.max_seq_len) else self.max_seq_len
        encoder = Encoder.of(tokenizer, config, length)
        # Decoders use it to find the last token of a text.
        encoder.config.pad_token_id = encoder.padding
        return encoder

    def encode(self, encoder: Encoder, data_set: Dataset[Any]) -> Ragged:
        return encoder.encode(self._texts(encoder, data_set))

    def training_texts(self, encoder: Encoder, texts: Ragged, num_epochs: int) -> Ragged:
        if not is_auto(self.max_seq_len) or len(texts) >= FEW_TEXTS:
            return texts
        length = training_length(texts.lengths, num_epochs * len(texts), encoder.max_length)
        return encoder.special_tokens.truncated(texts, length)

    def _texts(self, encoder: Encoder, data_set: Dataset[Any]) -> TextDataset | Ragged:
        if isinstance(data_set, TextDataset):
            return data_set
        return TransformersDataset.of(data_set).ids_of(encoder.tokenizer_id)

    def make_network(self, encoder: Encoder) -> nn.Module:
        network, new_weights = self._pretrained().network(encoder.config)
        return with_first_token_hooks(
            network if self.peft_config is None else _adapters.with_adapter(network, self.peft_config, new_weights)
        )

    def inference_strategy(self, state: TorchState[Encoder], data_set: Dataset[Any]) -> NetworkInference:
        batches = self.batch_inference(state, data_set)
        return NetworkInference(state.network, self.forward, state.loss, self.num_classes, batches)

    def batch_inference(
        self, state: TorchState[Encoder], data_set: Dataset[Any], description: str | None = "predict"
    ) -> BatchInference:
        encoder, precision = state.encoder, self.precision_for(state.network, state.device)
        if self.long_texts == "truncate":
            return BatchInference(self.encode(encoder, data_set), precision, encoder.padding, description)
        windows, counts = encoder.windows(self._texts(encoder, data_set))
        return WindowInference(windows, precision, encoder.padding, description, counts=counts)

    def compute_metrics(self, state: TorchState[Encoder], validation_set: Dataset[Any]) -> tuple[float, float]:
        if self.long_texts == "truncate":
            return super().compute_metrics(state, validation_set)
        batches = self.batch_inference(state, validation_set, "validate")
        inference = NetworkInference(state.network, self.forward, state.loss, self.num_classes, batches)
        return _network.evaluate_probabilities(inference.probabilities(), validation_set.y, state.loss)

    def forward(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        return _network.logits(network, batch)

    def precision_for(self, network: nn.Module, device: torch.device) -> Precision:
        configured: Any = network
        mixed = self.precision == "auto" and configured.config.model_type not in FLOAT32_ONLY
        return Precision.of(device, mixed)

    def padding(self, encoder: Encoder) -> int:
        return encoder.padding

    def check_optimization(self, optimizer: OptimizerChoice | None, scheduler: SchedulerChoice | None) -> None:
        if not (optimizer is None and scheduler is None):
            given = "optimizer" if scheduler is None else "scheduler"
            arguments.check_no_fine_tuning(self.fine_tuning_arguments, given)
        super().check_optimization(optimizer, scheduler)

    def default_model_selection(self) -> Literal["none"] | None:
        return None if self.model_selection else "none"

    def configure_optimizer(self, network: nn.Module) -> Optimizer:
        configured: Any = network
        lr = _network.learning_rate(configured.config) if self.lr == "auto" else self.lr
        return adamw(_network.parameter_groups(network, self.fine_tuning_arguments, lr), lr)

    def configure_scheduler(self, optimizer: Optimizer, total_steps: int) -> Scheduler:
        warmup = 0.0 if self.fine_tuning_arguments is None else self.fine_tuning_arguments.cut_fraction
        return linear_decay(optimizer, total_steps, warmup)

    def get_input_embeddings(self, network: nn.Module) -> nn.Embedding | None:
        return _network.word_embedding(network)

    def on_epoch_start(self, network: nn.Module, epoch: int) -> None:
        if self.fine_tuning_arguments is not None:
            _network.unfreeze_top(network, self.fine_tuning_arguments.unfrozen_layers(epoch))
        if self.memory_fix and epoch > 1 and (epoch - 1) % self.memory_fix == 0 and torch.cuda.is_available():
            torch.cuda.empty_cache()

    def save_encoder(self, encoder: Encoder, folder: Path) -> None:
        save_encoder(encoder, folder)

    def load_encoder(self, folder: Path) -> Encoder:
        return saved_encoder(folder)

    def save_network(self, state: TorchState[Encoder], folder: Path) -> None:
        _adapters.save_network(state.network, folder, state.label_names, adapter=self.peft_config is not None)

    def load_network(self, encoder: Encoder, folder: Path) -> nn.Module:
        if self.peft_config is None:
            return with_first_token_hooks(saved_network(folder, encoder.config))
        network, _ = self._pretrained().network(encoder.config)
        return with_first_token_hooks(_adapters.with_saved_adapter(network, folder))

    def parameters_to_save(self) -> dict[str, Any]:
        fine_tuning = self.fine_tuning_arguments
        return {
            **super().parameters_to_save(),
            "transformer_model": self.transformer_model.to_json(),
            "fine_tuning_arguments": None if fine_tuning is None else asdict(fine_tuning),
            "peft_config": None if self.peft_config is None else _adapters.config_to_json(self.peft_config),
            "cache_dir": None if self.cache_dir is None else abbreviated(str(self.cache_dir)),
        }

    @classmethod
    def parameters_from_saved(cls, saved: Mapping[str, Any]) -> dict[str, Any]:
        fine_tuning, adapter = saved["fine_tuning_arguments"], saved["peft_config"]
        return {
            **super().parameters_from_saved(saved),
            "cache_dir": None if saved["cache_dir"] is None else str(Path(saved["cache_dir"]).expanduser()),
            "transformer_model": TransformerModelArguments(**saved["transformer_model"]),
            "fine_tuning_arguments": None if fine_tuning is None else FineTuningArguments(**fine_tuning),
            "peft_config": None if adapter is None else _adapters.saved_config(adapter),
        }
