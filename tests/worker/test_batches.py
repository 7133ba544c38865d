"""Many jobs at once: listing, watching, the summary in the morning, cancel, retry, and what was found."""

import csv
import fcntl
import io
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bcd_model.errors import QueueError
from bcd_model.words import ModelIdentity
from converters.studies import FilmSource, StudyInput, find_studies
from worker.cli.jobs import cancelled_on_interrupt, make_submitter, queue_studies
from worker.cli.session import open_queue
from worker.engine import embedded_engine
from worker.job import Record, Tally, job_id
from worker.records import Records
from worker.settings import load_settings
from worker.summary import cause, summarise

pytestmark = pytest.mark.redis

MODEL = ModelIdentity("m", "1", "d" * 64)
SHAPE = {"threshold": 0.3, "uid_root": "2.25"}
NUMBERS = count(1)
HOLDER = "a worker"


class Site:
    """A queue at a site with nobody at work: the test plays the worker."""

    def __init__(self, url: str, admin: Any, run: Callable[..., Any]) -> None:
        self.url = url
        self.admin = admin
        self.run = run
        self.records = Records(url)

    def __call__(self, *arguments: object) -> Any:
        return self.run(*arguments, BCD_BROKER_URL=self.url)

    def start(self, *arguments: object) -> Any:
        return self.admin.start(*arguments, BCD_BROKER_URL=self.url)

    def add(self, batch: str = "", films: int = 2) -> str:
        """Queue a study of its own; the id of its job."""
        record = make_record(batch=batch, films=films, out=self.admin.folder / "out")
        self.records.submit(record, published=False, force=False)
        return record.job_id

    def begin(self, job: str) -> None:
        assert self.records.claim(job, HOLDER, 600) == "claimed"

    def end(self, job: str, state: Any = "done", reason: str = "", tally: Tally | None = None) -> None:
        self.begin(job)
        code = 0 if state == "done" else 1
        tally = tally or Tally(scanned=2)
        assert self.records.end(job, HOLDER, state=state, reason=reason, exit_code=code, tally=tally)


def make_record(*, batch: str = "", films: int = 2, out: Path = Path("/out")) -> Record:
    uid = f"1.2.3.{next(NUMBERS)}"
    study = StudyInput(uid, tuple(FilmSource(Path(f"/{n}"), f"{uid}.{n}", f"{n:064}") for n in range(films)))
    created = datetime.now().astimezone()
    return Record(
        job_id=job_id(study, MODEL, SHAPE),
        study_instance_uid=uid,
        input_digest=study.digest,
        model=MODEL,
        settings=SHAPE,
        created=created,
        updated=created,
        films=films,
        outs=(out,),
        lane="batch",
        batch=batch,
        study=study,
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_engine(tmp_path_factory.mktemp("site")) as engine:
        yield engine.url


@pytest.fixture
def site(url: str, admin: Any, local: Any) -> Iterator[Site]:
    site = Site(url, admin, local)
    yield site
    site.records._redis.flushall()


def table(text: str) -> list[str]:
    """The job ids at the start of the lines."""
    return re.findall(r"^([0-9a-f]{16})\b", text, re.MULTILINE)


# Names


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "a\nb", "x" * 65, "--json", "*"])
@pytest.mark.parametrize("command", [("submit", "."), ("status",), ("cancel",), ("results",)])
def test_a_batch_needs_a_plain_name(local: Any, command: tuple[str, ...], name: str) -> None:
    answer = local(*command, f"--batch={name}")
    assert answer.code == 2
    assert "is no name for a batch; use up to 64 letters" in answer.error


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
        assert "a job's id or --batch NAME" in answer.error


# Submitting


def test_submitting_a_batch_to_a_site_says_how_to_watch_it(site: Site, studies: Path) -> None:
    answer = site("submit", studies, "--batch", "night", "--out", "out")
    assert answer.code == 0, answer.err
    assert "2 studies, 4 films: 2 queued" in answer.err
    assert "warning: no worker is at work" in answer.err
    assert answer.err.endswith("to watch: bcd-admin status --batch night --watch\n")
    listed = site("jobs", "--json").json["jobs"]
    assert [(job["batch"], job["lane"]) for job in listed] == [("night", "batch")] * 2
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


# Listing


