"""Small films with lesions of the kinds the paper's subsets take, in memory and as a MIAS folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bcd_model.words import Film
from converters.mias.collection import info_line
from tests.support.toy_films import StoredFilm, toy_films


def made_films(patients: int = 12) -> list[StoredFilm]:
    """Two films a patient, the left with a lesion: masses and calcifications in turn, in both classes."""
    films = []
    for number, film in enumerate(toy_films(patients)):
        patient = number // 2
        kind = "CALC" if patient % 4 < 2 else "CIRC"
        lesions = tuple(replace(lesion, kind=kind) for lesion in film.lesions)
        films.append(replace(film, name=f"mdb{number + 1:03d}", lesions=lesions))
    return films


def write_mias(folder: Path, films: list[StoredFilm]) -> Path:
    """Write the films as PGM files with their Info.txt."""
    folder.mkdir()
    lines = []
    for film in films:
        pixels = np.round(film.read().pixels * 255).astype(np.uint8)
        rows, columns = pixels.shape
        (folder / f"{film.name}.pgm").write_bytes(b"P5\n%d %d\n255\n" % (columns, rows) + pixels.tobytes())
        lines += [info_line(film.name, "F", rows, lesion) for lesion in film.lesions or (None,)]
    (folder / "Info.txt").write_text("\n".join(lines) + "\n")
    return folder


def flat_film(name: str, patient: str, value: float) -> StoredFilm:
    return StoredFilm(name, patient, Film(np.full((96, 96), value, dtype=np.float32), (0.8, 0.8)))
