"""Small models that are trained quickly: a tokenizer with a given vocabulary, and random weights."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from smalltext_testing.sample_data import sentence, training_texts, unusual_texts
from smalltext_torch.progress import silence

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "initializer_range": 0.05,
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertConfig", {}),
    "roberta": ("RobertaConfig", {"type_vocab_size": 1}),
    "distilbert": ("DistilBertConfig", {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48}),
    "deberta-v2": (  # with the settings of DeBERTa-v3
        "DebertaV2Config",
        {
            "relative_attention": True,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "electra": ("ElectraConfig", {"embedding_size": 16}),
    "mpnet": ("MPNetConfig", {}),
    "modernbert": (
        "ModernBertConfig",
        {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    ),
}
"""The class of each configuration, and its parameters in addition to `SIZES`."""
KIN: dict[str, tuple[str, dict[str, Any]]] = {
    "camembert": ("CamembertConfig", {"type_vocab_size": 1}),
    "deberta": ("DebertaConfig", {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}),
    "xlm-roberta": ("XLMRobertaConfig", {"type_vocab_size": 1}),
}
"""The same for models with a similar architecture."""
READS_PADDING: dict[str, tuple[str, dict[str, Any]]] = {
    "convbert": ("ConvBertConfig", {"embedding_size": 32}),
    "fnet": ("FNetConfig", {}),
}
"""The same for models that do not ignore padding."""
WITH_DECODER: dict[str, tuple[str, dict[str, Any]]] = {
    "bart": (
        "BartConfig",
        {
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "forced_eos_token_id": None,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "decoder_start_token_id": 3,
        },
    ),
    "t5": (
        "T5Config",
        {"d_model": 32, "d_kv": 16, "d_ff": 48, "eos_token_id": 3, "decoder_start_token_id": 0},
    ),
    "gpt2": ("GPT2Config", {"n_positions": 64, "bos_token_id": 2, "eos_token_id": 3}),
    "xlnet": ("XLNetConfig", {"d_model": 32, "n_layer": 2, "n_head": 2, "d_inner": 48}),
}
"""The same for models that are not only encoders."""


def tiny_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Return a tokenizer whose vocabulary is the words of the conformance kit and the letters."""
    words = {word for topic in range(8) for i in range(12) for word in sentence(topic, i).split()}
    words |= {word for text in [*unusual_texts().x[3:], *training_texts(2, True).x] for word in text.split()}
    letters = [letter for word in "abcdefghijklmnopqrstuvwxyz0123456789" for letter in (word, f"##{word}")]
    vocabulary = {word: number for number, word in enumerate([*SPECIAL, *letters, *sorted(words - set(letters))])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def tiny_config(architecture: str, **changes: Any) -> transformers.PretrainedConfig:
    name, extra = {**ARCHITECTURES, **KIN, **READS_PADDING, **WITH_DECODER}[architecture]
    sizes = {**SIZES, "vocab_size": len(tiny_tokenizer()), **extra, **changes}
    if architecture == "xlnet":
        del sizes["max_position_embeddings"]  # It supports texts of any length.
    return getattr(transformers, name)(**sizes)


def save_tiny_model(folder: Path, architecture: str = "bert", **changes: Any) -> Path:
    """Write a pretrained model with random weights, and its tokenizer, to a folder."""
    config = tiny_config(architecture, **changes)
    with torch.random.fork_rng(), silence():
        torch.manual_seed(0)
        transformers.AutoModel.from_config(config).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tiny-models-")


@cache
def tiny_model(architecture: str = "bert", **changes: Any) -> str:
    """Return the folder of a tiny model, which exists until the tests end."""
    name = "-".join([architecture, *(f"{option}-{value}" for option, value in changes.items())])
    return str(save_tiny_model(Path(_home().name, name), architecture, **changes))
