"""Encoding of texts with a frozen sentence transformer, such that each vector depends only on its own text.

In float32 on a CPU there is no padding: a BERT reads several texts as one packed sequence, and other networks read
texts of equal length. On other devices, vectors depend on the other texts of the batch up to rounding errors.

transformers is imported lazily: packages that train other networks do not need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from smalltext_core.saving import damage_explained
from smalltext_torch.batching import Ragged, make_batch, prediction_batches
from smalltext_torch.device import (
    Precision,
    TorchRandomness,
    check_precision,
    copy_sharing_weights,
    inference,
    resolve_device,
    token_budget,
)
from smalltext_torch.pretrained_files import temporary_folder
from smalltext_torch.sentence_transformer import load_pretrained, model_files, num_dimensions, prompt_length
from smalltext_torch.tokenization import SentenceTokenizer, tokenize

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_SAMPLE = ("a", "The quick brown fox jumps over the lazy dog.", "2026: ein Satz, der etwas sagt", "\u4f60\u597d")


class SentenceEncoder:
    """A frozen sentence transformer that encodes texts.

    Parameters
    ----------
    body : SentenceTransformer
        It is moved to the device, put into evaluation mode, and its weights are frozen.
    precision : Precision
        The precision and the device to compute in.

    Attributes
    ----------
    body : SentenceTransformer
    tokenizer : SentenceTokenizer
    prompt_length : int or None
        The number of tokens at the beginning of each text that are excluded from pooling, if any.
    dimensions : int
        The length of a vector.
    packed : PackedTransformer or None
        The encoder without padding, if the network supports it.
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

    @classmethod
    def load(
        cls,
        source: Path | Mapping[str, bytes],
        name: str,
        *,
        device: str | torch.device | None = None,
        precision: Literal["float32", "auto"] = "float32",
    ) -> tuple[SentenceEncoder, dict[str, bytes | Path]]:
        """Load a sentence transformer, whose files are checked before any library reads them.

        Parameters
        ----------
        source : Path, or mapping of str to bytes
            The folder, or the content of its files by their paths in it.
        name : str
            The name or path that messages show.
        device : str or torch.device, optional
            By default the best one available.
        precision : {"float32", "auto"}, default="float32"
            "auto" is bfloat16 or float16 on devices that are faster with it.

        Returns
        -------
        encoder : SentenceEncoder
        files : dict of str to (bytes or Path)
            The files that the model consists of.

        Raises
        ------
        ModelFolderError
            If a file is missing, damaged or not allowed, or the vectors of a text are not finite.
        """
        where = resolve_device(device)
        chosen = Precision.of(where, check_precision(precision) == "auto")
        with temporary_folder() as place, TorchRandomness(0, where).as_global():
            folder = source if isinstance(source, Path) else place
            for path, part in {} if isinstance(source, Path) else source.items():
                (place / path).parent.mkdir(parents=True, exist_ok=True)
                (place / path).write_bytes(part)
            body = load_pretrained("encoder", name, lambda: folder)
            files: dict[str, bytes | Path] = model_files(folder) if isinstance(source, Path) else {**source}
        encoder = cls(body, chosen)
        with damage_explained(name):
            if not np.isfinite(encoder.encode(list(_SAMPLE))).all():
                raise ValueError("its weights give NaN or infinity")
        return encoder, files

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, shape (len(texts), dimensions); texts that are too long are truncated."""
        tokenizer, precision = self.tokenizer, self._precision
        tokens = tokenize(tokenizer.prompted(texts), tokenizer.tokenizer)
        tokens = tokenizer.special_tokens.truncated(tokens, tokenizer.max_length)
        tokenizer.check(tokens, "texts")
        further = {} if self.prompt_length is None else {"prompt_length": self.prompt_length}
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for rows in self._batches(tokens.lengths) if texts else ():
            with inference(self.body, precision):
                if self.packed is None:
                    batch = make_batch(tokens, rows, precision.device, tokenizer.padding, precision.width_multiple)
                    features = {"input_ids": batch.tokens, "attention_mask": batch.mask.long(), **further}
                    found = self.body(features)["sentence_embedding"]
                else:
                    found = self.packed.embeddings(tokens.take(rows), further)
                vectors[rows] = found.float().cpu().numpy()
        return vectors

    def _batches(self, lengths: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
        """Divide texts into batches by their numbers of tokens.

        Without padding, the texts of a batch are packed, or have equal lengths. Small batches are filled up with
        repeated texts, since a small matrix product adds in another order than a large one, depending on the
        number of threads.
        """
        budget, threads = token_budget(self._precision.device), torch.get_num_threads()
        if not self._unpadded:
            yield from prediction_batches(lengths, budget, self._precision.width_multiple)
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

    The tokens of a text attend only to that text.

    Parameters
    ----------
    body : SentenceTransformer
        A sentence transformer that starts with a BERT. It is not changed; its weights are shared.
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
            The token ids of the texts, including special tokens.
        features : mapping of str to Any
            Further inputs of the modules after the BERT, such as the length of a prompt.
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
"""The name under which this attention is registered with transformers."""


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
