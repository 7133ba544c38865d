"""Films of a study that come after others of it: one job and one result over all of them."""

import json
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.support.reasons import because
from worker.queue.records import Records

pytestmark = pytest.mark.redis

NUMBERS = count(1)
"""Of studies and tokens: those of one test are no other's, for most tests share a gateway and a worker."""


@pytest.fixture
def study(patients: list[Path], tmp_path: Path) -> list[Path]:
    """Four films of one study."""
    films, uid = [], f"1.2.826.0.1.{next(NUMBERS)}"
    for number, path in enumerate(sorted(film for patient in patients[:2] for film in patient.glob("*.dcm"))):
        film = dcmread(path)
        film.StudyInstanceUID = uid
        film.PatientID = "one"
        film.save_as(tmp_path / f"{number}.dcm")
        films.append(tmp_path / f"{number}.dcm")
    assert len(films) == 4
    return films


def result_of(client: Any, job: str) -> Any:
    return client.get(f"/jobs/{job}/results/result.json").json()


def test_late_films_make_one_job_over_all_films_that_replaces_the_result(
    working: Any, study: list[Path]
) -> None:
    client = working.client(f"reader-{next(NUMBERS)}")
    (first,) = client.submit(*study[:2]).json()["jobs"]
    assert client.ended(first["job_id"])["result"] is True
    (late,) = client.submit(*study[2:]).json()["jobs"]
    assert (late["submission"], late["films"]) == ("queued", 4)
    ended = client.ended(late["job_id"])
    assert (ended["films_scanned"], ended["result"]) == (4, True)
    result = result_of(client, late["job_id"])
    assert (result["job_id"], len(result["films"])) == (late["job_id"], 4)
    report = working.folder / "results" / late["job_id"] / late["study_instance_uid"] / "cad_sr.dcm"
    (earlier,) = dcmread(report).PredecessorDocumentsSequence
    named = earlier.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    before = working.folder / "results" / first["job_id"] / first["study_instance_uid"] / "cad_sr.dcm"
    assert named == dcmread(before).SOPInstanceUID
    assert len(result_of(client, first["job_id"])["films"]) == 2, (
        "a client that asks for the first still gets it"
    )
    for some in (study[:2], study[1:3], study):
        (again,) = client.submit(*some).json()["jobs"]
        assert (again["job_id"], again["submission"]) == (late["job_id"], "done")


