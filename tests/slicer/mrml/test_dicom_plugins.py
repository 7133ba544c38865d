"""The DICOM plugins with Slicer's real reader of volumes: one film a volume, the right window, the report."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import dicomlib_double
import numpy as np
import pydicom
import pytest
from vtk.util.numpy_support import vtk_to_numpy

from BCDDetectorLib import mammogram, nodes
from BCDDetectorLib.dicom_write import write
from BCDDetectorLib.result_reader import read_result


@pytest.fixture
def database(world):
    made = dicomlib_double.install(world)
    for name in ("BCDMammogramDICOMPlugin", "BCDReportDICOMPlugin"):
        sys.modules.pop(name, None)
    return made


def plugin(name: str):
    import slicer

    module = importlib.import_module(name)
    getattr(module, name)(type("Parent", (), {})())
    return slicer.modules.dicomPlugins[name]()


def gray(volume) -> np.ndarray:
    """The volume through its window: 0 black, 1 white."""
    image = volume.GetImageData()
    columns, rows, _ = image.GetDimensions()
    values = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns).astype(float)
    display = volume.GetDisplayNode()
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    return np.clip((values - low) / (high - low), 0, 1)


def test_four_views_of_one_series_are_four_volumes(world, case, database):
    _, films = case("two-films")
    files = [str(path) for path in films.values()]
    reader = plugin("BCDMammogramDICOMPlugin")
    loadables = reader.examineForImport([files])
    assert {loadable.name for loadable in loadables} == {"L MLO", "R CC"}
    assert all(loadable.confidence > 0.5 and len(loadable.files) == 1 for loadable in loadables)
    volumes = [reader.load(loadable) for loadable in loadables]
    assert [volume.GetImageData().GetDimensions() for volume in volumes] == [(180, 240, 1)] * 2
    assert {uid for volume in volumes for uid in nodes.film_uids(volume)} == set(films)
    # 0.2 mm would make 48 x 36 mm, which no mammogram has: not believed here as little as by the detector
    assert volumes[0].GetSpacing() == (1.0, 1.0, 1.0)
    assert all(volume.GetName().endswith("(pixel size unknown)") for volume in volumes)
    side_by_side = [world.composite(name).GetBackgroundVolumeID() for name in ("Red", "Yellow")]
    assert side_by_side == [volume.GetID() for volume in volumes]
    assert world.node("Yellow").GetOrientation() == "Axial"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -100)])
@pytest.mark.parametrize("window", [(1000, 500), (3000, 1500), None])
def test_a_film_looks_as_its_header_says(world, case, tmp_path, photometric, slope, intercept, window):
    """Against PS3.3 C.11.2.1.2.1 and C.7.6.3.1.2, written down once more here."""
    _, films = case("two-films")
    document = pydicom.dcmread(next(iter(films.values())))
    document.PhotometricInterpretation = photometric
    document.RescaleSlope, document.RescaleIntercept = slope, intercept
    if window is None:
        del document.WindowCenter, document.WindowWidth
    else:
        document.WindowCenter, document.WindowWidth = window
    write(document, tmp_path / "film.dcm")
    volume = mammogram.load(world.scene, tmp_path / "film.dcm")
    if window is None:
        assert volume.GetDisplayNode().GetAutoWindowLevel()
        return
    center, width = window
    values = document.pixel_array.astype(float) * slope + intercept
    wanted = np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
    if photometric == "MONOCHROME1":
        wanted = 1 - wanted
    np.testing.assert_allclose(gray(volume), wanted, atol=1e-3)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [(1000, 500), None])
def test_an_inverse_presentation_shape_is_shown_once(world, case, tmp_path, photometric, window):
    _, films = case("two-films")
    document = pydicom.dcmread(next(iter(films.values())))
    document.PhotometricInterpretation = photometric
    document.WindowCenter, document.WindowWidth = window or (None, None)
    pictures = {}
    for shape in ("IDENTITY", "INVERSE"):
        document.PresentationLUTShape = shape
        write(document, tmp_path / f"{shape}.dcm")
        volume = mammogram.load(world.scene, tmp_path / f"{shape}.dcm")
        colors = volume.GetDisplayNode().GetColorNode()
        shades = np.array([colors.GetLookupTable().GetTableValue(at)[0] for at in (0, 255)])
        pictures[shape] = shades[0] + gray(volume) * (shades[1] - shades[0])
    wanted = pictures["IDENTITY"] if photometric == "MONOCHROME1" else 1 - pictures["IDENTITY"]
    np.testing.assert_allclose(pictures["INVERSE"], wanted, atol=1e-3)


@pytest.mark.parametrize("bits", ["BitsStored", "BitsAllocated"])
def test_a_film_with_a_header_that_cannot_be_used_leaves_nothing_half_made(
    world, case, database, tmp_path, bits
):
    """It is loaded with Slicer's own window, or not at all."""
    _, films = case("two-films")
    document = pydicom.dcmread(next(iter(films.values())))
    document.PhotometricInterpretation = "MONOCHROME1"
    document.RescaleSlope, document.RescaleIntercept = 1, 0
    document.VOILUTSequence = [pydicom.Dataset()]
    document.WindowCenter, document.WindowWidth = None, None
    del document[bits]
    document.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    reader = plugin("BCDMammogramDICOMPlugin")
    (loadable,) = reader.examineForImport([[str(tmp_path / "film.dcm")]])
    volume = reader.load(loadable)
    nodes_left = world.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    assert nodes_left == (volume is not None)
    if volume is not None:
        assert volume.GetDisplayNode().GetAutoWindowLevel()


def test_what_is_no_mammogram_is_left_to_others(case, database, tmp_path):
    _, films = case("finding")
    document = pydicom.dcmread(next(iter(films.values())))
    document.Modality = "CT"
    write(document, tmp_path / "ct.dcm")
    document.Modality, document.NumberOfFrames = "MG", 60
    write(document, tmp_path / "tomo.dcm")
    files = [[str(tmp_path / "ct.dcm"), str(tmp_path / "tomo.dcm")]]
    assert plugin("BCDMammogramDICOMPlugin").examineForImport(files) == []
    assert plugin("BCDReportDICOMPlugin").examineForImport(files) == []


def test_the_report_is_shown_with_its_films(world, case, database):
    folder, films = case("two-films")
    database.files = {uid: str(path) for uid, path in films.items()}
    reader = plugin("BCDReportDICOMPlugin")
    (loadable,) = reader.examineForImport([[str(folder / "cad_sr.dcm"), str(next(iter(films.values())))]])
    assert set(loadable.referencedInstanceUIDs) == set(films)
    table = reader.load(loadable)
    assert len(nodes.volumes(world.scene)) == 2
    assert table.GetNumberOfRows() == len(nodes.findings(world.scene)) == 3
    shown = [c for c in nodes.findings(world.scene) if c.GetDisplayNode().GetVisibility()]
    presented = {finding.tracking_uid for finding in read_result(folder).findings if finding.presented}
    assert {curve.GetAttribute(nodes.TRACKING_UID) for curve in shown} == presented
    assert reader.series == [(loadable, table)]


def test_a_report_of_another_maker_is_left_alone(case, database, tmp_path):
    folder, _ = case("finding")
    document = pydicom.dcmread(folder / "cad_sr.dcm")
    document.ManufacturerModelName = "other"
    write(document, Path(tmp_path / "other.dcm"))
    assert plugin("BCDReportDICOMPlugin").examineForImport([[str(tmp_path / "other.dcm")]]) == []
