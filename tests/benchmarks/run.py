"""Run all benchmarks, or those with the given names (`hatch run bench imports`).

Each module ``bench_*.py`` in this folder has a tuple BENCHMARKS, or STUDIES, which take hours and run only by
name. Tables are printed; all measurements are written to the folder .benchmarks/ of the repository.
`--quick` runs a selection that takes less than ten minutes in total: a few rounds of the imports and of
every backend. With names, it runs a part of these studies, and `--rounds 1` one round of these benchmarks.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import Benchmark, as_json, as_table, measure
from study import Study, conduct

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / ".benchmarks"


def available() -> Iterator[Benchmark | Study]:
    for path in sorted(HERE.glob("bench_*.py")):
        module = importlib.import_module(path.stem)
        yield from (*getattr(module, "BENCHMARKS", ()), *getattr(module, "STUDIES", ()))


def main() -> None:
    benchmarks = {benchmark.name: benchmark for benchmark in available()}
    parser = argparse.ArgumentParser(description="Measure variants of one job side by side.")
    everything = [name for name, benchmark in benchmarks.items() if isinstance(benchmark, Benchmark)]
    quick = [name for name in everything if benchmarks[name].quick_rounds]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(benchmarks)}")
    parser.add_argument("--rounds", type=int, help="how often each variant is run; by default what each says")
    parser.add_argument("--quick", action="store_true", help="measure what takes minutes, or a part of a study")
    arguments = parser.parse_args()
    chosen = arguments.names or (quick if arguments.quick else everything)
    unknown = [name for name in chosen if name not in benchmarks]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]}; there are {', '.join(benchmarks)}")
    RESULTS.mkdir(exist_ok=True)
    for name in chosen:
        benchmark = benchmarks[name]
        if isinstance(benchmark, Study):
            path = conduct(benchmark, RESULTS, quick=arguments.quick)
            print(
                f"{path.read_text(encoding='utf-8')}\n  written to {path.relative_to(HERE.parents[1])}\n",
                flush=True,
            )
            continue
        rounds = arguments.rounds or (arguments.quick and benchmark.quick_rounds) or benchmark.rounds
        job = benchmark.quick() if arguments.quick else benchmark
        result = measure(replace(job, rounds=rounds))
        path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        path.write_text(json.dumps(as_json(result), indent=2) + "\n", encoding="utf-8")
        print(f"{as_table(result)}\n  written to {path.relative_to(HERE.parents[1])}\n", flush=True)


if __name__ == "__main__":
    main()
