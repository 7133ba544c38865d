"""A result in a real MRML scene: places, colours, tables, views, save and reload."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scene_world import World

from BCDDetectorLib import geometry, heat_map, nodes, show, verdicts, views
from BCDDetectorLib.result_reader import read_result
from BCDDetectorLib.sr_reader import read_cad_sr
from BCDDetectorLib.state import State

COLORED = 60  # of 255, between the largest and the least of red, green and blue


def colored(picture) -> np.ndarray:
    return np.argwhere(np.ptp(picture.astype(int), axis=2) > COLORED)


def test_each_finding_is_a_locked_curve_in_its_place_and_colour(world, shown):
    study, volumes, table = shown
    curves = {curve.GetAttribute(nodes.TRACKING_UID): curve for curve in nodes.findings(world.scene)}
    assert set(curves) == {finding.tracking_uid for finding in study.findings}
    for finding in study.findings:
        curve = curves[finding.tracking_uid]
        assert curve.GetLocked()
        assert curve.GetDisplayNode().GetSelectedColor() == pytest.approx(show.COLORS[finding.label])
        corners = geometry.outline(volumes[finding.film], curve)
        assert np.allclose(corners, finding.outline, atol=1e-4)
        assert show.get_place(curve)[0] == pytest.approx(finding.center)
        share = finding.probability.malignant if finding.label == "malignant" else finding.probability.benign
        assert f"{share:.0%}" in curve.GetName()
    assert table.GetNumberOfRows() == 3
    assert table.GetCellText(0, 3) == "malignant"


@pytest.mark.parametrize("index", [0, 1], ids=["left", "right"])
def test_the_outline_lies_on_the_lesion_in_the_picture(world, shown, pictures, index):
    """By pixels alone: the bright disc of the film lies inside the drawn outline, and centred in it."""
    study, volumes, _ = shown
    film = study.films[index]
    assert film.laterality == "LR"[index]
    world.show(volumes[film.sop_instance_uid])
    views.update(world.scene, 0.5)
    for curve in nodes.findings(world.scene):
        curve.GetDisplayNode().SetPointLabelsVisibility(False)
    picture = world.render(path=pictures / f"outline-{film.laterality}.png")
    outline = colored(picture)
    gray = picture.astype(int).max(axis=2) * (np.ptp(picture.astype(int), axis=2) <= COLORED)
    disc = np.argwhere(gray > 150)
    assert len(disc) > 200 and len(outline) > 100
    low, high = outline.min(axis=0), outline.max(axis=0)
    assert (low < disc.min(axis=0)).all() and (disc.max(axis=0) < high).all()
    assert np.abs((low + high) / 2 - disc.mean(axis=0)).max() < 1.0  # a pixel of the film is 2 of the picture


def test_only_the_films_own_findings_are_in_a_view(world, shown):
    study, volumes, _ = shown
    left, right = (film.sop_instance_uid for film in study.films)
    world.show(volumes[left], "Red")
    world.show(volumes[right], "Yellow")
    views.update(world.scene, 0.0)
    for curve in nodes.findings(world.scene):
        name = "Red" if curve.GetAttribute(nodes.FILM) == left else "Yellow"
        assert list(curve.GetDisplayNode().GetViewNodeIDs()) == [f"vtkMRMLSliceNode{name}"]
    world.show(volumes[right], "Red")
    views.update(world.scene, 0.0)
    hidden = [c for c in nodes.findings(world.scene) if not c.GetDisplayNode().GetVisibility()]
    assert {curve.GetAttribute(nodes.FILM) for curve in hidden} == {left}


def test_the_threshold_hides_and_shows(world, shown):
    study, volumes, _ = shown
    world.show(volumes[study.films[0].sop_instance_uid], "Red")
    world.show(volumes[study.films[1].sop_instance_uid], "Yellow")

    def visible(threshold):
        views.update(world.scene, threshold)
        return sum(bool(c.GetDisplayNode().GetVisibility()) for c in nodes.findings(world.scene))

    assert [visible(value) for value in (0.0, 0.5, 0.9, 0.0)] == [3, 2, 0, 3]


def test_jump_centres_the_finding_in_its_own_view(world, shown):
    study, volumes, _ = shown
    world.show(volumes[study.films[0].sop_instance_uid], "Red")
    world.show(volumes[study.films[1].sop_instance_uid], "Yellow")
    before = [world.node("Red").GetSliceToRAS().GetElement(i, 3) for i in range(3)]
    curve = next(
        c
        for c in nodes.findings(world.scene)
        if c.GetAttribute(nodes.FILM) == study.films[1].sop_instance_uid
    )
    views.jump(world.application, world.scene, curve)
    wanted = geometry.to_ras(volumes[study.films[1].sop_instance_uid], show.get_place(curve)[0])
    after = [world.node("Yellow").GetSliceToRAS().GetElement(i, 3) for i in range(3)]
    assert after == pytest.approx(wanted)
    assert [world.node("Red").GetSliceToRAS().GetElement(i, 3) for i in range(3)] == before


def test_a_jump_brings_a_hidden_film_into_view(world, shown):
    _, volumes, _ = shown
    world.node("Red").SetOrientationMarkerType(1)
    curve = nodes.findings(world.scene)[0]
    views.jump(world.application, world.scene, curve)
    assert world.composite("Red").GetBackgroundVolumeID() == volumes[curve.GetAttribute(nodes.FILM)].GetID()
    assert world.node("Red").GetOrientationMarkerType() == 0  # R, L, A, P mean nothing on a mammogram


def test_four_views_in_one_volume(world, case):
    """Slicer's own reader stacks the views of a series: each finding lies in its own slice."""
    import pydicom

    folder, films = case("two-films")
    study = read_result(folder)
    uids = [film.sop_instance_uid for film in study.films]
    stack = np.stack([pydicom.dcmread(films[uid]).pixel_array for uid in uids])
    volume = world.add_pixels(stack, (0.2, 0.2), "series")
    volume.SetAttribute(nodes.INSTANCE_UIDS, " ".join(uids))
    show.show_study(world.scene, study)
    for curve in nodes.findings(world.scene):
        position = [0.0, 0.0, 0.0]
        curve.GetNthControlPointPosition(0, position)
        assert geometry.from_ras(volume, position)[1] == uids.index(curve.GetAttribute(nodes.FILM))


