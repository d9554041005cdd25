"""Rule 10: classifiers can be copied, and factories work in another process."""

from __future__ import annotations

import copy
import pickle
from contextlib import suppress

from smalltext_core.errors import UnsupportedError
from smalltext_testing.check import expect, rule
from smalltext_testing.child import probabilities_in_new_process
from smalltext_testing.probabilities import expect_probabilities
from smalltext_testing.subject import Subject, difference, same_bits


@rule(10)
def check_pickle_brings_back_the_classifier(subject: Subject) -> None:
    """A fitted classifier that was pickled and unpickled gives the same probabilities bit for bit.

    Process pools and schedulers ship objects by pickle; so do the caches of notebooks. Where there is embed(), it
    can be pickled after that as well.

    What to do: look for lambdas, local classes, locks, open files and loggers among the attributes, and leave
    them out in __getstate__. Libraries may hang such things on a model once it is asked for hidden states.
    """
    twin = pickle.loads(pickle.dumps(subject.fitted))  # noqa: S301 - our own pickle, a moment old
    proba = twin.predict_proba(subject.texts)
    expect(
        same_bits(proba, subject.proba),
        seen=f"other probabilities: {difference(proba, subject.proba)}",
        expected="the same bits",
    )
    if callable(getattr(twin, "embed", None)):
        with suppress(UnsupportedError):
            twin.embed(subject.texts)
        pickle.dumps(twin)


@rule(10)
def check_deepcopy_is_a_classifier_of_its_own(subject: Subject) -> None:
    """A deep copy predicts the same bit for bit, and training the copy leaves the original alone.

    Active learners keep the best model so far as a copy while the original is trained on.

    What to do: as for pickle; look also for a __deepcopy__ that shares the model.
    """
    twin = copy.deepcopy(subject.fitted)
    proba = twin.predict_proba(subject.texts)
    expect(
        same_bits(proba, subject.proba),
        seen=f"other probabilities: {difference(proba, subject.proba)}",
        expected="the same bits",
    )
    twin.fit(subject.train_set[: len(subject.train_set) - 1])
    after = subject.fitted.predict_proba(subject.texts)
    expect(
        same_bits(after, subject.proba),
        seen=f"once the copy was trained, the original says otherwise: {difference(after, subject.proba)}",
        expected="the same bits",
    )


@rule(10)
def check_factory_works_in_another_process(subject: Subject) -> None:
    """A factory that was pickled makes and trains classifiers in another process, equal bit for bit with a seed.

    That is how engines ship work to many machines.

    What to do: let the factory hold plain parameters only, and its class live at the top of a module. Where the
    bits differ, look for sets that are iterated over: their order changes with each process.
    """
    assert subject.fitted is not None
    path = subject.folder("factory")
    path.write_bytes(pickle.dumps((subject.factory, subject.train_set)))
    proba = probabilities_in_new_process("train", path, subject.texts)
    expect_probabilities(proba, len(subject.texts), subject.num_classes, "the classifier of another process")
    if subject.repeatable:
        expect(
            same_bits(proba, subject.proba),
            seen=f"other probabilities than in this process: {difference(proba, subject.proba)}",
            expected="the same bits",
        )
