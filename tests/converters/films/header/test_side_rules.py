"""Breast and view from every place that makers put them in; never from a word inside another word."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from converters.films import header as film_header
from converters.films.header.side_rules import read
from tests.support.mammograms import mammogram

SIDES = {"L": "LEFT", "R": "RIGHT"}
VIEWS = ["CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO"]


def header(**elements: object) -> Dataset:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = 1200, 900
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def coded(value: str, meaning: str = "", **elements: object) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodeMeaning = value, meaning
    for keyword, each in elements.items():
        setattr(item, keyword, each)
    return item


@pytest.mark.parametrize(
    ("text", "side", "view"),
    [
        ("MLO", "", "MLO"),
        ("RMLO", "R", "MLO"),
        ("LMLO", "L", "MLO"),
        ("RCC", "R", "CC"),
        ("RIGHT MLO", "R", "MLO"),
        ("LEFT_CC", "L", "CC"),
        ("R-MLO", "R", "MLO"),
        ("MLO-R", "R", "MLO"),
        ("CC (LT)", "L", "CC"),
        ("RTMLO", "R", "MLO"),
        ("LTCC", "L", "CC"),
        ("LM", "", "LM"),
        ("LML", "L", "ML"),
        ("RML", "R", "ML"),
        ("LLM", "L", "LM"),
        ("LMO", "", "LMO"),
        ("LLMO", "L", "LMO"),
        ("RXCCL", "R", "XCCL"),
        ("XCC L", "L", "XCC"),
        ("XCC-L", "L", "XCC"),
        ("X-CC L", "L", "XCC"),
        ("XCC R", "R", "XCC"),
        ("RMCC", "R", "CC"),
        ("LMML", "L", "ML"),
        ("RSMLO", "R", "MLO"),
        ("LSCC", "L", "CC"),
        ("RMAGCC", "R", "CC"),
        ("SENO SINISTRO CC", "L", "CC"),
        ("SEIO ESQUERDO CC", "L", "CC"),
        ("RECHTER MLO", "R", "MLO"),
        ("XCC LEFT", "L", "XCC"),
        ("XCC L BREAST", "L", "XCC"),
        ("XCC L, XCC R", "", "XCC"),
        ("R XCC L", "R", "XCCL"),
        ("L XCC L", "L", "XCCL"),
        ("RIGHT XCC-L", "R", "XCCL"),
        ("RXCC L", "R", "XCCL"),
        ("LTXCC-L", "L", "XCCL"),
        ("XCC L R", "R", "XCCL"),
        ("R exaggerated craniocaudal L", "R", "XCCL"),
        ("BILATERAL XCC L", "", "XCCL"),
        ("XCC M", "", "XCCM"),
        ("L XCC M", "L", "XCCM"),
        ("XCCL", "", "XCCL"),
        ("X-CCL", "", "XCCL"),
        ("XCC LATERAL", "", "XCCL"),
        ("XCC-LATERAL", "", "XCCL"),
        ("RCC exaggerated laterally", "R", "XCCL"),
        ("XCC", "", "XCC"),
        ("CCID", "", "CC"),
        ("RMLOID", "R", "MLO"),
        ("MLO AT", "", "MLO"),
        ("LMLOAT", "L", "MLO"),
        ("AT", "", "AT"),
        ("R CV", "R", "CV"),
        ("TAN", "", "TAN"),
        ("FB", "", "FB"),
        ("SIO", "", "SIO"),
        ("medio-lateral oblique", "", "MLO"),
        ("Left mediolateral oblique", "L", "MLO"),
        ("L ML OBL", "L", "MLO"),
        ("LML OBL", "L", "MLO"),
        ("RML OBL", "R", "MLO"),
        ("RTML-OBL", "R", "MLO"),
        ("LML OBLIQUE", "L", "MLO"),
        ("RML O", "R", "MLO"),
        ("RLM OBL", "R", "LMO"),
        ("LLM OBL", "L", "LMO"),
        ("LM OBL", "", "LMO"),
        ("LMLID OBL", "L", "MLO"),
        ("ML L OBL", "L", "MLO"),
        ("OBL RML", "R", "MLO"),
        ("médio-latérale oblique", "", "MLO"),
        ("cranio-caudal", "", "CC"),
        ("cranio-caudal exaggerated laterally", "", "XCCL"),
        ("laterally exaggerated craniocaudal", "", "XCCL"),
        ("exaggerated cranio-caudal", "", "XCC"),
        ("superolateral to inferomedial oblique", "", "SIO"),
        ("MLO links", "L", "MLO"),
        ("MLO et CC", "", ""),
        ("L/R MLO", "", "MLO"),
        ("BILATERAL CC", "", "CC"),
        ("L BREAST", "L", ""),
        ("BREAST", "", ""),
        ("LAT", "", ""),
        ("AP", "", ""),
        ("CCD", "", ""),
        ("RECORD", "", ""),
        ("LATERAL", "", ""),
        ("100 CC", "", ""),
        ("", "", ""),
    ],
)
def test_a_view_position(text: str, side: str, view: str) -> None:
    assert read(text) == (side, view)


@pytest.mark.parametrize(
    ("text", "side", "view"),
    [
        ("R MLO", "R", "MLO"),
        ("L CC C-View", "L", "CC"),
        ("RCC S-VIEW", "R", "CC"),
        ("R_MLO_Insight2D", "R", "MLO"),
        ("L ML", "L", "ML"),
        ("Left breast ML", "L", "ML"),
        ("Mammo left", "L", ""),
        ("Routine CC and MLO", "", ""),
        ("L CC, R CC", "", "CC"),
        ("5 ml contrast", "", ""),
        ("5 ml R", "", ""),
        ("contrast ml", "", ""),
        ("pain at left breast", "L", ""),
        ("ISO 9001", "", ""),
        ("RECORD of a CCD", "", ""),
        ("Film L of the series R", "", ""),
        ("3D Tomo L of 4", "", ""),
        ("TAN CV AT", "", ""),
    ],
)
def test_a_description(text: str, side: str, view: str) -> None:
    assert read(text, described=True) == (side, view)


@pytest.mark.parametrize("word", ["schräg", "SCHRÄG", "schraeg", "schrag", "schräge", "oblíqua"])
@pytest.mark.parametrize("view", ["L ML", "LML", "L mediolateral"])
def test_an_oblique_view_whatever_its_umlaut_is_decoded_by(word: str, view: str) -> None:
    for written in ("utf-8", "latin-1", "cp850"):
        for read_by in ("latin-1", "ascii", "utf-8"):
            text = f"{view} {word}".encode(written).decode(read_by, "replace")
            assert read(text) == read(text.upper(), described=True) == ("L", "MLO"), text
    decomposed = unicodedata.normalize("NFD", f"{view} {word}")
    assert read(decomposed) == ("L", "MLO")


CONCEPTS = {
    "CC": codes.cid4014.CranioCaudal,
    "MLO": codes.cid4014.MedioLateralObliqueProjection,
    "XCCL": codes.cid4014.CranioCaudalExaggeratedLaterally,
    "XCCM": codes.cid4014.CranioCaudalExaggeratedMedially,
    "FB": codes.cid4014.CaudoCranial,
    "SIO": codes.cid4014.SuperolateralToInferomedialOblique,
    "ISO": codes.cid4014.InferomedialToSuperolateralOblique,
    "ML": codes.cid4014.MedioLateralProjection,
    "LM": codes.cid4014.LateroMedial,
    "LMO": codes.cid4014.LateroMedialOblique,
}


@pytest.mark.parametrize("name", CONCEPTS)
def test_every_view_of_the_standard_is_known_by_its_code_and_by_its_meaning(name: str) -> None:
    """Against pydicom's copy of CID 4014."""
    concept = CONCEPTS[name]
    assert film_header.view(header(ViewCodeSequence=[coded(concept.value)])) == name
    assert film_header.view(header(ViewCodeSequence=[coded("X1", concept.meaning)])) == name