def test_late_films_of_a_job_that_waits_take_its_place(own_site: Any, study: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    (first,) = client.submit(*study[:1]).json()["jobs"]
    (second,) = client.submit(*study[1:3]).json()["jobs"]
    (third,) = client.submit(study[3]).json()["jobs"]
    assert [job["films"] for job in (first, second, third)] == [1, 3, 4]
    states = [client.get(f"/jobs/{job['job_id']}").json() for job in (first, second, third)]
    assert [state["state"] for state in states] == ["cancelled", "cancelled", "queued"]
    assert "superseded by job" in states[0]["reason"]
    assert [state["superseded_by"] for state in states] == [second["job_id"], third["job_id"], None]
    early = client.get(f"/jobs/{third['job_id']}/results")
    assert early.status_code == 409
    own_site.work()
    assert client.ended(third["job_id"])["films_scanned"] == 4


def test_late_films_are_refused_if_the_earlier_ones_are_gone(working: Any, study: list[Path]) -> None:
    client = working.client(f"reader-{next(NUMBERS)}")
    (first,) = client.submit(*study[:2]).json()["jobs"]
    client.ended(first["job_id"])
    shutil.rmtree(working.folder / "uploads" / first["job_id"])  # as they expire
    answer = client.submit(*study[2:])
    assert answer.status_code == 202, answer.text
    (refused,) = answer.json()["jobs"]
    assert (refused["submission"], refused["state"]) == ("refused", "failed")
    assert refused["reason"].startswith("refused: earlier films missing")
    assert len(result_of(client, first["job_id"])["films"]) == 2
    (together,) = client.submit(*study).json()["jobs"]
    assert client.ended(together["job_id"])["films_scanned"] == 4


def test_the_films_of_another_token_are_no_part_of_it(own_site: Any, study: list[Path]) -> None:
    own_site.serve()
    one, other = own_site.client("one"), own_site.client("other")
    (first,) = one.submit(*study[:2]).json()["jobs"]
    (alone,) = other.submit(*study[2:]).json()["jobs"]
    assert alone["films"] == 2
    assert one.get(f"/jobs/{first['job_id']}").json()["state"] == "queued"
    (joined,) = other.submit(*study[:2]).json()["jobs"]
    assert joined["films"] == 4
    assert one.get(f"/jobs/{first['job_id']}").json()["state"] == "queued", "it is not ended for others"
    (forced,) = one.submit(study[3], force="true").json()["jobs"]
    assert forced["films"] == 1, json.dumps(forced)


def test_films_of_a_job_that_failed_are_done_with_the_late_ones(own_site: Any, study: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    (first,) = client.submit(*study[:2]).json()["jobs"]
    records = Records(own_site.broker)
    assert records.claim(first["job_id"], "holder", 60) == "claimed"
    assert records.end(first["job_id"], "holder", state="failed", reason=because("the disk is full"))
    (late,) = client.submit(study[2]).json()["jobs"]
    assert (late["submission"], late["films"]) == ("queued", 3)
    assert records.claim(late["job_id"], "holder", 60) == "claimed"
    assert records.end(late["job_id"], "holder", state="failed", reason=because("the disk is full"))
    # some of them again: nothing is done yet
    (again,) = client.submit(study[0]).json()["jobs"]
    assert (again["job_id"], again["submission"], again["films"]) == (late["job_id"], "queued", 3)
    assert client.get(f"/jobs/{first['job_id']}").json()["superseded_by"] == late["job_id"]


def test_a_refusal_leaves_the_job_of_another_token_alone(working: Any, study: list[Path]) -> None:
    one, other = working.client(f"one-{next(NUMBERS)}"), working.client(f"other-{next(NUMBERS)}")
    (done,) = one.submit(*study[2:]).json()["jobs"]
    before = one.ended(done["job_id"])
    (first,) = other.submit(*study[:2]).json()["jobs"]
    other.ended(first["job_id"])
    shutil.rmtree(working.folder / "uploads" / first["job_id"])  # as they expire
    (refused,) = other.submit(*study[2:]).json()["jobs"]
    assert (refused["submission"], refused["state"]) == ("refused", "failed")
    assert refused["job_id"] != done["job_id"]
    assert other.get(f"/jobs/{refused['job_id']}").json()["reason"].startswith("refused: ")
    assert one.get(f"/jobs/{done['job_id']}").json() == before


def another(path: Path, folder: str, **elements: object) -> Path:
    """Another file of the film in ``path``."""
    film = dcmread(path)
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    target = path.parent / folder / path.name
    target.parent.mkdir()
    film.save_as(target)
    return target


def film_in(result: Any, path: Path) -> Any:
    uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
    (film,) = (film for film in result["films"] if film["sop_instance_uid"] == uid)
    return film


TOOK_THE_PLACE = "took the place of an earlier file of the same SOP Instance UID"


@pytest.mark.parametrize("force", [False, True])
def test_a_late_file_of_another_patient_contradicts_until_the_right_one_is_forced(
    working: Any, study: list[Path], force: bool
) -> None:
    client = working.client(f"reader-{next(NUMBERS)}")
    (first,) = client.submit(*study[:2]).json()["jobs"]
    assert client.ended(first["job_id"])["state"] == "done"
    late = another(study[0], "late", PatientID="two")
    sent = client.submit(late, study[1], force="true") if force else client.submit(late)
    (job,) = sent.json()["jobs"]
    ended = client.ended(job["job_id"])
    assert (ended["state"], ended["films_scanned"], ended["films_failed"]) == ("done with failures", 1, 1)
    film = film_in(result_of(client, job["job_id"]), study[0])
    assert film["reason"] == "2 different files have its SOP Instance UID; keep the right one"
    # sent again, as by a client that lost the answer, neither says more
    for again in ((late,), study[:1]):
        (shown,) = client.submit(*again).json()["jobs"]
        assert (shown["job_id"], shown["submission"]) == (job["job_id"], "done")
    (more,) = client.submit(study[2]).json()["jobs"]
    ended = client.ended(more["job_id"])
    assert (ended["films_scanned"], ended["films_failed"]) == (2, 1)
    # by force the right one is taken, and that is settled
    (right,) = client.submit(*study[:3], force="true").json()["jobs"]
    assert client.ended(right["job_id"])["state"] == "done"
    assert TOOK_THE_PLACE in film_in(result_of(client, right["job_id"]), study[0])["warnings"]
    for again in ((late,), study[:1], study[:3]):
        (shown,) = client.submit(*again).json()["jobs"]
        assert (shown["job_id"], shown["submission"]) == (right["job_id"], "done")
    (last,) = client.submit(study[3]).json()["jobs"]
    ended = client.ended(last["job_id"])
    assert (ended["state"], ended["films_scanned"]) == ("done", 4)
    film = film_in(result_of(client, last["job_id"]), study[0])
    assert (film["patient"], TOOK_THE_PLACE in film["warnings"]) == (1, True)


def test_a_newer_file_of_the_same_patient_is_taken_with_a_warning(working: Any, study: list[Path]) -> None:
    client = working.client(f"reader-{next(NUMBERS)}")
    (first,) = client.submit(*study[:2]).json()["jobs"]
    client.ended(first["job_id"])
    (job,) = client.submit(another(study[0], "newer", AccessionNumber="9")).json()["jobs"]
    ended = client.ended(job["job_id"])
    assert (ended["state"], ended["films_scanned"]) == ("done", 2)
    assert TOOK_THE_PLACE in film_in(result_of(client, job["job_id"]), study[0])["warnings"]
    (again,) = client.submit(study[0]).json()["jobs"]
    assert (again["job_id"], again["submission"]) == (job["job_id"], "done")


def test_a_late_file_is_refused_if_the_earlier_one_of_its_film_is_gone(
    working: Any, study: list[Path]
) -> None:
    client = working.client(f"reader-{next(NUMBERS)}")
    (first,) = client.submit(*study[:2]).json()["jobs"]
    client.ended(first["job_id"])
    shutil.rmtree(working.folder / "uploads" / first["job_id"])  # as they expire
    newer = another(study[0], "newer", AccessionNumber="9")
    for given in ((newer,), (newer, study[1])):
        (refused,) = client.submit(*given).json()["jobs"]
        assert (refused["submission"], refused["state"]) == ("refused", "failed")
    assert len(result_of(client, first["job_id"])["films"]) == 2
