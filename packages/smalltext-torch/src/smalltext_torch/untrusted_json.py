"""JSON files of untrusted model folders: size limits and allowed keys."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import one_line, shown

MAX_BYTES = 64 * 2**20
"""The maximum size of a settings file, in bytes."""

MAX_INTEGER = 2**31 - 1
"""The maximum value of any size, count or token id of a model."""


def refuse(path: Path, key: str, problem: str, allowed: str = "") -> NoReturn:
    """Raise ModelFolderError for a key of a file (a path of keys, or empty for the whole file)."""
    where = f"{path}, key {shown(key, 100)}" if key else str(path)
    raise ModelFolderError(f"{where}: {problem}{f'; allowed: {allowed}' if allowed else ''}.")


def read_json(path: Path, *, unique: bool = False) -> Any:
    """Return the content of a JSON file; `unique` refuses objects with the same key twice.

    Two libraries may resolve duplicate keys differently, which matters for a file that is passed on unchanged.

    Raises
    ------
    ModelFolderError
        If it cannot be read, is not a regular file, is larger than 64 MiB, is not JSON, or contains NaN or
        infinity.
    """
    try:
        if path.exists() and not path.is_file():
            refuse(path, "", "it is not a regular file")
        if path.stat().st_size > MAX_BYTES:
            refuse(path, "", f"it has more than {MAX_BYTES} bytes")
        return json.loads(
            path.read_bytes(),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates if unique else None,
        )
    except OSError as error:
        raise ModelFolderError(f"{path} cannot be read: {one_line(str(error))}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFolderError):
            raise
        raise ModelFolderError(f"{path} is damaged, it is not JSON ({one_line(str(error))}).") from error


def read_object(path: Path, *, unique: bool = False) -> dict[str, Any]:
    """Return the content of a file that holds a JSON object; see `read_json`."""
    content = read_json(path, unique=unique)
    if not isinstance(content, dict):
        refuse(path, "", "it holds no JSON object")
    return content


def checked_object(path: Path, content: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object after checking that its keys and the types of its values are allowed.

    `types` maps keys to a type, a tuple of types, or a frozenset of values. None stands for null; integers are
    limited to 31 bits, and a boolean is not an integer.

    Raises
    ------
    ModelFolderError
        If a key or the type of its value is not allowed.
    """
    for key, value in content.items():
        if key not in types:
            refuse(path, key, "this key is not on the list of those that are allowed", ", ".join(sorted(types)))
        if not _fits(value, types[key]):
            refuse(path, key, f"it holds {shown(value, 100)}", _described(types[key]))
    return dict(content)


def _fits(value: object, allowed: Any) -> bool:
    if isinstance(allowed, frozenset):
        return value is None or (isinstance(value, (str, bool, int)) and value in allowed)
    options = allowed if isinstance(allowed, tuple) else (allowed,)
    if value is None:
        return None in options
    if type(value) is int:
        return (int in options and 0 <= value <= MAX_INTEGER) or (float in options and abs(value) < 1e9)
    return type(value) in options


def _described(allowed: Any) -> str:
    if isinstance(allowed, frozenset):
        return ", ".join(sorted(map(repr, allowed)))
    options = allowed if isinstance(allowed, tuple) else (allowed,)
    return " or ".join("null" if option is None else option.__name__ for option in options)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large for a float")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("an object has the same key twice")
    return content


def words(text: str) -> frozenset[str]:
    """Return the words of a text; long lists are easier to read without quotes around every word."""
    return frozenset(text.split())


BASE_CONFIG = words(
    """
    _attn_implementation_autoset add_cross_attention architectures bad_words_ids begin_suppress_tokens
    bos_token_id chunk_size_feed_forward classifier_dropout cross_attention_hidden_size
    decoder_start_token_id diversity_penalty do_sample dtype early_stopping encoder_no_repeat_ngram_size
    eos_token_id exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id
    gradient_checkpointing hidden_act id2label is_decoder is_encoder_decoder label2id length_penalty
    max_length min_length model_type no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
    output_attentions output_hidden_states output_past output_scores pad_token_id prefix problem_type
    pruned_heads remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id
    suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder tie_word_embeddings
    tokenizer_class top_k top_p torch_dtype torchscript typical_p unk_token_id use_bfloat16 use_cache
    """
)
"""Keys of config.json for all types of models; the parameters of the configuration class are allowed as well."""

