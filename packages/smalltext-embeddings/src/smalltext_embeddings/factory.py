"""The factory of embedding classifiers, and the builder registered as ``embeddings``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalltext_core.factory import ConstructorFactory, checked_keywords, with_parameters_of
from smalltext_embeddings.classifier import EmbeddingClassifier
from smalltext_embeddings.encoder_choice import as_encoder
from smalltext_embeddings.encoders import Encoder
from smalltext_embeddings.multilingual import MULTILINGUAL


class EmbeddingClassifierFactory(ConstructorFactory[EmbeddingClassifier]):
    """Create `EmbeddingClassifier` objects with the same encoder and parameters.

    Parameters
    ----------
    encoder : str, path, Encoder or object
        As for `EmbeddingClassifier`; it is shared by all classifiers.
    num_classes : int
        The number of classes.
    kwargs : mapping, optional
        Further parameters of `EmbeddingClassifier`; InvalidInputError is raised if one is unknown or invalid.

    Examples
    --------
    >>> class Lengths:
    ...     def encode(self, texts):
    ...         return [[len(text), 1.0] for text in texts]
    >>> EmbeddingClassifierFactory(Lengths(), 2).new()
    EmbeddingClassifier('Lengths', num_classes=2)
    """

    def __init__(
        self, encoder: str | Path | Encoder | Any, num_classes: int, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        given = checked_keywords(EmbeddingClassifier, kwargs)
        options = {name: given[name] for name in ("device", "precision") if name in given}
        self.encoder = as_encoder(encoder, **options)
        self.label = self.encoder.name
        super().__init__(EmbeddingClassifier, num_classes, **given)

    def new(self) -> EmbeddingClassifier:
        """Return a new, unfitted classifier."""
        return EmbeddingClassifier(self.encoder, self.num_classes, **self.kwargs)


@with_parameters_of(EmbeddingClassifier, by_name={"calibration": "auto", "multi_label_threshold": "auto"})
def build(
    num_classes: int, *, encoder: str | Path | Encoder | Any = None, **parameters: Any
) -> EmbeddingClassifierFactory:
    """Create a factory of embedding classifiers.

    Parameters
    ----------
    num_classes : int
        The number of classes.
    encoder : str, path, Encoder or object, optional
        "use-multilingual" (the default, if it is installed), the folder or hub name of a static model (model2vec)
        or of a sentence transformer, or any object with ``encode(list of str)``.
    **parameters
        Further parameters of `EmbeddingClassifier`; InvalidInputError is raised if one is unknown or invalid.

    Examples
    --------
    >>> class Lengths:
    ...     def encode(self, texts):
    ...         return [[len(text), 1.0] for text in texts]
    >>> build(2, encoder=Lengths()).new().calibration
    'auto'
    """
    return EmbeddingClassifierFactory(MULTILINGUAL if encoder is None else encoder, num_classes, parameters)
