"""The panel against the real gateway and worker: the outline lies on the lesion, in a rendered picture."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
import real_gateway

from BCDDetectorLib import geometry, nodes, show
from BCDDetectorLib.address import DEFAULT_ADDRESS

PICTURES = Path(__file__).parents[3] / "build" / "slicer"
COLORED = 60  # of 255, between the largest and the least of red, green and blue
_REASON = real_gateway.why_not()
pytestmark = pytest.mark.skipif(bool(_REASON), reason=_REASON)


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    made = real_gateway.RealGateway(tmp_path_factory.mktemp("state"))
    try:
        made.wait(lambda: time.sleep(0.1))
        yield made
    finally:
        made.stop()


def films_of(folder: Path) -> dict[str, dict]:
    """The converted films' truth by UID; ``file`` is their path."""
    found = {}
    for path in folder.rglob("truth.json"):
        for uid, film in json.loads(path.read_text())["films"].items():
            file = path.parent / film["file"]
            side = pydicom.dcmread(file, stop_before_pixels=True).ImageLaterality
            found[uid] = {**film, "file": file, "laterality": side}
    return found


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    real_gateway.admin("phantom", folder / "films", state=folder)
    real_gateway.admin("convert", "mias", folder / "films", folder / "dicom", state=folder)
    return films_of(folder / "dicom")


def scan(panel, up, films):
    """Load the films and press Apply."""
    panel.ui.addressEdit.text = up.address
    panel.ui.tokenEdit.text = up.token
    volumes = panel.load({uid: film["file"] for uid, film in films.items()})
    panel.ui.inputSelector.setCurrentNode(volumes[-1])
    panel.spin()
    panel.apply()
    panel.until(lambda: not panel.widget.scan.runner.busy, 240)
    assert panel.dialogs.errors == [], panel.dialogs.errors[0].details


def hits(panel, films) -> list:
    """(film, lesion, curve) of each lesion that a shown finding lies on."""
    found = []
    for curve in panel.widget.session.findings():
        film = films[curve.GetAttribute(nodes.FILM)]
        (row, column), _ = show.get_place(curve)
        for lesion in film["lesions"]:
            if math.dist((row, column), lesion["center"]) <= max(lesion["radius"], 15):
                found.append((curve.GetAttribute(nodes.FILM), lesion, curve))
    return found


def check_picture(panel, uid, lesion, curve, name) -> None:
    """The drawn outline lies on the lesion: by the picture's pixels, and the place that the truth gives."""
    volume = nodes.volume_of(panel.scene, uid)
    panel.world.show(volume)
    panel.widget.session.refresh_views()
    PICTURES.mkdir(parents=True, exist_ok=True)
    panel.world.render("Red", PICTURES / f"{name}.png")
    for other in nodes.findings(panel.scene):
        other.GetDisplayNode().SetPointLabelsVisibility(False)
        other.GetDisplayNode().SetVisibility(other.GetID() == curve.GetID())
    picture = panel.world.render("Red").astype(int)
    colored = np.argwhere(np.ptp(picture, axis=2) > COLORED)
    assert len(colored) > 30
    center = np.array(panel.world.to_view(geometry.to_ras(volume, lesion["center"])))
    below = (lesion["center"][0] + lesion["radius"], lesion["center"][1])
    radius = abs(panel.world.to_view(geometry.to_ras(volume, below))[0] - center[0])
    low, high = colored.min(axis=0), colored.max(axis=0)
    assert (low <= center).all() and (center <= high).all()
    assert np.hypot(*((low + high) / 2 - center)) <= max(radius, 8)
    for other in nodes.findings(panel.scene):
        other.GetDisplayNode().SetPointLabelsVisibility(True)
    panel.widget.session.refresh_views()


def scan_and_look(panel, up, films, prefix) -> dict[str, list]:
    """Scan study by study; every lesion that was found is looked at in a picture. Names by laterality."""
    seen: dict[str, list] = {}
    patients: dict[str, dict] = {}
    for uid, film in films.items():
        patients.setdefault(film["patient"], {})[uid] = film
    for own in patients.values():
        scan(panel, up, own)
        for uid, lesion, curve in hits(panel, own):
            name = f"{prefix}-{own[uid]['name']}"
            check_picture(panel, uid, lesion, curve, name)
            seen.setdefault(own[uid]["laterality"], []).append(name)
    assert len(nodes.study_nodes(panel.scene)) == len(patients)  # all studies stay open
    return seen


