"""Pretrained models, configurations and tokenizers: from a folder, a cache or a hub; no code of theirs is run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import CONFIG_NAME

from smalltext_core.errors import InvalidInputError
from smalltext_torch.silence import silence
from smalltext_torch.tokens import positions
from smalltext_transformers import fitting
from smalltext_transformers.arguments import TransformerModelArguments

UNBOUNDED = 1_000_000
"""Tokenizers say a larger number than this where nobody told them how many tokens the model takes."""

DEFAULT_WINDOW = 512
"""How many tokens are taken where neither the model nor its tokenizer sets a limit."""

ADAPTED = "config"
"""The folder of the configuration beside a saved adapter.

Where it lies beside the adapter itself, transformers looks there for the weights of the whole model too.
"""


class Pretrained:
    """Loads what one classifier needs of a pretrained model.

    Parameters
    ----------
    arguments : TransformerModelArguments
    cache_dir : str or path, optional
        Where downloads are kept; by default where all of transformers keeps them.
    """

    def __init__(self, arguments: TransformerModelArguments, cache_dir: str | Path | None = None) -> None:
        self._arguments = arguments
        self._cache_dir = cache_dir

    def config(self, num_classes: int, multi_label: bool) -> PretrainedConfig:
        """Return the configuration of the model with a head for so many classes."""
        problem = "multi_label_classification" if multi_label else "single_label_classification"
        with self._loading("config", self._arguments.config):
            config: PretrainedConfig = AutoConfig.from_pretrained(
                self._arguments.config, num_labels=num_classes, problem_type=problem, **self._options()
            )
        # What the classes are called is said by a dataset, and what is wanted besides logits by whoever wants it.
        config.id2label = {number: f"LABEL_{number}" for number in range(num_classes)}
        config.label2id = {name: number for number, name in config.id2label.items()}
        config.return_dict, config.output_hidden_states, config.output_attentions = True, False, False
        return config

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer."""
        with self._loading("tokenizer", self._arguments.tokenizer):
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                self._arguments.tokenizer, **self._options()
            )
        if not fitting.knows_words(tokenizer):
            raise InvalidInputError(
                "tokenizer",
                f"{self._arguments.tokenizer!r}, which has no vocabulary",
                "the folder of a tokenizer, or the name of one on the Hugging Face hub",
                "Save the tokenizer there too, with its save_pretrained, or say where it is: tokenizer=...",
            )
        return tokenizer

    def network(self, config: PretrainedConfig) -> tuple[PreTrainedModel, list[str]]:
        """Return the model on the CPU in float32, and the names of the parameters that had to be drawn at random.

        Raises
        ------
        InvalidInputError
            If there is no such model, or other parameters than those of a head or a pooler are not there.
        """
        source = self._arguments.model
        with self._loading("model", source):
            of_model, config = _network_class(config)
            loaded: tuple[PreTrainedModel, dict[str, Any]] = of_model.from_pretrained(
                source,
                config=copy.deepcopy(config),
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **self._options(),
            )
        network, info = loaded
        problem = fitting.misfit(network, info)
        if problem is not None:
            argument = "model" if self._arguments.config == source else "config"
            given = f"{getattr(self._arguments, argument)!r}, for which {source!r} has {problem}"
            raise InvalidInputError(argument, given, "a configuration and a model that were saved together")
        return network, fitting.drawn(network, info)

    def _options(self) -> dict[str, Any]:
        return {
            "trust_remote_code": False,
            "cache_dir": None if self._cache_dir is None else str(self._cache_dir),
            **self._arguments.model_loading_strategy.arguments(),
        }

    @contextmanager
    def _loading(self, part: str, source: str) -> Iterator[None]:
        allowed = "the folder of a model for transformers, or the name of one on the Hugging Face hub"
        # What was not given of its own is looked for where the model is.
        argument = "model" if source == self._arguments.model else part
        # transformers takes what is no folder for a name on the hub, and then complains of its letters.
        if (Path(source).is_absolute() or source.startswith((".", "~"))) and not Path(source).is_dir():
            raise InvalidInputError(argument, f"{source!r}, where there is no folder", allowed)
        if argument == "model" and Path(source).is_dir() and not (Path(source) / CONFIG_NAME).is_file():
            raise InvalidInputError(argument, f"{source!r}, a folder without {CONFIG_NAME}", allowed)
        try:
            with silence():
                yield
        except Exception as error:  # Damaged files make these libraries raise whatever they happen to.
            reason = str(error).strip().partition("\n")[0]
            given = f"{source!r}, of which the {part} cannot be loaded"
            raise InvalidInputError(argument, given, allowed, f"{type(error).__name__}: {reason}") from error


def _network_class(config: PretrainedConfig) -> tuple[Any, PretrainedConfig]:
    """Return the class that classifies texts with a model, and the part of a configuration that it takes.

    AutoModelForSequenceClassification would do the same, but where peft is installed it first asks the hub for an
    adapter, whatever it was told of the cache and of the network.

    Raises
    ------
    ValueError
        If models of this type classify no texts.
    """
    found: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    if found is None:
        raise ValueError(f"models of the type {config.model_type!r} classify no texts")
    return found, config if isinstance(config, found.config_class) else config.get_text_config()


def window(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return how many tokens of a text the model takes."""
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length <= UNBOUNDED else []
    most = positions(config)
    if most is not None:
        limits.append(most)
    return min(limits, default=DEFAULT_WINDOW)


def saved_config(folder: Path) -> PretrainedConfig:
    """Read the configuration of a saved classifier."""
    home = folder / ADAPTED if (folder / ADAPTED).is_dir() else folder
    config: PretrainedConfig = AutoConfig.from_pretrained(home, trust_remote_code=False, local_files_only=True)
    return config


def saved_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a saved classifier."""
    with silence():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    return tokenizer


def saved_network(folder: Path) -> PreTrainedModel:
    """Read the network of a saved classifier."""
    with silence():
        network: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
    return network
