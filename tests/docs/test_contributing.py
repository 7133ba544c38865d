"""What CONTRIBUTING says of where things are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| ([^|]+) \| `([\w/]+\.(?:py|lua))` \| (?:`(\w+)`)? *\|$",
    (ROOT / "CONTRIBUTING.md").read_text(),
    re.MULTILINE,
)


def test_there_is_a_table() -> None:
    assert len(ROWS) > 25


@pytest.mark.parametrize(("what", "where", "name"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_looked_for_is_there(what: str, where: str, name: str) -> None:
    text = (ROOT / where).read_text()
    assert not name or re.search(rf"^(?:def|class) {name}\b", text, re.MULTILINE), (
        f"{what}: no {name} in {where}"
    )


def test_every_folder_of_the_packages_has_its_theme() -> None:
    named = set(re.findall(r"^\| `([\w/]+)/` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    for package in ("bcd_model", "converters", "worker"):
        folders = {str(path.parent.relative_to(ROOT)) for path in (ROOT / package).glob("*/__init__.py")}
        assert folders <= named
