"""The pretrained network: its layers, its inputs, and inference with it.

Layers can be frozen or have different learning rates, and the last layer computes only the first token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from smalltext_core.conversion import is_whole
from smalltext_core.errors import InvalidInputError
from smalltext_core.labels import Labels
from smalltext_core.messages import brief, shown
from smalltext_torch.batching import Batch
from smalltext_torch.device import TorchRandomness, copy_sharing_weights
from smalltext_torch.inference import BatchInference, Loss, RunningMetrics
from smalltext_torch.optimization import trained_parameters
from smalltext_transformers.arguments import FineTuningArguments

if TYPE_CHECKING:
    from transformers.configuration_utils import PretrainedConfig

EmbeddingMethod = Literal["avg", "cls"]
Layer = list[nn.Parameter]

_AFTER_ATTENTION = {
    **dict.fromkeys(
        ("bert", "camembert", "deberta", "deberta-v2", "electra", "roberta", "xlm-roberta"), ("attention.output",)
    ),
    "distilbert": ("sa_layer_norm",),
    "mpnet": ("intermediate", "output"),
}
"""By type of model whose head uses only the first token: the modules of a layer that process the output of its
attention, for any number of tokens."""

_READS_PADDING = frozenset({"convbert", "fnet", "nystromformer", "yoso"})
"""The types of models whose result for a text depends on the padding behind it, despite the attention mask."""

_LEARNING_RATES = ((512, 1e-4), (768, 3e-5))
"""Hidden sizes, and the learning rate of encoders up to that size; for larger encoders it is 1e-5."""

_FIRST_TOKEN_ONLY: ContextVar[bool] = ContextVar("first_token_only", default=False)


def layers(network: nn.Module) -> list[Layer]:
    """Return the parameters of a network layer by layer, from the bottom up; every parameter is in one layer.

    The first layer is everything before the encoder's layers (the embeddings), the last is everything after them
    (a final norm, a pooler, the classification head), wherever the module tree has it: XLM-RoBERTa has its head
    before the encoder. Relative position embeddings, which follow the layers in the module tree but are used by
    all of them, belong to the first one.

    Raises
    ------
    InvalidInputError
        If the network has no list of layers.
    """
    path, inner = _stack(network)
    prefixes = _prefixes(network, path, len(inner))
    shared = tuple(f"{name}." for name in _shared_after(network, path))
    found: list[Layer] = [[] for _ in range(len(prefixes) + 2)]
    begun = False
    for name, parameter in network.named_parameters():
        inside = next((number for number, prefix in enumerate(prefixes, start=1) if name.startswith(prefix)), None)
        begun = begun or inside is not None
        if inside is not None:
            found[inside].append(parameter)
        elif _is_of_head(network, name) or (begun and not name.startswith(shared)):
            found[-1].append(parameter)
        else:
            found[0].append(parameter)
    return [layer for layer in found if layer]


def stack(network: nn.Module) -> tuple[str, nn.ModuleList] | None:
    """Return the encoder's list of layers and its name, if any: the longest list, or the outermost of these."""
    stacks = (
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and next(module.parameters(), None) is not None
    )
    return max(stacks, key=lambda found: len(found[1]), default=None)


def _stack(network: nn.Module) -> tuple[str, nn.ModuleList]:
    found = stack(network)
    if found is None:
        raise InvalidInputError(
            "fine_tuning_arguments",
            f"a {type(network).__name__}, in which no list of layers was found",
            "a model with a list of layers, or fine_tuning_arguments=None",
        )
    return found


def _prefixes(network: nn.Module, path: str, count: int) -> list[tuple[str, ...]]:
    """Return the prefixes of the names of each layer's parameters.

    XLM has several lists of the same length side by side, such as those of attentions and feed-forward networks.
    """
    parent = path.rpartition(".")[0]
    lists = [
        ".".join(filter(None, (parent, name)))
        for name, module in network.get_submodule(parent).named_children()
        if isinstance(module, nn.ModuleList) and len(module) == count
    ]
    return [tuple(f"{name}.{number}." for name in lists) for number in range(count)]


def _is_of_head(network: nn.Module, name: str) -> bool:
    """Return whether a parameter belongs to the classification head, a pooler or the norm before them."""
    base = str(getattr(network, "base_model_prefix", ""))
    outside = hasattr(network, base) and not name.startswith(f"{base}.")
    return outside or not {"pooler", "final_layer_norm"}.isdisjoint(name.split("."))


def _shared_after(network: nn.Module, path: str) -> list[str]:
    """Return the names of the modules next to the layers that all layers use."""
    parent, _, own = path.rpartition(".")
    children = list(network.get_submodule(parent).named_children())
    position = [name for name, _ in children].index(own)
    following = children[position + 1 :]
    if not any(isinstance(module, nn.Embedding) for _, module in following):
        return []
    return [f"{parent}.{name}" for name, _ in following]


