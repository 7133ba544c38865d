"""``docs/reference/input.md`` has tables of the tests: what is taken, by example; every transfer syntax.

    python -m tests.docs.test_input

writes them into the document.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.uid import UID

from converters.dicom import elements, file
from converters.dicom.bounds import INFLATED_BYTES
from converters.films.acceptance import MAX_PIXELS
from converters.films.header import spacing_rules
from tests.conformance.reader_matrix import combinations
from tests.support.input_rules import EXAMPLES, Came, Example, came_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "input.md"


@pytest.fixture(scope="module")
def document() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


def rows(title: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    ruled = [title, ("---",) * len(title), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in ruled)


def outcomes() -> list[Came]:
    with tempfile.TemporaryDirectory() as folder:
        return [came_of(each, Path(folder, str(number))) for number, each in enumerate(EXAMPLES)]


def examples() -> str:
    """What comes of each example, with the reason in the words of the product."""
    lines = [
        (example.what, came.outcome, came.why or "")
        for example, came in zip(EXAMPLES, outcomes(), strict=True)
    ]
    return rows(
        ("one file beside a film of the other breast", "it is", "because, or with the warning"), lines
    )


def syntaxes() -> str:
    """The transfer syntaxes of the reader matrix, with the depths in which each was read."""
    depths: defaultdict[UID, set[tuple[int, bool]]] = defaultdict(set)
    for each in combinations():
        depths[each.syntax].add((each.bits, each.signed))
    lines = []
    for syntax, met in depths.items():
        unsigned = ", ".join(str(bits) for bits, signed in sorted(met) if not signed)
        signed = ", ".join(str(bits) for bits, signed in sorted(met) if signed)
        lines.append((syntax.name.partition(":")[0], f"`{syntax}`", unsigned, signed))
    return rows(("transfer syntax", "UID", "bits, unsigned", "bits, signed"), lines)


BOUNDS = (
    ("size: {} MiB", file.FILM_BYTES >> 20),
    ("hashed while grouping up to {} GiB", file.HASHED_BYTES >> 30),
    ("those passed over included: {}", elements.MOST_ELEMENTS),
    ("elements and items that are read: {}", elements.MOST_KEPT),
    ("together {} MiB", elements.KEPT_BYTES >> 20),
    ("a value that is read: {} KiB", elements.TEXT_BYTES >> 10),
    ("items of one sequence that is read: {}", elements.MOST_ITEMS),
    ("sequences within sequences that are read: {} deep", elements.MOST_DEPTH),
    ("to {} million pixels", MAX_PIXELS // 1_000_000),
    ("a deflated data set: {} MiB", INFLATED_BYTES >> 20),
    ("pixels at most {:g} mm", spacing_rules.MOST_STEP),
    ("a long side of {:g} mm", spacing_rules.ASSUMED_LONG_SIDE),
)
"""What the document says of them, and what the product has."""

TABLES: dict[str, Callable[[], str]] = {"examples": examples, "syntaxes": syntaxes}


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^>]*-->\n\n)(.*?)(\n\n<!-- {name} end -->)", re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[each.what for each in EXAMPLES])
def test_what_comes_of_a_file(example: Example, tmp_path: Path) -> None:
    assert came_of(example, tmp_path).outcome == example.outcome


@pytest.mark.parametrize("name", TABLES)
def test_the_document_has_the_table(name: str, document: str) -> None:
    found = block(name).search(document)
    assert found, f"input.md has no place for the table of {name}"
    assert found[2] == TABLES[name](), "python -m tests.docs.test_input writes it"


@pytest.mark.parametrize(("words", "value"), BOUNDS)
def test_the_document_has_the_bounds_of_the_product(words: str, value: float, document: str) -> None:
    number = f"{value:,}" if isinstance(value, int) else value
    assert words.format(number) in " ".join(document.split())


def main() -> int:
    """Write the tables into the document."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        found = block(name).search(text)
        if found:
            text = text[: found.start(2)] + table() + text[found.end(2) :]
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
