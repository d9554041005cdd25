"""Arguments for setfit: deprecated names are translated, those that the class manages are rejected with advice."""

from __future__ import annotations

import inspect
import warnings
from itertools import chain

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from smalltext_core.errors import InvalidInputError
from smalltext_setfit import SetFitClassification, SetFitClassificationFactory, build
from smalltext_setfit._head import HeadSettings, check_head_params
from smalltext_setfit._trainer import Trainer, TrainingArguments, losses
from smalltext_setfit.arguments import (
    MANAGED_IN_HEAD,
    MANAGED_IN_MODEL,
    RENAMED_IN_MODEL,
    ModelKwargs,
    current_model_kwargs,
)
from smalltext_setfit.training_args import (
    MANAGED_IN_TRAINING,
    RENAMED_IN_TRAINING,
    TrainingArgs,
    parse_training_args,
)

CURRENT = {
    "classifier_num_epochs": (7, "num_epochs", (1, 7)),
    "embedding_num_epochs": (7, "num_epochs", (7, 16)),
    "keep_body_frozen": (False, "end_to_end", True),
    "learning_rate": (1e-3, "body_learning_rate", 1e-3),
    "loss_class": (losses.ContrastiveLoss, "loss", losses.ContrastiveLoss),
}
CURRENT_IN_MODEL = {
    "use_auth_token": ("a-token", "token", "a-token"),
    "cache_folder": ("here", "cache_dir", "here"),
    "normalize": (True, "normalize_embeddings", True),
}


def training(**keywords):
    return parse_training_args(trainer_kwargs=keywords)


def test_every_old_name_has_a_test():
    assert CURRENT.keys() == RENAMED_IN_TRAINING.keys()
    assert CURRENT_IN_MODEL.keys() == RENAMED_IN_MODEL.keys()


@pytest.mark.parametrize("old", CURRENT)
def test_an_old_name_in_training_still_works_and_warns(old):
    value, new, translated = CURRENT[old]
    with pytest.warns(DeprecationWarning, match=f"{old} in trainer_kwargs is deprecated; use {new}"):
        assert getattr(training(**{old: value}), new) == translated


@pytest.mark.parametrize("old", CURRENT_IN_MODEL)
def test_an_old_name_in_the_model_still_works_and_warns(old):
    value, new, translated = CURRENT_IN_MODEL[old]
    with pytest.warns(DeprecationWarning, match=f"{old} in model_kwargs is deprecated; use {new}"):
        assert getattr(ModelKwargs(**current_model_kwargs({old: value})), new) == translated


@pytest.mark.filterwarnings("ignore:(embedding|classifier)_num_epochs:DeprecationWarning")
def test_two_old_names_of_one_parameter_are_merged():
    assert training(embedding_num_epochs=1, classifier_num_epochs=2).num_epochs == (1, 2)


def test_a_warning_about_an_old_name_does_not_show_a_token():
    with pytest.warns(DeprecationWarning, match="use token instead") as told:
        current_model_kwargs({"use_auth_token": "hf_secret"})
    assert "hf_secret" not in str(told[0].message)


def test_an_old_name_together_with_the_new_one_is_refused():
    with pytest.raises(InvalidInputError, match="both 'learning_rate' and 'body_learning_rate'"):
        training(learning_rate=1e-3, body_learning_rate=1e-4)


@pytest.mark.parametrize("name", MANAGED_IN_TRAINING)
@pytest.mark.parametrize("argument", ["trainer_kwargs", "setfit_train_kwargs"])
def test_training_arguments_that_the_class_manages_are_refused_with_advice(name, argument):
    with pytest.raises(InvalidInputError, match=f"{argument}: got the keyword '{name}'") as refusal:
        parse_training_args(**{argument: {name: 1}})
    assert MANAGED_IN_TRAINING[name] in str(refusal.value)


@pytest.mark.parametrize("name", MANAGED_IN_MODEL)
def test_model_arguments_that_the_class_manages_are_refused_with_advice(name):
    with pytest.raises(InvalidInputError, match=f"model_kwargs: got the keyword '{name}'") as refusal:
        SetFitClassification("a-model", 2, model_kwargs={name: 1})
    assert MANAGED_IN_MODEL[name] in str(refusal.value)


@pytest.mark.parametrize("name", MANAGED_IN_HEAD)
def test_head_parameters_that_the_class_manages_are_refused_with_advice(name):
    with pytest.raises(InvalidInputError, match=f"head_params: got the keyword '{name}'"):
        SetFitClassification("a-model", 2, model_kwargs={"head_params": {name: 1}})