def word_embedding(network: Any) -> nn.Embedding | None:
    """Return the token embedding of a network, if it is a plain embedding layer."""
    try:
        found = network.get_input_embeddings()
    except NotImplementedError:
        return None
    return found if isinstance(found, nn.Embedding) else None


def unfreeze_top(network: nn.Module, count: int | None) -> None:
    """Unfreeze the top `count` layers (None: all), and freeze those below."""
    if count is None:
        network.requires_grad_(requires_grad=True)
        return
    found = layers(network)
    for height, layer in enumerate(reversed(found)):
        for parameter in layer:
            parameter.requires_grad = height < count


def learning_rate(config: Any) -> float:
    """Return the learning rate for a pretrained model, which decreases with the size of the encoder."""
    size = getattr(config, "hidden_size", None) or 768
    return next((rate for largest, rate in _LEARNING_RATES if size <= largest), 1e-5)


def parameter_groups(network: nn.Module, arguments: FineTuningArguments | None, lr: float) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimizer; with fine-tuning arguments, one per layer.

    `lr` is the learning rate of the top layer if that of the arguments is "auto".

    Raises
    ------
    InvalidInputError
        If all layers would be trained from the beginning, so that there are none to unfreeze gradually.
    """
    if arguments is None:
        return [{"params": trained_parameters(network)}]
    found, first = layers(network), arguments.unfrozen_layers(epoch=1)
    if first is not None and first >= len(found):
        allowed = f"less than {len(found)}, the number of layers of the model, embeddings and head included"
        raise InvalidInputError("gradual_unfreezing", brief(first), allowed, "-1 trains all layers at once.")
    base_lr = lr if arguments.base_lr == "auto" else arguments.base_lr
    return [
        {"params": layer, "lr": base_lr * arguments.decay**height} for height, layer in enumerate(reversed(found))
    ]


def with_first_token_hooks(network: Any) -> nn.Module:
    """Return a network whose last layer computes only the first token inside `first_token_only`.

    The heads of BERT and related models use only the first token. The last layer needs the other tokens as keys
    and values of its attention; all further computations, three quarters of its cost, are restricted to the first
    token. Results and gradients are the same, up to rounding.
    """
    modules = _AFTER_ATTENTION.get(network.config.model_type, ())
    _, found = stack(network) or ("", [])
    # The only layer of a DeBERTa may be followed by a convolution over all tokens.
    if len(found) > 1:
        for name in modules:
            found[-1].get_submodule(name).register_forward_pre_hook(_first_token)
    prepared: nn.Module = network
    return prepared


@contextmanager
def first_token_only() -> Iterator[None]:
    """Compute only the first token in the last layer of prepared networks in this thread; a context manager."""
    token = _FIRST_TOKEN_ONLY.set(True)
    try:
        yield
    finally:
        _FIRST_TOKEN_ONLY.reset(token)


def _first_token(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Keep only the first token of the inputs of a module, tensors of shape (n, tokens, ...)."""
    if not _FIRST_TOKEN_ONLY.get():
        return None
    return tuple(one[:, :1] if isinstance(one, torch.Tensor) else one for one in given)


def logits(network: Any, batch: Batch) -> torch.Tensor:
    """Return the logits of the texts of a batch, shape (n, num_classes)."""

    def of_part(part: Batch) -> torch.Tensor:
        with first_token_only():
            found: torch.Tensor = network(**inputs(part, network.config)).logits
        return found

    return without_padding(of_part, batch, network.config)


def without_padding(
    function: Callable[[Batch], torch.Tensor], batch: Batch, config: PretrainedConfig
) -> torch.Tensor:
    """Apply a function to a batch; if the network does not ignore padding, to texts of equal length at a time."""
    if config.model_type not in _READS_PADDING:
        return function(batch)
    rows = {length: torch.nonzero(batch.lengths == length)[:, 0] for length in set(batch.lengths.tolist())}
    parts = [function(Batch(batch.tokens[row, :length], batch.lengths[row])) for length, row in rows.items()]
    return torch.cat(parts)[torch.cat(list(rows.values())).argsort()]


def inputs(batch: Batch, config: PretrainedConfig) -> dict[str, torch.Tensor]:
    """Return the arguments of the forward pass of a network with this configuration."""
    tokens, mask = batch.tokens, batch.mask
    if _classifies_last_position(config):
        tokens, mask = (tensor.gather(1, _rotated(batch, batch.lengths)) for tensor in (tokens, mask))
    return {"input_ids": tokens, "attention_mask": mask.long()}


