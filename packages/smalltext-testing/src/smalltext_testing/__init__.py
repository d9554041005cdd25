"""The conformance kit of smalltext: checks of the rules for classifiers.

`check_classifier` runs all checks on the classifiers of a factory and raises one `ConformanceError`, which lists
for each broken rule what was seen, what was expected, why the rule exists and what to do. `parametrize_checks`
creates a pytest test for each check, and `run_checks` yields the results one by one. `check_plugin` checks that
the spec of a plugin is correct. `smalltext check NAME` prints the results of both.

A check that does not apply (for example, of saving without ``save``) is skipped with a reason. Checks that are
known to fail can be listed in ``expected_failures`` with a reason.

Use factories whose classifiers learn from a few dozen short texts within seconds: a neural network needs more
epochs and fewer units than usual.
"""

from smalltext_testing._check import Check, ConformanceError, Result, changed_generators, global_random_state
from smalltext_testing._plugin import check_plugin, plugin_checks, run_plugin_checks
from smalltext_testing._runner import check_classifier, checks, find_check, parametrize_checks, run_checks
from smalltext_testing.sample_data import training_texts, unseen_texts

__version__ = "0.1.0"

__all__ = [
    "Check",
    "ConformanceError",
    "Result",
    "__version__",
    "changed_generators",
    "check_classifier",
    "check_plugin",
    "checks",
    "find_check",
    "global_random_state",
    "parametrize_checks",
    "plugin_checks",
    "run_checks",
    "run_plugin_checks",
    "training_texts",
    "unseen_texts",
]
