"""What a package exports is the same object whatever was imported before, and no module hides it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from architecture import public_face

PROGRAM = """
import importlib, inspect, json, pkgutil, random, sys

name, first, seed = sys.argv[1:]
module, dice = importlib.import_module(name), random.Random(int(seed))

def shuffled(names):
    return dice.sample(sorted(names), len(names))

def submodules():
    found = pkgutil.walk_packages(getattr(module, "__path__", ()), name + ".")
    for each in shuffled([one.name for one in found if not one.name.endswith("__main__")]):
        importlib.import_module(each)

def exported():
    found = {}
    for each in shuffled(module.__all__):
        scope = {}
        exec(f"from {name} import {each}", scope)
        assert scope[each] is getattr(module, each), each
        found[each] = scope[each]
    return found

if first == "submodules":
    submodules()
before, listed = exported(), dir(module)
submodules()
after = exported()
print(json.dumps({
    "changed": [each for each in before if before[each] is not after[each]],
    "modules": [each for each in after if inspect.ismodule(after[each])],
    "hidden": [one.name for one in pkgutil.iter_modules(getattr(module, "__path__", ())) if one.name in after],
    "unlisted": sorted(set(module.__all__) - set(listed)),
    "kinds": {each: type(after[each]).__name__ for each in after},
}))
"""

PACKAGES = [name for name in public_face.MODULES if name != "smalltext_core.errors"]


def exports(name, first, seed):
    command = [sys.executable, "-c", PROGRAM, name, first, str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_is_one_object_before_and_after_the_submodules_are_loaded(name):
    early, late = exports(name, "names", seed=1), exports(name, "submodules", seed=2)
    for found in (early, late):
        assert not found["changed"]
        assert not found["modules"]
        assert not found["unlisted"]
        assert not found["hidden"], "a module of the package has the name of something that it exports"
    assert early["kinds"] == late["kinds"]
