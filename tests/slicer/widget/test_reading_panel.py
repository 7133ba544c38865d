"""The panel as a user meets it: findings, views, reading, regions."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest

from BCDDetectorLib import geometry, nodes, show


def test_a_click_in_the_table_jumps(panel, scanned):
    curve = panel.select(1)
    volume = nodes.volume_of(panel.scene, curve.GetAttribute(nodes.FILM))
    assert panel.world.composite("Red").GetBackgroundVolumeID() == volume.GetID()
    wanted = geometry.to_ras(volume, show.get_place(curve)[0])
    matrix = panel.world.node("Red").GetSliceToRAS()
    assert [matrix.GetElement(i, 3) for i in range(3)] == pytest.approx(wanted)
    assert curve.GetDisplayNode().GetVisibility()


def test_another_film_in_the_view_brings_its_own_findings(panel, scanned):
    left, right = (nodes.volume_of(panel.scene, film.sop_instance_uid) for film in scanned.films)
    for volume, film in ((left, 0), (right, 1)):
        panel.world.composite("Red").SetBackgroundVolumeID(volume.GetID())
        panel.spin()
        visible = {
            c.GetAttribute(nodes.FILM)
            for c in nodes.findings(panel.scene)
            if c.GetDisplayNode().GetVisibility()
        }
        assert visible == {scanned.films[film].sop_instance_uid}


def test_the_panel_says_where_the_probabilities_hold(panel, scanned, load):
    assert panel.ui.prevalenceLabel.text == "Probabilities hold where 40 % of films are abnormal."
    panel.scene.Clear(0)
    panel.widget.refresh()
    assert panel.ui.prevalenceLabel.text == ""


def test_the_panel_shows_what_holds_the_result_back(panel, load, gateway):
    study = load("one-film-failed")
    panel.connect(gateway)
    panel.scan()
    (unseen,) = (film for film in study.films if film.failed)
    assert panel.ui.limitsLabel.text.split("\n")[0] == f"Not scanned: {unseen.name}: {unseen.reason}"
    panel.scene.Clear(0)
    panel.widget.refresh()
    assert panel.ui.limitsLabel.text == ""


def test_the_threshold_hides_and_shows_without_a_new_scan(panel, scanned, gateway):
    calls = len(gateway.calls)
    panel.ui.thresholdSlider.value = 0.2
    panel.spin()
    assert len(panel.rows()) == 3
    panel.ui.thresholdSlider.value = 0.95
    panel.spin()
    assert panel.rows() == []
    assert len(nodes.findings(panel.scene)) == 3 and len(gateway.calls) == calls


def test_accept_reject_and_read_back(panel, scanned, tmp_path):
    assert not panel.ui.acceptButton.enabled and "Select a finding" in panel.ui.acceptButton.toolTip
    panel.select(0)
    panel.ui.classCombo.currentText = "benign"
    panel.ui.acceptButton.click()
    panel.select(1)
    panel.ui.rejectButton.click()
    assert [(row[2], row[5]) for row in panel.rows()] == [("benign", "accepted"), ("benign", "rejected")]
    assert panel.ui.filmReadCheck.text == "R CC read completely"
    panel.ui.filmReadCheck.checked = True

    panel.ui.exportJsonButton.click()
    assert "name" in panel.dialogs.errors.pop().message  # a reader without a name
    panel.ui.readerEdit.text = "Anna Muster"
    panel.dialogs.path = tmp_path / "reading.json"
    panel.ui.exportJsonButton.click()
    told = json.loads(panel.dialogs.path.read_text())
    right = scanned.films[1].sop_instance_uid
    assert told["reader"] == "Anna Muster" and list(told["films"]) == [right]
    assert told["films"][right]["label"] == "normal"  # its only finding was rejected
    panel.dialogs.path = tmp_path / "reading.dcm"
    panel.ui.exportSrButton.click()
    assert panel.dialogs.errors == []
    document = pydicom.dcmread(panel.dialogs.path)
    assert document.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert str(document.PatientID) == "P1" and document.StudyInstanceUID == scanned.study_instance_uid


def test_move_a_finding(panel, scanned):
    curve = panel.select(0)
    panel.ui.moveButton.click()
    assert not curve.GetLocked() and curve.GetDisplayNode().GetHandlesInteractive()
    volume = nodes.volume_of(panel.scene, curve.GetAttribute(nodes.FILM))
    before = show.get_place(curve)[0]
    show.draw(curve, volume, 0, [(row + 12, column - 5) for row, column in geometry.outline(volume, curve)])
    panel.ui.moveButton.click()
    assert show.get_place(curve)[0] == pytest.approx((before[0] + 12, before[1] - 5))
    assert curve.GetLocked() and panel.rows()[0][5] == "accepted, moved"


def test_add_a_missed_finding(panel, scanned):
    panel.select(0)
    left = scanned.films[0].sop_instance_uid
    volume = nodes.volume_of(panel.scene, left)
    panel.ui.classCombo.currentText = "malignant"
    panel.ui.addButton.click()
    panel.click(volume, (100.0, 80.0), (100.0, 92.0))
    added = [row for row in panel.rows() if row[5] == "added"]
    assert added == [["L MLO", "3", "malignant", "", "", "added"]]
    curve = next(c for c in nodes.findings(panel.scene) if c.GetAttribute(nodes.SOURCE) == nodes.READER)
    center, radius = show.get_place(curve)
    assert center == pytest.approx((100.0, 80.0)) and radius == pytest.approx(12.0)
    assert list(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode")) == []


def test_a_circle_beside_the_film_is_refused(panel, scanned):
    panel.select(0)
    volume = nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid)
    panel.ui.addButton.click()
    panel.click(volume, (-100.0, 80.0), (-90.0, 92.0))
    assert "on no film" in panel.dialogs.errors[0].message


def test_a_region_is_drawn_classified_and_answered(panel, scanned, gateway, case):
    panel.select(0)
    left = scanned.films[0].sop_instance_uid
    volume = nodes.volume_of(panel.scene, left)
    assert not panel.ui.classifyButton.enabled
    panel.ui.drawButton.click()
    panel.click(volume, (60.25, 40.75), (60.25, 54.75))
    assert panel.ui.classifyButton.enabled
    panel.ui.classifyButton.click()
    panel.until(lambda: not panel.widget.region.runner.busy)
    assert panel.dialogs.errors == []
    assert panel.ui.regionLabel.text == "The circle is malignant: normal 10%, benign 20%, malignant 70%."
    assert gateway.fields[-1] == {"center_row": "60.250", "center_column": "40.750", "radius": "14.000"}
    assert gateway.received[-1] == [case("two-films")[1][left].read_bytes()]
    panel.picture("panel-region")


def test_save_and_reload(panel, scanned, tmp_path):
    panel.select(1)
    panel.ui.rejectButton.click()
    panel.ui.thresholdSlider.value = 0.2
    rows = panel.rows()
    highest = [float(node.GetImageData().GetScalarRange()[1]) for node in nodes.heat_maps(panel.scene)]
    bundle = tmp_path / "scene.mrb"
    assert panel.scene.WriteToMRB(str(bundle))
    panel.scene.Clear(False)
    panel.spin()
    assert panel.rows() == []
    assert panel.scene.ReadFromMRB(str(bundle))
    panel.spin()
    assert panel.rows() == rows and len(rows) == 3
    assert panel.ui.thresholdSlider.value == pytest.approx(0.2)
    kept = [float(node.GetImageData().GetScalarRange()[1]) for node in nodes.heat_maps(panel.scene)]
    assert kept == highest and len(kept) == 2


def test_a_finding_that_is_deleted_elsewhere_leaves_the_table(panel, scanned):
    panel.scene.RemoveNode(nodes.findings(panel.scene)[0])
    panel.spin()
    assert len(panel.rows()) == 1


def test_the_heat_map_is_switched(panel, scanned, case):
    folder, _ = case("two-films")
    if not (folder / "heatmap").exists():
        assert not panel.ui.heatMapCheck.enabled
        pytest.skip("this version writes no heat maps")
    panel.select(0)
    composite = panel.world.composite("Red")
    assert composite.GetForegroundVolumeID() is None
    panel.ui.heatMapCheck.checked = True
    panel.ui.opacitySlider.value = 0.6
    panel.spin()
    shown = panel.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown.GetAttribute(nodes.FILM) == scanned.films[0].sop_instance_uid
    assert composite.GetForegroundOpacity() == pytest.approx(0.6)
    panel.ui.heatMapCheck.checked = False
    panel.spin()
    assert composite.GetForegroundVolumeID() is None


def test_a_film_without_findings_can_be_declared_read(panel, load, gateway):
    study = load("no-finding")
    panel.connect(gateway)
    panel.scan()
    assert panel.rows() == [] and panel.ui.filmReadCheck.enabled
    panel.ui.filmReadCheck.checked = True
    (film,) = study.films
    assert nodes.films_read(panel.widget.session.table) == {film.sop_instance_uid}


def test_choosing_another_film_lets_go_of_the_finding(panel, scanned):
    panel.select(0)
    right = nodes.volume_of(panel.scene, scanned.films[1].sop_instance_uid)
    left = nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid)
    panel.ui.inputSelector.setCurrentNode(left if panel.widget.session.volume is right else right)
    panel.spin()
    assert panel.widget.findings.curve is None and not panel.ui.acceptButton.enabled


def test_the_report_is_opened(panel, scanned, case):
    assert panel.ui.reportButton.enabled == (case("two-films")[0] / "report.html").exists()
    if panel.ui.reportButton.enabled:
        panel.ui.reportButton.click()
        assert panel.dialogs.opened[0].name == "report.html" and panel.dialogs.opened[0].exists()


def test_a_region_that_no_worker_answers_can_be_cancelled(panel, scanned, gateway):
    panel.select(0)
    gateway.region = {"state": "queued"}
    panel.ui.drawButton.click()
    panel.click(nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid), (60.0, 40.0), (60.0, 54.0))
    panel.ui.classifyButton.click()
    panel.until(lambda: panel.ui.regionLabel.text == "Classifying the circle")
    assert panel.ui.classifyButton.text == "Cancel"
    panel.ui.classifyButton.click()
    panel.until(lambda: not panel.widget.region.runner.busy)
    assert panel.ui.regionLabel.text == "Cancelled." and panel.ui.classifyButton.text == "Classify"


def test_a_region_on_a_volume_without_dicom_origin(panel, gateway):
    panel.connect(gateway)
    volume = panel.world.add_pixels(np.full((120, 90), 7, np.uint16), (0.2, 0.2), "film.png")
    panel.world.show(volume)
    panel.spin()
    panel.ui.drawButton.click()
    assert "spacing" in panel.dialogs.errors.pop().message  # it must be said first
    panel.ui.spacingSpin.value = 0.2
    panel.ui.drawButton.click()
    panel.click(volume, (60.0, 40.0), (60.0, 50.0))
    panel.ui.classifyButton.click()
    panel.until(lambda: not panel.widget.region.runner.busy)
    assert panel.dialogs.errors == [] and panel.ui.regionLabel.text.startswith("The circle is malignant")
    assert b"2.25." in gateway.received[0][0]


def test_a_scene_that_was_saved_in_mid_move_is_locked_again(panel, scanned, tmp_path):
    curve = panel.select(0)
    panel.ui.moveButton.click()
    assert not curve.GetLocked()
    bundle = tmp_path / "scene.mrb"
    assert panel.scene.WriteToMRB(str(bundle))
    panel.scene.Clear(False)
    assert panel.scene.ReadFromMRB(str(bundle))
    panel.spin()
    assert all(found.GetLocked() for found in nodes.findings(panel.scene))
    assert not panel.ui.moveButton.checked


def test_a_film_that_is_removed_takes_no_one_down(panel, scanned):
    for volume in nodes.volumes(panel.scene):
        panel.scene.RemoveNode(volume)
        panel.spin()
    assert panel.rows() == [] and "Load a mammogram" in panel.ui.applyButton.toolTip


def test_a_batch_of_changes_does_not_end_a_move(panel, scanned):
    curve = panel.select(0)
    panel.ui.moveButton.click()
    panel.scene.StartState(panel.scene.BatchProcessState)
    panel.scene.EndState(panel.scene.BatchProcessState)
    panel.spin()
    assert not curve.GetLocked() and panel.ui.moveButton.checked


def test_an_outline_that_was_deleted_in_mid_move_is_put_back(panel, scanned):
    curve = panel.select(0)
    volume = nodes.volume_of(panel.scene, curve.GetAttribute(nodes.FILM))
    before = geometry.outline(volume, curve)
    panel.ui.moveButton.click()
    curve.RemoveAllControlPoints()
    panel.ui.moveButton.click()
    assert "back where it was" in panel.dialogs.errors.pop().message
    assert np.allclose(geometry.outline(volume, curve), before, atol=1e-6)
    assert curve.GetLocked() and panel.rows()[0][5] == ""


def test_an_added_finding_can_be_rejected(panel, scanned):
    volume = nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid)
    panel.world.show(volume)
    panel.ui.addButton.click()
    panel.click(volume, (60.0, 40.0), (60.0, 54.0))
    panel.select([row[5] for row in panel.rows()].index("added"))
    panel.ui.rejectButton.click()
    assert [row[5] for row in panel.rows()].count("rejected") == 1
    assert "added" not in [row[5] for row in panel.rows()]
