"""Routes of regions: one circle on one film, classified as the paper does."""

from __future__ import annotations

import math
import secrets
from functools import partial

from fastapi import APIRouter, Request

from bcd_model.errors import UsageError
from worker.gateway.dependencies import Gateway, Here, Whose
from worker.gateway.jobs import PROBLEMS, UPLOAD_PROBLEMS
from worker.gateway.problems import ProblemError, not_found
from worker.gateway.schema import RegionAccepted, RegionAnswer
from worker.gateway.tokens import Token
from worker.gateway.upload.contents import look_at_film
from worker.gateway.upload.form import Form
from worker.gateway.upload.receive import form_body, received
from worker.queue.regions import RegionRecord, check_inside

router = APIRouter(tags=["regions"])

_PLACE = ("center_row", "center_column", "radius")
_NUMBER = {"type": "number", "description": "source pixels; (0, 0) is the centre of the top-left one"}
_FORM = form_body(
    ["file", *_PLACE],
    {
        "file": {"type": "string", "format": "binary", "description": "one DICOM film"},
        **dict.fromkeys(_PLACE, _NUMBER),
    },
)


@router.post("/regions", status_code=202, responses=PROBLEMS | UPLOAD_PROBLEMS, openapi_extra=_FORM)
async def ask(request: Request, here: Here, token: Whose) -> RegionAccepted:
    """Have one region of a film classified: normal, benign or malignant."""
    upload = received(request, here, token, file_part="file", fields=_PLACE, most_files=1)
    async with upload as (form, _):
        take = partial(_take, here, form, token)
        return await here.turns.run(token.id, take)


@router.get("/regions/{region_id}", responses=PROBLEMS)
def answer(region_id: str, here: Here, token: Whose) -> RegionAnswer:
    """What a region is, once it is known; kept for an hour."""
    record = here.regions.get(region_id)
    if record is None or record.owner != token.id:
        raise not_found()
    here.regions.send_again(record, here.messages)
    state = "queued" if record.state == "running" else record.state
    return RegionAnswer(
        state=state,
        label=record.probability.label if record.probability else None,
        probability=record.probability,
        model=record.model,
        warnings=list(record.warnings),
        reason=str(record.reason) if record.reason else None,
    )


def _take(here: Gateway, form: Form, token: Token) -> RegionAccepted:
    row, column, radius = (_number(form, name) for name in _PLACE)
    if not form.files:
        raise ProblemError(422, "the form holds no film; send it as the part 'file'")
    path = form.files[0].path
    if path.stat().st_size > here.settings.gateway_film_bytes:
        raise ProblemError(413, f"the film has more than {here.settings.gateway_film_bytes} bytes")
    try:
        check_inside((row, column), radius, here.inspector.run(partial(look_at_film, path)))
    except UsageError as error:
        raise ProblemError(422, str(error.reason)) from error
    region = secrets.token_hex(16)
    film = here.folders.keep_region(path, region)
    here.regions.add(RegionRecord(region, film, (row, column), radius, token.id))
    here.messages.send_region(region)
    return RegionAccepted(region_id=region)


def _number(form: Form, name: str) -> float:
    try:
        value = float(form.fields[name])
    except KeyError as error:
        raise ProblemError(422, f"the field {name!r} is missing") from error
    except ValueError as error:
        raise ProblemError(422, f"the field {name!r} is not a number") from error
    if not math.isfinite(value):
        raise ProblemError(422, f"the field {name!r} is not a finite number")
    return value
