"""Write the golden content anew: ``python -m tests.golden.update [NAME...]``.

Only for a change that is meant to change results; the changelog says which.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.golden.golden_sites import SITES, content


def path_of(name: str) -> Path:
    """Where the golden content of ``name`` is kept."""
    return Path(__file__).parent / f"{name}.json"


if __name__ == "__main__":
    for name in sys.argv[1:] or SITES:
        with tempfile.TemporaryDirectory() as work:
            found = content(name, Path(work))
        lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in found.items()]
        path_of(name).write_text("{\n" + ",\n".join(lines) + "\n}\n")
        print(f"{path_of(name).name}: {len(found)} entries, {path_of(name).stat().st_size / 1e6:.1f} MB")
