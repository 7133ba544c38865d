"""DICOM UIDs that follow from what they name: the same parts always give the same UID."""

from __future__ import annotations

import hashlib
import re
import uuid

from bcd_model.errors import SettingsError

UUID_ROOT = "2.25"
"""Root of UIDs derived from a UUID (PS3.5 B.2): free for everyone, no registration."""

_ROOT = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_MAX_LENGTH = 64
_MIN_DIGITS = 24


def check_root(root: str) -> str:
    """Return ``root`` if UIDs can be made below it (PS3.5 9.1).

    Raises:
        SettingsError: not a UID, or too long to leave 24 digits for the derived part.
    """
    if not _ROOT.fullmatch(root):
        raise SettingsError(f"UID root {root!r} is not a UID", "use digits and dots, like 1.2.826.0.1")
    if len(root) + 1 + _MIN_DIGITS > _MAX_LENGTH:
        raise SettingsError(
            f"UID root {root!r} is too long", f"use at most {_MAX_LENGTH - 1 - _MIN_DIGITS} characters"
        )
    return root


def make_uid(*parts: str, root: str = UUID_ROOT) -> str:
    """Return the UID that belongs to ``parts``, below ``root``.

    Below ``2.25`` it is the decimal form of a name-based UUID (version 5 form, over SHA-256),
    as PS3.5 B.2 asks; below another root, as many digits of that number as fit into 64 characters.
    """
    name = "\x1f".join(parts).encode()
    digest = hashlib.sha256(name).digest()
    number = uuid.UUID(bytes=digest[:16], version=5).int
    if root == UUID_ROOT:
        return f"{root}.{number}"
    room = _MAX_LENGTH - len(check_root(root)) - 1
    return f"{root}.{number % 10**room}"
