"""Every code block of the docs does what it says; those of the READMEs are in test_readmes.py."""

from __future__ import annotations

import re

import pytest

from architecture import packages
from docs.pages import PAGES, READMES, blocks, title

EXPENSIVE_GUIDES = {
    "array-jobs.md",  # the shards of a job: tests/cli/test_cli_shards.py
    "big-files.md",  # workers and shards: tests/cli/test_cli_predict_workers.py and test_cli_shards.py
    "compare-backends.md",  # tests/cli/test_cli_compare.py
    "export-to-onnx.md",  # tests/onnx_backend
    "label-next.md",  # tests/cli/test_cli_suggest.py and test_cli_simulate.py
    "score-with-engines.md",  # tests/engines
    "use-the-conformance-kit.md",  # tests/conformance_kit
    "write-a-plugin.md",  # the plugin of README.md
    "write-a-torch-backend.md",  # tests/plugins/smalltext-bag
}
"""Pages that take more than five CPU seconds each and run nightly, with what tests the same by default."""

GUIDES = [
    pytest.param(page, marks=[pytest.mark.nightly] if page.name in EXPENSIVE_GUIDES else [])
    for page in PAGES
    if page not in READMES and "```" in page.read_text("utf-8")
]


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDES, ids=title)
def test_code_blocks_run(page, outcomes):
    assert outcomes[page]["status"] == 0, outcomes[page]["output"]


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_only_installing_is_exempt_from_running(page):
    exempt = [block.content for block in blocks(page) if block.is_exempt]
    assert all("pip install" in content or "hatch " in content for content in exempt)


def test_ci_runs_the_two_commands_of_the_readme():
    readme = (packages.TOP / "README.md").read_text(encoding="utf-8")
    script = (packages.TOP / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    for command in ("hatch run demo", "hatch run test:all"):
        assert command in readme
        assert command in script


TEMPLATES = sorted((packages.TOP / "packages/smalltext-cli/src/smalltext_cli/templates").rglob("*.j2"))
OTHER_PLUGINS = sorted((packages.TOP / "tests" / "plugins").glob("smalltext-*/README.md"))


@pytest.mark.parametrize("page", [*PAGES, *TEMPLATES, *OTHER_PLUGINS], ids=title)
def test_no_page_asks_an_index_for_the_packages(page):
    """Until the packages are on one: they come from folders of a clone, or from wheels that were made of it."""
    asking = re.compile(r"pip install (?!.*--find-links)(?:.*[ \"'])?smalltext-\w+")
    assert not asking.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line", ["pip install smalltext-cli", 'pip install "smalltext-cli[demo]"', "pip install x smalltext-cli"]
)
def test_a_line_that_asks_an_index_is_found(line, tmp_path):
    (tmp_path / "page.md").write_text(line)
    with pytest.raises(AssertionError):
        test_no_page_asks_an_index_for_the_packages(tmp_path / "page.md")
