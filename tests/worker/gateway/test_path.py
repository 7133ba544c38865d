"""The thin path: films in, a job that ends, results out; and what each answer holds."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def client(working: Any) -> Any:
    return working.client("reader")


@pytest.fixture
def done(client: Any, films: list[Path]) -> str:
    """The id of a job that is done."""
    (job,) = client.submit(*films).json()["jobs"]
    client.ended(job["job_id"])
    return str(job["job_id"])


def test_a_study_is_submitted_scanned_and_its_result_fetched(client: Any, films: list[Path]) -> None:
    answer = client.submit(*films)
    assert answer.status_code == 202, answer.text
    (job,) = answer.json()["jobs"]
    assert (job["submission"], job["films"]) == ("queued", len(films))
    assert answer.json()["skipped"] == []
    ended = client.ended(job["job_id"])
    assert (ended["state"], ended["films_scanned"]) == ("done", len(films))
    assert ended["prevalence"] == 0.4

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
    assert all(
        film["file"] == f"{film['sop_instance_uid']}-{film['sha256'][:32]}.dcm" for film in result["films"]
    )

    packed = client.get(f"/jobs/{job['job_id']}/results.zip")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == paths.keys()
        for path, said in paths.items():
            assert hashlib.sha256(archive.read(path)).hexdigest() == said["sha256"]


def test_the_result_is_that_of_the_command_line(
    working: Any, client: Any, done: str, films: list[Path]
) -> None:
    """The same job, the same findings; but for the names of the files, which are the gateway's own."""
    scanned = working.admin("scan", *films, "--out", "by-hand", "--json").json["results"][0]
    result = client.get(f"/jobs/{done}/results/result.json").json()
    assert result["job_id"] == scanned["job_id"]
    for ours, theirs in zip(result["films"], scanned["films"], strict=True):
        places = [[finding["center"] for finding in film["findings"]] for film in (ours, theirs)]
        assert ours["sop_instance_uid"] == theirs["sop_instance_uid"]
        assert places[0] == places[1]


def test_a_study_that_is_done_is_found_and_not_scanned_again(
    client: Any, done: str, films: list[Path]
) -> None:
    (again,) = client.submit(*films).json()["jobs"]
    assert (again["job_id"], again["submission"], again["state"]) == (done, "done", "done")
    study = again["study_instance_uid"]
    found = client.get("/jobs", params={"study_instance_uid": study}).json()["jobs"]
    assert [job["job_id"] for job in found] == [done]
    assert client.get("/jobs", params={"study_instance_uid": "1.2.3"}).json() == {"jobs": []}
    (forced,) = client.submit(*films, force="true").json()["jobs"]
    assert (forced["job_id"], forced["submission"]) == (done, "queued")
    assert client.ended(done)["state"] == "done"
    assert client.submit(*films, force="perhaps").status_code == 422


def test_a_list_that_is_cut_says_how_many_more_there_are(
    own_site: Any, films: list[Path], many_studies: Path
) -> None:
    own_site.serve()
    client = own_site.client("reader")
    rubbish = [(f"{number}.txt", b"%d" % number) for number in range(230)]
    answer = client.submit(*sorted(many_studies.rglob("*.dcm")), *rubbish).json()
    assert (len(answer["skipped"]), answer["skipped_more"]) == (200, 30)
    assert len(answer["jobs"]) == 8
    for limit, more in ((3, 5), (8, None), (9, None)):
        listed = client.get("/jobs", params={"limit": limit}).json()
        assert (len(listed["jobs"]), listed.get("more")) == (min(limit, 8), more)
    refused = client.submit(*rubbish).json()
    assert (len(refused["skipped"]), refused["skipped_more"]) == (200, 30)
    assert {file["reason"] for file in refused["skipped"]} == {
        "not a DICOM file (no DICM prefix at byte 128)"
    }


def test_a_job_says_whether_its_result_is_there(working: Any, client: Any, done: str) -> None:
    assert client.get(f"/jobs/{done}").json()["result"] is True
    (folder,) = (working.folder / "results" / done).glob("[0-9]*")
    folder.rename(folder.with_name("aside"))
    gone = client.get(f"/jobs/{done}").json()
    assert (gone["state"], gone["result"]) == ("done", False)
    assert client.get(f"/jobs/{done}/results").status_code == 409
    folder.with_name("aside").rename(folder)


def test_progress_is_asked_for_with_an_etag(client: Any, done: str) -> None:
    first = client.get(f"/jobs/{done}")
    tag = first.headers["ETag"]
    assert tag.startswith('"')
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = client.get(f"/jobs/{done}", headers={"If-None-Match": given})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["ETag"] == tag
    other = client.get(f"/jobs/{done}", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.json()) == (200, first.json())


