"""Studies through a real queue: real Redis, real Celery worker, real (random) network."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from converters.results.result_json import read_result

pytestmark = pytest.mark.redis


def objects(folder: Path) -> dict[str, bytes]:
    """Every file of a results folder and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_study_goes_the_whole_way(kept: Any, studies: Path) -> None:
    answer = kept("submit", studies, "--out", "whole", "--json")
    assert answer.code == 0, answer.err
    jobs = answer.json["jobs"]
    assert [job["state"] for job in jobs] == ["done", "done"]
    for job in jobs:
        folder = kept.folder / "whole" / job["study_instance_uid"]
        assert job["result"] == str(folder)
        result = read_result(folder)
        assert result["job_id"] == job["job_id"]
        assert [film["status"] for film in result["films"]] == ["scanned", "scanned"]
        names = {film["sop_instance_uid"] for film in result["films"]}
        assert {path.stem for path in (folder / "presentation").iterdir()} == names
        assert {path.stem for path in (folder / "overlay").iterdir()} == names
        assert (folder / "cad_sr.dcm").is_file()
    assert {path.name for path in (kept.folder / "whole").iterdir()} == {
        job["study_instance_uid"] for job in jobs
    }


def test_the_same_work_again_is_nothing_to_do_and_force_gives_the_same_bytes(
    near: Any, kept: Any, patients: list[Path]
) -> None:
    out = kept.folder / "again"
    assert near("submit", patients[0], "--out", "again").code == 0
    first = objects(out)
    again = near("submit", patients[0], "--out", "again")
    assert again.code == 0
    assert "1 done already: nothing to do" in again.err
    inode = next(out.iterdir()).stat().st_ino
    forced = near("submit", patients[0], "--out", "again", "--force")
    assert forced.code == 0
    assert "1 queued" in forced.err
    assert next(out.iterdir()).stat().st_ino != inode
    assert objects(out) == first


def test_scan_gives_the_same_result_as_the_queue(kept: Any, patients: list[Path]) -> None:
    assert kept("submit", patients[0], "--out", "queued").code == 0
    first = objects(kept.folder / "queued")
    scanned = kept("scan", patients[0], "--out", "queued")
    assert scanned.code == 0, scanned.err
    assert objects(kept.folder / "queued") == first


def test_another_results_folder_gets_the_same_result(near: Any, kept: Any, patients: list[Path]) -> None:
    for out in ("here", "there"):
        assert near("submit", patients[1], "--out", out).code == 0
    assert objects(kept.folder / "here") == objects(kept.folder / "there")


def test_a_deleted_result_is_made_again_with_the_same_bytes(
    near: Any, kept: Any, patients: list[Path]
) -> None:
    assert near("submit", patients[1], "--out", "deleted").code == 0
    first = objects(kept.folder / "deleted")
    shutil.rmtree(kept.folder / "deleted")
    again = near("submit", patients[1], "--out", "deleted")
    assert "1 queued" in again.err
    assert objects(kept.folder / "deleted") == first


def test_a_forgotten_job_is_known_from_its_result(
    near: Any, kept: Any, admin: Any, patients: list[Path], weights: Path
) -> None:
    assert near("submit", patients[1], "--out", "known").code == 0
    first = objects(kept.folder / "known")
    shutil.copytree(kept.folder / "known", admin.folder / "known")  # to a machine whose queue is empty
    answer = admin("submit", patients[1], "--out", "known")
    assert answer.code == 0
    assert "done already" in answer.err
    forced = admin("submit", patients[1], "--out", "known", "--force")
    assert forced.code == 0, forced.err
    assert objects(admin.folder / "known") == first


def test_a_damaged_film_costs_only_itself(near: Any, patients: list[Path], tmp_path: Path) -> None:
    good, bad = sorted(patients[0].glob("*.dcm"))
    shutil.copy(good, tmp_path)
    (tmp_path / bad.name).write_bytes(bad.read_bytes()[:20000])
    answer = near("submit", tmp_path, "--out", "damaged", "--json")
    assert answer.code == 1
    (job,) = answer.json["jobs"]
    assert job["state"] == "done with failures"
    assert job["reason"].startswith(f"1 of 2 films failed; {bad.name}: film ")
    assert job["reason_code"] == "cut-short"
    result = read_result(Path(job["result"]))
    assert sorted(film["status"] for film in result["films"]) == ["failed", "scanned"]
    again = near("submit", tmp_path, "--out", "damaged")
    assert again.code == 1
    assert "done already" in again.err
    shown = near("results", job["job_id"])
    assert shown.code == 0
    assert f"{bad.name}: failed:" in shown.out


