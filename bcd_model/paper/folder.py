"""The folder of a reproduction: what all its runs share, and where each of them lies."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bcd_model.errors import UsageError
from bcd_model.paper.outcome import Outcome, read_outcome
from bcd_model.paper.runs import SCHEMA, Options, Run


def run_path(out: Path, run: Run) -> Path:
    """Where the outcome of ``run`` lies when it is done."""
    return out / "runs" / run.name / "run.json"


def checkpoint_path(out: Path, run: Run) -> Path:
    """Where ``run`` keeps what it has done so far."""
    return run_path(out, run).with_name("checkpoint.safetensors")


def outcomes(out: Path, options: Options, films: str) -> list[Outcome]:
    """Return every run that is done in ``out``, by name.

    Raises:
        UsageError: one is damaged, or of other films or settings.
    """
    return [read_outcome(path, options, films) for path in sorted(out.glob("runs/*/run.json"))]


def settle(out: Path, options: Options, films: str, threads: int) -> Options:
    """Return ``options`` with the number of threads that all runs of ``out`` share; write it down.

    Args:
        threads: of a folder in which no run was begun, where ``options`` name none.

    Raises:
        UsageError: the runs of ``out`` are of other films or settings, or its settings are damaged.
    """
    path = out / "settings.json"
    known = _read(path) if path.exists() else None
    if options.threads is None:
        options = replace(options, threads=known["threads"] if known else threads)
    wanted = {"schema": SCHEMA, **asdict(options), "films": films}
    if known is not None:
        other = [key for key in wanted if known.get(key) != wanted[key]]
        if other:
            told = ", ".join(
                "other films" if key == "films" else f"{key} {known.get(key)}, not {wanted[key]}"
                for key in other
            )
            raise UsageError(f"{out} holds runs of other settings ({told})", "name another folder with --out")
        return options
    out.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(wanted, indent=2) + "\n")
    temporary.replace(path)
    return options


def _read(path: Path) -> dict[str, Any]:
    try:
        known = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is damaged", "name another folder with --out") from error
    threads = known.setdefault("threads", None)
    if threads is not None and not (isinstance(threads, int) and threads > 0):
        raise UsageError(f"{path} is damaged", "name another folder with --out")
    return known
