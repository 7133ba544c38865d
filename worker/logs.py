"""The worker's log: one event a line on standard error; jobs, studies and films by id and UID alone.

What our own code logs is an `event` with its fields. What a library logs comes out in the same form, but
without anything it may quote from a message, a task's arguments or a film's header: of its text the template
alone, if it has arguments; of an exception its type and where it happened, never its text.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, TextIO

from bcd_model.errors import BcdError
from worker.text import on_one_line

Form = Literal["auto", "json", "text"]

_OURS = "bcd"
_LIBRARY = "library message"
_CONSUMER = "celery.worker.consumer.consumer"
_CONNECTION = "celery.worker.consumer.connection"
_MOST_FRAMES = 20  # the innermost: a line stays short enough to be written in one piece
_LONGEST_CHAIN = 10  # exceptions that were raised because of one another

_log = logging.getLogger(_OURS)
_log.addHandler(logging.NullHandler())  # a command that sets up no log shows none


def event(name: str, /, level: int = logging.INFO, **fields: object) -> None:
    """Log that ``name`` happened.

    Args:
        level: as in `logging`.
        fields: what belongs to it, no patient data. Of an exception its type and its frames are logged,
            as ``frames``; of a `BcdError`, whose text is ours, that text.
    """
    _log.log(level, name, extra={"fields": fields})


def set_up_logging(level: str, form: Form = "auto") -> None:
    """Log to standard error, warnings and the end of threads included; keep Celery from doing it its way.

    Args:
        level: what our events are logged from. Libraries: the same, but never below WARNING, except
            that there is a connection to Redis (again).
        form: one JSON object a line, text for people, or text if standard error is a terminal.
    """
    from celery import signals

    text = sys.stderr.isatty() if form == "auto" else form == "text"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Text() if text else _Json())
    _log.setLevel(level)
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, _log.level), force=True)
    logging.getLogger(_CONNECTION).setLevel(_log.level)
    logging.raiseExceptions = False  # a full disk ends no work, and no record is printed with its arguments
    logging.captureWarnings(True)  # Celery does it too; the second call does not undo the next line
    warnings.showwarning = _warning
    threading.excepthook = _thread_died
    sys.unraisablehook = _error_ignored
    signals.setup_logging.connect(_keep_ours, weak=False)


def _keep_ours(**_: object) -> None:
    """Take Celery's place; pool children inherit by fork what was set up before."""
    from celery.utils.log import get_multiprocessing_logger

    # without this, billiard prints the traceback of a child that fails, text and all
    get_multiprocessing_logger().propagate = True


def _warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    # Celery's advice, whenever the connection is lost, to cancel what runs. Not needed: a job is held by
    # its lease in Redis and not by its message, so no other worker begins it while it runs on.
    if "worker_cancel_long_running_tasks_on_connection_loss" in str(message):
        return
    # not its text: pydicom's warnings quote the values they warn of
    event("warning", logging.WARNING, category=category.__name__, place=_place(filename, lineno))


def _thread_died(args: threading.ExceptHookArgs) -> None:
    if not issubclass(args.exc_type, SystemExit):
        thread = args.thread.name if args.thread else None
        event("thread died", logging.ERROR, thread=thread, error=args.exc_value)


def _error_ignored(args: Any) -> None:
    event("error ignored", logging.ERROR, error=args.exc_value)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        name, fields = _read(record)
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        head = {"time": time, "level": record.levelname, "event": name}
        tail = {"process": _process_name(), "pid": record.process}
        return json.dumps(head | fields | head | tail)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        name, fields = _read(record)
        time = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")
        shown = [f"{key}={_quoted(value)}" for key, value in fields.items()]
        return on_one_line(f"{time} {record.levelname} {name}  {' '.join(shown)}".rstrip())


def _read(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The event's name and its fields, as JSON can hold them."""
    if record.name == _OURS or record.name.startswith(f"{_OURS}."):
        name, fields = record.getMessage(), dict(getattr(record, "fields", {}))
    else:
        name, fields = _LIBRARY, {"logger": record.name, "text": _library_text(record)}
        fields["place"] = _place(record.pathname, record.lineno)
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        fields |= {"error": record.exc_info[1], "frames": _frames(record.exc_info[2])}
    plain: dict[str, Any] = {}
    for key, value in fields.items():
        plain[key] = _plain(value)
        if isinstance(value, BaseException) and not isinstance(value, BcdError):
            plain.setdefault("frames", _frames(value.__traceback__))
    return name, plain


def _library_text(record: logging.LogRecord) -> str | None:
    """The first line of what a library says, as far as it cannot quote anything; None if it may."""
    if record.name in (_CONNECTION, _CONSUMER) and isinstance(record.args, tuple):
        from worker.settings import hide_secrets

        match record.msg, record.args:  # these name the host, and no message
            case "Connected to %s", (str(url),):
                return f"Connected to {hide_secrets(url)}"
            case str(text), (str(url), BaseException() as error, str(then)) if "Cannot connect" in text:
                return f"Cannot connect to {hide_secrets(url)}: {_kind(error)}. {then}"
            case "%s (%r)", (str(text), BaseException() as error) if "Connection to broker lost" in text:
                return f"Connection to broker lost: {_kind(error)}. Trying to re-establish the connection..."
    if isinstance(record.msg, str) and record.args:
        return record.msg.strip().partition("\n")[0]  # its template; without arguments it may be filled in
    return None


def _kind(error: BaseException) -> str:
    """The type of ``error`` and, if the system is behind it, what the system says."""
    from billiard.einfo import ExceptionWithTraceback

    if isinstance(error, ExceptionWithTraceback):  # billiard's, around what a child raised
        error = error.exc
    cause: BaseException | None = error
    for _ in range(_LONGEST_CHAIN):
        if isinstance(cause, socket.gaierror):
            return f"{type(error).__name__} (the name of the host is not known)"
        if isinstance(cause, OSError) and cause.errno:
            return f"{type(error).__name__} ({os.strerror(cause.errno)})"
        cause = cause and (cause.__cause__ or cause.__context__)
    return type(error).__name__


def _place(path: str, line: int) -> str:
    return f"{path.rpartition('/site-packages/')[2]}:{line}"


def _frames(trace: TracebackType | None) -> list[str]:
    """Where an exception came through, the innermost place last."""
    frames = [  # not extract_tb: what billiard brings from a child is not a real traceback
        f"{_place(frame.f_code.co_filename, line)} {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(trace)
    ]
    return frames[-_MOST_FRAMES:]


def _plain(value: object) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case BcdError():
            return str(value.reason)  # without the file or folder that it is about
        case BaseException():
            return _kind(value)
        case Mapping():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(part) for part in value]
        case _:
            return str(value)


def _quoted(value: object) -> str:
    if isinstance(value, str) and value and not any(c in '"=' or c.isspace() for c in value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _process_name() -> str:
    from billiard.process import current_process

    return str(current_process().name)
