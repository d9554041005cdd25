from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau, StepLR

from smalltext_core.errors import InvalidInputError, PluginError
from torch_backend.bag_of_embeddings import BagOfEmbeddings, some_texts

TEXTS = some_texts()


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.5)


def optimizer_of_its_own(**settings: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(3))], **{"lr": 0.5, **settings})


def rates(classifier: BagOfEmbeddings) -> list[float]:
    return [record["learning_rate"] for record in classifier.history_]


@pytest.mark.parametrize("optimizer", [sgd, optimizer_of_its_own()], ids=["function", "object"])
def test_an_optimizer_without_a_scheduler_keeps_its_learning_rate(optimizer: Any) -> None:
    classifier = BagOfEmbeddings(3, num_epochs=3).fit(TEXTS, optimizer=optimizer)

    assert rates(classifier) == [0.5] * 3


def test_an_optimizer_object_is_used_with_its_settings() -> None:
    by_function = BagOfEmbeddings(3).fit(TEXTS, optimizer=sgd).predict_proba(TEXTS)
    by_object = BagOfEmbeddings(3).fit(TEXTS, optimizer=optimizer_of_its_own()).predict_proba(TEXTS)
    by_default = BagOfEmbeddings(3).fit(TEXTS).predict_proba(TEXTS)

    assert (by_function == by_object).all()
    assert (by_function != by_default).any()


def test_t01b_a_scheduler_without_an_optimizer_is_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BagOfEmbeddings, "make_network", lambda *_: pytest.fail("a network was built"))
    scheduler = StepLR(optimizer_of_its_own(), 1)

    with pytest.raises(InvalidInputError, match="also pass an optimizer"):
        BagOfEmbeddings(3).fit(TEXTS, scheduler=scheduler)


def test_a_scheduler_is_stepped_after_every_batch() -> None:
    optimizer = optimizer_of_its_own(lr=1.0)

    classifier = BagOfEmbeddings(3, num_epochs=2).fit(
        TEXTS, optimizer=optimizer, scheduler=LambdaLR(optimizer, lambda step: 1 / (1 + step))
    )

    assert rates(classifier) == pytest.approx([1 / 7, 1 / 14])


def test_a_scheduler_can_be_a_function_of_the_optimizer() -> None:
    classifier = BagOfEmbeddings(3, num_epochs=2).fit(
        TEXTS, optimizer=sgd, scheduler=lambda optimizer: StepLR(optimizer, step_size=7, gamma=0.1)
    )

    assert rates(classifier) == pytest.approx([0.5, 0.05])


def test_a_scheduler_that_looks_at_the_loss_is_stepped_after_every_validation() -> None:
    seen: list[float] = []

    class Watches(ReduceLROnPlateau):
        def step(self, metrics: Any, epoch: Any = None) -> None:  # type: ignore[override]
            seen.append(float(metrics))

    classifier = BagOfEmbeddings(3, num_epochs=3).fit(
        TEXTS, optimizer=sgd, scheduler=lambda optimizer: Watches(optimizer)
    )

    assert seen == [record["val_loss"] for record in classifier.history_]


def test_anything_with_a_step_is_a_scheduler() -> None:
    class Counts:
        steps = 0

        def step(self) -> None:
            self.steps += 1

    scheduler = Counts()
    BagOfEmbeddings(3, num_epochs=2).fit(TEXTS, optimizer=sgd, scheduler=scheduler)

    assert scheduler.steps == 14


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)], ids=["number", "tensor"])
def test_optimizer_and_scheduler_serve_two_trainings_alike(lr: Any) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(3))], lr=lr)
    scheduler = StepLR(optimizer, step_size=7, gamma=0.5)
    classifier = BagOfEmbeddings(3, num_epochs=3)

    first, second = (
        classifier.fit(TEXTS, optimizer=optimizer, scheduler=scheduler).predict_proba(TEXTS) for _ in range(2)
    )

    assert (first == second).all()
    assert rates(classifier) == pytest.approx([0.1, 0.05, 0.025])


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)], ids=["number", "tensor"])
@pytest.mark.parametrize("scheduler", [None, lambda optimizer: StepLR(optimizer, 2)], ids=["alone", "scheduler"])
def test_the_callers_optimizer_is_returned_unchanged(lr: Any, scheduler: Any) -> None:
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([parameter], lr=copy.copy(lr))
    before = copy.deepcopy(optimizer.state_dict())

    classifier = BagOfEmbeddings(3).fit(TEXTS, optimizer=optimizer, scheduler=scheduler)

    assert optimizer.param_groups[0]["params"] == [parameter]
    assert optimizer.state_dict() == before
    assert not parameter.any()
    assert classifier.model is not None


def test_the_callers_optimizer_is_given_back_if_training_fails() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1)

    with pytest.raises(ZeroDivisionError):
        BagOfEmbeddings(3).fit(TEXTS, optimizer=optimizer, callbacks=[lambda _: 1 / 0])

    assert optimizer.param_groups[0]["params"] == [parameter]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"optimizer": "adam"}, "optimizer"),
        ({"optimizer": torch.optim.SGD}, "optimizer"),
        ({"optimizer": lambda network: network}, "optimizer"),
        ({"optimizer": lambda network: torch.optim.LBFGS(network.parameters())}, "LBFGS"),
        ({"optimizer": torch.optim.LBFGS([nn.Parameter(torch.zeros(1))])}, "LBFGS"),
        ({"optimizer": sgd, "scheduler": "linear"}, "scheduler"),
        ({"optimizer": sgd, "scheduler": lambda optimizer: None}, "scheduler"),
        ({"optimizer": sgd, "scheduler": StepLR(optimizer_of_its_own(), 1)}, "another optimizer"),
        ({"optimizer": sgd, "scheduler": lambda _: StepLR(optimizer_of_its_own(), 1)}, "another optimizer"),
        (
            {"optimizer": optimizer_of_its_own(), "scheduler": lambda _: StepLR(optimizer_of_its_own(), 1)},
            "another optimizer",
        ),
    ],
)
def test_invalid_optimizers_and_schedulers_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        BagOfEmbeddings(3).fit(TEXTS, **arguments)


def test_an_optimizer_with_several_groups_has_to_be_a_function() -> None:
    optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2)], lr=0.1)

    with pytest.raises(InvalidInputError, match="2 parameter groups"):
        BagOfEmbeddings(3).fit(TEXTS, optimizer=optimizer)


def test_an_optimizer_of_another_network_is_refused_since_nothing_would_be_trained() -> None:
    former = BagOfEmbeddings(3).fit(TEXTS)
    before = former.predict_proba(TEXTS)
    network = former.model
    assert network is not None
    classifier = BagOfEmbeddings(3)
    with pytest.raises(InvalidInputError, match="^optimizer: got a function .* without any parameter"):
        classifier.fit(TEXTS, optimizer=lambda _: sgd(network))
    assert classifier.model is None
    assert (former.predict_proba(TEXTS) == before).all()


def test_an_optimizer_that_a_backend_makes_for_other_parameters_is_refused() -> None:
    class Forgetful(BagOfEmbeddings):
        def configure_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
            return optimizer_of_its_own()

    with pytest.raises(PluginError, match=r"^Forgetful.configure_optimizer\(\) returned an optimizer without any"):
        Forgetful(3).fit(TEXTS)
