"""A made-up reading of the study of two films, and the items of the report that is written of it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timezone

import pydicom

from BCDDetectorLib.reading import Mark, Reading
from BCDDetectorLib.result_reader import read_result

WHEN = datetime(2024, 2, 29, 13, 14, 15, tzinfo=timezone.utc)
"""When it is written down."""


def mark_of(finding, verdict, **changes) -> Mark:
    made = Mark(
        finding.tracking_uid,
        finding.film,
        finding.number,
        finding.center,
        finding.radius,
        finding.outline,
        finding.label,
        verdict,
        "detector",
        False,
        finding.probability,
    )
    return replace(made, **changes)


def circle(center, radius, corners=32):
    """A polygon around ``center``; ``radius`` in source pixels."""
    return tuple(
        (center[0] + radius * math.sin(angle), center[1] + radius * math.cos(angle))
        for angle in (2 * math.pi * step / corners for step in range(corners))
    )


def make(folder, films):
    """Left film: one accepted, one rejected, one added near the edge; right: one moved. Both were read.

    Returns:
        The reading and the films' headers.
    """
    study = read_result(folder)
    first, second, third = study.findings
    left, right = (film.sop_instance_uid for film in study.films)
    added = Mark(
        "2.25.99",
        left,
        3,
        (3.0, 170.5),
        9.0,
        circle((3.0, 170.5), 9.0),
        "benign",
        "accepted",
        "reader",
        False,
        None,
    )
    marks = (
        mark_of(first, "accepted"),
        mark_of(second, "rejected"),
        added,
        mark_of(third, "accepted", moved=True, center=(150.0, 100.0), label="malignant"),
    )
    headers = {uid: pydicom.dcmread(path, stop_before_pixels=True) for uid, path in films.items()}
    return Reading(study, "Dr Test", frozenset([left, right]), marks), headers


def items(dataset):
    """The content items of a report, each before its own content."""
    for item in dataset.get("ContentSequence", ()):
        yield item
        yield from items(item)


def name(item) -> str:
    """The code value of an item's concept name; empty without one."""
    return item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else ""