def test_phantoms(panel, up, phantoms):
    """Through upload, queue, worker, download and MRML into a picture."""
    seen = scan_and_look(panel, up, phantoms, "phantom")
    assert seen, "no lesion was found"
    panel.picture("panel-phantom")


def test_pictures_of_the_tutorial(panel, up, phantoms):
    """As docs/tutorial shows them; phantoms only. `make pictures-slicer` copies them from build/slicer."""
    films = {uid: film for uid, film in phantoms.items() if film["patient"] == "phantom-001"}
    scan(panel, up, films or phantoms)
    uid, _, curve = hits(panel, films or phantoms)[0]
    panel.world.node().SetDimensions(640, 640, 1)
    panel.ui.readerEdit.text = "Anna Muster"
    row = [c.GetID() for c in panel.widget.session.findings()].index(curve.GetID())
    panel.ui.findingsTable.selectRow(row)
    panel.ui.acceptButton.click()
    panel.spin()
    panel.ui.addressEdit.text = DEFAULT_ADDRESS
    panel.picture("tutorial-panel")
    panel.world.show(nodes.volume_of(panel.scene, uid))
    panel.widget.session.refresh_views()
    panel.world.render("Red", PICTURES / "tutorial-findings.png")
    if panel.ui.heatMapCheck.enabled:
        panel.ui.heatMapCheck.checked = True
        panel.spin()
        shown = panel.world.render("Red", PICTURES / "tutorial-heat-map.png").astype(int)
        row, column = (
            int(v)
            for v in panel.world.to_view(
                geometry.to_ras(nodes.volume_of(panel.scene, uid), show.get_place(curve)[0])
            )
        )
        spot = shown[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3)
        assert np.ptp(spot, axis=1).max() > 30  # coloured where the finding is


def test_a_region_of_a_phantom(panel, up, phantoms):
    """The circle of a known lesion, drawn and classified by the real worker."""
    uid, film = next((uid, film) for uid, film in phantoms.items() if film["lesions"])
    lesion = film["lesions"][0]
    panel.ui.addressEdit.text, panel.ui.tokenEdit.text = up.address, up.token
    (volume,) = panel.load({uid: film["file"]})
    panel.world.show(volume)
    panel.ui.drawButton.click()
    row, column = lesion["center"]
    panel.click(volume, (row, column), (row, column + lesion["radius"]), shown=volume)
    panel.ui.classifyButton.click()
    panel.until(lambda: not panel.widget.region.runner.busy, 60)
    assert panel.dialogs.errors == []
    assert panel.ui.regionLabel.text.startswith("The circle is ")


def test_a_picture_without_dicom_origin(panel, up, phantoms):
    """Its pixels, wrapped as Secondary Capture, are scanned and shown like those of a film."""
    panel.ui.addressEdit.text, panel.ui.tokenEdit.text = up.address, up.token
    film = next(film for film in phantoms.values() if film["lesions"])
    pixels = pydicom.dcmread(film["file"]).pixel_array
    panel.world.add_pixels(pixels, (1.0, 1.0), "film.pgm")
    panel.spin()
    panel.ui.spacingSpin.value = 0.2
    panel.apply()
    panel.until(lambda: not panel.widget.scan.runner.busy, 240)
    assert panel.dialogs.errors == [], panel.dialogs.errors[0].details
    assert len(nodes.study_nodes(panel.scene)) == 1 and nodes.findings(panel.scene)


@pytest.mark.skipif(not os.environ.get("BCD_MIAS_DIR"), reason="needs the real films (BCD_MIAS_DIR)")
def test_real_films_of_both_sides(panel, up, tmp_path):
    """Pictures go into the ignored build folder; the films may not be shown elsewhere."""
    mias = Path(os.environ["BCD_MIAS_DIR"])
    films = tmp_path / "films"
    films.mkdir()
    wanted = [f"mdb{number:03}" for number in (57, 58, 63, 64)]
    for name in wanted:
        (films / f"{name}.pgm").write_bytes(next(mias.rglob(f"{name}.pgm")).read_bytes())
    lines = next(mias.rglob("Info.txt")).read_text().splitlines()
    (films / "Info.txt").write_text("\n".join(line for line in lines if line.split(" ")[0] in wanted) + "\n")
    real_gateway.admin("convert", "mias", films, tmp_path / "dicom", state=tmp_path)
    seen = scan_and_look(panel, up, films_of(tmp_path / "dicom"), "film")
    assert set(seen) == {"L", "R"}
