"""The two complete third-party backends use only the public API."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest
from smalltext_bag.classifier import BagOfEmbeddings

from architecture import imports, packages
from smalltext_cli.commands.new_plugin import PluginName, render_plugin
from smalltext_torch import TorchClassifier

PLUGINS = packages.TOP / "tests" / "plugins"
NAMES = ["naive-bayes", "bag"]

each_backend = pytest.mark.parametrize("name", NAMES)


def documented() -> set[str]:
    """Return the modules and names in the reference, and the top-level names of the packages for plugins."""
    pages = "".join(path.read_text("utf-8") for path in (packages.TOP / "docs" / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: ([\w.]+)$", pages, flags=re.MULTILINE))
    for package in ("smalltext_core", "smalltext_torch"):
        shown |= {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    return shown


def foreign_imports(folder):
    """Return the imports of this project's packages in the Python files of a folder."""
    ours = {packages.import_name(name) for name in packages.NAMES}
    paths = sorted(path for path in folder.rglob("*.py"))
    return [found for path in paths for found in imports.of_file(path) if found.root in ours]


def is_public(found, public):
    within = [found.module, f"{found.module}.{found.attribute}"]
    return any(name in public for name in within) and not any(part.startswith("_") for part in found.parts)


@each_backend
def test_imports_nothing_private_and_nothing_undocumented(name):
    found, public = foreign_imports(PLUGINS / f"smalltext-{name}"), documented()
    assert found
    assert not [str(one) for one in found if not is_public(one, public)]


def test_the_output_of_new_plugin_imports_nothing_private_either(tmp_path):
    for path, content in render_plugin(PluginName("votes")).items():
        (tmp_path / path.replace("/", "_")).write_text(content, encoding="utf-8")
    found, public = foreign_imports(tmp_path), documented()
    assert len(found) > 3
    assert not [one.parts for one in found if not is_public(one, public)]


@pytest.mark.parametrize(
    "code",
    [
        "from smalltext_core.classifier import _secret",
        "from smalltext_core._version import __version__",
        "from smalltext_torch.training import Trainer",
        "import smalltext_torch.inference",
    ],
)
def test_private_names_are_distinguished_from_public_ones(code, tmp_path):
    (tmp_path / "stranger.py").write_text(code, encoding="utf-8")
    (found,) = foreign_imports(tmp_path)
    assert not is_public(found, documented())


def test_the_extension_points_that_the_torch_backend_overrides_are_public_and_documented():
    functions = {name for name, value in vars(BagOfEmbeddings).items() if inspect.isfunction(value)}
    overridden = {name for name in functions if not name.startswith("__")}
    assert {"make_encoder", "encode", "make_network"} <= overridden
    assert not [name for name in overridden if name.startswith("_")]
    assert all(inspect.getdoc(getattr(TorchClassifier, name)) for name in overridden)
    page = (packages.TOP / "docs" / "reference" / "torch.md").read_text("utf-8")
    assert "::: smalltext_torch.classifier.TorchClassifier\n" in page


@each_backend
def test_the_folder_is_complete(name):
    folder, package = PLUGINS / f"smalltext-{name}", f"smalltext_{name.replace('-', '_')}"
    expected = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "tests/test_rules.py"}
    expected |= {f"src/{package}/py.typed", f"src/{package}/plugin.py", f"src/{package}/classifier.py"}
    assert not [path for path in expected if not (folder / path).is_file()]


@each_backend
def test_the_rest_is_the_output_of_new_plugin(name):
    """Changes of the skeleton's workflows must also be made in these copies."""
    for path, content in render_plugin(PluginName(name)).items():
        if path.startswith(".github/") or path in ("LICENSE", ".gitignore", "CHANGELOG.md"):
            assert (PLUGINS / f"smalltext-{name}" / path).read_text("utf-8") == content, path


def test_the_workflows_pin_the_actions_that_this_project_uses():
    pinned = re.compile(r"uses: (\S+@[0-9a-f]{40} # v\S+)$", re.MULTILINE)
    ours = "".join(path.read_text("utf-8") for path in (packages.TOP / ".github" / "workflows").glob("*.yml"))
    for path, content in render_plugin(PluginName("votes")).items():
        if path.startswith(".github/"):
            assert content.count("uses:") == len(pinned.findall(content)), path
            assert set(pinned.findall(content)) <= set(pinned.findall(ours)), path
