"""Sentence transformers as frozen encoders; torch is imported when one is first used."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalltext_embeddings.encoders import Content, Encoder, Vectors, contents_of, hash_of

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

    def __init__(self, folder: Path, name: str, device: str | torch.device | None, precision: Any) -> None:
        self.name, self.device, self.precision = name, device, precision
        self._source: Path | Content = folder

    @cached_property
    def fingerprint(self) -> str:
        content = self._loaded[1]  # the fingerprint depends on the order of the files
        return hash_of(self.kind, self.precision, *content, *content.values())

    @cached_property
    def dimensions(self) -> int:
        return self.loaded.dimensions

    def files(self) -> Content | None:
        content = self._loaded[1]
        return None if any(name.endswith(".bin") for name in content) else content

    def encode(self, texts: list[str]) -> Vectors:
        return self.loaded.encode(texts)

    @property
    def loaded(self) -> SentenceEncoder:
        """The sentence transformer in memory, loaded on first use."""
        return self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[SentenceEncoder, Content]:
        from smalltext_torch.sentence_encoder import SentenceEncoder

        source: Any = self._source
        encoder, files = SentenceEncoder.load(source, self.name, device=self.device, precision=self.precision)
        paths = [name for name, part in files.items() if isinstance(part, Path)]
        return encoder, {**files, **contents_of(source, paths)}

    def __getstate__(self) -> dict[str, Any]:
        content = {name: bytes(part) for name, part in self._loaded[1].items()}
        return {**{name: held for name, held in vars(self).items() if name != "_loaded"}, "_source": content}
