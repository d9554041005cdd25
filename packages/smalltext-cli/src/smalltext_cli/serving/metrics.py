"""The metrics of the service, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Histogram:
    """Counts values in buckets with inclusive upper bounds.

    Parameters
    ----------
    bounds : sequence of float
        The upper bounds, in ascending order; the last bucket takes everything above them.

    Examples
    --------
    >>> sizes = Histogram([1, 2])
    >>> for size in (1, 2, 2, 7):
    ...     sizes.observe(size)
    >>> sizes.count, sizes.total
    (4, 12.0)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self._counts)

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def lines(self, name: str, labels: Mapping[str, str]) -> Iterator[str]:
        """Yield the samples: cumulative buckets, sum and count."""
        cumulated = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            cumulated += count
            le = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield _sample(f"{name}_bucket", {**labels, "le": le}, cumulated)
        yield _sample(f"{name}_sum", labels, self.total)
        yield _sample(f"{name}_count", labels, self.count)


class Metrics:
    """The metrics of the service since it was started.

    Parameters
    ----------
    model : mapping of str to str
        The identity of the model, as labels of ``smalltext_model_info``.
    waiting, in_progress : callable
        Return the number of texts that wait for a batch, and of requests in progress.

    Examples
    --------
    >>> metrics = Metrics({"classifier": "sklearn"}, lambda: 0, lambda: 0)
    >>> metrics.add_request("/predict", 200, 0.004)
    >>> 'smalltext_requests_total{path="/predict",status="200"} 1' in metrics.as_text().splitlines()
    True
    """

    def __init__(
        self, model: Mapping[str, str], waiting: Callable[[], int], in_progress: Callable[[], int]
    ) -> None:
        self._model = model
        self._waiting = waiting
        self._in_progress = in_progress
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self._batches = Histogram(_SIZES)
        self._texts = 0

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests[path, status] += 1
        self._seconds.setdefault(path, Histogram(_SECONDS)).observe(seconds)

    def add_texts(self, count: int) -> None:
        """Count texts whose predictions were returned."""
        self._texts += count

    def add_batch(self, size: int) -> None:
        """Count a batch of texts."""
        self._batches.observe(size)

    def as_text(self) -> str:
        """Return all samples in the text format of Prometheus."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield from _head("smalltext_model_info", "gauge", "The model that is served.")
        yield _sample("smalltext_model_info", self._model, 1)
        yield from _head("smalltext_requests_total", "counter", "Requests that were answered.")
        for (path, status), count in sorted(self._requests.items()):
            yield _sample("smalltext_requests_total", {"path": path, "status": str(status)}, count)
        yield from _head("smalltext_texts_total", "counter", "Texts whose predictions were returned.")
        yield _sample("smalltext_texts_total", {}, self._texts)
        yield from _head("smalltext_request_duration_seconds", "histogram", "Time from headers to answer.")
        for path, seconds in sorted(self._seconds.items()):
            yield from seconds.lines("smalltext_request_duration_seconds", {"path": path})
        yield from _head("smalltext_batch_size", "histogram", "Texts that were predicted together.")
        yield from self._batches.lines("smalltext_batch_size", {})
        yield from _head("smalltext_queue_length", "gauge", "Texts that wait for a batch.")
        yield _sample("smalltext_queue_length", {}, self._waiting())
        yield from _head("smalltext_requests_in_progress", "gauge", "Requests that are being answered.")
        yield _sample("smalltext_requests_in_progress", {}, self._in_progress())


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    escaped = (f'{key}="{_escaped(text)}"' for key, text in labels.items())
    listed = ",".join(escaped)
    return f"{name}{{{listed}}} {value:.15g}" if listed else f"{name} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
