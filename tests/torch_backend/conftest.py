from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import smalltext_core


@pytest.fixture(scope="module", autouse=True)
def installed_bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the test backend as pip would: a folder on the path with the metadata of a distribution."""
    site = tmp_path_factory.mktemp("site")
    metadata = site / "smalltext_bag-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: smalltext-bag\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[smalltext]\nbag = torch_backend.bag_plugin\n")
    sys.path.insert(0, str(site))
    smalltext_core.refresh()
    yield
    sys.path.remove(str(site))
    smalltext_core.refresh()
