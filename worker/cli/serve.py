"""``serve``: the HTTP gateway to a site's queue."""

from __future__ import annotations

import ipaddress
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from bcd_model.errors import QueueError, UsageError
from worker.cli.shared.console import note
from worker.logs import set_up_logging
from worker.settings import Settings, load_settings


def serve(
    address: str | None = typer.Option(
        None, "--address", metavar="HOST", help="Where to listen.", show_default="BCD_GATEWAY_ADDRESS"
    ),
    port: int | None = typer.Option(
        None, "--port", metavar="N", min=0, max=65535, help="The port.", show_default="BCD_GATEWAY_PORT"
    ),
    health: bool = typer.Option(
        False, "--health", help="Start nothing; exit with 0 if the gateway of this machine answers."
    ),
) -> None:
    """Serve the HTTP gateway to the queue that BCD_BROKER_URL names, until it is stopped."""
    settings = load_settings(gateway_address=address, gateway_port=port)
    if health:
        check_health(settings)
        return
    if settings.embedded:
        raise UsageError("a gateway needs a queue", "set BCD_BROKER_URL, or use 'bcd-admin up'")
    from worker.gateway.serve import running_gateway  # brings FastAPI, uvicorn and Celery
    from worker.queue.records import Records  # brings redis

    set_up_logging(settings.log_level, settings.log_format)
    Records(settings.broker_url or "").ping()
    with ended_by_signals(), running_gateway(settings) as (url, check):
        note(f"the gateway is at {url}")
        while True:
            check()
            time.sleep(1)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End quietly on SIGTERM and Ctrl-C: both are how a server is stopped."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        return


def check_health(settings: Settings) -> None:
    """Raise QueueError if the gateway of this machine does not answer that it is well."""
    address = settings.gateway_address
    try:
        parsed = ipaddress.ip_address(address)
        if parsed.is_unspecified:  # it listens on all of them
            address = "127.0.0.1" if parsed.version == 4 else "::1"
    except ValueError:
        pass  # the name of a host
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{settings.gateway_port}/api/v1/health"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            if answer.status == 200:
                return
            reason = f"it answers {answer.status}"
    except urllib.error.HTTPError as error:
        reason = f"it answers {error.code}"
        error.close()
    except OSError as error:
        reason = str(getattr(error, "reason", error))
    raise QueueError(f"the gateway at {url} is not well: {reason}", "see its log")
