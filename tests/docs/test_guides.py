"""The guides for contributors name files, commands and versions that exist."""

from __future__ import annotations

import re
import sys

import pytest
import yaml

from architecture import packages
from docs import decisions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GITHUB = packages.TOP / ".github"
GUIDES = [GITHUB / "CONTRIBUTING.md", GITHUB / "SECURITY.md", GITHUB / "pull_request_template.md"]
HATCH = tomllib.loads((packages.TOP / "hatch.toml").read_text(encoding="utf-8"))["envs"]
PRE_COMMIT = yaml.safe_load((packages.TOP / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for repository in PRE_COMMIT["repos"] for hook in repository["hooks"]}


def scripts(environment: str) -> dict[str, object]:
    found = HATCH[environment]
    inherited = scripts(found["template"]) if "template" in found else {}
    return {**inherited, **found.get("scripts", {})}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_links_lead_to_files(guide):
    text = guide.read_text(encoding="utf-8")
    linked = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert not [target for target in linked if not (guide.parent / target).is_file()]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_paths_exist(guide):
    named = re.findall(r"`([\w.-]+(?:/[\w.-]+)+/?)`", guide.read_text(encoding="utf-8"))
    assert not [path for path in named if "NAME" not in path and not (packages.TOP / path).exists()]


@pytest.mark.parametrize("guide", [*GUIDES, packages.TOP / "README.md"], ids=lambda path: path.name)
def test_hatch_scripts_exist(guide):
    for environment, script in re.findall(r"hatch run (?:(\w+):)?(\w+)", guide.read_text(encoding="utf-8")):
        assert script in scripts(environment or "default"), f"{environment}:{script}"


def test_hooks_run_what_hatch_runs():
    assert set(HOOKS) == {"ruff-check", "ruff-format", "mypy"}
    for name in ("ruff-check", "ruff-format"):
        assert HOOKS[name]["additional_dependencies"] == HATCH["lint"]["dependencies"]
        assert HOOKS[name]["entry"].startswith(f"ruff {name.partition('-')[2]} ")
    environment, _, script = HOOKS["mypy"]["entry"].removeprefix("hatch run ").partition(":")
    assert script in scripts(environment)
    assert any(requirement.startswith("ruff") for requirement in HATCH["test"]["dependencies"])
    assert HATCH["lint"]["dependencies"][0] in HATCH["test"]["dependencies"]


@pytest.mark.parametrize("template", sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_issue_templates_are_valid(template):
    content = yaml.safe_load(template.read_text(encoding="utf-8"))
    if template.stem == "config":
        assert all({"name", "url", "about"} == link.keys() for link in content["contact_links"])
        return
    assert {"name", "description", "body"} <= content.keys()
    fields = [field for field in content["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["type"] in {"input", "textarea", "dropdown", "checkboxes"} for field in fields)


def test_the_security_policy_and_the_page_on_security_say_where_to_report():
    for path in (GITHUB / "SECURITY.md", packages.TOP / "docs" / "explanation" / "security.md"):
        assert "Report a vulnerability" in path.read_text(encoding="utf-8")


def test_the_guide_says_how_to_update_the_index_of_decisions():
    assert f"python -m {decisions.__name__}" in GUIDES[0].read_text(encoding="utf-8")
