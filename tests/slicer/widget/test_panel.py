"""The panel as a user meets it: each thing that it must do or refuse."""

from __future__ import annotations

import json
import time

import numpy as np
import pydicom
import pytest
from fake_gateway import TOKEN
from qt_double import Settings

from BCDDetectorLib import errors, geometry, nodes, show
from BCDDetectorLib.result_reader import read_result


@pytest.fixture
def load(panel, case, gateway):
    """``load(case)``: its films in the scene, its result at the gateway; gives the study's words."""

    def do(name="two-films"):
        folder, films = case(name)
        study = read_result(folder)
        gateway.results[study.study_instance_uid] = folder
        panel.load(films)
        return study

    return do


@pytest.fixture
def scanned(panel, load, gateway):
    """The study of two films, scanned and shown."""
    study = load()
    panel.connect(gateway)
    panel.scan()
    assert panel.dialogs.errors == []
    return study


def select(panel, row):
    panel.ui.findingsTable.selectRow(row)
    panel.spin()
    return panel.widget.findings.curve


def test_apply_is_disabled_with_its_reason(panel, load, gateway):
    button = panel.ui.applyButton
    assert not button.enabled and "Load a mammogram" in button.toolTip
    load()
    assert panel.ui.inputSelector.currentNode() is not None  # chosen without a click
    assert not button.enabled and "token" in button.toolTip
    panel.connect(gateway)
    assert button.enabled and "2 films of this study" in button.toolTip
    panel.ui.addressEdit.text = "ftp://x"
    assert not button.enabled and "address" in button.toolTip.lower()
    panel.connect(gateway)
    panel.database.files.clear()
    panel.widget.refresh()
    assert not button.enabled and "DICOM database" in button.toolTip


def test_submit_progress_findings_and_markups(panel, load, gateway):
    study = load()
    panel.connect(gateway)
    gateway.script = [("queued", 0), *[("running", 1)] * 10, *[("running", 2)] * 10, ("done", 2)]
    seen, values = [], []
    panel.apply()
    assert not panel.ui.applyButton.enabled and "under way" in panel.ui.applyButton.toolTip
    assert panel.ui.cancelButton.enabled
    panel.until(
        lambda: (
            seen.append(panel.ui.statusLabel.text)
            or values.append(panel.ui.progressBar.value)
            or not panel.widget.scan.runner.busy
        )
    )
    assert any(text.startswith("Scanning film 2 of 2") for text in seen)
    assert max(values) >= 500
    assert panel.dialogs.errors == []
    assert panel.ui.statusLabel.text == "2 findings shown, 1 below the threshold, 2 films scanned"
    assert [row[:4] for row in panel.rows()] == [
        ["L MLO", "1", "malignant", "80%"],
        ["R CC", "1", "benign", "80%"],
    ]
    curves = nodes.findings(panel.scene)
    assert len(curves) == len(study.findings) == 3
    assert all(curve.GetLocked() for curve in curves)
    assert panel.ui.applyButton.enabled and not panel.ui.cancelButton.enabled
    panel.picture("panel")


def test_nothing_leaves_without_consent(panel, load, gateway):
    load()
    panel.connect(gateway)
    panel.dialogs.agree = False
    panel.apply()
    panel.spin()
    assert gateway.calls == [] and panel.ui.statusLabel.text == "Nothing was sent."
    (question,) = panel.dialogs.asked
    assert "2 films" in question and gateway.address in question and "patient's name" in question
    panel.dialogs.agree = True
    panel.scan()
    panel.scan()
    assert len(panel.dialogs.asked) == 2  # once for each address, after the refusal


def test_consent_says_when_the_line_is_open(panel):
    from BCDDetectorLib import rules

    assert "not encrypted" in rules.consent("http://bcd.example.org", 2, 10)
    assert "not encrypted" not in rules.consent("https://bcd.example.org", 2, 10)
    assert "not encrypted" not in rules.consent("http://127.0.0.1:8970", 2, 10)


@pytest.mark.parametrize(
    ("status", "word"),
    [(401, "Refused"), (403, "Refused"), (404, "Not found"), (503, "Overloaded"), (None, "Connected")],
)
def test_the_connection_is_tested(panel, gateway, status, word):
    panel.connect(gateway)
    gateway.refuse = (status, {}) if status else None
    panel.ui.testButton.click()
    assert not panel.ui.testButton.enabled
    panel.until(lambda: panel.ui.testButton.enabled)
    assert panel.ui.connectionLabel.text.startswith(word)
    assert panel.dialogs.errors == []


