"""What a client gets through Debian's Caddy, with the Caddyfile of the product, is what the gateway says."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.caddy import BEHIND_CADDY, CADDY, in_front_of
from tests.support.wire import MARKED, problem

pytestmark = pytest.mark.redis


@pytest.fixture(params=["on loopback", BEHIND_CADDY])
def cramped(request: Any, own_site: Any, small_disk: Path, tmp_path: Path) -> Iterator[Any]:
    """A gateway, with and without Caddy, and a temporary folder of 4 MiB for both."""
    own_site.serve(TMPDIR=str(small_disk))
    if request.param == "on loopback":
        yield own_site
    else:
        with in_front_of(own_site.url, tmp_path / "caddy", TMPDIR=str(small_disk)) as own_site.url:
            yield own_site


def test_an_upload_is_larger_than_the_temporary_folder(cramped: Any, films: list[Path]) -> None:
    client = cramped.client("large")
    refused = problem(client.submit(("large.bin", os.urandom(1 << 20) * 64)), 422)
    assert "not a DICOM file" in refused["skipped"][0]["reason"]
    assert client.submit(*films).status_code == 202


@pytest.fixture
def behind(own_site: Any, tmp_path: Path) -> Iterator[Any]:
    """A gateway behind Caddy, with the log of the latter."""
    own_site.serve()
    with in_front_of(own_site.url, tmp_path / "caddy") as own_site.url:
        own_site.caddy_log = tmp_path / "caddy" / "log"
        yield own_site


@pytest.mark.debian
@pytest.mark.skipif(CADDY is None, reason="needs Debian's caddy")
def test_validators_ranges_and_the_zip_come_through_and_no_log_quotes_the_client(
    behind: Any, films: list[Path]
) -> None:
    client = behind.client("reader")
    behind.work()
    (job,) = client.submit((f"{MARKED}.dcm", films[0].read_bytes()), *films[1:]).json()["jobs"]
    at = f"/jobs/{job['job_id']}"
    assert client.ended(job["job_id"])["state"] == "done"
    tag = client.get(at).headers["ETag"]
    assert client.get(at, headers={"If-None-Match": tag}).status_code == 304
    for path in ("results/cad_sr.dcm", "results.zip"):
        whole = client.get(f"{at}/{path}")
        part = client.get(f"{at}/{path}", headers={"Range": "bytes=4-9", "If-Range": whole.headers["ETag"]})
        assert (part.status_code, part.content) == (206, whole.content[4:10])
        head = client("HEAD", f"{at}/{path}")
        assert (head.content, head.headers["Content-Length"]) == (b"", str(len(whole.content)))
    listed = {file["path"]: file["sha256"] for file in client.get(f"{at}/results").json()["files"]}
    got = client.get(f"{at}/results/result.json")
    assert hashlib.sha256(got.content).hexdigest() == listed["result.json"]
    problem(client.get(f"/{MARKED}"), 404)
    assert client.get(at, headers={"Host": "elsewhere"}).status_code == 421
    client.token = "wrong"
    problem(client.get("/info"), 401)
    behind.stop()
    assert client.get(f"/{MARKED}", headers={"User-Agent": MARKED}).status_code == 502
    assert "arked" not in behind.caddy_log.read_text()
    assert "wrong" not in behind.caddy_log.read_text()
