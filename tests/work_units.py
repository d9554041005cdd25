"""Which tests one worker of pytest-xdist runs together, with `--dist loadfile`, and what is begun first."""

from __future__ import annotations

SHARING_FOLDERS = ("tests/install/", "tests/plugins/")
"""Folders whose files share wheels and environments, which are made once where one worker runs all of them."""
INDEPENDENT = (
    "tests/integrations/test_small_text_learner.py",
    "tests/robustness/test_random_calls.py",
)
"""Files of long tests that share nothing: these are handed out one by one."""
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
"""What takes 12 CPU seconds or more, longest first, by `--cpu-times`: begun early, so that no worker ends late."""


def work_unit(nodeid: str) -> str:
    """Return what names the tests that go to one worker together: a folder, a file or one test."""
    path = nodeid.partition("::")[0]
    if path in INDEPENDENT:
        return nodeid
    return next((folder for folder in SHARING_FOLDERS if path.startswith(folder)), path)
