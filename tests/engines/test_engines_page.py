"""The scripts of the page on engines that need more than the default test environment work as documented."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from docs.pages import TOP, blocks
from smalltext_scale import BatchScorer

PAGE = TOP / "docs" / "how-to" / "score-with-engines.md"


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("module", "script"),
    [("ray.data", "with_ray"), ("pyspark", "with_spark"), ("mlflow", "with_mlflow")],
)
def test_a_script_of_the_page_labels_every_text(module, script, tmp_path, monkeypatch):
    pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    found = list(blocks(PAGE))
    for block in found:
        if block.title is not None:
            Path(block.title).write_text(block.content, encoding="utf-8")
    exec(next(block.content for block in found if block.language == "python" and block.title is None), {})
    surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, f"{script}.py"], env=surroundings, check=True)
    scored = pd.read_parquet(script).sort_values("id").reset_index(drop=True)
    alone = BatchScorer("model")(pd.read_parquet("texts.parquet"))
    assert len(scored) == 1_000
    for name in ("id", "text", "label", "score"):
        assert scored[name].tolist() == alone[name].tolist()
