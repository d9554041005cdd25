"""The plugin that registers exported models with smalltext-core, so that they are loaded like any other."""

from __future__ import annotations

from collections.abc import Iterable

from smalltext_core import ClassifierSpec, hookimpl


@hookimpl
def smalltext_classifiers() -> Iterable[ClassifierSpec]:
    yield ClassifierSpec(
        name="onnx",
        summary="A trained classifier as an ONNX model, run without torch",
        protocol=1,
        classifier="smalltext_onnx.classifier:OnnxClassifier",
        builder="smalltext_onnx.classifier:build",
        abilities=("multi_label", "save"),
        trainable=False,
    )
