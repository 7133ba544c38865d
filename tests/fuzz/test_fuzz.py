"""A short campaign of the fuzzer; ``run.py`` runs long ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.mutators import MUTATORS, mutant
from tests.fuzz.seeds import NAMES, seed
from tests.support.length import long

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and watches by /proc")

ROOT = Path(__file__).parents[2]
SEED = 20


@linux
@pytest.mark.timeout(900)  # half a minute on two idle cores
def test_damaged_films_cost_no_more_than_themselves() -> None:
    jobs, mutants = len(os.sched_getaffinity(0)), 300 if long() else 150
    options = ["--mutants", str(mutants), "--seed", str(SEED), "--jobs", str(jobs)]
    command = [sys.executable, "-m", "tests.fuzz.run", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{mutants} mutants" in done.stdout


def test_every_kind_of_damage_and_every_seed_has_its_turn() -> None:
    mutants = [mutant(number, SEED) for number in range(500)]
    assert {kind for made in mutants for kind in made.kinds} == set(MUTATORS)
    assert {made.seed for made in mutants} == set(NAMES)


def test_a_mutant_is_the_same_in_any_order() -> None:
    one = [mutant(number, SEED).data for number in range(40)]
    assert [mutant(number, SEED).data for number in reversed(range(40))] == one[::-1]
    assert len(set(one)) == len(one)
    assert seed("explicit 8").find(0x00100010) is not None  # nothing has changed the seeds


@linux
@pytest.mark.parametrize(
    ("work", "told"),
    [
        ("[0] * (1 << 29)", "more than 1 GB"),
        ("sum(range(10 ** 10))", "more than 1 s"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("None", ""),
    ],
)
def test_what_takes_too_much_is_ended_and_told(work: str, told: str) -> None:
    """The watch itself, or a campaign without faults would prove nothing."""
    script = (
        "import os, signal; from tests.fuzz import children; from tests.fuzz.children import each\n"
        "children.SECONDS = 1.0\n"
        f"def work(number):\n    if number == 1: {work}\n    return {{'cpu': 0.0, 'memory': 0}}\n"
        "print([(r.number, r.ended) for r in sorted(each(range(3), work, jobs=2), key=lambda r: r.number)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (zero, one, two) = eval(done.stdout)
    assert (zero[1], two[1]) == ("", "")
    assert told in one[1] if told else not one[1]
