"""Files as HTTP has them (RFC 9110): validators, preconditions, one range of bytes.

Starlette's ``FileResponse`` opens a path, where a result is read by descriptor; it knows no preconditions,
and refuses a range that it cannot read, which the RFC ignores.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from email.utils import formatdate, parsedate_to_datetime

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from worker.gateway.problems import ProblemError
from worker.gateway.storage.result_files import OpenFile

_RANGE = re.compile(r"\s*bytes\s*=[\s,]*(\d{0,99})-(\d{0,99})[\s,]*", re.ASCII | re.IGNORECASE)


def validators(tag: str, modified: float | None = None) -> dict[str, str]:
    """The headers by which a client recognises a version.

    Args:
        tag: entity tag without quotes, another one whenever a byte is another one; hexadecimal.
        modified: seconds since 1970; a date that lies ahead is not sent (RFC 9110 8.8.2.1).
    """
    headers = {"ETag": f'"{tag}"'}
    if modified is not None and modified <= time.time():
        headers["Last-Modified"] = formatdate(int(modified), usegmt=True)
    return headers


def is_unchanged(request: Request, version: Mapping[str, str]) -> bool:
    """Whether the answer is 304, by the preconditions in their order (RFC 9110 13.2.2).

    Args:
        version: its `validators`.

    Raises:
        ProblemError: 412.
    """
    tag, modified = version["ETag"], _seconds(version.get("Last-Modified"))
    match, none_match = (
        ",".join(request.headers.getlist(name)).strip() for name in ("if-match", "if-none-match")
    )
    unmodified_since, modified_since = (
        _seconds(request.headers.get(name)) for name in ("if-unmodified-since", "if-modified-since")
    )
    if match:
        holds = match == "*" or re.search(f"(?<!W/){tag}", match) is not None  # strong comparison
    else:
        holds = modified is None or unmodified_since is None or modified <= unmodified_since
    if not holds:
        raise ProblemError(412, "it has changed meanwhile, or is not what was asked for")
    if none_match:
        return none_match == "*" or tag in none_match
    return modified is not None and modified_since is not None and modified <= modified_since


def send_file(
    request: Request,
    file: OpenFile,
    *,
    tag: str,
    media_type: str,
    modified: float,
    headers: Mapping[str, str],
) -> Response:
    """The answer to GET or HEAD; ``file`` is closed with it.

    Args:
        tag, modified: as in `validators`.
        headers: beside those that follow from the others.

    Raises:
        ProblemError: 412: a precondition does not hold; 416: no such range.
    """
    with ExitStack() as stack:
        stack.enter_context(file)
        version = validators(tag, modified)
        if is_unchanged(request, version):
            return Response(status_code=304, headers=version)
        sent = {**version, "Accept-Ranges": "bytes", **headers}
        if request.scope["state"].get("head"):  # a range is for GET alone
            return Response(headers={**sent, "Content-Length": str(file.found.size)}, media_type=media_type)
        part = _range(request, version, file.found.size)
        start, end = part or (0, file.found.size)
        sent["Content-Length"] = str(end - start)
        if part:
            sent["Content-Range"] = f"bytes {start}-{end - 1}/{file.found.size}"
        stack.pop_all()

    def blocks() -> Iterator[bytes]:
        with file:
            yield from file.blocks(start, end)

    return StreamingResponse(blocks(), 206 if part else 200, sent, media_type)


def _range(request: Request, version: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """The first byte of the range that is asked for, and the one after its last.

    None: the whole, which several ranges and one that cannot be read get, too (RFC 9110 14.2).

    Raises:
        ProblemError: 416.
    """
    match = _RANGE.fullmatch(",".join(request.headers.getlist("range")))
    fits = request.headers.get("if-range", version["ETag"]).strip() in version.values()  # RFC 9110 13.1.5
    if match is None or not fits or not any(match.groups()):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None:
        start, end = max(0, size - (last or 0)), size
    else:
        start, end = first, size if last is None else min(last + 1, size)
        if last is not None and last < first:
            return None
    if start >= end:
        detail = f"the range begins behind the end of the file, which has {size} bytes"
        raise ProblemError(416, detail, headers={"Content-Range": f"bytes */{size}"})
    return start, end


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None
