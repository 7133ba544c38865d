"""Many jobs at once: the summary in the morning."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bcd_model.reasons import Reason, reason_of_earlier_version
from tests.support.batch_site import HOLDER, Site, make_record
from worker.queue.job import Record
from worker.queue.summary import grouped, summarise
from worker.study.outcome import Tally

pytestmark = pytest.mark.redis


def torn(size: int, film: str = "", place: str = "Anna.dcm") -> Reason:
    """Of a film that is cut short after ``size`` bytes."""
    return Reason("cut-short", f"cut short: {size} of 26214400 bytes of pixels", film=film, place=place)


def test_the_morning_summary(site: Site) -> None:
    jobs = [site.add("night", films=4) for _ in range(9)]
    site.end(jobs[0], tally=Tally(4, 0, 2, 0.9))
    site.end(jobs[1], tally=Tally(4, 0, 1, 0.4))
    site.end(jobs[2], tally=Tally(4, 0, 0, 0.1))
    for job, name, size in ((jobs[3], "film 1", 1000), (jobs[4], "film 2 (L MLO)", 77)):
        site.end(job, "done with failures", torn(size, name), Tally(3, 1))
    site.end(jobs[5], "failed", torn(5, "film 1"), Tally(0, 4))
    full = Reason(
        "unwritable", "cannot be written: No space left on device", "free space", place="/data/1.2.3"
    )
    site.end(jobs[6], "failed", full, Tally())
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
        "  3  cut short: 5 of 26214400 bytes of pixels, and the like",
        f"     {jobs[5]}, {jobs[4]}, {jobs[3]}",
        "  1  cannot be written: No space left on device; free space",
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
    assert [(group["code"], group["studies"], len(group["jobs"])) for group in told.json["failures"]] == [
        ("cut-short", 3, 3),
        ("unwritable", 1, 1),
    ]
    assert "Anna" not in answer.out + json.dumps(told.json)
    assert "/data" not in answer.out + json.dumps(told.json)


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


def failed(reason: Reason | None) -> Record:
    return replace(make_record(), state="failed", reason=reason)


def changed(film: str, place: str) -> Reason:
    return Reason(
        "changed", "has changed since it was submitted", "submit the study again", film=film, place=place
    )


ALIKE = {
    "has changed since it was submitted; submit the study again": (
        changed("film 1", "a.dcm"),
        changed("film 4 (L MLO)", "b.dcm"),
        changed("", "/in/Anna/c.dcm"),
    ),
    "cut short: 7 of 26214400 bytes of pixels, and the like": (
        torn(9, "film 3"),
        torn(7, "film 3"),
        torn(7, "film 1 (R)"),
        torn(8),
    ),
    "2 different files have its SOP Instance UID; keep the right one, and the like": tuple(
        Reason("same-uid", f"{count} different files have its SOP Instance UID", "keep the right one")
        for count in (2, 2, 3)
    ),
    "cannot be written: full; free space": tuple(
        Reason("unwritable", "cannot be written: full", "free space", place=f"/a/results/{uid}")
        for uid in ("1.2.3", "1.2.840.7")
    ),
    "this worker may not read this folder; correct BCD_INPUT_ROOTS": tuple(
        Reason(
            "outside-roots", "this worker may not read this folder", "correct BCD_INPUT_ROOTS", place=place
        )
        for place in ("/in/patient 7 8", "/in/p")
    ),
    "failed under an earlier version of this software": tuple(
        reason_of_earlier_version(f"1 of 4 films failed; {name}.dcm: torn") for name in ("Anna", "Berta")
    ),
    "no reason given": (None, None),
}


@pytest.mark.parametrize("expected", ALIKE)
def test_trouble_of_one_code_is_one_group_without_films_and_places(expected: str) -> None:
    records = [failed(reason) for reason in ALIKE[expected]]
    (group,) = grouped(records)
    assert group.reason == expected
    assert group.jobs == tuple(record.job_id for record in records)
    assert {group.code} == {reason.code if reason else "failed" for reason in ALIKE[expected]}
    for reason in filter(None, ALIKE[expected]):
        assert not reason.place or reason.place not in json.dumps(group.as_json())
        assert not reason.film or reason.film not in json.dumps(group.as_json())


def test_trouble_of_another_code_is_another_group() -> None:
    records = [failed(reason) for reasons in ALIKE.values() for reason in reasons]
    groups = grouped(records)
    assert {group.reason: len(group.jobs) for group in groups} == {
        said: len(reasons) for said, reasons in ALIKE.items()
    }
    assert [len(group.jobs) for group in groups] == sorted(map(len, ALIKE.values()), reverse=True)
    assert len({group.code for group in groups}) == len(ALIKE)


def test_what_reads_alike_under_two_codes_is_two_groups() -> None:
    groups = grouped([failed(Reason(code, "cannot be opened")) for code in ("unwritable", "unreadable-file")])
    assert {(group.code, group.reason) for group in groups} == {
        ("unwritable", "cannot be opened"),
        ("unreadable-file", "cannot be opened"),
    }
