"""Watches a results folder while workers publish in it: what became visible, and whether it changed."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

_POLL = 0.05  # seconds; more where the folder holds so much that a look takes longer
_SHARE = 0.1  # of one core, at most

Digests = dict[str, str]
"""SHA-256 of every file of a result, by its path in the result's folder."""


@dataclass
class Seen:
    """One published result over time.

    Attributes:
        first: when it was first seen, by `time.monotonic`.
        mark: inode and times of its folder, which no second publication shares.
        digests: of its files, when it was last seen to have changed.
        publications: how often it was seen to be published.
        changes: what was not the same as before, one line each.
    """

    first: float
    mark: tuple[int, int, int]
    digests: Digests
    publications: int = 1
    changes: list[str] = field(default_factory=list)


class Watcher:
    """Looks at the folder ``root`` many times a second, until it is closed; a context manager."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: dict[str, Seen] = {}
        self.vanished: dict[str, float] = {}
        self.allowed: set[str] = set()  # may vanish, for the harness deletes them itself
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def published(self) -> int:
        """How many results have been seen."""
        return len(self.seen)

    def _watch(self) -> None:
        while not self._stop.is_set():
            since = time.monotonic()
            self.look()
            self._stop.wait(max(_POLL, (time.monotonic() - since) / _SHARE))

    def look(self, *, closely: bool = False) -> None:
        """Compare all results with what was seen of them; ``closely``: read even what has not moved."""
        with self._lock:
            there = {}
            for name in _names(self.root):
                if not name.startswith("."):
                    mark = _mark(self.root / name)
                    if mark is not None:
                        there[name] = mark
            for name, mark in there.items():
                before = self.seen.get(name)
                if before is None or before.mark != mark or closely:
                    self._read(name, before)
            for name in self.seen.keys() - there.keys() - self.vanished.keys():
                self.vanished[name] = time.monotonic()

    def _read(self, name: str, before: Seen | None) -> None:
        folder = self.root / name
        while (mark := _mark(folder)) is not None:
            digests = digests_of(folder)
            if _mark(folder) != mark:
                continue  # exchanged under our eyes
            if before is None:
                self.seen[name] = Seen(time.monotonic(), mark, digests)
                return
            if before.mark != mark or name in self.vanished:
                before.publications += 1
                self.vanished.pop(name, None)
            for path in sorted(digests.keys() | before.digests.keys()):
                if digests.get(path) != before.digests.get(path):
                    before.changes.append(f"{name}/{path} has changed after it was published")
            before.mark, before.digests = mark, digests
            return

    def doubled(self) -> list[str]:
        """Every result that was ever another one than at first, or is not where it belongs."""
        found = [change for seen in self.seen.values() for change in seen.changes]
        found += [f"{name} was taken away" for name in sorted(self.vanished.keys() - self.allowed)]
        return found

    def left_over(self) -> list[str]:
        """Hidden entries in the results folder: what is staged, or was and has been left."""
        return sorted(name for name in _names(self.root) if name.startswith("."))


def digests_of(folder: Path) -> Digests:
    """The digests of all files below ``folder``; a file that goes meanwhile is left out."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
            except FileNotFoundError:
                continue
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []


def _mark(folder: Path) -> tuple[int, int, int] | None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns
