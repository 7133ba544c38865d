"""The folder of a reproduction: what all its runs share, and where each of them lies."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bcd_model.atomic import replacing
from bcd_model.errors import UsageError
from bcd_model.paper.outcome import Outcome, read_outcome
from bcd_model.paper.runs import SCHEMA, Options, Run


def run_path(out: Path, run: Run) -> Path:
    """Where the outcome of ``run`` lies when it is done."""
    return out / "runs" / run.name / "run.json"


def checkpoint_path(out: Path, run: Run, restarts: int = 0) -> Path:
    """Where ``run`` keeps what it has done so far, begun again ``restarts`` times."""
    return run_path(out, run).with_name(f"checkpoint{f'-{restarts}' * bool(restarts)}.safetensors")


def outcomes(out: Path, options: Options, films: str) -> list[Outcome]:
    """Return every run that is done in ``out``, by name.

    Raises:
        UsageError: one is damaged, or of other films or settings.
    """
    return [read_outcome(path, options, films) for path in sorted(out.glob("runs/*/run.json"))]


def agree(out: Path, options: Options, films: str, threads: int) -> Options:
    """Return ``options`` with the number of threads that all runs of ``out`` share.

    Settings of a folder in which no run was begun do not count.

    Args:
        threads: of a folder in which no run was begun, where ``options`` name none.

    Raises:
        UsageError: ``out`` is not a reproduction's folder, its runs are of other films or settings, or its
            settings are damaged.
    """
    known = _settings(out)
    if known is None or not any(out.glob("runs/*/*")):
        return options if options.threads is not None else replace(options, threads=threads)
    if options.threads is None:
        options = replace(options, threads=known["threads"])
    wanted = _wanted(options, films)
    other = [key for key in wanted if known.get(key) != wanted[key]]
    if other:
        differences = ", ".join(
            "other films" if key == "films" else f"{key} {known.get(key)}, not {wanted[key]}" for key in other
        )
        raise UsageError(
            f"holds runs of other settings ({differences})", "name another folder with --out", out
        )
    return options


def write_settings(out: Path, options: Options, films: str) -> None:
    """Write down what all runs of ``out`` share."""
    with replacing(out / "settings.json") as staged:
        staged.write_text(json.dumps(_wanted(options, films), indent=2) + "\n")


def _wanted(options: Options, films: str) -> dict[str, Any]:
    return {"schema": SCHEMA, **asdict(options), "films": films}


def _settings(out: Path) -> dict[str, Any] | None:
    """What is written in ``out``; None if it is empty or not there."""
    path = out / "settings.json"
    remedy = "name another folder with --out"
    if not path.exists():
        # Half-written settings are all that a reproduction may leave without them.
        if out.is_dir() and any(each.suffix != ".part" for each in out.iterdir()):
            raise UsageError("is not empty and not the folder of a reproduction", remedy, out)
        return None
    try:
        known = dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UsageError("is damaged", remedy, path) from error
    if not {"schema", "films", "precision"} <= set(known):
        raise UsageError("is not of a reproduction", remedy, path)
    threads = known.setdefault("threads", None)
    if threads is not None and not (isinstance(threads, int) and threads > 0):
        raise UsageError("is damaged", remedy, path)
    return known
