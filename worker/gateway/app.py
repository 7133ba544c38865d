"""The gateway's ASGI application: routes below ``/api/v1``, and what every error becomes."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from bcd_model import __version__
from bcd_model.detector.prevalence import in_force
from bcd_model.errors import BcdError, QueueError
from bcd_model.weights import read_info
from bcd_model.words import DISCLAIMER
from worker.gateway import jobs, openapi, regions, results
from worker.gateway.access import Grants
from worker.gateway.dependencies import Gateway, Here, Whose
from worker.gateway.limits import Rates, Slots, Turns
from worker.gateway.middleware import Middleware
from worker.gateway.openapi import Api
from worker.gateway.problems import ProblemError, not_found, respond, try_again
from worker.gateway.schema import Error, Health, Info, Limits
from worker.gateway.storage.folders import Folders, private_root
from worker.gateway.tokens import Tokens
from worker.gateway.upload.inspector import Inspector
from worker.gateway.upload.memory import give_back
from worker.logs import event
from worker.pool.app import make_messages
from worker.queue.records import Records
from worker.queue.regions import Regions
from worker.settings import Settings

BASE = "/api/v1"

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TURNS = 4  # uploads that are looked through and submitted at the same time, each of another token

_router = APIRouter(tags=["gateway"])


@_router.get("/health", responses={503: {"description": "The queue cannot be reached"}})
def health(here: Here) -> Health:
    """Whether the gateway runs and reaches its queue. Needs no token."""
    here.records.ping()
    return Health(status="ok", version=__version__)


@_router.get("/info", responses=jobs.PROBLEMS)
def info(here: Here, token: Whose) -> Info:
    """What this gateway is, takes, and has to do."""
    figures = here.records.figures()
    settings = here.settings
    return Info(
        version=__version__,
        disclaimer=DISCLAIMER,
        model=here.weights.identity,
        operating_point=in_force(here.weights.operating_point, settings.prevalence, settings.threshold),
        limits=Limits(bytes=settings.gateway_upload_bytes, files=settings.gateway_upload_files),
        workers=figures.workers,
        queued=sum(figures.waiting.values()) + figures.later,
        token=token.name,
    )


_ROUTERS = (_router, jobs.router, results.router, regions.router, openapi.router)


def make_gateway(settings: Settings) -> Gateway:
    """A gateway to the queue that ``settings`` names.

    Raises:
        OutputError: its folder cannot be used.
        ModelError: the weight file cannot be used.
    """
    root = private_root(settings)
    url = settings.broker_url or ""
    # so much counts as age while no gateway runs: what was sent last is never too old at the next start
    away = settings.gateway_upload_hours * 3600 / 2
    return Gateway(
        settings=settings,
        records=Records(url),
        messages=make_messages(settings),
        weights=read_info(settings.model),
        folders=Folders(root, settings.gateway_free_bytes, away),
        grants=Grants(url, settings.record_days),
        tokens=Tokens(root),
        rates=Rates(settings.gateway_requests),
        slots=Slots(settings.gateway_uploads, none_left=give_back),
        inspector=Inspector(settings.gateway_look_seconds),
        regions=Regions(url),
        turns=Turns(_TURNS),
    )


def make_asgi(here: Gateway) -> ASGIApp:
    """The application of ``here``."""
    api = Api(
        title="BCD gateway",
        version=__version__,
        description=f"Studies in, jobs watched, results out. {DISCLAIMER}",
        openapi_url=f"{BASE}/openapi.json",
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={500: {"model": Error, "description": "The gateway is out of order"}},
    )
    api.state.gateway = here
    for router in _ROUTERS:
        api.include_router(router, prefix=BASE)
    for kind in (ProblemError, BcdError, OSError, HTTPException, RequestValidationError, Exception):
        api.add_exception_handler(kind, _answer)
    return Middleware(api, here.settings.gateway_idle_seconds)


async def _answer(request: Request, error: Exception) -> Response:
    return respond(request, _problem_of(request, error))


def _problem_of(request: Request, error: Exception) -> ProblemError:
    """What ``error`` is to the client; what is wrong with the queue or this machine is logged."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        return _problem_of_http(request, error)
    if isinstance(error, RequestValidationError):  # a parameter; what was sent is not repeated
        faults = (f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()[:3])
        return ProblemError(422, "; ".join(faults))
    if isinstance(error, QueueError):
        event("queue lost", logging.ERROR, error=error)
        return try_again(503, "the queue does not answer; try again in a moment")
    if isinstance(error, BcdError | OSError):  # what is none of these is logged as it leaves the application
        event("request broke", logging.ERROR, request=request.state.request_id, error=error)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return ProblemError(507, "there is no room on the gateway's disk; report it to its administrator")
    if isinstance(error, OSError):
        return ProblemError(503, "the gateway's disk cannot be used; report it to its administrator")
    return ProblemError(500, "the gateway is out of order; report it to its administrator")


def _problem_of_http(request: Request, error: HTTPException) -> ProblemError:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return not_found()
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # Starlette names the methods of one route only
        headers["Allow"] = ", ".join(sorted(_methods(request)))
        return ProblemError(error.status_code, f"this address takes {headers['Allow']}", headers)
    return ProblemError(error.status_code, HTTPStatus(error.status_code).phrase.lower(), headers)


def _methods(request: Request) -> set[str]:
    """The methods that the path of ``request`` takes; HEAD wherever GET is."""
    path = request.url.path
    below = [(path.removeprefix(BASE), route) for router in _ROUTERS for route in router.routes]
    routes = [*below, *((path, route) for route in request.app.routes)]  # the last: FastAPI's own
    fitting = [route for at, route in routes if isinstance(route, Route) and route.path_regex.fullmatch(at)]
    taken = {method for route in fitting for method in route.methods or ()}
    return taken | {"HEAD"} if "GET" in taken else taken
