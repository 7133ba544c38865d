"""Results and answers of commands are what they were: a change of structure changes none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.golden.golden_content import differences
from tests.golden.golden_sites import SITES, content, golden


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SITES)
def test_content_is_as_it_was(name: str, tmp_path: Path) -> None:
    """Meant to be otherwise? Then ``python -m tests.golden.update``, and the changelog says why."""
    if name == "mias" and "BCD_MIAS_DIR" not in os.environ:
        pytest.skip("BCD_MIAS_DIR is not set: no mini-MIAS films")
    kept = golden(name)
    assert kept
    found = list(differences(kept, json.loads(json.dumps(content(name, tmp_path)))))
    assert not found, "\n".join(found[:20])


def test_differences_are_seen() -> None:
    golden = {"a": [1.0, {"b": "x"}], "c": True}
    assert not list(differences(golden, {"a": [1.00005, {"b": "x"}], "c": True}))
    changed = [
        {"a": [1.001, {"b": "x"}], "c": True},
        {"a": [1.0, {"b": "y"}], "c": True},
        {"a": [1.0, {"b": "x"}], "c": 1},
        {"a": [1.0, {"b": "x"}]},
        {"a": [1.0, {"b": "x"}], "c": True, "d": 0},
        {"a": [1.0], "c": True},
    ]
    assert [len(list(differences(golden, each))) for each in changed] == [1] * len(changed)
