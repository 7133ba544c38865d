"""One job from its record to its result, in this process: real Redis, real films, a real (small) network.

What happens while a job runs happens at an event of its log: at a known film, and not a moment later.
"""

import errno
import os
import re
import shutil
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from bcd_model.errors import BcdError
from bcd_model.reasons import Reason
from bcd_model.words import ModelIdentity, OperatingPoint
from converters.films.studies import find_studies
from converters.product import SOFTWARE_VERSION
from converters.results.result_json import read_result
from converters.results.study_result import FailedFilm, JobIdentity, StudyResult
from tests.support.in_process import Queue
from tests.support.reasons import because
from worker.pool.execution import run_job
from worker.queue.job import Priority
from worker.queue.records import Records
from worker.study.publish import publish
from worker.study.scan import may_pass

pytestmark = pytest.mark.redis

NEVER_READ = Path("/proc/self/mem")  # opens, and answers with an I/O error when it is read


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_job_is_done_and_its_record_says_what_was_found(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    record = queue.run(job)
    assert (record.state, record.film, record.attempts, record.lost) == ("done", 4, 1, 0)
    assert (record.tally.scanned, record.tally.failed, record.exit_code, record.reason) == (4, 0, 0, None)
    folder = record.result_folder()
    assert folder == queue.out / "2.25.1000"
    result = read_result(folder)
    assert (result["job_id"], result["software_version"]) == (job, SOFTWARE_VERSION)
    highest = max(1 - f["probability"]["normal"] for film in result["films"] for f in film["findings"])
    assert record.tally.highest == pytest.approx(highest, abs=1e-5)
    assert [path.name for path in queue.out.iterdir()] == ["2.25.1000"]


def test_a_job_for_another_version_of_the_software_is_refused(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    queue.client.hset(f"bcd:job:{job}", "software_version", "0.0.9")
    record = queue.run(job)
    assert (record.state, record.exit_code) == ("failed", 2)
    assert "the job was submitted for version 0.0.9; submit the study again" in record.why()
    assert record.reason is not None and record.reason.code == "other-version"
    assert not queue.out.exists() or not list(queue.out.iterdir())


@pytest.mark.parametrize("film", [1, 2, 4])
def test_a_cancelled_job_ends_before_its_next_film_and_publishes_nothing(
    queue: Queue, films: Path, film: int
) -> None:
    job = queue.submit(films).job_id
    queue.when("film scanned", lambda: Records(queue.url).cancel(job, "not wanted"), film=film)
    record = queue.run(job)
    assert (record.state, record.reason) == ("cancelled", Reason("cancelled", "not wanted"))
    assert queue.watcher.times("film scanned") == film
    assert queue.watcher.times("job dropped") == 1
    assert content(queue.out) == {}


def test_a_folder_asked_for_at_any_moment_gets_the_result_too(queue: Queue, films: Path) -> None:
    late, later = queue.out / "late", queue.out / "later"
    job = queue.submit(films, out=queue.out / "first").job_id
    queue.when("film scanned", lambda: queue.submit(films, out=late), film=2)
    queue.when("result published", lambda: queue.submit(films, out=later))
    record = queue.run(job)
    assert record.state == "done"
    assert queue.watcher.times("film scanned") == 4, "it is scanned once"
    first = content(queue.out / "first")
    assert first
    assert first == content(late) == content(later)


def other_result() -> StudyResult:
    """The result of another job on the same study."""
    return StudyResult(
        job=JobIdentity("another job", datetime(2024, 5, 6, tzinfo=timezone.utc)),
        study_instance_uid="2.25.1000",
        input_digest="d",
        model=ModelIdentity("m", "1", "x"),
        operating_point=OperatingPoint(0.5, 0.4),
        films=(
            FailedFilm(
                file="a.dcm", sop_instance_uid=None, reason=because("its DICOM header cannot be read")
            ),
        ),
    )


@pytest.mark.parametrize("force", [False, True])
def test_anothers_result_that_comes_meanwhile_is_replaced_by_force_alone(
    queue: Queue, films: Path, force: bool
) -> None:
    job = queue.submit(films).job_id

    def meanwhile() -> None:
        publish(other_result(), queue.out)
        assert queue.submit(films, force=force).answer == ("under way" if force else "refused")

    queue.when("film scanned", meanwhile, film=2)
    record = queue.run(job)
    there = read_result(queue.out / "2.25.1000")["job_id"]
    if force:
        assert (record.state, there) == ("done", job)
    else:
        assert (record.state, record.exit_code, there) == ("failed", 5, "another job")
        assert "--force" in record.why()


def test_a_job_given_to_another_worker_is_published_by_that_one_alone(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    queue.when("film scanned", lambda: queue.give_to_another(job), film=4)
    record = queue.run(job, "slow/node/1")
    assert (record.state, record.holder, record.attempts, record.lost) == ("running", "another/node/2", 2, 1)
    assert content(queue.out) == {}
    assert queue.watcher.times("job dropped") == 1
    assert queue.run(job, "another/node/2").state == "done"


def test_a_job_that_is_held_or_done_is_passed_over(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    queue.when("film scanned", lambda: run_job(job, "again/node/2", queue.settings), film=2)
    done = queue.run(job)
    assert (done.state, done.attempts) == ("done", 1)
    assert queue.watcher.times("film scanned") == 4
    before = (queue.out / "2.25.1000").stat()
    assert queue.run(job, "again/node/3") == done
    after = (queue.out / "2.25.1000").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert queue.watcher.times("job passed over") == 2


def test_the_same_job_published_first_under_other_uids_is_left_as_it_is(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    queue.run(job)
    first = content(queue.out)
    queue.client.flushall()  # the queue forgets the job, and it is submitted again for another folder
    (study,) = find_studies([films]).studies
    out = queue.out.with_name("out2")
    out.mkdir()
    record = queue.submitter(out=out).make_record(study)
    record = replace(record, created=record.created + timedelta(hours=1))
    queue.records.submit(record, published=False, force=False)
    queue.when("film scanned", lambda: shutil.copytree(queue.out, out, dirs_exist_ok=True), film=3)
    again = queue.run(job)
    assert again.state == "done"
    assert content(out) == first


# Trouble with the storage


def fill(disk: Path) -> Path:
    """A file that leaves no room."""
    with pytest.raises(OSError, match="No space"), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return disk / "filler"


@pytest.mark.parametrize("moment", ["before", "after the scan"])
def test_a_batch_waits_until_there_is_room_for_its_results(
    queue: Queue, films: Path, small_disk: Path, moment: str
) -> None:
    out = small_disk / "out"
    job = queue.submit(films, out=out, priority="batch").job_id
    if moment == "before":
        fill(small_disk)
    else:
        queue.when("film scanned", lambda: fill(small_disk), film=4)
    record = queue.run(job)
    assert (record.state, record.tries, record.lost, record.exit_code) == ("queued", 1, 0, 0)
    assert "No space left" in record.why()
    assert record.due > record.begun
    assert queue.records.figures().later == 1
    assert queue.watcher.times("film scanned") == (0 if moment == "before" else 4)
    assert content(out) == {}

    assert queue.run(job, "message/node/2") == record, "its time has not come"
    queue.let_it_be_due(job)
    assert queue.run(job, "message/node/3").tries == 2, "the disk is still full"
    (small_disk / "filler").unlink()
    queue.let_it_be_due(job)
    record = queue.run(job, "message/node/4")
    assert (record.state, record.attempts, record.lost, record.reason) == ("done", 3, 0, None)
    assert read_result(out / "2.25.1000")["job_id"] == job


def test_the_pauses_grow_while_the_trouble_lasts(queue: Queue, films: Path) -> None:
    job = queue.submit(films, priority="batch").job_id
    (films / "film1.dcm").unlink()
    (films / "film1.dcm").symlink_to(NEVER_READ)
    pauses = []
    for attempt in range(10):
        record = queue.run(job, f"message/node/{attempt}")
        pauses.append(record.due - record.begun)
        queue.let_it_be_due(job)
    assert 5 < pauses[0] < 20
    assert pauses[3] > 3 * pauses[0]
    assert 400 < pauses[-1] < 800


def test_who_waits_is_told_after_a_short_patience(queue: Queue, films: Path, small_disk: Path) -> None:
    job = queue.submit(films, out=small_disk / "out").job_id
    fill(small_disk)
    record = queue.run(job)
    assert (record.state, record.tries) == ("queued", 1)
    assert record.due - record.begun < 3
    queue.client.hincrbyfloat(f"bcd:job:{job}", "troubled", -60)  # a minute later
    queue.let_it_be_due(job)
    record = queue.run(job, "message/node/2")
    assert (record.state, record.exit_code) == ("failed", 5)
    assert "free space" in record.why()
    assert queue.records.figures().later == 0


@pytest.mark.parametrize("share", ["results", "films"])
def test_a_share_that_is_not_mounted_is_waited_for(
    queue: Queue, films: Path, share: str, tmp_path: Path
) -> None:
    place = queue.out if share == "results" else films
    job = queue.submit(films, priority="batch").job_id
    shutil.move(place, tmp_path / "away")
    record = queue.run(job)
    assert (record.state, record.tries) == ("queued", 1)
    assert "No such file or directory" in record.why()
    assert not place.exists(), "nobody makes what is to be mounted"
    shutil.move(tmp_path / "away", place)
    queue.let_it_be_due(job)
    record = queue.run(job, "message/node/2")
    assert (record.state, record.tally.scanned) == ("done", 4)
    assert content(queue.out)


def test_films_that_cannot_be_read_for_a_while_are_waited_for(queue: Queue, films: Path) -> None:
    film = films / "film3.dcm"
    job = queue.submit(films, priority="batch").job_id
    shutil.move(film, films.parent / "away")
    film.symlink_to(NEVER_READ)
    record = queue.run(job)
    assert (record.state, record.tries) == ("queued", 1)
    assert record.why().startswith("cannot be read: ")
    assert content(queue.out) == {}
    film.unlink()
    shutil.move(films.parent / "away", film)
    queue.let_it_be_due(job)
    record = queue.run(job, "message/node/2")
    assert (record.state, record.tally.scanned, record.tally.failed) == ("done", 4, 0)


def test_a_film_that_is_gone_costs_only_itself_and_nobody_waits_for_it(queue: Queue, films: Path) -> None:
    job = queue.submit(films, priority="batch").job_id
    (films / "film3.dcm").unlink()
    record = queue.run(job)
    assert (record.state, record.tries, record.exit_code) == ("done with failures", 0, 1)
    assert (record.tally.scanned, record.tally.failed) == (3, 1)
    assert re.match(r"1 of 4 films failed; film \d: cannot be read: No such file", record.why())
    assert "film3.dcm" not in record.why()
    with_place = r"1 of 4 films failed; film3\.dcm: film \d: cannot be read: No such file"
    assert re.match(with_place, record.why(with_place=True))


@pytest.mark.parametrize("priority", ["interactive", "batch"])
def test_a_folder_that_may_not_be_written_is_told_at_once(
    queue: Queue, films: Path, priority: Priority
) -> None:
    job = queue.submit(films, out=Path("/sys"), priority=priority).job_id
    record = queue.run(job)
    assert (record.state, record.exit_code, record.tries) == ("failed", 5, 0)
    assert "permissions" in record.why()
    assert queue.watcher.times("film scanned") == 0, "nobody waits for a scan that cannot be kept"


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EIO, True),
        (errno.ESTALE, True),
        (errno.ETIMEDOUT, True),
        (errno.EACCES, False),
        (errno.EROFS, False),
        (errno.ENOENT, False),
        (errno.ENOTDIR, False),
    ],
)
def test_what_may_pass_by_itself(number: int, passes: bool) -> None:
    cause = OSError(number, os.strerror(number))
    error = BcdError("a result could not be written")
    error.__cause__ = cause
    assert may_pass(cause) is may_pass(error) is passes
    assert not may_pass(BcdError("a wrong threshold"))


# What else may befall a job


def test_the_lease_is_kept_while_a_film_takes_longer_than_it_lasts(queue: Queue, films: Path) -> None:
    queue.settings = queue.settings.model_copy(update={"lease_seconds": 2})
    job = queue.submit(films).job_id
    answers = set()

    def take_long() -> None:
        until = time.monotonic() + 3
        while time.monotonic() < until:
            answers.add(queue.records.claim(job, "another/node/2", 2))
            time.sleep(0.1)

    queue.when("film scanned", take_long, film=1)
    record = queue.run(job)
    assert answers == {"held"}
    assert (record.state, record.attempts) == ("done", 1)
    assert "lease" not in {thread.name for thread in threading.enumerate()}


def test_a_study_that_takes_too_long_says_so(queue: Queue, films: Path) -> None:
    def time_is_over() -> None:  # billiard raises it wherever the job is
        raise SoftTimeLimitExceeded

    job = queue.submit(films).job_id
    queue.when("film scanned", time_is_over, film=2)
    record = queue.run(job)
    assert (record.state, record.exit_code) == ("failed", 1)
    assert "BCD_VISIBILITY_TIMEOUT" in record.why()
    assert content(queue.out) == {}


@pytest.mark.parametrize("field", ["created", "study"])
def test_a_record_that_cannot_be_read_fails_its_job(queue: Queue, films: Path, field: str) -> None:
    job = queue.submit(films).job_id
    queue.client.hset(f"bcd:job:{job}", field, "damaged")
    run_job(job, "message/node/1", queue.settings)
    assert queue.records.figures().states["failed"] == 1
    assert queue.records.claim(job, "message/node/2", 10) == "failed", "it is not begun again and again"


@pytest.mark.parametrize("field", ["created", "outs", "priority"])
def test_a_record_damaged_while_its_study_is_scanned_drops_its_job_that_is_made_anew_if_submitted(
    queue: Queue, films: Path, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    job = queue.submit(films).job_id
    queue.when("film scanned", lambda: queue.client.hset(f"bcd:job:{job}", field, "damaged"), film=2)
    run_job(job, "message/node/1", queue.settings)
    told = ("record damaged", "job dropped", "job broke", "queue lost")
    assert [r.message for r in caplog.records if r.message in told] == ["record damaged", "job dropped"]
    assert content(queue.out) == {}
    assert queue.submit(films).answer == "queued"
    assert queue.run(job).state == "done"


@pytest.mark.parametrize("begun", [True, False])
def test_made_anew_a_job_whose_result_stands_is_done_with_the_time_of_that(
    queue: Queue, films: Path, begun: bool
) -> None:
    job = queue.submit(films).job_id
    if begun:
        created = queue.run(job).created
        written = content(queue.out)
    queue.client.hset(f"bcd:job:{job}", "created", "2001-02-03T04:05:06")  # without a zone
    assert queue.submit(films).answer == ("done" if begun else "queued")
    record = queue.record(job)
    if begun:
        assert (record.state, record.created, content(queue.out)) == ("done", created, written)
    else:
        assert queue.run(job).state == "done"


def test_a_result_leads_nowhere_else_whatever_the_record_says(
    queue: Queue, films: Path, tmp_path: Path
) -> None:
    (study,) = find_studies([films]).studies
    forged = replace(study, study_instance_uid="../escaped")
    queue.out.mkdir()
    record = queue.submitter().make_record(forged)
    queue.records.submit(record, published=False, force=False)
    settings = queue.settings.model_copy(update={"output_roots": (queue.out,)})
    run_job(record.job_id, "message/node/1", settings)
    ended = queue.record(record.job_id)
    assert (ended.state, ended.exit_code) == ("failed", 2)
    assert "may not write" in ended.why()
    assert not (tmp_path / "escaped").exists()


def test_what_nobody_foresaw_fails_the_job_without_quoting_it(queue: Queue, films: Path) -> None:
    def break_down() -> None:
        raise ValueError("Marked^Nameless is no number")

    job = queue.submit(films).job_id
    queue.when("film scanned", break_down, film=2)
    record = queue.run(job)
    assert (record.state, record.exit_code) == ("failed", 1)
    assert "ValueError" in record.why()
    assert "arked" not in record.why()
    assert queue.watcher.times("job broke") == 1


def test_a_record_whose_films_do_not_fit_it_is_not_worked_on(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    queue.client.hset(f"bcd:job:{job}", "input_digest", "0" * 64)
    record = queue.run(job)
    assert (record.state, record.exit_code) == ("failed", 2)
    assert "submit the study again" in record.why()


def test_a_message_for_no_job_is_refused_and_counted(queue: Queue) -> None:
    run_job("0123456789abcdef", "message/node/1", queue.settings)
    assert sum(queue.records.figures().refused.values()) == 1
    assert queue.records.listing() == []


def test_a_job_that_ends_its_worker_three_times_is_quarantined(queue: Queue, films: Path) -> None:
    class KilledError(BaseException):
        """The process is gone in the middle of a film; nothing of the job's own code runs any more."""

    def be_killed() -> None:
        raise KilledError

    job = queue.submit(films).job_id
    for attempt in range(3):
        queue.when("film scanned", be_killed, film=2)
        with pytest.raises(KilledError):
            run_job(job, f"message/node/{attempt}", queue.settings)
        assert queue.client.zadd("bcd:running", {job: 1.0}, xx=True, ch=True)
    record = queue.run(job, "message/node/4")
    assert (record.state, record.attempts, record.lost) == ("failed", 3, 3)
    assert "quarantined" in record.why()
    assert queue.watcher.times("job quarantined") == 1
    assert content(queue.out) == {}


def test_a_job_with_another_results_folder_is_retried_in_all_of_them(queue: Queue, films: Path) -> None:
    job = queue.submit(films).job_id
    assert queue.records.cancel(job, "not wanted")
    assert queue.records.retry(job)
    queue.submit(films, out=queue.out / "second")
    assert queue.run(job).state == "done"
    assert content(queue.out / "second")
    assert (queue.out / "2.25.1000" / "result.json").is_file()
