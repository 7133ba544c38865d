"""The result folder: which files it holds, the same bytes each time, and what stops it."""

from __future__ import annotations

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcd_model.errors import OutputError
from converters.dicom.file import quiet
from converters.results.write import with_sop_uid, write_results
from tests.support import result_builder as build
from tests.support.mammograms import code, encoded, mammogram


def written(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", sorted(build.CASES))
def test_the_same_result_gives_the_same_bytes(case, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        write_results(build.CASES[case](), folder)
    assert written(one) == written(two)


def uids(folder):
    return {path.name: pydicom.dcmread(path).SOPInstanceUID for path in folder.rglob("*.dcm")}


def test_no_uid_stands_for_two_contents(tmp_path):
    """One job, which says something else the second time: an archive would drop it under the old UID."""
    film, uid = build.scanned(1, [build.finding((50, 40))]), build.header(1).SOPInstanceUID
    told = build.study(film, build.failed(2, reason="cannot be opened"))
    retold = build.study(film, build.failed(2, reason="has changed"))
    written_uids = []
    for name, result in (("one", told), ("two", retold), ("three", told)):
        (tmp_path / name).mkdir()
        write_results(result, tmp_path / name)
        written_uids.append(uids(tmp_path / name))
    one, two, three = written_uids
    assert one == three
    assert one["cad_sr.dcm"] != two["cad_sr.dcm"]
    assert one[f"{uid}.dcm"] == two[f"{uid}.dcm"]  # these objects say the same


def test_file_names_its_object(tmp_path):
    write_results(build.CASES["finding"](), tmp_path)
    for path in tmp_path.rglob("*.dcm"):
        file = pydicom.dcmread(path)
        assert file.file_meta.MediaStorageSOPInstanceUID == file.SOPInstanceUID


@given(
    st.from_regex(r"[12]\.[1-9][0-9]{0,50}", fullmatch=True),
    st.from_regex(r"[12]\.[1-9][0-9]{0,60}", fullmatch=True),
)
def test_a_file_gets_another_uid_as_if_it_had_been_written_with_it(old, new):
    def written(uid):
        film = mammogram(SOPInstanceUID=uid, ReferencedImageSequence=[code("1", old)])
        film.file_meta.MediaStorageSOPInstanceUID = uid
        return encoded(film)

    assert with_sop_uid(written(old), old, new) == written(new)


def test_odd_values_of_the_header_are_not_quoted_anywhere(tmp_path, recwarn, capfd):
    head = build.header(1)
    with quiet():
        head.RescaleType = "Secretive^Susanna" * 5
        head.SpecificCharacterSet = "ISO_IR 999"
    write_results(build.study(build.scanned(1, head=head)), tmp_path)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_each_scanned_film_has_its_files(tmp_path):
    result = build.study(build.scanned(1), build.failed(2), build.unreadable(3))
    write_results(result, tmp_path)
    uid = result.films[0].sop_instance_uid
    assert set(written(tmp_path)) == {
        "result.json",
        "report.html",
        "cad_sr.dcm",
        "measurement_sr.dcm",
        f"presentation/{uid}.dcm",
        f"overlay/{uid}.dcm",
        f"heatmap/{uid}.dcm",
    }


def test_study_that_cannot_be_read_at_all_still_has_its_json_and_its_page(tmp_path):
    write_results(build.study(build.unreadable()), tmp_path)
    assert set(written(tmp_path)) == {"result.json", "report.html"}


def test_hostile_uid_never_becomes_a_path(tmp_path):
    head = build.header(1)
    object.__setattr__(head["SOPInstanceUID"], "_value", "../../escaped")
    film = build.scanned(1, head=head)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    write_results(build.study(film), folder)
    assert set(written(tmp_path)) == {"a/b/result.json", "a/b/report.html"}


def test_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_results(build.CASES["finding"](), tmp_path / "not there" / "either")


def test_folder_that_holds_a_file_in_the_way_is_an_output_error(tmp_path):
    (tmp_path / "presentation").write_text("in the way")
    with pytest.raises(OutputError, match="presentation"):
        write_results(build.CASES["finding"](), tmp_path)


def series_of(folder):
    """The descriptions of the series of a result, by Series Instance UID; each is one for all its objects."""
    found = {}
    for path in folder.rglob("*.dcm"):
        head = pydicom.dcmread(path, stop_before_pixels=True)
        found.setdefault(head.SeriesInstanceUID, set()).add(head.SeriesDescription)
    assert all(len(stated) == 1 for stated in found.values())
    return sorted(next(iter(stated)) for stated in found.values())


def test_series_tell_right_from_left_and_which_views(tmp_path):
    films = [
        build.scanned(number, laterality=side, view=view)
        for number, (side, view) in enumerate([("R", "MLO"), ("R", "CC"), ("L", "MLO"), ("L", "CC")], start=1)
    ]
    write_results(build.study(*films), tmp_path)
    assert series_of(tmp_path) == [
        "BCD mammography CAD - research use only",
        "BCD measurements - research use only",
        *(
            f"{side} CC MLO: {what} - research use only"
            for side in "LR"
            for what in ("BCD findings", "BCD findings burned in", "BCD probability of abnormality")
        ),
    ]
    state = pydicom.dcmread(tmp_path / "presentation" / f"{films[1].sop_instance_uid}.dcm")
    assert state.ContentDescription == "BCD findings, R CC. Research use only."


def test_series_of_many_views_are_described_by_the_breast_alone(tmp_path):
    views = ["CC", "MLO", "XCCL", "XCCM", "LMO"]
    write_results(build.study(*(build.scanned(n, view=view) for n, view in enumerate(views, 1))), tmp_path)
    described = series_of(tmp_path)
    assert "L: BCD probability of abnormality - research use only" in described
    assert max(map(len, described)) <= 64


def test_a_film_that_states_neither_breast_nor_view_has_a_plain_description(tmp_path):
    write_results(build.study(build.scanned(1, laterality=None, view=None)), tmp_path)
    assert "BCD findings - research use only" in series_of(tmp_path)
