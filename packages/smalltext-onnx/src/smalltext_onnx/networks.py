"""The networks of classifiers as one module that maps token ids and attention mask to calibrated probabilities.

Classifiers are recognised by their parts, not by their class. Those that can be exported are derived from
`smalltext_torch.base.TorchModelBase`, with a method ``forward(network, batch)`` that returns logits and a state
that holds an `Encoder` or a `SentenceTokenizer`, or have a linear head on the embeddings of a sentence
transformer.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from smalltext_core.errors import UnsupportedError
from smalltext_onnx.settings import MAX_TOKEN_ID, TextSettings
from smalltext_torch.base import TorchModelBase
from smalltext_torch.batching import Batch
from smalltext_torch.inference import Loss
from smalltext_torch.tokenization import Encoder, SentenceTokenizer, filler, without_limits

_TOO_SMALL = 1e-30


@dataclass(frozen=True)
class Exportable:
    """What is exported: a network from token ids and mask to probabilities, and the tokenizer and its settings."""

    network: nn.Module
    tokenizer: str
    text: TextSettings


class _Probabilities(nn.Module):
    """A network followed by the conversion of logits to probabilities."""

    def __init__(self, network: nn.Module, classifier: Any, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self._forward = classifier.forward
        self._loss = loss

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return probabilities, shape (n, num_classes); both arguments are int64 of shape (n, longest)."""
        return self._loss.probabilities(self._forward(self.network, Batch(tokens, mask.sum(dim=1))))


class _HeadOnVectors(nn.Module):
    """A linear head on the embeddings of a sentence transformer, scaled to unit length."""

    def __init__(self, body: nn.Module, head: Any, multi_label: bool, prompt_length: int | None) -> None:
        super().__init__()
        self.body = body
        self.coefficients = nn.Parameter(torch.from_numpy(head.coefficients).float(), requires_grad=False)
        self.intercepts = nn.Parameter(torch.from_numpy(head.intercepts).float(), requires_grad=False)
        self._loss = Loss(multi_label, calibration=head.calibration)
        self._further = {} if prompt_length is None else {"prompt_length": prompt_length}

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return probabilities, shape (n, num_classes); both arguments are int64 of shape (n, longest)."""
        features = {"input_ids": tokens, "attention_mask": mask, **self._further}
        vectors = self.body(features)["sentence_embedding"].float()
        scaled = vectors / vectors.abs().amax(dim=1, keepdim=True).clamp(min=_TOO_SMALL)
        unit = scaled / scaled.square().sum(dim=1, keepdim=True).sqrt().clamp(min=_TOO_SMALL)
        return self._loss.probabilities(unit @ self.coefficients + self.intercepts)


def exportable(classifier: Any) -> Exportable:
    """Return the parts of a fitted classifier that are exported.

    Raises
    ------
    UnsupportedError
        If it has no network that reads token ids, or its tokenizer is not from the tokenizers library.
    NotFittedError
        If `fit` was not called.
    """
    name = type(classifier).__name__
    if isinstance(classifier, TorchModelBase) and hasattr(classifier, "forward"):
        state: Any = classifier.require_fitted()
        encoder = getattr(state, "encoder", getattr(state, "tokenizer", None))
        if isinstance(encoder, Encoder):
            windows = getattr(classifier, "long_texts", "truncate") == "window"
            return _of_network(classifier, state, _encoder_settings(encoder, name, windows), encoder.tokenizer)
        if isinstance(encoder, SentenceTokenizer):
            return _of_network(classifier, state, _sentence_settings(encoder, name), encoder.tokenizer)
    encoder = getattr(classifier, "encoder", None)
    if getattr(encoder, "kind", None) == "sentence-transformers":
        return _of_vectors(classifier, encoder, name)
    raise UnsupportedError(_why_not(name, encoder))


def _why_not(name: str, encoder: Any) -> str:
    can = "ONNX supports transformers, setfit, and embeddings with a sentence transformer; train one of these"
    if hasattr(encoder, "kind"):
        what = f"{name} with the encoder {encoder!r} is not exported to ONNX: it needs no torch as it is"
        return f"{what}. Save it, and load it where it is to run. {can}."
    what = (
        f"{name} is not exported to ONNX: it splits texts into words by code that neither an ONNX graph nor a "
        "tokenizer.json can express"
    )
    return f"{what}. Save it, and load it where it is to run: sklearn needs no torch, and is the fastest. {can}."


def _of_network(classifier: Any, state: Any, text: TextSettings, tokenizer: Any) -> Exportable:
    network = _Probabilities(_on_cpu(state.network), classifier, state.loss)
    return Exportable(network.eval(), without_limits(tokenizer).to_str(), text)


def _of_vectors(classifier: Any, encoder: Any, name: str) -> Exportable:
    loaded = encoder.loaded
    text = _sentence_settings(loaded.tokenizer, name)
    network = _HeadOnVectors(_on_cpu(loaded.body), classifier.head_, classifier.multi_label, loaded.prompt_length)
    return Exportable(network.eval(), without_limits(loaded.tokenizer.tokenizer).to_str(), text)


def _on_cpu(network: nn.Module) -> nn.Module:
    """Return a copy of a network on the CPU, in float32, with adapters merged into the weights."""
    copied: Any = copy.deepcopy(network).cpu().float()
    if hasattr(copied, "merge_and_unload"):
        copied = copied.merge_and_unload()
    return cast("nn.Module", copied.requires_grad_(requires_grad=False))


def _encoder_settings(encoder: Encoder, name: str, windows: bool) -> TextSettings:
    _check_tokenizer(encoder.tokenizer, name)
    if encoder.config.is_encoder_decoder:
        what = f"{name} with a model that has a decoder ({encoder.config.model_type}) is not exported to ONNX"
        raise UnsupportedError(f"{what}. Train a model that is only an encoder, such as BERT or RoBERTa.")
    size = getattr(encoder.config, "vocab_size", None) or MAX_TOKEN_ID
    text = TextSettings(
        encoder.max_length,
        encoder.special_tokens.before,
        encoder.special_tokens.after,
        encoder.padding,
        0,
        size,
        windows=windows,
    )
    return replace(text, filler=filler(encoder.tokenizer))


def _sentence_settings(encoder: SentenceTokenizer, name: str) -> TextSettings:
    _check_tokenizer(encoder.tokenizer, name)
    return TextSettings(
        encoder.max_length,
        encoder.special_tokens.before,
        encoder.special_tokens.after,
        encoder.padding,
        filler(encoder.tokenizer),
        encoder.vocabulary_size,
        encoder.prompt,
    )


def _check_tokenizer(tokenizer: Any, name: str) -> None:
    if not tokenizer.is_fast:
        what = f"{name} with the tokenizer {type(tokenizer).__name__} is not exported to ONNX"
        raise UnsupportedError(f"{what}: only tokenizers of the tokenizers library are (tokenizer.json).")
