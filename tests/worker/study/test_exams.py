"""Whole examinations: which films are scanned, and beside which other breast."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import (
    BasicTextSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    MammographyCADSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from converters.films.studies import Discovery, find_studies
from converters.results.outcome import coverage
from converters.results.study_result import ExcludedFilm, StudyResult
from tests.outcomes.made_studies import MarkedScanner
from tests.support.exams import SHAPE, combined, exposure, raw, save, synthetic, tomosynthesis
from tests.support.mammograms import code
from tests.support.pages import page
from worker.study.outcome import outcome_of
from worker.study.scan import new_job, scan_study


def scanned(films: dict[str, FileDataset], folder: Path) -> tuple[StudyResult, dict[str, str], Discovery]:
    """The result of ``films``, which of them was scanned beside which, and what was found."""
    found = find_studies([save(films, folder)])
    (study,) = found.studies
    scanner = MarkedScanner()
    result = scan_study(study, scanner, new_job(study, scanner))
    name = {film.SOPInstanceUID: file for file, film in films.items()}
    return result, {name[one or ""]: name[other or ""] for one, other in scanner.pairs}, found


def outcomes(result: StudyResult) -> dict[str, str]:
    return {film.file: film.rule if isinstance(film, ExcludedFilm) else film.outcome for film in result.films}


def test_each_film_of_a_combined_examination_is_compared_with_its_like(tmp_path: Path) -> None:
    result, beside, _ = scanned(combined(), tmp_path)
    expected = {"ffdm": "scanned", "synthetic": "scanned", "raw": "for processing", "tomo": "tomosynthesis"}
    assert outcomes(result) == {name: expected[name.split("-")[0]] for name in combined()}
    assert beside == {
        f"{kind}-{side}{view}.dcm": f"{kind}-{other}{view}.dcm"
        for kind in ("ffdm", "synthetic")
        for view in ("CC", "MLO")
        for side, other in (("L", "R"), ("R", "L"))
    }
    assert outcome_of(result).exit_code == 0
    assert coverage(result).extent == "all"


def test_of_repeats_the_last_is_the_other_breast(tmp_path: Path) -> None:
    films = {
        "first.dcm": exposure("L", "CC", name="first", AcquisitionDate="20240102", AcquisitionTime="1015"),
        "last.dcm": exposure("L", "CC", name="last", AcquisitionDate="20240102", AcquisitionTime="101730"),
        "right.dcm": exposure("R", "CC", AcquisitionDate="20240102", AcquisitionTime="1012"),
    }
    _, beside, _ = scanned(films, tmp_path)
    assert beside == {"first.dcm": "right.dcm", "last.dcm": "right.dcm", "right.dcm": "last.dcm"}


def test_repeats_in_no_known_order_are_not_chosen_from(tmp_path: Path) -> None:
    films = {
        "one.dcm": exposure("L", "CC", name="one"),
        "two.dcm": exposure("L", "CC", name="two"),
        "right.dcm": exposure("R", "CC"),
    }
    _, beside, _ = scanned(films, tmp_path)
    assert beside == {"one.dcm": "right.dcm", "two.dcm": "right.dcm"}


def test_views_with_displaced_implants_are_compared_with_each_other(tmp_path: Path) -> None:
    displaced = {"ViewModifierCodeSequence": [code("399209000", "Implant Displaced")]}
    films = {
        f"{name}-{side}.dcm": exposure(side, "MLO", name=name, **elements)
        for name, elements in (("implant", {"BreastImplantPresent": "YES"}), ("displaced", displaced))
        for side in "LR"
    }
    _, beside, _ = scanned(films, tmp_path)
    assert beside == {
        name: name.replace("-L", "-X").replace("-R", "-L").replace("-X", "-R") for name in films
    }


@pytest.mark.parametrize(
    "elements",
    [
        {"EstimatedRadiographicMagnificationFactor": "1.8"},
        {"PartialView": "YES"},
        {"SeriesDescription": "spot"},
    ],
)
def test_a_part_of_a_breast_is_beside_none(tmp_path: Path, elements: dict[str, object]) -> None:
    films = {f"{side}.dcm": exposure(side, "CC", **elements) for side in "LR"}
    _, beside, _ = scanned(films, tmp_path)
    assert beside == {}


def test_raw_data_are_one_film_with_the_picture_of_their_own_kind_alone(tmp_path: Path) -> None:
    """A picture made from a tomosynthesis is another exposure: the raw one was not looked at."""
    result, _, _ = scanned({"raw.dcm": raw("L", "CC"), "made.dcm": synthetic("L", "CC")}, tmp_path)
    assert outcomes(result) == {"raw.dcm": "failed", "made.dcm": "scanned"}
    assert outcome_of(result).exit_code == 1


def test_a_tomosynthesis_alone_names_the_picture_to_send(tmp_path: Path) -> None:
    result, _, _ = scanned({"tomo.dcm": tomosynthesis("L", "CC"), "film.dcm": exposure("R", "CC")}, tmp_path)
    outcome = outcome_of(result)
    assert outcome.exit_code == 1
    assert "2-D or synthetic 2-D image" in str(outcome.reason)
    assert "C-View" in str(outcome.reason)


def test_a_specimen_leaves_no_view_of_the_breast_unseen(tmp_path: Path) -> None:
    specimen = exposure("L", "CC", name="specimen", ViewCodeSequence=[code("127457009", "Tissue specimen")])
    specimen.ViewPosition = specimen.ImageLaterality = ""
    result, _, _ = scanned({"film.dcm": exposure("R", "CC"), "specimen.dcm": specimen}, tmp_path)
    assert outcomes(result) == {"film.dcm": "scanned", "specimen.dcm": "specimen"}
    assert outcome_of(result).exit_code == 0
    alone, _, _ = scanned({"specimen.dcm": specimen}, tmp_path / "alone")
    assert outcome_of(alone).exit_code == 3


WITHOUT: dict[str, object] = dict.fromkeys(("ViewCodeSequence", "ViewPosition", "ImageLaterality"))
NOWHERE: dict[str, object] = WITHOUT | {"PatientOrientation": None}
TISSUE: dict[str, object] = {"ViewCodeSequence": [code("127457009", "Tissue specimen")]}


@pytest.mark.parametrize(
    ("elements", "unseen"),
    [
        (NOWHERE | {"SeriesDescription": "L CC after specimen"}, ("L CC",)),
        (NOWHERE | {"SeriesDescription": "", "ProtocolName": "L CC specimen"}, ("L CC",)),
        (
            NOWHERE
            | {"SeriesDescription": "no specimen taken", "AcquisitionDeviceProcessingDescription": "L CC"},
            ("L CC",),
        ),
        (NOWHERE | {"BodyPartExamined": "SPECIMEN", "SeriesDescription": "L CC"}, ("L CC",)),
        (WITHOUT | {"SeriesDescription": "specimen", "ImageLaterality": "L"}, ("L",)),
        ({"SeriesDescription": "specimen"}, ("L CC",)),
        ({"SeriesDescription": "specimen", "ImageLaterality": "R"}, ()),  # a scanned film shows it
        (NOWHERE | {"SeriesDescription": "specimen"}, ()),
        (NOWHERE | {"BodyPartExamined": "SPECIMEN", "SeriesDescription": ""}, ()),
        (NOWHERE | TISSUE | {"SeriesDescription": "L CC specimen"}, ()),
        (NOWHERE | {"ContainerIdentifier": "7", "SeriesDescription": "L CC specimen"}, ()),
        (WITHOUT | TISSUE | {"ViewPosition": "CC", "ImageLaterality": "L"}, ("L CC",)),
    ],
)
def test_a_specimen_by_a_word_hides_no_breast(
    tmp_path: Path, elements: dict[str, object], unseen: tuple[str, ...]
) -> None:
    films = {"film.dcm": exposure("R", "CC"), "odd.dcm": exposure("L", "CC", name="odd", **elements)}
    result, _, _ = scanned(films, tmp_path)
    assert outcomes(result) == {"film.dcm": "scanned", "odd.dcm": "specimen"}
    assert coverage(result).unseen == unseen
    assert outcome_of(result).exit_code == (1 if unseen else 0)


CAPTURE: dict[str, object] = {"SOPClassUID": SecondaryCaptureImageStorage}


@pytest.mark.parametrize(
    ("elements", "rule", "why"),
    [
        ({"DerivationDescription": "Recombined, high energy"}, "contrast", "contrast agent, not the tissue"),
        (CAPTURE | {"SeriesDescription": "L MLO 2D/3D Tomo slices"}, "tomosynthesis", "2-D or synthetic 2-D"),
        (CAPTURE | {"DerivationDescription": "Tomosynthesis slice 23"}, "tomosynthesis", "C-View"),
        ({"SeriesDescription": "LMAGCC"}, "spot view", "a part of the breast"),
        (
            CAPTURE | {"SeriesDescription": "CAD report"},
            "secondary picture",
            "Image Type, description or colour",
        ),
    ],
)
def test_a_description_that_takes_a_picture_out_leaves_its_view_unseen(
    tmp_path: Path, elements: dict[str, object], rule: str, why: str
) -> None:
    films = {"odd.dcm": exposure("L", "CC", name="odd", **elements), "film.dcm": exposure("R", "CC")}
    result, _, _ = scanned(films, tmp_path)
    assert outcomes(result) == {"odd.dcm": rule, "film.dcm": "scanned"}
    assert (outcome_of(result).exit_code, coverage(result).unseen) == (1, ("L CC",))
    assert why in str(outcome_of(result).reason)


@pytest.mark.parametrize(
    ("image_type", "rule"),
    [
        (["ORIGINAL", "PRIMARY", "STEREO_MINUS"], "stereotactic"),
        (["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"], "contrast"),
    ],
)
def test_what_is_no_picture_of_the_whole_breast_never_stands_for_its_view(
    tmp_path: Path, image_type: list[str], rule: str
) -> None:
    films = {"odd.dcm": exposure("L", "CC", ImageType=image_type), "film.dcm": exposure("R", "CC")}
    result, beside, _ = scanned(films, tmp_path)
    assert outcomes(result) == {"odd.dcm": rule, "film.dcm": "scanned"}
    assert (beside, outcome_of(result).exit_code, coverage(result).unseen) == ({}, 1, ("L CC",))


def test_results_of_anybody_beside_the_films_change_nothing(tmp_path: Path) -> None:
    films = {f"{side}.dcm": exposure(side, "CC") for side in "LR"}
    before, _, _ = scanned(films, tmp_path / "before")
    classes = {
        "cad.dcm": MammographyCADSRStorage,
        "sr.dcm": BasicTextSRStorage,
        "state.dcm": GrayscaleSoftcopyPresentationStateStorage,
        "seg.dcm": SegmentationStorage,
    }
    others = {
        name: exposure("L", "CC", name=name, SOPClassUID=sop_class, Modality="SR", PixelData=None)
        for name, sop_class in classes.items()
    }
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    derived = {"ImageType": ["DERIVED", "SECONDARY"], "SOPClassUID": SecondaryCaptureImageStorage}
    others["colour.dcm"] = exposure("L", "CC", name="colour", **colour, **derived)
    others["gray.dcm"] = exposure("L", "CC", name="gray", ViewCodeSequence=None, ViewPosition=None, **derived)
    after, beside, found = scanned(films | others, tmp_path / "after")
    assert after.job.job_id == before.job.job_id
    assert outcomes(after) == {"L.dcm": "scanned", "R.dcm": "scanned"}
    assert beside == {"L.dcm": "R.dcm", "R.dcm": "L.dcm"}
    assert {skipped.path.name for skipped in found.skipped} == others.keys()


def test_a_film_whose_pixels_are_a_page_is_a_failed_film(tmp_path: Path) -> None:
    film = exposure("L", "CC", name="page")
    film.PixelData = page(size=11, lines=15, dark=True, shape=SHAPE).tobytes()
    result, _, _ = scanned({"page.dcm": film, "film.dcm": exposure("R", "CC")}, tmp_path)
    assert outcomes(result) == {"page.dcm": "failed", "film.dcm": "scanned"}
    assert "a page of text" in str(outcome_of(result).reason)
