import pytest
from matplotlib.figure import Figure

from bcd_model.paper.pictures import _head, _new


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_title_stays_within_its_picture(columns: int) -> None:
    figure: Figure = _new(columns)[0]
    _head(
        figure, "Each class against the rest, the paper's protocol (leaks); bands and AUC: 95 % over patients"
    )
    figure.canvas.draw()
    (title,) = figure.texts
    box = title.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
