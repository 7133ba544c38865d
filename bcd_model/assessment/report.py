"""All files of an assessment, as their content: whoever calls writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bcd_model.assessment import rows, tables
from bcd_model.assessment.assess import Assessment
from bcd_model.assessment.markdown import report_text

REPORT = "report.md"
PICTURES = ("froc.png", "film-roc.png", "reliability.png", "misses.png", "false-marks.png")


def make_texts(made: Assessment, remarks: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the content of ``results.json``, and the bytes of it and of all other texts by file name.

    Args:
        remarks: what was odd about the input, one line each.
    """
    content = tables.results(made, remarks)
    texts = {
        "marks.csv": rows.marks_csv(made),
        "films.csv": rows.films_csv(made),
        "lesions.csv": rows.lesions_csv(made),
        "froc.csv": rows.froc_csv(made),
        REPORT: report_text(content, PICTURES),
        "results.json": tables.results_text(content),
    }
    return content, {name: text.encode() for name, text in texts.items()}


def draw_pictures(made: Assessment) -> dict[str, bytes]:
    """Return ``PICTURES``, as PNG by file name; imports Matplotlib.

    Raises:
        FilmError: a film of a sheet can no longer be read.
    """
    from bcd_model.assessment import pictures, sheets

    draw = (
        pictures.draw_froc,
        pictures.draw_roc,
        pictures.draw_reliability,
        sheets.draw_misses,
        sheets.draw_false_marks,
    )
    return {name: each(made) for name, each in zip(PICTURES, draw, strict=True)}
