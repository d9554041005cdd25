"""What the settings of pretrained models and tokenizers may say: the lists that folders are checked against."""

from __future__ import annotations


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
"""Keys of config.json that any type of model may have; further ones are the parameters of its configuration."""

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
"""Keys of tokenizer_config.json that any class of tokenizers may have."""

NOT_HANDED_ON = words(
    """
    _name_or_path _num_labels chat_template name_or_path num_labels processor_class response_schema
    response_template special_tokens_map_file tokenizer_file transformers_version
    """
)
"""Keys that occur in many folders and are of no use here: whatever they hold, no library gets to see it."""

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
"""The files that tokenizers are made of: text, JSON and SentencePiece models, none of which is a pickle."""

DTYPES = frozenset(
    name for kind in ("float32", "float16", "bfloat16", "float64", "auto") for name in (kind, f"torch.{kind}")
)

ATTENTION = frozenset({"eager", "sdpa"})
"""The implementations that are part of transformers; others are packages or kernels that would be imported."""

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
"""Classes of tokenizers of texts, without their ending: Tokenizer or TokenizerFast."""

GENERAL_TOKENIZERS = frozenset({"PreTrainedTokenizerFast", "TokenizersBackend"})

_SUSPICIOUS = words(
    """
    auto automap backbone backend checkpoint class classes cls code compile compression custom eval exec file files
    gguf hook hooks hub implementation import imports kernel kernels library loader map module modules package
    patch path pickle plugin quantization quantize quantizer quantized remote repo repository script trust url
    weights
    """
)


def is_tokenizer(name: object) -> bool:
    """Tell whether a class of tokenizers is on the list."""
    if not isinstance(name, str):
        return False
    return name in GENERAL_TOKENIZERS or name.removesuffix("Fast").removesuffix("Tokenizer") in (
        TOKENIZERS if name.removesuffix("Fast").endswith("Tokenizer") else ()
    )


def is_suspicious(key: str) -> bool:
    """Tell whether a key that is on no list sounds as if it decided what is imported, called or opened."""
    return not _SUSPICIOUS.isdisjoint(key.lower().split("_"))
