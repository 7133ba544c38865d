"""What the two structured reports of a study share: their modules, and items that both contain."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset
from pydicom.uid import UID

from bcd_model.words import DISCLAIMER, Finding, Laterality
from converters import codes
from converters.codes import Code
from converters.dicom.copied import copied
from converters.films.identity import identity
from converters.results import film_facts, wording
from converters.results.modules import (
    Kind,
    clean,
    evidence,
    new_object,
    study_header,
)
from converters.results.outcome import coverage
from converters.results.sr.content_tree import Item, code, coordinates, encode, image, number, text, uid
from converters.results.study_result import FilmResult, Reference, ScannedFilm, StudyResult

_LINE = "\r\n"


def build_document(result: StudyResult, kind: Kind, root: Item) -> Dataset:
    """The document whose content is ``root``; every film that can be pointed to is its evidence."""
    document = new_object(result, kind)
    document.ReferencedPerformedProcedureStepSequence = []
    document.PerformedProcedureCodeSequence = []
    document.ContentDate, document.ContentTime = document.SeriesDate, document.SeriesTime
    document.CompletionFlag = "COMPLETE"
    document.VerificationFlag = "UNVERIFIED"
    references = [film_facts.reference(film) for film in result.films]
    document.CurrentRequestedProcedureEvidenceSequence = [
        evidence(result, [reference for reference in references if reference is not None])
    ]
    replaced = _predecessors(result, kind.sop_class_uid)
    if replaced:
        document.PredecessorDocumentsSequence = replaced
    document.update(encode(root))
    return document


def _predecessors(result: StudyResult, sop_class_uid: UID) -> list[Dataset]:
    """Predecessor Documents Sequence (0040,A360): the report of this kind that this one replaces."""
    header = study_header(result)
    if result.predecessor is None or header is None:
        return []
    patients = {identity(header)}
    written = copied(header)
    if not {"PatientID", "PatientName"} & set(written.left_out):
        patients.add(identity(written.elements))  # as the earlier report has her
    return [
        evidence(result, [earlier])
        for earlier in result.predecessor.documents
        if earlier.sop_class_uid == sop_class_uid and earlier.patient in patients
    ]


def library_entry(film: FilmResult, reference: Reference, sides: Mapping[Laterality, Code]) -> Item:
    """An image of the library with what is known of it: TID 4020, and TID 1601 with 1602 and 1603.

    Every row below the image is optional: what the source does not say is left out.

    Args:
        sides: the codes of the context group that the template asks for.
    """
    entry = image(reference.item())
    side, view = film_facts.laterality(film), film_facts.view(film)
    if side is not None:
        entry.add("HAS ACQ CONTEXT", code(codes.IMAGE_LATERALITY, sides[side]))
    if view is not None and view in codes.VIEWS:
        entry.add("HAS ACQ CONTEXT", code(codes.IMAGE_VIEW, codes.VIEWS[view]))
    orientation = film_facts.orientation(film)
    if orientation is not None:
        entry.add(
            "HAS ACQ CONTEXT",
            text(codes.ORIENTATION_ROW, orientation[0]),
            text(codes.ORIENTATION_COLUMN, orientation[1]),
        )
    if isinstance(film, ScannedFilm) and not film.film.spacing_assumed:
        between_rows, between_columns = film.film.spacing
        entry.add(
            "HAS ACQ CONTEXT",
            number(codes.HORIZONTAL_SPACING, between_columns, codes.MILLIMETER),
            number(codes.VERTICAL_SPACING, between_rows, codes.MILLIMETER),
        )
    return entry


def algorithm(result: StudyResult) -> tuple[Item, Item, Item]:
    """TID 4019: the model that gave the finding."""
    model = result.model
    parameters = f"{wording.operating_point(result.operating_point)}; SHA-256 of the weights {model.digest}"
    return (
        text(codes.ALGORITHM_NAME, clean(model.name)),
        text(codes.ALGORITHM_VERSION, clean(model.version)),
        text(codes.ALGORITHM_PARAMETERS, clean(parameters)),
    )


def tracking(result: StudyResult, film_number: int, film: ScannedFilm, index: int) -> tuple[Item, Item]:
    """TID 4108: the label and the UID that follow finding ``index`` of a film through all objects."""
    label = wording.finding_label(film.scan.findings[index], index + 1)
    return (
        text(codes.TRACKING_IDENTIFIER, f"{film_facts.name(film, film_number)}, finding {label}"),
        uid(codes.TRACKING_UID, result.tracking_uid(film, index)),
    )


def geometry(film: ScannedFilm, finding: Finding, outline: Code) -> tuple[Item, Item]:
    """The finding's outline, a closed polyline that is called ``outline``, and its centre."""
    points = film_facts.closed(film_facts.on_film(finding.outline, film.film.shape))
    return (
        coordinates(outline, "POLYLINE", film_facts.graphic_data(points)),
        coordinates(codes.CENTER, "POINT", film_facts.graphic_data((finding.center,))),
    )


def certainty(finding: Finding) -> tuple[Item, Item]:
    """P(abnormal) and P(malignant), in percent."""
    return (
        number(codes.CERTAINTY_OF_FINDING, 100 * finding.probability.abnormal, codes.PERCENT),
        number(codes.PROBABILITY_OF_CANCER, 100 * finding.probability.malignant, codes.PERCENT),
    )


def impression(result: StudyResult) -> str:
    """What is said of the study in words: research use only, operating point, every film, warnings."""
    lines = [DISCLAIMER, wording.operating_point_sentence(result.operating_point)]
    lines += [wording.coverage_sentence(coverage(result))]
    lines += [wording.film_sentence(film, number, result) for number, film in result.numbered]
    lines += [clean(f"Warning: {warning}.") for warning in result.warnings]
    return _LINE.join(lines)
