"""What several tests of the gateway send, and how they read the answers."""

import io
import os
import socket
import ssl
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

_ANY_CERTIFICATE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANY_CERTIFICATE.check_hostname, _ANY_CERTIFICATE.verify_mode = False, ssl.CERT_NONE

MARKED = "Marked^Nameless"
JOB = "0123456789abcdef"
LIMIT = 4 << 20
BEGINNING = bytes(8192)  # of a body; Caddy passes a header on when it has 4 KB of it
PART = b'--xyz\r\nContent-Disposition: form-data; name="files"; filename="film.dcm"\r\n\r\n'


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


def overlap(content: bytes, times: int) -> bytes:
    """A zip whose directory names one file many times."""
    at = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")
    entry, tail = content[at:end], bytearray(content[end:])
    tail[8:10] = tail[10:12] = times.to_bytes(2, "little")
    tail[12:16] = (len(entry) * times).to_bytes(4, "little")
    return content[:at] + entry * times + bytes(tail)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(url: str) -> socket.socket:
    """A connection, with TLS if ``url`` has it; whose certificate it is does not matter here."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    if parts.scheme != "https":
        return connection
    return _ANY_CERTIFICATE.wrap_socket(connection, server_hostname=parts.hostname)


def head(client: Any, *lines: str) -> bytes:
    given = [
        "POST /api/v1/jobs HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {client.token}",
        "Content-Type: multipart/form-data; boundary=xyz",
        *lines,
    ]
    return ("\r\n".join(given) + "\r\n\r\n").encode()


def everything(folder: Path) -> set[str]:
    """All that is in ``folder``, but what tests of other jobs may change there."""
    return {
        os.path.relpath(path, folder) for path in folder.rglob("*") if ".incoming/" not in path.as_posix()
    }


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    (line,) = [row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in row]
    return int(line.split()[1]) << 10


def memory_of_all(pid: int) -> int:
    """Resident bytes of a process and of all its descendants (Linux); pages that they share count twice."""
    total, pending = 0, [pid]
    while pending:
        found = pending.pop()
        with suppress(OSError, ValueError):  # it has ended meanwhile
            total += memory(found)
            for task in Path(f"/proc/{found}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
    return total