def in_original_order(states: torch.Tensor, batch: Batch, config: PretrainedConfig) -> torch.Tensor:
    """Return hidden states, shape (n, longest, width), in the original order of the tokens, as before `inputs`."""
    if not _classifies_last_position(config):
        return states
    positions = _rotated(batch, -batch.lengths)
    return states.gather(1, positions[:, :, None].expand_as(states))


def _classifies_last_position(config: PretrainedConfig) -> bool:
    """Return whether the head classifies the hidden state at the last position, even if it is padding.

    Other heads use the last token that is not padding, or the first one.
    """
    return config.model_type == "xlnet" and config.summary_type == "last"


def _rotated(batch: Batch, by: torch.Tensor) -> torch.Tensor:
    """Return the positions of a batch, each row rotated to the left by `by` positions."""
    width = batch.tokens.shape[1]
    return (torch.arange(width, device=by.device) + by[:, None]) % width


def check_embedding(method: object, layer: object, config: PretrainedConfig) -> None:
    """Reject an unknown pooling method, or a layer that does not exist."""
    if not isinstance(method, str) or method not in ("avg", "cls"):
        raise InvalidInputError("embedding_method", shown(method), "'avg' or 'cls'")
    depth = config.num_hidden_layers + 1
    if not is_whole(layer):
        raise InvalidInputError("hidden_layer_index", shown(layer), "a whole number")
    if not -depth <= layer < depth:
        allowed = f"{-depth} to {depth - 1}; the model has {depth - 1} layers above its embeddings"
        raise InvalidInputError("hidden_layer_index", brief(layer), allowed)


def embed(
    batches: BatchInference, network: nn.Module, loss: Loss, method: EmbeddingMethod, layer: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the embeddings of texts, shape (n, hidden_size), and their probabilities."""
    # To return hidden states, transformers attaches functions to the network that cannot be pickled.
    copied: Any = copy_sharing_weights(network)
    config = copied.config
    width = int(config.hidden_size)

    def embeddings_and_probabilities(batch: Batch) -> torch.Tensor:
        output = copied(**inputs(batch, config), output_hidden_states=True)
        # Models with a decoder, such as BART, return the hidden states of the encoder separately.
        every = output["encoder_hidden_states" if "encoder_hidden_states" in output else "hidden_states"]
        states = in_original_order(every[layer].float(), batch, config)
        embeddings = states[:, 0] if method == "cls" else _mean(states, batch)
        return torch.cat([embeddings, loss.probabilities(output.logits)], dim=1)

    def of_batch(batch: Batch) -> torch.Tensor:
        return without_padding(embeddings_and_probabilities, batch, config)

    both = batches.compute(copied, of_batch, width + int(config.num_labels))
    return np.ascontiguousarray(both[:, :width]), np.ascontiguousarray(both[:, width:])


def _mean(states: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return the mean over the tokens, without padding."""
    mask = batch.mask[:, :, None].to(states.dtype)
    return (states * mask).sum(dim=1) / batch.lengths.clamp(min=1)[:, None]


@dataclass(frozen=True, kw_only=True)
class WindowInference(BatchInference):
    """Inference on windows; the result for text ``i`` is the mean over its ``counts[i]`` windows."""

    counts: NDArray[np.int64]

    def compute(
        self, network: nn.Module, function: Callable[[Batch], torch.Tensor], width: int
    ) -> NDArray[np.float32]:
        """Apply a function to all windows; return the means, shape (n, width)."""
        return self._pooled(super().compute(network, function, width))

    def sample(
        self, function: Callable[[Batch], torch.Tensor], samples: int, width: int, randomness: TorchRandomness
    ) -> NDArray[np.float32]:
        """Apply a function with dropout to all windows; return the means, shape (n, samples, width)."""
        return self._pooled(super().sample(function, samples, width, randomness))

    def _pooled(self, of_windows: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(of_windows) == len(self.counts):
            return of_windows
        sums = np.add.reduceat(of_windows, np.cumsum(self.counts) - self.counts, axis=0, dtype=np.float64)
        means: NDArray[np.float32] = (sums.T / self.counts).T.astype(np.float32)
        return means


def evaluate_probabilities(proba: NDArray[np.float32], y: Labels, loss: Loss) -> tuple[float, float]:
    """Return the loss and accuracy of probabilities."""
    logits = loss.logits(torch.from_numpy(proba))
    metrics = RunningMetrics(len(logits), logits.device)
    targets, weights = loss.targets(y, logits.device), loss.text_weights(y)
    of_texts = None if weights is None else torch.from_numpy(weights)
    metrics.add(loss.per_text(logits, targets), loss.accuracies(logits, targets), of_texts)
    return metrics.means("The validation loss")
