"""The groups of tests for one worker of pytest-xdist, with `--dist loadfile`, and their order."""

from __future__ import annotations

SHARING_FOLDERS = ("tests/install/", "tests/plugins/")
"""Folders whose files share wheels and environments, which are created once if one worker runs all of them."""
INDEPENDENT = (
    "tests/integrations/test_small_text_learner.py",
    "tests/robustness/test_random_calls.py",
)
"""Files of long tests that share nothing, which are distributed one by one."""
LONG = (
    "tests/architecture/test_types.py",
    "tests/install/",
    "tests/docs/test_pages.py",
    "tests/docs/test_readmes.py",
    "tests/onnx_backend/test_onnx_export.py",
    "tests/cli/test_cli_shards.py",
    "tests/setfit_backend/test_setfit_contract.py",
    "tests/embeddings_backend/test_embeddings_contract.py",
    "tests/cli/test_cli_predict.py",
    "tests/security/test_attacks_torch.py",
    "tests/conformance_kit/test_kit_sklearn.py",
    "tests/cli/test_cli_compare.py",
    "tests/transformers_backend/test_transformers_contract.py",
    "tests/robustness/test_crashes.py",
    "tests/security/test_attacks_sklearn.py",
    "tests/transformers_backend/test_transformers_adapters.py",
    "tests/sklearn_backend/test_every_estimator_is_saved.py",
    "tests/transformers_backend/test_transformers_classifier.py",
    "tests/integrations/test_small_text_strategies.py",
)
"""Files with 12 CPU seconds or more by `--cpu-times`, longest first: early, so that no worker ends late."""


def work_unit(nodeid: str) -> str:
    """Return the name of the group of a test: a folder, a file or the test itself."""
    path = nodeid.partition("::")[0]
    if path in INDEPENDENT:
        return nodeid
    return next((folder for folder in SHARING_FOLDERS if path.startswith(folder)), path)
