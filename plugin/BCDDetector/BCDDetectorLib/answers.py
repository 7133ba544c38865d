"""Turns the gateway's answers into values, and its refusals into errors, one kind each."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import requests

from .errors import (
    BadAnswerError,
    GatewayError,
    NotFoundError,
    OverloadedError,
    RefusedError,
    TooManyError,
    UnreachableError,
)

_ENDED = ("done", "done with failures", "failed", "cancelled")
_TEXT = 500


@dataclass(frozen=True)
class Job:
    """A job as the gateway describes it.

    Attributes:
        state: queued, running, done, done with failures, failed or cancelled.
        film: the film that is being scanned, from 1; 0 before the first.
    """

    job_id: str
    study_instance_uid: str
    state: str
    film: int = 0
    films: int = 0
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in _ENDED

    @property
    def has_result(self) -> bool:
        """Whether its results can be fetched."""
        return self.state in ("done", "done with failures")


@dataclass(frozen=True)
class Submission:
    """What became of the files that were sent.

    Attributes:
        skipped: one line for each file that is not part of a job.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Info:
    """What the gateway says of itself.

    Attributes:
        max_bytes, max_files: of one submission; None if it does not say.
        workers: how many are at work; None if it does not say.
    """

    version: str
    model: str
    workers: int | None
    max_bytes: int | None
    max_files: int | None


def read_json(response: requests.Response) -> dict[str, Any]:
    """The object that the gateway answered.

    Raises:
        BadAnswerError: no JSON object.
    """
    found = _parsed(response)
    if not isinstance(found, dict):
        raise BadAnswerError("what answers there is not a BCD gateway; check the address", describe(response))
    return found


def job(value: object) -> Job:
    """One JOB of the contract.

    Raises:
        BadAnswerError: a key is missing or of another type.
    """
    entry = _object(value, "job")
    return Job(
        job_id=text(entry, "job_id"),
        study_instance_uid=text(entry, "study_instance_uid"),
        state=text(entry, "state"),
        film=_whole(entry.get("film")) or 0,
        films=_whole(entry.get("films")) or 0,
        reason=shown(entry.get("reason") or ""),
    )


def jobs(value: Mapping[str, Any]) -> tuple[Job, ...]:
    """The jobs of an answer, in its order."""
    return tuple(job(item) for item in _list(value, "jobs"))


def submission(value: Mapping[str, Any]) -> Submission:
    """The answer to a submit."""
    skipped = tuple(
        f"{shown(entry.get('file', 'a file'))}: {shown(entry.get('reason', 'not taken'))}"
        for entry in (_object(item, "skipped") for item in _list(value, "skipped"))
    )
    return Submission(jobs(value), skipped)


def info(value: Mapping[str, Any]) -> Info:
    """The answer to /info."""
    model = value.get("model") or {}
    limits = value.get("limits") or {}
    if not isinstance(model, dict) or not isinstance(limits, dict) or "version" not in value:
        raise BadAnswerError(
            "the gateway says nothing of itself that this module understands; update one of them"
        )
    return Info(
        version=shown(value["version"]),
        model=shown(f"{model.get('name', 'unknown model')} {model.get('version', '')}".strip()),
        workers=_whole(value.get("workers")),
        max_bytes=_whole(limits.get("bytes")),
        max_files=_whole(limits.get("files")),
    )


def raise_for(response: requests.Response) -> NoReturn:
    """Raise the error of a refusal (problem+json, RFC 9457)."""
    status, details, said = response.status_code, describe(response), _said(response)
    kinds: dict[int, tuple[type, str]] = {
        400: (GatewayError, "the gateway cannot use what was sent"),
        401: (RefusedError, "the gateway does not know this token; enter another one"),
        403: (RefusedError, "this token may not do that; ask the administrator of the gateway"),
        404: (NotFoundError, "not found: there is no BCD gateway at this address, or the job is gone"),
        408: (UnreachableError, "the connection was too slow for the gateway; try again"),
        409: (NotFoundError, "the job has no results yet"),
        413: (GatewayError, "too large: the gateway does not take so much at once"),
        415: (GatewayError, "the gateway found no film in what was sent"),
        422: (GatewayError, "the gateway found nothing that it can scan"),
        507: (GatewayError, "the gateway's disk is full; inform its administrator"),
    }
    if status in (429, 503):
        wait = _retry_after(response)
        when = "" if wait is None else f" in {wait:.0f} s"
        if status == 429:
            raise TooManyError(f"too many requests with this token; try again{when}", details, wait)
        raise OverloadedError(
            f"the gateway is overloaded or its queue is away; try again{when}", details, wait
        )
    kind, message = kinds.get(status, (BadAnswerError, f"the gateway answered with status {status}"))
    error: GatewayError = kind(f"{message} ({said})" if said else message, details)
    raise error


def describe(response: requests.Response) -> str:
    """Status, place and request id of an answer, to find the fault by; never the token."""
    request = response.request
    lines = [
        f"{request.method} {request.url}",
        f"status {response.status_code} {response.reason or ''}".strip(),
    ]
    request_id = response.headers.get("X-Request-ID")
    if request_id:
        lines.append(f"request id {request_id}")
    said = _said(response)
    if said:
        lines.append(said)
    return "\n".join(lines)


def _said(response: requests.Response) -> str:
    """What the problem document says, else nothing."""
    if "json" not in response.headers.get("Content-Type", ""):
        return ""
    problem = _parsed(response)
    if not isinstance(problem, dict):
        return ""
    said = problem.get("detail") or problem.get("title") or ""
    return shown(said) if isinstance(said, str) else ""


def _parsed(response: requests.Response) -> Any:
    """The JSON that was answered, None if it is none."""
    try:
        return response.json()
    except ValueError:
        return None


def shown(value: object) -> str:
    """What a gateway says, fit for a window: Qt would take text with tags in it for a page to be laid out."""
    return "".join(c for c in str(value)[:_TEXT] if c.isprintable() and c not in "<>")


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of Retry-After (RFC 9110 10.2.3): a number or a date."""
    value = response.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, IndexError):
        return None


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadAnswerError(
            f"the gateway's answer has no {what} that this module understands; update one of them"
        )
    return value


def _list(value: Mapping[str, Any], key: str) -> list[Any]:
    found = value.get(key)
    if not isinstance(found, list):
        raise BadAnswerError(f"the gateway's answer has no list '{key}'; update it or this module")
    return found


def text(value: Mapping[str, Any], key: str) -> str:
    """The text of a key.

    Raises:
        BadAnswerError: there is none.
    """
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise BadAnswerError(f"the gateway's answer has no '{key}'; update it or this module")
    return found


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
