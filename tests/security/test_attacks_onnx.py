"""Hostile folders of exported models: nothing outside the graph is read or run, and errors name the reason.

The manifests have the hashes of the hostile files.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import smalltext_core as st
from robustness import backends
from security.attacks import (
    LENGTHENING_NORMALIZERS,
    LENGTHENING_PROCESSORS,
    SOUND_NORMALIZERS,
    edit_json,
    payload_pickle,
    sign,
)
from smalltext_core.errors import ModelFolderError
from smalltext_core.saving import MANIFEST
from smalltext_onnx import export

TEXTS = st.TextDataset(["a goal for the team", "", "a recipe"])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound") / "model"
    export(backends.fitted("transformers"), folder)
    return folder


@pytest.fixture
def folder(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "model"))


def refused(folder, match=None):
    sign(folder)
    with pytest.raises(ModelFolderError, match=match) as error:
        st.load(folder)
    assert str(error.value).isprintable()
    return str(error.value)


def node(operator, domain="", **attributes):
    return helper.make_node(operator, ["input_ids"], ["unused"], domain=domain, **attributes)


def graph(*nodes):
    return helper.make_graph(
        list(nodes), "inner", [], [helper.make_tensor_value_info("x", TensorProto.INT64, [1])]
    )


def external(model, location, **further):
    weights = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **further}.items():
        weights.external_data.add(key=key, value=value)


def operator_of_a_plugin(model):
    model.graph.node.append(node("Payload", "evil.plugin"))


def operator_of_a_plugin_in_a_constant_branch(model):
    branch = graph(node("Payload", "evil.plugin"))
    model.graph.node.append(node("If", then_branch=branch, else_branch=branch))


def operators_of_the_runtime_that_read_files(model):
    model.graph.node.append(node("EPContext", "com.microsoft", ep_cache_context="/etc/passwd"))


def further_set_of_operators(model):
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def endless_loop(model):
    model.graph.node.append(node("Loop", body=graph(node("Identity"))))


def random_numbers(model):
    model.graph.node.append(node("RandomNormalLike"))


def function_of_the_model(model):
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("", "Gemm", ["x"], ["y"], [], opsets))


def weights_without_numbers(model):
    model.graph.initializer.append(TensorProto(name="bomb", data_type=TensorProto.FLOAT, dims=[2**40]))


def constant_without_numbers(model):
    value = TensorProto(name="bomb", data_type=TensorProto.FLOAT, dims=[2**20, 2**20])
    model.graph.node.append(helper.make_node("Constant", [], ["bomb"], value=value))


def sparse_weights(model):
    values = numpy_helper.from_array(np.ones(1, dtype=np.float32), "sparse")
    places = numpy_helper.from_array(np.zeros(1, dtype=np.int64), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**40]))


def options_of_the_runtime(model):
    model.metadata_props.add(key="ort_config", value='{"session_options": {"graph_optimization_level": 0}}')


def part_for_training(model):
    model.training_info.add()


def strings(model):
    model.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], [b"x"]))


def deep_branches(model):
    inner = graph(node("Identity"))
    for _ in range(12):
        inner = graph(node("If", then_branch=inner, else_branch=graph(node("Identity"))))
    model.graph.node.append(node("If", then_branch=inner, else_branch=inner))


GRAPHS = {
    operator_of_a_plugin: "operators of 'evil.plugin'",
    operator_of_a_plugin_in_a_constant_branch: "operators of 'evil.plugin'",
    operators_of_the_runtime_that_read_files: "operators of 'com.microsoft'",
    further_set_of_operators: "operators of 'com.microsoft'",
    endless_loop: "the operator 'Loop'",
    random_numbers: "the operator 'RandomNormalLike'",
    function_of_the_model: "it defines functions",
    weights_without_numbers: "not that many numbers",
    constant_without_numbers: "not that many numbers",
    sparse_weights: "sparse weights",
    options_of_the_runtime: "metadata, which can hold options of the runtime",
    part_for_training: "a part for training",
    strings: "weights that are strings",
    deep_branches: "nested more than 8 levels deep",
}


@pytest.mark.parametrize("attack", GRAPHS, ids=lambda attack: attack.__name__)
def test_graphs_that_do_more_than_compute_are_refused(attack, folder):
    model = onnx.load(folder / "model.onnx")
    attack(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    refused(folder, GRAPHS[attack])


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "model.onnx.data", "tokenizer.json", "x/../../secret"]
)
def test_weights_are_read_from_no_other_file(location, folder):
    (folder.parent / "secret").write_bytes(bytes(4096 * 64))
    (folder / "model.onnx.data").write_bytes(bytes(4096 * 64))
    model = onnx.load(folder / "model.onnx")
    external(model, location)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    refused(folder, "it reads weights from another file")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"ORTM" * 100, b"PK\x03\x04" * 50, b"\x3a\xff\xff\xff\xff\x7f", b"\x0a" * 100, bytes(1000)],
    ids=["nothing", "half a number", "flatbuffers", "archive", "cut", "nested", "zeros"],
)
def test_an_invalid_graph_is_refused(content, folder):
    (folder / "model.onnx").write_bytes(content)
    refused(folder, r"model\.onnx is damaged, or not an exported text classifier")


def test_a_pickle_is_not_read(folder, tmp_path):
    (folder / "model.onnx").write_bytes(payload_pickle(tmp_path / "marker"))
    refused(folder, r"model\.onnx is damaged")
    assert not (tmp_path / "marker").exists()


def test_a_truncated_graph_is_refused(folder):
    content = (folder / "model.onnx").read_bytes()
    for length in np.linspace(1, len(content) - 1, 40).astype(int):
        (folder / "model.onnx").write_bytes(content[:length])
        refused(folder)


def test_a_damaged_byte_never_raises_a_foreign_error(folder):
    content, rng = (folder / "model.onnx").read_bytes(), np.random.default_rng(0)
    for place in rng.integers(len(content), size=25):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        (folder / "model.onnx").write_bytes(bytes(damaged))
        sign(folder)
        with suppress(ModelFolderError):
            st.load(folder).predict_proba(TEXTS)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_links_out_of_the_folder_are_refused(name, folder):
    outside = folder.parent / "outside"
    shutil.copy(folder / name, outside)
    (folder / name).unlink()
    (folder / name).symlink_to(outside)
    refused(folder, "outside the folder; it is not read")


def test_a_pipe_does_not_block(folder):
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(ModelFolderError, match="is missing"):
        st.load(folder)


NAMES = {"text": b"\x1b]0;title\x07", "no text": b"\xff\xfe\x1b[2J\xfe\xfe\xfe\xfe"}


@pytest.mark.parametrize("operator", ["MatMul", "Add", "Softmax"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_the_runtime_prints_nothing_of_a_graph_that_it_refuses(name, operator, folder, capfd):
    model, placeholder = onnx.load(folder / "model.onnx"), "x" * len(name)
    changed = next(one for one in model.graph.node if one.op_type == operator)
    changed.name = changed.input[0] = placeholder
    content = model.SerializeToString().replace(placeholder.encode(), name)
    (folder / "model.onnx").write_bytes(content)
    refused(folder, "onnxruntime cannot compute the exported model")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_files_that_the_manifest_does_not_list_are_refused(name, folder):
    edit_json(folder / MANIFEST, lambda manifest: manifest["files"].pop(name) and None)
    with pytest.raises(ModelFolderError, match="is incomplete"):
        st.load(folder)


TOKENIZERS = {
    "an id without end": (lambda one: one["model"]["vocab"].update(goal=2**40), "a token has the id"),
    "a negative id": (lambda one: one["added_tokens"][0].update(id=-1), "a token has the id"),
    "texts of gigabytes": (
        lambda one: one.update(
            normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 20_000}
        ),
        "makes texts longer",
    ),
    "texts of gigabytes in steps": (
        lambda one: one.update(
            normalizer={
                "type": "Sequence",
                "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100}] * 3,
            }
        ),
        "makes texts longer",
    ),
    "tokens without end around a text": (
        lambda one: one["post_processor"]["special_tokens"]["[CLS]"].update(ids=[2] * 20_000),
        "tokens around a text",
    ),
    "ids that the model does not know": (
        lambda one: one["model"]["vocab"].update({"[UNK]": 100_000}),
        "to which the tokenizer gives the id 100000",
    ),
    "no tokenizer": (lambda _: [], "no JSON object"),
    "an unknown model": (lambda one: one["model"].update(type="Payload"), "cannot be loaded"),
}


@pytest.mark.parametrize("attack", TOKENIZERS.values(), ids=TOKENIZERS.keys())
def test_tokenizers_that_exhaust_memory_are_refused(attack, folder):
    change, match = attack
    edit_json(folder / "tokenizer.json", change)
    refused(folder, match)


def test_a_tokenizer_that_is_not_json_is_refused(folder):
    (folder / "tokenizer.json").write_text("[" * 100_000)
    refused(folder, "is not JSON")


TEXT = {
    "max_length": [0, 2, 10**9, "64", None, 1.5],
    "before": [-1, 10**6, True],
    "after": [-1, 10**6],
    "padding": [-1, 2**40, 267],
    "filler": [-1, 267],
    "vocabulary_size": [0, 2**40],
    "prompt": [3, "x" * 100_000, None],
    "windows": [1, None],
}
CASES = [(name, value) for name, values in TEXT.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=lambda value: str(value)[:20])
def test_settings_out_of_range_are_refused(name, value, folder):
    edit_json(folder / MANIFEST, lambda manifest: manifest["parameters"]["text"].update({name: value}))
    refused(folder, f"key '(text.)?{name}'")


@pytest.mark.parametrize(
    "change",
    [
        {"num_classes": 10**12},
        {"num_classes": 4},
        {"num_classes": True},
        {"multi_label": None},
        {"multi_label_threshold": [0.5, 0.5]},
        {"multi_label_threshold": "auto"},
        {"multi_label_threshold": 1},
        {"calibration": {"method": "temperature"}},
        {"text": None},
        {"export": None},
    ],
    ids=str,
)
def test_parameters_that_do_not_fit_the_graph_are_refused(change, folder):
    edit_json(folder / MANIFEST, lambda manifest: manifest["parameters"].update(change))
    refused(folder)


def test_a_random_value_anywhere_in_the_manifest_gives_an_error_or_a_model_that_predicts(folder):
    original, rng = (folder / MANIFEST).read_text(), np.random.default_rng(1)
    values = [None, -1, 0, 2**62, 1.5, "", "x", [], {}, True, [0.5] * 3]
    for _ in range(60):
        manifest = json.loads(original)
        place = manifest["parameters"]
        while True:
            key = sorted(place)[rng.integers(len(place))]
            if not isinstance(place[key], dict) or not place[key] or rng.random() < 0.2:
                break
            place = place[key]
        place[key] = values[rng.integers(len(values))]
        (folder / MANIFEST).write_text(json.dumps(manifest))
        with suppress(ModelFolderError):
            st.load(folder).predict_proba(TEXTS)


@pytest.mark.parametrize("normalizer", LENGTHENING_NORMALIZERS.values(), ids=LENGTHENING_NORMALIZERS)
def test_a_normalizer_that_makes_texts_longer_is_refused(normalizer, folder):
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, "normalizer": normalizer})
    refused(folder, "a normalizer makes texts longer by a factor of")


@pytest.mark.parametrize("processor", LENGTHENING_PROCESSORS.values(), ids=LENGTHENING_PROCESSORS)
def test_special_tokens_that_make_texts_longer_are_refused(processor, folder):
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, "post_processor": processor})
    refused(folder, "the number of tokens around a text is")


@pytest.mark.parametrize("normalizer", SOUND_NORMALIZERS.values(), ids=SOUND_NORMALIZERS)
def test_normalizers_of_well_known_models_are_not_refused(normalizer, folder):
    edit_json(folder / "tokenizer.json", lambda tokenizer: {**tokenizer, "normalizer": normalizer})
    sign(folder)
    st.load(folder)


def test_a_tokenizer_with_a_key_twice_is_refused(folder):
    path = folder / "tokenizer.json"
    twice = path.read_text(encoding="utf-8").replace('"normalizer":', '"normalizer": null, "normalizer":', 1)
    path.write_text(twice, encoding="utf-8")
    refused(folder, "the same key twice")
