"""Device, precision, random state, and the modes of torch for training and inference.

The global random state is neither read nor changed. numpy draws from generators made from the seed. Inside a
network (initial weights, dropout masks), torch draws from its global generators, whose state is replaced for each
step.
"""

from __future__ import annotations

import copy
import itertools
import os
import random
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, get_args

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from smalltext_core.errors import InvalidInputError
from smalltext_core.messages import brief, shown

M = TypeVar("M", bound=nn.Module)

if hasattr(os, "register_at_fork"):
    # A forked child lacks torch's worker threads, for which OpenMP would wait forever in the first matrix product.
    # With one thread, as in torch's own data loaders, it does not wait.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

_LOCK = threading.Lock()
_EVALUATED: dict[nn.Module, int] = {}
"""Modules that were in training mode, with the number of running inferences that need evaluation mode."""

_GENERATORS = threading.RLock()
"""Held while torch's global generators have the state of a classifier, since other threads may train, too."""

if hasattr(os, "register_at_fork"):  # a child process has the lock, but not the thread that would release it
    os.register_at_fork(
        before=_GENERATORS.acquire, after_in_parent=_GENERATORS.release, after_in_child=_GENERATORS.release
    )


def check_device(device: str | torch.device | None) -> None:
    """Raise InvalidInputError unless the argument names a device; it need not be available."""
    if device is None or isinstance(device, torch.device):
        return
    try:
        torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidInputError(
            "device", shown(device), "None, a torch.device, or a name such as 'cpu', 'cuda', 'cuda:1' or 'mps'"
        ) from error


def resolve_device(device: str | torch.device | None = None) -> torch.device:
    """Return the requested device, or the best available one.

    Parameters
    ----------
    device : str or torch.device, optional
        None: CUDA if available, else MPS (Apple), else the CPU.

    Raises
    ------
    InvalidInputError
        If this is not the name of a device, or the device does not exist on this machine.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    check_device(device)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    resolved = torch.device(device)
    if not is_available(resolved):
        raise InvalidInputError(
            "device",
            shown(str(resolved)),
            f"a device of this machine: {', '.join(_present_devices())}",
            "device=None selects the best available one.",
        )
    return resolved


def is_available(device: torch.device) -> bool:
    """Return whether the device is available."""
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available() and (device.index or 0) == 0
    if device.type == "cpu":
        return True
    backend = getattr(torch, device.type, None)
    return bool(backend is not None and hasattr(backend, "is_available") and backend.is_available())


def _present_devices() -> list[str]:
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


@dataclass(frozen=True)
class Precision:
    """The precision of matrix products on a device; a `dtype` of None is float32 throughout."""

    device: torch.device
    dtype: torch.dtype | None = None

    @classmethod
    def of(cls, device: torch.device, mixed: bool) -> Precision:
        """Return float32, or (`mixed`) a narrower type if the device is faster with it."""
        return cls(device, _narrow_type(device) if mixed else None)

    @property
    def width_multiple(self) -> int:
        """The number that the widths of batches should be multiples of.

        For bfloat16 on a CPU, torch compiles and caches some megabytes of kernels for each batch shape.
        """
        return 4 if self.device.type == "cpu" and self.dtype is not None else 1

    def autocast(self) -> AbstractContextManager[object]:
        """Return the autocast context for a forward pass, independent of the caller's autocast settings."""
        kind = self.device.type
        if self.dtype is not None:
            # The weight cache of autocast is cleared only at the end of the outermost autocast context, here
            # `gradients`, which lasts for the whole training: every step would use the initial weights.
            return torch.autocast(kind, dtype=self.dtype, cache_enabled=False)
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            return torch.autocast(kind, enabled=False)
        return nullcontext()

    def gradient_scaler(self) -> torch.amp.GradScaler:
        """Return the scaler that prevents underflow of float16 gradients; it is disabled for other types."""
        return torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)


def _narrow_type(device: torch.device) -> torch.dtype | None:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu" and _cpu_multiplies_bfloat16():
        return torch.bfloat16
    return None


def _cpu_multiplies_bfloat16() -> bool:
    """Return whether the CPU has instructions for bfloat16; without them it is slower than float32."""
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, bool)() for question in questions)


PrecisionName: TypeAlias = Literal["float32", "auto"]
"""The precision that a caller requests: float32, or a narrower type if the device is faster with it."""


def check_precision(precision: object) -> PrecisionName:
    """Return the precision to compute in, "float32" or "auto", or raise InvalidInputError."""
    for name in get_args(PrecisionName):
        if isinstance(precision, str) and precision == name:
            return "auto" if name == "auto" else "float32"
    raise InvalidInputError("precision", brief(precision), "'float32' or 'auto'")


