"""Films that others reported of readers and viewers, with their right outcome (``BCD_CASES_DIR``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

Run = Callable[..., Any]

CASES = os.environ.get("BCD_CASES_DIR")
pytestmark = pytest.mark.skipif(not CASES, reason="BCD_CASES_DIR does not name the public cases")


def case(name: str) -> Path:
    (found,) = Path(CASES or "").glob(f"**/{name}")
    return found


@pytest.mark.parametrize(
    ("name", "code", "outcomes"),
    [
        ("07-window-width-at-most-1-after-rescale/in_w1", 0, {"scanned": 1}),
        ("23-image-type-derived-secondary/in", 0, {"scanned": 2}),
        ("25-view-modifier-at-top-level/in", 0, {"excluded": 1, "scanned": 2}),
        ("31-no-preamble-in-a-study/in", 0, {"scanned": 2}),
        ("40-a-disc-folder/in", 0, {"scanned": 2}),
        ("42-native-pixels-too-long-and-trailing/in_fffc", 0, {"scanned": 1}),
        ("42-native-pixels-too-long-and-trailing/in_pad", 0, {"scanned": 1}),
        ("42-native-pixels-too-long-and-trailing/in_short", 3, {"failed": 1}),
        ("44-all-zero-pixels/in", 1, {"failed": 1, "scanned": 1}),
        ("58-deflated/in", 0, {"scanned": 2}),
        ("62-long-sop-uid-in-a-study/in", 1, {"failed": 1, "scanned": 1}),
    ],
)
def test_what_became_of_the_films(
    name: str, code: int, outcomes: dict[str, int], local: Run, tmp_path: Path
) -> None:
    answer = local("scan", case(name), "--out", tmp_path / "out", "--json")
    assert answer.code == code, answer.err
    films = [film for result in answer.json["results"] for film in result["films"]]
    found = [film["status"] for film in films]
    assert {each: found.count(each) for each in sorted(set(found))} == outcomes, films


def test_28_no_object_names_another_films_patient(local: Run, tmp_path: Path) -> None:
    folder = case("28-two-patients-one-study")
    for source in sorted(path for path in folder.iterdir() if path.is_dir()):
        films = {}
        for path in source.rglob("*"):
            if path.is_file():
                film = pydicom.dcmread(path)
                films[film.SOPInstanceUID] = (film.PatientID, film.PatientName)
        out = tmp_path / source.name
        assert local("scan", source, "--out", out).code == 0
        for path in out.glob("*/*/*.dcm"):
            said = pydicom.dcmread(path)
            assert (said.PatientID, said.PatientName) == films[path.stem]
