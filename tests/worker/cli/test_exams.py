"""A whole examination through the queue: 2-D, raw, tomosynthesis and synthetic, in 16 files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.exams import combined, save

Run = Callable[..., Any]


@pytest.mark.redis
def test_an_examination_of_16_files_is_done_and_lists_every_file(near: Run, tmp_path: Path) -> None:
    folder = save(combined(), tmp_path / "exam")
    answer = near("submit", folder, "--out", tmp_path / "out", "--wait", "--json")
    assert answer.code == 0, answer.err
    (job,) = answer.json["jobs"]
    assert job["state"] == "done"
    result = near("results", job["job_id"], "--json").json
    assert result["looked_at"] == "all"
    films = {film["file"]: film["rule"] or film["status"] for film in result["films"]}
    expected = {"ffdm": "scanned", "synthetic": "scanned", "raw": "for processing", "tomo": "tomosynthesis"}
    assert films == {name: expected[name.split("-")[0]] for name in combined()}
    said = near("results", job["job_id"]).out
    assert all(name in said for name in films)
