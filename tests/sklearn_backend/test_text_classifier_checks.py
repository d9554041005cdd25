"""scikit-learn's own checks, unchanged, and for a `TextClassifier` that converts numbers to texts."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.utils.validation import check_is_fitted

from architecture import packages
from smalltext_core.errors import InvalidInputError
from smalltext_sklearn import EXPECTED_FAILED_CHECKS, TextClassifier

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6):
    pytest.skip("checks can be expected to fail since scikit-learn 1.6", allow_module_level=True)

from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import validate_data


@parametrize_with_checks(
    [TextClassifier("sklearn")], expected_failed_checks=lambda _: dict(EXPECTED_FAILED_CHECKS)
)
@pytest.mark.filterwarnings("ignore")
def test_checks_that_need_no_numbers_pass(estimator, check):
    check(estimator)


class WritesNumbersDown(TextClassifier):
    """A text classifier for numbers: each row becomes a text with one word per column, and one for its sign."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(_texts(validate_data(self, X)), y, sample_weight)

    def predict(self, X):
        check_is_fitted(self)
        return super().predict(_texts(validate_data(self, X, reset=False)))

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(_texts(validate_data(self, X, reset=False)))


def _texts(rows):
    return [
        " ".join(f"c{column}v{value:.0f} c{column}s{np.sign(value):.0f}" for column, value in enumerate(row))
        for row in rows
    ]


def each_check_of(estimator):
    return parametrize_with_checks(
        [estimator],
        expected_failed_checks=lambda _: {
            "check_sample_weight_equivalence_on_dense_data": "TF-IDF counts texts, not their weights."
        },
    )


@each_check_of(WritesNumbersDown("sklearn", calibration="none"))
@pytest.mark.filterwarnings("ignore")
def test_other_checks_pass_if_numbers_are_texts(estimator, check):
    check(estimator)


@pytest.mark.nightly
@each_check_of(WritesNumbersDown("sklearn"))
@pytest.mark.filterwarnings("ignore")
def test_other_checks_pass_with_all_defaults_if_numbers_are_texts(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
def test_failing_checks_fail_because_numbers_are_refused():
    results = check_estimator(
        TextClassifier("sklearn"),
        expected_failed_checks=dict(EXPECTED_FAILED_CHECKS),
        on_fail=None,
        on_skip=None,
    )
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "xfail"}
    assert len(failed) > 20
    assert not [name for name, error in failed.items() if not _is_refusal_of_numbers(error)]


def _is_refusal_of_numbers(error):
    while error is not None:
        if isinstance(error, InvalidInputError):
            return error.argument == "X" and "array of" in error.given
        error = error.__cause__ or error.__context__
    return False


def test_the_docs_list_each_of_them():
    page = (packages.TOP / "docs" / "how-to" / "use-with-scikit-learn.md").read_text(encoding="utf-8")
    assert not [name for name in EXPECTED_FAILED_CHECKS if f"`{name}`" not in page]
    assert not [reason for reason in set(EXPECTED_FAILED_CHECKS.values()) if reason not in page]
