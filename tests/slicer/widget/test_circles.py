"""Circles that a user draws: on which film they lie, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
from readings import circle

from BCDDetectorLib import geometry, nodes, show
from BCDDetectorLib.words import Film, Finding, Probability, Study


@pytest.fixture
def side_by_side(panel, scanned):
    """The volumes of the left and the right film, in the views Red and Yellow."""
    left, right = (nodes.volume_of(panel.scene, film.sop_instance_uid) for film in scanned.films)
    panel.world.show(left, "Red")
    panel.world.show(right, "Yellow")
    panel.spin()
    return left, right


def test_a_circle_lies_on_the_film_that_was_clicked(panel, side_by_side):
    """Every film lies in the same place: the place of the click does not tell which one was meant."""
    _, right = side_by_side
    panel.ui.addButton.click()
    panel.click(right, (100.0, 80.0), (100.0, 92.0), shown=right)
    assert [row[0] for row in panel.rows() if row[5] == "added"] == ["R CC"]


def test_a_click_on_the_heat_map_is_one_on_its_film(panel, side_by_side):
    _, right = side_by_side
    panel.ui.heatMapCheck.checked = True
    panel.spin()
    above = panel.scene.GetNodeByID(panel.world.composite("Yellow").GetForegroundVolumeID())
    panel.ui.addButton.click()
    panel.click(right, (100.0, 80.0), (100.0, 92.0), shown=above)
    assert [row[0] for row in panel.rows() if row[5] == "added"] == ["R CC"]


def test_a_region_is_in_its_films_views_alone(panel, side_by_side):
    left, right = side_by_side
    panel.ui.drawButton.click()
    panel.click(right, (100.0, 80.0), (100.0, 92.0), shown=right)
    display = panel.widget.region._region.GetDisplayNode()
    assert list(display.GetViewNodeIDs()) == ["vtkMRMLSliceNodeYellow"] and not display.GetVisibility3D()
    panel.world.show(left, "Yellow")
    panel.spin()
    assert not display.GetVisibility()


def test_an_answer_belongs_to_the_circle_that_was_sent(panel, side_by_side, gateway):
    left, _ = side_by_side
    gateway.region = {"state": "queued"}
    panel.ui.drawButton.click()
    panel.click(left, (60.0, 40.0), (60.0, 54.0), shown=left)
    panel.ui.classifyButton.click()
    panel.until(lambda: panel.ui.regionLabel.text == "Classifying the circle")
    panel.ui.drawButton.click()
    panel.click(left, (200.0, 150.0), (200.0, 160.0), shown=left)
    gateway.region = {
        "state": "done",
        "label": "malignant",
        "probability": {"normal": 0.1, "benign": 0.2, "malignant": 0.7},
        "reason": None,
    }
    panel.until(lambda: not panel.widget.region.runner.busy)
    assert panel.ui.regionLabel.text == "Circle at row 200, column 150, radius 10 px."
    assert panel.widget.region._region.GetAttribute(nodes.CAPTION) == "region"
    assert panel.ui.classifyButton.text == "Classify"


def test_the_line_outlives_the_click_that_ends_it(panel, side_by_side):
    """Slicer goes on with the line after it has said that a point was set."""
    left, _ = side_by_side
    panel.ui.addButton.click()
    line = next(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode", "drawing"))
    for point in ((100.0, 80.0), (100.0, 92.0)):
        line.AddControlPoint(geometry.to_ras(left, point))
    assert panel.scene.GetNodeByID(line.GetID()) is not None
    panel.spin()
    assert list(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode")) == []
    assert len([row for row in panel.rows() if row[5] == "added"]) == 1


def test_a_scene_that_closes_after_the_last_click_gets_no_circle(panel, side_by_side):
    left, _ = side_by_side
    panel.ui.addButton.click()
    line = next(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode", "drawing"))
    for point in ((100.0, 80.0), (100.0, 92.0)):
        line.AddControlPoint(geometry.to_ras(left, point))
    panel.scene.Clear(False)
    panel.spin()
    assert nodes.findings(panel.scene) == [] and panel.dialogs.errors == []


def test_a_circle_that_waits_for_clicks_goes_with_the_panel(panel, side_by_side):
    panel.ui.addButton.click()
    panel.widget.cleanup()
    assert list(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode")) == []


@pytest.fixture
def picture(panel, gateway):
    """A picture without DICOM origin, described, with an accepted finding; gives the finding's curve."""
    panel.connect(gateway)
    volume = panel.world.add_pixels(np.full((240, 180), 7, np.uint8), (0.2, 0.2), "film.png")
    panel.world.show(volume)
    panel.spin()
    panel.ui.spacingSpin.value = 0.2
    session = panel.widget.session
    study, (source,) = session.prepare(panel.widget.scan.description())
    place = (60.0, 40.0)
    shares = Probability(0.1, 0.2, 0.7)
    finding = Finding("2.25.7", source.uid, 1, place, 12.0, circle(place, 12.0), "malignant", shares, True)
    film = Film(source.uid, findings=(finding,))
    show.show_study(panel.scene, Study(study, "job", "model", 0.5, (film,)))
    panel.spin()
    curve = panel.select(0)
    panel.ui.acceptButton.click()
    return curve


def test_drawing_a_circle_does_not_take_a_pictures_reading_away(panel, picture):
    panel.ui.spacingSpin.value = 0.21
    panel.ui.drawButton.click()
    panel.spin()
    assert len(panel.rows()) == 1 and panel.ui.exportJsonButton.enabled
    assert picture.GetDisplayNode().GetVisibility()


def test_a_picture_that_was_read_is_described_anew_only_after_asking(panel, picture, gateway):
    panel.ui.spacingSpin.value = 0.21
    panel.dialogs.agree = False
    panel.apply()
    panel.spin()
    assert "another film" in panel.dialogs.asked[0] and gateway.received == []
    assert len(panel.rows()) == 1 and panel.ui.statusLabel.text == "Nothing was sent."
    panel.ui.spacingSpin.value = 0.2
    panel.apply()
    panel.spin()
    assert "will be sent" in panel.dialogs.asked[1]  # as it was described: no question but consent
