"""Writes results of made-up studies with the project's own writers.

    python -m tests.slicer.written_results FOLDER

The other environments (Slicer's Pythons, slicer-core) have no converters, and get these files instead.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from converters.results.study_result import JobIdentity, ScannedFilm, StudyResult
from converters.results.write import write_results
from converters.uids import make_uid
from tests.support import result_builder as build

TALL = (240, 180)
CASES = {
    "finding": lambda: build.CASES["finding"](),
    "no-finding": lambda: build.CASES["no finding"](),
    "above-and-below": lambda: build.CASES["above and below"](),
    "one-film-failed": lambda: build.CASES["one film failed"](),
    "many": lambda: build.CASES["many findings"](),
    "non-square": lambda: build.CASES["non-square pixels"](),
    "two-films": lambda: build.study(
        build.scanned(
            1,
            [
                build.finding((60.25, 40.75), 14.0),
                build.finding((150.5, 90.0), 10.0, malignant=0.1, benign=0.2),
            ],
            shape=TALL,
            pixels=with_blob(TALL, (60.25, 40.75), 9.0),
        ),
        build.scanned(
            2,
            [build.finding((170.5, 120.25), 14.0, malignant=0.2, benign=0.6)],
            laterality="R",
            view="CC",
            shape=TALL,
            pixels=with_blob(TALL, (170.5, 120.25), 9.0),
        ),
    ),
    "another-patient": lambda: another_patient(),
}


def another_patient() -> StudyResult:
    """A study of its own, for two at once."""
    uid = make_uid("tests", "another study")
    head = build.header(7, shape=TALL)
    head.StudyInstanceUID, head.PatientID, head.PatientName = uid, "P2", "Other^Patient"
    found = [build.finding((100.0, 60.0), 11.0)]
    film = build.scanned(7, found, head=head, shape=TALL, pixels=with_blob(TALL, (100.0, 60.0), 8.0))
    return replace(
        build.study(film), study_instance_uid=uid, job=JobIdentity("fedcba9876543210", build.CREATED)
    )


def with_blob(shape: tuple[int, int], center: tuple[float, float], radius: float) -> object:
    """A dim film with a bright disc, so that what is drawn around it can be found again by its pixels."""
    import numpy as np

    rows, columns = np.indices(shape, dtype=np.float32)
    inside = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 <= radius**2
    return np.where(inside, np.float32(0.9), np.float32(0.2))


def write_all(folder: Path) -> None:
    """Write ``folder/<case>/result`` and ``folder/<case>/films``."""
    for name, make in CASES.items():
        result: StudyResult = make()
        target = folder / name
        (target / "result").mkdir(parents=True)
        (target / "films").mkdir()
        write_results(result, target / "result")
        for film in result.films:
            if isinstance(film, ScannedFilm):
                build.write_film(film, target / "films" / f"{film.sop_instance_uid}.dcm")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
