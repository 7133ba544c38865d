"""Routes of results: list, one file, all of them as a zip, the report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response

from worker.gateway.dependencies import Gateway, Here, Whose
from worker.gateway.jobs import CONDITIONS, PROBLEMS
from worker.gateway.middleware import REPORT_POLICY
from worker.gateway.problems import ProblemError, not_found
from worker.gateway.representation import send_file
from worker.gateway.schema import Result, ResultFile
from worker.gateway.storage.result_files import OpenFile, ResultFolder, with_result, zip_of
from worker.queue.job import Record

T = TypeVar("T")

router = APIRouter(tags=["results"], responses=PROBLEMS | {409: {"description": "None yet"}})

_TYPES = {".json": "application/json", ".dcm": "application/dicom", ".html": "text/html"}
_OTHER = "application/octet-stream"
_REPORT = "report.html"


def _one_file(*types: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route that sends a file."""
    content: dict[str, Any] = {kind: {} for kind in types}
    return CONDITIONS | {
        200: {"content": content, "description": "The file"},
        206: {"content": content, "description": "The range of Range"},
        416: {"description": "No such range; see Content-Range"},
    }


@router.get("/jobs/{job_id}/results")
def results(job_id: str, here: Here, token: Whose) -> Result:
    """The files of a result."""
    record = here.record(job_id, token)

    def listed(folder: ResultFolder) -> list[ResultFile]:
        files = []
        for found in folder.files():
            with folder.open(found.path) as file:
                files.append(
                    ResultFile(
                        path=found.path,
                        size=file.found.size,
                        sha256=file.sha256(),
                        content_type=_content_type(found.path),
                    )
                )
        if not folder.stands:  # what was missed is the old result's
            raise FileNotFoundError
        return files

    files = _of_result(here, record, listed)
    return Result(job_id=record.job_id, study_instance_uid=record.study_instance_uid, files=files)


@router.get(
    "/jobs/{job_id}/results.zip",
    response_class=Response,
    responses=_one_file("application/zip"),
)
def everything(job_id: str, request: Request, here: Here, token: Whose) -> Response:
    """All files of a result in one zip, not compressed; or a range of it."""
    record = here.record(job_id, token)
    content, files = _of_result(here, record, partial(zip_of, place=here.folders.results.parent))
    identities = [(found.path, *found.identity) for found in files]
    disposition = f'attachment; filename="{record.study_instance_uid}.zip"'
    return send_file(
        request,
        content,
        tag=hashlib.sha256(repr(identities).encode()).hexdigest(),
        media_type="application/zip",
        modified=max(found.modified for found in files),
        headers={"Content-Disposition": disposition},
    )


@router.get(
    "/jobs/{job_id}/results/{path:path}",
    response_class=Response,
    responses=_one_file(*_TYPES.values(), _OTHER),
)
def one(job_id: str, path: str, request: Request, here: Here, token: Whose) -> Response:
    """One file of a result, by its path in the list; or a range of it."""
    return _file(path, request, here.record(job_id, token), here)


@router.get("/jobs/{job_id}/report", response_class=Response, responses=_one_file("text/html"))
def report(job_id: str, request: Request, here: Here, token: Whose) -> Response:
    """The report of a study, for a browser: one page, without scripts."""
    return _file(_REPORT, request, here.record(job_id, token), here)


def _file(path: str, request: Request, record: Record, here: Gateway) -> Response:
    def opened(folder: ResultFolder) -> OpenFile | None:
        try:
            return folder.open(path)
        except FileNotFoundError:
            if folder.stands:
                return None
            raise

    file = _of_result(here, record, opened)
    if file is None:
        raise not_found()
    kind = _content_type(path)
    page = kind == "text/html"
    return send_file(
        request,
        file,
        tag=file.sha256(),
        media_type=f"{kind}; charset=utf-8" if page else kind,
        modified=file.found.modified,
        headers={"Content-Security-Policy": REPORT_POLICY} if page else {},
    )


def _of_result(here: Gateway, record: Record, use: Callable[[ResultFolder], T]) -> T:
    """What ``use`` makes of the result of a job.

    Raises:
        ProblemError: 409: there is none.
    """
    try:
        return with_result(here.folders.results, record.job_id, record.study_instance_uid, use)
    except FileNotFoundError as error:
        detail = f"there is no result: the job is {record.state}"
        if record.state in ("done", "done with failures"):
            detail = "its result is not kept any more; submit the study again"
        raise ProblemError(409, detail) from error


def _content_type(path: str) -> str:
    return _TYPES.get(PurePosixPath(path).suffix, _OTHER)
