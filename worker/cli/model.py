"""``model``: which model is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bcd_model.weights import read_info
from bcd_model.words import DISCLAIMER
from worker.cli.shared.console import say, say_json
from worker.cli.shared.options import JSON
from worker.settings import load_settings

_MANY = 12  # of these in a row, a list is not read


def model(as_json: bool = JSON) -> None:
    """Show which model is used: its data, its figures, its limits."""
    info = read_info(load_settings().model)
    facts: dict[str, Any] = {
        **asdict(info.identity),
        "weights": "shipped" if info.shipped else "not the shipped weights",
        "file": str(info.path),
        "operating_point": asdict(info.operating_point),
        "card": info.card,
        "disclaimer": DISCLAIMER,
    }
    if as_json:
        say_json(facts)
    else:
        _show_facts(facts)


def _show_facts(facts: Mapping[str, Any], indent: str = "") -> None:
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        label = name.replace("_", " ")
        if isinstance(value, Mapping) and value.keys() == {"value", "low", "high"}:
            say(f"{indent}{label.ljust(width)}  {_interval_text(value)}")
        elif isinstance(value, Mapping):
            say(f"{indent}{label}:")
            _show_facts(value, indent + "  ")
        else:
            say(f"{indent}{label.ljust(width)}  {_fact_text(value)}")


def _fact_text(value: object) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, list) and len(value) > _MANY:
        return f"{len(value)}, listed by --json"
    return str(value)


def _interval_text(figure: Mapping[str, float | None]) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "not measured"
    if low is None or high is None:
        return f"{value:.3f} (no 95 % interval)"
    return f"{value:.3f} (95 % interval {low:.3f} to {high:.3f})"
