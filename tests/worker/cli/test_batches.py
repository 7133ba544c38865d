"""Many jobs at once: names of batches, submitting, cancel and retry."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bcd_model.errors import QueueError
from converters.films.studies import StudyInput, find_studies
from tests.support.batch_site import HOLDER, Site, make_record, table
from tests.support.reasons import because
from worker.cli.shared.session import open_queue
from worker.cli.shared.submission import cancelled_on_interrupt, make_submitter, queue_studies
from worker.engine.client import embedded_engine
from worker.queue.records import Records
from worker.settings import load_settings

pytestmark = pytest.mark.redis


# Names


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a\nb", "x" * 65, "--json", "*"])
@pytest.mark.parametrize("command", [("submit", "."), ("status",), ("cancel",), ("results",)])
def test_a_batch_needs_a_plain_name(local: Any, command: tuple[str, ...], name: str) -> None:
    answer = local(*command, f"--batch={name}")
    assert answer.code == 2
    assert "cannot name a batch; use up to 64 letters" in answer.error


def test_a_name_may_hold_what_a_date_and_a_host_need(site: Site) -> None:
    for name in ("2024-05-06T22:00:00+02:00", "night_1.a@ward", "Nacht-Köln", "x" * 64):
        job = site.add(name)
        assert table(site("jobs", "--batch", name).out) == [job]


def test_an_unknown_batch_is_told_with_those_that_there_are(site: Site) -> None:
    site.add("night-1")
    for command in ("jobs", "status", "cancel", "retry", "results"):
        answer = site(command, "--batch", "nigth-1")
        assert answer.code == 2
        assert answer.error == "no batch 'nigth-1'; the last ones are: night-1"


@pytest.mark.parametrize("command", ["status", "cancel", "retry", "results"])
def test_either_a_job_or_a_batch(local: Any, command: str) -> None:
    for arguments in ((), ("0123", "--batch", "night")):
        answer = local(command, *arguments)
        assert answer.code == 2
        assert "a job's id, a Study Instance UID or --batch NAME" in answer.error


# Submitting


def test_submitting_a_batch_to_a_site_says_how_to_watch_it(site: Site, studies: Path) -> None:
    answer = site("submit", studies, "--batch", "night", "--out", "out")
    assert answer.code == 0, answer.err
    assert "2 studies, 4 films: 2 queued" in answer.err
    assert "warning: no worker is at work" in answer.err
    assert answer.err.endswith("to watch: bcd-admin status --batch night --watch\n")
    listed = site("jobs", "--json").json["jobs"]
    assert [(job["batch"], job["priority"]) for job in listed] == [("night", "batch")] * 2
    again = site("submit", studies, "--batch", "night", "--out", "out")
    assert "2 under way already" in again.err
    assert "--watch" not in site("submit", studies, "--out", "out", "--json").err


def test_one_study_is_watched_by_its_id(site: Site, patients: list[Path]) -> None:
    answer = site("submit", patients[0], "--out", "out")
    (job,) = table(answer.out)
    assert answer.err.endswith(f"to watch: bcd-admin status {job} --watch\n")


@pytest.mark.parametrize("end", [KeyboardInterrupt, QueueError])
def test_how_far_an_interrupted_submission_came_is_told(
    url: str, site: Site, studies: Path, weights: Path, capsys: Any, end: type[BaseException]
) -> None:
    found = find_studies([studies]).studies

    def interrupted() -> Iterator[StudyInput]:
        yield found[0]
        raise end("it is full")

    settings = load_settings(broker_url=url, model=weights)
    with open_queue(settings) as queue, pytest.raises(end), cancelled_on_interrupt(queue, 2) as submitted:
        submitter = make_submitter(queue, Path("/out"), "batch", "night", force=False)
        queue_studies(submitter, interrupted(), submitted)
    told = "1 of 2 studies are queued; submit the same again: it goes on where it stopped"
    assert told in capsys.readouterr().err
    assert site("jobs", "--json").json["states"]["queued"] == 1
    again = site("submit", studies, "--batch", "night", "--out", "/out")
    assert "2 studies, 4 films: 1 queued, 1 under way already" in again.err


# Cancel and retry


def test_jobs_are_cancelled_by_the_start_of_their_id_or_their_study(site: Site) -> None:
    jobs = [site.add() for _ in range(3)]
    uid = site("status", jobs[1], "--json").json["study_instance_uid"]
    site.end(jobs[2])
    answer = site("cancel", jobs[0][:12], uid, jobs[2], jobs[0])
    assert (answer.code, answer.out) == (0, "2 jobs cancelled, 1 had ended already\n")
    assert site("status", jobs[0], "--json").json["state"] == "cancelled"
    again = site("cancel", *jobs, "--json")
    assert again.json == {"cancelled": [], "ended_already": jobs, "of_another_batch": [], "lost": []}


def test_an_unknown_id_cancels_nothing(site: Site) -> None:
    job = site.add()
    answer = site("cancel", job, "zzz")
    assert answer.code == 2
    assert "no job 'zzz'" in answer.error
    assert site("status", job, "--json").json["state"] == "queued"


def test_a_batch_is_cancelled_but_for_what_another_one_wants_too(site: Site) -> None:
    record = make_record(batch="one")
    for batch in ("one", "two"):
        site.records.submit(replace(record, batch=batch), published=False, force=False)
    site.end(site.add("one"))
    site.begin(site.add("one"))
    site.add("one")
    answer = site("cancel", "--batch", "one")
    assert answer.out == "2 jobs cancelled, 1 had ended already, 1 left to another batch\n"
    assert site("jobs", "--json").json["states"]["queued"] == 1


def test_retry_queues_again_what_did_not_end_well(site: Site) -> None:
    jobs = {
        state: site.add("night") for state in ("done", "done with failures", "failed", "cancelled", "due")
    }
    for state in ("done", "done with failures", "failed"):
        site.end(jobs[state], state, None if state == "done" else because("torn"))
    site.records.cancel(jobs["cancelled"], "by hand")
    site.begin(jobs["due"])
    site.records.later(jobs["due"], HOLDER, 300, because("full"), 3600)
    waiting = site.add("night")
    answer = site("retry", "--batch", "night")
    assert answer.code == 0, answer.err
    assert answer.out == "4 jobs queued again, 2 left as they are (done, under way, refused or superseded)\n"
    assert answer.err.endswith("to watch: bcd-admin status --batch night --watch\n")
    states = site("jobs", "--batch", "night", "--json").json["states"]
    assert (states["queued"], states["done"]) == (5, 1)
    assert site.records._redis.llen("bcd.batch") == 4, "a message for each"
    again = site("retry", jobs["failed"][:10], waiting, "--json")
    assert again.json == {"retried": [], "left": [jobs["failed"], waiting], "lost": [], "jobs": []}


def test_retry_waits_where_nobody_else_works(admin: Any, patients: list[Path], tmp_path: Path) -> None:
    forbidden = {"BCD_INPUT_ROOTS": str(tmp_path / "elsewhere")}
    failed = admin("submit", *patients, "--out", "out", "--batch", "night", **forbidden)
    assert failed.code == 2
    summary = admin("status", "--batch", "night")
    assert summary.code == 1
    assert "  2  this worker may not read this folder; correct BCD_INPUT_ROOTS" in summary.out
    answer = admin("retry", "--batch", "night")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("2 jobs queued again\n")
    assert f"2 done; results in {admin.folder / 'out'}" in answer.out
    assert admin("status", "--batch", "night").code == 0
    assert (
        admin("retry", "--batch", "night").out
        == "0 jobs queued again, 2 left as they are (done, under way, refused or superseded)\n"
    )


def test_retry_leaves_the_work_to_an_engine_that_is_kept(kept: Any, patients: list[Path]) -> None:
    submitted = kept("submit", patients[0], "--out", "again", "--batch", "again", "--force", "--json")
    assert submitted.code == 0, submitted.err
    (job,) = submitted.json["jobs"]
    for path in (kept.folder / "again").iterdir():
        shutil.rmtree(path)
    retried = kept("retry", job["job_id"])
    assert retried.out == "0 jobs queued again, 1 left as they are (done, under way, refused or superseded)\n"
    queued = kept("submit", *patients, "--out", "again", "--batch", "again", "--force", "--no-wait")
    assert queued.code == 0
    assert "to watch: bcd-admin status --batch again --watch" in queued.err
    cancelled = kept("cancel", "--batch", "again", "--json").json["cancelled"]
    answer = kept("retry", "--batch", "again", "--json")
    assert answer.json["retried"] == cancelled[::-1]
    assert kept("status", "--batch", "again", "--watch").code == 0
    assert len(list((kept.folder / "again").glob("*/result.json"))) == 2


def test_where_nobody_works_nothing_runs_and_watching_ends(admin: Any, patients: list[Path]) -> None:
    with embedded_engine(admin.state) as engine:
        records = Records(engine.url)
        record = make_record(batch="night")
        records.submit(record, published=False, force=False)
        assert records.claim(record.job_id, HOLDER, 600) == "claimed"
        answer = admin("jobs", "--watch")
        assert answer.out.endswith("1 job: 1 queued\n")
        assert "goes on with the next submit or up" in answer.out
        assert "time left no worker is at work" in admin("status", "--batch", "night", "--watch").out
