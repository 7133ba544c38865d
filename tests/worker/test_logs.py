"""The worker's log: one event a line, and nothing in it that a message or a film's header says."""

import ast
import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from hypothesis import given, settings
from hypothesis import strategies as st
from kombu import Connection

from worker.engine.client import find_redis_server
from worker.engine.host import wait_for

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "log-and-metrics.md"
MARKED = "Marked^Nameless"
PASSWORD = "opensesame"

# A Celery worker that does on demand what may put a message or a header into the log.
WORKER = """
import logging, os, signal, sys, threading, warnings
from celery import Celery
from worker.logs import event, set_up_logging

set_up_logging("INFO", "json")
app = Celery("test", broker=sys.argv[1])
app.conf.update(
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_ignore_result=True,
    worker_enable_remote_control=False,  # as ours; closing its channel may end a worker that loses Redis
    worker_hijack_root_logger=False,
)

@app.task(name="test.do")
def do(what, text):
    if what == "raise":
        raise ValueError(text)
    if what == "warn":
        warnings.warn(text)
    if what == "thread":
        thread = threading.Thread(target=int, args=(text,), name="reader")
        thread.start()
        thread.join()
    if what == "ignored":
        class Holder:
            def __del__(self):
                raise ValueError(text)
        Holder()
    if what == "log":
        logging.getLogger("pydicom").warning(f"Invalid value {text}")
        logging.getLogger("pydicom").warning("Invalid value %r", text)
        try:
            int(text)
        except ValueError:
            logging.getLogger("pydicom").exception("It cannot be read: %s", text)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    event("task done", what=what)

app.Worker(
    concurrency=1, pool="prefork", loglevel="DEBUG", without_gossip=True, without_mingle=True, quiet=True
).start()
"""

# Logs what it reads, one event a line of standard input, and answers each with a line.
ECHO = """
import json, sys
from worker.logs import event, set_up_logging

set_up_logging("INFO", sys.argv[1])
for line in sys.stdin:
    name, fields = json.loads(line)
    event(name, **fields)
    print("logged", flush=True)
"""


@dataclass(frozen=True)
class Log:
    """What the worker wrote on standard error."""

    text: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def said(self, text: str) -> dict[str, Any]:
        """The first message of a library that holds ``text``."""
        found = [line for line in self.lines if text in (line.get("text") or "")]
        assert found, f"no message says {text!r}:\n{self.text}"
        return found[0]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """What a real worker logs of messages and tasks that quote a patient's name, and of a lost Redis."""
    folder = tmp_path_factory.mktemp("log")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"
    server = [str(find_redis_server()), "--port", str(port), "--requirepass", PASSWORD, "--save", ""]
    log = folder / "log"

    def written(text: str, times: int = 1) -> bool:
        return log.read_text().count(text) >= times

    def start_redis() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*server, "--dir", str(folder)], stdout=subprocess.DEVNULL)

    redis = start_redis()
    with (
        log.open("w") as stream,
        subprocess.Popen(
            [sys.executable, "-c", WORKER, url], stdout=subprocess.DEVNULL, stderr=stream
        ) as worker,
    ):
        try:
            assert wait_for(lambda: answers(port), 30)
            send_what_is_no_task_of_ours(url)
            tasks = Celery("test", broker=url, set_as_current=False)
            for what in ("raise", "warn", "thread", "ignored", "log", "die", "end"):
                tasks.send_task("test.do", args=[what, MARKED], shadow=MARKED, ignore_result=True)
            tasks.close()
            assert wait_for(lambda: written('"what": "end"'), 60), log.read_text()
            redis.kill()
            redis.wait()
            assert wait_for(lambda: written("Cannot connect"), 30), log.read_text()
            redis = start_redis()
            assert wait_for(lambda: written("Connected to", 2), 30), log.read_text()
        finally:
            worker.kill()
            redis.kill()
            redis.wait()
    return Log(log.read_text())


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            connection.sendall(b"PING\r\n")
            return b"NOAUTH" in connection.recv(100)
    except OSError:
        return False


def send_what_is_no_task_of_ours(url: str) -> None:
    ours = {"task": "test.do", "id": MARKED, "argsrepr": MARKED, "origin": MARKED}
    with Connection(url) as connection:
        producer = connection.Producer()

        def publish(body: str, headers: dict[str, str], kind: str = "application/json") -> None:
            producer.publish(
                body, routing_key="celery", content_type=kind, content_encoding="utf-8", headers=headers
            )

        publish(json.dumps({"patient": MARKED}), {"patient": MARKED})
        publish(f"{{{MARKED}", {"patient": MARKED})  # not JSON
        publish(f"{{{MARKED}", ours)
        publish(json.dumps([[MARKED], {}, {}]), ours | {"task": MARKED})
        publish(json.dumps([[MARKED], {}, {}]), ours | {"eta": MARKED})
        publish(f'["{MARKED}"]', ours, "application/x-python-serialize")
        publish(json.dumps({"task": "test.do", "id": MARKED, "args": [MARKED], "kwargs": MARKED}), {})
        publish(json.dumps([["too", "many", MARKED], {MARKED: MARKED}, {}]), ours)


