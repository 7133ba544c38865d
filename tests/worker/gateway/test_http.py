"""Files, jobs and zips as HTTP has them (RFC 9110): HEAD, validators, preconditions, ranges, no links."""

import hashlib
import io
import json
import os
import shutil
import socket
import time
import zipfile
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.wire import problem

pytestmark = pytest.mark.redis

BODY = bytes(range(256)) * 40
SECRET = b"not for you"


@pytest.fixture(scope="module")
def client(working: Any) -> Any:
    return working.client("reader")


@pytest.fixture(scope="module")
def job(client: Any, patients: list[Path]) -> dict:
    """A job that is done."""
    (submitted,) = client.submit(*sorted(patients[0].glob("*.dcm"))).json()["jobs"]
    return dict(client.ended(submitted["job_id"]))


@pytest.fixture
def folder(working: Any, job: dict) -> Path:
    """Its result's folder, with a file to try things with."""
    found: Path = working.folder / "results" / job["job_id"] / job["study_instance_uid"]
    (found / "body.bin").write_bytes(BODY)
    os.utime(found / "body.bin", (1_700_000_000, 1_700_000_000))
    (found / "empty.bin").write_bytes(b"")
    if not (found / "report.html").exists():
        (found / "report.html").write_text("<!doctype html><title>x</title>")
    return found


@pytest.fixture
def at(job: dict, folder: Path) -> str:
    return f"/jobs/{job['job_id']}"


def raw(client: Any, method: str, path: str, *lines: str) -> bytes:
    """The answer, byte by byte."""
    parts = urlsplit(client.url)
    given = [f"{method} {parts.path}{path} HTTP/1.1", "Host: x", "Connection: close"]
    given += [f"Authorization: Bearer {client.token}", *lines]
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(("\r\n".join(given) + "\r\n\r\n").encode())
        received = b""
        while block := connection.recv(65536):
            received += block
    return received


def test_head_is_get_without_the_body(client: Any, at: str) -> None:
    paths = ["/health", "/info", "/jobs", "/docs", "/openapi.json", at, f"{at}/results", f"{at}/results.zip"]
    paths += [f"{at}/report", f"{at}/results/body.bin", f"{at}/results/empty.bin", f"{at}/results/none"]
    varying = {"date", "x-request-id", "connection"}
    for path in paths:
        got, head = client.get(path), client("HEAD", path)
        assert head.status_code == got.status_code
        assert head.content == b""
        shown = [{k: v for k, v in a.headers.lower_items() if k not in varying} for a in (got, head)]
        if got.headers["Content-Type"] != "application/problem+json":
            assert shown[0] == shown[1], path
        assert int(got.headers["Content-Length"]) == len(got.content)
        _, _, body = raw(client, "HEAD", path).partition(b"\r\n\r\n")
        assert body == b"", path
    assert client("HEAD", f"{at}/cancel").status_code == 405


def test_no_header_comes_twice(client: Any, at: str) -> None:
    for method, path, line in (
        ("GET", at, "X: y"),
        ("GET", f"{at}/results/body.bin", "Range: bytes=0-3"),
        ("GET", f"{at}/results/body.bin", "Range: bytes=0-3,9-12"),
        ("GET", f"{at}/results/body.bin", "Range: bytes=99999-"),
        ("GET", f"{at}/results.zip", "X: y"),
        ("GET", f"{at}/report", "If-None-Match: *"),
        ("DELETE", at, "X: y"),
        ("POST", "/jobs", "Content-Length: 0"),
        ("GET", "/none", "X: y"),
    ):
        header = raw(client, method, path, line).partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        names = [row.partition(b":")[0].lower() for row in header]
        assert len(names) == len(set(names)), names
        assert not {b"content-length", b"transfer-encoding"} <= set(names)


@pytest.mark.parametrize("path", ["", "/results/body.bin", "/report", "/results.zip"])
def test_what_the_client_has_is_not_sent_again(client: Any, at: str, path: str) -> None:
    got = client.get(at + path)
    tag = got.headers["ETag"]
    for given in (tag, f"W/{tag}", f'"a,b", {tag}', f'"x",W/{tag}', "*"):
        for method in ("GET", "HEAD"):
            same = client(method, at + path, headers={"If-None-Match": given})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["ETag"] == tag
            assert "Content-Type" not in same.headers
            assert same.headers.get("Last-Modified") == got.headers.get("Last-Modified")
    for given in ('"other"', "W/", tag.strip('"')):
        assert client.get(at + path, headers={"If-None-Match": given}).content == got.content
    assert client.get(at + path, headers={"If-Match": f'"other", {tag}'}).status_code == 200
    assert client.get(at + path, headers={"If-Match": "*"}).status_code == 200
    for given in ('"other"', f"W/{tag}"):
        problem(client.get(at + path, headers={"If-Match": given}), 412)


