"""What is kept between sessions: the gateway's address, in QSettings. The token never is."""

from __future__ import annotations

from typing import Any, Protocol

from .address import clean_address
from .errors import InputError

ADDRESS_KEY = "BCDDetector/address"
DEFAULT_ADDRESS = "http://127.0.0.1:8970"


class Store(Protocol):
    """What is needed of ``qt.QSettings``."""

    def value(self, key: str) -> Any:
        """The value of a key, None if it has none."""
        ...

    def setValue(self, key: str, value: Any) -> None:
        """Set the value of a key."""
        ...


def address(store: Store) -> str:
    """The address of the last session, else that of a gateway on this machine."""
    return str(store.value(ADDRESS_KEY) or DEFAULT_ADDRESS)


def keep_address(store: Store, text: str) -> None:
    """Keep the address, if it is one; it cannot hold a password."""
    try:
        store.setValue(ADDRESS_KEY, clean_address(text))
    except InputError:
        return