def test_save_and_reload_keep_findings_verdicts_and_choices(world, shown, tmp_path):
    study, _, table = shown
    curves = nodes.findings(world.scene)
    verdicts.judge(curves[0], nodes.ACCEPTED, "benign")
    verdicts.judge(curves[1], nodes.REJECTED)
    film = study.films[1].sop_instance_uid
    show.add_missed(world.scene, study.study_instance_uid, film, "1.2.3", (33.5, 44.25), 7.0, "malignant")
    nodes.set_film_read(table, film, True)
    state = State(world.scene)
    state.threshold, state.heat_map, state.opacity = 0.25, True, 0.7
    state.input = nodes.volume_of(world.scene, film)
    before = verdicts.collect(world.scene, table, "Dr Test")
    bundle = tmp_path / "scene.mrb"
    assert world.scene.WriteToMRB(str(bundle))

    other = World()
    assert other.scene.ReadFromMRB(str(bundle))
    (found,) = nodes.study_nodes(other.scene)
    after = verdicts.collect(other.scene, found, "Dr Test")
    assert after.study == before.study and after.study.prevalence == study.prevalence == 0.4
    assert after.films_read == before.films_read == {film}
    for mine, theirs in zip(after.marks, before.marks):
        assert np.allclose(mine.outline, theirs.outline, atol=1e-3)
        assert {**vars(mine), "outline": 0} == {**vars(theirs), "outline": 0}
    assert len(after.marks) == len(before.marks) == 4
    assert all(curve.GetLocked() for curve in nodes.findings(other.scene))
    again = State(other.scene)
    assert (again.threshold, again.heat_map, again.opacity) == (0.25, True, 0.7)
    assert nodes.film_uids(again.input) == [film]
    assert found.GetNumberOfRows() == 4
    other.close()


def test_a_second_result_keeps_the_readers_word(world, shown):
    study, _, _ = shown
    first = nodes.findings(world.scene)[0]
    verdicts.judge(first, nodes.REJECTED)
    film = study.films[0].sop_instance_uid
    show.add_missed(world.scene, study.study_instance_uid, film, "1.2.3", (33.5, 44.25), 7.0, "malignant")
    show.show_study(world.scene, study)
    said = {
        c.GetAttribute(nodes.TRACKING_UID): c.GetAttribute(nodes.VERDICT) for c in nodes.findings(world.scene)
    }
    assert len(said) == 4 and said[first.GetAttribute(nodes.TRACKING_UID)] == nodes.REJECTED
    assert said["1.2.3"] == nodes.ACCEPTED
    assert len(nodes.study_nodes(world.scene)) == 1


def test_two_studies_stay_apart(world, case, shown):
    study, _, _ = shown
    folder, films = case("finding")
    other = read_result(folder)
    # The made-up studies share one UID and their films too: make this one another patient's.
    renamed = "1.2.3.4"
    (film,) = other.films
    (finding,) = film.findings
    finding = replace(finding, film="9.9", tracking_uid="9.9.1")
    film = replace(film, sop_instance_uid="9.9", findings=(finding,))
    other = replace(other, study_instance_uid=renamed, films=(film,))
    volume = world.add_film(next(iter(films.values())))
    volume.SetAttribute(nodes.INSTANCE_UIDS, "9.9")
    show.show_study(world.scene, other)
    assert len(nodes.study_nodes(world.scene)) == 2
    assert len(nodes.findings(world.scene, renamed)) == 1
    assert len(nodes.findings(world.scene, study.study_instance_uid)) == 3


