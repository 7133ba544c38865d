"""A queue without a worker, and a study for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
import redis

from tests.support.in_process import Queue, Watcher
from worker.settings import load_settings


@pytest.fixture
def films(patients: list[Path], tmp_path: Path) -> Path:
    """A study of four films, in a folder of its own."""
    folder = tmp_path / "films"
    folder.mkdir()
    sources = sorted(path for patient in patients for path in patient.glob("*.dcm"))
    for number, source in enumerate(sources, start=1):
        film = pydicom.dcmread(source)
        film.StudyInstanceUID, film.PatientID = "2.25.1000", "one"
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = f"2.25.2000.{number}"
        film.save_as(folder / f"film{number}.dcm")
    return folder


@pytest.fixture
def queue(url: str, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    for name in [name for name in os.environ if name.startswith("BCD_")]:
        monkeypatch.delenv(name)
    settings = load_settings(broker_url=url, model=weights, torch_threads=1, worker_processes=1)
    watcher, log = Watcher(), logging.getLogger("bcd")
    level = log.level
    log.addHandler(watcher)
    log.setLevel(logging.INFO)
    path = url.removeprefix("redis+socket://")
    with redis.Redis(unix_socket_path=path, decode_responses=True) as client:
        client.flushall()
        yield Queue(url, settings, tmp_path / "out", watcher, client)
    log.removeHandler(watcher)
    log.setLevel(level)
