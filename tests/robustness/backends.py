"""All installed backends, with small models that are trained quickly."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from smalltext_core import Classifier, ClassifierFactory, create_factory
from smalltext_testing.sample_data import training_texts

NAMES = tuple(
    name
    for name, needed in {
        "sklearn": "smalltext_sklearn",
        "kimcnn": "smalltext_kimcnn",
        "transformers": "smalltext_transformers",
        "setfit": "smalltext_setfit",
        "embeddings": "model2vec",
    }.items()
    if find_spec(f"smalltext_{name}") is not None and find_spec(needed) is not None
)
"""The embeddings backend has a tiny static encoder here, which needs no torch."""

NETWORKS = tuple(name for name in NAMES if name not in ("sklearn", "embeddings"))
"""The backends that train a network."""

TRAIN_SET = training_texts(3, multi_label=False)


def parameters(name: str) -> dict[str, Any]:
    """Return the parameters for a small classifier."""
    if name == "kimcnn":
        return {"num_epochs": 2, "embedding_dim": 16, "out_channels": 4, "kernel_heights": (2, 3)}
    if name in ("transformers", "setfit"):
        from transformers_backend.tiny_models import tiny_model

        few_steps = {"pairs_per_text": 2, "min_steps": 5} if name == "setfit" else {}
        return {"num_epochs": 1, "model": tiny_model(), **few_steps}
    if name == "embeddings":
        from embeddings_backend.tiny_encoders import tiny_static_model

        return {"encoder": tiny_static_model()}
    return {}


def factory(name: str, **further: Any) -> ClassifierFactory:
    return create_factory(name, num_classes=3, seed=1, **parameters(name), **further)


def fitted(name: str) -> Classifier:
    return factory(name).new().fit(TRAIN_SET)
