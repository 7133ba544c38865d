"""Small files that ask for much: none takes 1 GB or 5 s, and the film beside it is scanned all the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.bombs import BOMBS

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and watches by /proc"),
    pytest.mark.timeout(1800),  # of the one that waits for all
]

ROOT = Path(__file__).parents[2]

_LIKE_OTHERS = re.compile(
    r".* (70|700) deep, .*|120,000 empty nested .*|.* of 5477 x 5477 pixels"
    r"|.*PixelSpacing of 2 mm on 2800 rows|PixelSpacing of 2 mm on 2048 rows|JPEG(-LS)? of 8190 x 8190 pixels"
    r"|.* of (1000 x 1040|8190 x 8190) pixels in 8 KB|a (Patient ID|Study Description) of .*"
)
"""Smaller than others of their kind; `tests.fuzz.bombs` has them."""
NAMES = [name for name in BOMBS if not _LIKE_OTHERS.fullmatch(name)]


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    """What came of each bomb; all of them in one process, as it takes a second to start."""
    jobs = len(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "tests.fuzz.bombs", "--jobs", str(jobs), *NAMES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["bomb"]: line for line in lines}


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_costs_no_more_than_itself(name: str, told: dict[str, dict[str, Any]]) -> None:
    came = told[name]
    assert not came["ended"], came
    assert not came["faults"], came


@pytest.mark.parametrize("name", [name for name in NAMES if "2 mm" in name])
def test_a_film_of_metres_is_not_scanned_as_one(name: str, told: dict[str, dict[str, Any]]) -> None:
    """Either it failed, or its spacing was not believed: the stand-in complains of one that was."""
    assert told[name]["outcome"] in ("failed", "scanned"), told[name]
    assert told[name]["size"] < 400_000
