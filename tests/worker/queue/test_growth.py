"""Studies that grow: late films through the command line, with a queue and without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from pydicom import Dataset, dcmread

from bcd_model.weights import read_info
from converters.films.studies import find_studies
from tests.support.reasons import because
from worker.pool.app import make_messages
from worker.queue.job import Record
from worker.queue.records import Records
from worker.queue.submission import Submitter
from worker.settings import Settings
from worker.study.outcome import Tally
from worker.study.published import published

Run = Callable[..., Any]


@pytest.fixture
def four(patients: list[Path], tmp_path: Path) -> list[Path]:
    """The films of one study of two views: L and R MLO, then L and R CC, in a folder each."""
    paths = []
    for view in ("MLO", "CC"):
        for path in sorted(patients[0].glob("*.dcm")):
            film = dcmread(path)
            del film.ViewCodeSequence
            film.ViewPosition = view
            film.SOPInstanceUID = f"{film.SOPInstanceUID[:50]}.{1 if view == 'MLO' else 2}"
            film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
            target = tmp_path / view / path.name
            target.parent.mkdir(exist_ok=True)
            film.save_as(target, enforce_file_format=True)
            paths.append(target)
    return paths


def result_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*/result.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def films_of(folder: Path) -> int:
    return len(result_of(folder)["films"])


@pytest.fixture
def out(kept: Any, tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_late_films_make_one_job_over_all_films(near: Any, four: list[Path], out: Path) -> None:
    first = near("submit", four[0].parent, "--out", out, "--batch", "tonight", "--wait", "--json")
    assert first.code == 0
    assert films_of(out) == 2
    before = result_of(out)
    (old_sr,) = out.glob("*/cad_sr.dcm")
    old = dcmread(old_sr)
    late = near("submit", four[2].parent, "--out", out, "--batch", "tonight", "--wait", "--json")
    assert (late.code, late.err) == (0, late.err)
    (job,) = late.json["jobs"]
    assert (job["state"], job["films"], job["films_scanned"]) == ("done", 4, 4)
    assert films_of(out) == 4
    # the reports say which ones they replace
    new = dcmread(next(out.glob("*/cad_sr.dcm")))
    (study,) = new.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (named,) = series.ReferencedSOPSequence
    assert named.ReferencedSOPInstanceUID == old.SOPInstanceUID != new.SOPInstanceUID
    assert series.SeriesInstanceUID == old.SeriesInstanceUID
    # a finding of a film that was there before keeps its name
    known = {film["sop_instance_uid"]: film for film in before["films"]}
    kept_uids = 0
    for film in result_of(out)["films"]:
        for finding in known.get(film["sop_instance_uid"], {"findings": []})["findings"]:
            now = [each["tracking_uid"] for each in film["findings"] if each["center"] == finding["center"]]
            assert now in ([finding["tracking_uid"]], [])
            kept_uids += len(now)
    assert kept_uids
    # one study in the batch, all of it scanned
    told = near("status", "--batch", "tonight", "--json").json
    assert (told["studies"], told["films"], told["films_scanned"]) == (1, 4, 4)


def test_a_late_film_again_is_done(near: Any, four: list[Path], out: Path) -> None:
    near("submit", four[0].parent, four[2].parent, "--out", out, "--wait")
    before = result_of(out)
    again = near("submit", four[2].parent, "--out", out, "--wait", "--json")
    assert again.code == 0
    (job,) = again.json["jobs"]
    assert (job["submission"], job["job_id"]) == ("done", before["job_id"])
    assert result_of(out) == before


def test_late_films_without_the_earlier_ones_are_refused_and_counted(
    near: Any, four: list[Path], out: Path
) -> None:
    near("submit", four[0].parent, "--out", out, "--wait")
    before = result_of(out)
    shutil.rmtree(four[0].parent)
    refused = near("submit", four[2].parent, "--out", out, "--batch", "later", "--wait", "--json")
    assert refused.code == 5
    assert "refused: earlier films missing" in refused.json["jobs"][0]["reason"]
    assert result_of(out) == before
    told = near("status", "--batch", "later", "--json").json
    assert (told["studies"], told["states"]["failed"], told["films_scanned"]) == (1, 1, 0)
    assert "earlier films missing" in told["failures"][0]["reason"]
    # nothing is lost: with all films, or by force, it is done
    forced = near("submit", four[2].parent, "--out", out, "--force", "--wait")
    assert forced.code == 0
    assert films_of(out) == 2


def test_films_that_come_while_their_study_waits_are_done_with_it(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    first = site("submit", four[0].parent, "--out", out, "--batch", "tonight", "--no-wait", "--json")
    late = site("submit", four[2].parent, "--out", out, "--batch", "morning", "--no-wait", "--json")
    (old,), (new,) = first.json["jobs"], late.json["jobs"]
    assert late.code == 0
    assert old["job_id"] != new["job_id"]
    record = site.records.get(new["job_id"])
    assert (record.state, record.films) == ("queued", 4)
    gone = site.records.get(old["job_id"])
    assert gone.state == "cancelled"
    assert gone.reason is not None and gone.reason.code == "superseded"
    for batch in ("tonight", "morning"):
        assert site.records.ids(batch) == [new["job_id"]]
    # in whatever order they come, it is the same job
    again = site("submit", four[0].parent, "--out", out, "--no-wait", "--json")
    assert [job["job_id"] for job in again.json["jobs"]] == [new["job_id"]]


def test_scan_replaces_the_result_of_a_part(local: Run, four: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert local("scan", four[0].parent, "--out", out).code == 0
    assert local("scan", four[0].parent, four[2].parent, "--out", out).code == 0
    assert films_of(out) == 4
    part = local("scan", four[2].parent, "--out", out)
    assert part.code == 5
    assert films_of(out) == 4


TOOK_THE_PLACE = "took the place of an earlier file of the same SOP Instance UID"


def another(path: Path, name: str, **elements: object) -> Path:
    """Another file of the film in ``path``, in a folder of its own."""
    film = dcmread(path)
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    target = path.parent.parent / "late" / name
    target.parent.mkdir(exist_ok=True)
    film.save_as(target, enforce_file_format=True)
    return target


def repainted(path: Path) -> Path:
    """The film in ``path`` with another picture."""
    film = dcmread(path)
    film.PixelData = film.PixelData[::-1]
    film.save_as(path, enforce_file_format=True)
    return path


def cut_short(path: Path) -> Path:
    target = another(path, "late.dcm")
    target.write_bytes(path.read_bytes()[:-500])
    return target


def without_pixels(path: Path) -> Path:
    target = another(path, "late.dcm")
    film = dcmread(target)
    del film.PixelData
    film.save_as(target, enforce_file_format=True)
    return target


def spot_view(path: Path) -> Path:
    modifier = Dataset()
    modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = "399055006", "SCT", "Spot"
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = "399368009", "SCT", "MLO"
    view.ViewModifierCodeSequence = [modifier]
    return another(path, "late.dcm", ViewCodeSequence=[view])


LATE: dict[str, Callable[[Path], Path]] = {
    "another patient": lambda path: another(path, "late.dcm", PatientName="Another^One", PatientID="9"),
    "a patient whose birth date differs": lambda path: repainted(
        another(path, "late.dcm", PatientBirthDate="19310203")
    ),
    "another view": lambda path: repainted(another(path, "late.dcm", ViewPosition="CC")),
    "no patient": lambda path: another(path, "late.dcm", PatientID=""),
    "a spot view": spot_view,
}


def film_in(folder: Path, path: Path) -> dict[str, Any]:
    """The one entry of the film in ``path`` in the result below ``folder``."""
    uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
    (film,) = (film for film in result_of(folder)["films"] if film["sop_instance_uid"] == uid)
    return dict(film)


def all_reports(folder: Path) -> list[str]:
    """The words of every report and page of the result below ``folder``."""
    paths = [*folder.glob("*/*_sr*.dcm"), *folder.glob("*/report*.html")]
    assert len(paths) >= 3
    return [path.read_bytes().decode(errors="replace") for path in paths]


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "forced"])
@pytest.mark.parametrize("kind", LATE)
def test_a_late_file_that_may_not_be_the_film_contradicts_it(
    near: Any, four: list[Path], out: Path, kind: str, force: tuple[str, ...]
) -> None:
    near("submit", *four[:2], "--out", out, "--wait")
    before = film_in(out, four[1])
    late = LATE[kind](four[0])
    given = (late, four[1]) if force else (late,)
    answer = near("submit", *given, "--out", out, "--wait", "--json", *force)
    (job,) = answer.json["jobs"]
    assert (answer.code, job["state"], job["films_scanned"]) == (1, "done with failures", 1)
    film = film_in(out, four[0])
    assert (film["status"], film["findings"]) == ("failed", [])
    assert film["reason"] == "2 different files have its SOP Instance UID; keep the right one"
    uid = film["sop_instance_uid"]
    assert f"2 different files have one SOP Instance UID ({uid})" in result_of(out)["warnings"]
    assert (result_of(out)["looked_at"], film_in(out, four[1])) == ("some", before)
    assert all("2 different files have its SOP Instance UID" in words for words in all_reports(out))
    # whichever of the two is sent again: nobody has said more than before
    for again in (late, four[0], four[1]):
        told = near("submit", again, "--out", out, "--wait", "--json")
        assert (told.code, told.json["jobs"][0]["job_id"]) == (1, job["job_id"])


@pytest.mark.parametrize("spoil", [cut_short, without_pixels])
def test_a_late_copy_that_cannot_be_used_is_refused_and_the_result_stays(
    near: Any, four: list[Path], out: Path, spoil: Callable[[Path], Path]
) -> None:
    near("submit", four[0], "--out", out, "--wait")
    before = result_of(out)
    late = spoil(four[0])
    for given in ((late,), (late, four[1])):
        answer = near("submit", *given, "--out", out, "--wait", "--json")
        (job,) = answer.json["jobs"]
        assert (answer.code, job["submission"]) == (5, "refused")
        assert "came before; this file of it cannot be used: " in job["reason"]
        assert result_of(out) == before
    late.unlink()
    answer = near("submit", four[1], "--out", out, "--wait", "--json")
    assert (answer.code, answer.json["jobs"][0]["films_scanned"]) == (0, 2)


@pytest.mark.parametrize("spoil", [cut_short, without_pixels])
def test_of_two_copies_that_are_given_together_the_one_that_can_be_used_is(
    four: list[Path], spoil: Callable[[Path], Path]
) -> None:
    late = spoil(four[0])
    (study,) = find_studies([four[0], late]).studies
    assert [(film.path, film.reason) for film in study.films] == [(four[0], None)]
    assert any("cannot be used and is left out" in text for text in study.warnings)


@pytest.mark.parametrize("keyword", ["ImageLaterality", "ViewPosition", "PatientID", "AccessionNumber"])
def test_a_file_that_cannot_be_used_and_says_something_else_is_not_left_out(
    four: list[Path], keyword: str
) -> None:
    """It may be of another breast, view or patient: whoever reads the result has to know of it."""
    bad = cut_short(another(four[0], "late.dcm", **{keyword: "R" if keyword == "ImageLaterality" else "CC"}))
    (study,) = find_studies([four[0], bad]).studies
    assert [film.reason.code for film in study.films if film.reason] == ["same-uid"]


def test_of_a_film_whose_files_cannot_be_used_none_is_left_out(four: list[Path]) -> None:
    first, second = cut_short(four[0]), without_pixels(another(four[0], "other.dcm"))
    (study,) = find_studies([first, second]).studies
    assert len(study.films) == 1
    assert study.films[0].reason is not None
    assert not any("left out" in text for text in study.warnings)


def test_given_together_they_are_the_same_job(near: Any, four: list[Path], out: Path) -> None:
    late = LATE["another patient"](four[0])
    near("submit", *four[:2], "--out", out, "--wait")
    (job,) = near("submit", late, "--out", out, "--wait", "--json").json["jobs"]
    together = near("submit", *four[:2], late, "--out", out.with_name("other"), "--wait", "--json")
    assert together.json["jobs"][0]["job_id"] == job["job_id"]


def test_a_contradiction_stays_when_further_films_come(near: Any, four: list[Path], out: Path) -> None:
    late = LATE["another patient"](four[0])
    third = another(four[0], "third.dcm", PatientID="10")
    near("submit", *four[:2], "--out", out, "--wait")
    near("submit", late, four[0], "--out", out, "--wait")
    (job,) = near("submit", four[2], "--out", out, "--wait", "--json").json["jobs"]
    assert (job["films"], job["films_failed"]) == (3, 1)
    (job,) = near("submit", third, "--out", out, "--wait", "--json").json["jobs"]
    assert (job["films"], job["films_failed"]) == (3, 1)
    assert film_in(out, four[0])["reason"].startswith("3 different files")


@pytest.mark.parametrize("right", ["earlier", "late"])
def test_a_contradiction_ends_when_the_right_file_is_sent_again_by_force(
    near: Any, four: list[Path], out: Path, right: str
) -> None:
    late = LATE["another patient"](four[0])
    near("submit", *four[:2], "--out", out, "--wait")
    near("submit", late, "--out", out, "--wait")
    chosen = {"earlier": four[0], "late": late}[right]
    answer = near("submit", chosen, four[1], "--out", out, "--wait", "--json", "--force")
    (job,) = answer.json["jobs"]
    assert (answer.code, job["state"], job["films"]) == (0, "done", 2)
    film = film_in(out, four[0])
    assert (film["status"], film["file"]) == ("scanned", chosen.name)
    assert TOOK_THE_PLACE in film["warnings"]
    # that is settled: neither file changes it, nor do further films
    for again in (four[0], late):
        told = near("submit", again, "--out", out, "--wait", "--json")
        assert (told.code, told.json["jobs"][0]["job_id"]) == (0, job["job_id"])
    (job,) = near("submit", four[3], "--out", out, "--wait", "--json").json["jobs"]
    assert (job["state"], job["films"]) == ("done", 3)
    assert film_in(out, four[0])["sha256"] == film["sha256"]
    assert TOOK_THE_PLACE in film_in(out, four[0])["warnings"]


def test_a_newer_file_of_the_same_patient_is_taken_with_a_warning(
    near: Any, four: list[Path], out: Path
) -> None:
    near("submit", *four[:2], "--out", out, "--wait")
    newer = another(four[0], "corrected.dcm", AccessionNumber="9")
    answer = near("submit", newer, "--out", out, "--wait", "--json")
    (job,) = answer.json["jobs"]
    assert (answer.code, job["films"], job["state"]) == (0, 2, "done")
    film = film_in(out, four[0])
    assert (film["file"], TOOK_THE_PLACE in film["warnings"]) == ("corrected.dcm", True)
    assert film_in(out, four[1])["warnings"] == [
        text for text in film_in(out, four[1])["warnings"] if text != TOOK_THE_PLACE
    ]
    assert all(TOOK_THE_PLACE in words for words in all_reports(out))
    # the older one is known and does not come back
    again = near("submit", four[0], "--out", out, "--wait", "--json")
    assert (again.code, again.json["jobs"][0]["job_id"]) == (0, job["job_id"])
    assert film_in(out, four[0]) == film


@pytest.mark.parametrize(
    "corrected",
    [
        {"PatientBirthDate": "19310203"},
        {"IssuerOfPatientID": "Hospital"},
        {"PatientName": "Corrected^Name"},
        {"ViewPosition": "CC"},
    ],
    ids=str,
)
def test_what_is_said_of_the_patient_may_be_corrected(
    near: Any, four: list[Path], out: Path, corrected: dict[str, str]
) -> None:
    """Archives do so: the same Patient ID, the same UIDs, the very same pixels."""
    near("submit", *four[:2], "--out", out, "--wait")
    late = [another(path, path.name, **corrected) for path in four[:2]]
    answer = near("submit", *late, "--out", out, "--wait", "--json")
    assert (answer.code, answer.json["jobs"][0]["state"]) == (0, "done")
    assert all(TOOK_THE_PLACE in film_in(out, path)["warnings"] for path in four[:2])


def test_what_is_left_out_may_come_again_in_another_form(near: Any, four: list[Path], out: Path) -> None:
    raw = another(four[0], "raw.dcm", SOPInstanceUID="1.2.3.4", PresentationIntentType="FOR PROCESSING")
    near("submit", four[0], raw, "--out", out, "--wait")
    assert film_in(out, raw)["rule"] == "for processing"
    again = another(raw, "again.dcm", AccessionNumber="9")
    answer = near("submit", again, "--out", out, "--wait", "--json")
    assert (answer.code, answer.json["jobs"][0]["state"]) == (0, "done")
    assert (film_in(out, raw)["file"], film_in(out, raw)["rule"]) == ("again.dcm", "for processing")


def test_a_file_that_was_submitted_while_it_was_written_is_done_when_it_is_whole(
    near: Any, four: list[Path], out: Path
) -> None:
    whole = four[0].read_bytes()
    four[0].write_bytes(whole[:-500])
    assert near("submit", *four[:2], "--out", out, "--wait").code == 1
    four[0].write_bytes(whole)
    answer = near("submit", *four[:2], "--out", out, "--wait", "--json")
    assert (answer.code, answer.json["jobs"][0]["state"]) == (0, "done")


def test_a_good_file_mends_one_that_was_cut_short(near: Any, four: list[Path], out: Path) -> None:
    near("submit", cut_short(four[0]), four[1], "--out", out, "--wait")
    assert film_in(out, four[0])["status"] == "failed"
    answer = near("submit", four[0], "--out", out, "--wait", "--json")
    assert (answer.code, answer.json["jobs"][0]["state"]) == (0, "done")
    assert TOOK_THE_PLACE in film_in(out, four[0])["warnings"]


def test_another_patients_film_does_not_mend_one_that_was_cut_short(
    near: Any, four: list[Path], out: Path
) -> None:
    hers = another(four[0], "hers.dcm", PatientName="Another^One", PatientID="9")
    near("submit", cut_short(hers), four[1], "--out", out, "--wait")
    answer = near("submit", four[0], "--out", out, "--wait", "--json")
    assert (answer.code, answer.json["jobs"][0]["state"]) == (1, "done with failures")
    assert (
        film_in(out, four[0])["reason"] == "2 different files have its SOP Instance UID; keep the right one"
    )


def test_the_very_same_file_changes_nothing(near: Any, four: list[Path], out: Path) -> None:
    (job,) = near("submit", *four[:2], "--out", out, "--wait", "--json").json["jobs"]
    before = result_of(out)
    again = near("submit", another(four[0], "copy.dcm"), "--out", out, "--wait", "--json")
    shutil.copyfile(four[0], four[0].parent.parent / "late" / "copy.dcm")
    again = near("submit", four[0].parent.parent / "late", "--out", out, "--wait", "--json")
    assert (again.code, again.json["jobs"][0]["job_id"]) == (0, job["job_id"])
    assert result_of(out) == before


def test_a_newer_file_is_refused_if_the_earlier_one_is_gone(near: Any, four: list[Path], out: Path) -> None:
    near("submit", *four[:2], "--out", out, "--wait")
    before = result_of(out)
    newer = another(four[0], "corrected.dcm", AccessionNumber="9")
    newer.replace(four[0])
    for given in ((four[0],), four[:2]):
        answer = near("submit", *given, "--out", out, "--wait", "--json")
        assert answer.code == 5
        assert "earlier films missing: 1 of" in answer.json["jobs"][0]["reason"]
        assert result_of(out) == before
    # it has come before: by force it is the right one
    assert near("submit", *four[:2], "--out", out, "--wait", "--force").code == 0
    assert TOOK_THE_PLACE in film_in(out, four[0])["warnings"]


def test_by_force_a_file_is_taken_if_the_earlier_one_is_gone(near: Any, four: list[Path], out: Path) -> None:
    near("submit", *four[:2], "--out", out, "--wait")
    another(four[0], "corrected.dcm", AccessionNumber="9").replace(four[0])
    assert near("submit", *four[:2], "--out", out, "--wait", "--force").code == 0
    assert film_in(out, four[0])["status"] == "scanned"
    assert TOOK_THE_PLACE in film_in(out, four[0])["warnings"]


def test_scan_never_takes_another_file_in_silence(local: Run, four: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    local("scan", *four[:2], "--out", out)
    before = result_of(out)
    late = LATE["another patient"](four[0])
    assert local("scan", late, four[1], "--out", out).code == 5
    assert result_of(out) == before
    assert local("scan", *four[:2], late, "--out", out).code == 1
    assert film_in(out, four[0])["status"] == "failed"
    assert local("scan", *four[:2], "--out", out).code == 5
    assert local("scan", *four[:2], "--out", out, "--force").code == 0
    assert TOOK_THE_PLACE in film_in(out, four[0])["warnings"]
    # by force at once: nothing is known here of the earlier files but that they were others
    third = another(four[0], "third.dcm", AccessionNumber="10")
    assert local("scan", third, four[1], "--out", out, "--force").code == 0
    assert any("took the place of 2 earlier files" in text for text in film_in(out, four[0])["warnings"])


def test_a_file_that_would_only_be_left_out_takes_no_place(near: Any, four: list[Path], out: Path) -> None:
    """For Processing, while another film of the study shows the view For Presentation."""
    twin = another(four[0], "twin.dcm", SOPInstanceUID="1.2.3.4")
    near("submit", four[0], twin, "--out", out, "--wait")
    late = another(
        four[0], "raw.dcm", PresentationIntentType="FOR PROCESSING", WindowCenter=500, WindowWidth=900
    )
    answer = near("submit", late, "--out", out, "--wait", "--json")
    assert answer.code == 1
    assert film_in(out, four[0])["status"] == "failed"


def test_no_record_names_a_file_or_patient_for_a_contradiction(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    submitted(site, *four[:2], "--out", out)
    late = another(four[0], "Doe_Jane.dcm", PatientName="Doe^Jane", PatientID="9")
    record = site.records.get(submitted(site, late, "--out", out))
    (film,) = (film for film in record.study.films if film.reason)
    told = json.dumps([*record.study.warnings, str(film.reason)])
    assert "Doe" not in told
    assert ".dcm" not in told


def submitted(site: Any, *arguments: object) -> str:
    """The one job that a command line queues."""
    answer = site("submit", *arguments, "--no-wait", "--json")
    (job,) = answer.json["jobs"]
    return str(job["job_id"])


def fail(site: Any, job: str) -> None:
    assert site.records.claim(job, "holder", 60) == "claimed"
    assert site.records.end(
        job, "holder", state="failed", reason=because("the disk is full", "unwritable"), exit_code=5
    )


def test_films_of_a_job_that_failed_are_done_with_the_late_ones(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    first = submitted(site, four[0], "--out", out, "--batch", "tonight")
    fail(site, first)
    second = submitted(site, four[1], "--out", out, "--batch", "tonight")
    assert site.records.get(second).films == 2
    fail(site, second)
    third = submitted(site, four[2], "--out", out)
    assert site.records.get(third).films == 3
    # the batch has the study once, and what failed does not come back as a part of it
    assert site.records.ids("tonight") == [third]
    assert [site.records.get(job).superseded_by for job in (first, second)] == [second, third]
    retried = site("retry", first, second, "--json").json
    assert sorted(retried["left"]) == sorted([first, second])


def test_a_job_cancelled_by_hand_is_no_part_of_the_study(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    first = submitted(site, four[0], "--out", out)
    assert site("cancel", first).code == 0
    late = submitted(site, four[1], "--out", out)
    assert site.records.get(late).films == 1


def test_forced_films_take_the_place_of_those_that_failed(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    first = submitted(site, four[0], "--out", out, "--batch", "tonight")
    fail(site, first)
    four[0].unlink()
    forced = submitted(site, four[1], "--out", out, "--force")
    assert site.records.ids("tonight") == [forced]
    late = submitted(site, four[2], "--out", out)
    assert site.records.get(late).films == 2


def test_a_refusal_leaves_the_record_of_a_finished_job_alone(near: Any, four: list[Path], out: Path) -> None:
    other = out.with_name("other")
    done = near("submit", four[1], "--out", out, "--wait", "--batch", "here", "--json").json["jobs"][0]
    near("submit", four[0], "--out", other, "--wait")
    four[0].unlink()
    refused = near("submit", four[1], "--out", other, "--wait", "--batch", "elsewhere", "--json")
    assert refused.code == 5
    (job,) = refused.json["jobs"]
    assert (job["submission"], job["job_id"] == done["job_id"]) == ("refused", False)
    now = near("status", done["job_id"], "--json").json
    assert (now["state"], now["films_scanned"], now["result"]) == ("done", 1, done["result"])
    assert near("status", "--batch", "here").code == 0
    told = near("status", "--batch", "elsewhere", "--json").json
    assert (told["studies"], told["states"]["failed"]) == (1, 1)
    # to try the refused job alone again would lose what it was refused for
    again = near("retry", "--batch", "elsewhere", "--json").json
    assert (again["retried"], again["left"]) == ([], [job["job_id"]])
    told = near("status", "--batch", "elsewhere", "--json").json
    assert "earlier films missing" in told["failures"][0]["reason"]


def test_a_study_stays_in_every_batch_it_was_submitted_with(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    for batch in ("one", "two"):
        submitted(site, four[0], "--out", out, "--batch", batch)
    for path in four[1:]:  # late films without a batch
        last = submitted(site, path, "--out", out)
    for batch in ("one", "two"):
        assert site.records.ids(batch) == [last]
    assert site.records.get(last).batch in ("one", "two")


def test_a_forced_job_whose_place_was_taken_does_not_come_back(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    forced = submitted(site, four[0], "--out", out, "--force")
    late = submitted(site, four[1], "--out", out)
    gone = site.records.get(forced)
    assert (gone.state, gone.superseded_by, gone.replace) == ("cancelled", late, False)
    assert site("retry", forced, "--json").json["left"] == [forced]
    assert site.records.get(forced).state == "cancelled"
    # submitted again it is a part of the whole
    assert submitted(site, four[0], "--out", out) == late


def store(kept: Any) -> redis.Redis:
    """The Redis of the engine that is kept."""
    found: redis.Redis = kept.records()._redis
    return found


def wipe(kept: Any) -> None:
    """Forget every job; the worker stays."""
    for key in store(kept).keys("bcd:*"):
        if key != "bcd:workers":
            store(kept).delete(key)


def test_after_redis_was_wiped_a_part_of_a_standing_study_is_done(
    near: Any, kept: Any, four: list[Path], out: Path
) -> None:
    near("submit", *four[:2], "--out", out, "--wait")
    before = result_of(out)
    wipe(kept)
    for path, waiting in ((four[0], "--wait"), (four[1], "--no-wait")):
        again = near("submit", path, "--out", out, "--batch", "wiped", waiting, "--json")
        (job,) = again.json["jobs"]
        assert (again.code, job["submission"], job["job_id"]) == (0, "done", before["job_id"])
        assert (job["state"], job["films"], job["films_scanned"]) == ("done", 2, 2)
    told = near("status", "--batch", "wiped", "--json")
    assert (told.code, told.json["studies"], told.json["films_scanned"]) == (0, 1, 2)
    # of the two films only one is missing
    late = near("submit", four[0], four[2], "--out", out, "--batch", "wiped", "--no-wait", "--json")
    assert late.code == 5
    assert "earlier films missing: 1 of" in late.json["jobs"][0]["reason"]
    assert result_of(out) == before


def test_after_redis_was_wiped_a_part_is_refused_if_it_would_be_done_otherwise(
    near: Any, kept: Any, four: list[Path], out: Path
) -> None:
    near("submit", *four[:2], "--out", out, "--wait")
    wipe(kept)
    again = near(
        "submit", four[0], "--out", out, "--batch", "other", "--wait", "--json", BCD_PREVALENCE="0.1"
    )
    assert again.code == 5
    assert "earlier films missing: 1 of" in again.json["jobs"][0]["reason"]
    told = near("status", "--batch", "other", "--json").json
    assert (told["studies"], told["states"]["failed"]) == (1, 1)


def test_two_files_of_one_uid_stay_one_failed_film_of_the_study(
    near: Any, four: list[Path], out: Path
) -> None:
    film = dcmread(four[1])
    film.AccessionNumber = "9"
    film.save_as(four[1].with_name("other.dcm"), enforce_file_format=True)
    first = near("submit", four[0].parent, "--out", out, "--wait", "--json")
    assert first.json["jobs"][0]["films_failed"] == 1
    late = near("submit", four[2], "--out", out, "--wait", "--json")
    (job,) = late.json["jobs"]
    assert (job["state"], job["films"], job["films_failed"]) == ("done with failures", 3, 1)
    # sent again it changes nothing; with --force the right one mends it
    again = near("submit", four[1], "--out", out, "--wait", "--json")
    assert again.json["jobs"][0]["job_id"] == job["job_id"]
    right = near("submit", *four[:3], "--out", out, "--force", "--wait", "--json")
    (job,) = right.json["jobs"]
    assert (job["state"], job["films"], job["films_failed"]) == ("done", 3, 0)


def test_a_job_of_version_0_1_is_found_although_its_study_does_not_list_it(
    near: Any, kept: Any, four: list[Path], out: Path
) -> None:
    near("submit", four[0], "--out", out, "--wait")
    store(kept).delete(f"bcd:study:{result_of(out)['study_instance_uid']}")
    late = near("submit", four[1], "--out", out, "--wait", "--json")
    (job,) = late.json["jobs"]
    assert (job["state"], job["films"]) == ("done", 2)


def test_a_result_that_says_what_none_says_is_no_result(near: Any, four: list[Path], out: Path) -> None:
    near("submit", four[0], "--out", out, "--wait")
    (path,) = out.glob("*/result.json")
    path.write_text(json.dumps({**result_of(out), "looked_at": "most"}))
    assert published(path.parent) is None
    again = near("submit", four[0], "--out", out, "--wait", "--json")
    assert again.code == 5
    assert "holds a damaged result; replace it with --force" in again.json["jobs"][0]["reason"]


def test_a_study_looked_at_in_part_is_not_told_as_done(near: Any, four: list[Path], out: Path) -> None:
    film = dcmread(four[1])
    film.NumberOfFrames = "3"
    film.save_as(four[1], enforce_file_format=True)
    first = near("submit", four[0].parent, "--out", out, "--wait", "--json")
    assert (first.code, first.json["jobs"][0]["state"]) == (1, "done with failures")
    again = near("submit", four[0].parent, "--out", out, "--no-wait", "--json")
    (job,) = again.json["jobs"]
    assert (again.code, job["submission"], job["state"]) == (1, "done", "done with failures")
    assert "3 frames" in job["reason"]
    told = near("submit", four[0].parent, "--out", out, "--no-wait")
    assert told.code == 1
    assert "done with failures" in told.out


def test_who_waits_for_a_job_waits_for_the_one_in_its_place(site: Any, four: list[Path]) -> None:
    out = site.admin.folder / "out"
    command = ("submit", four[0], "--out", out, "--wait", "--json")
    waiting = site.admin.start(*command, BCD_BROKER_URL=site.url)
    try:
        site.admin.eventually(lambda: site.records.ids())
        (first,) = site.records.ids()
        late = submitted(site, four[1], "--out", out)
        assert site.records.claim(late, "holder", 60) == "claimed"
        assert site.records.end(late, "holder", state="done", tally=Tally(scanned=2))
        told, _ = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert waiting.returncode == 0
    (job,) = json.loads(told)["jobs"]
    assert (job["job_id"], job["state"], job["films_scanned"]) == (late, "done", 2)
    gone = site("status", first, "--json").json
    assert (gone["state"], gone["superseded_by"]) == ("cancelled", late)


@pytest.mark.parametrize("earlier", [0, 1], ids=["the first of their study", "after another film"])
def test_halves_submitted_at_once_are_one_job(
    site: Any, weights: Path, four: list[Path], earlier: int
) -> None:
    """The other half is submitted as a whole between what this one looks up and what it writes."""
    settings = Settings(broker_url=site.url)
    halves = [find_studies([path]).studies[0] for path in four[:2]]
    out = site.admin.folder / "out"

    def submitter(records: Records) -> Submitter:
        return Submitter(
            records, make_messages(settings), read_info(weights), settings, out, "batch", "tonight"
        )

    class Slow(Records):
        calls = 0

        def submit(self, record: Record, **options: Any) -> Any:
            if self.calls == earlier:  # the first only asks where there is an earlier film
                submitter(site.records).submit(halves[1])
            self.calls += 1
            return super().submit(record, **options)

    if earlier:
        submitter(site.records).submit(find_studies([four[2]]).studies[0])
    answer = submitter(Slow(site.url)).submit(halves[0])
    assert site.records.ids("tonight") == [answer.job_id]
    assert site.records.get(answer.job_id).films == 2 + earlier
    states = site.records.states()
    assert (states["queued"], states["cancelled"]) == (1, 1 + 2 * earlier)
