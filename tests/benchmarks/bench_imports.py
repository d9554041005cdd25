"""The cost of importing the core and listing the classifiers, relative to importing numpy and scipy."""

from __future__ import annotations

from harness import Benchmark, Target, Variant

BENCHMARKS = (
    Benchmark(
        name="imports",
        rounds=15,
        quick_rounds=5,
        variants=(
            Variant("numpy, scipy.sparse", "import numpy, scipy.sparse"),
            Variant("smalltext_core", "import smalltext_core"),
            Variant(
                "classifiers()",
                "import smalltext_core as s; found = s.classifiers()",
                check="figures['installed'] = ' '.join(found)",
            ),
        ),
        targets=(
            Target("smalltext_core", "seconds", 0.060, additional=True),
            Target("classifiers()", "seconds", 0.100, additional=True),
        ),
        libraries=("numpy", "scipy", "pluggy", "smalltext-core"),
    ),
)
