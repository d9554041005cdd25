"""Configurations of pretrained models are read as by transformers, although their keys are checked first."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as CLASSIFIERS

from smalltext_torch.pretrained_files import put_config
from smalltext_torch.progress import silence
from smalltext_transformers import TransformerModelArguments
from smalltext_transformers._pretrained import Pretrained
from transformers_backend.tiny_models import ARCHITECTURES, KIN, WITH_DECODER, tiny_model

PUBLISHED: dict[str, dict[str, Any]] = {
    "deberta-v3": {
        "model_type": "deberta-v2",
        "max_position_embeddings": 512,
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": "p2c|c2p",
        "max_relative_positions": -1,
        "position_biased_input": False,
        "type_vocab_size": 0,
        "vocab_size": 128100,
    },
    "deberta-v2": {
        "model_type": "deberta-v2",
        "attention_head_size": 64,
        "conv_kernel_size": 3,
        "conv_act": "gelu",
        "position_buckets": 256,
        "share_att_key": True,
    },
    "modernbert": {
        "model_type": "modernbert",
        "global_attn_every_n_layers": 2,
        "global_rope_theta": 150000.0,
        "local_rope_theta": 20000.0,
        "reference_compile": False,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 128, "rope_scaling": None, "rope_theta": 1000000},
    "llama": {
        "model_type": "llama",
        "rope_scaling": {
            "factor": 32.0,
            "high_freq_factor": 4.0,
            "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
            "rope_type": "llama3",
        },
        "rope_theta": 500000.0,
    },
    "gemma3": {
        "model_type": "gemma3_text",
        "rope_local_base_freq": 20000.0,
        "rope_theta": 2000000.0,
        "sliding_window_pattern": 3,
    },
    "pythia": {"model_type": "gpt_neox", "rotary_emb_base": 20000, "rotary_pct": 0.5},
}
"""Keys of configurations on the Hugging Face hub, written by several versions of transformers."""

UNUSED = {"_name_or_path", "name_or_path", "reference_compile", "transformers_version"}


@pytest.mark.parametrize("content", PUBLISHED.values(), ids=PUBLISHED)
def test_a_published_configuration_is_read_as_by_transformers(content, tmp_path):
    if content["model_type"] not in transformers.CONFIG_MAPPING:
        pytest.skip("This version of transformers does not know this type of models.")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "config.json").write_text(json.dumps(content))
    put_config(tmp_path / "given", tmp_path, transformers, saved=False)
    expected = vars(transformers.AutoConfig.from_pretrained(tmp_path / "given"))
    read = vars(transformers.AutoConfig.from_pretrained(tmp_path))
    assert {key: read.get(key) for key in expected if key not in UNUSED} == {
        key: value for key, value in expected.items() if key not in UNUSED
    }


@pytest.mark.parametrize("architecture", {**ARCHITECTURES, **KIN, **WITH_DECODER})
def test_the_pretrained_network_computes_what_transformers_computes(architecture):
    folder = tiny_model(architecture)
    source = Pretrained(TransformerModelArguments(folder), None)
    network, _ = source.network(source.config(2, multi_label=False))
    with silence():
        expected = transformers.AutoModel.from_pretrained(folder).eval()
    tokens = torch.tensor([[2, 50, 60, 70, 80, 90, 3], [2, 91, 81, 71, 61, 51, 3]])
    given = {"decoder_input_ids": tokens} if expected.config.is_encoder_decoder else {}
    with torch.no_grad():
        found = network.base_model.eval()(tokens, **given)[0]
        torch.testing.assert_close(found, expected(tokens, **given)[0], rtol=0, atol=0)


READ = {
    "modeling_*.py": re.compile(r"""getattr\(\s*(?:self\.)?config,\s*["'](\w+)["']"""),
    "configuration_*.py": re.compile(r"""kwargs\.(?:pop|get|setdefault)\(\s*["'](\w+)["']"""),
}
"""How networks and configuration classes read keys that are not parameters of a configuration class."""

OTHER_KEYS = {
    *("dtype", "torch_dtype", "_attn_implementation", "model_type", "num_labels", "trust_remote_code"),
    *("text_config", "vision_config", "patch_size", "num_layers_per_stage", "apply_spec_augment"),
}
"""Keys whose values the check restricts, and those of images and sounds."""


@pytest.mark.nightly
@pytest.mark.parametrize("kind", sorted(set(CLASSIFIERS) & set(transformers.CONFIG_MAPPING)))
def test_no_key_is_left_out_that_a_network_reads(kind, tmp_path):
    module = str(importlib.import_module(transformers.CONFIG_MAPPING[kind].__module__).__file__)
    read = {
        key
        for files, pattern in READ.items()
        for path in Path(module).parent.glob(files)
        for key in pattern.findall(path.read_text(encoding="utf-8"))
    }
    keys = read - OTHER_KEYS
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "config.json").write_text(json.dumps({"model_type": kind, **dict.fromkeys(keys, 1)}))
    assert keys <= put_config(tmp_path / "given", tmp_path, transformers, saved=False).keys()
