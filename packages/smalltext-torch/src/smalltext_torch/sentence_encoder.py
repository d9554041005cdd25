"""Encoding of texts with a frozen sentence transformer, so that a vector depends only on its own text.

In float32 on a CPU nothing is padded: a BERT reads several texts as one sequence, and other networks read texts of
equal length. Elsewhere a vector depends on the texts beside it by rounding errors.

transformers is imported where it is used: packages that train other networks do not need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from smalltext_torch.batching import Ragged, make_batch, prediction_batches
from smalltext_torch.device import Precision, copy_sharing_weights, inference, token_budget
from smalltext_torch.sentence_transformer import num_dimensions, prompt_length
from smalltext_torch.tokenization import SentenceTokenizer, tokenize

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceEncoder:
    """A frozen sentence transformer that encodes texts.

    Parameters
    ----------
    body : SentenceTransformer
        It is moved to the device, in evaluation mode, and its weights get no gradients.
    precision : Precision
        The precision and the device to compute in.

    Attributes
    ----------
    body : SentenceTransformer
    tokenizer : SentenceTokenizer
    prompt_length : int or None
        How many tokens at the beginning of each text are left out of the pooling, if any.
    dimensions : int
        The length of a vector.
    packed : PackedTransformer or None
        What encodes texts without padding, where the network allows it.
    """

    def __init__(self, body: SentenceTransformer, precision: Precision) -> None:
        self.dimensions = num_dimensions(body)
        self._precision = precision
        self.tokenizer = SentenceTokenizer.of(body, "auto")
        self.prompt_length = prompt_length(body, self.tokenizer.prompt)
        self.body: Any = body.to(precision.device).requires_grad_(requires_grad=False).eval()
        self._unpadded = precision.device.type == "cpu" and precision.dtype is None
        packed = self._unpadded and PackedTransformer.takes(self.body)
        self.packed = PackedTransformer(self.body) if packed else None

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, shape (len(texts), dimensions); texts that are too long are truncated."""
        tokenizer, precision = self.tokenizer, self._precision
        tokens = tokenize(tokenizer.prompted(texts), tokenizer.tokenizer)
        tokens = tokenizer.frame.cut(tokens, tokenizer.max_length)
        tokenizer.check(tokens, "texts")
        further = {} if self.prompt_length is None else {"prompt_length": self.prompt_length}
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for rows in self._batches(tokens.lengths) if texts else ():
            with inference(self.body, precision):
                if self.packed is None:
                    batch = make_batch(tokens, rows, precision.device, tokenizer.padding, precision.widths)
                    features = {"input_ids": batch.tokens, "attention_mask": batch.mask.long(), **further}
                    found = self.body(features)["sentence_embedding"]
                else:
                    found = self.packed.embeddings(tokens.take(rows), further)
                vectors[rows] = found.float().cpu().numpy()
        return vectors

    def _batches(self, lengths: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
        """Divide texts into batches by their numbers of tokens.

        Without padding, the texts of a batch are packed, or equally long. A small matrix product adds in another
        order than a large one, and the size from which on depends on the number of threads: small batches are
        filled up with texts that they hold.
        """
        budget, threads = token_budget(self._precision.device), torch.get_num_threads()
        if not self._unpadded:
            yield from prediction_batches(lengths, budget, self._precision.widths)
            return
        order = np.arange(len(lengths)) if self.packed else np.argsort(lengths, kind="stable")
        starts = np.diff(lengths[order].cumsum() // budget) > 0
        if self.packed is None:
            starts |= np.diff(lengths[order]) > 0
        for rows in np.split(order, np.flatnonzero(starts) + 1):
            while 0 < lengths[rows].sum() < (32 if threads == 1 else 128 * threads):
                rows = np.append(rows, rows)
            yield rows


class PackedTransformer:
    """A sentence transformer whose BERT reads several texts as one packed sequence, without padding.

    Each text attends only to itself.

    Parameters
    ----------
    body : SentenceTransformer
        It begins with a BERT. Its weights are shared, and it is not changed.
    """

    def __init__(self, body: Any) -> None:
        from transformers import AttentionInterface
        from transformers.masking_utils import AttentionMaskInterface

        AttentionInterface.register(_PACKED, _attend_within_texts)
        AttentionMaskInterface.register(_PACKED, lambda *_, **__: None)
        self._network: Any = copy_sharing_weights(body[0].auto_model)
        self._network.config._attn_implementation = _PACKED
        self._further = list(body)[1:]

    @staticmethod
    def takes(body: Any) -> bool:
        """Return whether a sentence transformer starts with a BERT whose attention can be replaced.

        Before version 5 of transformers, BERT has its own attention.
        """
        network = body[0].auto_model
        return network.config.model_type == "bert" and getattr(network, "_supports_attention_backend", False)

    def embeddings(self, tokens: Ragged, features: Mapping[str, Any]) -> torch.Tensor:
        """Return the embeddings of texts, shape (n, dimensions).

        Parameters
        ----------
        tokens : Ragged
            The token ids of the texts, with those at the beginning and the end.
        features : mapping of str to Any
            What the modules after the BERT are given besides its hidden states, such as the length of a prompt.
        """
        lengths = tokens.lengths.tolist()
        found = self._network(
            input_ids=torch.from_numpy(tokens.tokens.astype(np.int64))[None],
            position_ids=torch.cat([torch.arange(length) for length in lengths])[None],
            lengths=lengths,
        )
        return torch.cat([self._pooled(part, features) for part in found.last_hidden_state.split(lengths, dim=1)])

    def _pooled(self, states: torch.Tensor, features: Mapping[str, Any]) -> torch.Tensor:
        """Return the embedding of a text, shape (1, dimensions)."""
        mask = torch.ones(states.shape[:2], dtype=torch.int64)
        given: dict[str, Any] = {"token_embeddings": states, "attention_mask": mask, **features}
        for module in self._further:
            given = module(given)
        pooled: torch.Tensor = given["sentence_embedding"]
        return pooled


_PACKED = "smalltext_packed"
"""The name under which transformers knows this attention."""


def _attend_within_texts(
    _module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    scaling: float,
    lengths: list[int],
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention within each text, shape (1, tokens, heads, dimensions), and no weights."""
    parts = zip(*(torch.split(part, lengths, dim=2) for part in (query, key, value)), strict=True)
    attended = [functional.scaled_dot_product_attention(q, k, v, scale=scaling) for q, k, v in parts]
    return torch.cat([part.transpose(1, 2) for part in attended], dim=1), None
