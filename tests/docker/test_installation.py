"""A site installs without the tools of development: what it gets has to be enough."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

HIDE = """
import sys
from importlib.abc import MetaPathFinder

HIDDEN = frozenset({hidden!r})

class Hider(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, Hider())
"""


@pytest.mark.redis
def test_the_declared_dependencies_are_enough(tmp_path: Path) -> None:
    """The demonstration, queue and metrics and all, with every other package out of sight."""
    installed = needed()
    hidden = {
        module
        for module, distributions in packages_distributions().items()
        if not {canonicalize_name(name) for name in distributions} & installed
    }
    assert "pytest" in hidden
    assert not hidden & {"celery", "torch", "worker"}
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(hidden=sorted(hidden)))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BCD_")}
    settings = {
        "BCD_STATE_DIR": str(tmp_path / "state"),
        "BCD_WORKER_PROCESSES": "1",
        "BCD_METRICS_PORT": "0",
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        "worker",
        "demo",
        "--patients",
        "1",
        "--out",
        str(tmp_path / "demo"),
    ]
    run = subprocess.run(
        [*command, "--debug"],
        env={**clean, **settings, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    log = tmp_path / "state" / "worker.log"
    assert run.returncode == 0, run.stderr + (log.read_text() if log.exists() else "")


def needed() -> set[str]:
    """Names of bcd-cad and of all that it requires, directly or not."""
    tomllib = pytest.importorskip("tomllib", reason="reading pyproject.toml needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: set[str] = {canonicalize_name(project["name"])}
    seen: set[tuple[str, str]] = set()
    pending = [Requirement(line) for line in project["dependencies"]]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                lines = requires(name) or []
            except PackageNotFoundError:  # for another platform
                continue
            found.add(name)
            further = [Requirement(line) for line in lines]
            pending += [
                item for item in further if item.marker is None or item.marker.evaluate({"extra": extra})
            ]
    return found
