"""Measurement report (TID 1500) as a Comprehensive 3D SR (PS3.3 A.35.13): one per study.

It says to general viewers what the Mammography CAD SR says to mammography workstations. The tree::

    Imaging Measurement Report
    ├── Language, Observer (this software), Procedure reported
    ├── Image Library                  every film of the study that has its UIDs
    ├── Imaging Measurements
    │   └── Measurement Group          one per finding at the operating point (TID 1410)
    │       ├── Tracking               label and UID as in the CAD SR
    │       ├── Finding, Site, Algorithm
    │       ├── Image Region           the outline
    │       ├── Center
    │       ├── Certainty of Finding, Probability of cancer
    │       └── Impression             benign or malignant
    └── Qualitative Evaluations        the study in words; research use only

A viewer draws every group it finds, so findings below the operating point are left to the CAD SR
and ``result.json``. TID 1410 has no row for a centre and may be extended; the region stands
first, as viewers take the first coordinates of a group for its shape.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from bcd_model.words import Finding
from converters import codes
from converters.product import MANUFACTURER, PRODUCT
from converters.results import film_facts, wording
from converters.results.modules import MEASUREMENT_SR, study_header
from converters.results.sr.content_tree import Item, code, container, image, text, uid
from converters.results.sr.document import (
    algorithm,
    build_document,
    certainty,
    geometry,
    impression,
    library_entry,
    tracking,
)
from converters.results.study_result import Reference, ScannedFilm, StudyResult
from converters.uids import make_uid


def build_measurement_sr(result: StudyResult) -> Dataset | None:
    """The measurement report of the study; None if no film's header gives the UIDs to point to it."""
    known = [
        (number, film, reference)
        for number, film in result.numbered
        if (reference := film_facts.reference(film)) is not None
    ]
    if not known or study_header(result) is None:
        return None
    entries = [library_entry(film, reference, codes.SIDES) for _, film, reference in known]
    groups = [
        _measurement_group(result, number, film, reference, finding_number - 1, finding)
        for number, film, reference in known
        if isinstance(film, ScannedFilm)
        for finding_number, finding in wording.presented(film, result)
    ]
    report = container(codes.MEASUREMENT_REPORT, template="1500")
    report.add("HAS CONCEPT MOD", code(codes.LANGUAGE, codes.ENGLISH))
    report.add("HAS OBS CONTEXT", *_observer(result))
    report.add("HAS CONCEPT MOD", code(codes.PROCEDURE_REPORTED, codes.IMAGING_PROCEDURE))
    library = container(codes.IMAGE_LIBRARY, template="1600")
    library.add("CONTAINS", container(codes.IMAGE_LIBRARY_GROUP).add("CONTAINS", *entries))
    evaluations = container(codes.QUALITATIVE_EVALUATIONS)
    evaluations.add("CONTAINS", text(codes.IMPRESSION_DESCRIPTION, impression(result)))
    report.add(
        "CONTAINS",
        library,
        container(codes.IMAGING_MEASUREMENTS).add("CONTAINS", *groups),
        evaluations,
    )
    return build_document(result, MEASUREMENT_SR, report)


def _observer(result: StudyResult) -> tuple[Item, ...]:
    """TID 1001 with 1004: this software, with these weights, is the observer."""
    device = make_uid("device", result.model.digest, root=result.job.uid_root)
    return (
        code(codes.OBSERVER_TYPE, codes.DEVICE),
        uid(codes.DEVICE_UID, device),
        text(codes.DEVICE_NAME, MANUFACTURER),
        text(codes.DEVICE_MANUFACTURER, MANUFACTURER),
        text(codes.DEVICE_MODEL, PRODUCT),
    )


def _measurement_group(
    result: StudyResult,
    film_number: int,
    film: ScannedFilm,
    reference: Reference,
    index: int,
    finding: Finding,
) -> Item:
    """TID 1410 of finding ``index`` of the film, counted from 0."""
    region, center = geometry(film, finding, codes.IMAGE_REGION)
    site = code(codes.FINDING_SITE, codes.BREAST)
    side = film_facts.laterality(film)
    if side is not None:
        site.add("HAS CONCEPT MOD", code(codes.LATERALITY, codes.SIDES[side]))
    group = container(codes.MEASUREMENT_GROUP, template="1410")
    group.add("HAS OBS CONTEXT", *tracking(result, film_number, film, index))
    group.add("CONTAINS", code(codes.FINDING, codes.LESION))
    group.add("HAS CONCEPT MOD", site, *algorithm(result))
    return group.add(
        "CONTAINS",
        region.add("SELECTED FROM", image(reference.item())),
        center.add("SELECTED FROM", image(reference.item())),
        *certainty(finding),
        code(codes.IMPRESSION, codes.IMPRESSIONS[finding.label]),
    )
