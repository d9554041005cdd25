"""Datasets for tests: short generated texts, with one topic per class, the same in every run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from smalltext_core import TextDataset, list_to_csr
from smalltext_core.labels import Labels, is_multi_label

_TOPICS = (
    ("football", "goal team match player league coach stadium referee striker season trophy fans"),
    ("cooking", "recipe oven butter onion sauce garlic flour kitchen salt bake soup chef"),
    ("space", "rocket orbit planet astronaut moon satellite telescope launch galaxy comet star mars"),
    ("finance", "bank market shares profit investor stock dividend loan interest bond trader currency"),
    ("music", "guitar song concert album singer drum melody piano band chorus violin orchestra"),
    ("medicine", "doctor patient hospital surgery vaccine nurse fever symptom clinic therapy virus pill"),
    ("weather", "rain storm cloud wind snow sunshine forecast thunder frost temperature fog humidity"),
    ("travel", "airport hotel passport flight luggage tourist beach island train journey ticket map"),
)
_SENTENCES = (
    "the {} and the {} made the {} a great {} with one more {}",
    "a {} near the {} saw that {} before the {} met the {}",
    "they say every {} needs a {} and a {} or the {} will miss its {}",
    "{} after {} the {} was about {} and about {}",
    "our {} has a new {} for the old {} while the {} waits for the {}",
    "without {} no {} and no {} said the {} about the {}",
)
_NEUTRAL = (
    "nothing of any note was said here at all today",
    "it went on like this for some more time and then it was over",
    "somebody wrote something somewhere and left it at that",
    "yes well maybe so but who can tell",
    "there is not much more to add to any of this",
    "and so on and so forth until the very end",
)
_TEXTS_PER_CLASS = 6
_PAIRS_PER_CLASS = 2
_MAX_CONTRADICTED_CLASSES = 4
_COPIES = 8
_NOISY_CLASSES = 4
_WORDS_OF_NOISY_TEXT = 3


def class_names(num_classes: int) -> list[str]:
    """Return a name for each class, such as "football"."""
    return [_topic(number)[0] for number in range(num_classes)]


def _topic(number: int) -> tuple[str, list[str]]:
    """Return the name and the words of a topic; further topics than those in the list are generated."""
    if number < len(_TOPICS):
        name, words = _TOPICS[number]
        return name, words.split()
    syllables = ("ba", "de", "ki", "lo", "mu", "ra", "se", "ti", "vo", "zu")
    stem = "".join(syllables[int(digit)] for digit in str(number))
    return stem, [f"{stem}{first}{second}" for first in syllables[:4] for second in ("n", "r", "x")]


def sentence(topic: int, number: int) -> str:
    """Return a sentence about a topic; equal arguments give equal sentences."""
    words = _topic(topic)[1]
    start = 5 * number + number // len(words)
    chosen = [words[(start + step) % len(words)] for step in range(5)]
    return _SENTENCES[number % len(_SENTENCES)].format(*chosen)


def training_texts(num_classes: int, multi_label: bool) -> TextDataset:
    """Return labelled texts with equally frequent classes.

    Parameters
    ----------
    num_classes : int
        The number of classes, each with six texts and one of `class_names`.
    multi_label : bool
        Whether there are also texts with two labels, two for each class, and six texts without labels.

    Examples
    --------
    >>> training_texts(2, multi_label=False).label_names.names
    ('football', 'cooking')
    """
    texts = [sentence(topic, i) for i in range(_TEXTS_PER_CLASS) for topic in range(num_classes)]
    topics = [topic for _ in range(_TEXTS_PER_CLASS) for topic in range(num_classes)]
    if not multi_label:
        return TextDataset(texts, topics, label_names=class_names(num_classes))
    labels = [[topic] for topic in topics]
    if num_classes > 1:
        for i in range(_PAIRS_PER_CLASS):
            for topic in range(num_classes):
                pair = [topic, (topic + 1) % num_classes]
                texts.append(" ".join(sentence(one, 12 + i) for one in pair))
                labels.append(pair)
    texts += _NEUTRAL
    labels += [[] for _ in _NEUTRAL]
    return TextDataset(texts, list_to_csr(labels, num_classes), label_names=class_names(num_classes))


def unseen_texts(num_classes: int) -> TextDataset:
    """Return texts without labels, plain and mixed, short and long, most of which are not in `training_texts`.

    Parameters
    ----------
    num_classes : int
        The texts are about up to four classes.
    """
    topics = range(min(num_classes, 4))
    texts = [sentence(topic, 9) for topic in topics]
    texts += [f"{sentence(topic, 8)} but {sentence((topic + 1) % num_classes, 7)}" for topic in topics]
    texts += [
        " ".join(sentence(topic, i) for i in range(6, 12) for topic in topics),
        _topic(0)[1][0],
        "",
        "words that were never seen before: quixotic zephyrs jinxed",
        _NEUTRAL[2],
        f"{_NEUTRAL[1]} {_topic(num_classes - 1)[1][1]}",
    ]
    return TextDataset(texts)


def unusual_texts() -> TextDataset:
    """Return empty, blank and very long texts, emoji, several scripts, and control characters."""
    return TextDataset(
        [
            "",
            " \t\n\r ",
            "goal recipe rocket " * 7_000,
            "x" * 20_000,
            "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f1ea\U0001f1fa \U0001f44d\U0001f3fd",
            "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u202eabc\u202c",
            "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002\u79c1\u306f\u5143\u6c17\u3067\u3059",
            "a\x00b \x00",
            "e\u0301\u0302\u0303 Z\u0351\u036b\u0343\u0361a\u0488lgo \ufeff\u200b",
            "qwzx vbnmj plokij",
            "!!! ... ---",
            "1 22 333",
        ]
    )


def repeated_text(num_classes: int, multi_label: bool) -> TextDataset:
    """Return 40 copies of one text: class 0 applies to 80% of them, class 1 (if any) to the others."""
    minority = [1] if num_classes > 1 else []
    labels = [minority if i % 5 == 4 else [0] for i in range(40)]
    texts = [sentence(0, 0)] * len(labels)
    if multi_label:
        return TextDataset(texts, list_to_csr(labels, num_classes))
    return TextDataset(texts, [label[0] for label in labels])


def noisy_texts(
    num_classes: int, multi_label: bool, count: int, rng: np.random.Generator
) -> tuple[TextDataset, NDArray[np.float64]]:
    """Return texts with random labels, and the probability of each class that their words imply.

    Single-label: three words, each about the topic of the text with a probability of 0.4, else about any topic.
    Multi-label: two words per topic, each about the topic with a probability of 0.75 if the class applies, else
    0.25, and otherwise about no topic. There are at most four topics.

    Parameters
    ----------
    num_classes, multi_label : int and bool
        The problem.
    count : int
        The number of texts.
    rng : numpy Generator
        Draws labels and words.

    Returns
    -------
    texts : TextDataset
        With labels.
    proba : ndarray of float64, shape (n, num_classes)
        By Bayes' rule. Classes after the fourth apply to no text.
    """
    topics = min(num_classes, _NOISY_CLASSES)
    proba = np.zeros((count, num_classes))
    if multi_label:
        applies = rng.random((count, topics)) < 0.5
        occurring = rng.binomial(2, np.where(applies, 0.75, 0.25))
        proba[:, :topics] = 1 / (1 + 9.0 ** (1 - occurring))
        about = np.where(np.arange(2) < occurring[:, :, None], np.arange(topics)[:, None], -1).reshape(count, -1)
        y: Labels = list_to_csr([np.flatnonzero(row).tolist() for row in applies], num_classes)
    else:
        y = rng.integers(topics, size=count)
        own = rng.random((count, _WORDS_OF_NOISY_TEXT)) < 0.4
        about = np.where(own, y[:, None], rng.integers(topics, size=own.shape))
        occurring = (about[:, :, None] == np.arange(topics)).sum(axis=1)
        odds = (0.4 + 0.6 / topics) / (0.6 / topics)
        proba[:, :topics] = odds**occurring / (odds**occurring).sum(axis=1, keepdims=True)
    neutral = sorted({word for line in _NEUTRAL for word in line.split()})
    words = {topic: neutral if topic < 0 else _topic(topic)[1] for topic in range(-1, topics)}
    texts = [" ".join(rng.choice(words[topic]) for topic in row) for row in about.tolist()]
    return TextDataset(texts, y), proba


def few_texts(num_classes: int, multi_label: bool) -> TextDataset:
    """Return a few labelled texts, for `with_contradictions`."""
    topics = [topic for topic in range(min(num_classes, _MAX_CONTRADICTED_CLASSES)) for _ in range(2)]
    texts = [sentence(topic, i % 2) for i, topic in enumerate(topics)]
    if not multi_label:
        return TextDataset(texts, topics)
    labels: list[list[int]] = [*([topic] for topic in topics), [], []]
    return TextDataset([*texts, *_NEUTRAL[:2]], list_to_csr(labels, num_classes))


def with_contradictions(
    dataset: TextDataset, num_classes: int, right: float, wrong: float
) -> tuple[TextDataset, list[float]]:
    """Return each text eight times, with its own (right) and opposite (wrong) labels in turn, and the weights."""
    y = joined(dataset.y, opposite(dataset.y, min(num_classes, _MAX_CONTRADICTED_CLASSES)))
    for _ in range(2):
        y = joined(y, y)
    weights = ([right] * len(dataset) + [wrong] * len(dataset)) * (_COPIES // 2)
    return TextDataset(dataset.x * _COPIES, y), weights


def opposite(y: Labels, num_classes: int) -> Labels:
    """Return labels that contradict others: the next class or, if multi-label, the classes that do not apply."""
    if is_multi_label(y):
        return list_to_csr([np.flatnonzero(row == 0).tolist() for row in y.toarray()], y.shape[1])
    following: Labels = (y + 1) % num_classes
    return following


def joined(one: Labels, other: Labels) -> Labels:
    """Return the labels of one dataset, followed by those of another."""
    if is_multi_label(one):
        return vstack([one, other], format="csr")
    return np.concatenate([one, other])
