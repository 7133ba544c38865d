"""What the gateway answers when it cannot do what it is asked: ``application/problem+json`` (RFC 9457).

A `ProblemError` is raised wherever one is found. Its text is for the client, so it names no path, host or
setting of this machine, and nothing that a film's header says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
_SHOWN = 200  # skipped files that one answer lists; the answer says how many more there are


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of an upload that is part of no study, by the client's name for it, and why."""

    file: str
    reason: str


def skipped_fields(skipped: Sequence[Skipped]) -> dict[str, object]:
    """The skipped files as fields of an answer: the first of them, and how many more there are."""
    shown = [asdict(file) for file in skipped[:_SHOWN]]
    return {"skipped": shown, "skipped_more": len(skipped) - len(shown)}


class ProblemError(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        detail: what is wrong and what can be done, one line.
        headers: to be sent with it.
        skipped: the files of an upload that could not be used, and why.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        super().__init__(status, detail, headers, skipped)  # all of them, for pickle
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.skipped = tuple(skipped)

    def __str__(self) -> str:
        return self.detail


def try_again(status: int, detail: str, seconds: float = 5) -> ProblemError:
    """A problem that may have passed after ``seconds``."""
    return ProblemError(status, detail, headers={"Retry-After": str(max(1, round(seconds)))})


def not_found() -> ProblemError:
    """There is no such thing, or it is another token's: the two are not distinguished."""
    return ProblemError(404, "there is no such thing, or it belongs to another token")


def respond(request: Request, problem: ProblemError) -> Response:
    """The answer to ``request``."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "request_id": getattr(request.state, "request_id", ""),
    }
    if problem.skipped:
        content |= skipped_fields(problem.skipped)
    return JSONResponse(content, problem.status, problem.headers, media_type=MEDIA_TYPE)
