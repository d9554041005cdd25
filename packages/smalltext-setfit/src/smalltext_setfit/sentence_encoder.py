"""Sentence transformers: from a folder, a cache or a hub, as a network; no code of theirs is run."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, cast

import numpy as np
import torch
from huggingface_hub import snapshot_download
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer, SentenceTransformerModelCardData
from torch import nn
from transformers import AutoConfig, AutoModel

from smalltext_core.atomic import expanded
from smalltext_core.errors import InvalidInputError, ModelFolderError
from smalltext_core.messages import one_line, shown
from smalltext_setfit.arguments import SetFitModelArguments
from smalltext_setfit.heads import linear
from smalltext_setfit.keywords import ModelKeywords
from smalltext_setfit.sentence_files import MODULES, SETTINGS, TRANSFORMER_CONFIGS, put_sentence_transformer
from smalltext_setfit.text_encoder import TextEncoder
from smalltext_torch import model_loading
from smalltext_torch.batching import Batch, Ragged, make_batch, prediction_batches, token_budget
from smalltext_torch.device import Precision, inference
from smalltext_torch.pretrained_files import CONFIG, PretrainedFolderError, temporary_folder
from smalltext_torch.progress import silence

UNREADABLE = (
    *(AttributeError, EOFError, ImportError, LookupError, OSError, RuntimeError, SafetensorError, TypeError),
    *(UnpicklingError, ValueError),
)
"""What the libraries raise over folders that are damaged, or hold something else."""


class ModelCard(SentenceTransformerModelCardData):
    """What a sentence transformer says of itself, without keeping it in memory.

    A sentence transformer and its model card refer to each other, and so would wait for the next garbage
    collection once nobody needs them.
    """

    @property
    def model(self) -> Any:
        """The sentence transformer, while there is one."""
        return None if self._model is None else self._model()

    @model.setter
    def model(self, model: Any) -> None:
        self._model = None if model is None else weakref.ref(model)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be pickled; `SentenceClassifier` puts it back."""
        return {**self.__dict__, "_model": None}