@pytest.mark.redis
def test_every_line_is_one_object(log: Log) -> None:
    assert len(log.lines) > 15
    for line in log.lines:
        assert list(line)[:3] == ["time", "level", "event"]
        assert list(line)[-2:] == ["process", "pid"]
        assert datetime.fromisoformat(line["time"]).tzinfo is not None
        assert re.search(r"\.\d{3}[+-]", line["time"]), "milliseconds"


@pytest.mark.redis
def test_no_message_argument_header_or_password_is_in_the_log(log: Log) -> None:
    assert MARKED not in log.text
    assert "Marked" not in log.text
    assert PASSWORD not in log.text


@pytest.mark.redis
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Received and deleted unknown message", None),
        ("Can't decode message body", "DecodeError"),
        ("Received unregistered task", "KeyError"),
        ("Received invalid task message", "InvalidTaskError"),
        ("Task handler raised error", "WorkerLostError"),
    ],
)
def test_what_celery_says_of_a_message_is_there_without_the_message(
    log: Log, text: str, error: str | None
) -> None:
    said = log.said(text)
    assert said["event"] == "library message"
    assert said["logger"].startswith("celery.")
    assert said["place"].startswith("celery/")
    assert said.get("error") == error


@pytest.mark.redis
def test_of_an_exception_its_type_and_its_frames_are_logged(log: Log) -> None:
    errors = [line for line in log.lines if line.get("logger") == "celery.app.trace"]
    assert [line["error"] for line in errors] == ["TypeError", "ValueError"]
    assert re.fullmatch(r"<string>:\d+ do", errors[1]["frames"][-1])


@pytest.mark.redis
def test_a_library_is_quoted_as_far_as_its_source_goes(log: Log) -> None:
    said = [line["text"] for line in log.lines if line.get("logger") == "pydicom"]
    assert said == [None, "Invalid value %r", "It cannot be read: %s"]


@pytest.mark.redis
def test_a_warning_is_an_event_with_its_place(log: Log) -> None:
    (found,) = [line for line in log.events("warning") if line["category"] == "UserWarning"]
    assert found["level"] == "WARNING"
    assert re.fullmatch(r"<string>:\d+", found["place"])


@pytest.mark.redis
def test_threads_and_finalisers_that_fail_are_events(log: Log) -> None:
    (died,) = log.events("thread died")
    assert (died["level"], died["thread"], died["error"]) == ("ERROR", "reader", "ValueError")
    (ignored,) = log.events("error ignored")
    assert ignored["error"] == "ValueError"
    assert ignored["frames"][-1].endswith(" __del__")


@pytest.mark.redis
def test_pool_children_log_under_their_names(log: Log) -> None:
    done = log.events("task done")
    assert [line["what"] for line in done] == ["warn", "thread", "ignored", "log", "end"]
    assert [line["process"] for line in done] == ["ForkPoolWorker-1"] * 4 + ["ForkPoolWorker-2"]
    assert log.lines[-1]["process"] == "MainProcess"


@pytest.mark.redis
def test_a_redis_that_is_lost_and_found_is_logged_with_its_host(log: Log) -> None:
    connected, again = [line for line in log.lines if "Connected to" in (line.get("text") or "")]
    assert re.fullmatch(r"Connected to redis://\S*@127\.0\.0\.1:\d+/0", connected["text"])
    assert log.lines.index(again) > log.lines.index(log.said("Cannot connect"))
    assert log.said("Connection to broker lost: ConnectionError")["level"] == "WARNING"
    text = log.said("Cannot connect")["text"]
    assert "@127.0.0.1:" in text
    assert "Connection refused" in text
    assert "Trying again in 2.00 seconds" in text


@pytest.mark.redis
def test_celerys_advice_to_cancel_what_runs_is_left_out(log: Log) -> None:
    assert not [line for line in log.events("warning") if "CPending" in line["category"]]


def logged(code: str, *arguments: str) -> list[str]:
    """The lines on standard error of a Python that runs ``code``."""
    code = f"import logging, sys\nfrom worker.logs import event, set_up_logging\n{code}"
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return run.stderr.splitlines()


def test_people_get_text() -> None:
    (line,) = logged('set_up_logging("INFO", "text"); event("job begun", job="2f5e", films=4, note="a b")')
    assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO job begun  job=2f5e films=4 note="a b"', line)


@pytest.mark.parametrize("form", ["auto", "json", "text"])
def test_a_terminal_gets_text_unless_set_otherwise(form: str) -> None:
    code = f'from worker.logs import *; set_up_logging("INFO", "{form}"); event("ready")'
    ours, theirs = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert shown.startswith("{") == (form == "json")


def test_a_pipe_gets_json() -> None:
    (line,) = logged('set_up_logging("INFO"); event("ready", priorities=["interactive", "batch"])')
    assert json.loads(line)["priorities"] == ["interactive", "batch"]


