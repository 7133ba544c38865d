"""Rows: submissions at once or cut short, and a queue that loses or is given what it should not."""

from __future__ import annotations

import time

from tests.faults.bench import Bench
from tests.faults.mid_film import mid_film
from tests.faults.registry import row
from tests.faults.sites import wait_for


@row("20 submissions at once")
def copies(bench: Bench) -> None:
    """The same study submitted by 20 processes at once: one job, one result."""
    slow = bench.make_slow()
    bench.site.start_worker()
    arguments = ("submit", slow.folder, "--out", bench.out, *bench.priority, "--json")
    bench.fault()
    commands = [bench.site.start(*arguments) for _ in range(bench.numbers.copies)]
    answers: list[str] = []
    for command in commands:
        out, err = command.communicate(timeout=120)
        bench.expect(command.returncode == 0, f"a submission ended with {command.returncode}: {err[-300:]}")
        if command.returncode == 0:
            answers += bench.take_answers(out).values()
    told = {answer: answers.count(answer) for answer in sorted(set(answers))}
    bench.expect(told.get("queued") == 1, f"the submissions were answered {told}")
    bench.wait_until_ended()
    look = bench.site.look(bench.job(slow))
    bench.expect(look is not None and look.attempts == 1, f"one job without faults: {look}")


@row("two workers, one folder")
def two_workers(bench: Bench) -> None:
    """Two workers that share nothing but Redis and the results folder."""
    studies = bench.make(bench.numbers.small * 3)
    workers = [bench.site.start_worker() for _ in range(2)]
    for worker in workers:
        worker.wait_ready()
    bench.submit(studies)
    bench.wait_until_ended()
    shares = [sum(worker.says(bench.job(study)) for study in studies) for worker in workers]
    bench.expect(all(shares), f"the workers had {shares} of {len(studies)} jobs")
    attempts = sum(look.attempts for look in bench.site.looks(list(bench.job_of.values())) if look)
    bench.expect(attempts == len(studies), f"{attempts} attempts for {len(studies)} jobs without faults")


@row("Redis wiped between runs")
def wiped(bench: Bench) -> None:
    """FLUSHALL when half of the studies are done: submitting all again does what is missing."""
    done = bench.make(bench.numbers.small)
    bench.site.start_worker()
    bench.submit(done)
    bench.wait_until_ended()
    bench.watcher.look()
    bench.site.redis.flushall()
    missing = bench.make(bench.numbers.small)
    bench.fault()
    answers = bench.submit([*done, *missing])
    expected = {study.uid: "done" for study in done} | {study.uid: "queued" for study in missing}
    bench.expect(answers == expected, f"submitting again was answered {sorted(answers.values())}")
    bench.wait_until_recovered(missing[0], None)
    bench.wait_until_ended()
    bench.watcher.look()
    times = {seen.publications for seen in bench.watcher.seen.values()}
    bench.expect(times == {1}, f"results were published {sorted(times)} times")


@row("message lost")
def message_lost(bench: Bench) -> None:
    """The list bcd.batch is deleted while jobs wait, as if submit had died before each message."""
    studies = bench.make(bench.numbers.small)
    bench.submit(studies)
    lost = bench.site.redis.llen("bcd.batch")
    bench.expect(lost == len(studies), f"{lost} messages for {len(studies)} jobs")
    bench.site.redis.delete("bcd.batch")
    bench.fault()
    bench.site.start_worker()
    jobs = [bench.job(study) for study in studies]

    def begun() -> bool:
        looks = bench.site.looks(jobs)
        return any(look is not None and (look.final or look.state == "running") for look in looks)

    wait_for(begun, 90, "a job without a message is begun")
    bench.outcome.recovery = time.monotonic() - bench.since


@row("message lost in mid film")
def message_lost_in_mid_film(bench: Bench) -> None:
    """Every message, taken or not, is deleted in mid film and the pool child killed."""
    hit = mid_film(bench)
    bench.site.redis.delete("bcd.batch", "unacked", "unacked_index")
    bench.fault()
    hit.workers[0].kill_child()
    bench.wait_until_recovered(hit.slow, hit.before)


_ATTEMPTS = 8
"""At killing a submission in its midst, which takes some hundredths of a second."""


@row("submit killed")
def submit_killed(bench: Bench) -> None:
    """kill -9 of a submission of many studies; submitting them again completes it."""
    bench.site.start_worker().wait_ready()
    for _ in range(_ATTEMPTS):
        before = int(bench.site.redis.zcard("bcd:jobs"))
        studies = bench.make(bench.numbers.submitted)
        enough = before + len(studies) // 4
        command = bench.site.start(
            "submit", *[s.folder for s in studies], "--out", bench.out, *bench.priority
        )
        wait_for(
            lambda enough=enough: bench.site.redis.zcard("bcd:jobs") >= enough,
            60,
            "a part is submitted",
            poll=0,
        )
        command.kill()
        command.wait()
        there = int(bench.site.redis.zcard("bcd:jobs")) - before
        if there < len(studies):
            break
        bench.submit(studies)  # over before it could be killed: it counts as any other
    bench.fault()
    bench.expect(there < len(studies), "no submission could be killed before it was over")
    bench.note(f"killed after {there} of {len(studies)}")
    answers = list(bench.submit(studies).values())
    bench.expect(
        answers.count("queued") == len(studies) - there,
        f"{there} jobs were there, and submitting {len(studies)} again queued {answers.count('queued')}",
    )