def test_advice_is_a_sentence():
    for advice in chain(MANAGED_IN_TRAINING.values(), MANAGED_IN_MODEL.values(), MANAGED_IN_HEAD.values()):
        assert advice[0].isupper()
        assert not advice.endswith(".")  # the error adds it


def test_all_arguments_of_setfit_are_handled():
    arguments = {
        *inspect.signature(TrainingArguments).parameters,
        *inspect.signature(Trainer).parameters,
    }
    known = {*inspect.signature(TrainingArgs).parameters, *MANAGED_IN_TRAINING}
    assert arguments <= known


def test_an_unknown_keyword_is_refused_with_a_list_of_the_known_ones():
    with pytest.raises(InvalidInputError, match="the keyword 'num_epoch'; allowed: num_epochs, max_steps"):
        training(num_epoch=1)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_epochs": -1}, "num_epochs"),
        ({"num_epochs": (1, 2, 3)}, "one number, or two"),
        ({"max_steps": 1.5}, "max_steps"),
        ({"max_steps": 0}, "max_steps"),
        ({"sampling_strategy": "all"}, "oversampling, undersampling, unique"),
        ({"num_iterations": 0}, "num_iterations"),
        ({"body_learning_rate": 0}, "body_learning_rate"),
        ({"head_learning_rate": -1}, "head_learning_rate"),
        ({"loss": losses.BatchAllTripletLoss}, "a loss of pairs"),
        ({"warmup_proportion": 2}, "warmup_proportion"),
        ({"l2_weight": float("inf")}, "l2_weight"),
        ({"num_epochs": "1"}, "num_epochs"),
        ({"body_learning_rate": "1"}, "body_learning_rate"),
        ({"warmup_proportion": "a"}, "warmup_proportion.*from 0 to 1"),
        ({"warmup_proportion": float("nan")}, "warmup_proportion"),
        ({"l2_weight": "a"}, "l2_weight.*0 or above"),
        ({"end_to_end": "no"}, "end_to_end: got 'no'; allowed: True or False"),
        ({"logging_first_step": 1}, "logging_first_step"),
        ({"logging_strategy": "often"}, "logging_strategy.*no, steps, epoch"),
        ({"logging_steps": 0}, "logging_steps"),
        ({"logging_steps": "x"}, "logging_steps"),
        ({"max_steps": np.ones((2, 3))}, "max_steps: got an array"),
        ({"callbacks": 5}, "callbacks: got 5; allowed: a list of TrainerCallback"),
        ({"callbacks": [1]}, "callbacks: got"),
    ],
)
def test_values_that_cannot_be_trained_with_are_refused(keywords, message):
    with pytest.raises(InvalidInputError, match=message):
        training(**keywords)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"normalize_embeddings": "no"}, "normalize_embeddings"),
        ({"cache_dir": 5}, "cache_dir"),
        ({"revision": 5}, "revision"),
        ({"token": 5}, "token: got a int"),
        ({"head_params": {5: 1}}, "head_params: got the name 5"),
    ],
)
def test_values_that_no_model_can_be_made_with_are_refused(keywords, message):
    with pytest.raises(InvalidInputError, match=message):
        SetFitClassification("a-model", 2, model_kwargs=keywords)


@pytest.mark.parametrize("argument", ["model_kwargs", "trainer_kwargs"])
def test_names_of_keywords_are_strings(argument):
    with pytest.raises(InvalidInputError, match=f"{argument}: got the name 5"):
        SetFitClassification("a-model", 2, **{argument: {5: 1, "num_epochs": 2}})


def test_the_kind_of_head_is_chosen_by_true_or_false():
    with pytest.raises(InvalidInputError, match="use_differentiable_head: got 'no'"):
        SetFitClassification("a-model", 2, use_differentiable_head="no")


def test_numpy_numbers_are_accepted():
    found = training(
        num_epochs=np.int64(2), l2_weight=np.float32(0.5), end_to_end=np.True_, logging_steps=np.int8(3)
    )
    assert (found.epochs, found.l2_weight) == ((2, 2), 0.5)


def test_parameters_of_the_head_are_copied():
    given = {"C": 1.0}
    classifier = SetFitClassification("a-model", 2, model_kwargs={"head_params": given})
    given["C"] = 100.0
    assert classifier.model_kwargs["head_params"] == classifier._head_settings.parameters == {"C": 1.0}


def test_arguments_of_fit_take_precedence():
    given = {"num_iterations": 3, "max_steps": 7}
    found = parse_training_args(trainer_kwargs=given, setfit_train_kwargs={"max_steps": 9})
    assert (found.num_iterations, found.max_steps) == (3, 9)


