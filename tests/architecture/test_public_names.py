"""An exported name is the same object regardless of previous imports, and no module hides it."""

from __future__ import annotations

import json
import os

import pytest

import fork_server
from architecture import public_face

# Each package is imported in a process where no module of these packages is. Such a process is forked from one of
# the fork server, in which the libraries have been imported; where there is no fork, it is new.
PROGRAM = """
import importlib, inspect, json, os, pkgutil, random, sys

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

def report():
    if first == "submodules":
        submodules()
    before, listed = exported(), dir(module)
    submodules()
    after = exported()
    print(json.dumps({
        "package": name,
        "first": first,
        "changed": [each for each in before if before[each] is not after[each]],
        "modules": [each for each in after if inspect.ismodule(after[each])],
        "hidden": [one.name for one in pkgutil.iter_modules(getattr(module, "__path__", ())) if one.name in after],
        "unlisted": sorted(set(module.__all__) - set(listed)),
        "kinds": {each: type(after[each]).__name__ for each in after},
    }), flush=True)

jobs = json.loads(sys.argv[1])
if len(jobs) > 1:
    assert not [each for each in sys.modules if each.startswith("smalltext")]
for name, first, seed in jobs:
    if len(jobs) > 1 and (child := os.fork()):
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ended == 0, (name, first, ended)
        continue
    module, dice = importlib.import_module(name), random.Random(seed)
    report()
    if len(jobs) > 1:
        os._exit(0)
"""

PACKAGES = [name for name in public_face.MODULES if name != "smalltext_core.errors"]


@pytest.fixture(scope="module")
def reports():
    """The findings for each package, with its names imported first, and with its submodules imported first."""
    installed = [name for name in PACKAGES if public_face.is_installed(name)]
    jobs = [(name, *first) for name in installed for first in (("names", 1), ("submodules", 2))]
    found = []
    for together in [jobs] if hasattr(os, "fork") else [[job] for job in jobs]:
        done = fork_server.run(["-c", PROGRAM, json.dumps(together)])
        assert done.returncode == 0, done.stderr.decode()
        found += [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith('{"package"')]
    return {(one["package"], one["first"]): one for one in found}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_exported_name_is_one_object_before_and_after_the_submodules_are_loaded(name, reports):
    if not public_face.is_installed(name):
        pytest.skip("the package is not installed")
    early, late = reports[name, "names"], reports[name, "submodules"]
    for found in (early, late):
        assert not found["changed"]
        assert not found["modules"]
        assert not found["unlisted"]
        assert not found["hidden"], "a module of the package has the name of something that it exports"
    assert early["kinds"]
    assert early["kinds"] == late["kinds"]
