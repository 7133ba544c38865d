"""Settings, typed, and checked before anything starts: ``BCD_*`` variables and the settings file.

What the command line says comes first, then the environment, then the file, then the default. The
descriptions below are the reference: ``bcd-admin doctor --all`` prints them.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from bcd_model.detector.prevalence import LEAST
from bcd_model.errors import SettingsError
from converters.uids import UUID_ROOT, check_root
from worker.gateway_settings import GatewaySettings
from worker.settings_file import SettingsFile, read_settings_file, variables_set, xdg_folder
from worker.study.staging import ResultsMode

PREFIX = "BCD_"
Source = Literal["default", "file", "environment"]
_OPTIONS: Mapping[str, Set[str]] = {
    "redis": frozenset(),
    "rediss": frozenset({"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}),
    "redis+socket": frozenset({"virtual_host"}),
}
BROKER_SCHEMES = tuple(_OPTIONS)

_MOST_PROCESSES = 4  # by default; each holds PyTorch and the model, about half a gigabyte
# up to the last @, for a password may hold / and @; redis-py also takes a password in the query
_LOGIN = re.compile(r"^([\w+.-]*:/+)?.*@", re.DOTALL)
_PASSWORD = re.compile(r"(?<=password=)[^&]*", re.IGNORECASE)


def _broker_url(value: str) -> str:
    value = value.strip()
    parts = urlsplit(value)
    if parts.scheme not in BROKER_SCHEMES:
        raise ValueError("use redis://HOST:6379/0, rediss://HOST:6380/0 or redis+socket:///PATH")
    options = parse_qs(parts.query, keep_blank_values=True)
    known = _OPTIONS[parts.scheme]
    if not options.keys() <= known:
        raise ValueError(
            f"after ? it takes {' and '.join(sorted(known)) or 'nothing'}; "
            "a password goes before the host: redis://:PASSWORD@HOST"
        )
    if parts.scheme == "redis+socket":
        if not parts.path:
            raise ValueError("name the socket's path, like redis+socket:///run/redis.sock")
    elif not parts.hostname:
        raise ValueError("name the host, like redis://localhost:6379/0")
    elif parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError("the path is the number of the Redis database, like redis://localhost:6379/0")
    else:
        try:
            _ = parts.port
        except ValueError:  # its text quotes what may be a password with / or # in it
            raise ValueError("the port is a number up to 65535, like redis://localhost:6379/0") from None
    return value


def _uid_root(value: str) -> str:
    try:
        return value if value == UUID_ROOT else check_root(value)
    except SettingsError as error:
        raise ValueError(error.reason.remedy or error.reason.detail) from None


def _folders(value: object) -> object:
    """``A:B`` as the list of folders A and B, as in PATH."""
    given = [value] if isinstance(value, str) else value
    if not (isinstance(given, list) and all(isinstance(part, str) for part in given)):
        return value
    parts = [part for each in given for part in each.split(os.pathsep) if part]
    if not parts:  # "any folder" is said by leaving it out
        raise ValueError("it names no folder")
    return [_in_home(part) for part in parts]


def _in_home(value: object) -> object:
    """``~`` as a shell takes it."""
    if isinstance(value, str) and value.startswith("~"):
        return os.path.expanduser(value)  # noqa: PTH111 - Path's fails for a user without a home
    return value


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _state_dir() -> Path:
    folder = xdg_folder("XDG_STATE_HOME", ".local", "state")
    return folder or Path(tempfile.gettempdir()) / f"bcd-{os.getuid()}"


class Settings(GatewaySettings):
    """Everything that can be set, with its default; read by `load_settings`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        if isinstance(value, bool):  # TOML's; pydantic would take true for the number 1
            raise ValueError("no setting is true or false")
        return _in_home(value)

    broker_url: Annotated[str, AfterValidator(_broker_url)] | None = Field(
        default=None, description="Redis of the queue; unset: the embedded engine"
    )
    results_dir: Path = Field(
        default=Path("bcd-results"), description="where results go when --out does not say"
    )
    state_dir: Path = Field(
        default_factory=_state_dir,
        description="folder of the embedded engine's queue and logs; for this user alone",
    )
    uid_root: Annotated[str, AfterValidator(_uid_root)] = Field(
        default=UUID_ROOT, description="root of every UID that is made; 2.25 needs no registration"
    )
    model: Annotated[Path, AfterValidator(_existing_file)] | None = Field(
        default=None, description="weight file (safetensors); unset: the shipped one"
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="probability of abnormality from which a finding is presented; unset: the model's own",
    )
    prevalence: float | None = Field(
        default=None,
        ge=LEAST,
        le=1 - LEAST,
        description="share of abnormal films for which probabilities are stated; unset: the model's own",
    )
    input_roots: Annotated[tuple[Path, ...], BeforeValidator(_folders)] = Field(
        default=(), description="folders a worker may read films from, A:B; unset: any"
    )
    output_roots: Annotated[tuple[Path, ...], BeforeValidator(_folders)] = Field(
        default=(), description="folders a worker may publish results in, A:B; unset: any"
    )
    worker_processes: int = Field(
        default_factory=lambda: min(_MOST_PROCESSES, available_cores()),
        ge=1,
        le=256,
        description="films scanned at the same time by one worker; unset: one a core, at most 4",
    )
    torch_threads: int | None = Field(
        default=None, ge=1, le=256, description="threads of one scan; unset: the cores shared out evenly"
    )
    visibility_timeout: int = Field(
        default=3600,
        ge=10,
        le=7 * 86400,
        description="seconds until an unacknowledged message is delivered again; a study may take 0.8 of it",
    )
    lease_seconds: int = Field(
        default=20,
        ge=2,
        le=600,
        description="seconds without a heartbeat of its worker after which a job is given to another one",
    )
    retry_seconds: int = Field(
        default=86400,
        ge=0,
        le=30 * 86400,
        description="how long a batch job is tried again while the storage fails; an interactive one: 10 s",
    )
    results_mode: ResultsMode = Field(
        default="private",
        description="who may read results, which name the patient: private (owner), group or umask",
    )
    record_days: int = Field(
        default=90, ge=1, le=3650, description="days for which the record of an ended job is kept"
    )
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="port of a worker's Prometheus metrics; unset: none"
    )
    metrics_address: str = Field(
        default="127.0.0.1", description="address on which the metrics are served; they need no password"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="what the worker logs: DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="json: one object a line; text: for people; auto: text on a terminal"
    )

    @property
    def embedded(self) -> bool:
        """True if no broker is named, so that the queue is the embedded engine."""
        return self.broker_url is None

    @property
    def gateway_folder(self) -> Path:
        """The folder of the gateway's tokens, uploads and results; absolute."""
        return (self.gateway_dir or self.state_dir / "gateway").absolute()

    @property
    def threads_per_scan(self) -> int:
        """Torch threads of one worker process, so that the processes do not fight for cores."""
        return self.torch_threads or max(1, available_cores() // self.worker_processes)

    @classmethod
    def variables(cls) -> Iterator[tuple[str, str, str]]:
        """(environment variable, field, description) of every setting, the gateway's last."""
        fields = sorted(cls.model_fields.items(), key=lambda field: field[0].startswith("gateway_"))
        for name, info in fields:
            yield f"{PREFIX}{name.upper()}", name, info.description or ""


def available_cores() -> int:
    """Cores this process may use; in a container with a CPU limit (Linux, cgroup v2), no more than that."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def hide_secrets(url: str) -> str:
    """``url`` without its user and password."""
    return _PASSWORD.sub("***", _LOGIN.sub(r"\1***@", url))


def load_settings(**overrides: object) -> Settings:
    """Read the settings; ``overrides`` (what the command line says) win, None is no override.

    Raises:
        SettingsError: one setting that cannot be used, with its value (no password) and the remedy; or the
            settings file cannot be read.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    file, environment = read_settings_file(), _environment()
    try:
        return Settings.model_validate({**file.values, **environment, **given})
    except ValidationError as error:
        raise _explained(error, {**environment, **given}, file)[0] from None


def settings_problems() -> tuple[SettingsError, ...]:
    """One error for every setting that cannot be used, or for the settings file."""
    environment = _environment()
    try:
        file = read_settings_file()
        Settings.model_validate({**file.values, **environment})
    except SettingsError as error:
        return (error,)
    except ValidationError as error:
        return _explained(error, environment, file)
    return ()


def _explained(
    error: ValidationError, given: Mapping[str, object], file: SettingsFile
) -> tuple[SettingsError, ...]:
    """An error for each fault; it is in the file if its field is not ``given``."""
    explained = []
    for problem in error.errors(include_url=False):
        key = str(problem["loc"][0])
        value = given[key] if key in given else file.values[key]
        shown = hide_secrets(str(value)) if key == "broker_url" else value
        # Of a check of our own, pydantic hands on the error itself.
        reason = str(problem.get("ctx", {}).get("error", problem["msg"]))
        remedy = reason[:1].lower() + reason[1:]
        if key in given:
            found = SettingsError(f"{PREFIX}{key.upper()}={shown!r} cannot be used", remedy)
        else:
            written = json.dumps(shown, default=str)
            found = SettingsError(f"{key} = {written} cannot be used", remedy, file.path or "")
        explained.append(found)
    return tuple(explained)


def _environment() -> dict[str, str]:
    """The fields that variables set."""
    found = variables_set()
    return {field: found[variable] for variable, field, _ in Settings.variables() if variable in found}


def settings_sources() -> dict[str, Source]:
    """Where the value of each field comes from.

    Raises:
        SettingsError: the settings file cannot be read.
    """
    sources: dict[str, Source] = dict.fromkeys(Settings.model_fields, "default")
    sources |= dict.fromkeys(sources.keys() & read_settings_file().values, "file")
    return sources | dict.fromkeys(_environment(), "environment")
