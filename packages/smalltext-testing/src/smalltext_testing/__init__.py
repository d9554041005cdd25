"""The conformance kit: the rules that every smalltext classifier keeps, as checks that can be run.

They run over any factory, yours included. In a test of your own, one test a rule:

>>> import smalltext_core as st
>>> from smalltext_testing import parametrize_checks
>>> @parametrize_checks(st.create_factory("sklearn", num_classes=3, seed=1))
... def test_keeps_the_rules(check):
...     check()

Without pytest, `check_classifier` runs all of them; what is wrong comes as one `ConformanceError` that says of
every broken rule what was seen, what was expected, why the rule exists and what to do. `run_checks` gives the
results one by one:

>>> from smalltext_testing import run_checks
>>> for result in run_checks(st.create_factory("sklearn", num_classes=2), only=["check_one_text_works"]):
...     print(result)
check_one_text_works (rule 3): passed

What a plugin's spec says of a classifier is checked by `check_promises` (`run_promises` gives its results one by
one); `smalltext check NAME` prints both.

A check that says nothing about a classifier (saving, where there is no ``save``; bits, where there is no seed) is
skipped, with the reason. One that is known to fail is named in ``expected_failures`` with the reason why.

Give factories that learn from a few dozen short texts within seconds: a neural network wants more epochs and
fewer units here than in earnest.
"""

from smalltext_testing.check import Check, ConformanceError
from smalltext_testing.parametrize import parametrize_checks
from smalltext_testing.plugin_promises import check_promises, promises, run_promises
from smalltext_testing.runner import Result, check_classifier, checks, find_check, run_checks

__version__ = "0.1.0"

__all__ = [
    "Check",
    "ConformanceError",
    "Result",
    "__version__",
    "check_classifier",
    "check_promises",
    "checks",
    "find_check",
    "parametrize_checks",
    "promises",
    "run_checks",
    "run_promises",
]
