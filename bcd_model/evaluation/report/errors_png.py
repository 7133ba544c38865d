"""The worst errors as pictures: parts of films, so the films' licence holds for the sheets, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.evaluate import Assessment
from bcd_model.evaluation.report.curves_png import finish, new_figure
from bcd_model.evaluation.scored_films import ScoredMark
from bcd_model.words import Film, Lesion, Point

MOST = 24
_COLUMNS = 6
_LEAST_SIDE = 24.0
"""mm of a crop's side at least; else six radii of what it shows."""
_NO_RADIUS = 4.0
"""mm of the circle drawn for a mark that came without a radius."""


def worst_misses(made: Assessment) -> list[tuple[Case, Lesion, float]]:
    """Return the lesions missed at one false mark per film, the lowest scores first, of these the largest.

    The score is that of the best mark on the lesion, -inf without one.
    """
    lesions = [(case, lesion) for case in made.cases for lesion in case.film.lesions]
    scores = zip(lesions, made.tally.lesion_score, made.tally.judged_lesion, strict=True)
    missed = [(*found, float(score)) for found, score, judged in scores if judged and score <= made.threshold]
    missed.sort(key=lambda m: (m[2], -m[1].radius * m[0].pixels.spacing, m[0].film.name))
    return missed[:MOST]


def worst_false_marks(made: Assessment) -> list[tuple[Case, ScoredMark]]:
    """Return the marks on no lesion with the highest scores."""
    marks = [(case, mark) for case in made.cases for mark in case.marks]
    wrong = made.tally.judged_mark & ~made.tally.on_lesion
    found = [marks[index] for index in np.flatnonzero(wrong)]
    found.sort(key=lambda each: (-each[1].score, each[0].film.name, each[1].center))
    return found[:MOST]


def draw_misses(made: Assessment) -> bytes:
    """``misses.png``: the worst misses, the lesion solid, marks nearby dashed."""

    def text(case: Case, lesion: Lesion, best: float) -> str:
        radius = f"radius {lesion.radius * case.pixels.spacing:.1f} mm"
        score = f"score {best:.1f}" if np.isfinite(best) else "no mark"
        return f"{case.film.name} {lesion.kind} {lesion.label}\n{radius}, {score}"

    return _sheet(
        made,
        "Lesions missed at 1 false mark per film, the worst first; solid: lesion, dashed: marks and scores",
        [
            (case, lesion.center, lesion.radius, text(case, lesion, best))
            for case, lesion, best in worst_misses(made)
        ],
    )


def draw_false_marks(made: Assessment) -> bytes:
    """``false-marks.png``: the worst false marks, dashed, lesions nearby solid."""
    return _sheet(
        made,
        "Marks on no lesion, the highest scores first; dashed: marks and scores, solid: lesions",
        [
            (
                *(case, mark.center, _radius(case, mark)),
                f"{case.film.name} ({case.film.label} film)\nscore {mark.score:.1f}",
            )
            for case, mark in worst_false_marks(made)
        ],
    )


def _sheet(made: Assessment, title: str, items: Sequence[tuple[Case, Point, float, str]]) -> bytes:
    columns = min(_COLUMNS, max(4, len(items)))
    figure, axes = new_figure(columns, max(1, -(-len(items) // columns)), size=(2.6, 2.9))
    for axis in axes:
        axis.set_axis_off()
    last: tuple[str, Film] | None = None  # a film that comes twice in a row is read once
    for axis, (case, center, radius, text) in zip(axes, items, strict=False):
        if last is None or last[0] != case.film.name:
            last = case.film.name, case.film.read()
        _crop(axis, last[1], case, center, radius, text)
    if not items:
        axes[0].text(0.5, 0.5, "none", ha="center")
    figure.suptitle(title, fontsize=11)
    return finish(figure, made)


def _crop(axis: Axes, film: Film, case: Case, center: Point, radius: float, text: str) -> None:
    half = max(3 * radius, _LEAST_SIDE / 2 / case.pixels.spacing)
    top, left = (max(0, int(place - half)) for place in center)
    bottom, right = (min(size, int(place + half) + 1) for place, size in zip(center, film.shape, strict=True))
    crop = film.pixels[top:bottom, left:right]
    low, high = np.percentile(crop, [1, 99.5])
    # Pixel centres are whole numbers, as everywhere.
    extent = (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)
    axis.imshow(crop, cmap="gray", vmin=low, vmax=max(high, low + 1e-3), extent=extent)
    for lesion in case.film.lesions:
        axis.add_patch(_circle(lesion.center, lesion.radius, "lime", "-"))
    for mark in case.marks:
        if top <= mark.center[0] < bottom and left <= mark.center[1] < right:
            axis.add_patch(_circle(mark.center, _radius(case, mark), "orange", "--"))
            axis.text(
                mark.center[1], mark.center[0], f"{mark.score:.1f}", color="orange", fontsize=6, clip_on=True
            )
    axis.set_xlim(extent[0], extent[1])
    axis.set_ylim(extent[2], extent[3])
    axis.set_title(text, fontsize=6, parse_math=False)


def _radius(case: Case, mark: ScoredMark) -> float:
    return _NO_RADIUS / case.pixels.spacing if mark.radius is None else mark.radius


def _circle(center: Point, radius: float, color: str, style: str) -> Circle:
    return Circle((center[1], center[0]), radius, fill=False, edgecolor=color, linestyle=style, linewidth=1)
