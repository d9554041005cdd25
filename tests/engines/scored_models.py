"""A saved model of each backend, and files of short texts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import smalltext_core as st
from smalltext_cli.commands.demo import articles

BACKENDS = ("sklearn", "embeddings", "kimcnn", "transformers", "setfit")


def parameters(backend: str, folder: Path) -> dict[str, Any]:
    """Return parameters for a small model; the time of a real network is irrelevant for an engine."""
    if backend == "embeddings":
        from embeddings_backend.tiny_encoders import write_static_model

        return {"encoder": str(write_static_model(folder / "encoder"))}
    if backend in ("transformers", "setfit"):
        from transformers_backend.tiny_models import tiny_model

        return {"model": tiny_model(), "num_epochs": 1}
    return {"num_epochs": 2, "embedding_dim": 16, "out_channels": 4} if backend == "kimcnn" else {}


@cache
def sentences() -> list[tuple[str, str]]:
    """Return the sentences of the demo's articles, with the classes of their articles."""
    found = []
    for text, label in zip(*articles(), strict=True):
        parts = (" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s", text))
        found += [(part, label) for part in parts if len(part) > 20]
    return found


def save_model(backend: str, folder: Path, texts: int = 200) -> str:
    """Train a backend on some sentences, save it, and return the folder."""
    chosen = sentences()[:: len(sentences()) // texts]
    train_set = st.TextDataset.from_labels([text for text, _ in chosen], [label for _, label in chosen])
    classes = len(train_set.label_names)
    st.create_classifier(backend, num_classes=classes, seed=1, **parameters(backend, folder)).fit(train_set).save(
        folder / "model"
    )
    return str(folder / "model")


def write_texts(folder: Path, count: int) -> Path:
    """Write a Parquet file of distinct texts with their numbers."""
    known = [text for text, _ in sentences()]
    texts = [f"{known[number % len(known)]} {number}" for number in range(count)]
    file = folder / "texts.parquet"
    pd.DataFrame({"id": range(count), "text": texts}).to_parquet(file, row_group_size=10_000)
    return file
