"""The panel against the real gateway and worker: the outline lies on the lesion, in a rendered picture."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import pytest
import real_gateway

from BCDDetectorLib import geometry, nodes, show

PICTURES = Path(__file__).parents[3] / "build" / "slicer"
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
            found[uid] = {**film, "file": path.parent / film["file"]}
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
    panel.load({uid: film["file"] for uid, film in films.items()})
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


def check_picture(panel, uid, lesion, curve, path) -> None:
    """The coloured pixels of the picture lie around the lesion's place, which comes from its truth alone."""
    volume = nodes.volume_of(panel.scene, uid)
    panel.world.show(volume)
    panel.widget.session.refresh_views()
    curve.GetDisplayNode().SetPropertiesLabelVisibility(False)
    for other in nodes.findings(panel.scene):
        if other.GetID() != curve.GetID():
            other.GetDisplayNode().SetVisibility(False)
    picture = panel.world.render("Red", path).astype(int)
    curve.GetDisplayNode().SetPropertiesLabelVisibility(True)
    colored = np.argwhere(np.ptp(picture, axis=2) > 60)
    assert len(colored) > 30
    wanted = panel.world.to_view(geometry.to_ras(volume, lesion["center"]))
    edge = panel.world.to_view(
        geometry.to_ras(volume, (lesion["center"][0] + lesion["radius"], lesion["center"][1]))
    )
    reach = max(abs(edge[0] - wanted[0]), 5.0)
    low, high = colored.min(axis=0), colored.max(axis=0)
    assert (low - 1 <= np.array(wanted)).all() and (np.array(wanted) <= high + 1).all()
    assert np.hypot(*((low + high) / 2 - np.array(wanted))) <= reach + 3
    panel.widget.session.refresh_views()


def test_phantoms_through_the_real_gateway(panel, up, phantoms):
    patients: dict[str, dict] = {}
    for uid, film in phantoms.items():
        patients.setdefault(film["patient"], {})[uid] = film
    found = []
    for films in patients.values():
        scan(panel, up, films)
        found += hits(panel, films)
        for curve in nodes.findings(panel.scene):
            panel.scene.RemoveNode(curve)
        for volume in nodes.volumes(panel.scene):
            panel.scene.RemoveNode(volume)
        panel.spin()
    assert found


@pytest.mark.skipif(not os.environ.get("BCD_MIAS_DIR"), reason="needs the real films (BCD_MIAS_DIR)")
def test_real_films(panel, up):
    """Placeholder."""
