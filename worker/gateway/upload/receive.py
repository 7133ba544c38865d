"""Receiving an upload: what every route that takes films does before it looks at them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from anyio import CancelScope, to_thread
from fastapi import Request

from worker.gateway.dependencies import Gateway
from worker.gateway.tokens import Token
from worker.gateway.upload.form import Form, read_form


@asynccontextmanager
async def received(
    request: Request,
    here: Gateway,
    token: Token,
    *,
    file_part: str,
    fields: Collection[str],
    most_files: int,
) -> AsyncIterator[tuple[Form, Path]]:
    """The form of a request and the folder of its files, which is gone afterwards, whatever happens.

    It takes one of the slots of ``token`` for as long. The other arguments are those of
    `worker.gateway.upload.form.read_form`, whose errors it raises.

    Raises:
        ProblemError: 503: it has no slot left; or as `read_form` says.
        QueueError: the queue is away.
    """
    settings = here.settings
    with here.slots.taken(token.id):
        await to_thread.run_sync(here.records.ping)  # not first a gigabyte, and then the news
        folder, held = await to_thread.run_sync(here.folders.begin)
        try:
            form = await read_form(
                request,
                folder,
                file_part=file_part,
                fields=fields,
                most_bytes=settings.gateway_upload_bytes,
                most_files=most_files,
                seconds=settings.gateway_upload_seconds,
                check_room=here.folders.check_room,
            )
            yield form, folder
        finally:
            with CancelScope(shield=True):  # it is deleted whatever happens, and no request waits meanwhile
                await to_thread.run_sync(here.folders.end, folder, held)


def form_body(required: Sequence[str], properties: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of the form, for a route's ``openapi_extra``."""
    schema = {"type": "object", "required": list(required), "properties": dict(properties)}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
