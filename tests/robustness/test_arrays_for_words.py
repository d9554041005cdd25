"""Arrays as values of string parameters are rejected by errors that name the parameter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import smalltext_core as st
from robustness import backends
from smalltext_core.errors import InvalidInputError

VALUES = {
    "numbers": np.array([0.1, 0.2]),
    "no numbers": np.array([]),
    "texts": np.array(["auto", "none"]),
    "objects": np.array([None, "auto"], dtype=object),
    "sparse": csr_matrix((2, 2)),
}
PARAMETERS = {
    "sklearn": ["calibration", "multi_label_threshold"],
    "kimcnn": ["calibration", "min_steps", "validation_set_size", "embedding_matrix", "precision"],
    "transformers": ["calibration", "min_steps", "max_seq_len", "validation_set_size", "lr", "precision"],
    "setfit": [
        "calibration",
        "min_steps",
        "max_seq_len",
        "validation_set_size",
        "lr",
        "multi_target_strategy",
        "use_differentiable_head",
    ],
    "embeddings": ["calibration", "head", "multi_label_threshold"],
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize(
    ("name", "parameter"), [(name, parameter) for name, found in PARAMETERS.items() for parameter in found]
)
def test_the_parameter_is_refused_by_its_name(name, parameter, value):
    given = {**backends.parameters(name), parameter: value}
    if parameter == "embedding_matrix":
        del given["embedding_dim"]
    with pytest.raises(InvalidInputError, match=f"^(body_learning_rate|{parameter})"):
        st.create_factory(name, 3, multi_label=True, **given)


def test_an_array_as_threshold_attribute_is_not_compared_with_a_string():
    classifier = backends.factory("kimcnn").new()
    classifier.multi_label_threshold = np.array([0.1, 0.2])
    assert classifier.multi_label_threshold_ is None
