"""Whether labels run over outlines or other labels: real scans of mini-MIAS films, counted by geometry.

    python -m tests.benchmarks.labels [FILMS]

Once with the findings at the operating point, and once with all that the scan found, which is a crowd.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from pathlib import Path

from bcd_model.detector.model import load_model
from bcd_model.detector.scan import Scanner
from converters.films.studies import find_studies
from converters.mias.to_dicom import convert_mias
from converters.results.film_facts import reference
from converters.results.gsps import build_presentation
from converters.results.study_result import ScannedFilm
from tests.support.label_geometry import Collisions, of_state
from worker.study.scan import new_job, scan_study

FILMS = 30


def main(most: int = FILMS) -> None:
    """Print a row for each film and the sums."""
    scanner = Scanner(load_model())
    sums = {"operating point": [0] * 4, "all": [0] * 4}
    with tempfile.TemporaryDirectory() as scratch:
        source, dicom = Path(scratch, "films"), Path(scratch, "dicom")
        source.mkdir()
        collection = Path(os.environ["BCD_MIAS_DIR"])
        chosen = sorted(collection.glob("*.pgm"))[:most]
        for path in (*chosen, collection / "Info.txt"):
            (source / path.name).symlink_to(path)
        convert_mias(source, dicom)
        for study in find_studies([dicom]).studies:
            result = scan_study(study, scanner, new_job(study, scanner))
            everything = dataclasses.replace(
                result, operating_point=dataclasses.replace(result.operating_point, threshold=0.0)
            )
            for number, film in result.numbered:
                source_image = reference(film)
                if not isinstance(film, ScannedFilm) or source_image is None:
                    continue
                for name, shown in (("operating point", result), ("all", everything)):
                    found = of_state(build_presentation(shown, film, source_image, number))
                    sums[name] = [a + b for a, b in zip(sums[name], dataclasses.astuple(found), strict=True)]
                    print(f"{film.file}  {name:15}  {row(found)}")
    for name, total in sums.items():
        print(f"{most} films, {name}: {row(Collisions(*total))}")


def row(found: Collisions) -> str:
    """``found`` in words."""
    return (
        f"{found.labels} labels, {found.on_outline} on an outline, {found.on_label} on another label, "
        f"{found.outside} outside"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
