"""A minimal ArrayClassifier, in a module that other processes can import as well."""

from __future__ import annotations

import numpy as np

import smalltext_core as st


class Majority(st.ArrayClassifier):
    name = "majority"
    distribution = "smalltext-core"  # an installed distribution, so that there is a version

    def __init__(self, num_classes, multi_label=False, *, sharpness=1.0):
        super().__init__(num_classes, multi_label)
        self.sharpness = sharpness

    def learn(self, texts, targets, weights):
        self.seen = texts, targets, weights
        return {"shares": np.average(targets, axis=0, weights=weights) ** self.sharpness}

    def probabilities(self, learned, texts):
        return np.tile(learned["shares"], (len(texts), 1))
