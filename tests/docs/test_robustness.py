"""The table of faults names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "reference" / "robustness.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)


def test_every_row_names_a_test() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| kind")]
    assert len(rows) == 31
    for row in rows:
        assert re.search(r"`(tests/[\w/]+\.py)::(\w+)`", row), row


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_the_test_is_there(file: str, test: str) -> None:
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE)
