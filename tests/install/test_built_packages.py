"""The contents of the published files."""

from __future__ import annotations

import tarfile
import zipfile

import pytest

from architecture import packages

pytestmark = [
    pytest.mark.install,
    pytest.mark.slow,
    pytest.mark.parametrize("name", packages.NAMES),
]


def built(wheels, name, ending):
    (path,) = wheels.glob(f"{packages.import_name(name)}-{packages.version(name)}*{ending}")
    return path


def test_wheel_holds_the_license_and_the_mark_of_typing(wheels, name):
    with zipfile.ZipFile(built(wheels, name, ".whl")) as wheel:
        (license_file,) = [path for path in wheel.namelist() if path.endswith(".dist-info/licenses/LICENSE")]
        assert wheel.read(license_file) == (packages.TOP / "LICENSE").read_bytes()
        assert f"{packages.import_name(name)}/py.typed" in wheel.namelist()


def test_wheel_contains_only_its_package(wheels, name):
    with zipfile.ZipFile(built(wheels, name, ".whl")) as wheel:
        tops = {path.partition("/")[0] for path in wheel.namelist()}
    own = packages.import_name(name)
    assert tops == {own, f"{own}-{packages.version(name)}.dist-info"}


def test_wheel_holds_every_module(wheels, name):
    sources = packages.sources(name)
    modules = {path.relative_to(sources.parent).as_posix() for path in sources.rglob("*.py")}
    with zipfile.ZipFile(built(wheels, name, ".whl")) as wheel:
        assert modules <= set(wheel.namelist())


def test_source_distribution_contains_its_documentation(wheels, name):
    top = f"{packages.import_name(name)}-{packages.version(name)}"
    with tarfile.open(built(wheels, name, ".tar.gz")) as archive:
        assert {f"{top}/{file}" for file in ("README.md", "CHANGELOG.md", "LICENSE")} <= set(archive.getnames())
