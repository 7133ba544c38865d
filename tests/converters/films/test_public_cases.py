"""Every public case is read, or left out for its true reason (``BCD_CASES_DIR``)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from bcd_model.errors import FilmError
from converters.films.read import read_film
from converters.films.studies import NoStudyError, find_studies

CASES = os.environ.get("BCD_CASES_DIR")
pytestmark = [
    pytest.mark.films,
    pytest.mark.skipif(not CASES, reason="BCD_CASES_DIR does not name the public cases"),
]

FOLDERS = sorted(path for path in Path(CASES or "none").glob("*/*/*") if path.is_dir())
NOT_READ = {
    "24-image-types-seen/in_cesm": ["contrast"],
    "24-image-types-seen/in_stereo": ["stereotactic"],
    "24-image-types-seen/in_tomoproj": ["tomosynthesis"],
    "25-view-modifier-at-top-level/in": ["spot view"],
    "25-view-modifier-at-top-level/in_nested": ["spot view"],
    "42-native-pixels-too-long-and-trailing/in_short": ["cut short"],
    "44-all-zero-pixels/in": ["blank"],
    "44-all-zero-pixels/night": ["blank"],
    "48-hologic-sco/in": ["tomosynthesis"],
    "48-hologic-sco/in_pic": ["tomosynthesis"],
    "62-long-sop-uid-in-a-study/in": ["its SOP Instance UID is longer than 64 characters"],
}
NO_STUDY = {
    "26-odd-uids/in_dotend": "its Study Instance UID is malformed",
    "26-odd-uids/in_letters": "its Study Instance UID is malformed",
    "26-odd-uids/in_long": "its Study Instance UID is longer than 64 characters",
    "39-dx-class-mammogram-and-cr-limb/in_limb": "states another part than the breast",
    "61-report-page-as-secondary-capture/in_derived-primary": "a page or a captured screen",
    "61-report-page-as-secondary-capture/in_derived-secondary": "a page or a captured screen",
    "61-report-page-as-secondary-capture/in_none": "a page or a captured screen",
}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_comes_of_a_case(folder: Path) -> None:
    name = f"{folder.parent.name}/{folder.name}"
    if name in NO_STUDY:
        with pytest.raises(NoStudyError, match=NO_STUDY[name]):
            find_studies([folder])
        return
    left_out, read = [], Counter[str]()
    for film in (film for study in find_studies([folder]).studies for film in study.films):
        if not film.scannable:
            left_out.append(film.rule or str(film.reason))
            continue
        try:
            read[read_film(film.path).film.laterality or "?"] += 1
        except FilmError as error:
            left_out.append(str(error.reason))
    expected = NOT_READ.get(name, [])
    assert len(left_out) == len(expected), left_out
    assert all(said.startswith(start) for said, start in zip(left_out, expected, strict=True)), left_out
    assert read or expected


def test_the_cases_are_there() -> None:
    names = {f"{path.parent.name}/{path.name}" for path in FOLDERS}
    assert len(names) >= 90
    assert names >= NOT_READ.keys() | NO_STUDY.keys()
