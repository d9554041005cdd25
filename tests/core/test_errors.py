from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from smalltext_core import errors

EXAMPLES = [
    errors.SmallTextError("a message"),
    errors.InvalidInputError("weights", "nan at row 3", "finite numbers", "Drop it."),
    errors.NotFittedError(object()),
    errors.ReadOnlyError("a message"),
    errors.UnsupportedError("a message"),
    errors.UnknownClassifierError("a message"),
    errors.AmbiguousNameError("a message"),
    errors.PluginError("a message"),
    errors.ProtocolVersionError("a message"),
    errors.ModelFolderError("a message"),
    errors.ModelNotSavedError(28, "No space left on device", "models/mails"),
    errors.UntrustedModelError("a message"),
]
BUILT_IN = {
    errors.InvalidInputError: ValueError,
    errors.NotFittedError: (ValueError, AttributeError),
    errors.ReadOnlyError: TypeError,
    errors.UnsupportedError: NotImplementedError,
    errors.UnknownClassifierError: LookupError,
    errors.AmbiguousNameError: LookupError,
    errors.PluginError: RuntimeError,
    errors.ProtocolVersionError: RuntimeError,
    errors.ModelFolderError: ValueError,
    errors.ModelNotSavedError: (OSError, ValueError),
    errors.UntrustedModelError: ValueError,
}


def by_type(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


def test_every_exception_of_the_module_is_among_the_examples():
    defined = {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    }
    assert defined == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("error", EXAMPLES, ids=by_type)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_exceptions_can_be_sent_to_another_process(error, again):
    twin = again(error)
    assert (type(twin), twin.args, str(twin)) == (type(error), error.args, str(error))
    assert vars(twin) == vars(error)


@pytest.mark.parametrize(("kind", "built_ins"), BUILT_IN.items(), ids=by_type)
def test_exceptions_can_be_caught_as_built_in_ones(kind, built_ins):
    for built_in in built_ins if isinstance(built_ins, tuple) else (built_ins,):
        assert issubclass(kind, built_in)
    assert issubclass(kind, errors.SmallTextError)


def test_invalid_input_names_argument_value_allowed_values_and_advice():
    error = errors.InvalidInputError("seed", "-1", "None, or a whole number", "Leave it out.")
    assert str(error) == "seed: got -1; allowed: None, or a whole number. Leave it out."
    assert (error.argument, error.given, error.allowed, error.next_step) == error.args
    assert str(errors.InvalidInputError("seed", "-1", "None")) == "seed: got -1; allowed: None."


def test_not_fitted_names_the_classifier_and_the_missing_call():
    class Majority:
        pass

    assert str(errors.NotFittedError(Majority())) == "This Majority is not fitted yet; call fit(train_set) first."
