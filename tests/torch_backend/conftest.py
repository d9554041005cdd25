from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import smalltext_core


@pytest.fixture(scope="module", autouse=True)
def installed_bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install tests/plugins/smalltext-bag like pip: a folder on the path with its metadata."""
    site = tmp_path_factory.mktemp("site")
    metadata = site / "smalltext_bag-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: smalltext-bag\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[smalltext]\nbag = smalltext_bag.plugin\n")
    sys.path.insert(0, str(site))
    smalltext_core.refresh()
    yield
    sys.path.remove(str(site))
    modules = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "smalltext_bag"}
    smalltext_core.refresh()
    sys.modules.update(modules)  # `refresh` removes it, although tests of the next file have already imported it
