"""The layers of any encoder are found, with separate learning rates and gradual unfreezing."""

from __future__ import annotations

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForSequenceClassification

from smalltext_core.errors import InvalidInputError
from smalltext_torch.optimization import adamw, linear_decay
from smalltext_transformers import FineTuningArguments
from smalltext_transformers._network import layers, learning_rate, parameter_groups, unfreeze_top
from transformers_backend.tiny_models import ARCHITECTURES, KIN, SIZES, tiny_config

each_architecture = pytest.mark.parametrize("architecture", [*ARCHITECTURES, *KIN])


def network_of(architecture, **changes):
    return AutoModelForSequenceClassification.from_config(tiny_config(architecture, num_labels=3, **changes))


def optimizer_of(network, arguments):
    return adamw(parameter_groups(network, arguments, 0.1), lr=0.1)


def names(network, layer):
    ids = {id(parameter) for parameter in layer}
    return {name for name, parameter in network.named_parameters() if id(parameter) in ids}


@each_architecture
@pytest.mark.parametrize("depth", [2, 4])
def test_there_is_a_layer_for_the_embeddings_each_of_the_encoder_and_the_head(architecture, depth):
    assert len(layers(network_of(architecture, num_hidden_layers=depth))) == depth + 2


@each_architecture
@pytest.mark.parametrize("arguments", [None, FineTuningArguments(0.1, 0.9), FineTuningArguments(0.1, None, 2)])
def test_every_trainable_parameter_is_in_exactly_one_group(architecture, arguments):
    network = network_of(architecture)
    grouped = [
        id(parameter) for group in optimizer_of(network, arguments).param_groups for parameter in group["params"]
    ]
    assert sorted(grouped) == sorted(
        id(parameter) for parameter in network.parameters() if parameter.requires_grad
    )


@each_architecture
def test_word_embeddings_are_at_the_bottom_and_the_new_head_is_at_the_top(architecture):
    network = network_of(architecture)
    found = layers(network)
    assert {id(parameter) for parameter in network.get_input_embeddings().parameters()} <= {
        id(p) for p in found[0]
    }
    assert names(network, found[-1]) >= {name for name, _ in network.named_parameters() if "classifier." in name}


@pytest.mark.parametrize("kind", ["flaubert", "gte", "jina_embeddings_v3", "nomic_bert", "opt", "xlm"])
def test_modules_are_in_their_layer_wherever_the_module_tree_has_them(kind):
    """Some have the head, a pooler or the last norm before the encoder, or several lists of layers."""
    if kind not in CONFIG_MAPPING:
        pytest.skip(f"this version of transformers has no {kind}")
    sizes = {"emb_dim": 32, "n_layers": 2, "n_heads": 2} if kind in ("flaubert", "xlm") else SIZES
    config = CONFIG_MAPPING[kind](**sizes, vocab_size=100, num_labels=3)
    with torch.device("meta"):
        network = AutoModelForSequenceClassification.from_config(config)
    found = [names(network, layer) for layer in layers(network)]

    assert len(found) == 4
    assert not [name for name in found[0] if "embed" not in name and "layer_norm_emb" not in name]
    assert all(any(f".{number}." in name for name in layer) for number, layer in enumerate(found[1:3]))
    head = ("classifier", "pooler", "summary", "emb_layer_norm_after", "final_layer_norm", "score")
    assert not [name for name in found[-1] if not any(part in name for part in head)]


@each_architecture
def test_layers_of_the_encoder_hold_equal_numbers_of_parameters(architecture):
    sizes = [sum(p.numel() for p in layer) for layer in layers(network_of(architecture))[1:-1]]
    assert max(sizes) - min(sizes) <= 32  # the first layer of ModernBERT has no norm


@pytest.mark.parametrize(
    ("architecture", "part"), [("deberta-v2", "rel_embeddings"), ("mpnet", "relative_attention")]
)
def test_relative_positions_are_used_by_all_layers_and_so_are_below_them(architecture, part):
    network = network_of(architecture)
    assert any(part in name for name in names(network, layers(network)[0]))


def test_a_final_norm_is_above_all_layers():
    network = network_of("modernbert")
    assert "model.final_norm.weight" in names(network, layers(network)[-1])


def test_base_lr_auto_is_that_of_the_classifier():
    optimizer = optimizer_of(network_of("bert"), FineTuningArguments("auto", 0.5))
    assert max(group["lr"] for group in optimizer.param_groups) == 0.1


