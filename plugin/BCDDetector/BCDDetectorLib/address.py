"""The gateway's address, as people write it, as it is used and as it is kept; the token never is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .errors import InputError

BASE = "/api/v1"
"""Below which version 1 of the interface stands."""

ADDRESS_KEY = "BCDDetector/address"
DEFAULT_ADDRESS = "http://127.0.0.1:8970"


def clean_address(text: str) -> str:
    """The address as it is used and saved: with a scheme, without a slash at its end.

    Raises:
        InputError: it is not an http or https address, or holds a user name, a password or a query.
    """
    address = text.strip()
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{text!r} is not an address; write one like http://127.0.0.1:8970") from error
    wrong = parts.scheme not in ("http", "https") or not parts.hostname or port == 0
    if wrong or "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError("the address must look like http://127.0.0.1:8970, without name and password")
    address = address.rstrip("/")
    return address[: -len(BASE)] if address.endswith(BASE) else address


def is_loopback(address: str) -> bool:
    """Whether the address is this machine."""
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")


def kept_address(store: Any) -> str:
    """The address of the last session, else that of a gateway on this machine.

    Args:
        store: ``qt.QSettings``.
    """
    return str(store.value(ADDRESS_KEY) or DEFAULT_ADDRESS)


def keep_address(store: Any, text: str) -> None:
    """Keep the address, if it is one; it cannot hold a password."""
    try:
        store.setValue(ADDRESS_KEY, clean_address(text))
    except InputError:
        return
