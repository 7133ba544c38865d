"""The field's English: no house word stands in code, help, messages or documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = {
    r"put(s|ting)? aside": "quarantined",
    r"signs? of life": "heartbeat",
    r"lanes?": "priority queue",
    r"second[ _-]?looks?": "second stage, re-scoring",
    r"everyday (pictures?|photographs?)": "ImageNet",
    r"twins?": "duplicates",
    r"honest(y|ly)?": "train/test overlap",
    r"seen[ _]?films?": "train/test overlap",
    r"(is|are) no DICOM": "not a DICOM file",
    r"cannot be told from": "no better than",
    r"nobody": "a plain noun",
    r"somebody": "a plain noun",
    r"whoever": "a plain noun",
    r"mend(s|ed|ing)?": "repair, correct",
    r"told": "given, said, distinguished",
}
WRITTEN_BEFORE = {
    # Version 0.1 wrote it into Redis, and the shipped weight file has it: both are still read.
    r"lanes?": {"worker/queue/earlier_versions.py", "worker/queue/transitions/common.lua"},
    r"second[ _-]?looks?": {"bcd_model/weights/__init__.py"},
}
ENDINGS = {".py", ".lua", ".md", ".html", ".css", ".toml", ".yaml", ".json", ".conf", ".cff", ".txt"}


def texts() -> list[Path]:
    found = [
        path
        for folder in ("bcd_model", "converters", "worker", "plugin", "docker", "docs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in ENDINGS and "__pycache__" not in path.parts
    ]
    pages = [path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"]  # has former names
    return [*found, *pages, ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / "NOTICE"]


@pytest.mark.parametrize("word", WORDS)
def test_the_word_is_not_used(word: str) -> None:
    # Names are split where their parts are: SecondLook, second_look.
    whole = re.compile(rf"(?<![a-z]){word}(?![a-z])", re.IGNORECASE)
    used = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:90]}"
        for path in texts()
        if str(path.relative_to(ROOT)) not in WRITTEN_BEFORE.get(word, ())
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if whole.search(re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", line))
    ]
    assert not used, f"use: {WORDS[word]}\n" + "\n".join(used)
