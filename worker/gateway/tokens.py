"""Who may use the gateway: bearer tokens (RFC 6750), of which only SHA-256 is kept.

A token is 256 random bits, so a fast hash is enough: there is nothing to guess that a slow one would
slow down. The file is read for each request, so that what is revoked is refused at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from bcd_model.atomic import replacing
from bcd_model.errors import OutputError, SettingsError, UsageError
from bcd_model.reading import reading
from worker.study.scan import now

LOCAL = "local"
"""Name of the token that ``bcd-admin up`` makes for this machine."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_PREFIX = "bcd_"  # so that a token that has leaked is recognised
_LONGEST = 200  # characters of a token that is looked at
_AS_WRITTEN = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, slots=True, config=_AS_WRITTEN)
class Token:
    """One token, as it is kept.

    Attributes:
        name: who has it; shown in the log and to its holder.
        id: what its jobs are kept under; another token of the same name has another one.
        sha256: of the token itself, in hexadecimal.
        created: when it was made, ISO 8601.
    """

    name: str
    id: str
    sha256: str
    created: str


@dataclass(frozen=True, slots=True, config=_AS_WRITTEN)
class _File:
    tokens: tuple[Token, ...]


_FILE = TypeAdapter(_File)


class Tokens:
    """The tokens in ``folder``, which is this user's alone.

    Attributes:
        path: the file that they are kept in.

    Raises:
        SettingsError: at every use: the file is damaged or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "tokens.json"

    def all(self) -> tuple[Token, ...]:
        """Every token, the oldest first."""
        with reading(self.path, SettingsError, "correct or remove that file"):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                return ()
            return _FILE.validate_json(content).tokens

    def identify(self, secret: str) -> Token | None:
        """The token that ``secret`` is; None if it is not known. Takes the same time for every secret."""
        given = hashlib.sha256(secret[:_LONGEST].encode(errors="surrogateescape")).hexdigest()
        found = None
        for token in self.all():
            if hmac.compare_digest(token.sha256, given):
                found = token
        return found

    def create(self, name: str) -> str:
        """Make a token; it is returned here and never again.

        Raises:
            UsageError: ``name`` cannot be one, or is in use.
            OutputError: it cannot be written.
        """
        if not _NAME.fullmatch(name):
            remedy = "use up to 64 letters, digits and _ . @ -, a letter or digit first"
            raise UsageError(f"{name!r} is not a name for a token", remedy)
        secret = _PREFIX + secrets.token_urlsafe(32)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        with self._changing() as tokens:
            if any(token.name == name for token in tokens):
                raise UsageError(
                    f"there is a token {name!r} already", "revoke it first, or give another name"
                )
            tokens.append(Token(name, secrets.token_hex(8), digest, now().isoformat()))
        return secret

    def revoke(self, name: str) -> None:
        """Refuse a token from now on.

        Raises:
            UsageError: there is none of that name.
            OutputError: the file cannot be written.
        """
        with self._changing() as tokens:
            kept = [token for token in tokens if token.name != name]
            if len(kept) == len(tokens):
                raise UsageError(f"no token {name!r}", "bcd-admin token list shows them")
            tokens[:] = kept

    def local(self) -> Path:
        """The file with the secret of this machine's own token, readable by this user alone.

        Both are made if they are not there, or do not belong together any more.
        """
        path = self._folder / "local-token"
        try:
            known = self.identify(path.read_text().strip())
        except (OSError, UnicodeDecodeError):
            known = None
        if known is None:
            if any(token.name == LOCAL for token in self.all()):
                self.revoke(LOCAL)
            self._write(path, self.create(LOCAL) + "\n")
        return path

    @contextmanager
    def _changing(self) -> Iterator[list[Token]]:
        """The tokens to be changed in place; one process at a time."""
        path = self._folder / "tokens.lock"
        try:
            lock = path.open("a")
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror or error}"
            raise OutputError(message, "correct its folder's permissions") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = list(self.all())
            yield tokens
            self._write(self.path, _FILE.dump_json(_File(tuple(tokens)), indent=1).decode())

    def _write(self, path: Path, text: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            with replacing(path) as staged, os.fdopen(os.open(staged, flags, 0o600), "w") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            message = f"{path} cannot be written: {error.strerror or error}"
            raise OutputError(message, "correct its folder's permissions, or free space there") from error