def test_the_report_alone_shows_the_same(world, case, shown):
    folder, _ = case("two-films")
    places = {c.GetAttribute(nodes.TRACKING_UID): show.get_place(c)[0] for c in nodes.findings(world.scene)}
    for node in (*nodes.findings(world.scene), *nodes.study_nodes(world.scene)):
        world.scene.RemoveNode(node)
    show.show_study(world.scene, read_cad_sr(folder / "cad_sr.dcm"))
    for curve in nodes.findings(world.scene):
        assert show.get_place(curve)[0] == pytest.approx(
            places[curve.GetAttribute(nodes.TRACKING_UID)], abs=1e-3
        )
    assert len(nodes.findings(world.scene)) == 3


def test_move_and_put_back(world, shown):
    _, volumes, _ = shown
    curve = nodes.findings(world.scene)[0]
    volume = volumes[curve.GetAttribute(nodes.FILM)]
    (row, column), radius = show.get_place(curve)
    verdicts.begin_move(world.scene, curve)
    assert not curve.GetLocked()
    assert not verdicts.end_move(world.scene, curve)  # nothing was dragged
    assert curve.GetLocked() and curve.GetAttribute(nodes.VERDICT) == nodes.UNREAD

    verdicts.begin_move(world.scene, curve)
    outline = [(r + 20.5, c - 3.25) for r, c in geometry.outline(volume, curve)]
    show.draw(curve, volume, 0, outline)
    assert verdicts.end_move(world.scene, curve)
    assert show.get_place(curve)[0] == pytest.approx((row + 20.5, column - 3.25), abs=1e-6)
    assert show.get_place(curve)[1] == pytest.approx(radius, abs=1e-6)
    assert curve.GetAttribute(nodes.VERDICT) == nodes.ACCEPTED

    verdicts.begin_move(world.scene, curve)
    show.draw(curve, volume, 0, [(r + 5000, c) for r, c in outline])
    with pytest.raises(Exception, match="back where it was"):
        verdicts.end_move(world.scene, curve)
    assert np.allclose(geometry.outline(volume, curve), outline, atol=1e-6)


def test_a_circle_in_mm_on_pixels_that_are_not_square(world):
    volume = world.add_pixels(np.zeros((200, 150), np.uint16), (0.1, 0.25), "film")
    outline = geometry.round_outline(volume, (100.0, 70.0), 30.0)
    center = np.array(geometry.to_ras(volume, (100.0, 70.0)))
    distances = [np.linalg.norm(np.array(geometry.to_ras(volume, point)) - center) for point in outline]
    assert distances == pytest.approx([3.0] * len(outline))


def test_the_heat_map_lies_on_the_film(world, case, shown):
    study, volumes, _ = shown
    folder, _ = case("two-films")
    if not (folder / "heatmap").exists():
        pytest.skip("this version writes no heat maps")
    assert heat_map.load_all(world.scene, study.study_instance_uid, folder) == {}
    made = nodes.heat_maps(world.scene)
    assert len(made) == 2
    for node in made:
        volume = volumes[node.GetAttribute(nodes.FILM)]
        assert node.GetImageData().GetDimensions() == volume.GetImageData().GetDimensions()
        assert geometry.to_ras(node, (12.0, 34.0)) == pytest.approx(geometry.to_ras(volume, (12.0, 34.0)))
    world.show(volumes[study.films[0].sop_instance_uid], "Red")
    views.show_heat_maps(world.scene, True, 0.4)
    composite = world.composite("Red")
    shown_map = world.scene.GetNodeByID(composite.GetForegroundVolumeID())
    assert shown_map.GetAttribute(nodes.FILM) == study.films[0].sop_instance_uid
    assert composite.GetForegroundOpacity() == 0.4
    views.show_heat_maps(world.scene, False, 0.4)
    assert composite.GetForegroundVolumeID() is None and composite.GetForegroundOpacity() == 0


def test_distances_are_not_mirrored(world, shown):
    """A column further right is further left of the patient: -R; a row further down is -A."""
    _, volumes, _ = shown
    volume = next(iter(volumes.values()))
    origin, right, down = (geometry.to_ras(volume, p) for p in ((0, 0), (0, 10), (10, 0)))
    assert right[0] < origin[0] and math.isclose(right[1], origin[1])
    assert down[1] < origin[1] and math.isclose(down[0], origin[0])


def captions(curve) -> list[str]:
    labels = [curve.GetNthControlPointLabel(index) for index in range(curve.GetNumberOfControlPoints())]
    return [label for label in labels if label]


def test_the_caption_stands_at_the_outlines_right(world, shown):
    study, volumes, _ = shown
    finding = study.findings[0]
    curve = next(
        c for c in nodes.findings(world.scene) if c.GetAttribute(nodes.TRACKING_UID) == finding.tracking_uid
    )
    assert captions(curve) == ["1 malignant 60%"]
    corners = geometry.outline(volumes[finding.film], curve)
    (index,) = (i for i in range(len(corners)) if curve.GetNthControlPointLabel(i))
    assert corners[index][1] == max(column for _, column in corners)
    verdicts.judge(curve, nodes.ACCEPTED, "benign")
    assert captions(curve) == ["1 benign, by the reader"]
    verdicts.judge(curve, nodes.ACCEPTED, "malignant")
    assert captions(curve) == ["1 malignant 60%"]
