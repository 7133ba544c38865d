"""The size of a film's pixels in the patient, whatever the spacing attributes claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from converters.films import header as film_header
from converters.films import kinds


def header(**elements: object) -> Dataset:
    """A header of 1200 x 900 pixels, of which 0.1 mm ones make 120 x 90 mm."""
    dataset = Dataset()
    dataset.Rows, dataset.Columns = 1200, 900
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


FACTOR = "magnification view: spacing divided by 1.8"
DISTANCES = f"{FACTOR}, by the distances of the source"
CONTRADICT = "Pixel Spacing and a magnification of 1.8 contradict each other"
AT_DETECTOR = [0.18, 0.18]
IN_PATIENT = [0.1, 0.1]
BY_FACTOR = {"EstimatedRadiographicMagnificationFactor": 1.8}
BY_DISTANCES = {"DistanceSourceToDetector": 650, "DistanceSourceToPatient": 361}


@pytest.mark.parametrize(
    ("elements", "step", "remarks"),
    [
        ({"ImagerPixelSpacing": AT_DETECTOR, **BY_FACTOR}, 0.1, (FACTOR,)),
        ({"ImagerPixelSpacing": AT_DETECTOR, **BY_DISTANCES}, 0.1, (DISTANCES,)),
        ({"NominalScannedPixelSpacing": AT_DETECTOR, **BY_FACTOR}, 0.1, (FACTOR,)),
        # in centimetres
        (
            {
                "ImagerPixelSpacing": AT_DETECTOR,
                "DistanceSourceToDetector": 65,
                "DistanceSourceToPatient": 36.1,
            },
            0.1,
            (DISTANCES,),
        ),
        # Pixel Spacing that equals the detector's is not corrected, whatever it claims
        ({"ImagerPixelSpacing": AT_DETECTOR, "PixelSpacing": AT_DETECTOR, **BY_FACTOR}, 0.1, (FACTOR,)),
        (
            {
                "ImagerPixelSpacing": AT_DETECTOR,
                "PixelSpacing": AT_DETECTOR,
                "PixelSpacingCalibrationType": "GEOMETRY",
                **BY_DISTANCES,
            },
            0.1,
            (DISTANCES,),
        ),
        # one that differs is
        ({"ImagerPixelSpacing": AT_DETECTOR, "PixelSpacing": IN_PATIENT, **BY_FACTOR}, 0.1, ()),
        (
            {
                "ImagerPixelSpacing": AT_DETECTOR,
                "PixelSpacing": IN_PATIENT,
                "PixelSpacingCalibrationType": "FIDUCIAL",
                **BY_DISTANCES,
            },
            0.1,
            (),
        ),
        ({"ImagerPixelSpacing": AT_DETECTOR, "PixelSpacing": [0.16, 0.16], **BY_FACTOR}, 0.16, (CONTRADICT,)),
        # one that stands alone is what its calibration says
        ({"PixelSpacing": AT_DETECTOR, **BY_FACTOR}, 0.1, (FACTOR,)),
        ({"PixelSpacing": IN_PATIENT, "PixelSpacingCalibrationType": "GEOMETRY", **BY_FACTOR}, 0.1, ()),
        # contact views are left as they are
        ({"ImagerPixelSpacing": IN_PATIENT, "EstimatedRadiographicMagnificationFactor": 1.07}, 0.1, ()),
        (
            {
                "ImagerPixelSpacing": IN_PATIENT,
                "DistanceSourceToDetector": 660,
                "DistanceSourceToPatient": 640,
            },
            0.1,
            (),
        ),
        ({"ImagerPixelSpacing": IN_PATIENT, "DistanceSourceToDetector": 650}, 0.1, ()),
        (
            {"ImagerPixelSpacing": IN_PATIENT, "DistanceSourceToDetector": 650, "DistanceSourceToPatient": 0},
            0.1,
            (),
        ),
        ({"ImagerPixelSpacing": IN_PATIENT, "EstimatedRadiographicMagnificationFactor": 0}, 0.1, ()),
        # what cannot be is not used
        (
            {
                "ImagerPixelSpacing": AT_DETECTOR,
                "EstimatedRadiographicMagnificationFactor": 180,
                **BY_DISTANCES,
            },
            0.1,
            ("Estimated Radiographic Magnification Factor is implausible: not used", DISTANCES),
        ),
        (
            {
                "ImagerPixelSpacing": IN_PATIENT,
                "DistanceSourceToDetector": 650,
                "DistanceSourceToPatient": 36,
            },
            0.1,
            ("Distance Source to Detector and Distance Source to Patient are implausible: not used",),
        ),
        (
            {"ImagerPixelSpacing": IN_PATIENT, "EstimatedRadiographicMagnificationFactor": 1, **BY_DISTANCES},
            0.1,
            (
                "Estimated Radiographic Magnification Factor (1) and the distances of the source (1.8)"
                " contradict each other: 1 taken",
            ),
        ),
        # one value, other units
        ({"ImagerPixelSpacing": 0.1}, 0.1, ("Imager Pixel Spacing has one value: square pixels taken",)),
        ({"PixelSpacing": [100, 100]}, 0.1, ("Pixel Spacing is implausible in mm: taken as micrometres",)),
        ({"PixelSpacing": [0.0001, 0.0001]}, 0.1, ("Pixel Spacing is implausible in mm: taken as metres",)),
        (
            {"ImagerPixelSpacing": [180, 180], **BY_FACTOR},
            0.1,
            ("Imager Pixel Spacing is implausible in mm: taken as micrometres", FACTOR),
        ),
        # a spacing of lower rank in mm before one in another unit
        (
            {"PixelSpacing": [85, 85], "ImagerPixelSpacing": IN_PATIENT},
            0.1,
            ("Pixel Spacing would give an image of implausible size: not used",),
        ),
        (
            {"PixelSpacing": [5, 5], "ImagerPixelSpacing": [100, 100]},
            0.1,
            (
                "Imager Pixel Spacing is implausible in mm: taken as micrometres",
                "Pixel Spacing would give an image of implausible size: not used",
            ),
        ),
    ],
)
def test_a_spacing_that_is_stated(elements: dict[str, object], step: float, remarks: tuple[str, ...]) -> None:
    pair, assumed, found = film_header.spacing(header(**elements))
    assert pair == pytest.approx((step, step), rel=1e-3)
    assert not assumed
    assert found == remarks


def unreadable() -> Dataset:
    """A spacing that is no number, as one that was read from a file is kept."""
    film = header()
    film.add_new("PixelSpacing", "LO", ["a", "b"])
    return film


@pytest.mark.parametrize(
    ("film", "why"),
    [
        (header(), "no pixel spacing"),
        (header(ImagerPixelSpacing=None), "empty pixel spacing"),
        (unreadable(), "unreadable pixel spacing"),
        (header(ImagerPixelSpacing=[5, 5]), "implausible pixel spacing"),
    ],
)
def test_an_assumed_spacing_says_truly_why(film: Dataset, why: str) -> None:
    assert film_header.spacing(film) == (
        (0.2, 0.2),
        True,
        (f"{why} in the file: 0.2 mm assumed (long side of the image 240 mm)",),
    )


@pytest.mark.parametrize("elements", [BY_FACTOR, BY_DISTANCES])
def test_a_magnification_is_compared_with_no_contact_view(elements: dict[str, object]) -> None:
    film = header(ImagerPixelSpacing=AT_DETECTOR, **elements)
    assert film_header.is_magnified(film)
    assert kinds.is_partial(film)
    assert kinds.kind(film) == ("magnified",)


step = st.floats(0.06, 0.4)
magnified = st.floats(1.21, 2.99)


@given(
    step, magnified, st.sampled_from(["imager", "equal", "corrected", "alone"]), st.booleans(), st.booleans()
)
def test_the_spacing_in_the_patient_whatever_the_attributes_claim(
    step: float, factor: float, stated: str, by_distances: bool, calibrated: bool
) -> None:
    """The same exposure, with its magnification and spacings written down in every way."""
    at_detector, in_patient = [step * factor] * 2, [step] * 2
    film = header()
    if by_distances:
        film.DistanceSourceToDetector, film.DistanceSourceToPatient = 650, f"{650 / factor:.10g}"
    else:
        film.EstimatedRadiographicMagnificationFactor = f"{factor:.10g}"
    if stated != "alone":
        film.ImagerPixelSpacing = [f"{value:.10g}" for value in at_detector]
    if stated != "imager":
        film.PixelSpacing = [
            f"{value:.10g}" for value in (at_detector if stated != "corrected" else in_patient)
        ]
    if calibrated and stated in ("equal", "corrected"):
        film.PixelSpacingCalibrationType = "GEOMETRY"
    pair, assumed, remarks = film_header.spacing(film)
    assert pair == pytest.approx((step, step), rel=1e-6)
    assert not assumed
    assert len(remarks) == (stated != "corrected")


number = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(1e-5, 1000))


@given(
    st.lists(number, max_size=3),
    st.lists(number, max_size=3),
    number,
    number,
    number,
    st.integers(1, 9000),
    st.integers(1, 9000),
)
def test_whatever_is_stated_the_film_is_as_large_as_a_mammogram_or_fails_by_name(
    imager: list[float],
    pixel: list[float],
    factor: float,
    detector: float,
    patient: float,
    rows: int,
    columns: int,
) -> None:
    film = header(Rows=rows, Columns=columns)
    for keyword, value in (
        ("ImagerPixelSpacing", imager),
        ("PixelSpacing", pixel),
        ("EstimatedRadiographicMagnificationFactor", factor),
        ("DistanceSourceToDetector", detector),
        ("DistanceSourceToPatient", patient),
    ):
        film.add_new(keyword, "FD", value)
    if film_header.why_no_spacing(film) is not None:
        assert max(rows, columns) > 4 * min(rows, columns)
        return
    pair, _, _ = film_header.spacing(film)
    assert all(50 <= n * step <= 500.0001 for n, step in zip((rows, columns), pair, strict=True))
    assert max(pair) <= 2 * min(pair)
