"""Write the golden content anew: ``python -m tests.golden.update [NAME...]``.

Only for a change that is meant to change results; the changelog says which.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.golden_sites import HERE, SITES, content, paths_of
from tests.support.length import LONG

_MOST = 900_000  # characters of one file


def write(name: str, found: dict[str, Any]) -> list[Path]:
    """Write the golden content of ``name`` in as many files as it takes: ``name.json``, ``name-2.json``."""
    parts: list[list[str]] = [[]]
    for key, value in found.items():
        line = f"{json.dumps(key)}: {json.dumps(value)}"
        if sum(map(len, parts[-1])) + len(line) > _MOST:
            parts.append([])
        parts[-1].append(line)
    for path in paths_of(name):
        path.unlink()
    written = []
    for number, lines in enumerate(parts, start=1):
        written.append(HERE / (f"{name}.json" if number == 1 else f"{name}-{number}.json"))
        written[-1].write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return written


if __name__ == "__main__":
    os.environ[LONG] = "1"
    for name in sys.argv[1:] or SITES:
        with tempfile.TemporaryDirectory() as work:
            found = content(name, Path(work))
        for path in write(name, found):
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
