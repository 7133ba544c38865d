"""Variables and keys of the settings file that nothing reads: most likely misspelt."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping

from bcd_model.errors import SettingsError
from worker.logs import event
from worker.settings import PREFIX, Settings
from worker.settings_file import NAMED_BY, read_settings_file, variables_set
from worker.text import on_one_line

_OF_THE_TESTS = frozenset(
    {
        "BCD_ADMIN",
        "BCD_CASES_DIR",
        "BCD_CESM_DIR",
        "BCD_DICOM_SAMPLES",
        "BCD_MIAS_DIR",
        "BCD_WRITTEN_RESULTS",
    }
)
"""Variables with our prefix that only the test suite reads."""


def unknown_variables(environment: Mapping[str, object]) -> tuple[str, ...]:
    """``BCD_*`` variables that nothing reads."""
    known = {variable for variable, _, _ in Settings.variables()} | _OF_THE_TESTS | {NAMED_BY}
    return tuple(sorted(name for name in environment if name.startswith(PREFIX) and name not in known))


def unknown_settings() -> Iterator[SettingsError]:
    """A warning, with the nearest name, for each variable and each key of the file that nothing reads."""
    yield from map(_unknown, unknown_variables(variables_set()))
    try:
        file = read_settings_file()
    except SettingsError:  # a command that needs a setting says so
        return
    for key, value in file.values.items():
        if isinstance(value, dict):
            yield SettingsError(
                f"[{on_one_line(key)}] is not read",
                "write each setting by itself, in no table",
                file.path or "",
            )
        elif key not in Settings.model_fields:
            yield _unknown(key, str(file.path))


def log_unknown_settings() -> None:
    """Log a warning for each."""
    for unknown in unknown_settings():
        event("setting unknown", logging.WARNING, error=unknown)


def _unknown(name: str, file: str = "") -> SettingsError:
    """The warning of a variable, or of a key of ``file``."""
    remedy = "remove it; bcd-admin doctor --all lists all settings"
    key = name.lower().removeprefix(PREFIX.lower())
    nearest = difflib.get_close_matches(key, Settings.model_fields, 1)
    if nearest:
        remedy = f"did you mean {nearest[0] if file else PREFIX + nearest[0].upper()}?"
    return SettingsError(f"{on_one_line(name)} is not a setting", remedy, file)
