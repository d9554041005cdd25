"""Write ``parameters.json`` of each backend, with which the command shows parameters without importing it.

Run it after changing a signature or the first sentence of a parameter's description:
`python tests/architecture/parameter_files.py`.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from smalltext_cli.parameters import builder_parameters
from smalltext_cli.shipped_parameters import PARAMETERS_FILE, as_json
from smalltext_core import plugins


def specs():
    """Return the specs of this project's classifiers that can be trained, by name."""
    ready = [plugin for plugin in plugins() if plugin.status == "ready"]
    found = [spec for plugin in ready if plugin.distribution.startswith("smalltext-") for spec in plugin.specs]
    trainable = [spec for spec in found if spec.trainable and find_spec(package(spec))]
    return {spec.name: spec for spec in trainable if path(spec).parent.parent.name == "src"}


def package(spec):
    return spec.classifier.partition(".")[0]


def path(spec):
    return Path(find_spec(package(spec)).origin).with_name(PARAMETERS_FILE)


def content(spec):
    """Return the expected content of the file."""
    parameters = builder_parameters(spec.resolve("builder"))
    entry = {"open_ended": parameters.open_ended, "parameters": as_json(parameters)}
    return json.dumps({spec.name: entry}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in specs().values():
        path(each).write_text(content(each), encoding="utf-8")