def test_jobs_shows_the_newest_and_counts_them_all(site: Site) -> None:
    jobs = [site.add("night") for _ in range(5)]
    site.end(jobs[0])
    site.end(jobs[1], "failed", "no film")
    site.begin(jobs[2])
    answer = site("jobs", "--limit", "2")
    assert table(answer.out) == jobs[:2:-1]
    assert (
        answer.out.splitlines()[-1] == "5 jobs: 1 done, 1 failed, 1 running, 2 queued; the newest 2 are shown"
    )
    whole = site("jobs", "--limit", "0")
    assert table(whole.out) == jobs[::-1]
    assert whole.out.splitlines()[-1] == "5 jobs: 1 done, 1 failed, 1 running, 2 queued"
    answer = site("jobs", "--json", "-n", "3").json
    assert answer["total"] == 5
    assert answer["states"] == {
        "queued": 2,
        "running": 1,
        "done": 1,
        "done with failures": 0,
        "failed": 1,
        "cancelled": 0,
    }
    assert [job["job_id"] for job in answer["jobs"]] == jobs[:1:-1]


def test_jobs_by_state_and_batch(site: Site) -> None:
    first, second = [site.add("one") for _ in range(3)], [site.add("two") for _ in range(2)]
    for job in first[:2]:
        site.end(job, "done with failures", "1 of 2 films failed; a.dcm: torn")
    assert table(site("jobs", "--batch", "one").out) == first[::-1]
    assert table(site("jobs", "--batch", "two").out) == second[::-1]
    assert table(site("jobs", "--state", "queued").out) == [*second[::-1], first[2]]
    for name in ("done with failures", "done-with-failures"):
        answer = site("jobs", "--state", name, "--limit", "1")
        assert table(answer.out) == [first[1]]
        assert "5 jobs: 2 done with failures, 3 queued; the newest 1 of 2 done with failures" in answer.out
    none = site("jobs", "--state", "failed", "--batch", "one")
    assert none.out == "3 jobs: 2 done with failures, 1 queued\n"
    wrong = site("jobs", "--state", "lost")
    assert wrong.code == 2
    assert "done with failures" in wrong.error


def test_a_job_that_waits_for_its_storage_says_until_when_and_why(site: Site) -> None:
    job = site.add("night")
    site.begin(job)
    assert site.records.later(job, HOLDER, 300, "is tried again: /out cannot be written: full", 3600)
    for command in (["jobs"], ["status", job]):
        shown = site(*command).out
        assert re.search(r"tries again at \d\d:\d\d:\d\d: /out cannot be written: full$", shown, re.MULTILINE)
    summary = site("status", "--batch", "night").out
    assert re.search(
        r"^  1  the first at \d\d:\d\d:\d\d: /out cannot be written: full$", summary, re.MULTILINE
    )
    assert "waiting to be tried again:" in summary
    assert "retry --batch night" in summary


def test_reasons_never_break_the_line(site: Site) -> None:
    job = site.add("night")
    site.end(job, "failed", "no film of 2 could be scanned; two\nlines\x1b[2J.dcm cannot be read")
    for command in (["jobs"], ["status", job], ["status", "--batch", "night"]):
        answer = site(*command)
        assert "\x1b" not in answer.out
        assert r"two\nlines\x1b[2J.dcm" in answer.out


# Watching


def test_watching_elsewhere_than_on_a_terminal_prints_a_line_for_each_change(site: Site) -> None:
    first, second = site.add("night"), site.add("night")
    watchers = {
        "jobs": site.start("jobs", "--batch", "night", "--watch"),
        "status": site.start("status", "--batch", "night", "--watch"),
        "failed": site.start("jobs", "--state", "failed", "--watch"),
        "one": site.start("status", first, "--watch"),
        "json": site.start("status", "--batch", "night", "--watch", "--json"),
    }
    for watcher in watchers.values():
        assert "no worker is at work" in watcher.stderr.readline()
    line = watchers["one"].stdout.readline()
    assert re.match(rf"\d\d:\d\d:\d\d  {first}  queued  1\.2\.3\.", line)
    site.begin(first)
    line = watchers["jobs"].stdout.readline()
    assert re.match(rf"\d\d:\d\d:\d\d  {first}  running \(film 0 of 2\)  1\.2\.3\.", line)
    assert site.records.end(first, HOLDER, state="done", tally=Tally(2))
    site.end(second, "failed", "torn")
    answers = {name: watcher.communicate(timeout=60)[0] for name, watcher in watchers.items()}
    codes = {name: watcher.returncode for name, watcher in watchers.items()}
    assert codes == {"jobs": 0, "status": 1, "failed": 0, "one": 0, "json": 1}
    assert f"{first}  done  " in answers["jobs"]
    assert re.search(rf"{second}  failed  1\.2\.3\.\d+  torn\n", answers["status"])
    assert "studies   2: 1 done, 1 failed" in answers["status"]
    assert f"{first}  done" not in answers["failed"]
    assert f"{second}  failed" in answers["failed"]
    assert "state     done" in answers["one"]
    assert answers["json"].startswith("{")


