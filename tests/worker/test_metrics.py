"""What Prometheus gets to read: counts of all processes, and how the queue stands."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bcd_model.errors import QueueError, SettingsError
from worker import metrics
from worker.engine.host import wait_for
from worker.queue.figures import QueueFigures
from worker.settings import Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "log-and-metrics.md"

FIGURES = QueueFigures(
    waiting={"interactive": 0, "batch": 412},
    oldest={"interactive": 0.0, "batch": 5025.5},
    later=3,
    running=4,
    states={"queued": 415, "running": 4, "done": 81},
    refused={"not JSON": 2},
    workers=2,
)

# A main process as a worker's is: it forks, and counts too; it ends when its standard input does.
PARENT = """
import os, signal, sys
from worker import metrics
from worker.engine.host import die_with_parent
from worker.queue.figures import QueueFigures
from worker.logs import set_up_logging
from worker.settings import Settings

def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid

set_up_logging("INFO", "json")
metrics.start(Settings(metrics_port=int(sys.argv[1])), lambda: QueueFigures({}, {}, 0, 0, {}, {}, 0))
CODE
sys.stdin.read()
metrics.stop()
"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Parent:
    """A process that runs ``PARENT`` with ``code`` in it."""

    def __init__(self, code: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT.replace("CODE", code), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        if "metrics served" not in line:
            self.process.kill()
            raise AssertionError(line + self.process.communicate(timeout=20)[1])
        self.port = int(json.loads(line)["port"])

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def parent() -> Iterator[Callable[..., Parent]]:
    started: list[Parent] = []

    def start(code: str, port: int = 0) -> Parent:
        started.append(Parent(code, port))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate(timeout=20)


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[], QueueFigures]], int]]:
    """Serve the metrics from this process; returns the port."""

    def serve(figures: Callable[[], QueueFigures]) -> int:
        port = free_port()
        metrics.start(Settings(metrics_port=port), figures)
        return port

    yield serve
    metrics.stop()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def scrape(port: int) -> Samples:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def test_what_all_processes_count_is_summed_also_after_a_child_was_killed(
    parent: Callable[..., Parent],
) -> None:
    one = parent(
        """
def work():
    for _ in range(50):
        metrics.film_seconds(0.7)
    metrics.films(48, 2)
    metrics.job_ended("done with failures", "batch", 40.0)

def killed():
    work()
    metrics.job_retried("storage")
    os.kill(os.getpid(), signal.SIGKILL)

def alive():
    die_with_parent()
    work()
    signal.pause()

ends = [child(work), child(killed)]
child(alive)
for pid in ends:
    os.waitpid(pid, 0)
metrics.attempt_lost("its process ended")
metrics.films(1, 0)
child(work)
"""
    )
    expected = {
        ("bcd_films_total", (("result", "scanned"),)): 4 * 48 + 1,
        ("bcd_films_total", (("result", "failed"),)): 4 * 2,
        ("bcd_film_duration_seconds_count", ()): 4 * 50,
        ("bcd_film_duration_seconds_bucket", (("le", "0.5"),)): 0,
        ("bcd_film_duration_seconds_bucket", (("le", "1.0"),)): 4 * 50,
        ("bcd_job_duration_seconds_count", (("priority", "batch"), ("state", "done with failures"))): 4,
        ("bcd_job_duration_seconds_sum", (("priority", "batch"), ("state", "done with failures"))): 160,
        ("bcd_attempts_lost_total", (("cause", "its process ended"),)): 1,
        ("bcd_jobs_retried_total", (("reason", "storage"),)): 1,
    }
    assert wait_for(lambda: expected.items() <= scrape(one.port).items(), 20), scrape(one.port)
    assert one.process.communicate("", timeout=20)[1] == "", "it ends in order, and says nothing about it"
    assert one.process.returncode == 0


def test_a_main_process_that_hangs_holds_up_no_child(parent: Callable[..., Parent]) -> None:
    one = parent(
        """
def many():
    die_with_parent()
    os.read(0, 1)
    for _ in range(20_000):
        metrics.film_seconds(1.0)
    print("counted", flush=True)

child(many)
print("forked", flush=True)
import time
time.sleep(600)
"""
    )
    assert one.said() == "forked"
    one.process.send_signal(signal.SIGSTOP)
    assert one.process.stdin is not None
    one.process.stdin.write("x")
    one.process.stdin.flush()
    assert one.said() == "counted"


