"""smalltext: text classifiers for small data, discovered by name.

This package defines the protocol of classifiers and finds the installed ones; ``smalltext_testing`` has the rules
that every classifier follows.
"""

from smalltext_core.array_classifier import ArrayClassifier, Arrays, Floats
from smalltext_core.classifier import (
    PROTOCOL_VERSION,
    AnyClassifier,
    Classifier,
    ClassifierFactory,
    DropoutSampling,
    Embedding,
    ProbabilisticClassifier,
    Saving,
    SavingClassifier,
    Validating,
)
from smalltext_core.dataset import Dataset, TextDataset
from smalltext_core.factory import ConstructorFactory, create_classifier, create_factory
from smalltext_core.label_names import LabelNames
from smalltext_core.labels import (
    LABEL_IGNORED,
    LABEL_UNLABELED,
    csr_to_list,
    list_to_csr,
    marked_rows,
)
from smalltext_core.registry import (
    Plugin,
    classifier_spec,
    classifiers,
    plugin_manager,
    plugins,
    refresh,
)
from smalltext_core.saving import Manifest, load
from smalltext_core.spec import ClassifierSpec, hookimpl

__version__ = "0.1.0"

__all__ = [
    "LABEL_IGNORED",
    "LABEL_UNLABELED",
    "PROTOCOL_VERSION",
    "AnyClassifier",
    "ArrayClassifier",
    "Arrays",
    "Classifier",
    "ClassifierFactory",
    "ClassifierSpec",
    "ConstructorFactory",
    "Dataset",
    "DropoutSampling",
    "Embedding",
    "Floats",
    "LabelNames",
    "Manifest",
    "Plugin",
    "ProbabilisticClassifier",
    "Saving",
    "SavingClassifier",
    "TextDataset",
    "Validating",
    "__version__",
    "classifier_spec",
    "classifiers",
    "create_classifier",
    "create_factory",
    "csr_to_list",
    "hookimpl",
    "list_to_csr",
    "load",
    "marked_rows",
    "plugin_manager",
    "plugins",
    "refresh",
]
