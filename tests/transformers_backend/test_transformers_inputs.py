"""The inputs of a network: padding that no head uses, end tokens at the end of texts, known token ids."""

from __future__ import annotations

import json

import numpy as np
import pytest
import transformers

from smalltext_core import TextDataset
from smalltext_transformers import TransformersDataset
from transformers_backend.tiny_models import (
    ARCHITECTURES,
    READS_PADDING,
    SIZES,
    WITH_DECODER,
    save_tiny_model,
    tiny_tokenizer,
)

TEXTS = TextDataset(
    ["the goal of the team", "butter and onion", "", "the goal", "a b c d e f g h i j k l m n o p"]
)
END = "[SEP]"


def one_by_one(function, texts):
    return np.concatenate([function(texts[row]) for row in range(len(texts))])


@pytest.mark.parametrize("architecture", {**ARCHITECTURES, **READS_PADDING, **WITH_DECODER})
def test_neither_predictions_nor_embeddings_depend_on_padding(trained, architecture):
    classifier = trained(architecture)
    together = classifier.predict_proba(TEXTS)
    np.testing.assert_allclose(together, one_by_one(classifier.predict_proba, TEXTS), atol=2e-6)
    for method in ("avg", "cls"):

        def embed(texts, method=method):
            return classifier.embed(texts, embedding_method=method)

        np.testing.assert_allclose(embed(TEXTS), one_by_one(embed, TEXTS), atol=2e-5)


@pytest.mark.parametrize("architecture", ["bart", "t5"])
def test_an_end_token_in_a_text_does_not_end_it(trained, architecture):
    classifier = trained(architecture)
    texts = TextDataset(["the goal", f"a {END} b", f"{END} butter {END} {END}"])
    unknown = TextDataset(["the goal", "a [UNK] b", "[UNK] butter [UNK] [UNK]"])
    np.testing.assert_array_equal(classifier.predict_proba(texts), classifier.predict_proba(unknown))
    ids = TransformersDataset.from_texts(texts.x, None, tiny_tokenizer())
    np.testing.assert_array_equal(classifier.predict_proba(ids), classifier.predict_proba(unknown))
    assert ids.x[1].tolist().count(3) == 2


def test_models_without_a_decoder_get_unchanged_ids(fitted):
    texts = TextDataset([f"a {END} b", "a [UNK] b"])
    proba = fitted.predict_proba(texts)
    assert (proba[0] != proba[1]).any()


def test_a_padding_token_that_was_added_to_the_tokenizer_alone_is_not_used(make, topics, tmp_path):
    folder = save_tiny_model(tmp_path / "model", "gpt2", pad_token_id=None)
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = END
    tokenizer.add_special_tokens({"pad_token": "<new>"})
    tokenizer.save_pretrained(folder)
    classifier = make(model=folder, num_epochs=1).fit(topics)
    np.testing.assert_allclose(
        classifier.predict_proba(TEXTS), one_by_one(classifier.predict_proba, TEXTS), atol=2e-6
    )


def test_return_settings_of_a_configuration_have_no_effect(make, topics, tmp_path):
    folder = save_tiny_model(tmp_path / "model")
    given = json.loads((folder / "config.json").read_text())
    wanted = {"return_dict": False, "output_hidden_states": True, "output_attentions": True}
    (folder / "config.json").write_text(json.dumps({**given, **wanted}))
    np.testing.assert_array_equal(
        make(model=folder).fit(topics).predict_proba(TEXTS), make().fit(topics).predict_proba(TEXTS)
    )


def test_texts_beyond_the_maximum_length_of_esm_are_truncated(make, topics, tmp_path):
    sizes = {**SIZES, "vocab_size": len(tiny_tokenizer()), "mask_token_id": 4}
    config = transformers.EsmConfig(position_embedding_type="absolute", **sizes)
    transformers.EsmModel(config).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    classifier = make(model=tmp_path, num_epochs=1).fit(topics)
    with pytest.warns(UserWarning, match="1 of 1"):
        assert classifier.predict_proba(TextDataset(["goal " * 500])).shape == (1, 2)
