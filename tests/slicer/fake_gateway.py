"""A small gateway on loopback: real HTTP, made-up jobs. Standard library only, Python 3.9 and later.

It speaks the same interface as ``bcd-admin serve``; a test sets what it should do wrong.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "test-token"
BASE = "/api/v1"


class FakeGateway:
    """Jobs that go through ``script`` state by state, one with each look at them.

    Attributes:
        refuse: status (and headers) with which every call is answered, if set.
        refuse_every_other: whether every other call is one too many (429), to be asked again at once.
        script: (state, film) of a new job, one for each look at it; the last one stays.
        results: Study Instance UID -> folder with the result files.
        received: files of each submission, as bytes.
        expired: jobs whose result files are gone, until they are submitted again.
        calls: "METHOD /path" of every call.
    """

    def __init__(self, port: int = 0) -> None:
        self.refuse: tuple[int, dict[str, str]] | None = None
        self.silent = 0.0
        self.refuse_every_other = False
        self.script: list[tuple[str, int]] = [("queued", 0), ("running", 1), ("running", 2), ("done", 2)]
        self.results: dict[str, Path] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.left: dict[str, list[tuple[str, int]]] = {}
        self.limits = {"bytes": 10**9, "files": 100}
        self.received: list[list[bytes]] = []
        self.fields: list[dict[str, str]] = []
        self.expired: set[str] = set()
        self.calls: list[str] = []
        self.workers = 1
        self.damage = False
        self.region: dict[str, Any] = {
            "state": "done",
            "label": "malignant",
            "probability": {"normal": 0.1, "benign": 0.2, "malignant": 0.7},
            "reason": None,
        }
        self._server: ThreadingHTTPServer | None = None
        self.port = port

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FakeGateway:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                owner._answer(self, "GET")

            def do_POST(self) -> None:
                owner._answer(self, "POST")

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """A client that goes away is no fault of the server."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Die: the address refuses connections until :meth:`start`."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    # What it answers

    def _answer(self, http: BaseHTTPRequestHandler, method: str) -> None:
        length = int(http.headers.get("Content-Length") or 0)
        body = http.rfile.read(length)
        if len(body) < length:
            http.close_connection = True
            return  # the client has broken off
        parts = urlsplit(http.path)
        path = unquote(parts.path)[len(BASE) :] if parts.path.startswith(BASE) else ""
        self.calls.append(f"{method} {path}")
        if self.silent:
            time.sleep(self.silent)
        if self.refuse is not None:
            status, headers = self.refuse
            self._problem(http, status, headers)
        elif self.refuse_every_other and len(self.calls) % 2:
            self._problem(http, 429, {"Retry-After": "0"})
        elif http.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._problem(http, 401)
        else:
            self._serve(http, method, path, parse_qs(parts.query), body)

    def _serve(
        self, http: BaseHTTPRequestHandler, method: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> None:
        found = re.fullmatch(r"/jobs/([^/]+)(?:/(.*))?", path)
        if path == "/info":
            model = {"name": "toy", "version": "1", "digest": "ab"}
            self._json(
                http, 200, {"version": "9.9", "model": model, "limits": self.limits, "workers": self.workers}
            )
        elif path == "/jobs" and method == "POST":
            self._submit(http, body)
        elif path == "/jobs":
            wanted = query.get("study_instance_uid", [""])[0]
            jobs = [job for job in self.jobs.values() if wanted in ("", job["study_instance_uid"])]
            self._json(http, 200, {"jobs": jobs[::-1]})
        elif path == "/regions" and method == "POST":
            files, fields = _parts(http.headers["Content-Type"], body)
            self.received.append(files)
            self.fields.append(fields)
            self._json(http, 202, {"region_id": "r1"})
        elif path.startswith("/regions/"):
            self._json(http, 200, self.region)
        elif found and found[1] in self.jobs:
            self._job(http, self.jobs[found[1]], found[2] or "")
        else:
            self._problem(http, 404)

    def _submit(self, http: BaseHTTPRequestHandler, body: bytes) -> None:
        files, fields = _parts(http.headers["Content-Type"], body)
        self.received.append(files)
        self.fields.append(fields)
        text = b"".join(files)
        for study in self.results:
            if study.encode() in text:
                job_id = hashlib.sha256(study.encode()).hexdigest()[:16]
                self.jobs[job_id] = {
                    "job_id": job_id,
                    "study_instance_uid": study,
                    "state": self.script[0][0],
                    "film": 0,
                    "films": len(files),
                    "reason": None,
                }
                self.left[job_id] = list(self.script)
                self.expired.discard(job_id)
                self._json(http, 202, {"jobs": [self.jobs[job_id]], "skipped": []})
                return
        self._problem(http, 422)

    def _job(self, http: BaseHTTPRequestHandler, job: dict[str, Any], rest: str) -> None:
        if rest == "cancel":
            job["state"] = "cancelled"
            self.left[job["job_id"]] = [("cancelled", 0)]
            self._json(http, 200, job)
        elif rest == "":
            script = self.left[job["job_id"]]
            state = script.pop(0) if len(script) > 1 else script[0]
            job["state"], job["film"] = state
            tag = f'"{job["state"]}-{job["film"]}"'
            if http.headers.get("If-None-Match") == tag:
                http.send_response(304)
                http.send_header("ETag", tag)
                http.send_header("Content-Length", "0")
                http.end_headers()
            else:
                self._json(http, 200, job, {"ETag": tag})
        elif not job["state"].startswith("done") or job["job_id"] in self.expired:
            self._problem(http, 409)
        elif rest == "results":
            folder = self.results[job["study_instance_uid"]]
            files = [
                {
                    "path": path.relative_to(folder).as_posix(),
                    "size": path.stat().st_size,
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    "content_type": "application/octet-stream",
                }
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            ]
            self._json(http, 200, {"job_id": job["job_id"], "files": files})
        else:
            data = (self.results[job["study_instance_uid"]] / rest.split("/", 1)[1]).read_bytes()
            self._send(http, 200, data[:-1] + b"!" if self.damage else data, "application/octet-stream")

    def _json(
        self, http: BaseHTTPRequestHandler, status: int, value: Any, headers: dict[str, str] | None = None
    ) -> None:
        self._send(http, status, json.dumps(value).encode(), "application/json", headers)

    def _problem(
        self, http: BaseHTTPRequestHandler, status: int, headers: dict[str, str] | None = None
    ) -> None:
        body = {"type": "about:blank", "title": "no", "status": status, "detail": f"made-up {status}"}
        self._send(http, status, json.dumps(body).encode(), "application/problem+json", headers)

    def _send(
        self,
        http: BaseHTTPRequestHandler,
        status: int,
        data: bytes,
        kind: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        http.send_response(status)
        http.send_header("Content-Type", kind)
        http.send_header("Content-Length", str(len(data)))
        http.send_header("X-Request-ID", "req-1")
        for name, value in (headers or {}).items():
            http.send_header(name, value)
        http.end_headers()
        http.wfile.write(data)


def _parts(content_type: str, body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """Files and text fields of a multipart body."""
    boundary = b"--" + content_type.split("boundary=", 1)[1].encode()
    files, fields = [], {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        content = content[:-2]
        if b"filename=" in head:
            files.append(content)
        else:
            name = re.search(rb'name="([^"]+)"', head)
            fields[name[1].decode() if name else ""] = content.decode()
    return files, fields
