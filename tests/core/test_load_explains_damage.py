"""`load` converts every exception that a backend raises for a folder to an error of smalltext."""

from __future__ import annotations

import pytest

import smalltext_core
from smalltext_core import ClassifierSpec, Plugin, registry
from smalltext_core.errors import InvalidInputError, ModelFolderError, SmallTextError, UntrustedModelError
from smalltext_core.saving import model_folder


class PanicException(BaseException):
    """An exception like those of libraries written in Rust."""


class Leaf:
    raises: BaseException

    @classmethod
    def load(cls, folder, *, trusted=None):
        raise cls.raises


@pytest.fixture
def load(tmp_path, monkeypatch):
    spec = ClassifierSpec("leaf", "A leaf.", 1, f"{__name__}:Leaf")
    monkeypatch.setattr(ClassifierSpec, "resolve", lambda self, part: Leaf)
    monkeypatch.setattr(registry, "_registry", registry.Registry([Plugin("leaf", "acme", "1.0", (spec,))]))
    with model_folder(tmp_path / "m", classifier="leaf", distribution="acme", version="1.0", parameters={}):
        pass

    def call(error, **options):
        monkeypatch.setattr(Leaf, "raises", error, raising=False)
        return smalltext_core.load(tmp_path / "m", **options)

    return call


@pytest.mark.parametrize(
    "error",
    [
        KeyError("weights"),
        ValueError("x\x1b[2J\nsecond line"),
        OSError(5, "input/output"),
        ImportError("tokenizers"),
        RecursionError("deep"),
        AssertionError(),
        StopIteration(),
        PanicException("index out of bounds"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_foreign_exceptions_are_converted_to_model_folder_errors_with_their_cause(load, error):
    with pytest.raises(ModelFolderError, match=f"cannot be loaded, {type(error).__name__}") as caught:
        load(error)
    assert caught.value.__cause__ is error
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(3),
        MemoryError(),
        UserWarning("made an error by the caller"),
        InvalidInputError("device", "'x'", "'cpu'"),
        UntrustedModelError("types"),
        SmallTextError("other"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_that_do_not_concern_the_folder_are_not_converted(load, error):
    with pytest.raises(type(error)) as caught:
        load(error)
    assert caught.value is error


def test_an_unknown_option_of_load_is_not_reported_as_damage(load):
    with pytest.raises(TypeError, match="no_such_option"):
        load(ValueError(), no_such_option=1)
