"""What the reader has said, when results, films and volumes come and go."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pydicom
import pytest

from BCDDetectorLib import geometry, nodes, show


def volumes(panel, study):
    return [nodes.volume_of(panel.scene, film.sop_instance_uid) for film in study.films]


@pytest.fixture
def another_job(panel, scanned, gateway, tmp_path):
    """``another_job(change)``: the study is scanned again; the result has other tracking UIDs."""

    def do(change=lambda film: None):
        result = tmp_path / f"another-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(gateway.results[scanned.study_instance_uid], result)
        told = json.loads((result / "result.json").read_text())
        for film in told["films"]:
            for finding in film["findings"]:
                finding["tracking_uid"] += ".9"
            change(film)
        (result / "result.json").write_text(json.dumps(told))
        gateway.results[scanned.study_instance_uid] = result
        panel.ui.againCheck.checked = True
        panel.scan()
        assert panel.dialogs.errors == []

    return do


def test_another_job_keeps_each_verdict_and_doubles_nothing(panel, scanned, another_job):
    panel.select(0)
    panel.ui.classCombo.currentText = "benign"
    panel.ui.acceptButton.click()
    panel.select(1)
    panel.ui.rejectButton.click()
    rows = panel.rows()
    assert [row[5] for row in rows] == ["accepted", "rejected"]
    another_job()
    assert panel.rows() == rows
    curves = nodes.findings(panel.scene)
    assert len(curves) == 3
    assert all(curve.GetAttribute(nodes.TRACKING_UID).endswith(".9") for curve in curves)


def test_another_job_may_find_the_lesion_a_little_beside(panel, scanned, another_job):
    curve = panel.select(0)
    panel.ui.acceptButton.click()
    place, _ = show.get_place(curve)

    def shift(film):
        for finding in film["findings"]:
            finding["center"] = [finding["center"][0] + 5, finding["center"][1]]

    another_job(shift)
    assert len(nodes.findings(panel.scene)) == 3 and panel.rows()[0][5] == "accepted"
    assert show.get_place(panel.select(0))[0] == pytest.approx((place[0] + 5, place[1]))


def test_another_job_does_not_move_back_what_was_moved(panel, scanned, another_job):
    curve = panel.select(0)
    volume = nodes.volume_of(panel.scene, curve.GetAttribute(nodes.FILM))
    panel.ui.moveButton.click()
    moved = [(row + 60, column + 30) for row, column in geometry.outline(volume, curve)]
    show.draw(curve, volume, 0, moved)
    panel.ui.moveButton.click()
    place = show.get_place(curve)
    another_job()
    assert len(nodes.findings(panel.scene)) == 3 and panel.rows()[0][5] == "accepted, moved"
    assert show.get_place(panel.select(0)) == place


def test_a_verdict_goes_to_the_nearest_finding_and_no_other(panel, scanned, another_job):
    """Two lie within each other's radius, the next job finds the second of them alone."""

    def beside(film):
        if len(film["findings"]) == 2:
            (row, column), second = film["findings"][0]["center"], film["findings"][1]
            second["center"] = [row + 8, column]

    def second_alone(film):
        if len(film["findings"]) == 2:
            del film["findings"][0]

    another_job(beside)
    panel.ui.thresholdSlider.value = 0.0
    panel.spin()
    film = panel.select(0).GetAttribute(nodes.FILM)
    for row, curve in enumerate(map(panel.select, range(3))):
        if curve.GetAttribute(nodes.FILM) == film:
            panel.select(row)
            accepted = nodes.number(curve) == 1
            (panel.ui.acceptButton if accepted else panel.ui.rejectButton).click()
    another_job(second_alone)
    told = {
        curve.GetAttribute(nodes.VERDICT): curve.GetAttribute(nodes.TRACKING_UID)
        for curve in nodes.findings(panel.scene)
        if curve.GetAttribute(nodes.FILM) == film
    }
    assert told["rejected"].endswith(".9.9")
    assert not told["accepted"].endswith(".9.9")


def test_a_finding_elsewhere_is_another_finding(panel, scanned, another_job):
    panel.select(0)
    panel.ui.rejectButton.click()

    def far(film):
        for finding in film["findings"]:
            finding["center"] = [finding["center"][0] + 40, finding["center"][1]]

    another_job(far)
    verdicts = [curve.GetAttribute(nodes.VERDICT) for curve in nodes.findings(panel.scene)]
    assert sorted(verdicts) == ["rejected", "unread", "unread", "unread"]
    panel.ui.thresholdSlider.value = 0.0
    panel.spin()
    assert len({tuple(row[:2]) for row in panel.rows()}) == 4  # no number stands for two of them


def test_a_film_that_is_loaded_later_is_not_scanned_yet(panel, load, gateway, case):
    study = load()
    panel.connect(gateway)
    panel.scan()
    first, later = (film.sop_instance_uid for film in study.films)
    _, films = case("two-films")
    panel.scene.Clear(False)
    panel.spin()
    panel.load({first: films[first]})
    panel.scan()
    (volume,) = panel.load({later: films[later]})
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.world.show(volume)
    panel.spin()
    assert not panel.ui.filmReadCheck.enabled  # nobody knows yet what the scan says of it
    panel.ui.addButton.click()
    panel.click(volume, (100.0, 80.0), (100.0, 92.0), shown=volume)
    assert "press Apply" in panel.dialogs.errors.pop().message
    panel.scan()
    panel.select([row[0] for row in panel.rows()].index("R CC"))
    assert panel.ui.filmReadCheck.enabled


