"""The pictures of README and tutorial, drawn anew: ``make pictures``.

    python -m tests.docs.pictures            docs/pictures: a phantom film's overlay and heat map
    python -m tests.docs.pictures --slicer   docs/tutorial/slicer: what `make slicer-scene` has drawn

Phantoms only. Beside the pictures a ``made-from.json`` says which weights found what they show;
``test_pictures.py`` holds that these are the weights that ship.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from bcd_model.detector.model import load_model
from bcd_model.detector.scan import Scanner
from bcd_model.weights import read_info
from bcd_model.words import Finding
from converters.films.studies import find_studies
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from converters.results.pictures.heat_map import MAXIMUM, on_film
from converters.results.pictures.overlay import draw
from converters.results.study_result import ScannedFilm
from converters.results.wording import film_caption, presented
from worker.study.scan import new_job, scan_study

ROOT = Path(__file__).parents[2]
README_PICTURES = ROOT / "docs" / "pictures"
TUTORIAL_PICTURES = ROOT / "docs" / "tutorial" / "slicer"
DRAWN_BY_SLICER = ROOT / "build" / "slicer"
MADE_FROM = "made-from.json"

_HEIGHT = 720
_HEAT = np.array((255.0, 80.0, 0.0))
_OPACITY = 0.8
_GAP = 12  # pixels between the two


def draw_findings(folder: Path) -> list[str]:
    """Scan the first phantom film of the demonstration and draw what was found; the names of the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        films, dicom = Path(scratch, "films"), Path(scratch, "dicom")
        write_phantom(films, patients=1)
        convert_mias(films, dicom)
        scanner = Scanner(load_model())
        (study,) = find_studies([dicom]).studies
        result = scan_study(study, scanner, new_job(study, scanner))
    film = next(each for each in result.films if isinstance(each, ScannedFilm) and presented(each, result))
    columns = np.flatnonzero(film.film.pixels.any(axis=0))  # of the film; the matrix around it is blank
    shown = slice(int(columns[0]), int(columns[-1]) + 1)
    cut = replace(film.film, pixels=film.film.pixels[:, shown])
    moved = tuple((number, left_by(shown.start, finding)) for number, finding in presented(film, result))
    overlay = draw(cut, moved, film_caption(film, result))
    plain = draw(cut, (), ("Heat map: probability of abnormality, of the scan alone",))
    heat = on_film(film.scan.heat_map, film.film.shape)[:, shown, np.newaxis] / MAXIMUM
    hot = np.rint(plain + (_HEAT - plain) * _OPACITY * heat).astype(np.uint8)
    beside = Image.fromarray(np.hstack([overlay, np.zeros((len(overlay), _GAP, 3), np.uint8), hot]))
    size = round(beside.width * _HEIGHT / beside.height), _HEIGHT
    small = beside.resize(size, Image.Resampling.LANCZOS)
    small.quantize(256, Image.Quantize.MAXCOVERAGE).save(folder / "findings.png", optimize=True)
    return ["findings.png"]


def left_by(columns: int, finding: Finding) -> Finding:
    """``finding`` on a film without its first ``columns``."""
    (row, column), outline = finding.center, finding.outline
    return replace(
        finding, center=(row, column - columns), outline=tuple((r, c - columns) for r, c in outline)
    )


def copy_tutorial(folder: Path) -> list[str]:
    """What `make slicer-scene` has drawn for the tutorial; the names of the pictures."""
    drawn = sorted(DRAWN_BY_SLICER.glob("tutorial-*.png"))
    if not drawn:
        raise SystemExit(f"{DRAWN_BY_SLICER}: no tutorial-*.png; run make slicer-scene first")
    names = [path.name.removeprefix("tutorial-") for path in drawn]
    for path, name in zip(drawn, names, strict=True):
        (folder / name).write_bytes(path.read_bytes())
    return names


def record(folder: Path, names: list[str], command: str) -> None:
    """Write beside the pictures what they were made from."""
    model = read_info().identity
    content = {
        "films": "procedural phantoms (bcd-admin phantom)",
        "command": command,
        "weights": {"name": model.name, "version": model.version, "sha256": model.digest},
        "pictures": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(names)
        },
    }
    (folder / MADE_FROM).write_text(json.dumps(content, indent=1) + "\n")


def main(arguments: list[str]) -> None:
    """Draw or copy one folder's pictures, and say what they were made from."""
    slicer = arguments == ["--slicer"]
    folder = TUTORIAL_PICTURES if slicer else README_PICTURES
    folder.mkdir(exist_ok=True)
    names = copy_tutorial(folder) if slicer else draw_findings(folder)
    record(folder, names, "make pictures-slicer" if slicer else "make pictures")
    for name in names:
        print(f"{folder / name}  {(folder / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