def test_every_film_refused_is_a_failed_job_that_says_so(
    near: Any, patients: list[Path], tmp_path: Path
) -> None:
    for path in patients[0].glob("*.dcm"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:20000])
    answer = near("submit", tmp_path, "--out", "refused", "--json")
    assert answer.code == 3
    (job,) = answer.json["jobs"]
    assert job["state"] == "failed"
    assert job["reason"].startswith("no film of 2 could be scanned; ")
    assert {film["status"] for film in read_result(Path(job["result"]))["films"]} == {"failed"}


def test_a_failed_study_does_not_keep_others_from_being_done(
    near: Any, patients: list[Path], tmp_path: Path
) -> None:
    for path in patients[0].glob("*.dcm"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:20000])
    answer = near("submit", tmp_path, patients[1], "--out", "mixed", "--json")
    assert answer.code == 1
    assert sorted(job["state"] for job in answer.json["jobs"]) == ["done", "failed"]


def test_results_among_the_input_are_not_scanned(near: Any, patients: list[Path], tmp_path: Path) -> None:
    shutil.copytree(patients[0], tmp_path / "in")
    assert near("submit", tmp_path / "in", "--out", tmp_path / "in" / "results").code == 0
    again = near("submit", tmp_path / "in", "--out", tmp_path / "in" / "results")
    assert again.code == 0
    assert "1 study, 2 films: 1 done already" in again.err


def test_a_film_twice_is_scanned_once_with_a_warning(near: Any, patients: list[Path], tmp_path: Path) -> None:
    for path in patients[0].glob("*.dcm"):
        shutil.copy(path, tmp_path)
        shutil.copy(path, tmp_path / f"copy of {path.name}")
    answer = near("submit", tmp_path, "--out", "twice")
    assert answer.code == 0
    assert "1 study, 2 films" in answer.err
    assert "warning: study" in answer.err


def test_file_names_need_not_be_utf_8(kept: Any, patients: list[Path], tmp_path: Path) -> None:
    good, bad = sorted(patients[0].glob("*.dcm"))
    shutil.copy(good, tmp_path / "good \udcfe.dcm")
    (tmp_path / "bad \udcff.dcm").write_bytes(bad.read_bytes()[:20000])
    answer = kept("submit", tmp_path, "--out", tmp_path / "out \udcfd", "--json")
    assert answer.code == 1, answer.err
    (job,) = answer.json["jobs"]
    assert job["state"] == "done with failures"
    assert re.match(r"1 of 2 films failed; bad \udcff\.dcm: film \d \(. MLO\): cut short: ", job["reason"])
    assert Path(job["result"]) == tmp_path / "out \udcfd" / job["study_instance_uid"]
    result = read_result(Path(job["result"]))
    assert result["job_id"] == job["job_id"]
    (failed,) = (film for film in result["films"] if film["status"] == "failed")
    assert failed["file"] == "bad \udcff.dcm"
    assert r"bad \udcff.dcm: failed: cut short: " in kept("results", job["job_id"]).out
    assert kept("jobs").code == kept("results", job["job_id"]).code == 0


def test_another_jobs_result_is_kept_unless_forced(
    near: Any, kept: Any, admin: Any, patients: list[Path], other_weights: Path
) -> None:
    assert near("submit", patients[0], "--out", "taken").code == 0
    first = objects(kept.folder / "taken")
    taken = kept.folder / "taken"
    refused = admin("submit", patients[0], "--out", taken, BCD_MODEL=str(other_weights))
    assert refused.code == 5
    assert "--force" in refused.out
    assert objects(taken) == first
    forced = admin("submit", patients[0], "--out", taken, "--force", BCD_MODEL=str(other_weights))
    assert forced.code == 0, forced.err
    assert objects(taken).keys() == first.keys()
    assert objects(taken) != first


def test_a_worker_with_another_model_refuses_the_job(
    near: Any, patients: list[Path], other_weights: Path
) -> None:
    answer = near("submit", patients[0], "--out", "model", BCD_MODEL=str(other_weights))
    assert answer.code == 3
    assert "BCD_MODEL" in answer.out


def test_a_threshold_of_ones_own_is_another_job(near: Any, patients: list[Path]) -> None:
    answer = near("submit", patients[0], "--out", "strict", "--json", BCD_THRESHOLD="0.999")
    assert answer.code == 0, answer.err
    result = read_result(Path(answer.json["jobs"][0]["result"]))
    assert result["operating_point"]["threshold"] == 0.999
    assert result["operating_point"]["sensitivity"] is None
    assert {film["class"] for film in result["films"]} == {"normal"}


