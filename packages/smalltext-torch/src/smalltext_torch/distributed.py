"""Data-parallel training of one network in several processes, started by torchrun or ``accelerate launch``.

Each process has all texts and a copy of the network. It computes the gradient of its share of each batch, and
`DistributedDataParallel`, as configured by accelerate, averages the gradients, so that all processes make the same
step. Random numbers (for the split, the order of the texts, the initial weights) come from one seed: the batches
are those of a single process whose `mini_batch_size` is multiplied by the number of processes. Handlers, callbacks
and calibration run only in the main process, which sends their results to the others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import numpy as np
import torch
from torch import nn

from smalltext_core.errors import InvalidInputError, SmallTextError, UnsupportedError
from smalltext_core.messages import one_line, shown
from smalltext_torch import training
from smalltext_torch.base import E, TorchState
from smalltext_torch.batching import Batch, Ragged, RowNumbers, make_batch
from smalltext_torch.device import Randomness, TorchRandomness, evaluation_mode, resolve_device
from smalltext_torch.inference import Loss, RunningMetrics
from smalltext_torch.optimization import trained_parameters
from smalltext_torch.progress import HistoryRecord, launched_processes
from smalltext_torch.training import Trainable, Trainer
from smalltext_torch.training_set import Examples

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")

VARIABLES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""The environment variables that a launcher sets in each process, besides WORLD_SIZE."""

ADVICE = "Start the processes with torchrun or accelerate launch; unset WORLD_SIZE to train in one process"


class ProcessError(SmallTextError, RuntimeError):
    """Training in several processes cannot continue, because another process failed or ended."""


def fit(classifier: Trainable[E], *arguments: Any, **keywords: Any) -> TorchState[E]:
    """Train a network together with the other processes; the arguments are those of `training.fit`.

    Raises
    ------
    UnsupportedError
        If accelerate is missing, or configured for anything but data-parallel training.
    InvalidInputError
        If the device is not one that several processes can train on, or their texts or parameters differ.
    ProcessError
        If another process ended, or an exception of the main process ended the training.
    """
    with _lost_connection_explained():
        processes = Processes.joined(classifier.device)
        seed = processes.agreed(lambda: cast("int", np.random.SeedSequence(classifier.seed).entropy))
        return training.fit(
            classifier,
            *arguments,
            **keywords,
            randomness=Randomness(seed, processes.device),
            processes=processes.count,
            new_trainer=partial(DistributedTrainer, processes, seed),
        )


def in_main_process(function: Callable[[], None]) -> None:
    """Call a function in the main process while the others wait; without a process group, in each process."""
    if Processes.current is None:
        function()
        return
    with _lost_connection_explained():
        Processes.current.agreed(function)


