"""The public API of each package equals the recorded one, so that changes are intended and visible in a diff."""

from __future__ import annotations

import json

import pytest

from architecture import public_face

FROZEN = json.loads(public_face.FROZEN.read_text(encoding="utf-8"))


def test_every_public_module_is_recorded():
    assert sorted(FROZEN) == sorted(public_face.MODULES)


@pytest.mark.parametrize("module", public_face.MODULES)
def test_the_public_api_is_the_recorded_one(module):
    if not public_face.is_installed(module):
        pytest.skip("the package is not installed")
    now, frozen = public_face.of_module(module), FROZEN[module]
    changed = {name: (frozen.get(name), now.get(name)) for name in frozen.keys() | now.keys()}
    changed = {name: pair for name, pair in changed.items() if pair[0] != pair[1]}
    assert not changed, "if this is meant: hatch run test:freeze, and say it in the package's changelog"


def test_a_changed_signature_a_lost_name_and_a_module_instead_of_it_are_detected():
    def one(argument):
        return argument

    def other(argument=None):
        return argument

    assert public_face.describe(one) != public_face.describe(other)
    assert public_face.describe(one) != public_face.describe(public_face)
    assert public_face.describe(type("A", (), {})) != public_face.describe(one)
