"""Many jobs at once: the summary in the morning."""

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.support.batch_site import HOLDER, Site, make_record
from worker.queue.job import Record
from worker.queue.summary import cause, summarise
from worker.study.outcome import Tally

pytestmark = pytest.mark.redis


def test_the_morning_summary(site: Site) -> None:
    jobs = [site.add("night", films=4) for _ in range(9)]
    site.end(jobs[0], tally=Tally(4, 0, 2, 0.9))
    site.end(jobs[1], tally=Tally(4, 0, 1, 0.4))
    site.end(jobs[2], tally=Tally(4, 0, 0, 0.1))
    torn = "1 of 4 films failed; film {}: cut short: {} of 26214400 bytes of pixels"
    for job, name, size in ((jobs[3], "1", 1000), (jobs[4], "2 (L MLO)", 77)):
        site.end(job, "done with failures", torn.format(name, size), Tally(3, 1))
    site.end(
        jobs[5],
        "failed",
        "no film of 4 could be scanned; film 1: cut short: 5 of 9 bytes of pixels",
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
    holding = "probabilities hold where 40 % of films are abnormal"
    assert f"findings  in 3 films of 2 studies, from P(abnormal) 30.0 %; {holding}" in lines
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
        "1 of 4 films failed; film 4: its pixels cannot be read",
        "2 of 2 films failed; film 1 (L MLO): its pixels cannot be read",
        "no film of 12 could be scanned; film 12 (R): its pixels cannot be read",
    ),
    "has changed since it was submitted; submit it again": (
        "1 of 4 films failed; film 1: has changed since it was submitted; submit it again",
        "1 of 1 films failed; film 1 (L CC): has changed since it was submitted; submit it again",
    ),
    "cut short: … of … bytes of pixels": (
        "1 of 4 films failed; film 3: cut short: 7 of 9 bytes of pixels",
        "no film of 4 could be scanned; film 2 (MLO): cut short: 70000 of 1234567 bytes of pixels",
    ),
    "… different files have its SOP Instance UID; keep the right one": (
        "1 of 4 films failed; film 1: 2 different files have its SOP Instance UID; keep the right one",
        "1 of 4 films failed; film 2: 3 different files have its SOP Instance UID; keep the right one",
    ),
    "/a/results/… cannot be written: full": (
        "/a/results/1.2.3 cannot be written: full",
        "/a/results/1.2.840.7 cannot be written: full",
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
