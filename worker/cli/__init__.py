"""The command line, ``bcd-admin``.

One module a command, of its name, and ``shared`` for what several have in common. A command's module is
imported when that command is asked for, so it has its imports at its top. What is heavier than that, such as
torch, Celery, redis and FastAPI, is imported inside the function that needs it: ``--help`` and the queue's
commands answer soon, and never import torch.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from worker.cli.shared.console import (
    PROGRAM,
    AnswerLostError,
    ReaderGoneError,
    flush,
    set_debug,
    show_traceback,
    unexpected,
    warn_of_unknown_settings,
)
from worker.environment import ignore_variables, let_idle_threads_sleep
from worker.text import on_one_line

_HELP = frozenset({"-h", "--help", "--version"})  # needs no settings
_SAY_THEMSELVES = ("worker", "serve", "doctor")  # log, or answer, which settings are unknown
_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_BROKEN_PIPE = 141  # 128 + SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    Every error is one line on standard error. ``--debug``, anywhere, shows the traceback before it.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    set_debug("--debug" in arguments)
    _prepare_output()
    ignore_variables()
    let_idle_threads_sleep()
    try:
        code = _run([argument for argument in arguments if argument != "--debug"])
        flush()
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except (BrokenPipeError, ReaderGoneError):
        _drop_output()  # its reader has gone
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last resort: no user sees a bare traceback
        show_traceback(error)
        return _explain(error)
    return _fail("interrupted", code) if code == _INTERRUPTED else code


def _prepare_output() -> None:
    """Let nothing that is printed fail: no closed stream, no file name that is not in its encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, as with >&-
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open to the end of the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Throw away what is not written yet, or Python would try again at exit and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    from worker.cli.commands import make_cli  # Typer; whatever goes wrong from here on is one line

    if arguments and arguments[0] not in _SAY_THEMSELVES and not _HELP.intersection(arguments):
        warn_of_unknown_settings()
    result = make_cli()(args=arguments or ["--help"], prog_name=PROGRAM, standalone_mode=False)
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    from bcd_model.errors import BcdError, OutputError  # brings numpy

    if isinstance(error, AnswerLostError):
        _drop_output()
        return _fail(str(error), OutputError.exit_code)
    if isinstance(error, BcdError):
        return _fail(str(error), error.exit_code)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # Typer's own usage errors
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else PROGRAM
        said = error.format_message().replace("Value error, ", "")  # pydantic's own word for it
        end = "" if said.endswith((".", "?")) else "."
        return _fail(f"{said}{end} See '{command} --help'.", int(error.exit_code))
    return _fail(unexpected(error), BcdError.exit_code)


def _fail(message: str, code: int) -> int:
    print(f"{PROGRAM}: error: {on_one_line(message)}", file=sys.stderr, flush=True)
    return code
