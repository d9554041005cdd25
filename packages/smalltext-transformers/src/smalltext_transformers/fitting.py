"""Whether what was loaded of a pretrained model fits: its weights and its configuration, and its tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from smalltext_transformers.layers import stack, word_embedding

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def head(network: PreTrainedModel) -> list[str]:
    """Return the names of the modules with parameters that stand on top of the pretrained model."""
    return [
        name
        for name, module in network.named_children()
        if name != network.base_model_prefix and next(module.parameters(), None) is not None
    ]


def drawn(network: PreTrainedModel, loading_info: Mapping[str, Iterable[Any]]) -> list[str]:
    """Return the names of the parameters that were drawn at random: there were none, or none of their shape.

    Parameters
    ----------
    network : PreTrainedModel
    loading_info : mapping
        What ``from_pretrained(..., output_loading_info=True)`` returns beside it.
    """
    gone = {*loading_info["missing_keys"], *_mismatched(loading_info)}
    return [name for name, _ in network.named_parameters() if name in gone]


def misfit(network: PreTrainedModel, loading_info: Mapping[str, Iterable[Any]]) -> str | None:
    """Return what keeps weights from being those of a network, in words; None where they fit.

    A head may be new or of another shape, and a pooler may be new. What the layers of the pretrained model and its
    word embedding consist of has to be there.
    """
    inside = f"{network.base_model_prefix}."
    other_shape = sorted(name for name in _mismatched(loading_info) if name.startswith(inside))
    if other_shape:
        return f"weights of another shape for {_some(other_shape)}"
    missing = set(loading_info["missing_keys"])
    lacking = sorted(name for name in _indispensable(network) if name.startswith(inside) and name in missing)
    return f"no weights for {_some(lacking)}" if lacking else None


def knows_words(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a tokenizer has a vocabulary: without its files some are made of special tokens alone."""
    special = set(tokenizer.all_special_tokens)
    return any(token.strip("▁") for token in tokenizer.get_vocab() if token not in special)


def _mismatched(loading_info: Mapping[str, Iterable[Any]]) -> set[str]:
    # Before version 5 transformers names the parameters alone, since then their shapes too.
    return {entry if isinstance(entry, str) else entry[0] for entry in loading_info["mismatched_keys"]}


def _indispensable(network: PreTrainedModel) -> set[str]:
    found, embedding = stack(network), word_embedding(network)
    layers = () if found is None else (f"{found[0]}.",)
    return {
        name
        for name, parameter in network.named_parameters()
        if name.startswith(layers) or (embedding is not None and parameter is embedding.weight)
    }


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
