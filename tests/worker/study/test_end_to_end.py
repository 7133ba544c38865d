"""A blob at a known place goes the whole way, PGM to result objects, and comes back at that place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from bcd_model.detector.pyramid import CONTEXT, STRIDE
from bcd_model.detector.scan import Scanner
from bcd_model.words import WINDOW
from converters.films.studies import find_studies
from converters.mias.pgm import write_pgm
from converters.mias.to_dicom import convert_mias
from converters.results.pictures.overlay import COLORS
from tests.support.blob_films import blob_film, make_blob_model
from worker.study.publish import publish
from worker.study.scan import new_job, scan_study

STEP = 0.45
RADIUS_MM = WINDOW * STEP / (2 * CONTEXT)


def _points(graphic_data: list[float]) -> np.ndarray:
    """DICOM (column, row) from the corner of the first pixel, as (row, column) from its centre."""
    return np.asarray(graphic_data, dtype=float).reshape(-1, 2)[:, ::-1] - 0.5


def _coordinates(item: pydicom.Dataset) -> dict[str, np.ndarray]:
    """The first centre and outline in the tree below ``item``, by Graphic Type."""
    found: dict[str, np.ndarray] = {}
    for child in item.get("ContentSequence", ()):
        if "GraphicData" in child:
            found.setdefault(child.GraphicType, _points(child.GraphicData))
        for kind, points in _coordinates(child).items():
            found.setdefault(kind, points)
    return found


@pytest.mark.parametrize("spacing", [(0.2, 0.2), (0.2, 0.15)])
@pytest.mark.parametrize("laterality", ["L", "R"])
def test_a_blob_comes_back(laterality: str, spacing: tuple[float, float], tmp_path: Path) -> None:
    # A left film has the chest wall at the right edge.
    center = (331.0, 310.0) if laterality == "L" else (290.0, 170.0)
    side = "right" if laterality == "L" else "left"
    name = "mdb001" if laterality == "L" else "mdb002"
    film = blob_film(center, RADIUS_MM, spacing=spacing, side=side)
    pgm = np.rint(film.pixels * 255).astype(np.uint8)
    (tmp_path / "films").mkdir()
    write_pgm(tmp_path / "films" / f"{name}.pgm", pgm)
    height = film.shape[0]
    (tmp_path / "films" / "Info.txt").write_text(
        f"{name} F CIRC B {center[1]:.0f} {height - 1 - center[0]:.0f} 27\n"
    )
    convert_mias(tmp_path / "films", tmp_path / "dicom")
    (path,) = (tmp_path / "dicom").rglob("*.dcm")
    header = pydicom.dcmread(path)
    assert np.array_equal(header.pixel_array, pgm)
    header.ImagerPixelSpacing = list(spacing)
    header.save_as(path)

    scanner = Scanner(make_blob_model(), threads=1)
    (study,) = find_studies([tmp_path / "dicom"]).studies
    folder = publish(scan_study(study, scanner, new_job(study, scanner)), tmp_path / "results")

    (told,) = json.loads((folder / "result.json").read_text())["films"]
    best = told["findings"][0]
    half_stride = STRIDE * STEP / 2
    for axis in (0, 1):
        assert abs(best["center"][axis] - center[axis]) * spacing[axis] <= half_stride
    assert told["laterality"] == laterality

    outline = np.array(best["outline"])
    for name in ("cad_sr.dcm", "measurement_sr.dcm"):
        report = _coordinates(pydicom.dcmread(folder / name))
        np.testing.assert_allclose(report["POINT"], [best["center"]], atol=0.01)
        np.testing.assert_allclose(report["POLYLINE"][:-1], outline, atol=0.01)

    (heat,) = (pydicom.dcmread(file) for file in (folder / "heatmap").iterdir())
    assert heat.pixel_array.shape == film.shape
    hottest = np.argwhere(heat.pixel_array == heat.pixel_array.max()).mean(axis=0)
    assert np.abs((hottest - center) * spacing).max() <= 2 * half_stride
    there = heat.pixel_array[round(best["center"][0]), round(best["center"][1])] / heat.MaximumFractionalValue
    assert there == pytest.approx(1 - best["probability"]["normal"], abs=0.01)

    (state,) = (pydicom.dcmread(file) for file in (folder / "presentation").iterdir())
    drawn = [
        _points(graphic.GraphicData)
        for annotation in state.GraphicAnnotationSequence
        for graphic in annotation.get("GraphicObjectSequence", ())
    ]
    np.testing.assert_allclose(drawn[0][:-1], outline, atol=0.01)

    (overlay,) = (pydicom.dcmread(file) for file in (folder / "overlay").iterdir())
    colored = np.argwhere((overlay.pixel_array == COLORS[best["class"]]).all(axis=-1))
    around = np.abs(colored - np.array(best["center"])) * spacing
    ring = np.hypot(*around.T)
    assert len(ring) > 100
    near = ring[ring < 1.5 * RADIUS_MM]
    assert abs(near - RADIUS_MM).max() <= max(spacing)