def test_a_result_that_another_job_has_replaced_is_shown_for_that_one_alone(
    near: Any, patients: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (mine,) = near("submit", patients[0], "--out", out, "--batch", "a", "--json").json["jobs"]
    other = near(
        "submit", patients[0], "--out", out, "--batch", "b", "--force", "--json", BCD_THRESHOLD="0.998"
    )
    (theirs,) = other.json["jobs"]
    folder, uid = Path(theirs["result"]), mine["study_instance_uid"]
    assert Path(mine["result"]) == folder
    said = f"{folder} holds the result of another job ({theirs['job_id']}) by now"

    shown = near("results", mine["job_id"])
    assert (shown.code, shown.out) == (3, "")
    assert shown.error.endswith(
        f"the result of job {mine['job_id']} is gone: {said}; bcd-admin results {folder} shows that one"
    )
    for batch in ("results", "--batch", "a"), ("results", mine["job_id"], "--csv"):
        answer = near(*batch)
        assert answer.code == 1
        assert said in answer.err
        assert str(folder) not in answer.out
    assert f"result    {said}\n" in near("status", mine["job_id"]).out
    states = {job["job_id"]: job for job in near("jobs", "--json").json["jobs"]}
    for job in (states[mine["job_id"]], near("status", mine["job_id"], "--json").json):
        assert (job["result"], job["result_replaced_by"]) == (None, theirs["job_id"])
    for job in (states[theirs["job_id"]], near("results", "--batch", "b", "--json").json["studies"][0]):
        assert (job["result"], job["result_replaced_by"]) == (str(folder), None)

    assert near("results", theirs["job_id"], "--json").json["job_id"] == theirs["job_id"]
    assert near("results", folder, "--json").json["job_id"] == theirs["job_id"]
    # and if it is made again, it is there again
    near("submit", patients[0], "--out", tmp_path / "again", "--force")
    assert near("results", mine["job_id"], "--json").json["folder"] == str(tmp_path / "again" / uid)


def test_a_studys_result_is_that_of_the_job_whose_result_stands(admin: Any, patients: list[Path]) -> None:
    (first,) = admin("submit", patients[0], "--json").json["jobs"]
    (second,) = admin("submit", patients[0], "--force", "--json", BCD_THRESHOLD="0.998").json["jobs"]
    uid = first["study_instance_uid"]
    assert admin("results", uid, "--json").json["job_id"] == second["job_id"]
    (third,) = admin("submit", patients[0], "--out", "third", "--json", BCD_THRESHOLD="0.997").json["jobs"]
    answer = admin("results", uid)
    assert answer.code == 2
    assert f"stands for 2 jobs ({third['job_id']}, {second['job_id']})" in answer.error


def test_a_result_that_cannot_be_read_is_told_so(near: Any, patients: list[Path], tmp_path: Path) -> None:
    (job,) = near("submit", patients[1], "--out", tmp_path, "--force", "--json").json["jobs"]
    (Path(job["result"]) / "result.json").write_text("{")
    answer = near("results", job["job_id"])
    assert answer.code == 3
    assert f"{job['result']} holds no readable result by now" in answer.error


def test_a_prevalence_of_ones_own_is_another_job_with_the_same_findings(
    near: Any, patients: list[Path]
) -> None:
    own = near("submit", patients[0], "--out", "own", "--json").json["jobs"][0]
    answer = near("submit", patients[0], "--out", "rare", "--json", BCD_PREVALENCE="0.005")
    assert answer.code == 0, answer.err
    (job,) = answer.json["jobs"]
    assert job["job_id"] != own["job_id"]
    before, after = (read_result(Path(each["result"])) for each in (own, job))
    assert after["settings"]["prevalence"] == after["operating_point"]["prevalence"] == 0.005
    assert after["operating_point"]["basis"] == before["operating_point"]["basis"]
    assert after["operating_point"]["threshold"] < before["operating_point"]["threshold"]
    for mine, theirs in zip(after["films"], before["films"], strict=True):
        assert mine["class"] == theirs["class"]
        assert mine["film_probability"]["normal"] > theirs["film_probability"]["normal"]
        assert [(f["center"], f["presented"]) for f in mine["findings"]] == [
            (f["center"], f["presented"]) for f in theirs["findings"]
        ]
    assert "prevalence 0.005" in near("status", job["job_id"]).out
    shown = near("results", job["job_id"]).out
    assert "probabilities hold where 0.5 % of films are abnormal" in shown


def test_two_at_once_with_the_same_work_are_one_job(kept: Any, patients: list[Path]) -> None:
    both = [kept.start("submit", patients[0], "--out", "race", "--force") for _ in range(2)]
    for submit in both:
        _, err = submit.communicate(timeout=120)
        assert submit.returncode == 0, err
    jobs = kept("jobs", "--json").json["jobs"]
    assert len({job["job_id"] for job in jobs}) == len(jobs)
    assert len(list((kept.folder / "race").iterdir())) == 1


def test_no_wait_returns_at_once_and_the_job_goes_on(kept: Any, patients: list[Path]) -> None:
    answer = kept("submit", patients[1], "--out", "later", "--no-wait", "--force", "--json")
    assert answer.code == 0
    (job,) = answer.json["jobs"]
    assert job["submission"] == "queued"
    kept.eventually(lambda: kept("status", job["job_id"], "--json").json["state"] == "done")


def test_no_wait_needs_an_engine_that_stays(admin: Any, studies: Path) -> None:
    answer = admin("submit", studies, "--no-wait")
    assert answer.code == 2
    assert "bcd-admin up" in answer.error


def test_results_are_shown_by_id_and_by_folder(near: Any, kept: Any, patients: list[Path]) -> None:
    assert near("submit", patients[0], "--out", "shown").code == 0
    (folder,) = (kept.folder / "shown").iterdir()
    result = read_result(folder)
    assert near("results", result["job_id"][:13]).code == 0
    answer = near("results", folder)
    assert answer.code == 0, answer.err
    assert "Research use only" in answer.out
    for film in result["films"]:
        assert film["sop_instance_uid"] in answer.out
        for finding in film["findings"]:
            if finding["presented"]:
                assert str(round(finding["center"][0])) in answer.out
    assert "cad_sr.dcm" in answer.out
    structured = near("results", folder, "--json").json
    assert structured["films"] == result["films"]
    assert "result.json" in structured["files"]


def test_status_and_jobs_are_for_people_and_for_programs(near: Any, kept: Any, patients: list[Path]) -> None:
    assert near("submit", patients[0], "--out", "listed").code == 0
    (folder,) = (kept.folder / "listed").iterdir()
    job = read_result(folder)["job_id"]
    status = near("status", job)
    assert "state     done" in status.out
    assert str(folder) in status.out
    listed = near("jobs")
    assert f"{job}  done" in listed.out
    assert near("status", job, "--json").json["state"] == "done"


def test_an_unknown_job_is_told(near: Any) -> None:
    for command in ("status", "results"):
        answer = near(command, "zzz")
        assert answer.code == 2
        assert "bcd-admin jobs" in answer.error


def test_a_worker_keeps_to_its_folders(admin: Any, patients: list[Path], tmp_path: Path) -> None:
    reads = admin("submit", patients[0], "--out", "out", BCD_INPUT_ROOTS=str(tmp_path / "elsewhere"))
    assert reads.code == 2
    assert "BCD_INPUT_ROOTS" in reads.out
    writes = admin("submit", patients[0], "--out", "out", BCD_OUTPUT_ROOTS=str(tmp_path / "elsewhere"))
    assert writes.code == 2
    assert "BCD_OUTPUT_ROOTS" in writes.out
    assert not any((admin.folder / "out").iterdir())


def test_no_patient_data_in_records_logs_or_messages(
    admin: Any, patients: list[Path], tmp_path: Path
) -> None:
    import pydicom

    for path in patients[0].glob("*.dcm"):
        data = pydicom.dcmread(path)
        data.PatientName, data.PatientID = "Marked^Nameless", "MARKED-4711"
        data.save_as(tmp_path / path.name)
    answer = admin("submit", tmp_path, "--out", "out")
    assert answer.code == 0, answer.err
    shown = answer.out + answer.err + admin("jobs").out
    assert "arked" not in shown
    assert "MARKED" not in shown
    for path in admin.state.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"Marked" not in content, path
            assert b"MARKED" not in content, path


def test_the_demo_ends_with_findings_against_the_truth(kept: Any) -> None:
    answer = kept("demo", "--patients", "1", "--out", "demo")
    assert answer.code == 0, answer.err
    verdicts = [line.split()[-1] for line in answer.out.splitlines() if "SPIC malignant" in line]
    assert verdicts in (["found"], ["missed"])
    assert "of 1 lesion found" in answer.out
    assert "Research use only" in answer.out
    for name, folder in (("films", "films"), ("DICOM", "dicom"), ("results", "results")):
        assert f"{kept.folder / 'demo' / folder}" in answer.out, name
    assert len(list((kept.folder / "demo" / "results").glob("*/cad_sr.dcm"))) == 1
    again = kept("demo", "--patients", "1", "--out", "demo")
    assert again.code == 0
    assert "1 queued" in again.err, "a demo is run, not looked up: another model may have made what is there"
    assert again.out == answer.out