def test_the_port_is_free_when_the_main_process_was_killed_and_a_child_lives_on(
    parent: Callable[..., Parent],
) -> None:
    one = parent("print(child(signal.pause), flush=True)\n")
    child = int(one.said())
    try:
        one.process.kill()
        one.process.wait()
        os.kill(child, 0)  # it lives
        assert value(scrape(parent("", one.port).port), "bcd_queue_up") == 1
    finally:
        os.kill(child, signal.SIGKILL)


def test_how_the_queue_stands_is_read_at_each_scrape(
    served: Callable[[Callable[[], QueueFigures]], int],
) -> None:
    asked: list[None] = []

    def figures() -> QueueFigures:
        asked.append(None)
        return FIGURES

    port = served(figures)
    samples = scrape(port)
    assert value(samples, "bcd_queue_up") == 1
    assert value(samples, "bcd_queue_jobs", priority="interactive") == 0
    assert value(samples, "bcd_queue_jobs", priority="batch") == 412
    assert value(samples, "bcd_queue_oldest_seconds", priority="batch") == 5025.5
    assert value(samples, "bcd_jobs_later") == 3
    assert value(samples, "bcd_jobs_running") == 4
    assert value(samples, "bcd_jobs", state="done") == 81
    assert value(samples, "bcd_messages_refused_total", reason="not JSON") == 2
    assert value(samples, "bcd_workers") == 2
    scrape(port)
    assert len(asked) == 2


@pytest.mark.parametrize("error", [QueueError("the queue does not answer"), ValueError("damaged")])
def test_a_queue_that_is_away_fails_no_scrape(
    served: Callable[[Callable[[], QueueFigures]], int], error: Exception
) -> None:
    def figures() -> QueueFigures:
        raise error

    samples = scrape(served(figures))
    assert value(samples, "bcd_queue_up") == 0
    assert value(samples, "bcd_films_total", result="failed") == 0, (
        "what the worker itself did is still served"
    )
    assert not any(name.startswith(("bcd_queue_jobs", "bcd_jobs", "bcd_workers")) for name, _ in samples)


def test_a_queue_that_hangs_holds_up_no_scrape(
    served: Callable[[Callable[[], QueueFigures]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "PATIENCE", 0.2)
    answers = threading.Event()
    asked: list[None] = []

    def figures() -> QueueFigures:
        asked.append(None)
        assert answers.wait(60)
        return FIGURES

    port = served(figures)
    since = time.monotonic()
    for _ in range(3):
        assert value(scrape(port), "bcd_queue_up") == 0
    assert time.monotonic() - since < 20
    assert len(asked) == 1, "it is not asked again while the first question is open"
    answers.set()
    assert wait_for(lambda: value(scrape(port), "bcd_queue_up") == 1, 20)


def test_a_port_in_use_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            metrics.start(Settings(metrics_port=port), lambda: FIGURES)
    assert str(port) in str(caught.value)
    assert "in use" in str(caught.value)
    assert "BCD_METRICS_PORT" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["192.0.2.1", "x" * 70])
def test_an_address_that_is_not_of_this_machine_is_reported_in_one_line(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        metrics.start(Settings(metrics_port=free_port(), metrics_address=address), lambda: FIGURES)
    assert address in str(caught.value)
    assert "BCD_METRICS_ADDRESS" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_port_can_be_served_again_once_it_was_stopped() -> None:
    port = free_port()
    for _ in range(2):
        metrics.start(Settings(metrics_port=port), lambda: FIGURES)
        metrics.films(1, 0)
        assert wait_for(lambda: value(scrape(port), "bcd_films_total", result="scanned") == 1, 20)
        metrics.stop()
    with pytest.raises(OSError, match="refused"):
        scrape(port)


def test_without_a_port_nothing_runs_and_every_call_is_free() -> None:
    code = """
import sys, threading
from worker import metrics
from worker.settings import Settings
metrics.start(Settings(), lambda: 1 / 0)
metrics.job_ended("done", "batch", 1.0)
metrics.films(1, 0)
metrics.film_seconds(1.0)
metrics.attempt_lost("its process ended")
metrics.job_retried("storage")
metrics.stop()
print("prometheus_client" in sys.modules, threading.active_count())
"""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("BCD_")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean)
    assert run.stdout.split() == ["False", "1"]
    assert run.stderr == ""


def test_every_metric_stands_in_the_reference(
    served: Callable[[Callable[[], QueueFigures]], int],
) -> None:
    reference = REFERENCE.read_text()
    port = served(lambda: FIGURES)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        served_names = {line.split()[2] for line in answer.read().decode().splitlines() if "# TYPE" in line}
    assert len(served_names) == 13
    for name in served_names:
        assert f"`{name}`" in reference
