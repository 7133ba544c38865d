"""One film in other files: one job and one result, unless the pixels are others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from converters.films.studies import find_studies
from converters.product import SOFTWARE_VERSION
from tests.support.film_forms import (
    DCMCJPLS,
    FORMS,
    as_jpeg_ls,
    in_big_endian,
    in_form,
    through_archive,
    with_other_pixels,
)
from tests.support.made_records import write_as_version_0_1

pytestmark = pytest.mark.redis


@pytest.fixture
def film(films: Path, tmp_path: Path) -> Path:
    """One film of a study of its own."""
    target = tmp_path / "original" / "film.dcm"
    target.parent.mkdir()
    return Path(shutil.copy(films / "film1.dcm", target))


def published(queue: Any) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in queue.out.rglob("*") if path.is_file()}


def forms_of(film: Path, folder: Path) -> list[Path]:
    made = [in_form(film, name, folder / name / "film.dcm") for name in FORMS]
    if DCMCJPLS is not None:
        made += [as_jpeg_ls(film, folder / "jls" / "x.dcm"), in_big_endian(film, folder / "big" / "x.dcm")]
    return made


def test_a_film_in_other_forms_is_one_job_and_one_result(queue: Any, film: Path, tmp_path: Path) -> None:
    first = queue.submit(film)
    assert queue.run(first.job_id).state == "done"
    result = published(queue)
    for other in forms_of(film, tmp_path):
        assert other.read_bytes() != film.read_bytes()
        again = queue.submit(other)
        assert (again.job_id, again.answer) == (first.job_id, "done"), other
        assert published(queue) == result
    assert queue.records.ids() == [first.job_id]
    assert queue.watcher.times("film scanned") == 1


@pytest.mark.debian
@pytest.mark.skipif(shutil.which("storescp") is None, reason="needs dcmtk's storescp")
@pytest.mark.parametrize("syntax", [[], ["+xi"], ["+xb"]], ids=["as sent", "implicit", "big endian"])
def test_a_film_that_went_through_an_archive_is_the_same_job(
    queue: Any, film: Path, tmp_path: Path, syntax: list[str]
) -> None:
    first = queue.submit(film)
    assert queue.run(first.job_id).state == "done"
    result = published(queue)
    back = through_archive(film, tmp_path / "archive", *syntax)
    assert back.read_bytes() != film.read_bytes()
    again = queue.submit(back)
    assert (again.job_id, again.answer) == (first.job_id, "done")
    assert published(queue) == result


def test_another_form_in_another_folder_gets_the_same_uids(queue: Any, film: Path, tmp_path: Path) -> None:
    first = queue.submit(film)
    queue.run(first.job_id)
    elsewhere = tmp_path / "elsewhere"
    again = queue.submit(in_form(film, "RLE", tmp_path / "rle" / film.name), out=elsewhere)
    assert (again.job_id, again.answer) == (first.job_id, "queued")
    assert queue.run(again.job_id, "two/node/1").state == "done"
    for name in ("cad_sr.dcm", "measurement_sr.dcm"):
        one, other = (dcmread(next(folder.rglob(name))) for folder in (queue.out, elsewhere))
        assert one.SeriesInstanceUID == other.SeriesInstanceUID
        assert one.SOPInstanceUID == other.SOPInstanceUID


@pytest.mark.parametrize("state", ["queued", "running"])
def test_another_form_of_a_film_under_way_joins_its_job(
    queue: Any, film: Path, tmp_path: Path, state: str
) -> None:
    other = in_form(film, "implicit", tmp_path / "other" / "film.dcm")
    first = queue.submit(film)
    answers = []
    if state == "queued":
        answers.append(queue.submit(other))
    else:
        queue.when("job begun", lambda: answers.append(queue.submit(other)))
    assert queue.run(first.job_id).state == "done"
    assert [(answer.job_id, answer.answer) for answer in answers] == [(first.job_id, "under way")]


def test_forms_that_are_given_together_are_read_once(queue: Any, film: Path, tmp_path: Path) -> None:
    forms = [film, *forms_of(film, tmp_path)]
    (study,) = find_studies(forms).studies
    assert len(study.films) == 1
    assert any(f"was given {len(forms)} times" in text for text in study.warnings)
    answer = queue.submitter().submit(study)
    assert queue.run(answer.job_id).state == "done"
    assert queue.submit(film).answer == "done"


def test_the_same_uids_with_other_pixels_are_refused_and_the_result_stays(
    queue: Any, film: Path, tmp_path: Path
) -> None:
    first = queue.submit(film)
    queue.run(first.job_id)
    result = published(queue)
    other = with_other_pixels(film, tmp_path / "other" / "secret.dcm")
    for out in (queue.out, tmp_path / "elsewhere"):
        again = queue.submit(other, out=out)
        assert (again.answer, again.reason.code) == ("refused", "other-pixels")
        assert dcmread(film).SOPInstanceUID in str(again.reason)
        assert "secret" not in str(again.reason)
        refused = queue.record(again.job_id)
        assert (refused.state, refused.exit_code, refused.refused) == ("failed", 5, True)
    done = queue.record(first.job_id)
    assert (done.state, done.tally.scanned) == ("done", 1)
    assert published(queue) == result
    assert queue.submit(film).answer == "done"
    # by force the other one takes its place
    forced = queue.submit(other, force=True)
    assert forced.job_id != first.job_id
    queue.run(forced.job_id, "four/node/1")
    assert published(queue) != result


def test_other_pixels_that_are_given_together_contradict_each_other(film: Path, tmp_path: Path) -> None:
    other = with_other_pixels(film, tmp_path / "other" / "film.dcm")
    (study,) = find_studies([film, other]).studies
    (found,) = study.films
    assert found.reason is not None
    assert found.reason.code == "same-uid"


def test_other_pixels_of_a_film_that_was_never_scanned_are_another_film(
    queue: Any, film: Path, tmp_path: Path
) -> None:
    first = queue.submit(film)
    again = queue.submit(with_other_pixels(film, tmp_path / "other" / "film.dcm"))
    assert again.job_id != first.job_id
    assert again.answer == "queued"


def test_a_film_whose_header_says_something_else_is_another_job(
    queue: Any, film: Path, tmp_path: Path
) -> None:
    first = queue.submit(film)
    changed = dcmread(film)
    changed.PatientID = "another"
    changed.save_as(tmp_path / "changed.dcm")
    assert queue.submit(tmp_path / "changed.dcm", out=tmp_path / "elsewhere").job_id != first.job_id


def damaged(source: Path, target: Path) -> Path:
    """``source`` in RLE with its pixels spoilt: the header says the same, and it cannot be decoded."""
    data = in_form(source, "RLE", target).read_bytes()
    target.write_bytes(data[:-1500] + bytes(1000) + data[-500:])
    return target


@pytest.mark.parametrize("place", ["elsewhere", "its own place"])
def test_a_film_that_could_not_be_decoded_is_scanned_from_a_file_that_can(
    queue: Any, film: Path, tmp_path: Path, place: str
) -> None:
    whole = film.read_bytes()
    first = queue.submit(damaged(film, tmp_path / "bad" / "film.dcm"))
    record = queue.run(first.job_id)
    assert (record.state, record.reason.code) == ("failed", "compressed-image")
    target = film if place == "elsewhere" else tmp_path / "bad" / "film.dcm"
    target.write_bytes(whole)
    again = queue.submitter(force=place != "elsewhere").submit(find_studies([target]).studies[0])
    assert queue.run(again.job_id, "two/node/1").state == "done"


def test_a_damaged_file_is_never_taken_for_a_film_that_was_scanned(
    queue: Any, film: Path, tmp_path: Path
) -> None:
    first = queue.submit(film)
    queue.run(first.job_id)
    again = queue.submit(damaged(film, tmp_path / "bad" / "film.dcm"), out=tmp_path / "elsewhere")
    assert again.job_id != first.job_id
    assert queue.run(again.job_id, "two/node/1").state == "failed"


def test_the_very_file_of_an_earlier_version_is_the_film(queue: Any, film: Path) -> None:
    """Its records tell films by the SHA-256 of their files, in lists."""
    first = queue.submit(film)
    write_as_version_0_1(queue.client, first.job_id)
    again = queue.submit(film)
    assert (again.job_id, again.answer) == (first.job_id, "under way")
    queue.client.hset(f"bcd:job:{first.job_id}", "software_version", SOFTWARE_VERSION)
    assert queue.run(first.job_id).state == "done"


def test_a_job_of_an_earlier_version_ends_with_what_to_do(queue: Any, film: Path) -> None:
    first = queue.submit(film)
    write_as_version_0_1(queue.client, first.job_id)
    record = queue.run(first.job_id)
    assert (record.state, record.reason.code) == ("failed", "other-version")
    assert "submitted for version 0.1.0; submit the study again" in record.why()


def test_a_late_film_is_done_with_one_that_came_in_another_file(
    queue: Any, films: Path, tmp_path: Path
) -> None:
    first = queue.submit(films / "film1.dcm")
    queue.run(first.job_id)
    form = in_form(films / "film1.dcm", "RLE", tmp_path / "disc" / "film1.dcm")
    assert queue.submit(form).answer == "done"
    shutil.rmtree(tmp_path / "disc")
    late = queue.submit(films / "film2.dcm")
    record = queue.run(late.job_id, "two/node/1")
    assert (record.state, record.tally.scanned) == ("done", 2)


def test_who_adds_a_film_to_anothers_study_does_not_learn_its_files_names(
    queue: Any, films: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "Doe_Jane.dcm"
    shutil.copy(films / "film1.dcm", theirs)
    queue.submit(theirs, out=tmp_path / "theirs")
    ours = tmp_path / "ours"
    queue.submit(films / "film1.dcm", out=ours)
    late = queue.submit(films / "film2.dcm", out=ours)
    assert queue.run(late.job_id).state == "done"
    told = [path.read_bytes() for path in ours.rglob("*") if path.is_file()]
    assert told
    assert not [text for text in told if b"Doe" in text]
