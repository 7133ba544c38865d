"""All files of an assessment, as their content: whoever calls writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bcd_model.assessment import pictures, sheets, tables
from bcd_model.assessment.assess import Assessment
from bcd_model.assessment.markdown import report_text

REPORT = "report.md"


def make_files(made: Assessment, remarks: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the content of ``results.json``, and every file's bytes by its name.

    Raises:
        FilmError: a film of a sheet can no longer be read.
    """
    drawn = {
        "froc.png": pictures.draw_froc(made),
        "film-roc.png": pictures.draw_roc(made),
        "reliability.png": pictures.draw_reliability(made),
        "misses.png": sheets.draw_misses(made),
        "false-marks.png": sheets.draw_false_marks(made),
    }
    content = tables.results(made, remarks)
    texts = {
        "marks.csv": tables.marks_csv(made),
        "films.csv": tables.films_csv(made),
        "lesions.csv": tables.lesions_csv(made),
        "froc.csv": tables.froc_csv(made),
        REPORT: report_text(content, list(drawn)),
        "results.json": tables.results_text(content),
    }
    return content, {**drawn, **{name: text.encode() for name, text in texts.items()}}
