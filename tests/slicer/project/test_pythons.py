"""The library in Slicer's own Pythons: 3.9 and 3.12, pydicom 2.4 and 3.0."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.length import long

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parents[1]
BUILD = ROOT / "build" / "slicer-pythons"
# As Slicer ships them: 5.8, 5.12, and between the two 5.10.
PYTHONS = [("3.9", "2.4.4"), ("3.12", "3.0.1"), *([("3.12", "2.4.4")] if long() else [])]


def interpreter(version: str) -> str | None:
    """An interpreter of this version: on the path, or one of pyenv's."""
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
        return found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for folder in sorted(versions.glob(f"{version}.*"), reverse=True):
        if (folder / "bin" / "python").exists():
            return str(folder / "bin" / "python")
    return None


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("python", "pydicom"), PYTHONS)
def test_the_library_there(python, pydicom, written):
    found = interpreter(python)
    if found is None:
        pytest.skip(f"no Python {python} on this machine")
    place = BUILD / f"{python}-pydicom-{pydicom}"
    own = place / "bin" / "python"
    done = place / ".installed"
    if not done.exists():
        subprocess.run([found, "-m", "venv", "--clear", place], check=True)
        packages = [f"pydicom=={pydicom}", "numpy", "pytest", "pytest-timeout", "requests"]
        install = [own, "-m", "pip", "install", "--quiet", *packages]
        if subprocess.run(install, check=False, capture_output=True).returncode:
            pytest.skip(f"pip cannot install {', '.join(packages)} here")
        done.touch()
    ran = subprocess.run(
        [own, "-m", "pytest", "-q", "-c", TESTS / "apart.ini", "--rootdir", TESTS, TESTS / "lib"],
        env={**os.environ, "BCD_WRITTEN_RESULTS": str(written), "PYTHONPATH": ""},
        cwd=ROOT / "build",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    assert " passed" in ran.stdout and "skipped" not in ran.stdout
