"""Small sentence transformers that are trained quickly: random weights, and the vocabulary of the kit."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from sentence_transformers import SentenceTransformer

from smalltext_torch.sentence_transformer import quiet_libraries
from transformers_backend.tiny_models import save_tiny_model


def save_tiny_sentence_transformer(folder: Path, architecture: str = "bert", **changes) -> Path:
    """Write a sentence transformer with mean pooling to a folder."""
    with tempfile.TemporaryDirectory() as plain, quiet_libraries():
        body = SentenceTransformer(str(save_tiny_model(Path(plain), architecture, **changes)), device="cpu")
        body.save(str(folder), create_model_card=False)
    return folder


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tiny-sentence-transformers-")


@cache
def tiny_sentence_transformer(architecture: str = "bert", **changes) -> str:
    """Return the folder of a tiny sentence transformer, which exists until the tests end."""
    name = "-".join([architecture, *(f"{option}-{value}" for option, value in changes.items())])
    return str(save_tiny_sentence_transformer(Path(_home().name, name), architecture, **changes))
