"""Many jobs at once: listing and watching them."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from typing import Any

import pytest

from bcd_model.reasons import Reason
from tests.support.batch_site import HOLDER, Site, table
from tests.support.reasons import because
from worker.study.outcome import Tally

pytestmark = pytest.mark.redis


# Listing


def test_jobs_shows_the_newest_and_counts_them_all(site: Site) -> None:
    jobs = [site.add("night") for _ in range(5)]
    site.end(jobs[0])
    site.end(jobs[1], "failed", because("no film"))
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
        site.end(job, "done with failures", because("torn"))
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
    assert site.records.later(
        job, HOLDER, 300, Reason("unwritable", "cannot be written: full", place="/out"), 3600
    )
    for command in (["jobs"], ["status", job]):
        shown = site(*command).out
        assert re.search(
            r"tries again at \d\d:\d\d:\d\d: /out: cannot be written: full$", shown, re.MULTILINE
        )
    summary = site("status", "--batch", "night").out
    assert re.search(r"^  1  the first at \d\d:\d\d:\d\d: cannot be written: full$", summary, re.MULTILINE)
    assert "waiting to be tried again:" in summary
    assert "retry --batch night" in summary


def test_reasons_never_break_the_line(site: Site) -> None:
    job = site.add("night")
    odd = "two\nlines\x1b[2J"
    site.end(job, "failed", Reason("film", f"{odd} of it", film="film 1", place=f"{odd}.dcm"), Tally(0, 2))
    for command in (["jobs"], ["status", job], ["status", "--batch", "night"]):
        answer = site(*command)
        assert "\x1b" not in answer.out
        assert r"two\nlines\x1b[2J of it" in answer.out
        assert (r"two\nlines\x1b[2J.dcm: film 1" in answer.out) == ("--batch" not in command)


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
    site.end(second, "failed", because("torn"))
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