class Processes:
    """The processes of data-parallel training, by means of accelerate.

    Parameters
    ----------
    accelerator : Accelerator

    Attributes
    ----------
    count, number : int
        The number of processes, and the rank of this one; the main process has rank 0.
    device : torch.device
        The device of this process.
    """

    current: ClassVar[Processes | None] = None
    """The process group of the last training."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.count, self.number = accelerator.num_processes, accelerator.process_index
        self.device: torch.device = accelerator.device

    @classmethod
    def joined(cls, device: str | torch.device | None) -> Processes:
        """Join the process group, and return it.

        Parameters
        ----------
        device : str, torch.device or None
            The device of the classifier: the CPU, or an accelerator without a number, one per process.
        """
        missing = [name for name in VARIABLES if name not in os.environ]
        if missing and not torch.distributed.is_initialized():
            given = f"{launched_processes()} in an environment without {', '.join(missing)}"
            raise InvalidInputError("WORLD_SIZE", given, "what a launcher sets", f"{ADVICE}.")
        wanted = resolve_device(device)
        accelerator = _accelerator(cpu=wanted.type == "cpu")
        kind, count = accelerator.distributed_type.value, accelerator.num_processes
        if not kind.startswith("MULTI_") or count != launched_processes():
            what = f"accelerate is set up for {kind} and {count} process{'' if count == 1 else 'es'}"
            needed = f"data-parallel training (MULTI_CPU, MULTI_GPU) in {launched_processes()}"
            advice = "Configure accelerate for that; an Accelerator of yours needs the device of the classifier"
            raise UnsupportedError(f"{what}, but smalltext needs {needed}. {advice}.")
        if wanted.type != accelerator.device.type or wanted.index not in (None, accelerator.device.index):
            hint = "Each process computes on one device, which accelerate chooses, the same kind in all trainings."
            allowed = f"None or {accelerator.device.type!r}"
            raise InvalidInputError("device", shown(str(device)), allowed, hint)
        cls.current = cls(accelerator)
        return cls.current

    def parallel(self, module: nn.Module, *, unused: bool) -> nn.Module:
        """Return a module whose gradients are averaged over all processes.

        `unused` states whether there are parameters that the forward pass does not use.
        """
        from accelerate.utils import DistributedDataParallelKwargs

        self.free()
        self._accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=unused)
        parallel: nn.Module = self._accelerator.prepare_model(module)
        return parallel

    def without_exchange(self, module: nn.Module) -> Any:
        """Return a context manager in which gradients are accumulated in this process only."""
        return self._accelerator.no_sync(module)

    def free(self) -> None:
        """Release the modules that `parallel` returned."""
        self._accelerator.free_memory()

    def total(self, sums: torch.Tensor) -> torch.Tensor:
        """Return the sums of tensors over all processes, on the CPU."""
        summed: torch.Tensor = self._accelerator.reduce(sums.to(self.device), "sum")
        return summed.cpu()

    def share(self, rows: RowNumbers) -> RowNumbers:
        """Return this process's share of the rows of a batch that is sorted by length."""
        return rows[self.number :: self.count]

    def agreed(self, function: Callable[[], T]) -> T:
        """Call a function in the main process only, and return its result in all processes.

        If it raises an exception, training ends in all processes; the others raise a ProcessError that quotes it.
        """
        from accelerate.utils import broadcast_object_list

        answer: list[Any] = [None, None]
        failure = None
        if self.number == 0:
            try:
                answer[0] = function()
            except Exception as error:  # the others wait for a result
                failure, answer[1] = error, f"{type(error).__name__}: {one_line(str(error), 2000)}"
        broadcast_object_list(answer)
        if failure is not None:
            raise failure
        if answer[1] is not None:
            raise ProcessError(f"In the main process: {answer[1]}")
        agreed: T = answer[0]
        return agreed

    def check_alike(self, digest: str) -> None:
        """Raise InvalidInputError in all processes if their texts or parameters differ."""
        from accelerate.utils import gather_object

        if len(set(gather_object([digest]))) > 1:
            hint = "Give every process all texts: smalltext divides each batch between them."
            given, allowed = "texts, labels, weights or parameters that differ", "the same ones in every process"
            raise InvalidInputError("train_set", given, allowed, hint)

    @torch.no_grad()
    def synchronise(self, tensors: Sequence[torch.Tensor]) -> None:
        """Copy the tensors of the main process to the others."""
        from accelerate.utils import broadcast

        broadcast([tensor.detach() for tensor in tensors])


