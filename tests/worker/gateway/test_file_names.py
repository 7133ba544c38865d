"""The name of a film's file may be a patient's: it is for the user who gave it, and for no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from bcd_model.reasons import Reason, reason_of_earlier_version
from converters.films.studies import find_studies
from tests.support.made_records import make_study, out_of_the_queue, record_of
from worker.gateway.schema import job_of
from worker.queue.summary import summarise

NAME = "Doe: Jane left"
PARTS = ("Doe", "Jane")
MARK = "Q7X"
"""Stands in every name that is made up, and in nothing that this software says."""


@pytest.fixture
def folder(patients: list[Path], tmp_path: Path) -> Path:
    """A study of two films, of which one is cut short; the file is called after a patient."""
    made = tmp_path / "films"
    made.mkdir()
    good, bad = sorted(patients[1].glob("*.dcm"))
    film = dcmread(good)
    film.save_as(made / "good.dcm")
    (made / NAME).write_bytes(bad.read_bytes()[:-3000])
    return made


def test_no_part_of_a_file_name_leaves_the_command_line(own_site: Any, folder: Path) -> None:
    own_site.serve()
    worker = own_site.work()
    by_hand = own_site.admin(
        "submit", folder, "--batch", "b", "--wait", "--json", BCD_BROKER_URL=own_site.broker
    )
    (first,) = by_hand.json["jobs"]
    assert first["state"] == "done with failures"
    assert NAME in first["reason"]  # the user who named the file sees which it is
    assert first["reason_code"] == "cut-short"
    client = own_site.client("reader")
    (job,) = client.submit(*sorted(folder.iterdir())).json()["jobs"]
    assert job["job_id"] == first["job_id"]
    ended = client.ended(job["job_id"])
    assert (ended["films_failed"], ended["reason_code"]) == (1, "cut-short")
    shown = [json.dumps(answer) for answer in (job, ended, client.get("/jobs").json())]
    files = client.get(f"/jobs/{job['job_id']}/results").json()["files"]
    assert len(files) > 3
    shown += [client.get(f"/jobs/{job['job_id']}/results/{file['path']}").text for file in files]
    status = own_site.admin("status", "--batch", "b", "--json", BCD_BROKER_URL=own_site.broker)
    shown.append(json.dumps(status.json))
    shown.append(own_site.admin("status", "--batch", "b", BCD_BROKER_URL=own_site.broker).out)
    shown += own_site.logged
    worker.terminate()
    assert worker.stderr is not None
    shown.append(worker.stderr.read())
    assert not [text for text in shown if any(part in text for part in PARTS)]


def test_a_token_that_joins_a_job_does_not_learn_how_another_called_the_files(
    own_site: Any, folder: Path
) -> None:
    own_site.serve()
    assert own_site.admin("submit", folder, BCD_BROKER_URL=own_site.broker).code == 0
    client = own_site.client("reader")
    (job,) = client.submit(*sorted(folder.iterdir())).json()["jobs"]
    assert job["submission"] == "under way"
    own_site.work()
    ended = client.ended(job["job_id"])
    files = client.get(f"/jobs/{job['job_id']}/results").json()["files"]
    shown = [json.dumps(ended)]
    shown += [client.get(f"/jobs/{job['job_id']}/results/{file['path']}").text for file in files]
    assert not [text for text in shown if any(part in text for part in PARTS)]
    # the record has the name for the worker, and in no field that is shown
    with redis.Redis(unix_socket_path=own_site.broker.removeprefix("redis+socket://")) as store:
        fields = store.hgetall(f"bcd:job:{job['job_id']}")
    reason = json.loads(fields[b"reason"])
    assert NAME in reason.pop("place")
    assert not any(part in json.dumps(reason) for part in PARTS)


def names() -> st.SearchStrategy[str]:
    part = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=20)
    return st.builds(lambda start, end: f"{start}{MARK}{end}", part, part)


@given(
    name=names(),
    code=st.sampled_from(["cut-short", "unwritable", "earlier-version"]),
    film=st.sampled_from(["", "film 2 (R CC)"]),
    state=st.sampled_from(["failed", "done with failures"]),
)
def test_whatever_a_file_is_called_no_other_token_sees_it(
    name: str, code: str, film: str, state: Any
) -> None:
    reason = Reason(code, "cannot be read: Input/output error", "submit it again", film, f"/films/{name}")
    record = record_of(make_study("1.2.3"), state=state, reason=reason, exit_code=1)
    assert out_of_the_queue(record) == record
    summary = summarise([record])
    shown = [
        record.why(),
        json.dumps(job_of(record, results=Path("/results")).model_dump()),
        json.dumps(summary.as_json()),
        str(reason),
    ]
    assert not [text for text in shown if MARK in text]
    assert name in record.why(with_place=True)


@given(name=names())
def test_a_sentence_of_an_earlier_version_is_shown_to_no_other_token(name: str) -> None:
    reason = reason_of_earlier_version(f"{name}: cut short")
    record = record_of(make_study("1.2.3"), state="failed", reason=reason, exit_code=1)
    assert MARK not in record.why()
    assert MARK not in json.dumps(summarise([record]).as_json())
    assert MARK in record.why(with_place=True)


def test_a_studys_films_are_grouped_whatever_their_files_are_called(folder: Path) -> None:
    (study,) = find_studies([folder]).studies
    assert [film.reason.code for film in study.films if film.reason] == ["cut-short"]
