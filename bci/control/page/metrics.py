"""Metrics are a session's numbers for Prometheus, under the names that its health messages have."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bci.control.health import Measure, measures
from bci.control.snapshot import SessionSnapshot

#: What Prometheus is told the text is.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(session: str, snapshot: SessionSnapshot | None) -> bytes:
    """Return a session's numbers as Prometheus reads them; ``bci_page_up`` alone while there are none.

    Parameters
    ----------
    session : str
        Name of its folder, a label of every number.
    snapshot : SessionSnapshot or None
        Its newest.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SessionCollector(session, lambda: snapshot))
    return generate_latest(registry)


class _SessionCollector(Collector):
    def __init__(self, session: str, newest: Callable[[], SessionSnapshot | None]) -> None:
        self._session, self._newest = session, newest

    def collect(self) -> Iterator[Metric]:
        """Yield each number with its nodes."""
        up = GaugeMetricFamily("bci_page_up", "Whether the page looks at the session.", labels=["session"])
        snapshot = self._newest()
        up.add_metric([self._session], float(snapshot is not None))
        yield up
        by_name: dict[str, list[Measure]] = {}
        for measure in measures(snapshot) if snapshot is not None else ():
            by_name.setdefault(measure.name, []).append(measure)
        for name, same in by_name.items():
            family: CounterMetricFamily | GaugeMetricFamily
            if same[0].kind == "counter":
                family = CounterMetricFamily(name, same[0].meaning, labels=["session", "node"])
            else:
                family = GaugeMetricFamily(name, same[0].meaning, labels=["session", "node"])
            for measure in same:
                family.add_metric([self._session, measure.node], measure.value)
            yield family
