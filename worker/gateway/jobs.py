"""Routes of jobs: submit, look, cancel."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Annotated, Any, cast

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from worker.gateway.dependencies import Gateway, Here, Whose
from worker.gateway.problems import ProblemError, skipped_fields
from worker.gateway.representation import is_unchanged, validators
from worker.gateway.schema import Accepted, Job, Jobs, Submission, job_of
from worker.gateway.upload.receive import form_body, received
from worker.gateway.upload.submit import take
from worker.queue.submission import Submitted

router = APIRouter(tags=["jobs"])

PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, or one that is not known"},
    404: {"description": "No such thing, or another token's"},
    429: {"description": "Too many requests; see Retry-After"},
    503: {"description": "Overloaded, or the queue is away; see Retry-After"},
}
UPLOAD_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body is not a whole form"},
    408: {"description": "The client sent nothing for too long"},
    413: {"description": "Too many bytes or files"},
    415: {"description": "No multipart/form-data"},
    422: {"description": "Nothing usable in it"},
    507: {"description": "No room on the disk"},
}
CONDITIONS: dict[int | str, dict[str, Any]] = {
    304: {"description": "It is what If-None-Match or If-Modified-Since says that the client has"},
    412: {"description": "It is not what If-Match or If-Unmodified-Since asks for"},
}
_FORCE = {"true": True, "1": True, "false": False, "0": False, "": False}
_FORM = form_body(
    ["files"],
    {
        "files": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "DICOM files, or zips of them",
        },
        "force": {"type": "string", "enum": ["true", "false"], "description": "scan again"},
    },
)


@router.post("/jobs", status_code=202, responses=PROBLEMS | UPLOAD_PROBLEMS, openapi_extra=_FORM)
async def submit(request: Request, here: Here, token: Whose) -> Accepted:
    """Submit studies: one job a study, whatever the upload's shape.

    Sending the same films again does nothing but answer with the job that there is.
    """
    most = here.settings.gateway_upload_files
    upload = received(request, here, token, file_part="files", fields={"force"}, most_files=most)
    async with upload as (form, folder):
        force = _FORCE.get(form.fields.get("force", "").lower())
        if force is None:
            raise ProblemError(422, "the field 'force' is true or false")
        taking = partial(take, here, form.files, folder, token, force=force)
        taken = await here.turns.run(token.id, taking)
    jobs = await to_thread.run_sync(partial(_answers, here, taken.submitted))
    return Accepted.model_validate({"jobs": jobs, **skipped_fields(taken.skipped)})


def _answers(here: Gateway, submitted: tuple[Submitted, ...]) -> list[Job]:
    records = {record.job_id: record for record in here.records.listing([s.job_id for s in submitted])}
    if any(one.job_id not in records for one in submitted):
        raise ProblemError(
            409, "the place of a result is taken by something else; report it to the gateway's administrator"
        )
    return [
        job_of(records[one.job_id], here.folders.results, cast(Submission, one.answer)) for one in submitted
    ]


@router.get("/jobs", response_model_exclude_unset=True, responses=PROBLEMS)
def jobs(
    here: Here,
    token: Whose,
    study_instance_uid: Annotated[str | None, Query(max_length=64, description="those of this study")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Jobs:
    """The jobs of this token, the last submitted first."""
    ids = here.grants.jobs(token.id)
    looked_at = ids if study_instance_uid else ids[:limit]
    records = [
        record
        for record in here.listing(looked_at, token)
        if study_instance_uid in (None, record.study_instance_uid)
    ]
    shown = [job_of(record, here.folders.results) for record in records[:limit]]
    more = len(records) - len(shown) + len(ids) - len(looked_at)
    return Jobs(jobs=shown, more=more) if more else Jobs(jobs=shown)


@router.get(
    "/jobs/{job_id}",
    response_model=Job,
    responses=PROBLEMS | CONDITIONS,
)
def job(job_id: str, request: Request, here: Here, token: Whose) -> Response:
    """One job, and how far it is.

    Ask again with its ``ETag`` in ``If-None-Match``: the answer is 304 while it is the same.
    """
    body = job_of(here.record(job_id, token), here.folders.results).model_dump_json().encode()
    version = validators(hashlib.sha256(body).hexdigest())
    if is_unchanged(request, version):
        return Response(status_code=304, headers=version)
    return Response(body, headers=version, media_type="application/json")


@router.post(
    "/jobs/{job_id}/cancel",
    responses=PROBLEMS | {409: {"description": "Another token, or the command line, waits for it, too"}},
)
def cancel(job_id: str, here: Here, token: Whose) -> Job:
    """End a job, before its next film. One that has ended stays as it is."""
    record = here.record(job_id, token)
    if not record.final:
        with here.deciding.held(job_id):  # no other token may join it between the two
            if not here.waits_alone(record, token):
                detail = "another token, or the command line, waits for this job, too: it goes on"
                raise ProblemError(409, detail)
            here.records.cancel(job_id, "cancelled through the gateway")
        record = here.record(job_id, token)
    return job_of(record, here.folders.results)
