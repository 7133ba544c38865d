"""``serve``: the HTTP gateway to a site's queue."""

from __future__ import annotations

import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from bcd_model.errors import QueueError, UsageError
from worker.cli.shared.console import note, warn_of_unknown_settings
from worker.logs import set_up_logging
from worker.settings import Settings, load_settings
from worker.unknown_settings import log_unknown_settings


def serve(
    address: str | None = typer.Option(
        None, "--address", metavar="HOST", help="Where to listen.", show_default="BCD_GATEWAY_ADDRESS"
    ),
    port: int | None = typer.Option(
        None, "--port", metavar="N", min=0, max=65535, help="The port.", show_default="BCD_GATEWAY_PORT"
    ),
    behind_proxy: bool = typer.Option(
        False,
        "--behind-proxy",
        help="A proxy with TLS stands in front: listen on an address that other machines reach.",
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
        warn_of_unknown_settings()  # BCD_BROKER_URL may be misspelt
        raise UsageError("a gateway needs a queue", "set BCD_BROKER_URL, or use 'bcd-admin up'")
    from worker.gateway.serve import running_gateway  # brings FastAPI, uvicorn and Celery
    from worker.queue.records import Records  # brings redis

    set_up_logging(settings.log_level, settings.log_format)
    log_unknown_settings()
    Records(settings.broker_url or "").ping()
    with ended_by_signals(), running_gateway(settings, behind_proxy=behind_proxy) as (url, check):
        note(f"the gateway is at {url}")
        while True:
            check()
            time.sleep(1)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End quietly on SIGTERM and Ctrl-C: both are how a server is stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return


def check_health(settings: Settings) -> None:
    """Raise QueueError if the gateway of this machine does not answer that it is well."""
    of_all = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    address = of_all.get(settings.gateway_address, settings.gateway_address)
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