FURTHER_CONFIG = words(
    """
    attention_head_size attention_windows cls_dropout conv_act conv_groups conv_kernel_size embedding_size
    first_k_dense_replace full_attention_interval global_attn_every_n_layers global_rope_theta head_dim
    layer_types local_rope_theta moe_layer_freq n_embed norm_rel_ebd partial_rotary_factor position_buckets
    position_embedding_type rope_local_base_freq rope_scaling rope_theta rotary_emb_base rotary_pct
    share_att_key sliding_window_pattern summary_activation summary_type talking_head
    """
)
"""Keys that networks read although the configuration class has no such parameter, as those of DeBERTa-v3.

Some of them were parameters before version 5 of transformers, which converts them.
"""

UNUSED_CONFIG = words("reference_compile")
"""Keys of pretrained models that are left out where the configuration class has no such parameter."""

BASE_TOKENIZER = words(
    """
    add_bos_token add_dummy_prefix_space add_eos_token add_prefix_space add_special_tokens
    added_tokens_decoder additional_special_tokens backend bos_token clean_up_tokenization_spaces cls_token
    do_basic_tokenize do_lower_case do_lowercase do_subword_tokenize do_word_tokenize eos_token errors
    extra_ids extra_special_tokens full_tokenizer_name is_local keep_accents lang language legacy
    legacy_behaviour local_files_only mask_token max_len max_length mecab_kwargs model_input_names
    model_max_length model_specific_special_tokens never_split normalization normalize offset pad_even
    pad_to_multiple_of pad_token pad_token_type_id padding padding_side remove_space sep_token
    sp_model_kwargs spaces_between_special_tokens special_tokens split_special_tokens src_lang stride
    strip_accents subword_tokenizer_type tgt_lang tokenize_chinese_chars tokenizer_class tokenizer_type
    trim_offsets truncation truncation_side truncation_strategy unk_token use_default_system_prompt use_fast
    word_tokenizer_type
    """
)
"""Keys of tokenizer_config.json for all classes of tokenizers."""

REMOVED_KEYS = words(
    """
    _name_or_path _num_labels chat_template name_or_path num_labels processor_class response_schema
    response_template special_tokens_map_file tokenizer_file transformers_version
    """
)
"""Keys that occur in many folders and are not needed; they are removed before any library reads the file."""

SPECIAL_TOKENS = words(
    """
    additional_special_tokens bos_token cls_token eos_token extra_special_tokens mask_token pad_token
    sep_token unk_token
    """
)
"""Keys of special_tokens_map.json; those that end in ``_token`` are allowed as well."""

TOKENIZER_FILES = words(
    """
    added_tokens.json bpe.codes byte_maps.json dict.txt emoji.json entity_vocab.json merges.txt
    monolingual_vocab.txt prophetnet.tokenizer sentencepiece.bpe.model sentencepiece.model source.spm
    special_tokens_map.json spiece.model spm.model tokenizer.json tokenizer.model tokenizer_config.json
    vocab.json vocab.txt word_pronunciation.json word_shape.json
    """
)
"""The files of tokenizers: text, JSON and SentencePiece models, none of which is a pickle."""

DTYPES = frozenset(
    name for kind in ("float32", "float16", "bfloat16", "float64", "auto") for name in (kind, f"torch.{kind}")
)

ATTENTION = frozenset({"eager", "sdpa"})
"""The implementations that are part of transformers; others would import packages or kernels."""

TOKENIZERS = words(
    """
    Albert Bart Barthez Bartpho Bert BertJapanese Bertweet BigBird BioGpt Blenderbot BlenderbotSmall Bloom
    ByT5 CLIP CTRL Camembert Canine CodeGen CodeLlama Cohere ConvBert Cpm CpmAnt DPRContextEncoder
    DPRQuestionEncoder DPRReader Deberta DebertaV2 DistilBert Electra Esm Esmc FNet FSMT Flaubert Funnel
    GPT2 GPTNeoX GPTNeoXJapanese Gemma Herbert LED LayoutLM Llama Longformer Luke Lxmert M2M100 MBart
    MBart50 MLuke MPNet MT5 MobileBert Mvp MyT5 Nllb OpenAIGPT PLBart Pegasus Perceiver Phobert ProphetNet
    Qwen2 Qwen3_5 Reformer RemBert RetriBert RoCBert RoFormer Roberta SeamlessM4T Splinter SqueezeBert T5
    Tapas Udop XGLM XLM XLMRoberta XLNet
    """
)
"""Classes of text tokenizers, without their suffix Tokenizer or TokenizerFast."""

GENERAL_TOKENIZERS = frozenset({"PreTrainedTokenizerFast", "TokenizersBackend"})

_SUSPICIOUS = words(
    """
    auto automap backbone backend checkpoint class classes cls code compile compression custom eval exec file files
    gguf hook hooks hub implementation import imports kernel kernels library loader map module modules package
    patch path pickle plugin quantization quantize quantizer quantized remote repo repository script trust url
    weights
    """
)

