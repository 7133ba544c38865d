"""What is written of a study is true of its films; ``run.py`` makes as many studies as one likes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.outcomes.made_studies import KINDS, made_study

ROOT = Path(__file__).parents[2]
STUDIES, PART = 64, 32


@pytest.mark.parametrize("first", range(0, STUDIES, PART))
def test_no_document_says_more_than_is_true_of_its_films(first: int) -> None:
    command = [sys.executable, "-m", "tests.outcomes.run", "--first", str(first), "--studies", str(PART)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{PART} studies" in done.stdout


def test_the_studies_hold_films_of_every_kind_and_up_to_three_patients() -> None:
    studies = [made_study(number) for number in range(STUDIES)]
    assert {film.kind for study in studies for film in study.films} == {
        *KINDS,
        "contradiction",
        "picture of two",
    }
    assert {len({film.patient for film in study.films}) for study in studies} == {1, 2, 3}
    assert made_study(7) == studies[7]
