import json
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from bcd_model.evaluation.report.curves_png import new_figure
from bcd_model.paper.folder import outcomes
from bcd_model.paper.report.figures import _figure_11, _head
from bcd_model.paper.report.summary import Group, groups
from bcd_model.paper.runs import Options
from bcd_model.paper.systems import PROTOCOLS, Protocol

RUNS = Path(__file__).parents[3] / "docs" / "reproduction"


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_title_stays_within_its_picture(columns: int) -> None:
    figure: Figure = new_figure(columns)[0]
    _head(
        figure, "Each class against the rest, the paper's protocol (leaks); bands and AUC: 95 % over patients"
    )
    figure.canvas.draw()
    (title,) = figure.texts
    box = title.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


@pytest.fixture(scope="module")
def made() -> list[Group]:
    settings = json.loads((RUNS / "settings.json").read_text())
    films = settings.pop("films")
    settings.pop("schema")
    return groups(outcomes(RUNS, Options(**settings), films))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_hides_a_bar_of_figure_11_or_is_cut_off(made: list[Group], protocol: Protocol) -> None:
    chosen = [group for group in made if group.protocol == protocol]
    figure = _figure_11(chosen, protocol)
    figure.canvas.draw()
    (axis,), (legend,) = figure.axes, figure.legends
    assert legend.get_window_extent().x0 >= axis.bbox.x1
    for text in (*axis.get_xticklabels(), *legend.get_texts()):
        assert 0 <= text.get_window_extent().x0 < text.get_window_extent().x1 <= figure.bbox.width
    bars = sorted((bar.get_x(), bar.get_height()) for bar in axis.patches)
    heights = [group.figures["accuracy"].value for group in chosen]
    assert {round(height, 6) for _, height in bars} >= {round(height, 6) for height in heights}
    assert all(right[0] - left[0] >= 1 for left, right in pairwise(bars))