@contextmanager
def reproducible(device: torch.device, seed: int | None) -> Iterator[None]:
    """Use deterministic algorithms on CUDA if there is a seed; torch warns about operations without one.

    Memory-efficient attention, whose gradients are nondeterministic unless torch is set to raise errors, is
    disabled. If torch is already set to raise errors, nothing is changed.
    """
    before = torch.are_deterministic_algorithms_enabled()
    strict = before and not torch.is_deterministic_algorithms_warn_only_enabled()
    if seed is None or device.type != "cuda" or strict:
        yield
        return
    memory_efficient = torch.backends.cuda.mem_efficient_sdp_enabled()  # type: ignore[no-untyped-call]
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cuda.enable_mem_efficient_sdp(enabled=False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_mem_efficient_sdp(memory_efficient)
        torch.use_deterministic_algorithms(before, warn_only=before)


def available_or_best(device: str | torch.device | None) -> torch.device:
    """Return the requested device if it is available, else the best available one."""
    return resolve_device(device if device is not None and is_available(torch.device(device)) else None)


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put every module of a network into evaluation mode, and restore the mode of each afterwards.

    Several threads may predict at the same time: a module returns to training mode when the last of them is done.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(1, 1), nn.Dropout().eval())
    >>> with evaluation_mode(network):
    ...     [module.training for module in network]
    [False, False]
    >>> [module.training for module in network]
    [True, False]
    """
    with _LOCK:
        held = [module for module in network.modules() if module.training or module in _EVALUATED]
        for module in held:
            _EVALUATED[module] = _EVALUATED.get(module, 0) + 1
            # eval() is not called, since some networks override it, for example to merge weights.
            module.training = False
    try:
        yield
    finally:
        with _LOCK:
            for module in held:
                _EVALUATED[module] -= 1
                if not _EVALUATED[module]:
                    del _EVALUATED[module]
                    module.training = True


@contextmanager
def inference(network: nn.Module, precision: Precision) -> Iterator[None]:
    """Run a network in evaluation mode, in the given precision and without gradients."""
    with evaluation_mode(network), torch.inference_mode(), precision.autocast():
        yield


def copy_sharing_weights(network: M) -> M:
    """Return a copy of a network, in the same mode, whose parameters and buffers are the same tensors."""
    shared = {id(tensor): tensor for tensor in itertools.chain(network.parameters(), network.buffers())}
    return copy.deepcopy(network, shared)


def with_dropout(network: M) -> M:
    """Return a copy of a network that shares its weights and in which every dropout is active.

    All modules are in training mode, since functional dropout, as in attention, depends on the mode of its module;
    except batch and instance normalisation, which would update their statistics. The network itself is not
    changed, so that other threads can predict with it.
    """
    copied = copy_sharing_weights(network)
    copied.train()
    for module in copied.modules():
        if isinstance(module, _NormBase):
            module.eval()
    return copied


@contextmanager
def gradients(device: torch.device) -> Iterator[None]:
    """Enable gradients in float32, whatever modes the caller has set."""
    dtype = torch.get_default_dtype()
    if dtype is not torch.float32:
        torch.set_default_dtype(torch.float32)
    try:
        with (
            torch.inference_mode(mode=False),
            torch.enable_grad(),
            torch.autocast(
                "cpu", enabled=False
            ),  # a head may be trained on the CPU of a machine with an accelerator
            Precision(device).autocast(),
        ):
            yield
    finally:
        if dtype is not torch.float32:
            torch.set_default_dtype(dtype)


class TorchRandomness:
    """A stream of random numbers for torch.

    Parameters
    ----------
    seed : int
    device : torch.device
        The device on which random numbers are drawn, besides the CPU.

    Examples
    --------
    >>> randomness = TorchRandomness(1, torch.device("cpu"))
    >>> with randomness.as_global():
    ...     first = torch.rand(3)
    >>> with TorchRandomness(1, torch.device("cpu")).as_global():
    ...     bool((torch.rand(3) == first).all())
    True
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._seed: int | None = seed
        self._state: list[torch.Tensor] = []

    @contextmanager
    def as_global(self) -> Iterator[None]:
        """Draw from this stream with torch's global generators; a context manager that restores their state."""
        with _GENERATORS:
            before = self._read()
            if self._seed is not None:
                self._begin(self._seed)
            else:
                self._write(self._state)
            try:
                yield
            finally:
                self._state, self._seed = self._read(), None
                self._write(before)

    def _begin(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            with torch.cuda.device(self._device):
                torch.cuda.manual_seed(seed)
        elif self._device.type == "mps":
            torch.mps.manual_seed(seed)

    def _read(self) -> list[torch.Tensor]:
        states = [torch.get_rng_state()]
        if self._device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self._device))
        elif self._device.type == "mps":
            states.append(torch.mps.get_rng_state())
        return states

    def _write(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self._device)
        elif self._device.type == "mps":
            torch.mps.set_rng_state(states[1])


class Randomness:
    """The independent random streams of one training or one call, from one seed (None: from the operating system).

    Attributes
    ----------
    device : torch.device
    split, order : numpy.random.Generator
        For the validation split, and for the order of the texts.
    network : TorchRandomness
        For initial weights and dropout masks.
    """

    def __init__(self, seed: int | None, device: torch.device) -> None:
        split, order, network = np.random.SeedSequence(seed).spawn(3)
        self.device = device
        self.split = np.random.default_rng(split)
        self.order = np.random.default_rng(order)
        self.network = TorchRandomness(int(network.generate_state(1, np.uint64)[0]), device)


def token_budget(device: torch.device) -> int:
    """Return the maximum number of tokens in an inference batch: what fits a CPU's cache, or fills an accelerator.

    On a CPU, 512 to 1,024 tokens differ in speed by at most 3%; fewer tokens need less memory.
    """
    return 640 if device.type == "cpu" else 16384


def training_budget(device: torch.device, on_cpu: int) -> int:
    """Return the maximum number of tokens in a forward and backward pass, which stores all activations.

    On a CPU, a transformer is no faster with more than 512.
    """
    return on_cpu if device.type == "cpu" else max(on_cpu, 65536)


@contextmanager
def keep_global_generators() -> Iterator[None]:
    """Restore the states of the global generators of Python, numpy and CUDA, which training libraries seed."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
