"""A file of ours that cannot be read is told in one line that quotes nothing of it."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict

from bcd_model.errors import InputError
from bcd_model.reading import reading


class Film(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    side: Literal["L", "R"]
    size: int = 0


class Study(BaseModel):
    films: dict[str, list[Film]]


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught, reading(path, InputError, "mend it", unopened="look for it"):
        Study.model_validate_json(path.read_bytes())
    return caught.value


@pytest.mark.parametrize(
    ("film", "detail"),
    [
        ({}, "films[1.2][0].side is missing"),
        ({"side": "Doe^Jane"}, "films[1.2][0].side should be 'L' or 'R'"),
        ({"side": "L", "size": "Doe^Jane"}, "films[1.2][0].size should be a valid integer"),
        ({"side": "L", "Doe^Jane": 1}, "films[1.2][0][...]: Extra inputs are not permitted"),
        ("Doe^Jane", "films[1.2][0] should be an object"),
    ],
)
def test_place_and_fault_are_told_and_no_word_of_the_file(film: object, detail: str, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps({"films": {"1.2": [film]}}))
    error = refusal(path)
    assert (error.reason.detail, error.reason.remedy) == (detail, "mend it")
    assert str(error) == f"{path}: {detail}; mend it"
    assert "Doe" not in "".join(traceback.format_exception(error))


def test_a_key_that_is_no_uid_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text('{"films": {"Doe^Jane": 1}}')
    assert refusal(path).reason.detail == "films[...] should be a valid array"


def test_what_is_not_json_is_told_by_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text('{"films":\n Doe}')
    assert "line 2 column 2" in refusal(path).reason.detail
    assert "Doe" not in refusal(path).reason.detail


def test_a_file_that_cannot_be_opened_has_a_remedy_of_its_own(tmp_path: Path) -> None:
    error = refusal(tmp_path / "study.json")
    assert error.reason.detail == "cannot be read (No such file or directory)"
    assert error.reason.remedy == "look for it"