class SentenceClassifier(nn.Module):
    """A sentence transformer and, on top of what it makes of a text, a linear layer.

    Parameters
    ----------
    body : SentenceTransformer
    head : Linear
    normalize : bool
        Whether sentence embeddings are scaled to a length of 1.
    prompt_length : int or None
        How many tokens at the beginning of every text are not part of the sentence.
    """

    def __init__(
        self, body: SentenceTransformer, head: nn.Linear, *, normalize: bool, prompt_length: int | None = None
    ) -> None:
        super().__init__()
        self.body = body
        self.head = head
        self.normalize = normalize
        self.prompt_length = prompt_length

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled or copied, and tell the model card whose it is."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.body.model_card_data.register_model(self.body)

    @property
    def word_embedding(self) -> nn.Embedding | None:
        """The layer in which the body looks tokens up, if it has a plain one."""
        layer = cast("Any", self.body[0]).auto_model.get_input_embeddings()
        return layer if isinstance(layer, nn.Embedding) else None

    def with_head(self, head: nn.Linear) -> SentenceClassifier:
        """Return a network of the same body and another head."""
        return SentenceClassifier(
            self.body, head, normalize=self.normalize, prompt_length=self.prompt_length
        ).eval()

    def embed(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of texts as the body gives them, float32 of shape (n, dimensions)."""
        features: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask}
        if self.prompt_length is not None:
            features["prompt_length"] = self.prompt_length
        embeddings: torch.Tensor = self.body(features)["sentence_embedding"].float()
        return embeddings

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the embeddings that the head is given, and its logits."""
        embeddings = self.embed(batch.tokens, batch.mask.long())
        if self.normalize:
            embeddings = nn.functional.normalize(embeddings, p=2, dim=1)
        return embeddings, self.head(embeddings)


def new_classifier(
    body: SentenceTransformer, encoder: TextEncoder, num_classes: int, normalize: bool
) -> SentenceClassifier:
    """Return a network of a body and a head that knows nothing."""
    body.max_seq_length = encoder.max_length
    head = linear(np.zeros((num_classes, _dimensions(body))), np.zeros(num_classes))
    return SentenceClassifier(body, head, normalize=normalize, prompt_length=_prompt_length(body, encoder.prompt))


def load_body(arguments: SetFitModelArguments, keywords: ModelKeywords) -> SentenceTransformer:
    """Load a pretrained sentence transformer on the CPU, in float32.

    Raises
    ------
    InvalidInputError
        If there is none of this name, or it is none that texts can be fine-tuned with.
    """
    source = arguments.sentence_transformer_model
    allowed = "the folder of a sentence transformer, or the name of one on the Hugging Face hub"
    # What is no folder is taken for a name on the hub, of whose letters the hub then complains.
    if (Path(source).is_absolute() or source.startswith((".", "~"))) and not Path(source).is_dir():
        raise InvalidInputError(
            "sentence_transformer_model", f"{shown(source)}, where there is no folder", allowed
        )
    try:
        with quiet(), temporary_folder() as checked:
            put_sentence_transformer(_folder(arguments, keywords), checked, saved=False)
            body = _load(checked)
    except ModelFolderError as error:
        reason = f"{type(error).__name__}: {error}"
        raise PretrainedFolderError("sentence_transformer_model", shown(source), allowed, reason) from error
    except UNREADABLE as error:
        reason = one_line(str(error).strip().partition("\n")[0])
        raise InvalidInputError(
            "sentence_transformer_model", shown(source), allowed, f"{type(error).__name__}: {reason}"
        ) from error
    if getattr(body[0], "auto_model", None) is None:
        raise InvalidInputError(
            "sentence_transformer_model",
            f"{shown(source)}, which begins with {type(body[0]).__name__}",
            "a sentence transformer that begins with a transformer",
        )
    _name(body, source)
    return body.float()


def _load(checked: Path) -> SentenceTransformer:
    """Read a folder that was checked."""
    return SentenceTransformer(
        str(checked),
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_card_data=ModelCard(local_files_only=True),
        model_kwargs={"use_safetensors": True},
    )


def _name(body: SentenceTransformer, source: str) -> None:
    """Let the parts of a model say where it is from, instead of the folder in which it was checked."""
    transformer: Any = body[0]
    body.tokenizer.name_or_path = source
    transformer.auto_model.name_or_path = transformer.auto_model.config.name_or_path = source


def _folder(arguments: SetFitModelArguments, keywords: ModelKeywords) -> Path:
    """Return the folder of a model, which is downloaded if need be.

    Raises
    ------
    OSError
        If there is no such model.
    """
    source = arguments.sentence_transformer_model
    if Path(source).is_dir():
        return Path(source)
    where: dict[str, Any] = {
        "cache_dir": expanded(keywords.cache_dir) or os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
        "revision": keywords.revision,
        "token": keywords.token,
        **arguments.model_loading_strategy.arguments(),
    }
    if "/" not in source:
        # Names without an organization are short for those of the authors of sentence-transformers.
        with suppress(*UNREADABLE):
            return _fetched(f"sentence-transformers/{source}", **where)
    return _fetched(source, **where)


def _fetched(name: str, **where: Any) -> Path:
    files = (*model_loading.TOKENIZER_PATTERNS, MODULES, SETTINGS, *TRANSFORMER_CONFIGS)
    inside = tuple(f"*/{file}" for file in files)
    return model_loading.fetched_weights(snapshot_download, name, (*files, *inside), deep=True, **where)


def load_saved_body(folder: Path, num_dimensions: int) -> SentenceTransformer:
    """Read the sentence transformer of a saved classifier, on the CPU.

    Raises
    ------
    ModelFolderError
        If anything in the folder is not allowed, or does not fit the weights and the head.
    """
    with quiet(), temporary_folder() as checked:
        inside, shapes = put_sentence_transformer(folder, checked, saved=True)
        config = AutoConfig.from_pretrained(inside, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            model_loading.check_size(cast("Any", AutoModel).from_config(config), shapes, folder / CONFIG)
        body = _load(checked).float()
    _name(body, "")
    model_loading.check_complete(cast("Any", body[0]).auto_model, shapes, folder / CONFIG)
    if _dimensions(body) != num_dimensions:
        what = f"{folder}: the sentence transformer has {_dimensions(body)} dimensions, its head {num_dimensions}"
        raise ModelFolderError(f"{what}. Save the model again.")
    return body


def _dimensions(body: SentenceTransformer) -> int:
    # The method has another name from sentence-transformers 5.4 on, which warns of the old one.
    ask = getattr(body, "get_embedding_dimension", None) or body.get_sentence_embedding_dimension
    dimensions = ask()
    assert dimensions is not None
    return int(dimensions)


def _prompt_length(body: SentenceTransformer, prompt: str) -> int | None:
    """Return how many tokens of a prompt the pooling of a body leaves out; None if it leaves out none."""
    pooled = all(getattr(module, "include_prompt", True) for module in body)
    if not prompt or pooled:
        return None
    ids = body.tokenizer(prompt)["input_ids"]
    return len(ids) - (1 if ids[-1] in (body.tokenizer.eos_token_id, body.tokenizer.sep_token_id) else 0)


def embed_all(
    network: SentenceClassifier,
    tokens: Ragged,
    precision: Precision,
    padding: int,
    advance: Callable[[int], object],
) -> NDArray[np.float32]:
    """Return the embeddings of texts, float32 of shape (n, dimensions), and say how far it has come."""
    embeddings = np.empty((len(tokens), network.head.in_features), dtype=np.float32)
    for rows in prediction_batches(tokens.lengths, token_budget(precision.device)):
        batch = make_batch(tokens, rows, precision.device, padding)
        with inference(network, precision):
            embeddings[rows] = network(batch)[0].float().cpu().numpy()
        advance(len(rows))
    return embeddings


def quiet() -> AbstractContextManager[None]:
    """Keep transformers, sentence-transformers and setfit from talking, and from showing progress bars."""
    return silence("sentence_transformers", "setfit")
