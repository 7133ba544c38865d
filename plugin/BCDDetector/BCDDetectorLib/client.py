"""The gateway's HTTP interface, version 1: one method for each thing that it does.

Every method blocks; the panel calls them from a thread (see ``tasks``).
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Callable
from urllib.parse import quote

import requests

from . import answers
from .address import BASE, clean_address, is_loopback
from .answers import Info, Job, Submission
from .errors import (
    BadAnswerError,
    CancelledError,
    GatewayError,
    InputError,
    NotFoundError,
    TooManyError,
    UnreachableError,
)
from .upload import Multipart, Progress, _ignore
from .words import CLASSES, Point, Probability

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 120.0
"""A large study is read through before its submission is answered."""
QUICK_SECONDS = 10.0
"""For what needs no work: Test connection shall not keep anyone waiting."""
PATIENCE_SECONDS = 60.0
"""How long one request that came too soon after others is put off before it is given up."""
_CHUNK = 1 << 18


class Gateway:
    """One gateway, one token.

    Args:
        address: as the user wrote it.
        token: never saved, never part of an error.
        timeout: seconds until a connection must stand, and seconds without a byte.

    Raises:
        InputError: the address is none.
    """

    def __init__(
        self, address: str, token: str, timeout: tuple[float, float] = (CONNECT_SECONDS, ANSWER_SECONDS)
    ) -> None:
        self.address = clean_address(address)
        token = token.strip()
        if not all(" " < character <= "~" for character in token):
            raise InputError("the token has characters that no token has; copy it again")
        self._token = token
        self._timeout = timeout
        self._wait: Callable[[float], None] | None = None
        self._patience = PATIENCE_SECONDS

    def patient(self, wait: Callable[[float], None], patience: float = PATIENCE_SECONDS) -> Gateway:
        """The same gateway, whose requests wait while it says that there were too many.

        Args:
            wait: waits so many seconds; what it raises ends the request.
            patience: seconds after the first refusal for which a request is put off.
        """
        found = copy.copy(self)
        found._wait, found._patience = wait, patience
        return found

    def info(self) -> Info:
        """What the gateway says of itself, if it and its queue answer; needs a valid token."""
        return answers.info(self._asked("GET", "/info", quick=True))

    def submit(
        self,
        files: Sequence[Path],
        *,
        force: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Progress = _ignore,
    ) -> Submission:
        """Send films; each study among them becomes one job.

        Raises:
            GatewayError: the gateway said before or after that it does not take so much.
        """
        body = Multipart(
            [("files", path) for path in files], {"force": "true"} if force else {}, cancelled, progress
        )
        limits = self.info()
        if limits.max_files is not None and len(files) > limits.max_files:
            raise GatewayError(f"too many: {len(files)} films, the gateway takes {limits.max_files} at once")
        if limits.max_bytes is not None and len(body) > limits.max_bytes:
            raise GatewayError(
                f"too large: {len(body) / 1e6:.0f} MB of films, "
                f"the gateway takes {limits.max_bytes / 1e6:.0f} MB at once"
            )
        return answers.submission(self._asked("POST", "/jobs", body=body))

    def jobs(self, study_instance_uid: str) -> tuple[Job, ...]:
        """This token's jobs of a study, newest first."""
        found = self._asked("GET", "/jobs", parameters={"study_instance_uid": study_instance_uid})
        return answers.jobs(found)

    def job(self, job_id: str, etag: str = "") -> tuple[Job | None, str]:
        """The job, and the tag of this state; None if it still is the state of ``etag``."""
        response = self._call("GET", _path("jobs", job_id), etag=etag)
        if response.status_code == 304:
            return None, etag
        return answers.job(answers.read_json(response)), response.headers.get("ETag", "")

    def cancel(self, job_id: str) -> Job:
        """Cancel the job; one that has ended stays as it is."""
        return answers.job(self._asked("POST", _path("jobs", job_id, "cancel")))

    def fetch(
        self, job_id: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> tuple[Path, ...]:
        """Fetch the job's result files into ``folder``, each checked against its SHA-256.

        Raises:
            NotFoundError: the job has none yet, or no more.
            BadAnswerError: a path that would leave ``folder``, or a file that arrived damaged.
        """
        listing = self._asked("GET", _path("jobs", job_id, "results"))
        entries = listing.get("files")
        if not isinstance(entries, list) or not entries:
            raise NotFoundError("the job has no results yet")
        fetched: list[Path] = []
        for entry in entries:
            if cancelled():
                raise CancelledError
            name = _safe(entry)
            path = folder.joinpath(*PurePosixPath(name).parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._download(f"{_path('jobs', job_id, 'results')}/{quote(name)}", path, entry, cancelled)
            fetched.append(path)
        return tuple(fetched)

    def submit_region(
        self,
        file: Path,
        center: Point,
        radius: float,
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> str:
        """Send one film and a circle on it; returns the region's id."""
        values = {"center_row": center[0], "center_column": center[1], "radius": radius}
        fields = {name: f"{value:.3f}" for name, value in values.items()}
        body = Multipart([("file", file)], fields, cancelled)
        found = self._asked("POST", "/regions", body=body)
        return answers.text(found, "region_id")

    def region(self, region_id: str) -> tuple[str, Probability] | None:
        """Class and probabilities of a region; None while it is queued.

        Raises:
            InputError: the region cannot be classified.
        """
        found = self._asked("GET", _path("regions", region_id))
        state = found.get("state")
        if state == "failed":
            reason = answers.shown(found.get("reason") or "no reason given")
            raise InputError(f"the region cannot be classified: {reason}")
        if state != "done":
            return None
        shares = found.get("probability")
        if not isinstance(shares, dict) or not all(
            isinstance(shares.get(key), (int, float)) for key in CLASSES
        ):
            raise BadAnswerError("the gateway's answer has no probabilities; update it or this module")
        return answers.shown(found.get("label")), Probability(*(float(shares[key]) for key in CLASSES))

    def _download(
        self, path: str, target: Path, entry: Mapping[str, Any], cancelled: Callable[[], bool]
    ) -> None:
        digest = hashlib.sha256()
        response = self._call("GET", path, stream=True)
        try:
            with target.open("wb") as stream:
                for chunk in response.iter_content(_CHUNK):
                    if cancelled():
                        raise CancelledError
                    digest.update(chunk)
                    stream.write(chunk)
        except requests.RequestException as error:
            raise _unreachable(self.address, error) from error
        except OSError as error:
            raise InputError(f"results cannot be kept here: {error.strerror or error}") from error
        finally:
            response.close()
        if digest.hexdigest() != entry.get("sha256", digest.hexdigest()):
            raise BadAnswerError(f"{target.name} arrived damaged; try again")

    def _call(self, method: str, path: str, **request: Any) -> requests.Response:
        """What the gateway answers to `_send`; waits while there are too many requests."""
        until: float | None = None
        while True:
            try:
                return self._send(method, path, **request)
            except TooManyError as error:
                # It counts from the first refusal: what was sent before that was no waiting.
                until = time.monotonic() + self._patience if until is None else until
                pause = 1.0 if error.retry_after is None else max(error.retry_after, 0.1)
                if self._wait is None or time.monotonic() + pause > until:
                    raise
                self._wait(pause)

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Multipart | None = None,
        parameters: Mapping[str, str] | None = None,
        etag: str = "",
        stream: bool = False,
        quick: bool = False,
    ) -> requests.Response:
        connect, answer = self._timeout
        headers = {"Accept": "*/*"}
        if etag:
            headers["If-None-Match"] = etag
        if body is not None:
            headers["Content-Type"] = body.content_type
        try:
            # No redirects: they would carry the films, and perhaps the token, to another place.
            with requests.Session() as session:
                session.trust_env = not is_loopback(self.address)  # a proxy cannot reach this machine
                response = session.request(
                    method,
                    self.address + BASE + path,
                    params=parameters,
                    data=body,
                    headers=headers,
                    auth=self._authorized,
                    timeout=(connect, min(answer, QUICK_SECONDS) if quick else answer),
                    allow_redirects=False,
                    stream=stream,
                )
        except requests.RequestException as error:
            raise _unreachable(self.address, error) from error
        if 300 <= response.status_code < 400 and response.status_code != 304:
            raise BadAnswerError(
                "the address leads elsewhere; enter the gateway's own address", answers.describe(response)
            )
        if response.status_code >= 400:
            answers.raise_for(response)
        return response

    def _authorized(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with its token; as ``auth`` this also keeps a ``.netrc`` from taking its place."""
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _asked(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON object that the gateway answers."""
        return answers.read_json(self._call(method, path, **request))


def _unreachable(address: str, error: requests.RequestException) -> UnreachableError:
    details = f"{address}\n{type(error).__name__}: {error}"
    if isinstance(error, requests.exceptions.SSLError):
        return UnreachableError(
            f"{address}: its certificate is not trusted; ask the administrator of the gateway", details
        )
    if isinstance(error, requests.Timeout):
        return UnreachableError(f"{address} does not answer in time; is the gateway running?", details)
    return UnreachableError(
        f"{address} cannot be reached; check the address and that the gateway runs", details
    )


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _safe(entry: object) -> str:
    """The relative path of a result file; the server may not choose where it is written."""
    name = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise BadAnswerError("the gateway's list of results has an entry without a path")
    path = PurePosixPath(name)
    odd = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name
    if odd:
        raise BadAnswerError("the gateway's list of results has a path that leads elsewhere")
    return str(path)
