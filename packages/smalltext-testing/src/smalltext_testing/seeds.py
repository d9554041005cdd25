"""Rule 6: chance comes from the seed and from nowhere else."""

from __future__ import annotations

from smalltext_testing.check import expect, not_applicable, rule
from smalltext_testing.randomness import global_seed, global_state, moved
from smalltext_testing.subject import Subject, difference, same_bits


def _require_seed(subject: Subject) -> None:
    if subject.attribute("seed") is None:
        raise not_applicable("neither classifier nor factory has an attribute `seed` that is set")


@rule(6)
def check_same_seed_gives_same_bits(subject: Subject) -> None:
    """Two classifiers of one factory with a seed, trained on the same data, are equal bit for bit.

    A result that cannot be repeated cannot be debugged or published, and a comparison of two settings measures
    chance. Both are trained with the same number of threads, which is part of the rule: another number may give
    other bits.

    What to do: draw everything from one generator that `fit` makes from the seed; look for sets and dicts that
    are iterated over, threads that add floats up in any order, and a generator that is made once in the factory.
    """
    _require_seed(subject)
    before = subject.proba
    again = subject.train(seed=1).classifier.predict_proba(subject.texts)
    expect(
        same_bits(again, before),
        seen=f"other probabilities: {difference(again, before)}",
        expected="the same bits",
    )


@rule(6)
def check_global_random_state_is_not_read(subject: Subject) -> None:
    """With a seed, results do not depend on the global random state of Python, numpy or torch.

    Whatever else a program has drawn before would change the results otherwise, and a test that passes alone
    fails among others.

    What to do: pass a generator made from the seed to every call that draws: numpy.random.default_rng(seed),
    torch.Generator().manual_seed(seed), random_state= of scikit-learn.
    """
    _require_seed(subject)
    subject.require_repeatable()
    again = subject.train(seed=2).classifier.predict_proba(subject.texts)
    expect(
        same_bits(again, subject.proba),
        seen=f"after another global seed, other probabilities: {difference(again, subject.proba)}",
        expected="the same bits",
    )


@rule(6)
def check_global_random_state_is_not_moved(subject: Subject) -> None:
    """Training and predicting leave the global random state of Python, numpy and torch where it was.

    The caller's own draws must not depend on whether a classifier was trained in between; a library that seeds
    the global state makes all of the caller's "random" draws the same.

    What to do: use generators of your own; where a library insists on the global state, save it before and
    restore it in a `finally`.
    """
    fitted = subject.fitted
    expect(
        not subject.training.moved,
        seen=f"fit moved the state of {', '.join(subject.training.moved)}",
        expected="the state from before",
    )
    with global_seed(1):
        before = global_state()
        fitted.predict(subject.texts)
        fitted.predict_proba(subject.texts)
        changed = moved(before, global_state())
    expect(
        not changed,
        seen=f"predict or predict_proba moved the state of {', '.join(changed)}",
        expected="the state from before",
    )
