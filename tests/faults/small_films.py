"""Studies for the fault harness: phantom films with pixels and UIDs of their own, made in milliseconds each.

One phantom of each size is drawn and converted; every film is that one with other UIDs, turned
brightness and a mark of its own, so that no two studies have the same content or the same result.
"""

from __future__ import annotations

import copy
import hashlib
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread

from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias

SMALL = 256
"""Side in pixels of a film that takes a tenth of a second with random weights, and one with the shipped."""


@dataclass(frozen=True)
class Study:
    """One study on disk."""

    uid: str
    folder: Path
    films: int


def make_study(folder: Path, name: str, *, films: int = 1, side: int = SMALL) -> Study:
    """Write a study of ``films`` square films of ``side`` pixels into ``folder``/``name``.

    Everything about it follows from these arguments: the same give the same bytes. ``submit`` queues studies
    by their UIDs, and a study of several films is to come before those of one.
    """
    study = _uid(name, "study", first=1 if films > 1 else 2)
    series = _uid(name, "series")
    (folder / name).mkdir(parents=True)
    for number in range(films):
        film = copy.deepcopy(_phantom(side))  # copy() would share its elements, and each film darken the next
        film.StudyInstanceUID, film.SeriesInstanceUID = study, series
        film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = _uid(name, "film", str(number))
        film.InstanceNumber = number + 1
        film.PixelData = _varied(film, f"{name}/{number}")
        film.save_as(folder / name / f"{number + 1}.dcm", enforce_file_format=True)
    return Study(study, folder / name, films)


@lru_cache
def _phantom(side: int) -> Dataset:
    with tempfile.TemporaryDirectory(prefix="bcd-faults-") as scratch:
        write_phantom(Path(scratch, "films"), patients=1, seed=0, shape=(side, side))
        convert_mias(Path(scratch, "films"), Path(scratch, "dicom"))
        film = dcmread(min(Path(scratch, "dicom").rglob("*.dcm")))
        _ = film.PixelData  # read before the file goes
        return film


def _varied(film: Dataset, name: str) -> bytes:
    random = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    kind = np.uint8 if film.BitsAllocated == 8 else np.dtype("<u2")
    count = film.Rows * film.Columns
    pixels = np.frombuffer(film.PixelData, kind, count).reshape(film.Rows, film.Columns).astype(np.float64)
    pixels *= random.uniform(0.8, 1.0)
    row, column = random.integers(film.Rows // 4, film.Rows // 2, 2)
    pixels[row : row + film.Rows // 16, column : column + film.Rows // 16] *= random.uniform(0.5, 0.9)
    data = pixels.astype(kind).tobytes()
    return data + b"\0" * (len(data) % 2)


def _uid(*parts: str, first: int = 3) -> str:
    number = int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:14], "big")
    return f"2.25.{first}{number:034}"
