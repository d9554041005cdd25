"""What is used of setfit, imported without what importing it does to the process.

It puts a filter for deprecations in front of everybody else's, and makes loggers talk.
"""

from __future__ import annotations

import warnings

from smalltext_setfit.sentence_encoder import quiet

with warnings.catch_warnings(), quiet():
    from setfit import SetFitHead, SetFitModel, Trainer, TrainingArguments
    from setfit.compat import losses
    from setfit.model_card import ModelCardCallback

__all__ = ["ModelCardCallback", "SetFitHead", "SetFitModel", "Trainer", "TrainingArguments", "losses"]
