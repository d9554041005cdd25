"""Sentence transformers as frozen encoders; torch is imported when one is first used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smalltext_core.saving import damage_explained
from smalltext_embeddings.encoders import SAMPLE, Content, Encoder, Vectors, contents_of, hash_of

if TYPE_CHECKING:
    import torch

    from smalltext_torch.device import Precision
    from smalltext_torch.inference import PackedTransformer
    from smalltext_torch.tokenization import SentenceTokenizer


class SentenceTransformerEncoder(Encoder):
    """The embeddings of a sentence transformer, from a folder that is checked before any library reads it.

    In float32 on a CPU, the vector of a text does not depend on the other texts: a BERT reads several as one
    sequence, and other networks read texts of equal length, without padding. Elsewhere a vector depends on the
    other texts by rounding errors.
    """

    kind = "sentence-transformers"
    in_saved_models = False

    def __init__(self, folder: Path, name: str, device: str | torch.device | None, precision: str) -> None:
        self.name, self.device, self.precision = name, device, precision
        self._folder: Path | None = folder
        self._content: Content = {}

    @cached_property
    def fingerprint(self) -> str:
        settings = (self.kind, self.precision, *self.loaded.content)
        return hash_of(*settings, *self.loaded.content.values())

    @cached_property
    def dimensions(self) -> int:
        return self.loaded.dimensions

    def files(self) -> Content | None:
        content = self.loaded.content
        return None if any(name.endswith(".bin") for name in content) else content

    def encode(self, texts: list[str]) -> Vectors:
        return self.loaded.encode(texts)

    @cached_property
    def loaded(self) -> LoadedTransformer:
        """The sentence transformer, its tokenizer and its settings; it is read when it is first needed."""
        from smalltext_torch.device import Precision, TorchRandomness, check_precision, resolve_device
        from smalltext_torch.inference import PackedTransformer
        from smalltext_torch.pretrained_files import temporary_folder
        from smalltext_torch.sentence_transformer import (
            load_pretrained,
            model_files,
            num_dimensions,
            prompt_length,
        )
        from smalltext_torch.tokenization import SentenceTokenizer

        device = resolve_device(self.device)
        precision = Precision.of(device, check_precision(self.precision) == "auto")
        with temporary_folder() as place, TorchRandomness(0, device).as_global():
            folder = self._folder or place
            for name, part in self._content.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(part)
            body = load_pretrained("encoder", self.name, lambda: folder)
            found = self._content or model_files(folder)
            paths = [name for name, part in found.items() if isinstance(part, Path)]
            content = {**found, **contents_of(folder, paths)}  # in this order: the fingerprint depends on it
        body = body.to(device).requires_grad_(requires_grad=False).eval()
        tokenizer = SentenceTokenizer.of(body, "auto")
        left_out, dimensions = prompt_length(body, tokenizer.prompt), num_dimensions(body)
        exact = device.type == "cpu" and precision.dtype is None
        packed = PackedTransformer(body) if exact and PackedTransformer.takes(body) else None
        loaded = LoadedTransformer(content, body, tokenizer, left_out, dimensions, precision, packed)
        with damage_explained(self.name):
            if not np.isfinite(loaded.encode(list(SAMPLE))).all():
                raise ValueError("its weights give NaN or infinity")
        return loaded

    def __getstate__(self) -> dict[str, Any]:
        content = {name: bytes(part) for name, part in self.loaded.content.items()}
        kept = {name: held for name, held in vars(self).items() if name != "loaded"}
        return {**kept, "_folder": None, "_content": content}


class LoadedTransformer(NamedTuple):
    """A sentence transformer in memory, and the files that it was loaded from."""

    content: Content
    body: Any
    tokenizer: SentenceTokenizer
    prompt_length: int | None
    dimensions: int
    precision: Precision
    packed: PackedTransformer | None

    def encode(self, texts: list[str]) -> Vectors:
        from smalltext_torch.batching import make_batch
        from smalltext_torch.device import inference
        from smalltext_torch.tokenization import tokenize

        tokenizer, precision = self.tokenizer, self.precision
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

    def _batches(self, lengths: NDArray[np.int64]) -> Iterator[Any]:
        """Divide texts into batches by their numbers of tokens.

        In float32 on a CPU, nothing is padded, so that a vector depends on the text alone: the texts of a batch
        are packed, or equally long. A small matrix product adds in another order than a large one, and the size
        from which on depends on the number of threads: small batches are filled up with texts that they hold.
        """
        import torch

        from smalltext_torch.batching import prediction_batches
        from smalltext_torch.device import token_budget

        budget, threads = token_budget(self.precision.device), torch.get_num_threads()
        if self.precision.device.type != "cpu" or self.precision.dtype is not None:
            yield from prediction_batches(lengths, budget, self.precision.widths)
            return
        order = np.arange(len(lengths)) if self.packed else np.argsort(lengths, kind="stable")
        starts = np.diff(lengths[order].cumsum() // budget) > 0
        if self.packed is None:
            starts |= np.diff(lengths[order]) > 0
        for rows in np.split(order, np.flatnonzero(starts) + 1):
            while 0 < lengths[rows].sum() < (32 if threads == 1 else 128 * threads):
                rows = np.append(rows, rows)
            yield rows
