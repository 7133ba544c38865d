"""Megabytes of an installation by package: the wheel, made and installed as docs/how-to/install.md says.

    python -m tests.benchmarks.install [--python PYTHON] [--torch-index URL] [--demo]

Works in a temporary folder, outside the repository. ``--demo`` runs ``bcd-admin demo`` from it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SHOWN = 12

_SIZES = """
import importlib.metadata as metadata
sizes = {}
for package in metadata.distributions():
    files = {path.locate() for path in package.files or ()}
    sizes[package.name] = sum(path.stat().st_size for path in files if path.is_file())
for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
    print(name, size)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What an installation takes.")
    parser.add_argument("--python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--torch-index", metavar="URL", help="where the CPU build of PyTorch is looked for")
    parser.add_argument("--demo", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch, "venv", "bin", "python")
        install = [own, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt"]
        _run([options.python, "-m", "venv", Path(scratch, "venv")])
        _run([own, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", scratch, ROOT])
        (wheel,) = Path(scratch).glob("bcd_cad-*.whl")
        index = ["--index-url", options.torch_index] if options.torch_index else []
        _run([*install, *index, "torch"])
        _run([*install, wheel])
        listed = subprocess.run([own, "-c", _SIZES], capture_output=True, text=True, check=True, cwd=scratch)
        sizes = [(name, int(size) / 1e6) for name, size in map(str.split, listed.stdout.splitlines())]
        version = subprocess.run([own, "--version"], capture_output=True, text=True, check=True)
        print(f"{version.stdout.strip()}: {sum(size for _, size in sizes):,.0f} MB in {len(sizes)} packages")
        for name, size in sizes[:_SHOWN]:
            print(f"{name:24} {size:8,.1f}")
        print(f"{'others':24} {sum(size for _, size in sizes[_SHOWN:]):8,.1f}")
        if options.demo:
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            command = [own.with_name("bcd-admin"), "demo", "--out", Path(scratch, "demo")]
            subprocess.run(command, check=True, cwd=scratch, env=environment)


def _run(command: Sequence[object]) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=tempfile.gettempdir())


if __name__ == "__main__":
    main()
