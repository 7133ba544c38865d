"""What stands in a results folder, and whose it is: by the job id in ``result.json``, never by its place."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from converters.results.outcome import Extent
from converters.results.result_json import FILE_NAME
from converters.results.result_schema import AnyFilm, AnyResult, checked
from worker.study.outcome import Tally

_MOST = 64 << 20  # bytes of a result.json that is read
_LOOKS = 100  # at a folder that others replace all the time
_HEAD = 4096  # bytes in which our own states its job
# The first three keys as our writer writes them; whatever else is read as a whole.
_JOB = re.compile(
    rb'\{\s*"schema_version": \d+,\s*"disclaimer": "(?:[^"\\]|\\.)*",\s*"job_id": "([0-9A-Za-z]+)"'
)


class Content(NamedTuple):
    """What distinguishes one film of a study from others.

    Attributes:
        digest: as in `converters.films.studies.FilmSource`; in a result of an earlier version the SHA-256 of
            the file, None in one of version 0.1, which has none.
        all_sha256: as there.
        sha256: of its file; None likewise.
        facts: as there; "" in a result of an earlier version.
        pixel_digest: of its stored values; None if it was not scanned, or by an earlier version.
    """

    sop_instance_uid: str | None
    digest: str | None
    all_sha256: tuple[str, ...] = ()
    sha256: str | None = None
    facts: str = ""
    pixel_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What a results folder says of the job that made it.

    Attributes:
        created: the time of the job from which the UIDs and dates of its objects follow.
        looked_at: how much of the study was looked at.
        tally: what was found.
        contents: what identifies its films.
    """

    job_id: str
    created: datetime | None
    looked_at: Extent
    tally: Tally
    contents: tuple[Content, ...]


def published(folder: Path) -> Published | None:
    """The result that stands in ``folder``; None if there is none that can be read."""
    found = None
    for fd in _looks(folder):
        found = published_at(fd)
        if found is not None:
            break
    return found


def published_at(folder: int) -> Published | None:
    """As `published`, for an open folder."""
    try:
        result = checked(json.loads(_read(folder, _MOST)), AnyResult)
        created = datetime.fromisoformat(result.created) if result.created else None
    except (OSError, ValueError, RecursionError):
        return None
    outcomes = [film.status for film in result.films]
    findings = [finding for film in result.films for finding in film.findings]
    return Published(
        result.job_id,
        created if created is not None and created.tzinfo is not None else None,
        result.looked_at or _looked_at(outcomes),
        Tally(
            scanned=outcomes.count("scanned"),
            failed=outcomes.count("failed"),
            excluded=outcomes.count("excluded"),
            flagged=sum(any(finding.presented for finding in film.findings) for film in result.films),
            highest=round(max((1.0 - finding.probability.normal for finding in findings), default=0.0), 6),
        ),
        tuple(map(_content, result.films)),
    )


def _content(film: AnyFilm) -> Content:
    digest = film.film_digest or film.sha256
    facts = film.facts_digest or ""
    return Content(film.sop_instance_uid, digest, film.all_sha256, film.sha256, facts, film.pixel_digest)


def _looked_at(outcomes: Sequence[str]) -> Extent:
    """How much of a study was looked at, of a result of version 0.1, which does not say so."""
    scanned = outcomes.count("scanned")
    return "all" if scanned == len(outcomes) else "some" if scanned else "none"


def job_of(folder: Path) -> str | None:
    """The job whose result stands in ``folder``, "" if that is not known; None if there is no result."""
    job: str | None = None
    for fd in _looks(folder):
        job = job_at(fd)
        if job:
            break
    return job


def job_at(folder: int) -> str | None:
    """As `job_of`, for an open folder."""
    try:
        found = _JOB.match(_read(folder, _HEAD))
        if found is not None:
            return found[1].decode()
        content = json.loads(_read(folder, _MOST))
        return str(content["job_id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _looks(folder: Path) -> Iterator[int]:
    """``folder``, opened; once more as long as another folder has taken its place meanwhile.

    A result that is replaced is deleted, maybe between opening its folder and reading it: there is a result
    at every moment, and every reader has to find it.
    """
    for _ in range(_LOOKS):
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError):  # a share that is away, a path that is none
            return
        try:
            yield fd
            here, there = os.fstat(fd), folder.stat()
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return
        except OSError:
            return
        finally:
            os.close(fd)


def _read(folder: int, most: int) -> bytes:
    """The ``result.json`` of an open folder, no more than the first ``most`` bytes.

    Raises:
        FileNotFoundError: there is none.
        OSError, ValueError: what is called so is a link, no file, or too large to be one of ours.
    """
    # A pipe of that name must not hold the reader up.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(FILE_NAME, flags, dir_fd=folder), "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST:
            raise ValueError("no result.json")
        return stream.read(most)
