"""What a film shows, for the comparison of the two breasts."""

from __future__ import annotations

from pydicom.dataset import Dataset

from bcd_model.words import Projection
from converters.films import header as film_header
from converters.films import kinds
from converters.films.identity import identity, text_of

NO_PROJECTION = Projection("", None, None)
"""Of a film that is compared with none."""


def projection(header: Dataset, *kind: str) -> Projection:
    """What a film shows, for the comparison of the two breasts.

    Films are compared only if their headers state a patient and a study date, and agree on both in full: a
    film that does not is given no view, so that there is nothing to compare it with. Nor has one that shows a
    part of the breast: no two such films show the same part.

    Args:
        kind: what else two films must share.
    """
    patient, date = identity(header), text_of(header, "StudyDate")
    if not (patient.stated and date) or kinds.is_partial(header):
        return NO_PROJECTION
    return Projection(
        repr((patient, date)),
        film_header.view(header),
        film_header.laterality(header),
        (*kind, *kinds.kind(header)),
    )
