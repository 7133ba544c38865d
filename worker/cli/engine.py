"""``worker``, ``up`` and ``doctor``: what does the work, and whether it can."""

from __future__ import annotations

import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

import typer

from worker.cli.shared.console import note, say, say_json
from worker.cli.shared.options import JSON, Lane

if TYPE_CHECKING:
    from worker.settings import Settings


def worker(
    processes: int | None = typer.Option(
        None,
        "--processes",
        min=1,
        max=256,
        help="Films at the same time.",
        show_default="BCD_WORKER_PROCESSES",
    ),
    resume: bool = typer.Option(
        False,
        "--resume",
        help="Take up at once what a worker that is gone left unfinished; only if no other one runs.",
    ),
    lane: Lane | None = typer.Option(
        None, "--lane", help="Serve this lane alone.", show_default="interactive before batch"
    ),
    health: bool = typer.Option(
        False, "--health", help="Start nothing; exit with 0 if a worker of this machine is at work."
    ),
) -> None:
    """Work on jobs of the queue that BCD_BROKER_URL names, until told to end."""
    from bcd_model.errors import UsageError
    from worker.settings import load_settings

    settings = load_settings(worker_processes=processes)
    if settings.embedded:
        raise UsageError("a worker needs a queue", "set BCD_BROKER_URL, or use 'bcd-admin up'")
    if health:
        check_health(settings)
        return
    from worker.pool.serve import run_worker
    from worker.queue.job import LANES

    raise typer.Exit(run_worker(settings, alone=resume, lanes=(lane.value,) if lane else LANES))


def check_health(settings: Settings) -> None:
    """Raise QueueError if no worker of this machine has given a sign of life lately."""
    from bcd_model.errors import QueueError
    from worker.queue.records import Records

    host = platform.node()
    if all(about["host"] != host for about in Records(settings.broker_url or "").workers().values()):
        raise QueueError(f"no worker of {host} is at work", "see its log")


def up(
    gateway: bool = typer.Option(True, "--gateway/--no-gateway", help="Serve the HTTP gateway, too."),
) -> None:
    """Keep the embedded engine and its HTTP gateway running, in the foreground, until Ctrl-C."""
    from bcd_model.errors import UsageError
    from worker.cli.shared.session import open_queue
    from worker.settings import load_settings

    settings = load_settings()
    if not settings.embedded:
        raise UsageError("BCD_BROKER_URL names a queue of your own", "use 'bcd-admin worker', or unset it")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with open_queue(settings) as queue:
            queue.start_worker()
            while not queue.records.workers():
                queue.check()
                time.sleep(0.1)
            note(f"the embedded engine is up (state in {settings.state_dir}); Ctrl-C ends it")
            with _gateway(queue.settings) if gateway else nullcontext(lambda: None) as check:
                while True:
                    queue.check()
                    check()
                    time.sleep(1)
    except KeyboardInterrupt:
        note("the embedded engine has ended")


@contextmanager
def _gateway(settings: Settings) -> Iterator[Callable[[], None]]:
    """The gateway, with a token for this machine; the engine does without it if its port is taken."""
    from bcd_model.errors import SettingsError
    from worker.cli.shared.console import warn
    from worker.gateway.serve import running_gateway
    from worker.gateway.storage.folders import private_root
    from worker.gateway.tokens import Tokens
    from worker.logs import set_up_logging

    # a line a request is for a site's log, not for the terminal of somebody at work
    quiet = "log_level" not in settings.model_fields_set
    set_up_logging("WARNING" if quiet else settings.log_level, settings.log_format)
    secret = Tokens(private_root(settings)).local()
    with ExitStack() as stack:
        try:
            url, check = stack.enter_context(running_gateway(settings))
        except SettingsError as error:
            warn(f"{error}; no gateway is served here")
            yield lambda: None
            return
        note(f"the gateway is at {url}; its token is in {secret}")
        yield check


def doctor(as_json: bool = JSON) -> None:
    """Check what is configured, reachable and writable, and say how to mend what is not."""
    from worker.doctor import examine

    checks = examine()
    failed = [check for check in checks if check.state == "fail"]
    if as_json:
        say_json({"usable": not failed, "checks": [check.as_json() for check in checks]})
    else:
        for check in checks:
            say(f"{check.state:4}  {check.name}: {check.found}")
            if check.remedy:
                say(f"      -> {check.remedy}")
        say("usable" if not failed else "not usable")
    raise typer.Exit(failed[0].exit_code if failed else 0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
