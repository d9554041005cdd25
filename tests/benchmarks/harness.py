"""Benchmarks: variants of one job, which alternate in one run, each time in a new process.

The speed of a machine varies, so only adjacent measurements are compared: a variant with the first one of the same
round, every second round in the opposite order; the result is the median of all rounds. Nothing heavy is imported
here: on Linux, a child's peak memory includes that of the process that started it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

QUANTITIES = ("seconds", "cpu_seconds", "peak_mib")

MEASURE = """
import json, resource, sys, time
figures = {{}}
{setup}
start, cpu_start = time.perf_counter(), time.process_time()
{statement}
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
{check}
print(json.dumps({{"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak, "figures": figures}}))
"""


@dataclass(frozen=True)
class Variant:
    """One way to do the job, as Python source: the measured code, the setup before it, and a check after it.

    `check` may add results to the dict ``figures``.
    """

    name: str
    statement: str
    setup: str = ""
    check: str = ""


@dataclass(frozen=True)
class Target:
    """The maximum cost of a variant: as a multiple of the first variant, or in addition to it.

    A quantity that is the name of one of the variant's figures is not compared with another variant.
    """

    variant: str
    quantity: str
    at_most: float
    additional: bool = False


@dataclass(frozen=True)
class Benchmark:
    """A job and its variants, of which the first is the baseline.

    `prepare` is Python source that runs once, in the folder in which every variant then runs. A quick run consists
    of `quick_rounds` of `quick_variants`, if any, which `quick_note` describes; by default, the benchmark is not
    part of a quick run.
    """

    name: str
    variants: tuple[Variant, ...]
    rounds: int
    targets: tuple[Target, ...] = ()
    prepare: str = ""
    libraries: tuple[str, ...] = ()
    quick_rounds: int = 0
    quick_variants: tuple[Variant, ...] = ()
    quick_note: str = ""
    note: str = ""

    def quick(self) -> Benchmark:
        """Return the benchmark for a quick run."""
        return replace(self, variants=self.quick_variants or self.variants, note=self.quick_note)


@dataclass
class Result:
    """The runs of each variant, in order."""

    benchmark: Benchmark
    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def median(self, variant: str, quantity: str) -> float:
        return statistics.median(run[quantity] for run in self.runs[variant])

    def ratio(self, variant: str, quantity: str) -> float:
        """Return the median over the rounds of the cost relative to the first variant."""
        return statistics.median(ours / first for ours, first in self._pairs(variant, quantity))

    def addition(self, variant: str, quantity: str) -> float:
        """Return the median over the rounds of the additional cost compared with the first variant."""
        return statistics.median(ours - first for ours, first in self._pairs(variant, quantity))

    def cost(self, target: Target) -> float:
        if target.quantity not in QUANTITIES:
            return statistics.median(run["figures"][target.quantity] for run in self.runs[target.variant])
        measured = self.addition if target.additional else self.ratio
        return measured(target.variant, target.quantity)

    def _pairs(self, variant: str, quantity: str) -> list[tuple[float, float]]:
        first = self.runs[self.benchmark.variants[0].name]
        return [(ours[quantity], other[quantity]) for ours, other in zip(self.runs[variant], first, strict=True)]


def measure(benchmark: Benchmark) -> Result:
    """Run the variants in turn, for the number of rounds of the benchmark."""
    result = Result(benchmark, {variant.name: [] for variant in benchmark.variants})
    with tempfile.TemporaryDirectory() as folder:
        _run(benchmark.prepare, folder)
        for number in range(benchmark.rounds):
            for variant in benchmark.variants[:: -1 if number % 2 else 1]:
                source = MEASURE.format(setup=variant.setup, statement=variant.statement, check=variant.check)
                run = json.loads(_run(source, folder).splitlines()[-1])
                result.runs[variant.name].append(run)
                print(f"  {benchmark.name}: {variant.name} {run['seconds']:.3f} s", file=sys.stderr, flush=True)
    return result


def _run(source: str, folder: str) -> str:
    surroundings = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", source]
    return subprocess.run(
        command, cwd=folder, env=surroundings, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def as_json(result: Result) -> dict[str, Any]:
    """Return all measurements, and a description of the machine."""
    benchmark = result.benchmark
    return {
        "benchmark": benchmark.name,
        "note": benchmark.note,
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "versions": {name: metadata.version(name) for name in benchmark.libraries},
        "medians": {
            variant.name: {quantity: result.median(variant.name, quantity) for quantity in QUANTITIES}
            for variant in benchmark.variants
        },
        "targets": [
            {**vars(target), "measured": result.cost(target), "met": result.cost(target) <= target.at_most}
            for target in benchmark.targets
        ],
        "runs": result.runs,
    }


def as_table(result: Result) -> str:
    """Return a readable table of the medians, the ratios to the first variant, and the targets."""
    benchmark = result.benchmark
    width = max(len(variant.name) for variant in benchmark.variants)
    lines = [
        f"{benchmark.name} ({benchmark.rounds} rounds; medians, and medians of the ratios to the first row)",
        *([f"  {benchmark.note}"] if benchmark.note else []),
        f"  {'':{width}}    seconds         min-max  ratio    CPU s  ratio   peak MiB  ratio  figures",
    ]
    lines += [_row(result, variant.name, width) for variant in benchmark.variants]
    for target in benchmark.targets:
        kind = " more than the first" if target.additional else " times the first"
        if target.quantity not in QUANTITIES:
            kind = ""
        verdict = "met" if result.cost(target) <= target.at_most else "MISSED"
        lines.append(
            f"  target: {target.variant}, {target.quantity} at most {target.at_most:g}{kind}: "
            f"{result.cost(target):.3f}, {verdict}"
        )
    return "\n".join(lines)


def _row(result: Result, name: str, width: int) -> str:
    seconds, cpu, peak = (result.median(name, quantity) for quantity in QUANTITIES)
    ratios = [result.ratio(name, quantity) for quantity in QUANTITIES]
    every = [run["seconds"] for run in result.runs[name]]
    figures = ", ".join(f"{key} {value}" for key, value in result.runs[name][-1]["figures"].items())
    return (
        f"  {name:{width}}  {seconds:9.3f} {f'{min(every):.3f}-{max(every):.3f}':>15} {ratios[0]:6.2f}"
        f" {cpu:8.3f} {ratios[1]:6.2f}  {peak:9.1f} {ratios[2]:6.2f}  {figures}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
