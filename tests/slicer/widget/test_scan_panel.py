"""The panel as a user meets it: input, consent, gateway, jobs."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time

import numpy as np
import pydicom
import pytest
from fake_gateway import TOKEN
from qt_double import Settings

from BCDDetectorLib import errors, nodes


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


def test_the_line_on_a_result_is_about_its_study_whatever_is_chosen_meanwhile(panel, load, case, gateway):
    load()
    panel.connect(gateway)
    _, others = case("another-patient")
    (other,) = panel.load(others)
    panel.apply()
    panel.ui.inputSelector.setCurrentNode(other)
    panel.until(lambda: not panel.widget.scan.runner.busy)
    assert panel.rows() == []
    assert panel.ui.statusLabel.text == "2 findings shown, 1 below the threshold, 2 films scanned"


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
    assert len(panel.dialogs.asked) == 2  # once for each address and study, after the refusal
    other = load("another-patient")
    panel.ui.inputSelector.setCurrentNode(nodes.volume_of(panel.scene, other.films[0].sop_instance_uid))
    panel.spin()
    panel.dialogs.agree = False
    sent = len(gateway.received)
    panel.apply()
    panel.spin()
    assert len(panel.dialogs.asked) == 3 and len(gateway.received) == sent  # not yet for this patient


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


def test_the_token_is_not_sent_in_the_clear_unasked(panel, gateway, monkeypatch):
    from BCDDetectorLib import rules

    monkeypatch.setattr(rules, "is_loopback", lambda address: False)  # as if it stood elsewhere
    panel.connect(gateway)
    panel.dialogs.agree = False
    panel.ui.testButton.click()
    panel.spin()
    assert gateway.calls == [] and panel.ui.connectionLabel.text == "Nothing was sent."
    assert "read the token" in panel.dialogs.asked[0] and gateway.address in panel.dialogs.asked[0]
    panel.dialogs.agree = True
    for _ in range(2):
        panel.ui.testButton.click()
        panel.until(lambda: panel.ui.testButton.enabled)
    assert panel.ui.connectionLabel.text.startswith("Connected")
    assert len(panel.dialogs.asked) == 2  # once for each address, after the refusal


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
    ("status", "said"),
    [
        (401, "does not know this token"),
        (413, "too large"),
        (422, "nothing that it can scan"),
        (503, "overloaded"),
    ],
)
def test_a_refusal_is_shown_with_its_details(panel, load, gateway, status, said):
    load()
    panel.connect(gateway)
    gateway.refuse = (status, {})
    panel.scan()
    (error,) = panel.dialogs.errors
    assert said in error.message and "req-1" in error.details and TOKEN not in error.details
    assert panel.ui.statusLabel.text == error.message
    assert panel.ui.applyButton.enabled


def test_a_gateway_that_is_away_is_told(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.stop()
    panel.scan()
    assert isinstance(panel.dialogs.errors[0], errors.UnreachableError)


def test_the_panel_never_freezes(panel, load, gateway):
    load()
    panel.connect(gateway)
    gateway.silent = 1.5
    begun, longest = time.monotonic(), 0.0
    panel.apply()
    assert time.monotonic() - begun < 1.0
    end = time.monotonic() + 2
    while time.monotonic() < end:
        before = time.monotonic()
        panel.app.processEvents()
        longest = max(longest, time.monotonic() - before)
        time.sleep(0.005)
    assert longest < 1.0
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


def test_only_the_address_is_kept(panel, scanned, gateway, tmp_path):
    panel.ui.addressEdit.text = gateway.address
    assert list(Settings.kept.values()) == [gateway.address]
    bundle = tmp_path / "scene.mrb"
    assert panel.scene.WriteToMRB(str(bundle))
    assert TOKEN.encode() not in bundle.read_bytes()
    panel.scene.SetURL(str(tmp_path / "scene.mrml"))
    panel.scene.Commit()
    assert TOKEN not in (tmp_path / "scene.mrml").read_text()


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
    panel.picture("panel-no-origin")
    panel.scan()
    assert "nothing that it can scan" in panel.dialogs.errors[0].message  # the double knows no such study
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


def test_a_failed_film_is_named(panel, load, gateway):
    load("one-film-failed")
    panel.connect(gateway)
    panel.scan()
    assert "burned-in annotation" in panel.ui.statusLabel.text


def test_errors_are_shown_in_slicers_own_window(panel, monkeypatch):
    import slicer

    said = {}
    monkeypatch.setattr(
        slicer.util, "errorDisplay", lambda text, **more: said.update(text=text, **more), raising=False
    )
    panel.module.Dialogs().error(errors.RefusedError("no", "request id req-1"))
    assert said["text"] == "no" and said["detailedText"] == "request id req-1"
    panel.module.Dialogs().error(errors.RefusedError("no"))
    assert said["detailedText"] == ""  # PythonQt would show None as "None"


def test_temporary_files_go_with_the_panel(panel, scanned):
    (folder,) = panel.widget.session.folder.glob("bcd-*")
    assert (folder / "result.json").exists()
    panel.widget.cleanup()
    assert not folder.exists()


def test_a_result_that_was_never_shown_goes_with_the_panel(panel, load, gateway, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load()
    panel.connect(gateway)
    panel.apply()
    panel.widget.scan.runner._task.join(20)  # its result waits for the main thread
    assert list(tmp_path.glob("**/result.json"))
    panel.scene.Clear(False)
    panel.spin()
    panel.widget.cleanup()
    assert list(tmp_path.glob("bcd-*")) == []


def test_an_earlier_result_that_has_expired_is_scanned_anew(panel, scanned, gateway, tmp_path):
    """The gateway keeps the record of a job longer than its files."""
    (job_id,) = gateway.jobs
    gateway.expired.add(job_id)
    panel.scan()
    assert panel.dialogs.errors == [] and len(gateway.received) == 2
    assert "earlier" not in panel.ui.statusLabel.text and len(panel.rows()) == 2


def test_a_thread_gets_on_while_the_loop_idles(panel):
    """Slicer's event loop holds Python's lock all the time; here the switch of threads is held back."""
    runner = panel.widget.scan.runner
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        runner.start(
            lambda task: [task.wait(0.01) for _ in range(5)],
            lambda progress: None,
            lambda value: None,
            lambda error: None,
        )
        end = time.monotonic() + 5
        while runner.busy and time.monotonic() < end:
            runner.drain()
    finally:
        sys.setswitchinterval(before)
    assert not runner.busy


def test_a_spoilt_heat_map_takes_only_itself_away(panel, load, gateway, tmp_path):
    study = load()
    result = tmp_path / "result"
    shutil.copytree(gateway.results[study.study_instance_uid], result)
    told = json.loads((result / "result.json").read_text())
    told["operating_point"]["threshold"] = 0.25
    (result / "result.json").write_text(json.dumps(told))
    (result / "heatmap" / f"{study.films[0].sop_instance_uid}.dcm").write_bytes(b"damaged")
    gateway.results[study.study_instance_uid] = result
    panel.connect(gateway)
    panel.scan()
    assert panel.dialogs.errors == [] and len(panel.rows()) == 3
    assert panel.widget.session.state.threshold == 0.25
    assert "without heat map: L MLO: it cannot be read" in panel.ui.statusLabel.text
    (left,) = nodes.heat_maps(panel.scene)
    assert left.GetAttribute(nodes.FILM) == study.films[1].sop_instance_uid


def test_nothing_is_logged_that_could_name_a_patient(panel, caplog):
    import slicer

    slicer.util.errorDisplay = lambda *a, **k: None
    panel.module.Dialogs().error(errors.InputError("Muster^Frieda.dcm: cannot be read"))
    assert "Frieda" not in caplog.text and "InputError" in caplog.text