@pytest.mark.parametrize(
    ("elements", "side"),
    [
        ({"ImageLaterality": "LEFT"}, "L"),
        ({"ImageLaterality": "U", "Laterality": "R"}, "R"),
        ({"ImageLaterality": "B", "ViewPosition": "RMLO"}, None),
        ({"Laterality": "B", "ViewPosition": "RMLO"}, "R"),  # of the series
        ({"AnatomicRegionSequence": [coded("80248007")]}, "L"),
        (
            {
                "AnatomicRegionSequence": [
                    coded("T-04000", AnatomicRegionModifierSequence=[coded("G-A100", "Right")])
                ]
            },
            "R",
        ),
        ({"AnatomicRegionSequence": [coded("X", "Left breast")]}, "L"),
        ({"AnatomicRegionSequence": [coded("76752008", "Breast")]}, None),
        ({"BodyPartExamined": "L BREAST"}, "L"),
        ({"ViewCodeSequence": [coded("X", "right MLO")]}, "R"),
        ({"PatientOrientation": ["P", "FR"], "ViewPosition": "MLO"}, "L"),
        ({"PatientOrientation": ["A", "FL"], "ViewPosition": "MLO"}, "R"),
        ({"PatientOrientation": ["A", "HR"]}, "R"),
        ({"PatientOrientation": ["P", "F"], "ViewPosition": "ML"}, None),
        ({"PatientOrientation": ["P", "L"], "ViewPosition": "CC"}, None),  # hangs either way round
        ({"PatientOrientation": ["P", "FR"], "ViewPosition": "CC"}, None),
        ({"PatientOrientation": ["P", "FR"], "SeriesDescription": "R MLO"}, "L"),
        ({"AcquisitionDeviceProcessingDescription": "R MLO", "PatientOrientation": ["P", "FR"]}, "R"),
    ],
)
def test_a_breast_in_each_place(elements: dict[str, object], side: str | None) -> None:
    assert film_header.laterality(header(**elements)) == side


def test_an_l_behind_xcc_is_lateral_where_the_breast_is_known() -> None:
    film = mammogram(laterality="R", view="XCC L", ViewCodeSequence=None, PatientOrientation=None)
    assert (film_header.laterality(film), film_header.view(film)) == ("R", "XCCL")
    assert film_header.contradictions(film) == ()


