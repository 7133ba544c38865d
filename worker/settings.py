"""Settings: ``BCD_*`` environment variables, typed, and checked before anything starts.

The descriptions below are the reference: ``bcd-admin doctor`` prints them.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import NoDecode, SettingsConfigDict

from bcd_model.detector.prevalence import LEAST
from bcd_model.errors import SettingsError
from converters.uids import UUID_ROOT, check_root
from worker.gateway_settings import GatewaySettings
from worker.study.staging import ResultsMode

PREFIX = "BCD_"
_OPTIONS: Mapping[str, Set[str]] = {
    "redis": frozenset(),
    "rediss": frozenset({"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}),
    "redis+socket": frozenset({"virtual_host"}),
}
BROKER_SCHEMES = tuple(_OPTIONS)
NOT_SETTINGS = frozenset({"BCD_MIAS_DIR", "BCD_DICOM_SAMPLES", "BCD_CASES_DIR", "BCD_CESM_DIR"})
"""Variables with our prefix that only the test suite reads."""

_MOST_PROCESSES = 4  # by default; each holds PyTorch and the model, about half a gigabyte
# up to the last @, for a password may hold / and @; redis-py also takes a password in the query
_SECRET_IN_URL = re.compile(r"(?<=://).*@|(?<=password=)[^&]*", re.DOTALL)


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
        _ = parts.port  # a port out of range raises ValueError here
    return value


def _uid_root(value: str) -> str:
    try:
        return value if value == UUID_ROOT else check_root(value)
    except SettingsError as error:
        raise ValueError(error.reason.remedy or error.reason.detail) from None


def _folders(value: object) -> object:
    """``A:B`` as the list of folders A and B, as in PATH."""
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _state_dir() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "bcd"
    try:
        return Path.home() / ".local" / "state" / "bcd"
    except RuntimeError:  # a user without a home, as in a container
        return Path(tempfile.gettempdir()) / f"bcd-{os.getuid()}"


class Settings(GatewaySettings):
    """Everything that can be set, with its default; read from the environment by `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    broker_url: Annotated[str, AfterValidator(_broker_url)] | None = Field(
        default=None, description="Redis of the queue; unset: the embedded engine"
    )
    results_dir: Path = Field(
        default=Path("bcd-results"), description="where results go when --out does not say"
    )
    state_dir: Path = Field(
        default_factory=_state_dir, description="the embedded engine's queue and its logs; yours alone"
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
        description="share of abnormal films where the probabilities shall hold; unset: the model's own",
    )
    input_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
        default=(), description="folders a worker may read films from, A:B; unset: any"
    )
    output_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = Field(
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
        description="seconds after which a job whose worker gave no sign of life is given to another one",
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


def hide_secrets(value: str) -> str:
    """``value`` without the user and password of a URL."""
    return _SECRET_IN_URL.sub(lambda secret: "***@" if secret[0].endswith("@") else "***", value)


def load_settings(**overrides: object) -> Settings:
    """Read the environment; ``overrides`` (what the command line says) win, None is no override.

    Raises:
        SettingsError: one variable that cannot be used, with its value (no password) and the remedy.
    """
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    problems = settings_problems(given)
    if problems:
        raise problems[0]
    return Settings(**given)


def settings_problems(given: Mapping[str, Any] | None = None) -> tuple[SettingsError, ...]:
    """One error for every variable that cannot be used."""
    given = given or {}
    try:
        Settings(**given)
    except ValidationError as error:
        return tuple(_explained(dict(problem), given) for problem in error.errors(include_url=False))
    return ()


def _explained(problem: Mapping[str, Any], given: Mapping[str, object]) -> SettingsError:
    name = str(problem["loc"][0])
    variable = f"{PREFIX}{name.upper()}"
    value = hide_secrets(str(given.get(name, os.environ.get(variable, ""))))
    # Of a check of our own, pydantic hands on the error itself.
    reason = str(problem.get("ctx", {}).get("error", problem["msg"]))
    return SettingsError(f"{variable}={value!r} cannot be used", reason[:1].lower() + reason[1:])


def unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """``BCD_*`` variables that nothing reads: most likely misspelt."""
    known = {variable for variable, _, _ in Settings.variables()} | NOT_SETTINGS
    return tuple(sorted(name for name in environment if name.startswith(PREFIX) and name not in known))
