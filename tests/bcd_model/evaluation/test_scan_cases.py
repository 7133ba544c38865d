"""What an assessment scans is what a result reports, only deeper."""

from __future__ import annotations

import numpy as np
import pytest

from bcd_model.detector.calibration import SCORE_FLOOR
from bcd_model.detector.model import Model
from bcd_model.detector.pyramid import CONTEXT
from bcd_model.detector.scan import Scanner
from bcd_model.errors import FilmError
from bcd_model.evaluation.scan_cases import CaseScanner
from bcd_model.evaluation.scored_films import MARKS_PER_FILM
from bcd_model.words import WINDOW, Film
from tests.support.blob_films import BLOB_STEPS, blob_film
from tests.support.made_cases import MadeFilm

STEP = BLOB_STEPS[2]
RADIUS_MM = WINDOW * STEP / (2 * CONTEXT)
CENTER = (331.0, 170.0)


class BlobFilm(MadeFilm):
    """A film with a bright disc."""

    def read(self) -> Film:
        return blob_film(CENTER, RADIUS_MM, spacing=(0.2, 0.2))


def test_marks_are_the_findings_of_a_result_and_more(blob_model: Model) -> None:
    annotated = BlobFilm("a", "a")
    case = CaseScanner(blob_model).scan(annotated, annotated.read())
    findings = Scanner(blob_model).scan(annotated.read()).findings
    assert findings
    assert len(findings) <= len(case.marks) <= MARKS_PER_FILM
    for finding, mark in zip(findings, case.marks, strict=False):
        assert mark.center == pytest.approx(finding.center)
        assert mark.radius == pytest.approx(finding.radius)
        assert 1 / (1 + np.exp(-mark.score)) == pytest.approx(finding.probability.abnormal)
        assert mark.malignant == pytest.approx(finding.probability.malignant / finding.probability.abnormal)
    assert all(mark.score > SCORE_FLOOR for mark in case.marks)
    best = case.marks[0]
    assert best.center == pytest.approx(CENTER, abs=5)
    assert best.radius == pytest.approx(RADIUS_MM / 0.2)  # pixels along the rows' axis
    assert case.pixels.spacing == 0.2


def test_a_film_without_a_breast_has_no_mark_and_says_so(blob_model: Model) -> None:
    class Dark(MadeFilm):
        def read(self) -> Film:
            return Film(np.zeros((200, 150), dtype=np.float32), (0.2, 0.2), warnings=("odd",))

    dark = Dark("a", "a")
    case = CaseScanner(blob_model).scan(dark, dark.read())
    assert case.marks == ()
    assert case.score == -np.inf
    assert case.pixels.warnings == ("odd", "no breast was found: nothing was scanned")


def test_pixels_that_are_not_square_are_refused(blob_model: Model) -> None:
    class Oblong(MadeFilm):
        def read(self) -> Film:
            return Film(np.zeros((200, 150), dtype=np.float32), (0.2, 0.25))

    oblong = Oblong("a", "a")
    with pytest.raises(FilmError, match=r"its pixels are not square \(0.2 mm by 0.25 mm\)"):
        CaseScanner(blob_model).scan(oblong, oblong.read())
