"""What a release states about itself: one version, and files that its tools can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bcd_model import __version__

ROOT = Path(__file__).parents[2]
STATES_IT = [
    "CITATION.cff",
    "CHANGELOG.md",
    "docker/compose.yaml",
    "docker/.env.example",
    "docker/worker.Dockerfile",
    "docs/how-to/containers.md",
]


@pytest.mark.parametrize("name", STATES_IT)
def test_the_version_is_the_packages(name: str) -> None:
    text = (ROOT / name).read_text()
    stated = re.findall(r"(?:bcd-cad:|^version: |image\.version=\"|^## )(\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert stated
    assert set(stated[:1] if name == "CHANGELOG.md" else stated) == {__version__}


def test_the_citation_has_what_its_format_requires() -> None:
    """https://citation-file-format.github.io, version 1.2.0: the required keys, and those of a reference."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    (paper,) = citation["references"]
    assert {"type", "title", "authors", "year"} <= paper.keys()


def test_every_hook_is_a_local_one_that_make_setup_installs() -> None:
    """Nothing is fetched when a hook runs."""
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [each["repo"] for each in repositories] == ["local"]
    checks = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"] in checks