_KINDS = ("Transformer", "Pooling", "Dense", "Normalize", "LayerNorm", "Dropout")
_BASE, _MODULES = "sentence_transformers.base.modules", "sentence_transformers.sentence_transformer.modules"
MODULE_TYPES = {
    **{f"sentence_transformers.models.{kind}": kind for kind in _KINDS},
    **{f"sentence_transformers.models.{kind}.{kind}": kind for kind in _KINDS},
    **{f"{_BASE}.{kind.lower()}.{kind}": kind for kind in ("Transformer", "Dense", "Normalize")},
    **{f"{_MODULES}.{kind.lower()}.{kind}": kind for kind in ("Pooling", "Dropout")},
    f"{_MODULES}.layer_norm.LayerNorm": "LayerNorm",
}
"""The allowed classes of modules, under every name that a version of sentence-transformers has saved."""

_ACTIVATIONS = frozenset(
    f"torch.nn.modules.{kind}"
    for kind in (
        *("activation.GELU", "activation.LeakyReLU", "activation.ReLU", "activation.SiLU"),
        *("activation.Sigmoid", "activation.Tanh", "linear.Identity"),
    )
)
_SENTENCE = frozenset({"sentence_embedding"})
POOLING_MODES = ("cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean")
MODULE_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "Pooling": {
        **dict.fromkeys(("embedding_dimension", "word_embedding_dimension"), int),
        "include_prompt": bool,
        "pooling_mode": (str, list),
        **dict.fromkeys(("pooling_mode_cls_token", "pooling_mode_lasttoken"), bool),
        **{f"pooling_mode_{kind}_tokens": bool for kind in ("mean", "max", "mean_sqrt_len", "weightedmean")},
    },
    "Dense": {
        **dict.fromkeys(("in_features", "out_features"), int),
        **dict.fromkeys(("bias", "use_residual"), bool),
        "activation_function": _ACTIVATIONS,
        **dict.fromkeys(("module_input_name", "module_output_name"), _SENTENCE),
    },
    "Normalize": dict.fromkeys(("module_input_name", "module_output_name"), _SENTENCE),
    "LayerNorm": {"dimension": int},
    "Dropout": {"dropout": float},
}
"""The keys of the config.json of each class of modules behind the transformer, and their values."""

LIBRARY_ARGUMENTS = (
    *("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"),
)
TRANSFORMER_SETTINGS: Mapping[str, Any] = {
    "max_seq_length": (int, None),
    "do_lower_case": bool,
    "transformer_task": frozenset({"feature-extraction"}),
    "modality_config": dict,
    "module_output_name": frozenset({"token_embeddings"}),
    "processing_kwargs": (dict, None),
    "unpad_inputs": (bool, None),
    **dict.fromkeys(("query_length", "document_length", "query_expansion"), (None,)),
    **dict.fromkeys(LIBRARY_ARGUMENTS, (dict, None)),
}
"""The keys of sentence_bert_config.json and its relatives, and their values."""

TEXT_MODALITY = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
TRANSFORMER_ARGUMENTS: Mapping[str, Any] = {
    **dict.fromkeys(("add_pooling_layer", "do_lower_case"), bool),
    "attn_implementation": ATTENTION,
    **dict.fromkeys(("dtype", "torch_dtype"), DTYPES),
    **dict.fromkeys(("max_length", "model_max_length"), int),
    **dict.fromkeys(("padding_side", "truncation_side"), frozenset({"left", "right"})),
    "trust_remote_code": frozenset({False}),
}
"""The allowed `LIBRARY_ARGUMENTS` of a pretrained model."""

SENTENCE_SETTINGS: Mapping[str, Any] = {
    "__version__": dict,
    "default_prompt_name": (str, None),
    "model_type": frozenset({"SentenceTransformer"}),
    "prompts": dict,
    "similarity_fn_name": frozenset({"cosine", "dot", "euclidean", "manhattan"}),
}
"""The keys of config_sentence_transformers.json, and their values."""

IGNORED_SENTENCE_SETTINGS = words("requirements truncate_dim")


def is_tokenizer(name: object) -> bool:
    """Return whether a class of tokenizers is in the allowlist."""
    if not isinstance(name, str):
        return False
    return name in GENERAL_TOKENIZERS or name.removesuffix("Fast").removesuffix("Tokenizer") in (
        TOKENIZERS if name.removesuffix("Fast").endswith("Tokenizer") else ()
    )


def is_suspicious(key: str) -> bool:
    """Return whether the name of an unknown key suggests that it determines what is imported, called or opened."""
    return not _SUSPICIOUS.isdisjoint(key.lower().split("_"))
