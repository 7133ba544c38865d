"""Routes of results: list, one file, all of them as a zip, the report."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response, StreamingResponse

from worker.gateway.frame import REPORT_POLICY
from worker.gateway.jobs import PROBLEMS
from worker.gateway.problems import ProblemError, not_found
from worker.gateway.schema import Error, Result, ResultFile
from worker.gateway.state import Gateway, Here, Whose
from worker.gateway.tokens import Token
from worker.job import Record

router = APIRouter(tags=["results"], responses=PROBLEMS | {409: {"model": Error, "description": "None yet"}})

_TYPES = {".json": "application/json", ".dcm": "application/dicom", ".html": "text/html"}
_OTHER = "application/octet-stream"
_BLOCK = 256 << 10
_REPORT = "report.html"


@router.get("/jobs/{job_id}/results", response_model=Result)
def results(job_id: str, here: Here, token: Whose) -> Result:
    """The files of a result."""
    record, folder = _result(job_id, here, token)
    files = []
    for path in _files(folder):
        found = path.stat()
        files.append(
            ResultFile(
                path=path.relative_to(folder).as_posix(),
                size=found.st_size,
                sha256=_sha256(path, found.st_mtime_ns, found.st_ino),
                content_type=_content_type(path),
            )
        )
    return Result(job_id=record.job_id, study_instance_uid=record.study_instance_uid, files=files)


@router.get(
    "/jobs/{job_id}/results.zip",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}, "description": "All files, not compressed"}},
)
def everything(job_id: str, here: Here, token: Whose) -> StreamingResponse:
    """All files of a result in one zip; packed while it is sent."""
    record, folder = _result(job_id, here, token)
    name = f"{record.study_instance_uid}.zip"
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_zipped(folder), media_type="application/zip", headers=disposition)


@router.get(
    "/jobs/{job_id}/results/{path:path}",
    response_class=FileResponse,
    responses={
        200: {"content": {kind: {} for kind in (*_TYPES.values(), _OTHER)}, "description": "The file"}
    },
)
def one(job_id: str, path: str, here: Here, token: Whose) -> Response:
    """One file of a result, by its path in the list."""
    _, folder = _result(job_id, here, token)
    # looked up among those that are there: nothing that a client writes becomes a path
    found = {file.relative_to(folder).as_posix(): file for file in _files(folder)}.get(path)
    if found is None:
        raise not_found()
    return _sent(found)


@router.get(
    "/jobs/{job_id}/report",
    response_class=FileResponse,
    responses={200: {"content": {"text/html": {}}, "description": "One page for the study, without scripts"}},
)
def report(job_id: str, here: Here, token: Whose) -> Response:
    """The report of a study, for a browser."""
    _, folder = _result(job_id, here, token)
    path = folder / _REPORT
    if not path.is_file():
        raise not_found()
    return _sent(path)


def _result(job_id: str, here: Gateway, token: Token) -> tuple[Record, Path]:
    record = here.record(job_id, token)
    folder = here.folders.result_root(record.job_id) / record.study_instance_uid
    if not (folder / "result.json").is_file():
        if record.state in ("done", "done with failures"):
            raise ProblemError(409, "its result is not kept any more; submit the study again")
        raise ProblemError(409, f"there is no result: the job is {record.state}")
    return record, folder


def _sent(path: Path) -> FileResponse:
    kind = _content_type(path)
    headers = {"Content-Security-Policy": REPORT_POLICY} if kind == "text/html" else {}
    return FileResponse(path, media_type=kind, headers=headers)


def _files(folder: Path) -> list[Path]:
    """The regular files below ``folder``, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _content_type(path: Path) -> str:
    return _TYPES.get(path.suffix, _OTHER)


@lru_cache(maxsize=4096)
def _sha256(path: Path, _modified: int, _inode: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class _Packed(io.RawIOBase):
    """What zipfile writes to, and cannot seek in: a few blocks at most, until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        """Yes; and neither readable nor seekable."""
        return True

    def write(self, block: Any) -> int:
        """Keep a block until it is taken."""
        self._blocks.append(bytes(block))
        return len(block)

    def take(self) -> bytes:
        """What has come since the last time."""
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)


def _zipped(folder: Path) -> Iterator[bytes]:
    """A zip of ``folder``, block by block; the same for the same files."""
    packed = _Packed()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr = 0o644 << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as stream, archive.open(entry, "w") as target:
                while block := stream.read(_BLOCK):
                    target.write(block)
                    yield packed.take()
    yield packed.take()