def test_the_tag_of_a_file_is_its_sha256_and_changes_with_it(client: Any, at: str, folder: Path) -> None:
    got = client.get(f"{at}/results/body.bin")
    assert got.headers["ETag"] == f'"{hashlib.sha256(BODY).hexdigest()}"'
    old_zip = client.get(f"{at}/results.zip").headers["ETag"]
    (folder / "body.bin").write_bytes(BODY[::-1])
    other = client.get(f"{at}/results/body.bin", headers={"If-None-Match": got.headers["ETag"]})
    assert (other.status_code, other.content) == (200, BODY[::-1])
    assert client.get(f"{at}/results.zip").headers["ETag"] != old_zip


def test_dates_are_looked_at_where_there_is_no_tag(client: Any, at: str, folder: Path) -> None:
    path = f"{at}/results/body.bin"
    modified = client.get(path).headers["Last-Modified"]
    assert modified == formatdate(1_700_000_000, usegmt=True)
    earlier, later = (formatdate(1_700_000_000 + step, usegmt=True) for step in (-60, 60))
    statuses = [
        client.get(path, headers={"If-Modified-Since": d}).status_code for d in (earlier, modified, later)
    ]
    assert statuses == [200, 304, 304]
    statuses = [client.get(path, headers={"If-Unmodified-Since": d}).status_code for d in (earlier, modified)]
    assert statuses == [412, 200]
    both = {"If-None-Match": '"other"', "If-Modified-Since": later}
    assert client.get(path, headers=both).status_code == 200
    for nonsense in ("yesterday", "", "Mon, 99 Jan 99999 00:00:00 GMT"):
        assert client.get(path, headers={"If-Modified-Since": nonsense}).status_code == 200
    ahead = time.time() + 1e6
    os.utime(folder / "body.bin", (ahead, ahead))
    assert "Last-Modified" not in client.get(path).headers, "no date that lies ahead (RFC 9110 8.8.2.1)"


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, 10240),
        ("bytes=-10", 10230, 10240),
        ("bytes=-99999999999999999999999999", 0, 10240),
        ("bytes=10239-99999999999999999999999999", 10239, 10240),
        ("Bytes = 5-9", 5, 10),
        ("bytes=, 5-9,", 5, 10),
    ],
)
def test_a_range_is_that_part(client: Any, at: str, given: str, start: int, end: int) -> None:
    got = client.get(f"{at}/results/body.bin", headers={"Range": given})
    assert (got.status_code, got.content) == (206, BODY[start:end])
    assert got.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(BODY)}"
    assert int(got.headers["Content-Length"]) == end - start
    assert got.headers["ETag"] == f'"{hashlib.sha256(BODY).hexdigest()}"'
    head = client("HEAD", f"{at}/results/body.bin", headers={"Range": given})
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(BODY)))


@pytest.mark.parametrize("given", ["bytes=10240-", "bytes=-0", "bytes=99999-100000", "bytes=,20000-,"])
def test_a_range_that_is_not_there_is_answered_with_the_size(client: Any, at: str, given: str) -> None:
    got = client.get(f"{at}/results/body.bin", headers={"Range": given})
    problem(got, 416)
    assert got.headers["Content-Range"] == f"bytes */{len(BODY)}"
    empty = client.get(f"{at}/results/empty.bin", headers={"Range": "bytes=0-"})
    assert (empty.status_code, empty.headers["Content-Range"]) == (416, "bytes */0")


