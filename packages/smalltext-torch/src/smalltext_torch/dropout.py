"""Monte Carlo dropout: a network whose dropout stays switched on, without the network itself being touched.

Gal and Ghahramani (2016), Dropout as a Bayesian Approximation. https://proceedings.mlr.press/v48/gal16.html
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from torch.nn.modules.batchnorm import _NormBase

from smalltext_torch.caller import stacklevel_of_caller
from smalltext_torch.twins import M, twin_of


def with_dropout(network: M) -> M:
    """Return a network of the same weights (the tensors are shared) in which every dropout is active.

    All modules are in training mode, since attention and other functional dropout asks the module it is in; except
    those that would learn from what passes through them (batch and instance normalisation). The network given is
    not changed, so there is nothing to put back, and other threads may go on predicting with it.
    """
    twin = twin_of(network)
    twin.train()
    for module in twin.modules():
        if isinstance(module, _NormBase):
            module.eval()
    return twin


def warn_if_alike(samples: NDArray[np.float32]) -> None:
    """Warn if all samples of every text are the same: the network has no dropout to draw them with.

    Parameters
    ----------
    samples : ndarray of float32, shape (n, samples, num_classes)
    """
    if len(samples) and (samples == samples[:, :1]).all():
        warnings.warn(
            f"all {samples.shape[1]} samples of dropout_sampling are the same, since the model has no dropout; "
            "they say nothing of how sure it is. Set the dropout in the model's configuration, and train again.",
            UserWarning,
            stacklevel=stacklevel_of_caller(),
        )
