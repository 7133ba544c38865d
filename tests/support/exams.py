"""Whole examinations as files: exposures, raw data, tomosynthesis and synthetic pictures of both breasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
)

from tests.support.mammograms import breast, mammogram

VIEWS = [(side, view) for view in ("CC", "MLO") for side in ("L", "R")]
SYNTHETIC = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]
SHAPE = (256, 200)


def exposure(side: str, view: str, *, name: str = "exposure", **elements: object) -> FileDataset:
    """A picture of a breast, by default an exposure For Presentation; no two of an examination alike."""
    number = sum(map(ord, f"{name}{side}{view}"))
    pixels = breast(*SHAPE, number=number)
    if side == "R":
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    spacing = {"ImagerPixelSpacing": [0.8, 0.8], "SeriesDescription": f"{side} {view}"}
    own = {"name": f"{name}/{side}{view}", "laterality": side, "view": view}
    return mammogram(pixels, **own, **(spacing | elements))


def raw(side: str, view: str) -> FileDataset:
    """The same exposure For Processing, without a window."""
    return exposure(
        side,
        view,
        name="raw",
        SOPClassUID=DigitalMammographyXRayImageStorageForProcessing,
        PresentationIntentType="FOR PROCESSING",
        WindowCenter=None,
        WindowWidth=None,
    )


def tomosynthesis(side: str, view: str, frames: int = 3) -> FileDataset:
    """A tomosynthesis of several slices."""
    film = exposure(side, view, name="slices", SOPClassUID=BreastTomosynthesisImageStorage)
    film.ImageType = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
    film.NumberOfFrames = frames
    film.PixelData *= frames
    return film


def synthetic(side: str, view: str) -> FileDataset:
    """A 2-D picture made from the tomosynthesis."""
    described = f"{side} {view} C-View"
    return exposure(side, view, name="synthetic", ImageType=SYNTHETIC, SeriesDescription=described)


def combined() -> dict[str, FileDataset]:
    """An examination of 16 files, by their names: each of the four views in four kinds."""
    makers = {"ffdm": exposure, "raw": raw, "tomo": tomosynthesis, "synthetic": synthetic}
    return {
        f"{kind}-{side}{view}.dcm": make(side, view) for kind, make in makers.items() for side, view in VIEWS
    }


def save(films: dict[str, FileDataset], folder: Path) -> Path:
    """Write ``films`` into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, film in films.items():
        film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
        film.save_as(folder / name, enforce_file_format=True)
    return folder
