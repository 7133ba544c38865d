"""The panel as a user meets it: each thing that it must do or refuse."""

from __future__ import annotations

from BCDDetectorLib import nodes


def load(panel, case, gateway, name="two-films"):
    folder, films = case(name)
    from BCDDetectorLib.result_reader import read_result

    study = read_result(folder)
    gateway.results[study.study_instance_uid] = folder
    return study, panel.load(films)


def test_apply_is_disabled_with_its_reason(panel, case, gateway):
    button = panel.ui.applyButton
    assert not button.enabled and "Load a mammogram" in button.toolTip
    load(panel, case, gateway)
    assert not button.enabled and "token" in button.toolTip
    panel.connect(gateway)
    assert button.enabled and "2 films of this study" in button.toolTip
    panel.ui.addressEdit.text = "ftp://x"
    assert not button.enabled and "address" in button.toolTip.lower()


def test_submit_progress_findings_and_markups(panel, case, gateway):
    study, _ = load(panel, case, gateway)
    panel.connect(gateway)
    seen = []
    panel.apply()
    assert panel.dialogs.asked and "2 films" in panel.dialogs.asked[0]
    assert not panel.ui.applyButton.enabled and "under way" in panel.ui.applyButton.toolTip
    panel.until(lambda: seen.append(panel.ui.statusLabel.text) or not panel.widget.scan.runner.busy)
    assert any(text.startswith("Scanning film") for text in seen)
    assert panel.dialogs.errors == []
    assert "2 findings shown, 1 below the threshold, 2 films scanned" in panel.ui.statusLabel.text
    assert [row[2] for row in panel.rows()] == ["malignant", "benign"]
    curves = nodes.findings(panel.scene)
    assert len(curves) == len(study.findings) == 3
    assert all(curve.GetLocked() for curve in curves)
    panel.picture("panel")
