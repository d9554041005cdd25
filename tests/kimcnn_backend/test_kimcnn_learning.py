"""Tests at full size: the accuracy of the defaults, and many rounds without memory leaks."""

import sys

import numpy as np
import pytest

import fork_server
from smalltext_core import TextDataset
from smalltext_kimcnn import KimCNNClassifier

pytestmark = pytest.mark.slow

OPENINGS = ["what is the", "who was the", "where is the", "how many", "what does the", "name the"]
ROUNDS = """
import os, sys, tempfile
from pathlib import Path
import numpy as np
from smalltext_core import TextDataset
from smalltext_kimcnn import KimCNNClassifier, PytorchTextClassificationDataset
os.chdir(tempfile.mkdtemp())
tempfile.tempdir = os.getcwd()
rng = np.random.default_rng(0)
texts = [" ".join(f"w{number}" for number in rng.integers(3000, size=40)) for _ in range(200)]
pool = PytorchTextClassificationDataset.from_texts(texts, rng.integers(3, size=200))
classifier = KimCNNClassifier(3, num_epochs=2, seed=1)
for _ in range(int(sys.argv[1])):
    classifier.fit(pool[:150]).predict_proba(pool)
    classifier.predict_proba(pool, dropout_sampling=5)
    classifier.embed(pool, embedding_method="gradient")
    print(int(Path("/proc/self/statm").read_text().split()[1]))
print(len(os.listdir()))
"""


def questions(count, rng, topics):
    """Return questions of six classes; their first words are uninformative, and one in eight words is topical."""
    y = rng.choice(6, size=count, p=[0.02, 0.21, 0.23, 0.22, 0.15, 0.17])
    texts = []
    for label in y:
        words = rng.zipf(1.3, size=rng.integers(4, 16)).clip(max=8_000)
        on_topic = [f"topic{label}_{rng.integers(topics)}"] if rng.random() < 0.95 else []
        opening = OPENINGS[label if rng.random() < 0.3 else rng.integers(6)]
        drawn = rng.permutation([*(f"w{word}" for word in words), *on_topic])
        texts.append(f"{opening} {' '.join(drawn)} ?")
    return TextDataset(texts, y)


@pytest.mark.parametrize(
    ("count", "topics"),
    [
        (400, 6),
        pytest.param(2_000, 60, marks=pytest.mark.nightly),
        pytest.param(5_452, 60, marks=pytest.mark.nightly),
    ],
)
def test_with_all_defaults_questions_of_six_classes_are_learned(count, topics, record_property):
    rng = np.random.default_rng(0)
    train_set, test_set = questions(count, rng, topics), questions(500, rng, topics)
    classifier = KimCNNClassifier(6, seed=1).fit(train_set)
    accuracy = (classifier.predict(test_set) == test_set.y).mean()
    record_property("accuracy", float(accuracy))  # pytest-xdist supports only plain types
    assert accuracy > 0.8


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
@pytest.mark.parametrize("rounds", [5, pytest.param(40, marks=pytest.mark.nightly)])
def test_many_rounds_leak_no_memory_and_leave_no_files(rounds, record_property):
    run = fork_server.run(["-c", ROUNDS, rounds])
    assert run.returncode == 0, run.stderr.decode()
    *pages, files = map(int, run.stdout.split())
    record_property("memory, as a share of that after three rounds", round(max(pages[3:]) / pages[2], 3))
    assert len(pages) == rounds
    assert files == 0
    assert max(pages[3:]) <= 1.05 * pages[2]