def test_a_level_holds_for_us_and_libraries_are_never_below_warning() -> None:
    code = """
set_up_logging(sys.argv[1], "text")
for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
    event("ours", level)
    logging.getLogger("celery").log(level, "theirs")
"""
    shown = {level: [line.split()[2] for line in logged(code, level)] for level in ("DEBUG", "INFO", "ERROR")}
    assert shown["DEBUG"] == ["DEBUG", "INFO", "WARNING", "WARNING", "ERROR", "ERROR"]
    assert shown["INFO"] == ["INFO", "WARNING", "WARNING", "ERROR", "ERROR"]
    assert shown["ERROR"] == ["ERROR", "ERROR"]


def test_of_our_own_errors_the_text_is_logged_and_of_others_the_system_s_part() -> None:
    code = """
from bcd_model.errors import QueueError
set_up_logging("INFO", "json")
event("queue lost", error=QueueError("the queue at redis://host does not answer", "start Redis"))
try:
    open(sys.argv[1])
except OSError as error:
    event("job broke", error=error)
event("job broke", error=ValueError(sys.argv[1]))
"""
    queue, system, value = [json.loads(line) for line in logged(code, f"/nowhere/{MARKED}")]
    assert queue["error"] == "the queue at redis://host does not answer; start Redis"
    assert "frames" not in queue
    assert system["error"] == "FileNotFoundError (No such file or directory)"
    assert len(system["frames"]) == 1
    assert value["error"] == "ValueError"


def test_a_log_that_is_not_read_does_not_end_the_work() -> None:
    code = """
import os
from worker.logs import event, set_up_logging
set_up_logging("INFO", "json")
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
event("job begun")
print("goes on")
os._exit(0)
"""
    run = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True, check=True)
    assert run.stdout == "goes on\n"


def test_a_command_that_sets_up_no_log_shows_no_event() -> None:
    assert logged('event("queue lost", logging.ERROR)') == []


class Echo:
    """A process that logs what it reads."""

    def __init__(self, form: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ECHO, form],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def line(self, name: str, fields: dict[str, Any]) -> str:
        """The whole of what it logs."""
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.process.stdin.write(json.dumps([name, fields]).encode() + b"\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"logged\n"
        os.set_blocking(self.process.stderr.fileno(), False)
        return os.read(self.process.stderr.fileno(), 1_000_000).decode()


@pytest.fixture(scope="module")
def echo() -> Iterator[dict[str, Echo]]:
    started = {form: Echo(form) for form in ("json", "text")}
    yield started
    for one in started.values():
        one.process.kill()
        one.process.communicate()


def nothing_but_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


ANY_TEXT = st.text(st.characters(), max_size=30)  # control characters and lone surrogates too
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)
ANY_FIELDS = st.dictionaries(ANY_TEXT.filter(lambda key: key != "level"), ANY_VALUE, max_size=4)


@settings(deadline=None)  # a process of its own may have to wait for a core
@given(name=ANY_TEXT, fields=ANY_FIELDS)
def test_whatever_is_logged_is_one_line_of_json(
    echo: dict[str, Echo], name: str, fields: dict[str, Any]
) -> None:
    line = echo["json"].line(name, fields)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    read = json.loads(line, parse_constant=nothing_but_json)
    assert read["event"] == name
    assert read["level"] == "INFO"
    kept = {key: value for key, value in fields.items() if isinstance(value, str | int)}
    for key in kept.keys() - {"time", "event", "process", "pid"}:
        assert read[key] == kept[key]


@settings(deadline=None)  # a process of its own may have to wait for a core
@given(name=ANY_TEXT, fields=ANY_FIELDS)
def test_whatever_is_logged_is_one_line_of_text_that_steers_no_terminal(
    echo: dict[str, Echo], name: str, fields: dict[str, Any]
) -> None:
    line = echo["text"].line(name, fields)
    assert line.endswith("\n")
    assert all(c.isprintable() for c in line[:-1])


def test_a_value_cannot_pass_for_another_field() -> None:
    (line,) = logged('set_up_logging("INFO", "text"); event("film scanned", file="x job=other", n="")')
    assert line.endswith('file="x job=other" n=""')


def test_every_event_stands_in_the_reference_with_its_fields() -> None:
    rows: dict[str, str] = {}  # one that has many fields has two
    for names, fields in re.findall(r"^\| (`[^|]+) \| ([^|]*)\|", REFERENCE.read_text(), re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            rows[name] = rows.get(name, "") + fields
    for path in (ROOT / "worker").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) not in ("event", "logs.event"):
                continue
            names = [part.value for part in ast.walk(call.args[0]) if isinstance(part, ast.Constant)]
            for name in [name for name in names if isinstance(name, str)]:
                assert name in rows, f"{path.name} logs {name!r}"
                for field in [word.arg for word in call.keywords if word.arg not in (None, "level")]:
                    assert f"`{field}`" in rows[name], f"{path.name} logs {name!r} with {field}"