def read_first(panel, tmp_path):
    """Accept the first finding and declare its film read; gives the film's UID."""
    curve = panel.select(0)
    panel.ui.acceptButton.click()
    panel.ui.filmReadCheck.checked = True
    panel.ui.readerEdit.text = "Anna Muster"
    panel.dialogs.path = tmp_path / "reading"
    return curve.GetAttribute(nodes.FILM)


def test_a_film_that_was_removed_is_not_exported_as_normal(panel, scanned, tmp_path):
    film = read_first(panel, tmp_path)
    panel.scene.RemoveNode(nodes.volume_of(panel.scene, film))
    panel.spin()
    panel.ui.exportJsonButton.click()
    told = json.loads(panel.dialogs.path.read_text())["films"][film]
    assert told["label"] == "malignant" and len(told["lesions"]) == 1
    panel.ui.exportSrButton.click()
    assert "L MLO: read, but not loaded" in panel.dialogs.errors.pop().message


def test_a_scan_without_a_film_that_was_read_forgets_no_word_of_it(panel, scanned, tmp_path):
    film = read_first(panel, tmp_path)
    panel.scene.RemoveNode(nodes.volume_of(panel.scene, film))
    panel.spin()
    panel.scan()
    panel.ui.exportJsonButton.click()
    assert len(json.loads(panel.dialogs.path.read_text())["films"][film]["lesions"]) == 1


def test_a_film_that_is_loaded_again_elsewhere_takes_its_findings_along(panel, scanned, case):
    film = panel.select(0).GetAttribute(nodes.FILM)
    volume = nodes.volume_of(panel.scene, film)
    before = geometry.outline(volume, panel.select(0))
    panel.scene.RemoveNode(volume)
    panel.spin()
    again = panel.world.add_film(case("two-films")[1][film], panel.database, "again")
    again.SetOrigin(20.0, 30.0, 5.0)
    panel.world.show(again)
    panel.spin()
    curve = next(c for c in nodes.findings(panel.scene) if c.GetAttribute(nodes.FILM) == film)
    assert np.allclose(geometry.outline(again, curve), before, atol=1e-3)
    position = [0.0, 0.0, 0.0]
    curve.GetNthControlPointPosition(0, position)
    assert position[2] == pytest.approx(5.0)


def stacked(panel, case, uids):
    """Films in one volume, as Slicer's own reader stacks the views of a series."""
    _, films = case("two-films")
    pixels = np.stack([pydicom.dcmread(films[uid]).pixel_array for uid in uids])
    stack = panel.world.add_pixels(pixels, (0.2, 0.2), "stack")
    stack.SetAttribute(nodes.INSTANCE_UIDS, " ".join(uids))
    panel.world.show(stack)
    panel.spin()
    return stack


def test_a_second_volume_of_a_film_shows_no_finding_over_another_film(panel, scanned, case):
    left, right = (film.sop_instance_uid for film in scanned.films)
    stacked(panel, case, [right, left])  # its first slice lies where the single films lie
    for curve in nodes.findings(panel.scene):
        assert "vtkMRMLSliceNodeRed" not in curve.GetDisplayNode().GetViewNodeIDs()


def test_a_label_map_of_a_film_in_a_view_does_no_harm(panel, scanned):
    label = panel.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    label.SetAttribute(nodes.INSTANCE_UIDS, "1.2.3")
    panel.world.composite("Red").SetBackgroundVolumeID(label.GetID())
    panel.spin()
    panel.widget.session.refresh_views()
    assert len(panel.rows()) == 2


def test_each_slice_of_a_stack_has_its_own_heat_map(panel, load, gateway, case):
    study = load()
    for volume in nodes.volumes(panel.scene):
        panel.scene.RemoveNode(volume)
    uids = [film.sop_instance_uid for film in study.films]
    stacked(panel, case, uids)
    panel.connect(gateway)
    panel.scan()
    panel.ui.heatMapCheck.checked = True
    for index, uid in enumerate(uids):
        panel.world.node("Red").SetSliceOffset(index)
        panel.spin()
        shown = panel.scene.GetNodeByID(panel.world.composite("Red").GetForegroundVolumeID())
        assert shown.GetAttribute(nodes.FILM) == uid


def test_a_jump_uses_a_view_of_the_layout(panel, scanned):
    left, right = volumes(panel, scanned)
    panel.world.show(left, "Red")
    panel.world.show(right, "Yellow")
    panel.world.node("Red").SetMappedInLayout(1)
    panel.world.node("Yellow").SetMappedInLayout(0)
    panel.select([row[0] for row in panel.rows()].index("R CC"))
    assert panel.world.composite("Red").GetBackgroundVolumeID() == right.GetID()
