"""Pickling fitted classifiers, so that they can be read where there is no device like theirs."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from smalltext_torch.device import present_or_best


class PickledOnCpu:
    """What is pickled, and copied, of a classifier whose network may be on any device.

    A subclass has `_fitted`, None or a dataclass that holds a `network` and tells its `device`.
    """

    _fitted: Any
    device: str | torch.device | None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the network on the CPU, so that it can be read where there is nothing else."""
        state = self.__dict__.copy()
        if self._fitted is not None and self._fitted.device.type != "cpu":
            state["_fitted"] = replace(self._fitted, network=copy.deepcopy(self._fitted.network).cpu())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled, on the device that was asked for if there is one here."""
        self.__dict__.update(state)
        if self._fitted is not None:
            self._fitted.network.to(present_or_best(self.device))
