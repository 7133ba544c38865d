"""The thin path: films in, a job that ends, results out."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def client(working: Any) -> Any:
    return working.client("reader")


def test_a_study_is_submitted_scanned_and_its_result_fetched(client: Any, films: list[Path]) -> None:
    answer = client.submit(*films)
    assert answer.status_code == 202, answer.text
    (job,) = answer.json()["jobs"]
    assert (job["submission"], job["films"]) == ("queued", len(films))
    assert answer.json()["skipped"] == []
    ended = client.ended(job["job_id"])
    assert (ended["state"], ended["films_scanned"]) == ("done", len(films))

    listed = client.get(f"/jobs/{job['job_id']}/results").json()
    assert listed["study_instance_uid"] == job["study_instance_uid"]
    paths = {file["path"]: file for file in listed["files"]}
    assert {"result.json", "cad_sr.dcm"} <= paths.keys()
    for path, said in paths.items():
        got = client.get(f"/jobs/{job['job_id']}/results/{path}")
        assert got.status_code == 200
        assert got.headers["Content-Type"].split(";")[0] == said["content_type"]
        assert (len(got.content), hashlib.sha256(got.content).hexdigest()) == (said["size"], said["sha256"])
    result = json.loads(client.get(f"/jobs/{job['job_id']}/results/result.json").content)
    assert result["job_id"] == job["job_id"]
    assert {f"{film['sop_instance_uid']}.dcm" for film in result["films"]} == {
        f["file"] for f in result["films"]
    }

    packed = client.get(f"/jobs/{job['job_id']}/results.zip")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == paths.keys()
        for path, said in paths.items():
            assert hashlib.sha256(archive.read(path)).hexdigest() == said["sha256"]
