"""What strangers and careless programs may send: each gets one clear answer, and nothing is left behind."""

import io
import json
import os
import shutil
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.engine_host import wait_for

pytestmark = pytest.mark.redis

MARKED = "Marked^Nameless"
JOB = "0123456789abcdef"
LIMIT = 4 << 20
ROUTES = [
    ("GET", "/info"),
    ("GET", "/jobs"),
    ("POST", "/jobs"),
    ("GET", f"/jobs/{JOB}"),
    ("POST", f"/jobs/{JOB}/cancel"),
    ("GET", f"/jobs/{JOB}/results"),
    ("GET", f"/jobs/{JOB}/results/result.json"),
    ("GET", f"/jobs/{JOB}/results.zip"),
    ("GET", f"/jobs/{JOB}/report"),
    ("POST", "/regions"),
    ("GET", f"/regions/{JOB}{JOB}"),
]


@pytest.fixture(scope="module")
def strict(site_of_module: Any) -> Any:
    """A gateway with small limits."""
    site_of_module.serve(
        BCD_GATEWAY_UPLOAD_BYTES=str(LIMIT),
        BCD_GATEWAY_UPLOAD_FILES="8",
        BCD_GATEWAY_UNPACKED_BYTES=str(8 * LIMIT),
        BCD_GATEWAY_ZIP_RATIO="50",
        BCD_GATEWAY_UPLOADS="8",
        BCD_GATEWAY_REQUESTS="100000",
        BCD_GATEWAY_IDLE_SECONDS="2",
    )
    return site_of_module


@pytest.fixture(scope="module")
def client(strict: Any) -> Any:
    return strict.client("somebody")


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "strict" in request.fixturenames or "client" in request.fixturenames:
        incoming = request.getfixturevalue("strict").folder / "uploads" / ".incoming"
        assert wait_for(lambda: not list(incoming.iterdir()), 20), list(incoming.rglob("*"))


