"""``classify``: one region of a film, in this process."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import typer

from bcd_model.errors import FilmError, UsageError
from bcd_model.words import DISCLAIMER, Film, Region
from converters.films.read import read_film
from converters.mias.collection import SPACING
from converters.mias.pgm import read_graymap
from worker.cli.shared.console import note, say, say_json
from worker.cli.shared.figures import percent
from worker.cli.shared.options import JSON
from worker.settings import load_settings
from worker.study.scanner import load_scanner

_REMEDY = "name one film, PGM or DICOM"
_NOT_DAMAGED = frozenset({"not-a-mammogram", "sop-class", "pixel-format", "burned-in", "frames"})


def classify(
    file: Path = typer.Argument(metavar="FILE", help="One film, PGM or DICOM.", show_default=False),
    center: str = typer.Option(..., "--center", metavar="R,C", help="Row and column of the region's centre."),
    radius: float = typer.Option(..., "--radius", metavar="N", help="Its radius in pixels.", min=1),
    as_json: bool = JSON,
) -> None:
    """Classify one region of a film: normal, benign or malignant, as in the paper."""
    settings = load_settings()
    film = _read(file)
    region = _region(center, radius, film)
    scanner = load_scanner(settings.model, threads=settings.torch_threads, threshold=settings.threshold)
    probability = scanner.classify(film, region)
    if as_json:
        say_json(
            {
                "file": file.name,
                "center": list(region.center),
                "radius": region.radius,
                "class": probability.label,
                "probability": asdict(probability),
                "model": asdict(scanner.identity),
                "warnings": list(film.warnings),
                "disclaimer": DISCLAIMER,
            }
        )
        return
    say(f"{probability.label}")
    for name, value in asdict(probability).items():
        say(f"  {name:9} {percent(value):>7}")
    for text in film.warnings:
        note(f"warning: {text}")
    note(DISCLAIMER)


def _read(file: Path) -> Film:
    if not file.is_file():
        raise UsageError("is not a file" if file.exists() else "does not exist", _REMEDY, file)
    with file.open("rb") as stream:
        start = stream.read(2)
    if start in (b"P2", b"P5"):
        return _read_pgm(file)
    try:
        return read_film(file).film
    except FilmError as error:
        is_damaged = error.reason.code not in _NOT_DAMAGED
        remedy = error.reason.remedy or ("copy or export it again" if is_damaged else "give a mammogram")
        raise FilmError.of(replace(error.reason, remedy=remedy, place=str(file))) from error


def _read_pgm(file: Path) -> Film:
    image = read_graymap(file)
    return Film(
        pixels=image.pixels.astype(np.float32) / np.float32(image.maxval),
        spacing=SPACING,
        spacing_assumed=True,
        file=file.name,
        warnings=(f"a PGM states no pixel spacing: {SPACING[0]} mm assumed, that of mini-MIAS",),
    )


def _region(center: str, radius: float, film: Film) -> Region:
    try:
        row, column = (float(part) for part in center.split(","))
    except ValueError:
        raise UsageError(
            f"--center {center!r} is not a row and a column", "give both, like 512,300"
        ) from None
    rows, columns = film.shape
    if not (-0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5):  # (0, 0) is a centre
        raise UsageError(
            f"--center {center} is outside the film", f"it has {rows} rows and {columns} columns, from 0"
        )
    return Region((row, column), radius)
