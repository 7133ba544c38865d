"""The settings file: TOML, whose keys are the names of the variables without ``BCD_``, in lower case."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bcd_model.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMED_BY = "BCD_SETTINGS"
SITE_FILE = Path("/etc/bcd/settings.toml")
_REMEDY = f"make it readable for this user, or name another one in {NAMED_BY}"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What the settings file says.

    Attributes:
        path: None if there is no file.
        values: by key, as TOML has them; one that is "" counts as not set.
    """

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def xdg_folder(variable: str, *default: str) -> Path | None:
    """BCD's folder below the one that ``variable`` names, or below ``default`` in the user's home.

    Returns:
        None for a user without a home, as in a container.
    """
    base = os.environ.get(variable, "")
    try:
        return (Path(base) if Path(base).is_absolute() else Path.home().joinpath(*default)) / "bcd"
    except RuntimeError:
        return None


def variables_set() -> dict[str, str]:
    """Variables that are set and not empty; their case does not matter."""
    return {name.upper(): value for name, value in os.environ.items() if value}


def own_file() -> Path | None:
    """Where the file of this user is looked for."""
    folder = xdg_folder("XDG_CONFIG_HOME", ".config")
    return folder / "settings.toml" if folder else None


def read_settings_file() -> SettingsFile:
    """Read the file that ``BCD_SETTINGS`` names, else the user's own, else the site's.

    Raises:
        SettingsError: it cannot be read or is not TOML, or ``BCD_SETTINGS`` names none.
    """
    named, own = variables_set().get(NAMED_BY), own_file()
    if named:
        path = Path(os.path.expanduser(named))  # noqa: PTH111 - Path's fails for a user without a home
    elif own and os.access(own, os.F_OK):
        path = own
    else:
        path = SITE_FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return SettingsFile(path, {key: value for key, value in values.items() if value != ""})
    except (FileNotFoundError, NotADirectoryError) as error:
        if not named:
            return SettingsFile()
        raise SettingsError("there is no such settings file", f"correct {NAMED_BY}", path) from error
    except OSError as error:
        raise SettingsError(f"cannot be read ({error.strerror or error})", _REMEDY, path) from error
    except (ValueError, RecursionError) as error:  # its text quotes no value
        remedy = 'write one setting a line, like results_dir = "/results"'
        raise SettingsError(f"is not TOML: {error}", remedy, path) from error
