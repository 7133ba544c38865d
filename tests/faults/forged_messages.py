"""Row: what a program with access to Redis may push on the queue, by mistake or on purpose."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
import random
from pathlib import Path
from typing import Any, cast

from tests.faults.bench import Bench
from tests.faults.registry import row
from tests.faults.sites import TimeoutInRowError, wait_for

_QUEUE = "bcd.batch"
_NO_JOB = "0123456789abcdef"  # in the form of an id
_DEEP = 100_000  # levels; Python's own JSON gives up at about a thousand


@row("garbage and forged messages")
def forged(bench: Bench) -> None:
    """No JSON, no message, other tasks, junk arguments, pickles: refused, counted, and the worker lives.

    First one at a time, so that it is known which one does harm, then all at once among real jobs.
    """
    bench.strangers = True
    first, *studies = bench.make(bench.numbers.small + 1)
    bench.submit([first])
    real = json.loads(str(bench.site.redis.lindex(_QUEUE, 0)))
    canary = bench.folder / "executed"
    messages = _garbage() | _forgeries(real, canary)
    worker = bench.site.start_worker()
    bench.wait_until_ended()
    child = worker.children()
    pushed = 0

    def counted() -> dict[str, int]:
        found = cast("dict[str, str]", bench.site.redis.hgetall("bcd:refused"))
        return {reason: int(count) for reason, count in found.items()}

    def push(message: bytes) -> None:
        nonlocal pushed
        bench.site.redis.lpush(_QUEUE, message)
        pushed += 1

    def all_refused() -> bool:
        return sum(counted().values()) >= pushed or not worker.alive

    for name, message in messages.items():
        push(message)
        try:
            wait_for(all_refused, 10, f"{name} is refused")
        except TimeoutInRowError as error:
            bench.expect(False, str(error))
            pushed = sum(counted().values())
        if not worker.alive:
            bench.expect(False, f"{name} has ended the worker ({worker.process.returncode})")
            worker = bench.site.start_worker()
            worker.wait_ready()
            child = worker.children()
            pushed = sum(counted().values())
        elif worker.children() != child:
            bench.expect(False, f"{name} has ended a pool child")
            child = worker.children()

    shuffled = list(messages.values())
    random.Random(bench.seed).shuffle(shuffled)
    for message in shuffled[::2]:
        push(message)
    bench.submit(studies)
    for message in shuffled[1::2]:
        push(message)
    bench.wait_until_ended()
    try:
        wait_for(all_refused, 20, "all of them are refused")
    except TimeoutInRowError as error:
        bench.expect(False, str(error))
    bench.note(f"{pushed} pushed, refused: {counted()}")
    total = sum(counted().values())
    bench.expect(total == pushed, f"{pushed} pushed, {total} counted as refused")
    bench.expect(worker.alive, "the worker has ended")
    bench.expect(worker.children() == child, "a forged message has ended a pool child")
    bench.expect(not canary.exists(), "a forged message was executed")
    for key in (_QUEUE, "unacked", "unacked_index"):
        bench.expect(not bench.site.redis.exists(key), f"there are messages left in {key}")


def _garbage() -> dict[str, bytes]:
    """What is no message at all, by what it is."""
    return {
        "text": b"not json",
        "nothing": b"",
        "bytes that are no text": b"\x00\xff\xfe\x80",
        "half an object": b"{",
        "null": b"null",
        "a number": b"42",
        "a string": b'"text"',
        "a list": b"[]",
        "a list of lists": b"[[[[]]]]",
        "an empty object": b"{}",
        "a message without properties": b'{"body": "e30=", "properties": null, "headers": null}',
        "a message with a number for its body": (
            b'{"body": 7, "headers": {}, "properties": {}, "content-type": "application/json"}'
        ),
        "lists nested deeply": b"[" * _DEEP,
        "objects nested deeply": b'{"a":' * _DEEP,
    }


def _forgeries(real: dict[str, Any], canary: Path) -> dict[str, bytes]:
    """Messages in the form of a real one with another content, by what it is."""
    task = real["headers"]["task"]
    touch = f"touch {canary}"
    arguments: dict[str, list[Any]] = {
        "no argument": [],
        "an id that is none": ["no job of ours"],
        "the id of no job": [_NO_JOB],
        "a path for an id": ["../../etc/passwd"],
        "a key of ours for an id": ["bcd:jobs"],
        "a megabyte for an id": ["a" * 1_000_000],
        "an empty id": [""],
        "null for an id": [None],
        "a number for an id": [7],
        "a list for an id": [["a", "b"]],
        "an object for an id": [{"job": "a"}],
        "three arguments": ["one", "two", "three"],
    }
    found = {name: _message(real, task, args) for name, args in arguments.items()}
    found |= {
        "a named argument": _message(real, task, [], {"job_id": "no job"}),
        "an unknown named argument": _message(real, task, [], {"other": 1}),
        "celery.map of os.system": _message(real, "celery.map", [{"task": "os.system", "args": []}, [touch]]),
        "celery.chord_unlock": _message(real, "celery.chord_unlock", ["a", "b"]),
        "os.system": _message(real, "os.system", [touch]),
        "another task": _message(real, "bcd.another_task", ["a"]),
        "a region that is none": _message(real, "bcd.classify_region", ["no region of ours"]),
        "the id of no region": _message(real, "bcd.classify_region", [2 * "0123456789abcdef"]),
        "a job's id for a region's": _message(real, "bcd.classify_region", ["0123456789abcdef"]),
        "a path for a region's id": _message(real, "bcd.classify_region", ["../../etc/passwd"]),
        "a region with a place": _message(real, "bcd.classify_region", [2 * "0123456789abcdef", 1, 2]),
        "a task without a name": _message(real, "", ["a"]),
        "a pickle": _body(real, "application/x-python-serialize", pickle.dumps(_Executes(touch))),
        "yaml": _body(real, "application/x-yaml", f"!!python/object/apply:os.system ['{touch}']".encode()),
        "an unknown content type": _body(real, "application/nothing-known", b"\x00"),
        "a body that is no JSON": _body(real, "application/json", b"not json"),
        "a body that is a number": _body(real, "application/json", b"7"),
        "a body that is an empty list": _body(real, "application/json", b"[]"),
        "a body nested deeply": _body(real, "application/json", b"[" * _DEEP),
        "no headers": _json(real | {"headers": {}}),
        "headers that are null": _json(real | {"headers": None}),
        "a body that is no base64": _json(real | {"body": "\x00 no base64 !"}),
    }
    for name, where, key, value in (
        ("no task in the headers", "headers", "task", None),
        ("a task that is an object", "headers", "task", {"a": 1}),
        ("no id in the headers", "headers", "id", None),
        ("an id in the headers that is an object", "headers", "id", {"a": 1}),
        ("a time limit that is none", "headers", "timelimit", "long"),
        ("retries that are no number", "headers", "retries", "many"),
        ("an unknown language", "headers", "lang", {"a": 1}),
        ("compression that is none", "headers", "compression", "application/x-bz2"),
        ("a time to be run at", "headers", "eta", "2999-01-01T00:00:00+00:00"),
        ("a time that is none", "headers", "eta", "tomorrow"),
        ("an unknown encoding of the body", "properties", "body_encoding", "rot13"),
        ("no delivery tag", "properties", "delivery_tag", None),
        ("no delivery information", "properties", "delivery_info", None),
        ("a priority that is none", "properties", "priority", "high"),
    ):
        changed = copy.deepcopy(real)
        changed[where][key] = value
        if value is None:
            del changed[where][key]
        changed["body"] = _encoded([[_NO_JOB], {}, {}])
        found[name] = _json(changed)
    followed = copy.deepcopy(real)
    followed["body"] = _encoded(
        [["no job of ours"], {}, {"callbacks": [{"task": "os.system", "args": [touch]}]}]
    )
    return found | {"a task to follow": _json(followed)}


class _Executes:
    """Touches the canary when it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


def _message(real: dict[str, Any], task: str, args: list[Any], named: dict[str, Any] | None = None) -> bytes:
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    forged = copy.deepcopy(real)
    forged["headers"]["task"] = task
    forged["body"] = _encoded([args, named or {}, embed])
    return _json(forged)


def _body(real: dict[str, Any], content_type: str, body: bytes) -> bytes:
    encoded = base64.b64encode(body).decode()
    return _json(real | {"content-type": content_type, "body": encoded})


def _encoded(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()
