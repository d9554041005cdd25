"""The cost of imports, in new processes, since other tests may have imported modules in this one."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "sklearn",
    "torch",
    "transformers",
    "setfit",
    "sentence_transformers",
    "tokenizers",
    "skops",
    "polars",
    "rich",
}


@pytest.mark.parametrize(
    "code",
    [
        "import smalltext_core",
        "import smalltext_core as s; s.classifiers()",
        "import smalltext_core as s; s.plugins(); [str(plugin) for plugin in s.plugins()]",
        "from smalltext_core import *",
    ],
)
def test_neither_the_core_nor_listing_imports_a_backend(code):
    script = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, encoding="utf-8")
    assert set(found.stdout.split()) & (HEAVY | {"pytest"}) == set()


def test_every_public_name_is_there_and_explained():
    import smalltext_core

    assert sorted(smalltext_core.__all__) == sorted(set(smalltext_core.__all__))
    for name in smalltext_core.__all__:
        value = getattr(smalltext_core, name)
        assert not callable(value) or value.__doc__, name


def test_a_class_that_leaves_a_method_out_cannot_be_instantiated():
    from smalltext_core import Classifier, ClassifierFactory, Saving

    class Half(Classifier):
        def fit(self, train_set, weights=None):
            return self

        def predict(self, data_set, return_proba=False):
            return []

    class NoFactory(ClassifierFactory):
        pass

    class SavesOnly(Saving):
        def save(self, folder):
            pass

    for kind, missing in ((Half, "predict_proba"), (NoFactory, "new"), (SavesOnly, "load")):
        with pytest.raises(TypeError, match=missing):
            kind()


def test_a_class_that_just_has_the_methods_is_a_classifier():
    from smalltext_core import Classifier

    class Duck:
        def fit(self, train_set, weights=None): ...
        def predict(self, data_set, return_proba=False): ...
        def predict_proba(self, data_set): ...

    assert isinstance(Duck(), Classifier)
    assert not isinstance(object(), Classifier)
