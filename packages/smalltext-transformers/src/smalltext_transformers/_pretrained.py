"""Loading of pretrained models, configurations and tokenizers from a folder, a cache or a hub; runs no code."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import CONFIG_NAME

from smalltext_core.atomic import expanded
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import shown
from smalltext_torch import model_loading, pretrained_files
from smalltext_torch.pretrained_files import PretrainedFolderError, temporary_folder
from smalltext_torch.progress import silence
from smalltext_torch.tokenization import Encoder, SpecialTokens, max_tokens
from smalltext_torch.untrusted_json import checked_object, read_object, refuse
from smalltext_transformers._network import stack, word_embedding
from smalltext_transformers.arguments import TransformerModelArguments

ENCODER = "encoder.json"

SENTENCE_CONFIG = "sentence_bert_config.json"
"""The file in which sentence-transformers stores the maximum length of texts."""

ADAPTED = "config"
"""The folder for the configuration of the model of a saved adapter.

If the configuration were next to the adapter, transformers would look there for the weights of the whole model.
"""


class Pretrained:
    """Loads the parts of a pretrained model; downloads are stored in `cache_dir`."""

    def __init__(self, arguments: TransformerModelArguments, cache_dir: str | Path | None = None) -> None:
        self._arguments = arguments
        self._cache_dir = None if cache_dir is None else expanded(cache_dir)

    def config(self, num_classes: int, multi_label: bool) -> PretrainedConfig:
        """Return the configuration of the model, with a head for `num_classes` classes."""
        problem = "multi_label_classification" if multi_label else "single_label_classification"
        with self._loading("config", self._arguments.config) as folder:
            config: PretrainedConfig = AutoConfig.from_pretrained(
                folder, num_labels=num_classes, problem_type=problem, **self._options()
            )
        config.name_or_path = self._arguments.config
        # Names of classes come from datasets; outputs other than logits are requested by the calls that need them.
        config.id2label = {number: f"LABEL_{number}" for number in range(num_classes)}
        config.label2id = {name: number for number, name in config.id2label.items()}
        config.return_dict, config.output_hidden_states, config.output_attentions = True, False, False
        return config

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer."""
        with self._loading("tokenizer", self._arguments.tokenizer) as folder:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **self._options())
        tokenizer.name_or_path = self._arguments.tokenizer
        if not has_vocabulary(tokenizer):
            raise InvalidInputError(
                "tokenizer",
                f"{shown(self._arguments.tokenizer)}, which has no vocabulary",
                "the folder of a tokenizer, or the name of one on the Hugging Face hub",
                "Save the tokenizer there too, with its save_pretrained, or say where it is: tokenizer=...",
            )
        return tokenizer

    def network(self, config: PretrainedConfig) -> tuple[PreTrainedModel, list[str]]:
        """Return the model on the CPU in float32, and the names of the randomly initialized parameters.

        Raises
        ------
        InvalidInputError
            If the model does not exist, or parameters other than those of a head or a pooler are missing.
        """
        source = self._arguments.model
        with self._loading("model", source) as folder:
            of_model, config = _network_class(config)
            loaded: tuple[PreTrainedModel, dict[str, Any]] = of_model.from_pretrained(
                folder,
                config=copy.deepcopy(config),
                dtype=torch.float32,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **self._options(),
            )
        network, info = loaded
        network.name_or_path = network.config.name_or_path = source
        problem = mismatch(network, info)
        if problem is not None:
            argument = "model" if self._arguments.config == source else "config"
            given = f"{shown(getattr(self._arguments, argument))}, for which {shown(source)} has {problem}"
            raise InvalidInputError(argument, given, "a configuration and a model that were saved together")
        return network, randomly_initialized(network, info)

    def sentence_length(self, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int | None:
        """Return the maximum length of a sentence transformer; None for any other model."""
        source = self._arguments.config
        with self._loading("config", source):
            path = self._folder("config", source) / SENTENCE_CONFIG
            length = read_object(path).get("max_seq_length") if path.is_file() else None
        return min(length, max_tokens(config, tokenizer)) if type(length) is int and length > 0 else None

    def _options(self) -> dict[str, Any]:
        return {
            "trust_remote_code": False,
            "cache_dir": None if self._cache_dir is None else str(self._cache_dir),
            **self._arguments.model_loading_strategy.arguments(),
        }

    @contextmanager
    def _loading(self, part: str, source: str) -> Iterator[Path]:
        """Check one part of a model, and yield a folder with only its checked files."""
        allowed = "the folder of a model for transformers, or the name of one on the Hugging Face hub"
        # Parts that were not passed separately are looked up in the folder of the model.
        argument = "model" if source == self._arguments.model else part
        model_loading.check_source_exists(argument, source, allowed)
        if argument == "model" and Path(source).is_dir() and not (Path(source) / CONFIG_NAME).is_file():
            raise InvalidInputError(argument, f"{shown(source)}, a folder without {CONFIG_NAME}", allowed)
        problem = f", of which the {part} cannot be loaded"
        try:
            explained = model_loading.library_errors_explained(argument, source, allowed, problem)
            with explained, silence(), temporary_folder() as checked:
                _copy_checked(part, self._folder(part, source), checked, saved=False)
                yield checked
        except ModelFolderError as error:
            reason = f"{type(error).__name__}: {error}"
            raise PretrainedFolderError(argument, f"{shown(source)}{problem}", allowed, reason) from error

    def _folder(self, part: str, source: str) -> Path:
        """Return the folder of a model, downloading it if necessary."""
        if Path(source).is_dir():
            return Path(source)
        options = {"cache_dir": self._cache_dir, **self._arguments.model_loading_strategy.arguments()}
        if part == "model":
            return model_loading.fetched_weights(snapshot_download, source, model_loading.CONFIG_FILES, **options)
        patterns = (
            (*model_loading.CONFIG_FILES, SENTENCE_CONFIG)
            if part == "config"
            else model_loading.TOKENIZER_PATTERNS
        )
        return model_loading.fetched(snapshot_download, source, patterns, **options)


def _copy_checked(part: str, folder: Path, checked: Path, *, saved: bool) -> model_loading.Shapes:
    """Check one part of a model, copy it into another folder, and return the shapes of its weights."""
    if part != "model" and (part == "config" or (folder / CONFIG_NAME).is_file()):
        # If the class of the tokenizer is not specified, it is derived from the type of the model.
        pretrained_files.put_config(folder, checked, transformers, saved=saved)
    if part == "tokenizer":
        pretrained_files.put_tokenizer(folder, checked, transformers, saved=saved)
    return model_loading.put_weights(folder, checked, saved=saved) if part == "model" else {}


@contextmanager
def _checked(part: str, folder: Path) -> Iterator[tuple[Path, model_loading.Shapes]]:
    """Check one part of a saved classifier, and yield a folder with that part only, and the shapes of weights."""
    with silence(), temporary_folder() as checked:
        shapes = _copy_checked(part, folder, checked, saved=True)
        yield checked, shapes


def _network_class(config: PretrainedConfig) -> tuple[Any, PretrainedConfig]:
    """Return the sequence classification class of a model, and the part of a configuration for it.

    AutoModelForSequenceClassification would do the same, but if peft is installed, it first asks the hub for an
    adapter, regardless of its arguments for the cache and offline use.

    Raises
    ------
    ValueError
        If models of this type do not support sequence classification.
    """
    found: Any = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    if found is None:
        raise ValueError(f"models of the type {shown(config.model_type)} classify no texts")
    return found, config if isinstance(config, found.config_class) else config.get_text_config()


def head(network: PreTrainedModel) -> list[str]:
    """Return the names of the modules with parameters on top of the pretrained model."""
    return [
        name
        for name, module in network.named_children()
        if name != network.base_model_prefix and next(module.parameters(), None) is not None
    ]


def randomly_initialized(network: PreTrainedModel, loading_info: Mapping[str, Iterable[Any]]) -> list[str]:
    """Return the names of the randomly initialized parameters, which were missing or had another shape."""
    not_loaded = {*loading_info["missing_keys"], *_mismatched(loading_info)}
    return [name for name, _ in network.named_parameters() if name in not_loaded]


def mismatch(network: PreTrainedModel, loading_info: Mapping[str, Iterable[Any]]) -> str | None:
    """Describe why weights do not fit a network; return None if they fit.

    A head may be new or have another shape, and a pooler may be new. All weights of the layers and of the word
    embedding of the pretrained model are required.
    """
    inside = f"{network.base_model_prefix}."
    other_shape = sorted(name for name in _mismatched(loading_info) if name.startswith(inside))
    if other_shape:
        return f"weights of another shape for {_some(other_shape)}"
    missing = set(loading_info["missing_keys"])
    lacking = sorted(name for name in _required_weights(network) if name.startswith(inside) and name in missing)
    return f"no weights for {_some(lacking)}" if lacking else None


def has_vocabulary(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer has a vocabulary; some that lack their files have only special tokens."""
    special = set(tokenizer.all_special_tokens)
    return any(token.strip("▁") for token in tokenizer.get_vocab() if token not in special)


def _mismatched(loading_info: Mapping[str, Iterable[Any]]) -> set[str]:
    # Since version 5, transformers lists the shapes of the parameters as well as their names.
    return {entry if isinstance(entry, str) else entry[0] for entry in loading_info["mismatched_keys"]}


def _required_weights(network: PreTrainedModel) -> set[str]:
    found, embedding = stack(network), word_embedding(network)
    layers = () if found is None else (f"{found[0]}.",)
    return {
        name
        for name, parameter in network.named_parameters()
        if name.startswith(layers) or (embedding is not None and parameter is embedding.weight)
    }


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def tidy(folder: Path) -> None:
    """Remove unused files and all local paths from a folder that transformers wrote."""
    pretrained_files.tidy(folder, transformers)


def saved_config(folder: Path) -> PretrainedConfig:
    """Read the configuration of a saved classifier."""
    home = folder / ADAPTED if (folder / ADAPTED).is_dir() else folder
    with _checked("config", home) as (checked, _):
        config: PretrainedConfig = AutoConfig.from_pretrained(checked, **_LOCAL)
    config.name_or_path = ""
    return config


def saved_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a saved classifier."""
    with _checked("tokenizer", folder) as (checked, _):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(checked, **_LOCAL)
    tokenizer.name_or_path = ""
    return tokenizer


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Save the tokenizer of a classifier in a folder; the configuration is saved with the network."""
    encoder.tokenizer.save_pretrained(folder)
    tidy(folder)
    content = {"max_length": encoder.max_length, "tokenizer_id": encoder.tokenizer_id}
    (folder / ENCODER).write_text(json.dumps(content), encoding="utf-8")


def saved_encoder(folder: Path) -> Encoder:
    """Read what `save_encoder` wrote."""
    path = folder / ENCODER
    content = checked_object(path, read_object(path), {"max_length": int, "tokenizer_id": str})
    if content.keys() != {"max_length", "tokenizer_id"}:
        refuse(path, "", "max_length or tokenizer_id is missing")
    tokenizer, config = saved_tokenizer(folder), saved_config(folder)
    special_tokens, most = SpecialTokens.of(tokenizer), max_tokens(config, tokenizer)
    if not special_tokens.before + special_tokens.after < content["max_length"] <= most:
        refuse(path, "max_length", f"it holds {content['max_length']}", f"up to {most}, which the model takes")
    return Encoder(tokenizer, config, content["max_length"], special_tokens, content["tokenizer_id"])


def saved_network(folder: Path, config: PretrainedConfig) -> PreTrainedModel:
    """Read the network of a saved classifier, which must be complete.

    Raises
    ------
    ModelFolderError
        If the weights do not match the configuration.
    """
    with _checked("model", folder) as (checked, shapes):
        of_model, config = _network_class(config)
        model_loading.check_size(meta_network(of_model, config), shapes, folder / CONFIG_NAME)
        loaded: tuple[PreTrainedModel, dict[str, Any]] = of_model.from_pretrained(
            checked,
            config=copy.deepcopy(config),
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **_LOCAL,
        )
    network, info = loaded
    lacking = randomly_initialized(network, info)
    if lacking:
        what = f"{folder / CONFIG_NAME} does not fit the weights: there are none for {shown(lacking[0])}"
        raise ModelFolderError(f"{what}. Save the model again.")
    model_loading.check_complete(network, shapes, folder / CONFIG_NAME)
    network.name_or_path = network.config.name_or_path = ""
    return network


def meta_network(of_model: Any, config: PretrainedConfig) -> PreTrainedModel:
    """Return a network on the meta device, to determine its size."""
    with torch.device("meta"):
        network: PreTrainedModel = of_model(copy.deepcopy(config))
    return network


_LOCAL: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