def problem(answer: requests.Response, status: int) -> dict:
    """The problem that ``answer`` is; fails if it is none, or says too much."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    content = answer.json()
    assert content["status"] == status
    assert content["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text
    return content


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


# Who may


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_nothing_is_told(strict: Any, method: str, path: str) -> None:
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        answer = requests.request(method, f"{strict.url}{path}", headers=header, timeout=10)
        problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_of_strange_bytes_is_refused(strict: Any) -> None:
    for secret in (b"\xff\xfe", b"a" * 8000, "ä".encode()):
        answer = requests.get(
            f"{strict.url}/info", headers={"Authorization": b"Bearer " + secret}, timeout=10
        )
        problem(answer, 401)


def test_a_token_is_kept_as_a_hash_and_refused_once_it_is_revoked(strict: Any) -> None:
    client = strict.client("passing")
    kept = (strict.folder / "tokens.json").read_text()
    assert client.token not in kept
    assert client.token.removeprefix("bcd_") not in kept
    assert stat.S_IMODE((strict.folder / "tokens.json").stat().st_mode) == 0o600
    assert client.get("/info").json()["token"] == "passing"
    assert strict.admin("token", "revoke", "passing").code == 0
    problem(client.get("/info"), 401)


def test_another_tokens_job_is_not_there(strict: Any, client: Any, films: list[Path]) -> None:
    other = strict.client("else")
    (job,) = client.submit(*films).json()["jobs"]
    for method, path in ROUTES:
        if JOB in path and "regions" not in path:
            mine = client(method, path.replace(JOB, job["job_id"]))
            assert mine.status_code in (200, 409)
            unknown = other(method, path)
            theirs = other(method, path.replace(JOB, job["job_id"]))
            assert problem(theirs, 404)["detail"] == problem(unknown, 404)["detail"]
    assert other.get("/jobs").json() == {"jobs": []}


def test_the_same_study_of_two_tokens_is_one_job_that_both_see_and_none_ends_alone(
    strict: Any, films: list[Path], patients: list[Path]
) -> None:
    one, two = strict.client("one"), strict.client("two")
    second = sorted(patients[1].glob("*.dcm"))
    (first,) = one.submit(*second).json()["jobs"]
    (again,) = two.submit(*reversed(second)).json()["jobs"]
    assert first["job_id"] == again["job_id"]
    assert (first["submission"], again["submission"]) == ("queued", "under way")
    assert one.get(f"/jobs/{first['job_id']}").status_code == 200
    problem(one.post(f"/jobs/{first['job_id']}/cancel"), 409)
    assert two.get(f"/jobs/{first['job_id']}").json()["state"] == "queued"


# What is in the files


TRAVERSALS = ["../../evil.dcm", "/etc/evil.dcm", "..\\..\\evil.dcm", "C:\\evil.dcm", "a/../../evil.dcm"]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_zip_that_leads_out_of_its_folder_is_refused(
    strict: Any, client: Any, films: list[Path], name: str
) -> None:
    before = everything(strict.folder.parent)
    content = packed((name, films[0].read_bytes()))
    said = problem(client.submit(("study.zip", content)), 422)
    assert "leads out" in said["skipped"][0]["reason"]
    assert everything(strict.folder.parent) - before == set()
    assert not Path("/etc/evil.dcm").exists()


@pytest.mark.parametrize("name", [*TRAVERSALS, MARKED, "a" * 3000, "a\x00b", "\r\nX: y", "../tokens.json"])
def test_a_name_of_a_file_never_reaches_the_disk(
    strict: Any, client: Any, films: list[Path], name: str
) -> None:
    answer = client.submit((name, films[0].read_bytes()))
    assert answer.status_code in (202, 400, 413)
    assert "evil" not in str(everything(strict.folder.parent))
    assert "arked" not in str(everything(strict.folder.parent))
    assert (strict.folder / "tokens.json").stat().st_size > 100


def test_links_and_devices_in_a_zip_are_refused(client: Any) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        entry = zipfile.ZipInfo("film.dcm")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(entry, "/etc/passwd")
        said = problem(client.submit(("study.zip", stream.getvalue())), 422)
        assert "link or a device" in said["skipped"][0]["reason"]


def test_an_encrypted_zip_and_one_inside_another_are_told(client: Any, films: list[Path]) -> None:
    content = bytearray(packed(("film.dcm", films[0].read_bytes())))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 8] |= 1  # general purpose bit 0
    said = problem(client.submit(("study.zip", bytes(content))), 422)
    assert "encrypted" in said["skipped"][0]["reason"]
    inner = packed(("film.dcm", films[0].read_bytes()))
    said = problem(client.submit(("outer.zip", packed(("inner.zip", inner)))), 422)
    assert "inside a zip" in said["skipped"][0]["reason"]


def test_a_zip_packed_with_lzma_is_refused(client: Any) -> None:
    content = packed(("film.dcm", b"0" * 10000), method=zipfile.ZIP_LZMA)
    assert "Deflate" in problem(client.submit(("study.zip", content)), 422)["skipped"][0]["reason"]


def test_zip_bombs_are_cut_off(strict: Any, client: Any) -> None:
    flat = packed(("film.dcm", bytes(64 << 20)))  # 1000 times its size
    assert len(flat) < 100_000
    problem(client.submit(("bomb.zip", flat)), 413)
    many = packed(*((f"{i}.dcm", b"") for i in range(20_000)))
    assert "too many files" in problem(client.submit(("many.zip", many)), 413)["detail"]
    lying = bytearray(packed(("film.dcm", bytes(64 << 20))))
    directory = lying.rindex(b"PK\x01\x02")
    lying[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # its unpacked size
    assert client.submit(("lying.zip", bytes(lying))).status_code in (413, 422)
    overlapping = overlap(packed(("film.dcm", bytes(1 << 20))), 8)
    assert client.submit(("overlap.zip", overlapping)).status_code in (413, 422)


def overlap(content: bytes, times: int) -> bytes:
    """A zip whose directory names one file many times."""
    at = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entry, tail = content[at:end], bytearray(content[end:])
    tail[8:10] = tail[10:12] = times.to_bytes(2, "little")
    tail[12:16] = (len(entry) * times).to_bytes(4, "little")
    return content[:at] + entry * times + bytes(tail)


def test_a_broken_zip_is_told_and_the_film_beside_it_is_taken(client: Any, films: list[Path]) -> None:
    broken = packed(("film.dcm", films[0].read_bytes()))[:-200]
    answer = client.submit(films[0], ("broken.zip", broken))
    assert answer.status_code == 202
    assert answer.json()["skipped"] == [{"file": "broken.zip", "reason": "a zip that is broken"}]


def test_a_zip_of_a_study_is_that_study(client: Any, films: list[Path]) -> None:
    (plain,) = client.submit(*films).json()["jobs"]
    content = packed(*((f"folder/{film.name}", film.read_bytes()) for film in films), ("notes.txt", b"x"))
    answer = client.submit(("study.zip", content)).json()
    assert answer["jobs"][0]["job_id"] == plain["job_id"]
    assert answer["skipped"] == [{"file": "notes.txt", "reason": "no DICOM file"}]


def test_what_is_no_film_is_told_by_the_name_the_client_gave_it(client: Any) -> None:
    said = problem(client.submit(("notes.txt", b"hello"), ("more.txt", b"world")), 422)
    assert {entry["file"] for entry in said["skipped"]} == {"notes.txt", "more.txt"}
    problem(client.post("/jobs", files=[("force", (None, "true"))]), 422)


# How much


def test_more_files_than_the_limit_are_refused(client: Any) -> None:
    problem(client.submit(*((f"{i}.dcm", b"x") for i in range(10))), 413)


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=20)


def head(client: Any, *lines: str) -> bytes:
    given = [
        "POST /api/v1/jobs HTTP/1.1",
        "Host: gateway",
        f"Authorization: Bearer {client.token}",
        "Content-Type: multipart/form-data; boundary=xyz",
        *lines,
    ]
    return ("\r\n".join(given) + "\r\n\r\n").encode()


PART = b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="film.dcm"\r\n\r\n'


def test_an_upload_that_says_that_it_is_too_large_is_refused_at_once(client: Any) -> None:
    with connect(client.url) as connection:
        connection.sendall(head(client, f"Content-Length: {10 << 30}"))
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [True, False])
def test_an_upload_without_an_end_is_cut_off_at_the_limit(strict: Any, client: Any, chunked: bool) -> None:
    """As chunks, or more than the length says: 10 GB would be sent if they were taken."""
    told = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {LIMIT}"
    block = bytes(256 << 10)
    frame = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
    sent = 0
    with connect(client.url) as connection:
        connection.sendall(head(client, told))
        first = b"%x\r\n%b\r\n" % (len(PART), PART) if chunked else PART
        connection.sendall(first)
        try:
            while sent < 10 << 30:
                connection.sendall(frame)
                sent += len(block)
                incoming = strict.folder / "uploads" / ".incoming"
                assert sum(p.stat().st_size for p in incoming.rglob("part-*") if p.exists()) <= LIMIT
        except OSError:
            pass  # it has hung up
    assert LIMIT <= sent < LIMIT + (96 << 20)


def test_the_client_of_an_upload_that_is_a_little_too_large_gets_to_read_why(client: Any) -> None:
    assert "bytes" in problem(client.submit(("film.dcm", bytes(LIMIT + (1 << 20)))), 413)["detail"]


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=" + "x" * 100, b"", 415),
        ("multipart/form-data; boundary=xyz", b"", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz", 400),
        ("multipart/form-data; boundary=xyz", PART, 400),
        ("multipart/form-data; boundary=xyz", PART + b"data\r\n--xyz", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n\r\ndata\r\n--xyz--\r\n", 400),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\n" + b"A: b\r\n" * 100 + b"\r\n\r\n--xyz--\r\n", 413),
        ("multipart/form-data; boundary=xyz", b"--xyz\r\nA: " + b"b" * 100_000, 413),
        ("multipart/form-data; boundary=xyz", PART.replace(b"files", b"other") + b"\r\n--xyz--\r\n", 422),
        ("multipart/form-data; boundary=xyz", PART + b"data\r\n--xyz--\r\n", 422),
        ("multipart/form-data; boundary=xyz", b"\x00\xff" * 1000, 400),
    ],
)
def test_a_form_that_is_none_is_told(client: Any, content_type: str, body: bytes, status: int) -> None:
    problem(client.post("/jobs", data=body, headers={"Content-Type": content_type}), status)


@given(body=st.lists(st.sampled_from([PART, b"--xyz", b"--", b"\r\n", b"data", b"\x00", b"-"]), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_form_breaks_the_gateway(client: Any, body: list[bytes]) -> None:
    answer = client.post(
        "/jobs", data=b"".join(body), headers={"Content-Type": "multipart/form-data; boundary=xyz"}
    )
    assert 400 <= answer.status_code < 500, answer.text


# How slow


def test_a_thousand_half_open_uploads_leave_room_for_others(strict: Any, films: list[Path]) -> None:
    slow, other = strict.client("slow"), strict.client("quick")
    assert strict.gateway is not None
    memory_before = memory(strict.gateway.pid)
    connections = []
    try:
        for _ in range(1000):
            connection = connect(strict.url)
            connection.sendall(head(slow, "Content-Length: 1000000") + PART)
            connections.append(connection)
        since = time.monotonic()
        assert other.get("/health").status_code == 200
        assert other.get("/info").status_code == 200
        assert other.submit(*films).status_code == 202, "another token has places of its own"
        assert time.monotonic() - since < 10
        grown = memory(strict.gateway.pid) - memory_before
        assert grown < 200 << 20
        statuses = [connection.recv(12) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert statuses.count(b"HTTP/1.1 503") > 900
    assert set(statuses) <= {b"HTTP/1.1 503", b"HTTP/1.1 408"}
    assert slow.submit(*films).status_code == 202, "and its own places are free again"


def test_connections_that_say_nothing_or_half_a_header_are_closed(strict: Any, client: Any) -> None:
    silent, half, after = connect(strict.url), connect(strict.url), connect(strict.url)
    with silent, half, after:
        half.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: ")
        after.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\nGET /ap")  # a second one, by halves
        assert after.recv(15) == b"HTTP/1.1 200 OK"
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                try:
                    half.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert silent.recv(1) == b""
            while after.recv(65536):
                pass
            with suppress(ConnectionResetError):
                assert half.recv(1) == b""
        finally:
            stop.set()
            dripping.join()


def test_a_client_that_takes_nothing_of_its_answer_is_hung_up_on(
    strict: Any, client: Any, films: list[Path]
) -> None:
    (job,) = client.submit(*films).json()["jobs"]
    folder = strict.folder / "results" / job["job_id"] / job["study_instance_uid"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text("{}")
    with (folder / "large.bin").open("wb") as large:
        large.truncate(256 << 20)
    memory_before = memory(strict.gateway.pid)

    def cut_off() -> list[dict]:
        said = [json.loads(line) for line in list(strict.logged)]
        return [line for line in said if line.get("sent", 0) > 1 << 16]

    for path in ("results/large.bin", "results.zip"):
        strict.logged.clear()
        with connect(client.url) as connection:
            request = f"GET /api/v1/jobs/{job['job_id']}/{path} HTTP/1.1\r\nHost: x\r\n"
            connection.sendall(f"{request}Authorization: Bearer {client.token}\r\n\r\n".encode())
            assert wait_for(lambda: bool(cut_off()), 20), "it waits for ever"
        assert cut_off()[0]["sent"] < 64 << 20
    assert memory(strict.gateway.pid) - memory_before < 32 << 20
    shutil.rmtree(folder)


def test_too_many_requests_of_one_token_are_told_to_wait_and_others_are_not(own_site: Any) -> None:
    own_site.serve(BCD_GATEWAY_REQUESTS="40")
    eager, other = own_site.client("eager"), own_site.client("other")
    answers = [eager.get("/jobs") for _ in range(20)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    late = next(answer for answer in answers if answer.status_code != 200)
    problem(late, 429)
    assert 1 <= int(late.headers["Retry-After"]) <= 3
    assert other.get("/jobs").status_code == 200
    assert wait_for(lambda: eager.get("/jobs").status_code == 200, 10)


# What is told


def test_the_log_names_no_patient_file_or_address(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    client.submit((f"{MARKED}.dcm", films[0].read_bytes()))
    client.submit((f"{MARKED}.dcm", MARKED.encode()))
    client.get(f"/jobs?name={MARKED}")
    client.get(f"/jobs/{MARKED}")
    client.get(f"/{MARKED}/{MARKED}", headers={"X-Marked": MARKED, "User-Agent": MARKED})
    client(f"{MARKED.upper().replace('^', '')}", "/jobs")
    client.get("/jobs?limit=marked")
    requests.get(f"{own_site.url}/info", headers={"Authorization": f"Bearer {MARKED}"}, timeout=10)
    with connect(own_site.url) as connection:
        connection.sendall(f"{MARKED} nonsense\r\n\r\n".encode())
        connection.recv(1000)
    log = own_site.stop()
    assert "marked" not in str(log).lower()
    assert client.token not in str(log)
    said = [line for line in log if line["event"] == "request"]
    assert len(said) == 8
    assert {line["token"] for line in said} == {"reader", None}
    assert all(len(line["request"]) == 16 for line in said)
    assert not any("/tmp" in str(line) for line in said)


def everything(folder: Path) -> set[str]:
    """All that is in ``folder``, but what tests of other jobs may change there."""
    return {
        os.path.relpath(path, folder) for path in folder.rglob("*") if ".incoming/" not in path.as_posix()
    }


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    (line,) = [row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in row]
    return int(line.split()[1]) << 10
