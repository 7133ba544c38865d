"""The pictures of a reproduction: Figure 11, confusion matrices, ROC curves, training losses.

One protocol a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bcd_model.evaluation.froc import GRID
from bcd_model.evaluation.report.curves_png import new_figure
from bcd_model.paper.printed import printed_accuracy
from bcd_model.paper.report.curves import log_odds, on_grid
from bcd_model.paper.report.intervals import over_patients
from bcd_model.paper.report.summary import Group
from bcd_model.paper.report.tables import interval_text
from bcd_model.paper.systems import PROTOCOLS, SUBSETS, Protocol

_TITLES = {"paper": "the paper's protocol (leaks)", "patient": "by patient"}
_BAND_DRAWS = 300
_LETTERS_AN_INCH = 13  # of a title in 10 points


def draw_all(out: Path, made: Sequence[Group], quick: bool) -> list[str]:
    """Draw every picture into ``out``; return their file names."""
    names = []
    for protocol in PROTOCOLS:
        chosen = [group for group in made if group.protocol == protocol]
        if chosen:
            for kind, draw in (
                ("figure11", _figure_11),
                ("confusion", _confusions),
                ("roc", _rocs),
                ("loss", _losses),
            ):
                figure = draw(chosen, protocol)
                if quick:
                    figure.text(0.5, 0.5, "not comparable", fontsize=40, alpha=0.15, ha="center", rotation=20)
                name = f"{kind}-{protocol}.png"
                figure.savefig(out / name, dpi=100, metadata={"Software": None})
                names.append(name)
    return names


def _head(figure: Figure, title: str) -> None:
    """Give the figure a title, in as many lines as its width asks for."""
    figure.suptitle(fill(title, int(_LETTERS_AN_INCH * figure.get_figwidth())), fontsize=10)


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    columns = min(4, count)
    rows = -(-count // columns)
    figure, axes = new_figure(columns, rows, size=(4.0, 3.6))
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def _figure_11(made: Sequence[Group], protocol: Protocol) -> Figure:
    """Accuracy by subset: what the paper prints beside ours; by patient, ours alone."""
    systems = list(dict.fromkeys(group.system for group in made))
    subsets = [subset for subset in SUBSETS if any(group.subset == subset for group in made)]
    figure, (axis,) = new_figure(1, size=(9.0, 4.5))
    place, ticks = 0, []
    for subset in subsets:
        begin = place
        for group in (group for group in made if group.subset == subset):
            color = f"C{systems.index(group.system)}"
            printed = printed_accuracy(group.system, subset) if protocol == "paper" else None
            if printed is not None:
                label = f"{group.system} printed"
                axis.bar(place, printed, 1, label=label, color=color, alpha=0.45, hatch="//")
                place += 1
            ours = group.accuracy_over_patients
            axis.bar(place, ours.value, 1, label=f"{group.system} ours", color=color, alpha=0.9)
            reach = [[ours.value - ours.low], [ours.high - ours.value]]
            axis.errorbar(place, ours.value, reach, fmt="none", ecolor="black", elinewidth=1, capsize=2)
            seeds = [seed.figures()["accuracy"] for seed in group.answers]
            axis.plot([place] * len(seeds), seeds, "k.", markersize=4)
            place += 1
        ticks.append((begin + place - 1) / 2)
        place += 1
    axis.set_xticks(ticks, subsets)
    axis.set_ylim(0, 1.05)
    axis.set_ylabel("accuracy")
    axis.set_title(f"Accuracy, {_TITLES[protocol]}; bars: 95 % over patients, dots: each seed", fontsize=10)
    handles = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))  # one for each label
    figure.legend(handles.values(), handles, fontsize=8, loc="outside right upper")
    return figure


def _confusions(made: Sequence[Group], protocol: Protocol) -> Figure:
    figure, axes = _grid(len(made))
    for axis, group in zip(axes, made, strict=True):
        table = group.answers[0].confusion()
        shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), number in np.ndenumerate(table):
            color = "white" if shares[row, column] > 0.6 else "black"
            axis.text(column, row, str(number), ha="center", va="center", color=color)
        ticks = range(len(group.classes))
        axis.set_xticks(ticks, group.classes, fontsize=7)
        axis.set_yticks(ticks, group.classes, fontsize=7, rotation=90, va="center")
        axis.set_title(f"{group.system}, {group.subset} (n = {group.samples})", fontsize=9)
    _head(figure, f"Truth (rows) and answer, {_TITLES[protocol]}, first seed")
    return figure


def _rocs(made: Sequence[Group], protocol: Protocol) -> Figure:
    figure, axes = _grid(len(made))
    for axis, group in zip(axes, made, strict=True):
        for index, label in enumerate(group.classes):
            mean, low, high = _roc_band(group, index)
            axis.plot(
                GRID, mean, color=f"C{index}", label=f"{label} {interval_text(group.figures[f'auc_{label}'])}"
            )
            axis.fill_between(GRID, low, high, color=f"C{index}", alpha=0.15, linewidth=0)
        axis.plot([0, 1], [0, 1], color="grey", linewidth=0.7)
        axis.legend(fontsize=6, loc="lower right")
        axis.set_title(f"{group.system}, {group.subset} (n = {group.samples})", fontsize=9)
        axis.set_xlabel("1 - specificity", fontsize=8)
        axis.set_ylabel("sensitivity", fontsize=8)
    bands = "range over seeds" if protocol == "paper" else "95 % over patients"
    _head(figure, f"Each class against the rest, {_TITLES[protocol]}; bands and AUC: {bands}")
    return figure


def _roc_band(group: Group, index: int) -> tuple[npt.NDArray[np.float64], ...]:
    """The mean curve over the seeds with its band on ``GRID``."""

    def curves(chosen: npt.NDArray[np.int64] | None) -> npt.NDArray[np.float64]:
        found = []
        for answers in group.answers:
            at = np.arange(len(answers.truth)) if chosen is None else chosen
            found.append(on_grid(log_odds(answers.logits[at], index), answers.truth[at] == index))
        return np.array(found)

    if group.protocol == "paper":
        each = curves(None)
        return each.mean(axis=0), each.min(axis=0), each.max(axis=0)
    band = over_patients(
        group.answers[0].patients, lambda chosen: list(curves(chosen).mean(axis=0)), _BAND_DRAWS
    )
    return tuple(np.array([getattr(point, part) for point in band]) for part in ("value", "low", "high"))


def _losses(made: Sequence[Group], protocol: Protocol) -> Figure:
    figure, axes = _grid(len(made))
    for axis, group in zip(axes, made, strict=True):
        for outcome in group.outcomes:
            steps, losses = zip(*outcome.loss, strict=True)
            axis.plot(steps, losses, linewidth=0.8)
        axis.set_ylim(bottom=0)
        axis.set_title(f"{group.system}, {group.subset}", fontsize=9)
        axis.set_xlabel("step", fontsize=8)
    _head(figure, f"Training loss, {_TITLES[protocol]}; one line a network")
    return figure
