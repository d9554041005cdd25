"""Text classifiers as ONNX models, which onnxruntime runs without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smalltext_core.lazy_import import lazy_attributes

if TYPE_CHECKING:
    from smalltext_onnx.classifier import OnnxClassifier, export

__version__ = "0.1.0"

__all__ = ["OnnxClassifier", "__version__", "export"]

__getattr__, __dir__ = lazy_attributes(__name__, {"classifier": ("OnnxClassifier", "export")})
