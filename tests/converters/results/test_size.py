"""The size of a film's pixels is the same in every object that is written of it."""

from __future__ import annotations

import dataclasses

import pytest
from pydicom.dataset import Dataset

from converters.films import header as film_header
from converters.results.gsps import build_presentation
from converters.results.pictures.overlay import build_overlay
from converters.results.sr.cad_sr import build_cad_sr
from tests.support import result_builder as build

IN_PATIENT = 0.4 / 1.8
BY_FACTOR = {"EstimatedRadiographicMagnificationFactor": 1.8}
BY_DISTANCES = {"DistanceSourceToDetector": 900, "DistanceSourceToPatient": 500}


def written(**elements: object) -> tuple[Dataset, Dataset, Dataset]:
    """Overlay, presentation state and CAD SR of a film of 512 x 512 pixels, 0.4 mm at the detector."""
    head = build.header(shape=(512, 512), spacing=(0.4, 0.4))
    for keyword, value in elements.items():
        setattr(head, keyword, value)
    film = build.scanned(1, shape=(512, 512), head=head)
    pair, assumed, remarks = film_header.spacing(head)
    taken = dataclasses.replace(film.film, spacing=pair, spacing_assumed=assumed, warnings=remarks)
    film = dataclasses.replace(film, film=taken)
    result, reference = build.study(film), build.reference_of(film)
    report = build_cad_sr(result)
    if report is None:
        raise ValueError("no report of a film that was scanned")
    return build_overlay(result, film, reference, 1), build_presentation(result, film, reference, 1), report


def measured(dataset: Dataset) -> list[float]:
    """Every spacing in mm in a report (PS3.16 TID 4020)."""
    found = []
    for item in dataset.get("ContentSequence", ()):
        concept = item.get("ConceptNameCodeSequence")
        if concept and concept[0].CodeValue in ("111026", "111066"):
            found.append(float(item.MeasuredValueSequence[0].NumericValue))
        found += measured(item)
    return found


@pytest.mark.parametrize("elements", [BY_FACTOR, BY_DISTANCES, {**BY_FACTOR, "PixelSpacing": [0.4, 0.4]}])
def test_a_magnification_view_has_the_size_in_the_patient_in_every_object(
    elements: dict[str, object],
) -> None:
    overlay, state, report = written(**elements)
    assert overlay.PixelSpacing == pytest.approx([IN_PATIENT, IN_PATIENT], rel=1e-5)
    assert overlay.PixelSpacingCalibrationType == "GEOMETRY"  # PS3.3 10.7.1.2
    assert overlay.PixelSpacingCalibrationDescription == "Divided by a magnification of 1.8"
    area = state.DisplayedAreaSelectionSequence[0]
    assert area.PresentationPixelSpacing == pytest.approx([IN_PATIENT, IN_PATIENT], rel=1e-5)
    assert measured(report) == pytest.approx([IN_PATIENT, IN_PATIENT], rel=1e-3)  # four digits


def test_a_calibration_is_copied_with_the_spacing_that_it_is_of() -> None:
    calibrated = {"PixelSpacingCalibrationType": "FIDUCIAL", "PixelSpacingCalibrationDescription": "a coin"}
    overlay, _, _ = written(PixelSpacing=[0.3, 0.3], **calibrated)
    assert overlay.PixelSpacing == [0.3, 0.3]
    assert (overlay.PixelSpacingCalibrationType, overlay.PixelSpacingCalibrationDescription) == (
        "FIDUCIAL",
        "a coin",
    )
    overlay, _, _ = written(PixelSpacing=[3.0, 3.0], **calibrated)  # not believed
    assert overlay.PixelSpacing == [0.4, 0.4]
    assert "PixelSpacingCalibrationType" not in overlay
