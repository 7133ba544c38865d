"""Mammography CAD SR (PS3.3 A.35.5) by TID 4000 (PS3.16): one per study, also with no findings.

The tree, from the top::

    Mammography CAD Report
    ├── Language
    ├── Image Library                  every film of the study that has its UIDs
    ├── CAD Processing and Findings Summary
    │   ├── Impression Description     classes, operating point, warnings; research use only
    │   └── Individual Impression      one per finding
    │       ├── Rendering Intent       required at the operating point, optional below it
    │       └── Single Image Finding   probabilities, centre, outline
    ├── Summary of Detections          successful and failed films
    └── Summary of Analyses            not attempted: CID 6043 has none that the network does

Both summaries are over all films of the study, also those that have no UIDs to be pointed to
(`converters.results.outcome`); of the films in the library, those that failed and those that were excluded
while no scanned film shows their view stand among the failed detections.

The network does not tell calcifications from masses, so each finding is a "Mammography breast
density", the mass-like member of CID 6014, and never a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset

from bcd_model.words import Finding
from converters import codes
from converters.results import film_facts
from converters.results.modules import CAD_SR, study_header
from converters.results.outcome import Coverage, coverage, uncovered
from converters.results.sr.content_tree import Item, Target, code, container, number, text, uid
from converters.results.sr.document import (
    algorithm,
    build_document,
    certainty,
    geometry,
    impression,
    library_entry,
    tracking,
)
from converters.results.study_result import FilmResult, ScannedFilm, StudyResult


def build_cad_sr(result: StudyResult) -> Dataset | None:
    """The CAD SR of the study; None if no film's header gives the UIDs to point to it.

    Raises:
        ValueError: a finding whose centre lies outside its film.
    """
    library = {
        film: library_entry(film, reference, codes.BREASTS)
        for film in result.films
        if (reference := film_facts.reference(film)) is not None
    }
    if not library or study_header(result) is None:
        return None
    extent = coverage(result)
    unseen = uncovered(result)
    scanned = [entry for film, entry in library.items() if film.outcome == "scanned"]
    failed = [entry for film, entry in library.items() if film.outcome == "failed" or film in unseen]

    report = container(codes.MAMMOGRAPHY_CAD_REPORT, template="4000")
    report.add("HAS CONCEPT MOD", code(codes.LANGUAGE, codes.ENGLISH))
    report.add(
        "CONTAINS",
        container(codes.IMAGE_LIBRARY).add("CONTAINS", *library.values()),
        _findings_summary(result, library, extent),
        _detections(result, scanned, failed, extent),
        code(codes.SUMMARY_OF_ANALYSES, codes.NOT_ATTEMPTED),
    )
    return build_document(result, CAD_SR, report)


_SUMMARIES = {
    ("all", True): codes.ALL_WITH_FINDINGS,
    ("all", False): codes.ALL_WITHOUT_FINDINGS,
    ("some", True): codes.SOME_WITH_FINDINGS,
    ("some", False): codes.SOME_WITHOUT_FINDINGS,
    ("none", False): codes.NONE_WITHOUT_FINDINGS,
}
_DETECTIONS = {"all": codes.SUCCEEDED, "some": codes.PARTIALLY_SUCCEEDED, "none": codes.FAILED}


def _findings_summary(result: StudyResult, library: Mapping[FilmResult, Item], extent: Coverage) -> Item:
    """TID 4001: the summary code, the impression, and one TID 4003 per finding."""
    impressions = [
        _individual_impression(result, number, film, finding, index, library[film])
        for number, film in result.numbered
        if isinstance(film, ScannedFilm) and film in library
        for index, finding in enumerate(film.scan.findings)
    ]
    item = code(codes.FINDINGS_SUMMARY, _SUMMARIES[extent.extent, extent.findings])
    item.add("HAS PROPERTIES", text(codes.IMPRESSION_DESCRIPTION, impression(result)), *algorithm(result))
    return item.add("INFERRED FROM", *impressions)


def _individual_impression(
    result: StudyResult, film_number: int, film: ScannedFilm, finding: Finding, index: int, entry: Item
) -> Item:
    """TID 4003 around one TID 4006, TID 4006 with the geometry of TID 4021."""
    presented = result.operating_point.presents(finding)
    intent = codes.PRESENTATION_REQUIRED if presented else codes.PRESENTATION_OPTIONAL
    film_facts.check_places(film)
    rendering = code(codes.RENDERING_INTENT, intent)
    if not presented:
        rendering.add("HAS PROPERTIES", number(codes.CAD_OPERATING_POINT, 1, codes.RANGE_FROM_ONE))
    outline, center = geometry(film, finding, codes.OUTLINE)
    item = code(codes.SINGLE_IMAGE_FINDING, codes.BREAST_DENSITY)
    item.add("HAS CONCEPT MOD", rendering)
    item.add("HAS OBS CONTEXT", *tracking(result, film_number, film, index))
    item.add(
        "HAS PROPERTIES",
        *algorithm(result),
        *certainty(finding),
        center.add("SELECTED FROM", Target(entry)),
        outline.add("SELECTED FROM", Target(entry)),
    )
    individual = container(codes.INDIVIDUAL_IMPRESSION)
    individual.add("HAS CONCEPT MOD", code(codes.RENDERING_INTENT, intent))
    return individual.add("CONTAINS", item)


def _detections(result: StudyResult, scanned: list[Item], failed: list[Item], extent: Coverage) -> Item:
    """Summary of Detections with TID 4015: which films were scanned and which were not."""
    item = code(codes.SUMMARY_OF_DETECTIONS, _DETECTIONS[extent.extent])
    for name, entries, wanted in (
        (codes.SUCCESSFUL_DETECTIONS, scanned, extent.extent != "none"),
        (codes.FAILED_DETECTIONS, failed, extent.extent != "all"),  # also if no film of it can be pointed to
    ):
        if wanted:
            performed = code(codes.DETECTION_PERFORMED, codes.BREAST_DENSITY)
            performed.add("HAS PROPERTIES", *algorithm(result), *(Target(entry) for entry in entries))
            if not entries:
                # TID 4017 asks for images or series. Those of a film that cannot be read are not known: a UID
                # of its own stands for its series, so that the film is not missing from what failed.
                performed.add("HAS PROPERTIES", uid(codes.SERIES_INSTANCE_UID, result.uid("unreadable film")))
            if entries is scanned:
                performed.add("HAS PROPERTIES", *_operating_points())
            item.add("INFERRED FROM", container(name).add("CONTAINS", performed))
    return item


def _operating_points() -> tuple[Item, Item]:
    """TID 4023: point 0 shows what reaches the operating point, point 1 what lies below it as well.

    Its table of sensitivities is left out: a CONTAINER is no legal property of a CODE in this IOD
    (PS3.3 A.35.5.3.1), whatever the template says.
    """
    return (
        number(codes.MAXIMUM_OPERATING_POINT, 1, codes.ARBITRARY_UNIT),
        number(codes.RECOMMENDED_OPERATING_POINT, 0, codes.RANGE_FROM_ZERO),
    )