def test_a_processing_that_says_nothing_but_a_view_is_one() -> None:
    assert film_header.view(header(AcquisitionDeviceProcessingDescription="ML")) == "ML"


def test_the_name_of_a_processing_is_no_view() -> None:
    film = mammogram(AcquisitionDeviceProcessingDescription="MUSICA ISO")
    assert film_header.contradictions(film) == ()


def test_a_description_does_not_make_a_view_of_the_exposure() -> None:
    film = header(SeriesDescription="R MLO", AcquisitionDeviceProcessingDescription="MLO")
    assert film_header.view(film) == "MLO"
    assert film_header.view_of_exposure(film) is None
    assert film_header.view_of_exposure(header(ViewPosition="RMLO")) == "MLO"


# Each writes breast and view into one place, in the order in which the places are believed.
Write = Callable[[Dataset, str, str], None]


def image_laterality(film: Dataset, side: str, view: str) -> None:
    film.ImageLaterality = side


def series_laterality(film: Dataset, side: str, view: str) -> None:
    film.Laterality = side


def anatomic_region(film: Dataset, side: str, view: str) -> None:
    code = {"L": "7771000", "R": "24028007"}[side]
    film.AnatomicRegionSequence = [coded("76752008", AnatomicRegionModifierSequence=[coded(code)])]


def body_part(film: Dataset, side: str, view: str) -> None:
    film.BodyPartExamined = f"{SIDES[side]} BREAST"


def view_code(film: Dataset, side: str, view: str) -> None:
    film.ViewCodeSequence = [coded("99X", f"{SIDES[side]} {view}")]


def view_position(film: Dataset, side: str, view: str) -> None:
    film.ViewPosition = f"{side}{view}"


def processing(film: Dataset, side: str, view: str) -> None:
    film.AcquisitionDeviceProcessingDescription = f"{view} {SIDES[side]}"


def series(film: Dataset, side: str, view: str) -> None:
    film.SeriesDescription = f"{side} {view} routine"


def protocol(film: Dataset, side: str, view: str) -> None:
    film.ProtocolName = f"{view}-{side}"


def acquisition(film: Dataset, side: str, view: str) -> None:
    film.AcquisitionProtocolDescription = f"{side}-{view}"


PLACES: list[tuple[Write, bool, str]] = [
    (image_laterality, False, "Image Laterality"),
    (series_laterality, False, "Laterality"),
    (anatomic_region, False, "Anatomic Region Sequence"),
    (body_part, False, "Body Part Examined"),
    (view_code, True, "View Code Sequence"),
    (view_position, True, "View Position"),
    (processing, True, "Acquisition Device Processing Description"),
    (series, True, "Series Description"),
    (protocol, True, "Protocol Name"),
    (acquisition, True, "Acquisition Protocol Description"),
]
chosen = st.sets(st.integers(0, len(PLACES) - 1), min_size=1).map(sorted)
sides = st.sampled_from(sorted(SIDES))
views = st.sampled_from(VIEWS)


@given(chosen, sides, views)
def test_places_that_agree_give_breast_and_view_whichever_they_are(
    places: list[int], side: str, view: str
) -> None:
    film = header()
    for place in places:
        PLACES[place][0](film, side, view)
    assert film_header.laterality(film) == side
    assert film_header.view(film) == (view if any(PLACES[place][1] for place in places) else None)
    assert film_header.contradictions(film) == ()


@given(st.sets(st.integers(0, len(PLACES) - 1), min_size=2, max_size=2).map(sorted), sides, views, views)
def test_of_two_places_that_disagree_the_first_is_taken_and_both_are_named(
    places: list[int], side: str, view: str, other_view: str
) -> None:
    (write, _, first), (write_other, _, second) = (PLACES[place] for place in places)
    film = header()
    write(film, side, view)
    write_other(film, {"L": "R", "R": "L"}[side], other_view)
    both_views = all(PLACES[place][1] for place in places)
    assert film_header.laterality(film) == side
    assert not both_views or film_header.view(film) == view
    remarks = film_header.contradictions(film)
    assert len(remarks) == 1 + (both_views and view != other_view)
    assert all(remark.startswith(first) and second in remark for remark in remarks)
    assert remarks[0].endswith(f"name different breasts: {side} taken")


LETTERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=1, max_size=6)
NAMES = ["CC", "MLO", "LEFT", "RIGHT", "XCCL", "SIO", "L", "R"]


@given(LETTERS, st.sampled_from(NAMES), LETTERS, st.booleans())
def test_a_name_inside_another_word_says_nothing(
    before: str, name: str, behind: str, described: bool
) -> None:
    """Letters on both sides of a name, and not those of another label: it is another word."""
    word = f"Q{before}{name}{behind}Q"
    assert read(word, described) == ("", "")


@given(st.text(max_size=60), st.booleans())
def test_no_text_is_too_odd(text: str, described: bool) -> None:
    side, view = read(text, described)
    assert side in ("", "L", "R")
    assert view in ("", "XCC", "AT", "CV", "TAN", *VIEWS)
