"""``up``: keeps the embedded engine and its gateway running."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import typer

from bcd_model.errors import SettingsError, UsageError
from worker.cli.shared.console import note, warn
from worker.cli.shared.session import open_queue
from worker.gateway.storage.folders import private_root
from worker.gateway.tokens import Tokens
from worker.logs import set_up_logging
from worker.settings import Settings, load_settings


def up(
    gateway: bool = typer.Option(True, "--gateway/--no-gateway", help="Serve the HTTP gateway, too."),
) -> None:
    """Keep the embedded engine and its HTTP gateway running, in the foreground, until Ctrl-C."""
    settings = load_settings()
    if not settings.embedded:
        remedy = "use 'bcd-admin worker', or unset it; bcd-admin doctor says where it is set"
        raise UsageError("BCD_BROKER_URL names a queue of your own", remedy)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
    from worker.gateway.serve import running_gateway  # brings FastAPI, uvicorn and Celery

    # a line a request is for a site's log, not for a terminal
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