@pytest.mark.parametrize("argument", ["model_kwargs", "trainer_kwargs"])
def test_keywords_are_a_mapping(argument):
    with pytest.raises(InvalidInputError, match=f"{argument}: got \\['num_epochs'\\]"):
        SetFitClassification("a-model", 2, **{argument: ["num_epochs"]})


def test_a_chain_of_classifiers_is_refused():
    with pytest.raises(InvalidInputError, match="multi_target_strategy.*independent"):
        SetFitClassification(
            "a-model", 2, multi_label=True, model_kwargs={"multi_target_strategy": "classifier-chain"}
        )


@pytest.mark.parametrize(("differentiable", "known"), [(False, "C"), (True, "temperature")])
def test_parameters_are_those_of_the_head(differentiable, known):
    options = {"use_differentiable_head": differentiable}
    SetFitClassification("a-model", 2, model_kwargs={"head_params": {known: 2.0}}, **options)
    with pytest.raises(InvalidInputError, match=f"head_params: got 'depth'.*{known}"):
        SetFitClassification("a-model", 2, model_kwargs={"head_params": {"depth": 2}}, **options)


@pytest.mark.parametrize(
    ("differentiable", "parameters", "message"),
    [
        (False, {"C": -1.0}, "'C'.*-1"),
        (False, {"solver": "none"}, "'solver'"),
        (True, {"temperature": 0}, "temperature"),
        (True, {"eps": "x"}, "eps"),
        (True, {"eps": -1}, "eps: got -1; allowed: a finite number, 0 or above"),
        (True, {"bias": "no"}, "bias"),
    ],
)
def test_invalid_head_parameters_are_refused_immediately(differentiable, parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        SetFitClassification(
            "a-model", 3, use_differentiable_head=differentiable, model_kwargs={"head_params": parameters}
        )


def test_creating_a_classifier_does_not_warn_about_convergence_of_the_trial():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SetFitClassification("a-model", 3, model_kwargs={"head_params": {"max_iter": 1}})


def test_a_factory_warns_of_an_old_name_once_at_the_callers_line():
    with pytest.warns(DeprecationWarning, match="learning_rate") as told:
        factory = SetFitClassificationFactory("a-model", 2, {"trainer_kwargs": {"learning_rate": 1e-3}})
    assert [one.filename for one in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert factory.new()._parsed_training_args.body_learning_rates == (1e-3, 1e-3)


@pytest.mark.parametrize(("given", "message"), [({"foo": 1}, "the keyword 'foo'"), ([1], r"\[1\]")])
def test_a_factory_accepts_the_parameters_of_its_classifiers(given, message):
    with pytest.raises(InvalidInputError, match=f"classification_kwargs: got {message}"):
        SetFitClassificationFactory("a-model", 2, given)


def test_an_old_name_warns_once_at_the_callers_line():
    with pytest.warns(DeprecationWarning, match="learning_rate") as told:
        classifier = SetFitClassification("a-model", 2, trainer_kwargs={"learning_rate": 1e-3})
    assert [one.filename for one in told if "learning_rate" in str(one.message)] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert classifier._parsed_training_args.body_learning_rates == (1e-3, 1e-3)


def test_current_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        training(**{new: value for _, new, value in CURRENT.values()})


def test_parameters_of_a_head_of_many_classes_are_tried_out_on_few(monkeypatch):
    sizes = []
    fit = LogisticRegression.fit

    def counted(self, x, y, *further):
        sizes.append(x.shape)
        return fit(self, x, y, *further)

    monkeypatch.setattr(LogisticRegression, "fit", counted)

    def check(parameters):
        check_head_params(HeadSettings(10_000, False, parameters, 32), multi_label=False)

    check({"C": 2.0, "class_weight": {9_999: 2.0, 0: 3.0}})
    assert max(sizes) <= (3, 3)
    for wrong in ({"C": -1}, {"class_weight": {10_000: 1.0}}, {"class_weight": {0: "x"}}):
        with pytest.raises(InvalidInputError, match=r"^head_params: got "):
            check(wrong)


@pytest.mark.parametrize("folder", [5, object(), b"cache", ["cache"]], ids=lambda folder: type(folder).__name__)
def test_an_invalid_cache_dir_is_refused_by_the_builder(folder):
    with pytest.raises(InvalidInputError, match="cache_dir"):
        build(2, model="a-model", cache_dir=folder).new()


def test_a_loss_that_cannot_be_saved_is_refused():
    class Raising:
        def __repr__(self):
            raise KeyError("not for users")

    with pytest.raises(InvalidInputError, match="loss: got a Raising"):
        training(loss=Raising())
