"""Metrics: every series is `bookend_*`, stated once with its meaning, in one registry a process.

Libraries and services ask this module for their series; asking twice for the same name answers the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

# A second series beside each counter, holding when it began, tells nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]

PREFIX = "bookend_"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"


class Metrics:
    """The series of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._series: dict[str, Counter | Gauge | Histogram] = {}

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """Return the counter `bookend_<name>`."""
        found = self._series.get(name)
        if found is None:
            found = self._series[name] = Counter(PREFIX + name, meaning, labels, registry=self.registry)
        return _as(Counter, found)

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        """Return the gauge `bookend_<name>`."""
        found = self._series.get(name)
        if found is None:
            found = self._series[name] = Gauge(PREFIX + name, meaning, labels, registry=self.registry)
        return _as(Gauge, found)

    def histogram(
        self, name: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """Return the histogram `bookend_<name>`. Units: seconds, unless the name says otherwise."""
        found = self._series.get(name)
        if found is None:
            found = self._series[name] = Histogram(
                PREFIX + name, meaning, labels, registry=self.registry, buckets=buckets
            )
        return _as(Histogram, found)

    def expose(self) -> bytes:
        """Write all series in Prometheus's text format."""
        return generate_latest(self.registry)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """List (series, kind, labels, meaning) of everything asked for so far, in order."""
        return [
            (f"`{PREFIX}{name}`", type(one).__name__.lower(), ", ".join(one._labelnames), one._documentation)  # noqa: SLF001
            for name, one in sorted(self._series.items())
        ]


_Series = TypeVar("_Series", Counter, Gauge, Histogram)

METRICS = Metrics()
"""The process's own."""


def _as(kind: type[_Series], found: object) -> _Series:
    if not isinstance(found, kind):
        message = f"the series exists as {type(found).__name__}, not as {kind.__name__}"
        raise TypeError(message)
    return found
