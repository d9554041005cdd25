"""Sentence transformers as frozen encoders; torch is imported when one is first used."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smalltext_core.saving import damage_explained
from smalltext_embeddings.encoders import SAMPLE, Content, Encoder, Vectors, contents_of, hash_of

if TYPE_CHECKING:
    import torch

    from smalltext_torch.sentence_encoder import SentenceEncoder


class SentenceTransformerEncoder(Encoder):
    """A sentence transformer, from a folder that is checked before any library reads it.

    In float32 on a CPU, the vector of a text does not depend on the other texts of the batch; in other cases, it
    depends on them up to rounding errors.
    """

    kind = "sentence-transformers"
    in_saved_models = False

    def __init__(self, folder: Path, name: str, device: str | torch.device | None, precision: str) -> None:
        self.name, self.device, self.precision = name, device, precision
        self._folder: Path | None = folder
        self._content: Content = {}

    @cached_property
    def fingerprint(self) -> str:
        content = self._loaded_files()
        return hash_of(self.kind, self.precision, *content, *content.values())

    @cached_property
    def dimensions(self) -> int:
        return self.loaded.dimensions

    def files(self) -> Content | None:
        content = self._loaded_files()
        return None if any(name.endswith(".bin") for name in content) else content

    def encode(self, texts: list[str]) -> Vectors:
        return self.loaded.encode(texts)

    @cached_property
    def loaded(self) -> SentenceEncoder:
        """The sentence transformer in memory, loaded on first use."""
        from smalltext_torch.device import Precision, TorchRandomness, check_precision, resolve_device
        from smalltext_torch.pretrained_files import temporary_folder
        from smalltext_torch.sentence_encoder import SentenceEncoder
        from smalltext_torch.sentence_transformer import load_pretrained, model_files

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
            self._content = {**found, **contents_of(folder, paths)}  # the fingerprint depends on their order
        encoder = SentenceEncoder(body, precision)
        with damage_explained(self.name):
            if not np.isfinite(encoder.encode(list(SAMPLE))).all():
                raise ValueError("its weights give NaN or infinity")
        return encoder

    def _loaded_files(self) -> Content:
        """Return the files of the sentence transformer, which are known once it is loaded."""
        _ = self.loaded
        return self._content

    def __getstate__(self) -> dict[str, Any]:
        content = {name: bytes(part) for name, part in self._loaded_files().items()}
        kept = {name: held for name, held in vars(self).items() if name != "loaded"}
        return {**kept, "_folder": None, "_content": content}
