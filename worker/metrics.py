"""A worker's Prometheus metrics: what its processes did, and how the queue stands.

The worker's main process serves them. Its pool children send it what they count through a pipe that they
inherit: one line, written in one piece, so that a child that is killed has sent all it counted, leaves
nothing behind, and needs no lock that another process might hold. Sending never waits: what does not fit
into the pipe is not counted.

Without ``BCD_METRICS_PORT`` there is no pipe, every call here returns at once, and prometheus_client is not
imported. Labels are few and fixed; no job, study or patient is one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from bcd_model.errors import QueueError, SettingsError
from worker.logs import event
from worker.queue.figures import QueueFigures
from worker.settings import Settings

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.core import Metric

PATIENCE = 3.0
"""Seconds for which a scrape waits for Redis; Prometheus itself gives up after 10 by default."""

_FILM_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_JOB_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

_server: WSGIServer | None = None  # in the main process alone
_write_end: int | None = None  # of the pipe; children inherit it


def start(settings: Settings, figures: Callable[[], QueueFigures]) -> None:
    """Serve ``/metrics``, if a port is set. In the main process, before it forks.

    Args:
        figures: how the queue stands; called in a thread, at every scrape.

    Raises:
        SettingsError: the port is in use, or it or the address cannot be served.
    """
    global _server, _write_end
    if settings.metrics_port is None:
        return
    from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

    disable_created_metrics()
    registry = CollectorRegistry()
    counts = _counts(registry)
    registry.register(_Queue(figures))
    address, port = settings.metrics_address, settings.metrics_port
    try:
        server, _ = start_http_server(port, address, registry)
    except (OSError, UnicodeError) as error:  # UnicodeError: not the name of a host
        reason = getattr(error, "strerror", None) or error
        message = f"the metrics cannot be served at {address} port {port}: {reason}"
        raise SettingsError(message, "correct BCD_METRICS_PORT or BCD_METRICS_ADDRESS") from None
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a scraper that hangs up is not an error
    read_end, _write_end = os.pipe()
    os.set_blocking(_write_end, False)
    threading.Thread(target=_read, args=(read_end, counts), name="metrics", daemon=True).start()
    _server = server
    event("metrics served", address=address, port=server.server_port)


def stop() -> None:
    """End what `start` began."""
    global _server, _write_end
    if _server is None or _write_end is None:
        return
    server, write_end = _server, _write_end
    _server = _write_end = None
    server.shutdown()
    server.server_close()
    os.close(write_end)


def _leave_to_parent() -> None:
    """Close the socket in a child: or the port would stay in use after the main process's end."""
    global _server
    if _server is not None:
        _server.socket.close()
        _server = None


os.register_at_fork(after_in_child=_leave_to_parent)


def job_ended(state: str, priority: str, seconds: float) -> None:
    """An attempt at a job ended with ``state`` after ``seconds``."""
    _send("jobs", seconds, state, priority)


def films(scanned: int, failed: int) -> None:
    """So many films of a job were scanned and failed."""
    _send("films", scanned, "scanned")
    _send("films", failed, "failed")


def film_seconds(seconds: float) -> None:
    """A film took ``seconds``, from its file to its findings."""
    _send("film", seconds)


def attempt_lost(cause: str) -> None:
    """An attempt at a job ended without an outcome."""
    _send("lost", 1, cause)


def job_retried(reason: str) -> None:
    """A job was put back, to be tried again later."""
    _send("retried", 1, reason)


def _send(which: str, amount: float, *labels: str) -> None:
    if _write_end is None:
        return
    with contextlib.suppress(OSError):  # the pipe is full, or the main process has gone
        os.write(_write_end, json.dumps([which, amount, *labels]).encode() + b"\n")


def _read(read_end: int, counts: Mapping[str, Counter | Histogram]) -> None:
    """Count what is sent, until the pipe is closed."""
    with os.fdopen(read_end, "rb") as lines:
        for line in lines:
            which, amount, *labels = json.loads(line)
            metric = counts[which].labels(*labels) if labels else counts[which]
            (metric.inc if hasattr(metric, "inc") else metric.observe)(amount)


def _counts(registry: CollectorRegistry) -> dict[str, Counter | Histogram]:
    """The counters of this worker, all its processes taken together."""
    from prometheus_client import Counter, Histogram

    films = Counter("bcd_films", "Films of jobs that ended", ["result"], registry=registry)
    for result in ("scanned", "failed"):
        films.labels(result)  # so that the first failed film is a rise from 0
    return {
        "jobs": Histogram(
            "bcd_job_duration_seconds",
            "Attempts at jobs that ended, and how long they took",
            ["state", "priority"],
            buckets=_JOB_SECONDS,
            registry=registry,
        ),
        "film": Histogram(
            "bcd_film_duration_seconds",
            "Films, and how long each took from its file to its findings",
            buckets=_FILM_SECONDS,
            registry=registry,
        ),
        "films": films,
        "lost": Counter(
            "bcd_attempts_lost", "Attempts that ended without an outcome", ["cause"], registry=registry
        ),
        "retried": Counter(
            "bcd_jobs_retried", "Jobs put back to be tried again later", ["reason"], registry=registry
        ),
    }


class _Queue:
    """The queue's figures, read from Redis when they are asked for.

    They are read in a thread of their own, for a client of Redis that waits, or tries again, is not to
    hold up the scrape; while that thread waits, no second one is begun.
    """

    def __init__(self, figures: Callable[[], QueueFigures]) -> None:
        self._figures = figures
        self._lock = threading.Lock()
        self._asked: Future[QueueFigures] | None = None

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client calls at a scrape."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            found = self._ask().result(PATIENCE)
        except Exception:  # noqa: BLE001 - whatever is wrong with the queue, the other figures are served
            found = None
        yield GaugeMetricFamily("bcd_queue_up", "Whether Redis answers", float(found is not None))
        if found is not None:
            yield from _families(found)

    def _ask(self) -> Future[QueueFigures]:
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._answer, args=(self._asked,), daemon=True).start()
            return self._asked

    def _answer(self, asked: Future[QueueFigures]) -> None:
        try:
            asked.set_result(self._figures())
        except Exception as error:  # noqa: BLE001 - it is for the scrape that asked
            if not isinstance(error, QueueError):
                event("figures unreadable", logging.ERROR, error=error)
            asked.set_exception(error)


def _families(found: QueueFigures) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for name, text, value in (
        ("bcd_jobs_later", "Jobs that wait to be tried again", found.later),
        ("bcd_jobs_running", "Jobs that run", found.running),
        ("bcd_workers", "Workers that are at work", found.workers),
    ):
        yield GaugeMetricFamily(name, text, value)
    for kind, name, text, label, values in (
        (GaugeMetricFamily, "bcd_queue_jobs", "Jobs that wait for a worker", "priority", found.waiting),
        (GaugeMetricFamily, "bcd_queue_oldest_seconds", "How long the first waits", "priority", found.oldest),
        (GaugeMetricFamily, "bcd_jobs", "Jobs of which there is a record", "state", found.states),
        (CounterMetricFamily, "bcd_messages_refused", "Messages of others", "reason", found.refused),
    ):
        family = kind(name, text, labels=[label])
        for which, figure in values.items():
            family.add_metric([which], figure)
        yield family
