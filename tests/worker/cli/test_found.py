"""Many jobs at once: what was found."""

import csv
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.batch_site import Site, make_record, table
from tests.support.reasons import because
from worker.study.outcome import Tally

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def found(kept: Any, studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch of two good studies and one with a film that is cut short and has an odd name."""
    folder = tmp_path_factory.mktemp("input")
    shutil.copytree(studies, folder / "good")
    for number, path in enumerate(sorted(next(folder.glob("good/*/")).glob("*.dcm"))):
        data = path.read_bytes()
        path.rename(path.with_name(f"=1+{number}.dcm"))
        if number == 0:
            path.with_name("=1+0.dcm").write_bytes(data[:20000])
    answer = kept("submit", folder, "--out", "found", "--batch", "found")
    assert answer.code == 1, answer.err
    return kept.folder / "found"


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.out, newline="")))


def test_the_studies_of_a_batch_come_the_most_suspicious_first(kept: Any, found: Path) -> None:
    answer = kept("results", "--batch", "found", "--json")
    assert answer.code == 0, answer.err
    listed = answer.json["studies"]
    highest = [study["highest_probability"] for study in listed]
    assert highest == sorted(highest, reverse=True)
    assert {study["state"] for study in listed} == {"done", "done with failures"}
    assert {Path(study["result"]) for study in listed} == set(found.iterdir())
    shown = kept("results", "--batch", "found")
    assert shown.code == 0
    assert table(shown.out) == [study["job_id"] for study in listed]
    assert all(study["result"] in shown.out for study in listed)
    assert "Research use only" in shown.out
    assert {study["prevalence"] for study in listed} == {0.4}
    assert "probabilities hold where 40 % of films are abnormal" in shown.out


def test_findings_as_csv(kept: Any, found: Path) -> None:
    answer = kept("results", "--batch", "found", "--csv")
    assert answer.code == 0, answer.err
    rows = rows_of(answer)
    assert list(rows[0]) == [
        *(
            "study",
            "sop_instance",
            "file",
            "laterality",
            "view",
            "finding",
            "row",
            "column",
            "radius",
            "class",
        ),
        *(
            "p_normal",
            "p_benign",
            "p_malignant",
            "presented",
            "prevalence",
            "tracking_uid",
            "job",
            "state",
            "reason",
            "film",
            "warnings",
        ),
    ]
    for study in kept("results", "--batch", "found", "--json").json["studies"]:
        result = kept("results", study["job_id"], "--json").json
        of_study = [row for row in rows if row["study"] == study["study_instance_uid"]]
        for film in result["films"]:
            of_film = [row for row in of_study if row["sop_instance"] == (film["sop_instance_uid"] or "")]
            assert [row["tracking_uid"] for row in of_film if row["finding"]] == [
                finding["tracking_uid"] for finding in film["findings"]
            ]
            if not film["findings"]:
                (row,) = of_film
                assert (row["finding"], row["p_benign"]) == ("", "")
                assert row["reason"].lstrip("'") == (film["reason"] or "")
            for row, finding in zip(of_film, film["findings"], strict=False):
                assert [float(row["row"]), float(row["column"])] == finding["center"]
                assert float(row["p_malignant"]) == finding["probability"]["malignant"]
                assert float(row["prevalence"]) == result["operating_point"]["prevalence"] == 0.4
                assert row["presented"] == str(finding["presented"]).lower()
                assert (row["job"], row["state"]) == (study["job_id"], study["state"])
    failed = [row for row in rows if row["reason"]]
    assert [row["file"] for row in failed] == ["'=1+0.dcm"], "a spreadsheet takes it for no formula"
    assert failed[0]["state"] == "done with failures"


def test_csv_of_one_study_by_id_and_by_folder(kept: Any, found: Path) -> None:
    for study in kept("results", "--batch", "found", "--json").json["studies"]:
        by_id = kept("results", study["job_id"], "--csv")
        by_folder = kept("results", study["result"], "--csv")
        assert (by_id.code, by_folder.code) == (0, 0)
        assert by_id.out == by_folder.out
        assert {row["study"] for row in rows_of(by_id)} == {study["study_instance_uid"]}


def test_a_result_that_is_gone_is_told(site: Site) -> None:
    good, failed, queued = (site.add("night") for _ in range(3))
    site.end(good, tally=Tally(2, 0, 1, 0.75))
    site.end(failed, "failed", because("@disk full"))
    for arguments in (["--batch", "night"], ["--batch", "night", "--json"], ["--batch", "night", "--csv"]):
        answer = site("results", *arguments)
        assert answer.code == 1
        assert "its result is not in" in answer.err
        assert good not in answer.err
    rows = rows_of(site("results", "--batch", "night", "--csv"))
    assert {(row["job"], row["state"], row["reason"]) for row in rows} == {
        (failed, "failed", "'@disk full"),
        (queued, "queued", ""),
    }
    alone = site("results", good, "--csv")
    assert alone.code == 1
    assert alone.out.startswith("study,sop_instance,file,")
    assert alone.out.endswith(",job,state,reason,film,warnings\r\n")
    shown = site("results", "--batch", "night").out
    assert table(shown)[0] == good
    assert re.search(rf"^{good}  .*  done +1 of 2 +75.0 %$", shown, re.MULTILINE)


def test_csv_takes_no_result_of_another_job_for_its_own(site: Site, kept: Any, found: Path) -> None:
    record = make_record(batch="night", out=site.admin.folder / "out")
    site.records.submit(record, published=False, force=False)
    site.end(record.job_id)
    shutil.copytree(next(found.iterdir()), record.outs[0] / record.study_instance_uid)
    answer = site("results", record.job_id, "--csv")
    assert answer.code == 1
    assert "holds the result of another job" in answer.err
    assert len(rows_of(answer)) == 0
