"""Attacks with folders of the torch backends: functions that change a folder such that a library would run code.

The arguments of an attack are the folder, the marker that its payload creates, and a module on sys.path that
creates the marker when it is imported.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from security.attacks import Payload, edit_json, payload_pickle

Attack = Callable[[Path, Path, str], None]

OUTSIDE = {"method": "forward", "method_output_name": "last_hidden_state"}


def _pickled(path: Path, marker: Path, *, legacy: bool = False) -> None:
    if legacy:
        path.write_bytes(payload_pickle(marker))
    else:
        torch.save({"embeddings.word_embeddings.weight": Payload(marker)}, path)


def _index(folder: Path, file: str, name: str = "model.safetensors.index.json") -> None:
    weights = {"embeddings.word_embeddings.weight": file}
    (folder / name).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weights}))


def pickled_weights(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    _pickled(folder / "pytorch_model.bin", marker)


def pickled_weights_without_archive(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    _pickled(folder / "pytorch_model.bin", marker, legacy=True)


def pickled_shards(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    _pickled(folder / "pytorch_model-00001-of-00001.bin", marker)
    _index(folder, "pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json")


def index_that_names_a_pickle(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    _pickled(folder / "shard.bin", marker)
    _index(folder, "shard.bin")


def index_that_names_a_pickle_and_no_dtype(folder: Path, marker: Path, module: str) -> None:
    index_that_names_a_pickle(folder, marker, module)
    edit_json(folder / "config.json", lambda config: config.pop("dtype", None) and None)


def index_beside_the_weights(folder: Path, marker: Path, module: str) -> None:
    _pickled(folder / "shard.bin", marker)
    _index(folder, "shard.bin")


def index_that_leads_outside(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    _index(folder, "../outside.safetensors")


def index_with_a_pickle_called_safetensors(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "shard.safetensors").write_bytes(payload_pickle(marker))
    _index(folder, "shard.safetensors")


def setting(file: str, key: str, value: Any) -> Attack:
    """Return an attack that sets a key of a JSON file; MODULE in the value is replaced by the module."""

    def attack(folder: Path, marker: Path, module: str) -> None:
        content = json.loads(json.dumps(value).replace("MODULE", module))
        path = folder / file
        if not path.exists():
            path.write_text("{}")
        edit_json(path, lambda settings: {**settings, key: content})

    return attack


def custom_model(folder: Path, marker: Path, module: str) -> None:
    (folder / "modeling.py").write_text(f"open({str(marker)!r}, 'w')\nclass Model: pass\nclass Config: pass\n")
    auto_map = {"AutoConfig": "modeling.Config", "AutoModel": "modeling.Model"}
    auto_map["AutoModelForSequenceClassification"] = "modeling.Model"
    edit_json(folder / "config.json", lambda config: {**config, "auto_map": auto_map})


def custom_model_of_a_new_type(folder: Path, marker: Path, module: str) -> None:
    custom_model(folder, marker, module)
    edit_json(folder / "config.json", lambda config: {**config, "model_type": "of-its-author"})


def custom_tokenizer(folder: Path, marker: Path, module: str) -> None:
    (folder / "tokenizing.py").write_text(f"open({str(marker)!r}, 'w')\nclass Mine: pass\n")
    tokenizer = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["tokenizing.Mine", None]}}
    edit_json(folder / "tokenizer_config.json", lambda config: {**config, **tokenizer})


def tokenizer_with_dictionaries(folder: Path, marker: Path, module: str) -> None:
    more = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "sudachi"}
    more["sudachi_kwargs"] = {"sudachi_config_path": module, "sudachi_resource_dir": "."}
    edit_json(folder / "tokenizer_config.json", lambda config: {**config, **more})


def model_of_another_library(folder: Path, marker: Path, module: str) -> None:
    edit_json(folder / "config.json", lambda _: {"model_type": "timm_wrapper", "architecture": f"hf-hub:{module}"})


def replacements_that_grow(folder: Path, marker: Path, module: str) -> None:
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100}
    steps = {"type": "Sequence", "normalizers": [step] * 6}
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, "normalizer": steps})


def tokens_without_end(folder: Path, marker: Path, module: str) -> None:
    special = {"id": "[CLS]", "ids": [2] * 1000, "tokens": ["x"] * 1000}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    single = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}] * 1000 + [text]
    template = {"type": "TemplateProcessing", "single": single, "pair": [text, text]}
    template["special_tokens"] = {"[CLS]": special}
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, "post_processor": template})


def key_twice(folder: Path, marker: Path, module: str) -> None:
    path = folder / "tokenizer.json"
    path.write_text('{"model": {"vocab": {"a": 99999999999}}, ' + path.read_text().lstrip()[1:])


def pipe_in_place_of_the_configuration(folder: Path, marker: Path, module: str) -> None:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")


def device_in_place_of_the_configuration(folder: Path, marker: Path, module: str) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")


def one_number_for_many(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    weights = {"embeddings.word_embeddings.weight": torch.zeros(1).expand(2**32)}
    torch.save(weights, folder / "pytorch_model.bin")


@functools.cache
def _weights_with_zeros() -> bytes:
    """Return weights beside which a hundred million zeros are compressed."""
    content = io.BytesIO()
    torch.save({"embeddings.word_embeddings.weight": torch.zeros(1)}, content)
    with (
        zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data/1", "w", force_zip64=True) as file,
    ):
        for _ in range(3):
            file.write(bytes(2**25))
    return content.getvalue()


def bomb_of_weights(folder: Path, marker: Path, module: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(_weights_with_zeros())


WEIGHTS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        pickled_weights,
        pickled_weights_without_archive,
        pickled_shards,
        index_that_names_a_pickle,
        index_that_names_a_pickle_and_no_dtype,
        index_beside_the_weights,
        index_that_leads_outside,
        index_with_a_pickle_called_safetensors,
    )
}

TITLE = "\x1b]0;title\x07"
"""A control sequence that sets the title of a terminal; the tokenizers library prints unknown keys of tokens."""

_PRINTED = {"content": "goal", "lstrip": False, TITLE: True}


def token_with_a_control_sequence(folder: Path, marker: Path, module: str) -> None:
    edit_json(folder / "tokenizer.json", lambda content: content["added_tokens"][0].update({TITLE: True}))


CONTROL_SEQUENCES: dict[str, Attack] = {
    "a control sequence in a token": token_with_a_control_sequence,
    "a control sequence in a special token": setting(
        "tokenizer_config.json", "pad_token", {"__type": "AddedToken", **_PRINTED}
    ),
    "a control sequence in a list of tokens": setting(
        "tokenizer_config.json", "additional_special_tokens", ["goal", {"__type": "AddedToken", **_PRINTED}]
    ),
    "a control sequence in a table of tokens": setting(
        "tokenizer_config.json", "extra_special_tokens", {"a_token": {"__type": "AddedToken", **_PRINTED}}
    ),
    "a control sequence in a numbered token": setting(
        "tokenizer_config.json", "added_tokens_decoder", {"1": _PRINTED}
    ),
    "a control sequence in a token among words": setting(
        "tokenizer_config.json", "never_split", [{"a": [{"__type": "AddedToken", **_PRINTED}]}]
    ),
    "a control sequence in the map of tokens": setting("special_tokens_map.json", "unk_token", _PRINTED),
    "a control sequence in a list of the map": setting(
        "special_tokens_map.json", "additional_special_tokens", [_PRINTED]
    ),
}

TRANSFORMERS: dict[str, Attack] = {
    **WEIGHTS,
    **CONTROL_SEQUENCES,
    "custom model": custom_model,
    "custom model of a new type": custom_model_of_a_new_type,
    "custom tokenizer": custom_tokenizer,
    "one number for many": one_number_for_many,
    "a bomb of weights": bomb_of_weights,
    "a tokenizer with dictionaries": tokenizer_with_dictionaries,
    "a model of another library": model_of_another_library,
    "a part of another library": setting("config.json", "text_config", {"model_type": "timm_backbone"}),
    "code for a part": setting("config.json", "text_config", {"auto_map": {"AutoConfig": "MODULE.Payload"}}),
    "kernels for a part": setting("config.json", "text_config", [{"_attn_implementation": "org/kernel"}]),
    "a dtype of a part": setting("config.json", "text_config", {"dtype": "hub.load"}),
    "replacements that grow": replacements_that_grow,
    "a key twice": key_twice,
    "tokens without end": tokens_without_end,
    "a token id in the settings": setting(
        "tokenizer_config.json", "added_tokens_decoder", {"99999999999": {"content": "goal"}}
    ),
    "quantization": setting("config.json", "quantization_config", {"quant_method": "gptq", "bits": 4}),
    "kernels for attention": setting("config.json", "_attn_implementation", "org/kernel:MODULE"),
    "kernels for attention, by another name": setting("config.json", "attn_implementation", "org/kernel"),
    "kernels for experts": setting("config.json", "experts_implementation", "org/kernel"),
    "a function of torch as dtype": setting("config.json", "dtype", "load"),
    "a function of torch as torch_dtype": setting("config.json", "torch_dtype", "hub.load"),
    "a class of tokenizers in the configuration": setting("config.json", "tokenizer_class", "MODULE.Payload"),
    "weights by another name": setting("config.json", "transformers_weights", "shard.bin"),
    "a part with code": setting("config.json", "task", {"auto_map": {"AutoModel": "MODULE.Payload"}}),
    "a backbone": setting("config.json", "backbone_config", {"auto_map": {"AutoModel": "MODULE--Payload"}}),
    "an adapter": setting("adapter_config.json", "base_model_name_or_path", "MODULE"),
    "a tokenizer class": setting("tokenizer_config.json", "tokenizer_class", "MODULE.Payload"),
    "a tokenizer class with a pickle": setting("tokenizer_config.json", "tokenizer_class", "TransfoXLTokenizer"),
    "a tokenizer that opens a file": setting("tokenizer_config.json", "vocab_file", "/etc/hostname"),
    "a tokenizer of gguf": setting("tokenizer_config.json", "gguf_file", "MODULE.gguf"),
    "arguments of mecab": setting("tokenizer_config.json", "mecab_kwargs", {"mecab_option": "-r MODULE"}),
    "arguments of sentencepiece": setting("tokenizer_config.json", "sp_model_kwargs", {"model_file": "MODULE"}),
    "a special token that is a file": setting("special_tokens_map.json", "vocab_file", "/etc/hostname"),
}


def module_type(name: str, number: int = 1) -> Attack:
    """Return an attack with another class of modules."""

    def attack(folder: Path, marker: Path, module: str) -> None:
        def change(modules: list[dict[str, Any]]) -> None:
            modules[number]["type"] = name.replace("MODULE", module)

        edit_json(folder / "modules.json", change)

    return attack


def _further_module(folder: Path, kind: str, settings: dict[str, Any], file: str = "config.json") -> None:
    def add(modules: list[dict[str, Any]]) -> None:
        modules.append({"idx": len(modules), "name": str(len(modules)), "path": "2_More", "type": kind})

    edit_json(folder / "modules.json", add)
    (folder / "2_More").mkdir()
    (folder / "2_More" / file).write_text(json.dumps(settings))


def dense(activation: str) -> Attack:
    """Return an attack that adds a dense layer with an arbitrary activation function."""

    def attack(folder: Path, marker: Path, module: str) -> None:
        settings = {"in_features": 32, "out_features": 32, "bias": True}
        settings["activation_function"] = activation.replace("MODULE", module)
        _further_module(folder, "sentence_transformers.models.Dense", settings)

    return attack


def dense_with_a_pickle(folder: Path, marker: Path, module: str) -> None:
    settings = {"in_features": 32, "out_features": 32, "bias": True}
    settings["activation_function"] = "torch.nn.modules.activation.Tanh"
    _further_module(folder, "sentence_transformers.models.Dense", settings)
    torch.save({"linear.weight": Payload(marker)}, folder / "2_More" / "pytorch_model.bin")


def router(folder: Path, marker: Path, module: str) -> None:
    settings = {"types": {"query_0": f"{module}.Payload"}, "structure": {"query": ["query_0"]}, "parameters": {}}
    _further_module(folder, "sentence_transformers.models.Router", settings, "router_config.json")


def unsafe_pickle_of_the_body(folder: Path, marker: Path, module: str) -> None:
    index_that_names_a_pickle_and_no_dtype(folder, marker, module)
    arguments = {"weights_only": False, "use_safetensors": False}
    edit_json(folder / "sentence_bert_config.json", lambda settings: {**settings, "model_args": arguments})


def module_outside(folder: Path, marker: Path, module: str) -> None:
    def change(modules: list[dict[str, Any]]) -> None:
        modules[1]["path"] = "../1_Pooling"

    (folder / "1_Pooling").rename(folder.parent / "1_Pooling")
    edit_json(folder / "modules.json", change)


def _transformer(key: str, value: Any) -> Attack:
    return setting("sentence_bert_config.json", key, value)


SENTENCE_TRANSFORMERS: dict[str, Attack] = {
    **TRANSFORMERS,
    "weights_only=False for the body": unsafe_pickle_of_the_body,
    "a pipe in place of the configuration": pipe_in_place_of_the_configuration,
    "a device in place of the configuration": device_in_place_of_the_configuration,
    "a module of a custom class": module_type("MODULE.Payload"),
    "a first module of a custom class": module_type("MODULE.Payload", 0),
    "a module that is a module": module_type("MODULE"),
    "a name behind the prefix": module_type("sentence_transformers.base.model.torch"),
    "a function behind the prefix": module_type("sentence_transformers.util.misc.import_from_string"),
    "a prefix alone": module_type("sentence_transformers.MODULE.Payload"),
    "a module outside": module_outside,
    "an activation of a custom class": dense("MODULE.Payload"),
    "an activation of torch that opens files": dense("torch.load"),
    "an activation of torch that is no function": dense("torch.utils.cpp_extension.load"),
    "a dense layer with a pickle": dense_with_a_pickle,
    "a router": router,
    "weights_only=False": _transformer("model_args", {"weights_only": False}),
    "weights_only=False, by another name": _transformer("model_kwargs", {"weights_only": False}),
    "trust_remote_code": _transformer("model_args", {"trust_remote_code": True}),
    "kernels": _transformer("model_args", {"use_kernels": True}),
    "attention of a kernel": _transformer("model_args", {"attn_implementation": "org/kernel"}),
    "quantization of the body": _transformer("model_args", {"quantization_config": {"quant_method": "gptq"}}),
    "gguf": _transformer("model_args", {"gguf_file": "MODULE.gguf"}),
    "a state dict": _transformer("model_args", {"state_dict": {}}),
    "a tokenizer of another folder": _transformer("tokenizer_name_or_path", "MODULE"),
    "arguments of the tokenizer": _transformer("tokenizer_args", {"tokenizer_file": "/etc/hostname"}),
    "arguments of the processor": _transformer("processor_kwargs", {"trust_remote_code": True}),
    "arguments of the configuration": _transformer("config_args", {"auto_map": {"AutoConfig": "MODULE.Payload"}}),
    "a prompt without end": setting("config_sentence_transformers.json", "prompts", {"MODULE": "a " * 10**5}),
    "another task": _transformer("transformer_task", "any-to-any"),
    "any method": _transformer("modality_config", {"text": {**OUTSIDE, "method": "push_to_hub"}}),
    "any output": _transformer("modality_config", {"text": {**OUTSIDE, "method_output_name": "__class__"}}),
    "another backend": _transformer("backend", "onnx"),
    "a key of another version": _transformer("model_name_or_path", "MODULE"),
}


def adapter_as_a_pickle(folder: Path, marker: Path, module: str) -> None:
    (folder / "adapter_model.safetensors").unlink()
    torch.save({"base_model.model.x": Payload(marker)}, folder / "adapter_model.bin")


def adapter_with_a_pickle_beside(folder: Path, marker: Path, module: str) -> None:
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Payload(marker)))


def adapter_in_the_manifest(folder: Path, marker: Path, module: str) -> None:
    def change(manifest: dict[str, Any]) -> None:
        adapter = manifest["parameters"]["constructor"]["peft_config"]
        adapter.update(megatron_core=module, megatron_config={"tensor_model_parallel_size": 1})

    edit_json(folder / "smalltext.json", change)


def _megatron(folder: Path, marker: Path, module: str) -> None:
    more = {"megatron_core": module, "megatron_config": {"tensor_model_parallel_size": 1}}
    edit_json(folder / "adapter_config.json", lambda settings: {**settings, **more})


def _adapter(key: str, value: Any) -> Attack:
    return setting("adapter_config.json", key, value)


ADAPTERS: dict[str, Attack] = {
    "a pickle": adapter_as_a_pickle,
    "a pickle beside the weights": adapter_with_a_pickle_beside,
    "a module to import": _megatron,
    "a module to import, in the manifest": adapter_in_the_manifest,
    "another type": _adapter("peft_type", "XLORA"),
    "no type": _adapter("peft_type", "MODULE"),
    "a library": _adapter("auto_mapping", {"base_model_class": "Payload", "parent_library": "MODULE"}),
    "a file": _adapter("prompt_tuning_init_state_dict_path", "MODULE.bin"),
    "a pattern that never ends": _adapter("target_modules", "(.*)*(.*)*x"),
    "a decomposition that never ends": _adapter("init_lora_weights", "pissa_niter_999999999"),
    "as many layers as there is memory": _adapter("layer_replication", [[0, 2]] * 1000),
}


def code_in_the_folder(folder: Path, marker: Path, module: str) -> None:
    (folder / "sitecustomize.py").write_text(f"open({str(marker)!r}, 'w')")


def pickle_in_the_folder(folder: Path, marker: Path, module: str) -> None:
    (folder / "more.pkl").write_bytes(payload_pickle(marker))


def link_out_of_the_folder(folder: Path, marker: Path, module: str) -> None:
    (folder.parent / "elsewhere").mkdir(exist_ok=True)
    (folder / "more").symlink_to(folder.parent / "elsewhere", target_is_directory=True)


def pipe_in_the_folder(folder: Path, marker: Path, module: str) -> None:
    os.mkfifo(folder / "more.json")


FILES: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (code_in_the_folder, pickle_in_the_folder, link_out_of_the_folder, pipe_in_the_folder)
}


def kimcnn_weights_as_a_pickle(folder: Path, marker: Path, module: str) -> None:
    (folder / "weights.safetensors").write_bytes(payload_pickle(marker))


def kimcnn_pickle_beside(folder: Path, marker: Path, module: str) -> None:
    (folder / "weights.safetensors").unlink()
    torch.save({"embedding.weight": Payload(marker)}, folder / "weights.bin")


def kimcnn_padding(folder: Path, marker: Path, module: str) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["parameters"]["constructor"].update(filter_padding=2**22, max_seq_len=2**40)

    edit_json(folder / "smalltext.json", change)


KIMCNN: dict[str, Attack] = {
    "weights as a pickle": kimcnn_weights_as_a_pickle,
    "a pickle beside": kimcnn_pickle_beside,
    "padding that takes all memory": kimcnn_padding,
    "an unknown parameter of the vocabulary": setting("vocabulary.json", "auto_map", "MODULE.Payload"),
}
