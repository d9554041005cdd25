"""``--set key=value`` and what `info` knows of a builder."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pytest

from smalltext_cli.console import UsageError
from smalltext_cli.parameters import REQUIRED, builder_parameters, parse_assignments, parse_values
from smalltext_core import LabelNames
from smalltext_core.calibration import CalibrationChoice
from smalltext_core.factory import with_parameters_of
from smalltext_core.validation import Threshold

if TYPE_CHECKING:
    from nowhere import Estimator


class Strategy(enum.Enum):
    FIRST = "first"
    SECOND = "second"


def build(
    num_classes: int,
    *,
    multi_label: bool = False,
    lr: float = 0.1,
    num_epochs: int = 10,
    early: bool = True,
    estimator: Estimator | str | None = None,
    kernel_heights: Sequence[int] = (3, 4, 5),
    scheduler: Literal["linear", "constant"] | None = "linear",
    class_weight: Literal["balanced"] | Mapping[int, float] | None = None,
    validation: float | Mapping[int, float] | Literal["auto"] | None = None,
    trainer: dict[str, Any] | None = None,
    strategy: Strategy = Strategy.FIRST,
    betas: tuple[float, float] = (0.9, 0.99),
    network: Estimator = "default",
    optional_network: Estimator | None = None,
    seed: int | None = None,
    anything=None,
):
    """Make it.

    Parameters
    ----------
    num_classes : int
    lr : float, default=0.1
        How far a step goes. Smaller is slower.
    scheduler : {"linear", "constant"} or None
        How `lr` changes
        over time.

        A second paragraph.
    """


class Network:
    """A classifier whose class is its own builder.

    Parameters
    ----------
    device : str or Estimator, optional
        The device. It is chosen by itself.
    strategy : Strategy or str, default=Strategy.FIRST
        The strategy.

    Other Parameters
    ----------------
    verbosity : int, default=1
        The amount of logging.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        device: str | enum.Enum | None = None,
        strategy: Strategy | str = Strategy.FIRST,
        alone: Strategy = Strategy.SECOND,
        matrix: enum.Enum | Estimator | None = None,
        needed: Estimator,
        verbosity: int = 1,
    ) -> None: ...


def parsed(*pairs, builder=build, names=None, **options):
    parameters = builder_parameters(builder)
    return parse_values(parameters, parse_assignments("it", parameters, pairs, **options), names)


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("lr=1e-3", 1e-3),
        ("lr=2", 2.0),
        ("num_epochs=3", 3),
        ("num-epochs=3", 3),
        ("early=false", False),
        ("early=1", True),
        ("estimator=sklearn.svm.LinearSVC", "sklearn.svm.LinearSVC"),
        ("estimator=none", None),
        ("estimator=a=b", "a=b"),
        ("kernel_heights=[2, 3]", [2, 3]),
        ("kernel_heights=2,3", [2, 3]),
        ("scheduler=constant", "constant"),
        ("scheduler=None", None),
        ("class_weight=balanced", "balanced"),
        ("validation=0.2", 0.2),
        ("validation=auto", "auto"),
        ('validation={"1": 2}', {1: 2.0}),
        ('trainer={"a": [1, null], "b": {"c": true}}', {"a": [1, None], "b": {"c": True}}),
        ("strategy=SECOND", Strategy.SECOND),
        ("betas=0.8,0.9", (0.8, 0.9)),
        ("seed=3", 3),
        ("anything=[1]", [1]),
        ("anything=word", "word"),
    ],
)
def test_a_value_is_read_by_the_annotation_of_its_parameter(pair, value):
    (found,) = parsed(pair).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("lr=fast", "allowed: a number. Its type is float"),
        ("num_epochs=2.5", "a whole number"),
        ("early=maybe", "true or false"),
        ("scheduler=cosine", "'linear', 'constant', or none"),
        ("class_weight=equal", "'balanced', a JSON object"),
        ("kernel_heights=a,b", "a JSON list"),
        ("betas=[1, 2, 3]", "a JSON list"),
        ("network=bert", "cannot be written on a command line"),
        ("optional_network=bert", "allowed: none"),
        ("lr", "no '='"),
        ("learning_rate=3", "It has: lr, num_epochs"),
        ("num_epoch=3", "Did you mean 'num_epochs'?"),
        ("num_classes=3", "The data determines the number of classes"),
        ("multi_label=true", "--multi-label"),
    ],
)
def test_a_wrong_one_says_what_is_right(pair, said):
    with pytest.raises(UsageError) as refused:
        parsed(pair)
    assert said in str(refused.value)


def test_one_parameter_is_given_once():
    with pytest.raises(UsageError, match="twice"):
        parsed("lr=1", "lr=2")
    with pytest.raises(UsageError, match="say the same"):
        parsed("seed=1", seed=2)


def test_seed_and_device_need_a_parameter_of_that_name():
    assert parsed(seed=4) == {"seed": 4}
    with pytest.raises(UsageError, match="no parameter 'device'"):
        parsed(device="cpu")


