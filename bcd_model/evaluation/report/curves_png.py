"""The curves of an assessment: FROC, film ROC, reliability.

Figures are drawn without pyplot, which would keep them in a list of its own and look for a screen.
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bcd_model.evaluation import froc
from bcd_model.evaluation.evaluate import Assessment
from bcd_model.evaluation.reliability import Calibrated
from bcd_model.evaluation.statistics import Interval
from bcd_model.evaluation.tally import Floats


def draw_froc(made: Assessment) -> bytes:
    """``froc.png``: sensitivity over false marks per film, with a band, for each hit rule."""
    figure, (axis,) = new_figure(1, size=(7.0, 5.0))
    for color, curve in enumerate(made.curves):
        band = _columns(curve.sensitivity)
        name = f"{curve.rule.name}{' (chosen)' if color == 0 else ''}"
        axis.step(froc.RATES, band[:, 0], where="post", color=f"C{color}", label=name)
        low, high = band[:, 1], band[:, 2]
        axis.fill_between(froc.RATES, low, high, step="post", color=f"C{color}", alpha=0.15, linewidth=0)
    for rate in froc.FALSE_MARKS:
        axis.axvline(rate, color="grey", linewidth=0.4)
    axis.set_xscale("symlog", linthresh=0.125, base=2)
    axis.set_xticks(froc.FALSE_MARKS, [f"{rate:g}" for rate in froc.FALSE_MARKS])
    axis.set_xlim(0, float(froc.RATES[-1]))
    axis.set_ylim(0, 1)
    axis.set_xlabel("false marks per film")
    axis.set_ylabel("sensitivity")
    lesions = int(made.tally.judged_lesion.sum())
    axis.set_title(
        f"FROC, {lesions} lesions, {made.tally.patients} patients; bands: 95 % over patients", fontsize=10
    )
    axis.legend(loc="upper left", fontsize=8)
    return finish(figure, made)


def draw_roc(made: Assessment) -> bytes:
    """``film-roc.png``: abnormal against normal films."""
    figure, (axis,) = new_figure(1, size=(5.0, 5.0))
    band = _columns(made.roc)
    axis.plot(froc.GRID, band[:, 0], label=f"AUC {made.film_auc}")
    axis.fill_between(froc.GRID, band[:, 1], band[:, 2], alpha=0.15, linewidth=0)
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.set_xlabel("1 - specificity")
    axis.set_ylabel("sensitivity")
    axis.set_title("Abnormal against normal films; band: 95 % over patients", fontsize=10)
    axis.legend(loc="lower right", fontsize=8)
    return finish(figure, made)


def draw_reliability(made: Assessment) -> bytes:
    """``reliability.png``: the share that is true over the probability that was said, marks and films."""
    figure, axes = new_figure(2, size=(4.6, 4.8))
    _reliability(axes[0], made.mark_calibration, "Marks: on a lesion")
    _reliability(axes[1], made.film_calibration, "Films: abnormal")
    return finish(figure, made)


def _reliability(axis: Axes, calibrated: Calibrated | None, title: str) -> None:
    axis.set_title(title, fontsize=10)
    if calibrated is None:
        axis.text(0.5, 0.5, "nothing to judge", ha="center", va="center")
        return
    said = np.array([each.probability for each in calibrated.bins])
    true = _columns([each.true for each in calibrated.bins])
    reach = np.stack([true[:, 0] - true[:, 1], true[:, 2] - true[:, 0]]).clip(0)
    axis.errorbar(said, true[:, 0], reach, fmt="o-", markersize=4, linewidth=1, capsize=2)
    for place, share, each in zip(said, true[:, 0], calibrated.bins, strict=True):
        axis.annotate(str(each.count), (place, share), (3, 3), textcoords="offset points", fontsize=6)
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
    # Most marks are below 0.05: above it the axes are logarithmic.
    ticks = [0, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    for set_scale, set_ticks in ((axis.set_xscale, axis.set_xticks), (axis.set_yscale, axis.set_yticks)):
        set_scale("symlog", linthresh=0.05, linscale=0.7)
        set_ticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axis.minorticks_off()
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.set_xlabel("probability said (mean of the bin); numbers: how many")
    axis.set_ylabel("share that is true, 95 % over patients")
    lines = [f"n = {calibrated.count}", f"slope {calibrated.slope}", f"ECE {calibrated.ece}"]
    lines.append(f"Brier skill {calibrated.skill}")
    axis.text(0.03, 0.97, "\n".join(lines), transform=axis.transAxes, va="top", fontsize=7)


def new_figure(
    columns: int, rows: int = 1, size: tuple[float, float] = (4.0, 4.0)
) -> tuple[Figure, list[Axes]]:
    """Return a figure of ``rows`` x ``columns`` axes of ``size`` inches each."""
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def finish(figure: Figure, made: Assessment) -> bytes:
    """Return the figure as PNG; it says beneath what its figures are worth."""
    color = "black" if made.overlap.measure else "red"
    figure.supxlabel(
        f"{made.overlap.text}\n{made.rule.text}. Research use only.", fontsize=6, color=color, wrap=True
    )
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()


def _columns(band: list[Interval] | tuple[Interval, ...]) -> Floats:
    return np.array([(point.value, point.low, point.high) for point in band])
