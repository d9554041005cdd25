"""The install commands of the documentation, run in environments that were empty before.

Until the packages are published, the commands install from a clone, which is this repository here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from architecture import packages
from docs.pages import blocks
from install.environments import BUILDING_HERE, COMPILING_NOTHING, linked, others_needed, ours_needed
from smalltext_cli.commands.new_plugin import PluginName, render_plugin

pytestmark = [pytest.mark.install, pytest.mark.slow]

PAGES = ("README.md", "docs/index.md", "docs/tutorial.md", "packages/smalltext-cli/README.md")
CLONING = "git clone https://github.com/smalltext/smalltext"
BACKENDS = ("sklearn", "kimcnn", "transformers", "setfit")


@dataclass(frozen=True)
class Shell:
    """A virtual environment with pip, without this project, activated like by a user."""

    environment: Path
    variables: Mapping[str, str]

    def run(self, command: str, folder: Path) -> str:
        surroundings = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHONPATH", "PYTHONHOME", "SMALLTEXT_", "VIRTUAL_ENV"))
        }
        surroundings |= self.variables
        surroundings["PATH"] = f"{self.environment / 'bin'}{os.pathsep}{surroundings['PATH']}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=surroundings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def see(self, folder: Path) -> None:
        (site,) = self.environment.glob("lib/python*/site-packages")
        (site / "others.pth").write_text(f"{folder}\n", encoding="utf-8")


def empty_shell(folder):
    """Return an environment with only pip: everything else is installed from an index, including build tools."""
    venv.create(folder, with_pip=True, symlinks=True)
    return Shell(folder, COMPILING_NOTHING)


def prepared_shell(folder, others):
    """Return an environment with links to pip, hatchling and the third-party dependencies."""
    venv.create(folder, symlinks=True)
    shell = Shell(folder, {**COMPILING_NOTHING, **BUILDING_HERE})
    shell.see(linked(others, "pip", "hatchling", *others_needed("smalltext-cli", "smalltext-sklearn")))
    pip = folder / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m pip "$@"\n', encoding="utf-8")
    pip.chmod(0o755)
    return shell


def install_lines(page):
    """Return the commands of a page's first install block, without those that create or enter a clone."""
    path = packages.TOP / page
    block = next(block for block in blocks(path) if block.language == "bash" and "pip install ./" in block.content)
    lines = [line for line in block.content.splitlines() if line and not line.startswith(CLONING)]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a function that runs lines in the top folder of the repository, and returns the environment."""
    shells = {}

    def by(lines, is_empty=False):
        if (lines, is_empty) not in shells:
            folder = tmp_path_factory.mktemp("environment")
            shell = empty_shell(folder) if is_empty else prepared_shell(folder, tmp_path_factory.mktemp("others"))
            shell.run(lines, packages.TOP)
            shells[lines, is_empty] = shell
        return shells[lines, is_empty]

    return by


@pytest.mark.parametrize(
    ("page", "count", "is_empty"),
    [
        pytest.param(PAGES[0], 1, False, id=PAGES[0]),
        *[pytest.param(page, 1, False, id=page, marks=pytest.mark.nightly) for page in PAGES[1:]],
        pytest.param(PAGES[-1], None, False, id=f"{PAGES[-1]}, all", marks=pytest.mark.nightly),
        *[pytest.param(page, 1, True, id=f"{page}, empty", marks=pytest.mark.nightly) for page in PAGES],
    ],
)
def test_the_install_line_of_a_page_suffices_for_its_commands(page, count, is_empty, installed, tmp_path):
    """The first command after the install block works; the others run in tests/docs, and here in nightly runs.

    In nightly runs, the environment is empty, and pip also installs the dependencies.
    """
    shell = installed(install_lines(page), is_empty)
    first = next(
        block
        for block in blocks(packages.TOP / page)
        if not block.is_exempt and block.title is None and block.language in ("bash", "python")
    )
    written = [
        block for block in blocks(packages.TOP / page) if block.title is not None and block.line < first.line
    ]
    for block in written:
        (tmp_path / block.title).write_text(block.content, encoding="utf-8")
    (tmp_path / "snippet.py").write_text(first.content, encoding="utf-8")
    commands = ["python snippet.py"] if first.language == "python" else first.command.splitlines()[:count]
    shell.run("\n".join(commands), tmp_path)
    listed = shell.run("smalltext list", tmp_path)
    assert "sklearn" in listed


@pytest.mark.parametrize("page", PAGES)
def test_the_line_of_a_page_names_the_command_a_backend_and_every_folder_that_these_need(page):
    """pip would request packages that the line does not name from an index; by default, one page is tested."""
    named = set(re.findall(r"\./packages/([\w-]+)", install_lines(page)))
    assert {"smalltext-cli", "smalltext-sklearn"} <= named
    assert named == ours_needed(*named)


def test_the_line_of_the_readme_brings_no_framework(installed):
    brought = {
        one["name"]
        for one in json.loads(installed(install_lines("README.md")).run("pip list --format json", packages.TOP))
    }
    assert {"smalltext-cli", "smalltext-sklearn", "scikit-learn"} <= brought
    assert not {name for name in brought if name.startswith(("torch", "nvidia", "transformers"))}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """Return the folder of a new plugin, next to the clone."""
    home = tmp_path_factory.mktemp("home")
    (home / "smalltext").symlink_to(packages.TOP)
    for path, content in render_plugin(PluginName("votes")).items():
        file = home / "smalltext-votes" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return home / "smalltext-votes"


def test_the_readme_of_a_new_plugin_matches_its_workflow(plugin):
    workflow = (plugin / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    readme = (plugin / "README.md").read_text(encoding="utf-8")
    installing = re.findall(r"^ +- run: (.*pip.*)$", workflow, flags=re.MULTILINE)
    assert len(installing) == 2
    assert all(f"\n{step}\n" in readme for step in installing)


@pytest.mark.nightly
def test_the_workflow_of_a_new_plugin_runs_in_an_empty_environment(plugin, tmp_path):
    workflow = (plugin / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    steps = re.findall(r"^ +- run: (.+)$", workflow, flags=re.MULTILINE)
    assert steps[0].startswith("git clone --depth 1 https://github.com/smalltext/smalltext ../smalltext")
    shell = empty_shell(tmp_path / "environment")
    for step in steps[1:]:
        shell.run(step, plugin)
    assert list((plugin / "dist").glob("*.whl"))
    assert "votes" in shell.run("smalltext list", plugin)


@pytest.mark.nightly
def test_the_commands_that_new_plugin_prints_work(installed, tmp_path):
    shell = installed(install_lines("README.md"))
    printed = shell.run("smalltext new-plugin votes", tmp_path)
    (line,) = re.findall(r"^ +(python -m pip install .+)$", printed, flags=re.MULTILINE)
    folder = tmp_path / "smalltext-votes"
    # An editable installation needs more than hatchling, which pip installs only for this build.
    dry = "env -u PIP_NO_BUILD_ISOLATION " + line.replace("pip install", "pip install --dry-run")
    assert "Would install" in shell.run(dry, folder)


def rows():
    """Return the folders to install for each package, according to the README."""
    readme = (packages.TOP / "README.md").read_text(encoding="utf-8")
    return dict(
        re.findall(r"^\| \[(smalltext-\w+)\].+\| `((?:\./packages/[\w\[\]-]+ ?)+)` \|$", readme, re.MULTILINE)
    )


def test_the_table_of_packages_names_every_folder_that_is_needed():
    assert sorted(rows()) == packages.NAMES
    for name, folders in rows().items():
        needed, waiting = set(), [name]
        while waiting:
            one = waiting.pop()
            if one not in needed:
                needed.add(one)
                waiting += [other.name for other in packages.required(one) if other.name in packages.NAMES]
        assert {Path(folder).name.partition("[")[0] for folder in folders.split()} == needed


@pytest.mark.nightly
@pytest.mark.parametrize("name", BACKENDS)
def test_a_row_of_the_table_installs_the_backend(name, tmp_path):
    shell = empty_shell(tmp_path / "environment")
    folders = rows()[f"smalltext-{name}"]
    ours = [Path(folder).name for folder in folders.split()]
    others = {needed.name for one in ours for needed in packages.required(one)} - set(packages.NAMES)
    (tmp_path / "others").mkdir()
    shell.see(linked(tmp_path / "others", *sorted(others)))
    shell.run(f"pip install {folders}", packages.TOP)
    found = shell.run("python -c 'import smalltext_core as st; print(*st.classifiers())'", tmp_path)
    assert found.split() == [name]
