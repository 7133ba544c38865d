"""All files of an assessment, as their content; the caller writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bcd_model.evaluation.evaluate import Assessment
from bcd_model.evaluation.report import csv_files, results_json
from bcd_model.evaluation.report.markdown import report_text
from bcd_model.evaluation.report.text import csv_text

REPORT = "report.md"
PICTURES = ("froc.png", "film-roc.png", "reliability.png", "misses.png", "false-marks.png")


def make_texts(made: Assessment, remarks: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the content of ``results.json``, and the bytes of it and of all other texts by file name.

    Args:
        remarks: what was odd about the input, one line each.
    """
    content = results_json.results(made, remarks)
    texts = {
        "marks.csv": csv_text(csv_files.marks_rows(made)),
        "films.csv": csv_text(csv_files.films_rows(made)),
        "lesions.csv": csv_text(csv_files.lesions_rows(made)),
        "froc.csv": csv_text(csv_files.froc_rows(made)),
        REPORT: report_text(content, PICTURES),
        "results.json": results_json.results_text(content),
    }
    return content, {name: text.encode() for name, text in texts.items()}


def draw_pictures(made: Assessment) -> dict[str, bytes]:
    """Return ``PICTURES``, as PNG by file name; imports Matplotlib.

    Raises:
        FilmError: a film of a sheet can no longer be read.
    """
    from bcd_model.evaluation.report import curves_png, errors_png

    draw = (
        curves_png.draw_froc,
        curves_png.draw_roc,
        curves_png.draw_reliability,
        errors_png.draw_misses,
        errors_png.draw_false_marks,
    )
    return {name: each(made) for name, each in zip(PICTURES, draw, strict=True)}