class DistributedTrainer(Trainer[E]):
    """The trainer of one process in data-parallel training.

    The order of the texts and all decisions are the same in all processes; each draws its own dropout masks.

    Parameters
    ----------
    processes : Processes
    seed : int
        The seed of the training, the same in all processes.
    classifier : Trainable
    **keywords
        The further arguments of `Trainer`.
    """

    def __init__(self, processes: Processes, seed: int, classifier: Trainable[E], **keywords: Any) -> None:
        super().__init__(classifier, **keywords)
        self.processes = processes
        # Streams 0, 1 and 2 of the seed are those of `Randomness`.
        own = np.random.SeedSequence(seed, spawn_key=(3 + processes.number,))
        self._masks = TorchRandomness(int(own.generate_state(1, np.uint64)[0]), processes.device)
        self._parallel: nn.Module = nn.Identity()
        self._trained: list[bool] = []

    def fit_loop(self, examples: Examples, held_out: Examples | None) -> list[HistoryRecord]:
        """Train together with the other processes; all end with the weights of the main process."""
        self.processes.check_alike(self._digest(examples, held_out))
        try:
            history = super().fit_loop(examples, held_out)
        finally:
            self._parallel, self._trained = nn.Identity(), []
            self.processes.free()
        # The processes made the same steps, but processors of different types round differently.
        self.processes.synchronise([*self.network.parameters(), *self.network.buffers()])
        return history

    def train_step(self, examples: Examples, rows: RowNumbers, metrics: RunningMetrics) -> float:
        """Train on this process's share of a batch."""
        self.step += 1
        self._wrap(examples)
        # The gradients are averaged over the processes: each sum is divided by the mean size of their shares.
        count = len(rows) / self.processes.count
        parts = list(self.micro_batches(examples, self.processes.share(rows)))
        with self._masks.as_global():
            for some in parts[:-1]:
                with self.processes.without_exchange(self._parallel):
                    self.backward(examples, some, count, metrics)
            if parts:
                self.backward(examples, parts[-1], count, metrics)
            else:  # If a batch has fewer texts than processes, those without a text contribute a gradient of 0.
                nothing = np.zeros(1, dtype=np.float32)
                placeholder = Examples(examples.texts.take(rows[:1]), examples.y[rows[:1]], nothing)
                self.backward(placeholder, np.arange(1), count, RunningMetrics(1, self.processes.device))
            return self.update()

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch."""
        logits: torch.Tensor = self._parallel(batch.tokens, batch.lengths)
        return logits

    def evaluated(self, held_out: Examples) -> RunningMetrics:
        """Return the losses and accuracies on this process's share of the held-out texts."""
        return super().evaluated(held_out.take(self.processes.share(np.arange(len(held_out)))))

    def total(self, sums: torch.Tensor) -> torch.Tensor:
        """Return sums over the texts of all processes, on the CPU."""
        return self.processes.total(sums)

    def decide(self, record: HistoryRecord, *, selects: bool) -> tuple[HistoryRecord, bool]:
        """Return the decision of the handlers in the main process."""
        return self.processes.agreed(partial(super().decide, record, selects=selects))

    def calibrated_loss(self, examples: Examples, held_out: Examples | None) -> Loss:
        """Return the loss as calibrated in the main process."""
        return self.processes.agreed(partial(super().calibrated_loss, examples, held_out))

    def _wrap(self, examples: Examples) -> None:
        """Wrap the network for data parallelism, and again whenever the set of trained parameters changes."""
        trained = [parameter.requires_grad for parameter in self.network.parameters()]
        if trained != self._trained:
            self._trained = trained
            module = _ForwardPass(self.classifier, self.network)
            unused = self._has_unused_parameters(examples.texts)
            self._parallel = self.processes.parallel(module, unused=unused).train()

    def _has_unused_parameters(self, texts: Ragged) -> bool:
        """Return whether some trained parameters may be unused in a forward pass.

        One text is passed through the network to find out: if `DistributedDataParallel` looked for such parameters
        in every step, that would take time, and torch would warn if there are none.
        """
        if any(getattr(module, "layerdrop", 0) for module in self.network.modules()):
            return True  # layers are left out at random
        batch = make_batch(texts, np.arange(1), self.processes.device, self.padding, self.precision.width_multiple)
        with evaluation_mode(self.network), self.precision.autocast():
            logits = self.classifier.forward(self.network, batch)
        gradients = torch.autograd.grad(logits.sum(), trained_parameters(self.network), allow_unused=True)
        return any(gradient is None for gradient in gradients)

    def _digest(self, examples: Examples, held_out: Examples | None) -> str:
        """Return a digest of the texts and of the parameters that determine the number of steps."""
        steps = (self.batch_size, self.num_epochs, sorted(self.validated_after))
        digest = hashlib.sha256(repr(steps).encode())
        for part in (examples, held_out):
            if part is not None:
                y = part.y
                labels = (y,) if isinstance(y, np.ndarray) else (y.indices, y.indptr)
                for array in (part.texts.tokens, part.texts.offsets, *labels, part.weights):
                    digest.update(b"" if array is None else array.tobytes())
        return digest.hexdigest()


class _ForwardPass(nn.Module):
    """The forward pass of a classifier as a module."""

    def __init__(self, classifier: Trainable[Any], network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._logits = classifier.forward

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self._logits(self.network, Batch(tokens, lengths))


def _accelerator(*, cpu: bool) -> Accelerator:
    """Return an Accelerator for float32; the classifier chooses the precision of each forward pass."""
    try:
        from accelerate import Accelerator
    except ImportError as error:
        what = f"Training in {launched_processes()} processes (WORLD_SIZE) needs accelerate"
        advice = "pip install accelerate, or unset WORLD_SIZE to train in one process"
        raise UnsupportedError(f"{what}: {advice}.") from error
    return Accelerator(cpu=cpu, mixed_precision="no")


@contextmanager
def _lost_connection_explained() -> Iterator[None]:
    """Convert the error that torch raises when another process has ended to a ProcessError."""
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
        if isinstance(error, SmallTextError) or not lost:
            raise
        what = f"The connection to the other processes is lost ({one_line(str(error))})"
        raise ProcessError(f"{what}. One of them has ended; its own message says why.") from error