def test_a_job_that_waits_has_no_result_and_can_be_cancelled(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    (job,) = client.submit(*films).json()["jobs"]
    early = client.get(f"/jobs/{job['job_id']}/results")
    assert (early.status_code, early.json()["detail"]) == (409, "there is no result: the job is queued")
    ended = client.post(f"/jobs/{job['job_id']}/cancel")
    assert (ended.status_code, ended.json()["state"]) == (200, "cancelled")
    assert client.post(f"/jobs/{job['job_id']}/cancel").json()["state"] == "cancelled"
    (again,) = client.submit(*films).json()["jobs"]
    assert (again["job_id"], again["state"]) == (job["job_id"], "queued")


def test_the_report_is_shown_without_scripts(working: Any, client: Any, done: str) -> None:
    assert client.get(f"/jobs/{done}/report").status_code in (200, 404)
    (folder,) = (working.folder / "results" / done).glob("[0-9]*")
    (folder / "report.html").write_text("<!doctype html><title>x</title><script>alert(1)</script>")
    for path in ("report", "results/report.html"):
        shown = client.get(f"/jobs/{done}/{path}")
        assert shown.status_code == 200
        assert shown.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = shown.headers["Content-Security-Policy"]
        assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"


@pytest.mark.parametrize(
    "path",
    ["../../tokens.json", "..%2f..%2ftokens.json", "%2e%2e/x", "/etc/passwd", "result.json/", "no", ""],
)
def test_a_path_that_is_none_of_the_results_is_not_found(client: Any, done: str, path: str) -> None:
    assert client.get(f"/jobs/{done}/results/{path}").status_code == 404


def test_a_study_with_a_damaged_film_says_so(client: Any, patients: list[Path]) -> None:
    good, bad = sorted(patients[1].glob("*.dcm"))
    answer = client.submit(good, ("Marked^Nameless.dcm", bad.read_bytes()[:-3000]))
    (job,) = answer.json()["jobs"]
    ended = client.ended(job["job_id"])
    assert (ended["state"], ended["films_failed"]) == ("done with failures", 1)
    assert "cut short" in ended["reason"]
    assert "arked" not in ended["reason"]


def test_health_and_information(client: Any, working: Any) -> None:
    from bcd_model import __version__

    assert client.get("/health").json() == {"status": "ok", "version": __version__}
    info = client.get("/info").json()
    assert info["token"] == "reader"
    assert info["workers"] == 1
    assert info["model"]["name"] == "tiny"
    assert info["operating_point"]["threshold"] == 0.3
    assert info["operating_point"]["prevalence"] == 0.4
    assert "Research use only" in info["disclaimer"]
    assert info["limits"] == {"bytes": 2 << 30, "files": 500}


def test_a_job_of_the_command_line_names_no_path(working: Any, client: Any, patients: list[Path]) -> None:
    """A study that another user has submitted from a folder that is named after a patient."""
    own = working.admin.folder / "own"
    own.mkdir()
    for path in sorted(patients[0].glob("*.dcm")):  # a study of which the gateway knows no other files
        film = dcmread(path)
        film.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.7"
        film.save_as(own / path.name)
    good, bad = sorted(own.glob("*.dcm"))
    folder = working.admin.folder / "Marked^Nameless"
    folder.mkdir()
    (folder / "Marked^Nameless.dcm").write_bytes(bad.read_bytes()[:-3000])
    (folder / "good.dcm").write_bytes(good.read_bytes())
    by_hand = working.admin("submit", folder, "--wait", "--json", BCD_BROKER_URL=working.broker).json["jobs"]
    assert by_hand[0]["reason"].startswith("1 of 2 films failed; Marked^Nameless.dcm: film ")
    (job,) = client.submit(good, ("bad.dcm", bad.read_bytes()[:-3000])).json()["jobs"]
    assert job["job_id"] == by_hand[0]["job_id"]
    assert "arked" not in str(client.get(f"/jobs/{job['job_id']}").json())
    ended = client.ended(job["job_id"])
    assert "arked" not in str(ended)
    result = client.get(f"/jobs/{job['job_id']}/results/result.json")
    assert b"arked" not in result.content


def test_a_job_under_way_from_the_command_line_shows_neither_its_files_names_nor_their_folder(
    own_site: Any, films: list[Path]
) -> None:
    own_site.serve()
    client = own_site.client("reader")
    folder = own_site.admin.folder / "Marked^Nameless"
    folder.mkdir()
    for number, film in enumerate(films):
        (folder / f"scan-{number}.dcm").write_bytes(film.read_bytes())
    assert own_site.admin("submit", folder, BCD_BROKER_URL=own_site.broker).code == 0
    (job,) = client.submit(*films).json()["jobs"]
    assert job["submission"] == "under way"
    own_site.work()
    assert "arked" not in str(client.ended(job["job_id"]))
    result = client.get(f"/jobs/{job['job_id']}/results/result.json")
    assert [film["file"] for film in result.json()["films"]] == ["film-1.dcm", "film-2.dcm"]
    files = client.get(f"/jobs/{job['job_id']}/results").json()["files"]
    assert len(files) > 4
    for file in files:
        assert b"arked" not in client.get(f"/jobs/{job['job_id']}/results/{file['path']}").content
