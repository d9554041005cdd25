"""A usual implementation of KimCNN: every text padded to 60 in Python, one conv2d per kernel height, Adadelta."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader

LENGTH = 60
BATCH = 25


class NaiveKimCNN(nn.Module):
    """The same network as `smalltext_kimcnn.KimCNN`, with the weights of one."""

    def __init__(self, network) -> None:
        super().__init__()
        dimensions = network.embedding.embedding_dim
        self.embedding = nn.Embedding.from_pretrained(
            network.embedding.weight.detach(), freeze=False, padding_idx=0
        )
        self.convs = nn.ModuleList()
        for height, filters in zip(network.kernel_heights, network.filters, strict=True):
            conv = nn.Conv2d(1, filters.out_features, (height, dimensions))
            conv.weight.data = filters.weight.detach().view_as(conv.weight).clone()
            conv.bias.data = filters.bias.detach().clone()
            self.convs.append(conv)
        self.dropout = nn.Dropout(network.dropout.p)
        self.fc = nn.Linear(network.last.in_features, network.last.out_features)
        self.fc.load_state_dict(network.last.state_dict())

    def forward(self, ids):
        vectors = self.embedding(ids).unsqueeze(1)
        pooled = []
        for conv in self.convs:
            answers = functional.relu(conv(vectors))
            pooled.append(functional.max_pool2d(answers, answers.shape[2:]).squeeze(3).squeeze(2))
        return self.fc(self.dropout(torch.cat(pooled, dim=1)))


def instances(dataset):
    """Return one tensor and one label per text."""
    pairs = zip(dataset.x, dataset.y, strict=True)
    return [(torch.tensor(ids.tolist(), dtype=torch.long), int(label)) for ids, label in pairs]


def train(model, texts, num_epochs):
    """Train on nine tenths of the texts, and validate with the others after every epoch."""
    held_out = len(texts) // 10
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.001, eps=1e-8)
    for _ in range(num_epochs):
        model.train()
        for ids, labels in _loader(texts[held_out:], shuffle=True):
            optimizer.zero_grad()
            functional.cross_entropy(model(ids), labels).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 3)
            optimizer.step()
        predict(model, texts[:held_out])


def predict(model, texts, dropout_sampling=1):
    """Return probabilities; with several samples, each batch is repeated with active dropout."""
    model.eval()
    if dropout_sampling > 1:
        model.dropout.train()
    proba = []
    with torch.no_grad():
        for ids, _ in _loader(texts, shuffle=False):
            logits = model(ids.repeat(dropout_sampling, 1) if dropout_sampling > 1 else ids)
            batch = functional.softmax(logits, dim=1)
            if dropout_sampling > 1:
                batch = batch.view(dropout_sampling, len(ids), -1).transpose(0, 1)
            proba += batch.tolist()
    model.eval()
    return np.array(proba)


def _loader(texts, shuffle):
    return DataLoader(texts, batch_size=BATCH, shuffle=shuffle, collate_fn=_collate)


def _collate(batch):
    rows = []
    for ids, _ in batch:
        kept = ids[:LENGTH]
        rows.append(torch.cat([kept, torch.zeros(LENGTH - len(kept), dtype=torch.long)]))
    return torch.stack(rows), torch.tensor([label for _, label in batch])