def test_class_weights_go_by_the_names_of_the_classes():
    names = LabelNames(("ham", "spam"))
    assert parsed('class_weight={"spam": 3}', names=names) == {"class_weight": {1: 3.0}}
    assert parsed('class_weight={" spam ": 3}', names=names) == {"class_weight": {1: 3.0}}
    assert parsed('class_weight={"2": 3}', names=LabelNames(("1", "2"))) == {"class_weight": {1: 3.0}}
    for pair in ('class_weight={"0": 50}', 'class_weight={"ham": 1, "1": 50}'):
        with pytest.raises(UsageError, match=r"no class is called '[01]'\. The classes are: 'ham', 'spam'"):
            parsed(pair, names=names)
    with pytest.raises(UsageError, match=r"no class is called '0'\. The classes are: '1', '2'"):
        parsed('class_weight={"0": 50}', names=LabelNames(("1", "2")))
    for pair in ('class_weight={"ham": 1, "ham": 5}', 'class_weight={"ham": 1, "ham ": 5}'):
        with pytest.raises(UsageError, match="'ham ?' is given twice"):
            parsed(pair, names=names)
    with pytest.raises(UsageError, match=r"no class is called 'eggs'\. The classes are: 'ham', 'spam'"):
        parsed('class_weight={"eggs": 3}', names=names)


def test_a_parameter_without_default_has_to_be_given():
    def needy(num_classes: int, *, model: str): ...

    assert builder_parameters(needy).named["model"].default is REQUIRED
    with pytest.raises(UsageError, match=r"needs model. Give it: --set model="):
        parsed(builder=needy)


def test_a_builder_that_passes_names_on_takes_any():
    def wide(num_classes: int, **parameters): ...

    assert parsed("whatever=3", builder=wide) == {"whatever": 3}


def test_the_meaning_of_a_parameter_is_the_first_sentence_of_its_docstring():
    named = builder_parameters(build).named
    assert named["lr"].meaning == "How far a step goes."
    assert named["scheduler"].meaning == "How `lr` changes over time."
    assert named["early"].meaning == ""
    assert "num_classes" not in named


def test_of_a_class_what_text_can_express_is_shown():
    named = builder_parameters(Network).named
    assert {name: (one.type_text, one.default) for name, one in named.items()} == {
        "device": ("str | None", None),
        "strategy": ("str", "first"),
        "alone": ("Strategy", "second"),
        "needed": ("Estimator", REQUIRED),
    }
    assert (named["device"].meaning, named["strategy"].meaning) == ("The device.", "The strategy.")


@pytest.mark.parametrize("pair", ["verbosity=2", "matrix=none"])
def test_what_is_not_shown_cannot_be_set(pair):
    with pytest.raises(UsageError, match="has no such parameter"):
        parsed(pair, "needed=1", builder=Network)


def test_a_builder_shows_the_words_of_the_class_that_declares_a_parameter():
    @with_parameters_of(Network, without=["needed"])
    def declared(num_classes: int, *, model: str, **parameters): ...

    named = builder_parameters(declared).named
    assert list(named) == ["model", "device", "strategy", "alone"]
    assert named["device"].meaning == "The device."
    assert parsed("model=a", "strategy=second", builder=declared) == {"model": "a", "strategy": "second"}


class Calibrated:
    """A classifier with parameters that training may choose.

    Parameters
    ----------
    lr : float or "auto", default=0.001
        The learning rate. Above 0. "auto" depends on the size of the encoder: 1e-4 if it is small.
    """

    def __init__(
        self,
        num_classes: int,
        multi_label: bool = False,
        *,
        lr: float | Literal["auto"] = 0.001,
        calibration: CalibrationChoice = "none",
        multi_label_threshold: Threshold = 0.5,
    ) -> None: ...


@with_parameters_of(Calibrated, by_name={"lr": "auto", "calibration": "auto", "multi_label_threshold": "auto"})
def build_calibrated(num_classes: int, **parameters: Any): ...


def test_defaults_by_name_are_shown_with_what_they_mean():
    named = builder_parameters(build_calibrated).named
    assert [named[one].default for one in ("lr", "calibration", "multi_label_threshold")] == ["auto"] * 3
    learning_rate = '"auto" depends on the size of the encoder: 1e-4 if it is small.'
    assert named["lr"].meaning == f"The learning rate. {learning_rate}"
    of_class = builder_parameters(Calibrated).named
    assert (of_class["lr"].default, of_class["lr"].meaning) == (0.001, "The learning rate.")
    assert named["multi_label_threshold"].type_text == "float | tuple[float, ...] | Literal['auto']"


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("lr=auto", "auto"),
        ("lr=3e-5", 3e-5),
        ("calibration=none", "none"),
        ("calibration=auto", "auto"),
        ("multi_label_threshold=auto", "auto"),
        ("multi_label_threshold=0.3", 0.3),
        ("multi_label_threshold=0.3,0.4", (0.3, 0.4)),
        ("multi_label_threshold=[0.3, 1]", (0.3, 1.0)),
    ],
)
def test_auto_and_what_stands_for_it_can_be_set(pair, value):
    (found,) = parsed(pair, builder=build_calibrated).values()
    assert (found, type(found)) == (value, type(value))


def test_neither_a_number_nor_auto_is_refused_with_what_is_allowed():
    with pytest.raises(UsageError, match="--set lr: got 'automatic'; allowed: a number, or 'auto'"):
        parsed("lr=automatic", builder=build_calibrated)