class Terminal:
    """A command on a terminal of 100 columns and 12 lines."""

    def __init__(self, site: Site, *arguments: object) -> None:
        self._reader, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 100, 0, 0))
        environment = site.admin.environment | {"BCD_BROKER_URL": site.url, "TERM": "xterm"}
        self.process = subprocess.Popen(
            site.admin.command(*arguments),
            env=environment,
            cwd=site.admin.folder,
            stdin=end,
            stdout=end,
            stderr=end,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        site.admin.started.append(self.process)
        os.close(end)
        self.shown = ""

    def read_until(self, text: str) -> None:
        while text not in self.shown:
            try:
                self.shown += os.read(self._reader, 65536).decode()
            except OSError:  # its end, where Linux says that the other side is closed
                break
        assert text in self.shown, self.shown

    def close(self) -> int:
        code = self.process.wait(60)
        os.close(self._reader)
        return code


def test_watching_on_a_terminal_redraws_until_all_have_ended(site: Site) -> None:
    jobs = [site.add("night") for _ in range(30)]
    terminal = Terminal(site, "jobs", "--batch", "night", "--watch")
    terminal.read_until("30 jobs: 30 queued")
    for job in jobs:
        site.end(job)
    terminal.read_until("30 jobs: 30 done\r\n")
    for job in jobs:
        terminal.read_until(job)  # at the end in full, though the terminal has 12 lines
    assert terminal.close() == 0


def test_ctrl_c_ends_the_watching(site: Site) -> None:
    site.add("night")
    terminal = Terminal(site, "status", "--batch", "night", "--watch")
    terminal.read_until("1 queued")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read_until("error: interrupted")
    assert terminal.close() == 130
    assert "Traceback" not in terminal.shown


def test_nothing_to_watch_ends_at_once(site: Site, admin: Any) -> None:
    assert admin("jobs", "--watch").err == "no jobs yet\n"
    site.end(site.add("night"))
    ended = site("jobs", "--watch")
    assert ended.out.endswith("1 job: 1 done\n")
    assert ended.err == ""
    assert site("status", "--batch", "night", "--watch").code == 0


# The summary


def test_the_morning_summary(site: Site) -> None:
    jobs = [site.add("night", films=4) for _ in range(9)]
    site.end(jobs[0], tally=Tally(4, 0, 2, 0.9))
    site.end(jobs[1], tally=Tally(4, 0, 1, 0.4))
    site.end(jobs[2], tally=Tally(4, 0, 0, 0.1))
    torn = "1 of 4 films failed; IM{}.dcm: cut short: {} of 26214400 bytes of pixels"
    for job, name, size in ((jobs[3], "0001", 1000), (jobs[4], " 2: x", 77)):
        site.end(job, "done with failures", torn.format(name, size), Tally(3, 1))
    site.end(
        jobs[5],
        "failed",
        "no film of 4 could be scanned; x.dcm: cut short: 5 of 9 bytes of pixels",
        Tally(0, 4),
    )
    site.end(jobs[6], "failed", "/data/1.2.3 cannot be written: No space left on device", Tally())
    assert site("cancel", jobs[7]).code == 0
    site.begin(jobs[8])
    site.records.renew(jobs[8], HOLDER, 600, 3)

    answer = site("status", "--batch", "night")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert "studies   9: 3 done, 2 done with failures, 2 failed, 1 cancelled, 1 running" in lines
    assert "films     36: 18 scanned, 6 failed, 8 not reached, 4 left" in lines
    assert "findings  in 3 films of 2 studies, from P(abnormal) 30.0 %" in lines
    assert any(re.match(r"began     \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", line) for line in lines)
    assert "Research use only" in answer.out
    at = lines.index("failed, or done with failures:")
    assert lines[at + 1 : at + 5] == [
        "  3  cut short: … of … bytes of pixels",
        f"     {jobs[5]}, {jobs[4]}, {jobs[3]}",
        "  1  /data/1.2.3 cannot be written: No space left on device",
        f"     {jobs[6]}",
    ]
    assert re.search(r"^next: +bcd-admin results --batch night +#", answer.out, re.MULTILINE)
    assert re.search(r"^ +bcd-admin retry --batch night +#", answer.out, re.MULTILINE)

    told = site("status", "--batch", "night", "--json")
    assert told.code == 1
    assert told.json["batch"] == "night"
    assert told.json["studies"] == 9
    assert told.json["states"]["cancelled"] == 1
    assert (told.json["films_flagged"], told.json["studies_flagged"]) == (3, 2)
    assert told.json["ended"] is None
    assert [(group["studies"], len(group["jobs"])) for group in told.json["failures"]] == [(3, 3), (1, 1)]


def test_a_batch_that_went_well_ends_with_0_and_says_when(site: Site) -> None:
    for _ in range(2):
        site.end(site.add("night"))
    answer = site("status", "--batch", "night")
    assert answer.code == 0
    assert re.search(r"^ended     .{19}, \d+ s later$", answer.out, re.MULTILINE)
    assert re.search(r"^pace      [\d,.]+ films a minute$", answer.out, re.MULTILINE)
    assert "failed" not in answer.out.replace("0 failed", "")
    assert "retry" not in answer.out


def ended(begun: float, end: float, **changes: Any) -> Record:
    changes = {"state": "done", "begun": begun, "ended": end, "tally": Tally(2)} | changes
    return replace(make_record(), **changes)


def test_a_pause_does_not_count_into_the_pace() -> None:
    night = [ended(1000 + 10 * n, 1020 + 10 * n) for n in range(5)]  # two at a time, 60 s in all
    morning = [ended(9000, 9060), ended(9000, 9040)]
    waiting = [replace(make_record(), state="queued") for _ in range(6)]
    summary = summarise([*night, *morning, *waiting])
    assert summary.films_per_minute == pytest.approx(14 / 2)
    assert summary.seconds_left == pytest.approx(12 / 14 * 120)
    assert (summary.began, summary.ended) == (1000, 0)
    assert summarise([*night, *morning]).ended == 9060
    assert summarise([*night, *waiting], at_work=False).seconds_left is None


def test_what_was_not_scanned_here_has_no_pace() -> None:
    restored = ended(0, 5000)
    cancelled = ended(1000, 2000, state="cancelled", tally=Tally())
    summary = summarise([restored, cancelled, replace(make_record(), state="queued")])
    assert summary.films_per_minute is None
    assert summary.seconds_left is None


ALIKE = {
    "its pixels cannot be read": (
        "1 of 4 films failed; a b: c.dcm: its pixels cannot be read",
        "2 of 2 films failed; 7: its pixels cannot be read",
        "no film of 12 could be scanned; two\nlines: its pixels cannot be read",
    ),
    "has changed since it was submitted; submit it again": (
        "1 of 4 films failed; IM1 has changed since it was submitted; submit it again",
        "1 of 1 films failed; left breast.dcm has changed since it was submitted; submit it again",
    ),
    "cut short: … of … bytes of pixels": (
        "1 of 4 films failed; IM1: cut short: 7 of 9 bytes of pixels",
        "no film of 4 could be scanned; 1.2.3.4: cut short: 70000 of 1234567 bytes of pixels",
    ),
    "… different files have its SOP Instance UID (…); keep the right one": (
        "1 of 4 films failed; 2 different files have its SOP Instance UID (a.dcm, 2); keep the right one",
        "1 of 4 films failed; 3 different files have its SOP Instance UID (x1, b.d, 7); keep the right one",
    ),
    "/a/results/… cannot be written: full": (
        "/a/results/1.2.3 cannot be written: full",
        "is tried again: /a/results/1.2.840.7 cannot be written: full",
    ),
    "this worker may not read …; mend BCD_INPUT_ROOTS": (
        "this worker may not read /in/patient 7 8; mend BCD_INPUT_ROOTS",
        "this worker may not read /in/p; mend BCD_INPUT_ROOTS",
    ),
}


@pytest.mark.parametrize("expected", ALIKE)
def test_the_same_trouble_reads_the_same_whatever_the_file(expected: str) -> None:
    assert {cause(reason) for reason in ALIKE[expected]} == {expected}


def test_other_trouble_is_another_group() -> None:
    assert len(ALIKE) == len({cause(reasons[0]) for reasons in ALIKE.values()})
    assert cause("unexpected ValueError; see the log") != cause("unexpected KeyError; see the log")


# Cancel and retry


def test_jobs_are_cancelled_by_the_start_of_their_id_or_their_study(site: Site) -> None:
    jobs = [site.add() for _ in range(3)]
    uid = site("status", jobs[1], "--json").json["study_instance_uid"]
    site.end(jobs[2])
    answer = site("cancel", jobs[0][:12], uid, jobs[2], jobs[0])
    assert (answer.code, answer.out) == (0, "2 jobs cancelled, 1 had ended already\n")
    assert site("status", jobs[0], "--json").json["state"] == "cancelled"
    again = site("cancel", *jobs, "--json")
    assert again.json == {"cancelled": [], "ended_already": jobs, "of_another_batch": []}


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
        site.end(jobs[state], state, "" if state == "done" else "torn")
    site.records.cancel(jobs["cancelled"], "by hand")
    site.begin(jobs["due"])
    site.records.later(jobs["due"], HOLDER, 300, "is tried again: full", 3600)
    waiting = site.add("night")
    answer = site("retry", "--batch", "night")
    assert answer.code == 0, answer.err
    assert answer.out == "4 jobs queued again, 2 left as they are (done, or under way)\n"
    assert answer.err.endswith("to watch: bcd-admin status --batch night --watch\n")
    states = site("jobs", "--batch", "night", "--json").json["states"]
    assert (states["queued"], states["done"]) == (5, 1)
    assert site.records._redis.llen("bcd.batch") == 4, "a message for each"
    again = site("retry", jobs["failed"][:10], waiting, "--json")
    assert again.json == {"retried": [], "left": [jobs["failed"], waiting], "jobs": []}


def test_retry_waits_where_nobody_else_works(admin: Any, patients: list[Path], tmp_path: Path) -> None:
    forbidden = {"BCD_INPUT_ROOTS": str(tmp_path / "elsewhere")}
    failed = admin("submit", *patients, "--out", "out", "--batch", "night", **forbidden)
    assert failed.code == 2
    summary = admin("status", "--batch", "night")
    assert summary.code == 1
    assert "  2  this worker may not read" in summary.out
    answer = admin("retry", "--batch", "night")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("2 jobs queued again\n")
    assert f"2 done; results in {admin.folder / 'out'}" in answer.out
    assert admin("status", "--batch", "night").code == 0
    assert (
        admin("retry", "--batch", "night").out
        == "0 jobs queued again, 2 left as they are (done, or under way)\n"
    )


def test_retry_leaves_the_work_to_an_engine_that_is_kept(kept: Any, patients: list[Path]) -> None:
    submitted = kept("submit", patients[0], "--out", "again", "--batch", "again", "--force", "--json")
    assert submitted.code == 0, submitted.err
    (job,) = submitted.json["jobs"]
    for path in (kept.folder / "again").iterdir():
        shutil.rmtree(path)
    assert (
        kept("retry", job["job_id"]).out == "0 jobs queued again, 1 left as they are (done, or under way)\n"
    )
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
        assert "time left nobody works on it" in admin("status", "--batch", "night", "--watch").out


# What was found


@pytest.fixture(scope="module")
def found(kept: Any, studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of two good studies and one with a film that is cut short and has an odd name."""
    folder = tmp_path_factory.mktemp("input")
    shutil.copytree(studies, folder / "good")
    for number, path in enumerate(sorted(next(folder.glob("good/*/")).glob("*.dcm"))):
        data = path.read_bytes()
        path.rename(path.with_name(f"=1+{number}.dcm"))
        if number == 0:
            path.with_name("=1+0.dcm").write_bytes(data[:20000])
    answer = kept("submit", folder, "--out", "found", "--batch", "found")
    assert answer.code == 1, answer.err
    return kept.folder / "found"


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.out, newline="")))


def test_the_studies_of_a_batch_come_the_most_suspicious_first(kept: Any, found: Path) -> None:
    answer = kept("results", "--batch", "found", "--json")
    assert answer.code == 0, answer.err
    listed = answer.json["studies"]
    highest = [study["highest_probability"] for study in listed]
    assert highest == sorted(highest, reverse=True)
    assert {study["state"] for study in listed} == {"done", "done with failures"}
    assert {Path(study["result"]) for study in listed} == set(found.iterdir())
    shown = kept("results", "--batch", "found")
    assert shown.code == 0
    assert table(shown.out) == [study["job_id"] for study in listed]
    assert all(study["result"] in shown.out for study in listed)
    assert "Research use only" in shown.out


def test_findings_as_csv(kept: Any, found: Path) -> None:
    answer = kept("results", "--batch", "found", "--csv")
    assert answer.code == 0, answer.err
    rows = rows_of(answer)
    assert list(rows[0]) == [
        *(
            "study",
            "sop_instance",
            "file",
            "laterality",
            "view",
            "finding",
            "row",
            "column",
            "radius",
            "class",
        ),
        *("p_normal", "p_benign", "p_malignant", "presented", "tracking_uid", "job", "state", "reason"),
    ]
    for study in kept("results", "--batch", "found", "--json").json["studies"]:
        result = kept("results", study["job_id"], "--json").json
        of_study = [row for row in rows if row["study"] == study["study_instance_uid"]]
        for film in result["films"]:
            of_film = [row for row in of_study if row["sop_instance"] == (film["sop_instance_uid"] or "")]
            assert [row["tracking_uid"] for row in of_film if row["finding"]] == [
                finding["tracking_uid"] for finding in film["findings"]
            ]
            if not film["findings"]:
                (row,) = of_film
                assert (row["finding"], row["p_benign"]) == ("", "")
                assert row["reason"].lstrip("'") == (film["reason"] or "")
            for row, finding in zip(of_film, film["findings"], strict=False):
                assert [float(row["row"]), float(row["column"])] == finding["center"]
                assert float(row["p_malignant"]) == finding["probability"]["malignant"]
                assert row["presented"] == str(finding["presented"]).lower()
                assert (row["job"], row["state"]) == (study["job_id"], study["state"])
    failed = [row for row in rows if row["reason"]]
    assert [row["file"] for row in failed] == ["'=1+0.dcm"], "a spreadsheet takes it for no formula"
    assert failed[0]["state"] == "done with failures"


def test_csv_of_one_study_by_id_and_by_folder(kept: Any, found: Path) -> None:
    for study in kept("results", "--batch", "found", "--json").json["studies"]:
        by_id = kept("results", study["job_id"], "--csv")
        by_folder = kept("results", study["result"], "--csv")
        assert (by_id.code, by_folder.code) == (0, 0)
        assert by_id.out == by_folder.out
        assert {row["study"] for row in rows_of(by_id)} == {study["study_instance_uid"]}


def test_a_result_that_is_gone_is_told(site: Site) -> None:
    good, failed, queued = (site.add("night") for _ in range(3))
    site.end(good, tally=Tally(2, 0, 1, 0.75))
    site.end(failed, "failed", "@disk full")
    for arguments in (["--batch", "night"], ["--batch", "night", "--json"], ["--batch", "night", "--csv"]):
        answer = site("results", *arguments)
        assert answer.code == 1
        assert "its result is not in" in answer.err
        assert good not in answer.err
    rows = rows_of(site("results", "--batch", "night", "--csv"))
    assert {(row["job"], row["state"], row["reason"]) for row in rows} == {
        (failed, "failed", "'@disk full"),
        (queued, "queued", ""),
    }
    alone = site("results", good, "--csv")
    assert alone.code == 1
    assert alone.out.startswith("study,sop_instance,file,")
    assert alone.out.endswith(",job,state,reason\r\n")
    shown = site("results", "--batch", "night").out
    assert table(shown)[0] == good
    assert re.search(rf"^{good}  .*  done +1 of 2 +75.0 %$", shown, re.MULTILINE)


def test_csv_takes_no_result_of_another_job_for_its_own(site: Site, kept: Any, found: Path) -> None:
    record = make_record(batch="night", out=site.admin.folder / "out")
    site.records.submit(record, published=False, force=False)
    site.end(record.job_id)
    shutil.copytree(next(found.iterdir()), record.outs[0] / record.study_instance_uid)
    answer = site("results", record.job_id, "--csv")
    assert answer.code == 1
    assert "holds the result of another job" in answer.err
    assert len(rows_of(answer)) == 0
