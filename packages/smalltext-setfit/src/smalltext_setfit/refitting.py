"""A new head for a network that stays as it is, on embeddings that are remembered: for active learning."""

from __future__ import annotations

from dataclasses import replace

from smalltext_core.label_names import LabelNames
from smalltext_setfit.fitted import Fitted, KnownEmbeddings
from smalltext_setfit.heads import HeadSettings, LabelledRows, fit_head
from smalltext_setfit.sentence_encoder import embed_all
from smalltext_setfit.text_encoder import DistinctTexts
from smalltext_setfit.training import checked
from smalltext_torch.device import Precision
from smalltext_torch.randomness import Randomness


def refitted(
    before: Fitted,
    texts: DistinctTexts,
    rows: LabelledRows,
    settings: HeadSettings,
    precision: Precision,
    randomness: Randomness,
    label_names: LabelNames | None,
) -> Fitted:
    """Return what training made before, with a head that is fitted to other texts; only new texts are encoded.

    Raises
    ------
    DivergedError
        If the weights of the head are not finite numbers.
    """
    known = _completed(before, texts, precision)
    embeddings = known.take(texts.texts)[texts.of_row]
    layer = checked(fit_head(embeddings, rows, settings, before.head_training, randomness, _unwatched))
    network = before.network.with_head(layer.to(before.device))
    return replace(before, network=network, loss=rows.loss, label_names=label_names, known=known)


def _completed(before: Fitted, texts: DistinctTexts, precision: Precision) -> KnownEmbeddings:
    missing = before.known.missing(texts.texts)
    padding = before.encoder.padding
    added = embed_all(before.network, texts.tokens.take(missing), precision, padding, _unwatched)
    return before.known.extended([texts.texts[number] for number in missing], added)


def _unwatched(_: int) -> None:
    """Take no note of how far it has come."""
