"""Mutants in limited children: each is forked with everything loaded, and ended when a mutant takes too much.

A child takes one mutant after the other and says of each what it took; the parent watches it meanwhile. The
address space is limited only far above the bound, so that a mutant that asks for 10 GB is seen to ask for
it and does not merely meet a refusal that a machine without limits would not give.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

SECONDS = 5.0
MEMORY = 1 << 30
_MORE = 3
"""A child is ended at so many times the bounds: what looks at the results takes time and memory as well."""
_WALL = 180.0
"""A mutant that waits for something takes no processor time."""
_CEILING = 24 << 30
_LOOK = 0.02
_CLOCK = os.sysconf("SC_CLK_TCK")

Work = Callable[[int], dict[str, object]]
"""Examines a mutant; its result goes through JSON, with seconds under "cpu" and bytes under "memory"."""


@dataclass
class Report:
    """What a child says of a mutant, or what was found when it had to be ended.

    Attributes:
        result: what the work returned; None if the child ended before.
        ended: why; "" if it did not.
        cpu: seconds of processor time.
        memory: bytes beyond those of an idle child.
    """

    number: int
    result: dict[str, object] | None
    ended: str
    cpu: float
    memory: int


@dataclass
class _Child:
    process: int
    orders: int
    answers: int
    resident: int
    number: int | None = None
    since: float = 0.0
    cpu: float = 0.0
    heard: bytes = b""


def each(numbers: Iterable[int], work: Work, *, jobs: int, fresh: bool = False) -> Iterator[Report]:
    """The reports of all ``numbers``, as they come; with ``fresh``, no child works twice."""
    waiting = iter(numbers)
    children = [_start(work) for _ in range(jobs)]
    try:
        busy = [child for child in children if _order(child, waiting)]
        while busy:
            ready, _, _ = select.select([child.answers for child in busy], [], [], _LOOK)
            for child in list(busy):
                report = _answer(child) if child.answers in ready else _over(child)
                if report is None:
                    continue
                busy.remove(child)
                yield report
                if report.ended or fresh:
                    children.remove(child)
                    _end(child)
                    child = _start(work)
                    children.append(child)
                if _order(child, waiting):
                    busy.append(child)
    finally:
        for child in children:
            _end(child)


def _start(work: Work) -> _Child:
    orders, answers = os.pipe(), os.pipe()
    process = os.fork()
    if process == 0:
        os.close(orders[1])
        os.close(answers[0])
        try:
            _serve(work, orders[0], answers[1])
        except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as its parent
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(orders[0])
    os.close(answers[1])
    child = _Child(process, orders[1], answers[0], 0)
    child.resident = int(_line(child)["resident"])
    return child


def _serve(work: Work, orders: int, answers: int) -> None:
    """Run in the child: one number a line in, one report a line out."""
    resource.setrlimit(resource.RLIMIT_AS, (_CEILING, _CEILING))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()
    os.write(answers, json.dumps({"resident": _status()["VmRSS"]}).encode() + b"\n")
    with os.fdopen(orders) as lines:
        for line in lines:
            os.write(answers, json.dumps(work(int(line))).encode() + b"\n")


def _status(process: int | str = "self") -> dict[str, int]:
    """The Vm lines of /proc in bytes."""
    with open(f"/proc/{process}/status") as lines:  # noqa: PTH123
        rows = (line.split() for line in lines if line.startswith("Vm"))
        return {row[0].rstrip(":"): int(row[1]) << 10 for row in rows}


def _used(process: int) -> float:
    """Processor seconds of a child."""
    with open(f"/proc/{process}/stat") as line:  # noqa: PTH123
        fields = line.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK


def _line(child: _Child) -> dict[str, object]:
    while b"\n" not in child.heard:
        data = os.read(child.answers, 1 << 16)
        if not data:
            raise EOFError
        child.heard += data
    line, child.heard = child.heard.split(b"\n", 1)
    return dict(json.loads(line))


def _order(child: _Child, waiting: Iterator[int]) -> bool:
    number = next(waiting, None)
    if number is None:
        return False
    child.number, child.since, child.cpu = number, time.monotonic(), _used(child.process)
    os.write(child.orders, f"{number}\n".encode())
    return True


def _answer(child: _Child) -> Report:
    number = child.number or 0
    try:
        said = _line(child)
    except EOFError:
        _, status = os.waitpid(child.process, 0)
        child.process = 0
        why = signal.Signals(status & 0x7F).name if status & 0x7F else f"exit code {status >> 8}"
        return Report(number, None, f"the process died: {why}", 0.0, 0)
    cpu, memory = float(said["cpu"]), int(said["memory"])  # type: ignore[call-overload]
    return Report(number, said, _too_much(cpu, memory), cpu, memory)


def _over(child: _Child) -> Report | None:
    """A report if the child has to be ended now."""
    try:
        cpu = _used(child.process) - child.cpu
        memory = max(0, _status(child.process).get("VmRSS", 0) - child.resident)
    except OSError:
        return None  # it has just died: the pipe will tell
    ended = _too_much(cpu, memory, more=_MORE)
    if not ended and time.monotonic() - child.since > _WALL:
        ended = f"more than {_WALL:.0f} s of waiting"
    return Report(child.number or 0, None, ended, cpu, memory) if ended else None


def _too_much(cpu: float, memory: int, more: int = 1) -> str:
    if cpu > more * SECONDS:
        return f"more than {SECONDS:g} s ({cpu:.1f} s)"
    if memory > more * MEMORY:
        return f"more than 1 GB ({memory / (1 << 30):.1f} GB)"
    return ""


def _end(child: _Child) -> None:
    os.close(child.orders)
    os.close(child.answers)
    if child.process:
        os.kill(child.process, signal.SIGKILL)
        os.waitpid(child.process, 0)