def test_an_unreachable_gateway_and_one_without_workers(panel, gateway):
    panel.connect(gateway)
    gateway.workers = 0
    panel.ui.testButton.click()
    panel.until(lambda: panel.ui.testButton.enabled)
    assert "no worker" in panel.ui.connectionLabel.text
    gateway.stop()
    panel.ui.testButton.click()
    panel.until(lambda: panel.ui.testButton.enabled)
    assert panel.ui.connectionLabel.text.startswith("Unreachable")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, errors.Refused), (413, errors.TooLarge), (422, errors.Unusable), (503, errors.Overloaded)],
)
def test_a_refusal_is_shown_with_its_details(panel, load, gateway, status, kind):
    load()
    panel.connect(gateway)
    gateway.refuse = (status, {})
    panel.scan()
    (error,) = panel.dialogs.errors
    assert isinstance(error, kind) and "req-1" in error.details and TOKEN not in error.details
    assert panel.ui.statusLabel.text == error.message
    assert panel.ui.applyButton.enabled


def test_a_gateway_that_is_away_is_told(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.stop()
    panel.scan()
    assert isinstance(panel.dialogs.errors[0], errors.Unreachable)


def test_the_panel_never_freezes(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.silent = 0.5
    begun, longest = time.monotonic(), 0.0
    panel.apply()
    assert time.monotonic() - begun < 0.3
    end = time.monotonic() + 2
    while time.monotonic() < end:
        before = time.monotonic()
        panel.app.processEvents()
        longest = max(longest, time.monotonic() - before)
        time.sleep(0.005)
    assert longest < 0.3
    panel.ui.cancelButton.click()
    panel.until(lambda: not panel.widget.scan.runner.busy)


def test_cancel_in_mid_film(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.script = [("running", 1)]
    panel.apply()
    panel.until(lambda: panel.ui.statusLabel.text.startswith("Scanning film 1"))
    panel.ui.cancelButton.click()
    panel.until(lambda: not panel.widget.scan.runner.busy)
    assert panel.ui.statusLabel.text == "Cancelled." and panel.dialogs.errors == []
    assert [job["state"] for job in gateway.jobs.values()] == ["cancelled"]
    assert nodes.findings(panel.scene) == [] and panel.ui.applyButton.enabled


def test_the_server_dies_in_mid_job_and_comes_back(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.script = [("running", 1)]
    panel.apply()
    panel.until(lambda: panel.ui.statusLabel.text.startswith("Scanning film 1"))
    gateway.stop()
    panel.until(lambda: "away" in panel.ui.statusLabel.text)
    gateway.left = {job: [("done", 2)] for job in gateway.left}
    gateway.start()
    panel.until(lambda: not panel.widget.scan.runner.busy)
    assert panel.dialogs.errors == [] and len(panel.rows()) == 2


def test_the_scene_is_closed_while_a_job_runs(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.script = [("running", 1)]
    panel.apply()
    panel.until(lambda: panel.ui.statusLabel.text.startswith("Scanning film 1"))
    panel.scene.Clear(False)
    panel.spin()
    assert not panel.widget.scan.runner.busy and panel.rows() == []
    assert "found again" in panel.ui.statusLabel.text
    assert [job["state"] for job in gateway.jobs.values()] == ["running"]  # it goes on at the gateway
    (job_id,) = gateway.jobs
    gateway.left[job_id] = [("done", 2)]
    load()
    panel.scan()
    assert len(gateway.received) == 1 and len(panel.rows()) == 2  # found, not sent again
    assert "earlier result" in panel.ui.statusLabel.text


def test_an_earlier_result_is_found_and_a_new_scan_can_be_had(panel, scanned, gateway):
    panel.scan()
    assert len(gateway.received) == 1 and "earlier result" in panel.ui.statusLabel.text
    panel.ui.againCheck.checked = True
    panel.scan()
    assert len(gateway.received) == 2 and gateway.fields[-1] == {"force": "true"}


def test_a_click_in_the_table_jumps(panel, scanned):
    curve = select(panel, 1)
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


def test_the_threshold_hides_and_shows_without_a_new_scan(panel, scanned, gateway):
    calls = len(gateway.calls)
    panel.ui.thresholdSlider.value = 0.2
    panel.spin()
    assert len(panel.rows()) == 3
    panel.ui.thresholdSlider.value = 0.95
    panel.spin()
    assert panel.rows() == []
    assert len(nodes.findings(panel.scene)) == 3 and len(gateway.calls) == calls


def test_only_the_address_is_kept(panel, scanned, gateway, tmp_path):
    panel.ui.addressEdit.text = gateway.address
    assert list(Settings.kept.values()) == [gateway.address]
    bundle = tmp_path / "scene.mrb"
    assert panel.scene.WriteToMRB(str(bundle))
    assert TOKEN.encode() not in bundle.read_bytes()
    panel.scene.SetURL(str(tmp_path / "scene.mrml"))
    panel.scene.Commit()
    assert TOKEN not in (tmp_path / "scene.mrml").read_text()


def test_accept_reject_and_read_back(panel, scanned, tmp_path):
    assert not panel.ui.acceptButton.enabled and "Select a finding" in panel.ui.acceptButton.toolTip
    select(panel, 0)
    panel.ui.classCombo.currentText = "benign"
    panel.ui.acceptButton.click()
    select(panel, 1)
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
    curve = select(panel, 0)
    panel.ui.moveButton.click()
    assert not curve.GetLocked() and curve.GetDisplayNode().GetHandlesInteractive()
    volume = nodes.volume_of(panel.scene, curve.GetAttribute(nodes.FILM))
    before = show.get_place(curve)[0]
    show.draw(curve, volume, 0, [(row + 12, column - 5) for row, column in geometry.outline(volume, curve)])
    panel.ui.moveButton.click()
    assert show.get_place(curve)[0] == pytest.approx((before[0] + 12, before[1] - 5))
    assert curve.GetLocked() and panel.rows()[0][5] == "accepted, moved"


def click(panel, volume, *points):
    """Clicks in the view, as the place mode of Markups hands them on."""
    line = next(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode", "drawing"))
    interaction = panel.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    for point in points:
        line.AddControlPoint(geometry.to_ras(volume, point))
    panel.spin()


def test_add_a_missed_finding(panel, scanned):
    select(panel, 0)
    left = scanned.films[0].sop_instance_uid
    volume = nodes.volume_of(panel.scene, left)
    panel.ui.classCombo.currentText = "malignant"
    panel.ui.addButton.click()
    click(panel, volume, (100.0, 80.0), (100.0, 92.0))
    added = [row for row in panel.rows() if row[5] == "added"]
    assert added == [["L MLO", "3", "malignant", "", "", "added"]]
    curve = next(c for c in nodes.findings(panel.scene) if c.GetAttribute(nodes.SOURCE) == nodes.READER)
    center, radius = show.get_place(curve)
    assert center == pytest.approx((100.0, 80.0)) and radius == pytest.approx(12.0)
    assert list(nodes.nodes(panel.scene, "vtkMRMLMarkupsLineNode")) == []


def test_a_circle_beside_the_film_is_refused(panel, scanned):
    select(panel, 0)
    volume = nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid)
    panel.ui.addButton.click()
    click(panel, volume, (-100.0, 80.0), (-90.0, 92.0))
    assert "on no film" in panel.dialogs.errors[0].message


def test_a_region_is_drawn_classified_and_answered(panel, scanned, gateway, case):
    select(panel, 0)
    left = scanned.films[0].sop_instance_uid
    volume = nodes.volume_of(panel.scene, left)
    assert not panel.ui.classifyButton.enabled
    panel.ui.drawButton.click()
    click(panel, volume, (60.25, 40.75), (60.25, 54.75))
    assert panel.ui.classifyButton.enabled
    panel.ui.classifyButton.click()
    panel.until(lambda: not panel.widget.region.runner.busy)
    assert panel.dialogs.errors == []
    assert panel.ui.regionLabel.text == "The circle is malignant: normal 10%, benign 20%, malignant 70%."
    assert gateway.fields[-1] == {"center_row": "60.250", "center_column": "40.750", "radius": "14.000"}
    assert gateway.received[-1] == [case("two-films")[1][left].read_bytes()]
    panel.picture("panel-region")


def test_a_volume_without_dicom_origin(panel, case, gateway):
    """PGM, PNG, NRRD: wrapped as Secondary Capture with the spacing asked for."""
    panel.connect(gateway)
    pixels = np.arange(120 * 90, dtype=np.uint16).reshape(120, 90)
    volume = panel.world.add_pixels(pixels, (1.0, 1.0), "film.pgm")
    panel.spin()
    assert not panel.ui.applyButton.enabled and "pixel spacing" in panel.ui.applyButton.toolTip
    panel.ui.spacingSpin.value = 0.2
    panel.ui.sideCombo.currentText = "L"
    panel.ui.viewCombo.currentText = "MLO"
    assert panel.ui.applyButton.enabled
    panel.scan()
    assert isinstance(panel.dialogs.errors[0], errors.Unusable)  # the made-up gateway knows no such study
    (sent,) = gateway.received[0]
    path = panel.widget.session.folder / "sent.dcm"
    path.write_bytes(sent)
    document = pydicom.dcmread(path)
    assert document.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (document.pixel_array == pixels).all()
    assert list(document.PixelSpacing) == [0.2, 0.2] and document.ImageLaterality == "L"
    assert nodes.film_uids(volume) == [document.SOPInstanceUID]
    panel.scan()
    assert gateway.received[1] == gateway.received[0]  # the same picture is the same instance


def test_two_studies_open(panel, load, gateway, scanned):
    other = load("another-patient")
    volume = nodes.volume_of(panel.scene, other.films[0].sop_instance_uid)
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.spin()
    assert panel.rows() == [] and "1 film of this study" in panel.ui.applyButton.toolTip
    panel.scan()
    assert [row[0] for row in panel.rows()] == ["L MLO"] and len(nodes.findings(panel.scene)) == 4
    panel.ui.inputSelector.setCurrentNode(nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid))
    panel.spin()
    assert len(panel.rows()) == 2


def test_save_and_reload(panel, scanned, tmp_path):
    select(panel, 1)
    panel.ui.rejectButton.click()
    panel.ui.thresholdSlider.value = 0.2
    rows = panel.rows()
    bundle = tmp_path / "scene.mrb"
    assert panel.scene.WriteToMRB(str(bundle))
    panel.scene.Clear(False)
    panel.spin()
    assert panel.rows() == []
    assert panel.scene.ReadFromMRB(str(bundle))
    panel.spin()
    assert panel.rows() == rows and len(rows) == 3
    assert panel.ui.thresholdSlider.value == pytest.approx(0.2)


def test_a_finding_that_is_deleted_elsewhere_leaves_the_table(panel, scanned):
    panel.scene.RemoveNode(nodes.findings(panel.scene)[0])
    panel.spin()
    assert len(panel.rows()) == 1


def test_the_heat_map_is_switched(panel, scanned, case):
    folder, _ = case("two-films")
    if not (folder / "heatmap").exists():
        assert not panel.ui.heatMapCheck.enabled
        pytest.skip("this version writes no heat maps")
    select(panel, 0)
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


def test_a_failed_film_is_named(panel, load, gateway):
    load("one-film-failed")
    panel.connect(gateway)
    panel.scan()
    assert "burned-in annotation" in panel.ui.statusLabel.text


def test_a_film_without_findings_can_be_declared_read(panel, load, gateway):
    study = load("no-finding")
    panel.connect(gateway)
    panel.scan()
    assert panel.rows() == [] and panel.ui.filmReadCheck.enabled
    panel.ui.filmReadCheck.checked = True
    (film,) = study.films
    assert nodes.films_read(panel.widget.session.table) == {film.sop_instance_uid}


def test_choosing_another_film_lets_go_of_the_finding(panel, scanned):
    select(panel, 0)
    right = nodes.volume_of(panel.scene, scanned.films[1].sop_instance_uid)
    left = nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid)
    panel.ui.inputSelector.setCurrentNode(left if panel.widget.session.volume is right else right)
    panel.spin()
    assert panel.widget.findings.curve is None and not panel.ui.acceptButton.enabled


def test_errors_are_shown_in_slicers_own_window(panel, monkeypatch):
    import slicer

    said = {}
    monkeypatch.setattr(
        slicer.util, "errorDisplay", lambda text, **more: said.update(text=text, **more), raising=False
    )
    panel.module.Dialogs().error(errors.Refused("no", "request id req-1"))
    assert said["text"] == "no" and said["detailedText"] == "request id req-1"


def test_the_report_is_opened(panel, scanned, case):
    assert panel.ui.reportButton.enabled == (case("two-films")[0] / "report.html").exists()
    if panel.ui.reportButton.enabled:
        panel.ui.reportButton.click()
        assert panel.dialogs.opened[0].name == "report.html" and panel.dialogs.opened[0].exists()


def test_temporary_files_go_with_the_panel(panel, scanned):
    (folder,) = panel.widget.session._results
    assert (folder / "result.json").exists()
    panel.widget.cleanup()
    assert not folder.exists()


def test_a_region_that_no_worker_answers_can_be_cancelled(panel, scanned, gateway):
    select(panel, 0)
    gateway.region = {"state": "queued"}
    panel.ui.drawButton.click()
    click(panel, nodes.volume_of(panel.scene, scanned.films[0].sop_instance_uid), (60.0, 40.0), (60.0, 54.0))
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
    click(panel, volume, (60.0, 40.0), (60.0, 50.0))
    panel.ui.classifyButton.click()
    panel.until(lambda: not panel.widget.region.runner.busy)
    assert panel.dialogs.errors == [] and panel.ui.regionLabel.text.startswith("The circle is malignant")
    assert b"2.25." in gateway.received[0][0]


def test_a_scene_that_was_saved_in_mid_move_is_locked_again(panel, scanned, tmp_path):
    curve = select(panel, 0)
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


def test_nothing_is_logged_that_could_name_a_patient(panel, caplog):
    import slicer

    slicer.util.errorDisplay = lambda *a, **k: None
    panel.module.Dialogs().error(errors.InputError("Muster^Frieda.dcm: cannot be read"))
    assert "Frieda" not in caplog.text and "InputError" in caplog.text
