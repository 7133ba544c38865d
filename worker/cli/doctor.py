"""``doctor``: whether what does the work can do it."""

from __future__ import annotations

import typer

from worker.cli.shared.console import say, say_json, say_table
from worker.cli.shared.figures import counted
from worker.cli.shared.options import JSON
from worker.doctor import Diagnosis, Setting, examine

ALL = typer.Option(False, "--all", help="Also the settings that have their defaults.")


def doctor(everything: bool = ALL, as_json: bool = JSON) -> None:
    """Check what is configured, reachable and writable, and say how to correct what is not."""
    found = examine()
    if as_json:
        say_json(found.as_json())
    else:
        _say_checks(found)
        _say_settings(found, everything)
    failed = found.having("fail")
    raise typer.Exit(failed[0].exit_code if failed else 0)


def _say_checks(found: Diagnosis) -> None:
    failed, warnings = found.having("fail"), found.having("warn")
    verdict = "not usable" if failed else "usable"
    say(f"{verdict}, {counted(len(warnings), 'warning')}" if warnings else verdict)
    for check in (*failed, *warnings, *found.having("ok")):
        say(f"{check.state:4}  {check.name}: {check.found}")
        if check.remedy:
            say(f"      -> {check.remedy}")


def _say_settings(found: Diagnosis, everything: bool) -> None:
    shown = [setting for setting in found.settings if everything or setting.source != "default"]
    if shown:
        say()
        columns = ("setting", "value", "from", "what it sets")
        rows = [(*_cells(setting, found), setting.description) for setting in shown]
        say_table(columns, rows) if everything else say_table(columns[:3], [row[:3] for row in rows])
    if len(shown) < len(found.settings):
        count = len(found.settings) - len(shown)
        say(f"{count} {'other ' if shown else ''}settings have their defaults; --all lists them")


def _cells(setting: Setting, found: Diagnosis) -> tuple[str, str, str]:
    value = ":".join(setting.value) if isinstance(setting.value, list) else setting.value
    source = str(found.settings_file) if setting.source == "file" else setting.source
    return setting.name, "unset" if value in (None, "") else str(value), source
