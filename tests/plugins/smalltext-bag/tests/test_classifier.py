"""Features that every torch backend inherits, tested with this one."""

import pytest
from smalltext_core import TextDataset
from smalltext_core.errors import InvalidInputError

from smalltext_bag.classifier import BagOfEmbeddings

FILMS = TextDataset(
    ["a fine film", "a dull film", "fine acting", "dull acting"] * 5, [1, 0, 1, 0] * 5
)


@pytest.fixture(scope="module")
def trained() -> BagOfEmbeddings:
    return BagOfEmbeddings(num_classes=2, num_epochs=5, seed=1).fit(FILMS)


def test_the_words_decide(trained: BagOfEmbeddings) -> None:
    assert trained.predict(TextDataset(["A fine day", "so dull"])).tolist() == [1, 0]


def test_training_is_reported_per_epoch(trained: BagOfEmbeddings) -> None:
    assert [record["epoch"] for record in trained.history_] == list(
        range(1, len(trained.history_) + 1)
    )


def test_training_stops_when_validation_no_longer_improves() -> None:
    classifier = BagOfEmbeddings(num_classes=2, num_epochs=500, seed=1).fit(FILMS)
    assert len(classifier.history_) < 500


def test_loss_and_accuracy_on_other_texts(trained: BagOfEmbeddings) -> None:
    loss, accuracy = trained.validate(FILMS)
    assert loss < 0.5
    assert accuracy == 1.0


def test_samples_under_dropout(trained: BagOfEmbeddings) -> None:
    samples = trained.predict_proba(TextDataset(["fine", "dull"]), dropout_sampling=5)
    assert samples.shape == (2, 5, 2)
    assert (samples.std(axis=1) > 0).all()


@pytest.mark.parametrize(
    "wrong", [{"dimensions": 0}, {"dropout": 1.0}, {"num_epochs": 0}, {"lr": -1.0}]
)
def test_a_wrong_parameter_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        BagOfEmbeddings(num_classes=2, **wrong)  # type: ignore[arg-type]