@pytest.mark.parametrize(("width", "expected"), [(128, 1e-4), (384, 1e-4), (512, 1e-4), (768, 3e-5), (1024, 1e-5)])
def test_small_encoders_learn_at_a_higher_rate(width, expected):
    assert learning_rate(tiny_config("bert", hidden_size=width)) == expected


def test_t04_base_lr_is_the_learning_rate():
    rates = [
        group["lr"] for group in optimizer_of(network_of("bert"), FineTuningArguments(0.5, None)).param_groups
    ]
    assert rates == [0.5] * 4


def test_each_layer_learns_more_slowly_than_the_one_above_it():
    network = network_of("bert")
    optimizer = optimizer_of(network, FineTuningArguments(0.1, 0.5))
    rates = {name: group["lr"] for group in optimizer.param_groups for name in names(network, group["params"])}
    assert rates["classifier.weight"] == pytest.approx(0.1)
    assert rates["bert.encoder.layer.1.output.dense.weight"] == pytest.approx(0.05)
    assert rates["bert.encoder.layer.0.output.dense.weight"] == pytest.approx(0.025)
    assert rates["bert.embeddings.word_embeddings.weight"] == pytest.approx(0.0125)


@pytest.mark.parametrize("switched_off", [-1, None])
def test_t04c_minus_one_switches_the_decay_off(switched_off):
    optimizer = optimizer_of(network_of("bert"), FineTuningArguments(2e-5, switched_off))
    assert {group["lr"] for group in optimizer.param_groups} == {2e-5}


def test_layers_are_unfrozen_from_the_top():
    network = network_of("bert")
    unfreeze_top(network, 2)
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == names(network, layers(network)[-1]) | names(network, layers(network)[-2])
    unfreeze_top(network, None)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_one_more_layer_is_trained_in_every_epoch():
    arguments = FineTuningArguments(0.1, None, gradual_unfreezing=2)
    assert [arguments.unfrozen_layers(epoch) for epoch in (1, 2, 3)] == [2, 3, 4]


def test_t04b_frozen_layers_stay_as_they_were(make, topics):
    def trained(epochs):
        arguments = FineTuningArguments(0.01, None, gradual_unfreezing=1)
        classifier = make(num_epochs=epochs, fine_tuning_arguments=arguments, model_selection=False, seed=1)
        return dict(classifier.fit(topics).model.named_parameters())

    one, two = trained(1), trained(2)
    same = {name for name in one if torch.equal(one[name], two[name])}
    assert "bert.encoder.layer.0.output.dense.weight" in same
    assert "bert.embeddings.word_embeddings.weight" in same
    assert "bert.encoder.layer.1.output.dense.weight" not in same
    assert "classifier.weight" not in same


def test_unfreezing_refuses_more_layers_than_there_are(make, topics):
    arguments = FineTuningArguments(0.01, None, gradual_unfreezing=4)
    with pytest.raises(InvalidInputError, match="less than 4"):
        make(fine_tuning_arguments=arguments).fit(topics)


def test_a_model_without_layers_is_refused():
    with pytest.raises(InvalidInputError, match="no list of layers"):
        layers(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("wrong", [0, -2, 1.5, True, "much"])
def test_wrong_decays_are_refused(wrong):
    with pytest.raises(InvalidInputError, match="layerwise_gradient_decay"):
        FineTuningArguments(0.1, wrong)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [("base_lr", 0), ("base_lr", -1), ("gradual_unfreezing", 0), ("gradual_unfreezing", 1.5), ("cut_fraction", 1)],
)
def test_wrong_fine_tuning_arguments_are_refused(argument, wrong):
    with pytest.raises(InvalidInputError, match=argument):
        FineTuningArguments(**{"base_lr": 0.1, "layerwise_gradient_decay": None, argument: wrong})


@pytest.mark.parametrize("given", [{"optimizer": None, "scheduler": object()}, {"optimizer": torch.optim.SGD}])
def test_fine_tuning_arguments_together_with_a_callers_optimizer_are_refused(make, topics, given):
    classifier = make(fine_tuning_arguments=FineTuningArguments(0.1, 0.9))
    with pytest.raises(InvalidInputError, match="fine_tuning_arguments"):
        classifier.fit(topics, **given)


def test_rates_rise_for_the_cut_fraction_and_then_fall_to_nothing():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = linear_decay(optimizer, 8, warmup=0.25), []
    for _ in range(9):
        rates.append(round(optimizer.param_groups[0]["lr"], 3))
        optimizer.step()
        scheduler.step()
    assert rates == [0.333, 0.667, 1.0, 0.833, 0.667, 0.5, 0.333, 0.167, 0.0]
