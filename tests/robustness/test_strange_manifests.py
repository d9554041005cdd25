"""With slightly changed manifests, a model is loaded, or rejected by an error of smalltext."""

from __future__ import annotations

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustness import backends
from robustness.freeze import FROZEN
from smalltext_core import TextDataset, load
from smalltext_core.errors import SmallTextError
from smalltext_core.saving import MANIFEST, read_manifest

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "cpu", "balanced", "none", "../..", "0.1.0", "adam", "\x00", "\ud800"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


def nodes(content, path=()):
    """Yield the paths of all values in a JSON document."""
    entries = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in entries:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from nodes(value, (*path, key))


@st.composite
def changed(draw, manifest):
    """Change, remove or add values in a manifest."""
    content = json.loads(json.dumps(manifest))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(sorted(nodes(content), key=str)))
        place = content
        for key in way:
            place = place[key]
        change = draw(st.sampled_from(["other", "other", "other", "gone", "more"]))
        if change == "gone":
            del place[last]
        elif change == "other":
            place[last] = draw(values)
        elif isinstance(place, dict):
            place[draw(st.text(max_size=5) | st.sampled_from(["model", "seed", "device"]))] = draw(values)
    return content


@pytest.mark.parametrize("name", backends.NAMES)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_manifest_that_was_changed_is_loaded_or_refused(tmp_path, name, data):
    folder = tmp_path / "model"
    if not folder.exists():
        shutil.copytree(FROZEN / f"{name}-single-label" / "model", folder)
    sound = json.loads((FROZEN / f"{name}-single-label" / "model" / MANIFEST).read_bytes())
    content = json.dumps(data.draw(changed(sound)), ensure_ascii=False)
    (folder / MANIFEST).write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        manifest = read_manifest(folder)
        classifier = load(folder)
        classifier.predict(TextDataset(["a text", ""]))
    except SmallTextError:
        return
    assert manifest.classifier == name