@pytest.mark.parametrize(
    "given",
    ["bytes=5-2", "bytes=a-b", "bytes", "bytes=", "bytes=-", "lines=0-3", "bytes=0-5-9", "bytes=0x1-2",
     "bytes=1\u00b2-", "bytes=0-10,5-20", "bytes=0-3, 100-109, -5", "bytes=0-4,999999-",
     "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(100))],
)  # fmt: skip
def test_a_range_that_cannot_be_read_and_several_get_the_whole(client: Any, at: str, given: str) -> None:
    got = client.get(f"{at}/results/body.bin", headers={"Range": given.encode("latin-1")})
    assert (got.status_code, got.content) == (200, BODY)
    assert got.headers["Accept-Ranges"] == "bytes"


def test_a_range_of_what_has_changed_is_the_whole(client: Any, at: str) -> None:
    path = f"{at}/results/body.bin"
    tag, modified = (client.get(path).headers[name] for name in ("ETag", "Last-Modified"))
    for given, status in (
        (tag, 206), (modified, 206), ('"other"', 200), (f"W/{tag}", 200), ("yesterday", 200),
        (formatdate(1_800_000_000, usegmt=True), 200),
    ):  # fmt: skip
        got = client.get(path, headers={"Range": "bytes=0-3", "If-Range": given})
        assert (got.status_code, got.content) == (status, BODY[:4] if status == 206 else BODY)
    assert client.get(path, headers={"Range": "bytes=99999-", "If-None-Match": tag}).status_code == 304
    assert client.get(path, headers={"Range": "bytes=99999-", "If-Range": '"other"'}).status_code == 200


def test_the_zip_says_how_long_it_is_and_comes_in_parts_too(client: Any, at: str, folder: Path) -> None:
    (folder / "näme.bin").write_bytes(b"x")
    got = client.get(f"{at}/results.zip")
    assert (got.status_code, got.headers["Accept-Ranges"]) == (200, "bytes")
    part = client.get(f"{at}/results.zip", headers={"Range": "bytes=4-", "If-Range": got.headers["ETag"]})
    assert (part.status_code, part.content) == (206, got.content[4:])
    assert int(got.headers["Content-Length"]) == len(got.content)
    assert got.headers["Content-Disposition"].startswith('attachment; filename="')
    with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("body.bin") == BODY
    (folder / "näme.bin").unlink()


def test_links_are_not_followed(working: Any, client: Any, at: str, folder: Path) -> None:
    secret = working.admin.folder / "secret"
    secret.mkdir(exist_ok=True)
    (secret / "report.html").write_bytes(SECRET)
    (folder / "link.bin").symlink_to(secret / "report.html")
    (folder / "inside").symlink_to(secret)
    (folder / "report.html").unlink()
    (folder / "report.html").symlink_to(secret / "report.html")
    os.mkfifo(folder / "pipe.bin")
    try:
        for path in ("report", "results/link.bin", "results/inside/report.html", "results/report.html"):
            problem(client.get(f"{at}/{path}"), 404)
        problem(client.get(f"{at}/results/pipe.bin"), 404)
        listed = {file["path"] for file in client.get(f"{at}/results").json()["files"]}
        assert not listed & {"link.bin", "inside/report.html", "report.html", "pipe.bin"}
        with zipfile.ZipFile(io.BytesIO(client.get(f"{at}/results.zip").content)) as archive:
            assert set(archive.namelist()) == listed
    finally:
        for name in ("link.bin", "inside", "report.html", "pipe.bin"):
            (folder / name).unlink()


def test_a_result_folder_that_is_a_link_is_none(
    working: Any, client: Any, at: str, folder: Path, tmp_path: Path
) -> None:
    for place in (folder, folder.parent):
        aside = tmp_path / "aside"
        place.rename(aside)
        place.symlink_to(aside)
        try:
            for path in ("results", "results.zip", "results/body.bin", "report"):
                problem(client.get(f"{at}/{path}"), 409)
        finally:
            place.unlink()
            aside.rename(place)
    assert client.get(f"{at}/results/body.bin").content == BODY


def test_the_result_of_another_job_is_not_this_jobs(client: Any, at: str, folder: Path) -> None:
    path = folder / "result.json"
    kept = path.read_bytes()
    try:
        for content in (
            json.dumps({**json.loads(kept), "job_id": "0" * 16}),
            "[" * 100_000,
            "{}",
            "\x00",
            "7",
        ):
            path.write_text(content)
            for name in ("results", "results.zip", "results/body.bin", "report"):
                assert "not kept" in problem(client.get(f"{at}/{name}"), 409)["detail"]
    finally:
        path.write_bytes(kept)
    assert client.get(f"{at}/results/result.json").content == kept


def replaced(folder: Path, content: bytes, files: int) -> None:
    """Put a result with these contents in the place of ``folder`` as a worker does; delete the old one."""
    new, old = folder.with_name("new"), folder.with_name("old")
    shutil.copytree(folder, new)
    for number in range(files):
        (new / f"{number}.bin").write_bytes(content)
    folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old)


def test_an_answer_is_of_one_result_while_results_are_replaced(client: Any, at: str, folder: Path) -> None:
    size, files = 8 << 20, 3
    replaced(folder, b"a" * size, files)
    parts = urlsplit(client.url)
    for path, most in (("results.zip", size * files), ("results/0.bin", size)):
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            lines = f"Host: x\r\nAuthorization: Bearer {client.token}\r\nConnection: close\r\n\r\n"
            connection.sendall(f"GET {parts.path}{at}/{path} HTTP/1.1\r\n{lines}".encode())
            received = connection.recv(4096)
            replaced(folder, b"b" * size, files)
            while block := connection.recv(65536):
                received += block
        _, _, body = received.partition(b"\r\n\r\n")
        assert body.count(b"a") >= most
        assert body.count(b"b") < size // 2, "not of both"
        replaced(folder, b"a" * size, files)
    for number in range(files):
        (folder / f"{number}.bin").unlink()
