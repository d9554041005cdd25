"""The checks of ``sklearn.utils.estimator_checks`` that cannot hold for raw texts, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_TRAINS_ON_NUMBERS = "It trains on a matrix of numbers; raw texts are strings, and fit says so."
_COUNTS_COLUMNS = "It counts the columns of a matrix of numbers; raw texts are one column, of strings."
_SPOILS_NUMBERS = (
    "It trains on numbers before it puts NaN among them; of a text that is missing, fit names the row."
)

EXPECTED_FAILED_CHECKS: Mapping[str, str] = MappingProxyType(
    {
        "check_classifier_data_not_an_array": _TRAINS_ON_NUMBERS,
        "check_classifiers_classes": _TRAINS_ON_NUMBERS,
        "check_classifiers_multilabel_output_format_decision_function": _TRAINS_ON_NUMBERS,
        "check_classifiers_multilabel_output_format_predict": _TRAINS_ON_NUMBERS,
        "check_classifiers_multilabel_output_format_predict_proba": _TRAINS_ON_NUMBERS,
        "check_classifiers_multilabel_representation_invariance": _TRAINS_ON_NUMBERS,
        "check_classifiers_train": _TRAINS_ON_NUMBERS,
        "check_dict_unchanged": _TRAINS_ON_NUMBERS,
        "check_dont_overwrite_parameters": _TRAINS_ON_NUMBERS,
        "check_dtype_object": _TRAINS_ON_NUMBERS,
        "check_estimators_dtypes": _TRAINS_ON_NUMBERS,
        "check_estimators_fit_returns_self": _TRAINS_ON_NUMBERS,
        "check_estimators_nan_inf": _SPOILS_NUMBERS,
        "check_estimators_overwrite_params": _TRAINS_ON_NUMBERS,
        "check_estimators_pickle": _TRAINS_ON_NUMBERS,
        "check_f_contiguous_array_estimator": _TRAINS_ON_NUMBERS,
        "check_fit2d_1feature": _COUNTS_COLUMNS,
        "check_fit2d_predict1d": _TRAINS_ON_NUMBERS,
        "check_fit_check_is_fitted": _TRAINS_ON_NUMBERS,
        "check_fit_idempotent": _TRAINS_ON_NUMBERS,
        "check_fit_score_takes_y": _TRAINS_ON_NUMBERS,
        "check_methods_sample_order_invariance": _TRAINS_ON_NUMBERS,
        "check_methods_subset_invariance": _TRAINS_ON_NUMBERS,
        "check_n_features_in": _COUNTS_COLUMNS,
        "check_n_features_in_after_fitting": _COUNTS_COLUMNS,
        "check_pipeline_consistency": _TRAINS_ON_NUMBERS,
        "check_positive_only_tag_during_fit": _TRAINS_ON_NUMBERS,
        "check_readonly_memmap_input": _TRAINS_ON_NUMBERS,
        "check_sample_weight_equivalence_on_dense_data": _TRAINS_ON_NUMBERS,
        "check_sample_weights_list": _TRAINS_ON_NUMBERS,
        "check_sample_weights_not_an_array": _TRAINS_ON_NUMBERS,
        "check_sample_weights_not_overwritten": _TRAINS_ON_NUMBERS,
        "check_sample_weights_pandas_series": _TRAINS_ON_NUMBERS,
        "check_sample_weights_shape": _TRAINS_ON_NUMBERS,
        "check_supervised_y_2d": _TRAINS_ON_NUMBERS,
    }
)
"""For ``check_estimator(TextClassifier(), expected_failed_checks=EXPECTED_FAILED_CHECKS)``: reasons by check."""
