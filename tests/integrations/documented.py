"""The signatures on the documentation page of small-text's classifiers, transcribed as data.

Each key is a class, a method or a function; each value its parameters, as they would stand in a ``def``. A default
of ``...`` is one that the page does not show.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

FIT_NETWORK = (
    "train_set, validation_set=None, weights=None, early_stopping=None, model_selection=None, optimizer=None, "
    "scheduler=None"
)

SIGNATURES = {
    "Classifier.fit": "train_set, weights=None",
    "Classifier.predict": "data_set, return_proba=False",
    "Classifier.predict_proba": "data_set",
    "SklearnClassifier": "model, num_classes, multi_label=False",
    "SklearnClassifier.fit": "train_set, weights=None",
    "SklearnClassifier.predict": "data_set, return_proba=False",
    "SklearnClassifier.predict_proba": "data_set",
    "KimCNNClassifier": (
        "num_classes, multi_label=False, embedding_matrix=None, device=None, num_epochs=10, mini_batch_size=25, "
        "lr=0.001, max_seq_len=60, out_channels=100, filter_padding=0, dropout=0.5, validation_set_size=0.1, "
        "padding_idx=0, kernel_heights=[3, 4, 5], early_stopping=5, early_stopping_acc=-1, class_weight=None, "
        "verbosity=..."
    ),
    "KimCNNClassifier.fit": FIT_NETWORK,
    "KimCNNClassifier.validate": "validation_set",
    "KimCNNClassifier.predict": "dataset, return_proba=False",
    "KimCNNClassifier.predict_proba": "dataset, dropout_sampling=1",
    "TransformerModelArguments": "model, tokenizer=None, config=None, model_loading_strategy='default'",
    "FineTuningArguments": "base_lr, layerwise_gradient_decay, gradual_unfreezing=-1, cut_fraction=0.1",
    "TransformerBasedClassification": (
        "transformer_model, num_classes, multi_label=False, num_epochs=10, lr=2e-5, mini_batch_size=12, "
        "validation_set_size=0.1, validations_per_epoch=1, early_stopping_no_improvement=5, "
        "early_stopping_acc=-1, model_selection=True, fine_tuning_arguments=None, device=None, memory_fix=1, "
        "class_weight=None, verbosity=..., cache_dir='.active_learning_lib_cache/'"
    ),
    "TransformerBasedClassification.fit": FIT_NETWORK,
    "TransformerBasedClassification.validate": "validation_set",
    "TransformerBasedClassification.predict": "dataset, return_proba=False",
    "TransformerBasedClassification.predict_proba": "dataset, dropout_sampling=1",
    "SetFitModelArguments": "sentence_transformer_model, model_loading_strategy='default'",
    "SetFitClassification": (
        "setfit_model_args, num_classes, multi_label=False, max_seq_len=512, use_differentiable_head=False, "
        "mini_batch_size=32, model_kwargs={}, trainer_kwargs={}, device=None"
    ),
    "SetFitClassification.fit": "train_set, validation_set=None, setfit_train_kwargs={}",
    "SetFitClassification.predict": "dataset, return_proba=False",
    "SetFitClassification.predict_proba": "dataset, dropout_sampling=1",
    "SklearnClassifierFactory": "base_estimator, num_classes, kwargs={}",
    "KimCNNFactory": "classifier_name, num_classes, kwargs={}",
    "TransformerBasedClassificationFactory": "transformer_model_args, num_classes, kwargs={}",
    "SetFitClassificationFactory": "setfit_model_args, num_classes, classification_kwargs={}",
}


def documented() -> dict[str, Callable[..., None]]:
    """Return a function of each documented signature."""
    return {name: _function(parameters) for name, parameters in SIGNATURES.items()}


def _function(parameters: str) -> Callable[..., None]:
    arguments: Any = ast.parse(f"lambda {parameters}: None", mode="eval").body
    names = [argument.arg for argument in arguments.args.args]
    defaults = [ast.literal_eval(default) for default in arguments.args.defaults]
    required = len(names) - len(defaults)
    signature = inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=inspect.Parameter.empty if number < required else defaults[number - required],
            )
            for number, name in enumerate(names)
        ]
    )

    def function() -> None:
        pass

    function.__signature__ = signature  # type: ignore[attr-defined]
    return function
