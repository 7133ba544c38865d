"""An installation without the extra for pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    "command", [("evaluate", "--mias", "films"), ("reproduce", "--mias", "films", "--out", "run")]
)
def test_what_is_missing_is_said_before_hours_of_work(
    local: Callable[..., Any], command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    answer = local(*command)
    assert answer.code == 2
    assert "pip install 'bcd-cad[pictures]'" in answer.error
    assert not (tmp_path / "work" / "run").exists()
