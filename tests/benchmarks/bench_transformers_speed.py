"""Fine-tuning and prediction with a real encoder (MiniLM, 6 layers) against usual implementations.

The short texts are 1,000 movie reviews, the long ones 500 news articles. Batch size, epochs and learning rate are
the same for all variants, and all use one thread. "of the float32 ceiling" is the share of the floating-point
operations per second of a matrix product, measured in the same process, that is used by the operations
of the layers' weights for every token of the texts; training needs these three times per epoch.
"""

from __future__ import annotations

from harness import Benchmark, Target, Variant

TRAINER, PIPELINE, OURS, AUTO = "Trainer", "pipeline", "smalltext", "smalltext, precision auto"
LIBRARIES = ("torch", "transformers", "accelerate", "smalltext-core", "smalltext-torch", "smalltext-transformers")

SETUP = """
import logging
from pathlib import Path
import time
import numpy as np
import torch
torch.set_num_threads(1)
import plain_transformers as plain
from samples import at_random
from smalltext_core import TextDataset
from smalltext_transformers import TransformerBasedClassification
sample = at_random(Path(), CORPUS, {'reviews': 1000, 'news': 500}[CORPUS], 400)
texts, labels, classes = sample.texts, sample.labels, sample.num_classes
held_out, held_out_labels = sample.held_out, sample.held_out_labels
HOW = dict(batch_size=16, epochs=2, lr=5e-5)
def ours(precision, texts=texts, labels=labels, epochs=2):
    classifier = TransformerBasedClassification(
        plain.MODEL, classes, num_epochs=epochs, lr=HOW["lr"], mini_batch_size=16, precision=precision, seed=1,
        verbosity=0,
    )
    validation = TextDataset(texts[:1], labels[:1])
    return classifier.fit(
        TextDataset(texts, labels), validation, early_stopping="none", model_selection="none"
    )
# The first call of a kernel costs more than those after it.
warm = ours("auto", texts[:16], labels[:16], 1)
def tokens_per_second(texts, seconds, passes):
    lengths = warm._state.encoder.encode(TextDataset(texts)).lengths
    weights = sum(p.numel() for name, p in warm.model.named_parameters() if "encoder.layer" in name)
    square = torch.rand(1024, 1024)
    began = time.perf_counter()
    for _ in range(10):
        square @ square
    ceiling = 10 * 2 * 1024**3 / (time.perf_counter() - began)
    rate = passes * lengths.sum() / seconds
    figures["tokens/s"] = int(rate)
    figures["of the float32 ceiling"] = round(2 * weights * rate / ceiling, 2)
"""

CHECK_MODEL = """
classifier = warm
classifier._state.network.load_state_dict(model.state_dict())
figures["accuracy"] = round(float((classifier.predict(TextDataset(held_out)) == held_out_labels).mean()), 3)
tokens_per_second(texts, seconds, 3 * HOW["epochs"])
"""

CHECK_PROBABILITIES = """
reference = plain.score_with_pipeline(model, texts)
figures["largest difference"] = f"{abs(proba - reference).max():.1e}"
figures["labels that agree"] = float((proba.argmax(1) == reference.argmax(1)).mean())
tokens_per_second(texts, seconds, 1)
"""


def _setup(corpus: str) -> str:
    return f"CORPUS = {corpus!r}\n{SETUP}"


def _trained(corpus: str, precision: str = "float32") -> str:
    return f"""{_setup(corpus)}
trained = TransformerBasedClassification.load("model-" + CORPUS)
trained.precision = {precision!r}
model = trained.model
trained.predict_proba(TextDataset(texts[:20]))
"""


def _prepare(corpus: str) -> str:
    return f"from pathlib import Path\nfrom corpora import fetch\nfetch(Path(), {corpus!r})\n"


def _model(corpus: str) -> str:
    return f"{_prepare(corpus)}\n{_setup(corpus)}\nours('float32').save('model-' + CORPUS)\n"


def _training(corpus: str, first: Variant, targets: tuple[Target, ...], name: str, rounds: int) -> Benchmark:
    return Benchmark(
        name=f"transformers-training-{name}",
        rounds=rounds,
        prepare=_prepare(corpus),
        variants=(
            first,
            Variant(OURS, "model = ours('float32').model", _setup(corpus), CHECK_MODEL),
            Variant(AUTO, "model = ours('auto').model", _setup(corpus), CHECK_MODEL),
        ),
        targets=(*targets, Target(OURS, "peak_mib", 1.0), Target(AUTO, "peak_mib", 1.0)),
        libraries=LIBRARIES,
    )


def _scoring(corpus: str, first: Variant, targets: tuple[Target, ...], name: str) -> Benchmark:
    return Benchmark(
        name=f"transformers-scoring-{name}",
        rounds=3,
        prepare=_model(corpus),
        variants=(
            first,
            Variant(
                OURS, "proba = trained.predict_proba(TextDataset(texts))", _trained(corpus), CHECK_PROBABILITIES
            ),
            Variant(
                AUTO,
                "proba = trained.predict_proba(TextDataset(texts))",
                _trained(corpus, "auto"),
                CHECK_PROBABILITIES,
            ),
        ),
        targets=(*targets, Target(OURS, "peak_mib", 1.0), Target(AUTO, "peak_mib", 1.0)),
        libraries=LIBRARIES,
    )


def _trainer(corpus: str) -> Variant:
    return Variant(TRAINER, "model = plain.train_with_trainer(texts, labels, **HOW)", _setup(corpus), CHECK_MODEL)


def _fixed_loop(corpus: str, length: int) -> Variant:
    statement = f"model = plain.train_padded(texts, labels, length={length}, **HOW)"
    return Variant(f"padded to {length}", statement, _setup(corpus), CHECK_MODEL)


def _fixed_scores(corpus: str, length: int) -> Variant:
    statement = f"proba = plain.score_padded(model, texts, {length})"
    return Variant(f"padded to {length}", statement, _trained(corpus), CHECK_PROBABILITIES)


def _pipeline(corpus: str) -> Variant:
    return Variant(
        PIPELINE, "proba = plain.score_with_pipeline(model, texts)", _trained(corpus), CHECK_PROBABILITIES
    )


def _faster(times: float, auto_times: float | None = None) -> tuple[Target, ...]:
    auto = () if auto_times is None else (Target(AUTO, "seconds", 1 / auto_times),)
    return (Target(OURS, "seconds", 1 / times), *auto)


BENCHMARKS = (
    _training("reviews", _fixed_loop("reviews", 256), _faster(5), "short-fixed", rounds=1),
    _training("reviews", _trainer("reviews"), _faster(1.4, 2.2), "short-trainer", rounds=3),
    _training("news", _trainer("news"), _faster(1.4, 2.2), "long-trainer", rounds=1),
    _scoring("reviews", _fixed_scores("reviews", 128), _faster(4), "short-fixed"),
    _scoring("reviews", _pipeline("reviews"), _faster(1.5, 2.5), "short-pipeline"),
    _scoring("news", _pipeline("news"), _faster(1.5, 2.5), "long-pipeline"),
)
