"""Running the gateway: a socket, uvicorn in a thread of its own, and what is removed when it is old."""

from __future__ import annotations

import errno
import ipaddress
import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from bcd_model.errors import QueueError, SettingsError, UsageError
from worker.gateway.app import BASE, make_asgi, make_gateway
from worker.gateway.dependencies import Gateway
from worker.gateway.protocol import Protocol
from worker.gateway.upload.memory import share_heaps
from worker.logs import event
from worker.settings import Settings
from worker.study.outcome import UNDER_WAY

_STOPS = 10  # seconds for requests under way when the gateway ends
_BACKLOG = 1024
_MOST_CONNECTIONS = 4096
_RESERVED_FILES = 2048  # descriptors that are not for connections; half of them for zips
_EXPIRY_SECONDS = 600.0
_CLOCK_SECONDS = 10.0


@contextmanager
def running_gateway(
    settings: Settings, *, behind_proxy: bool = False
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Serve in a thread while the context lasts.

    Args:
        settings: with the broker named.
        behind_proxy: whether what other machines reach is a proxy with TLS in front of it.

    Yields:
        the address of the API, and a function that raises QueueError if the gateway has ended.

    Raises:
        SettingsError: the address cannot be listened on.
        UsageError: other machines reach it, and there is no token or no proxy in front.
        OutputError: the gateway's folder cannot be used.
    """
    share_heaps()
    here = make_gateway(settings)
    if not is_loopback(settings.gateway_address):
        _check_open(settings.gateway_address, behind_proxy=behind_proxy, token=bool(here.tokens.all()))
    with _listening(settings) as listener:
        server = uvicorn.Server(_configuration(here))
        thread = threading.Thread(target=server.run, args=([listener],), name="gateway", daemon=True)
        thread.start()
        over = threading.Event()
        keeper = threading.Thread(target=_keep_house, args=(here, over), name="expiry", daemon=True)
        keeper.start()
        address, port = settings.gateway_address, listener.getsockname()[1]
        host = f"[{address}]" if ":" in address else address
        here.inspector.start()
        event("gateway ready", address=address, port=port)

        def check() -> None:
            if not thread.is_alive():
                raise QueueError("the gateway has ended", "see what it logged")

        try:
            yield f"http://{host}:{port}{BASE}", check
        finally:
            over.set()
            server.should_exit = True
            thread.join(2 * _STOPS)
            keeper.join(_STOPS)
            here.inspector.close()
            event("gateway ended")


def _check_open(address: str, *, behind_proxy: bool, token: bool) -> None:
    """Refuse an address that other machines reach without TLS in front, or while there is no token."""
    if not behind_proxy:
        raise UsageError(
            f"the gateway does not listen on {address} without TLS",
            "listen on 127.0.0.1, or put a proxy with TLS in front (docker/Caddyfile) and use "
            "'bcd-admin serve --behind-proxy'",
        )
    if not token:
        raise UsageError(
            f"the gateway does not listen on {address} while there is no token",
            "make one first: bcd-admin token create NAME",
        )


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach ``address``."""
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
        hosts = {str(entry[4][0]).partition("%")[0] for entry in found}
        return bool(hosts) and all(ipaddress.ip_address(host).is_loopback for host in hosts)
    except (OSError, UnicodeError, ValueError):
        return False


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    address, port = settings.gateway_address, settings.gateway_port
    try:
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(place[:2], family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            remedy = "give another --port (BCD_GATEWAY_PORT)"
            raise SettingsError(f"port {port} of {address} is in use", remedy) from None
        reason = getattr(error, "strerror", None) or error
        message = f"the gateway cannot listen on {address} port {port}: {reason}"
        raise SettingsError(message, "correct BCD_GATEWAY_ADDRESS or BCD_GATEWAY_PORT") from None
    with listener:
        # accepted sockets inherit it; asyncio sets it on none of a listener that names no protocol
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: a client that takes nothing of its answer
            milliseconds = settings.gateway_idle_seconds * 1000
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        yield listener


def _configuration(here: Gateway) -> uvicorn.Config:
    return uvicorn.Config(
        make_asgi(here),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,  # ours is set up
        access_log=False,  # ours holds no path
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        limit_concurrency=_most_connections(),
        timeout_keep_alive=here.settings.gateway_idle_seconds,
        timeout_graceful_shutdown=_STOPS,
    )


def _most_connections() -> int:
    """As many as there may be open files for, up to a limit; the process's own limit is raised for it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST_CONNECTIONS + _RESERVED_FILES  # one for the client, one for the file that it gets
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    reserved = min(_RESERVED_FILES, soft // 2)
    return min(_MOST_CONNECTIONS, (soft - reserved) // 2)


def _keep_house(here: Gateway, over: threading.Event) -> None:
    """Remove what is older than it may be, now and every ten minutes."""

    def under_way(jobs: list[str]) -> list[str]:
        return [job for job, state in here.records.state_of(jobs).items() if state in UNDER_WAY]

    settings = here.settings
    while True:
        try:
            uploads, results = here.folders.expire(
                under_way, settings.gateway_upload_hours * 3600.0, settings.gateway_result_days * 86400.0
            )
            if uploads or results:
                event("expired", uploads=uploads, results=results)
        except (OSError, QueueError, SettingsError) as error:
            event("expiry failed", logging.WARNING, error=error)
        until = time.monotonic() + _EXPIRY_SECONDS
        while time.monotonic() < until:
            if over.wait(_CLOCK_SECONDS):
                return
            here.folders.clock.now()  # a leap back is not to pass unseen
