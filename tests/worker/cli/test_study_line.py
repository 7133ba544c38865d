"""What was found in one line a study, and what to type next."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.support.batch_site import Site, make_record

HIGHEST = {"BCD_THRESHOLD": "0.999999"}
LOWEST = {"BCD_THRESHOLD": "0.000001"}


def worst_of(result: dict[str, Any]) -> tuple[float, dict[str, Any], dict[str, Any]]:
    found = [
        (each["probability"]["benign"] + each["probability"]["malignant"], film, each)
        for film in result["films"]
        for each in film["findings"]
        if each["presented"]
    ]
    return max(found, key=lambda each: each[0])


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"study [\d.]+: ", line)]


def test_a_scan_ends_with_the_worst_finding_of_each_study(local: Any, studies: Path) -> None:
    results = local("scan", studies, "--out", "out", "--json", **LOWEST).json["results"]
    shown = local("scan", studies, "--out", "out", **LOWEST).out
    lines = lines_of(shown)
    assert len(lines) == len(results) == 2
    for line, result in zip(lines, results, strict=True):
        probability, film, finding = worst_of(result)
        said = f"{finding['class']}, P(abnormal) {100 * probability:.1f} %"
        assert f"{said}, {film['laterality']} {film['view']}, {film['file']};" in line
        assert (
            f"film {film['sop_instance_uid']}, {film['laterality']} {film['view']}, {film['file']}: " in shown
        )
    (typed,) = re.findall(r"^next: bcd-admin (.*)$", shown, re.MULTILINE)
    assert local(*shlex.split(typed)).code == 0
    assert shown.count("calibrated apart") == 1


def test_a_study_without_a_finding_says_in_how_many_films(local: Any, patients: list[Path]) -> None:
    (line,) = lines_of(local("scan", patients[0], "--out", "out", **HIGHEST).out)
    assert line.endswith("no finding from P(abnormal) 100.0 % in 2 films scanned")


def test_a_study_with_warnings_says_how_many(local: Any, patients: list[Path], tmp_path: Path) -> None:
    film = dcmread(sorted(patients[0].glob("*.dcm"))[0])
    film.PixelSpacing = film.ImagerPixelSpacing = [0.05, 0.05]
    film.save_as(tmp_path / "film.dcm")
    (line,) = lines_of(local("scan", tmp_path / "film.dcm", "--out", "out").out)
    (result,) = local("scan", tmp_path / "film.dcm", "--out", "out", "--json").json["results"]
    count = len(result["warnings"]) + len(result["films"][0]["warnings"])
    assert count > 0
    assert line.endswith(f"; {count} warning{'s' if count > 1 else ''}")


def test_a_study_looked_at_in_part_says_so_before_its_findings(
    local: Any, patients: list[Path], tmp_path: Path
) -> None:
    films = [Path(shutil.copy(film, tmp_path)) for film in sorted(patients[0].glob("*.dcm"))]
    films[0].write_bytes(films[0].read_bytes()[:20000])
    (line,) = lines_of(local("scan", *films, "--out", "out", **HIGHEST).out)
    assert re.search(r": LOOKED AT IN PART: of 2 films 1 scanned, 1 failed; .*; no finding from", line)
    films[1].unlink()
    (line,) = lines_of(local("scan", films[0], "--out", "alone", **HIGHEST).out)
    assert ": NOT LOOKED AT: " in line
    assert "no finding" not in line


@pytest.mark.redis
def test_submit_shows_what_was_found_when_it_has_waited(kept: Any, studies: Path) -> None:
    answer = kept("submit", studies, "--out", "found", "--wait", **LOWEST)
    assert answer.code == 0, answer.err
    lines = lines_of(answer.out)
    found = [kept("results", line.split()[1].rstrip(":"), "--json").json for line in lines]
    highest = [worst_of(result)[0] for result in found]
    assert len(highest) == 2
    assert highest == sorted(highest, reverse=True), "the worst comes first"
    assert f"P(abnormal) {100 * highest[0]:.1f} %" in lines[0]
    assert f"next: bcd-admin results {found[0]['job_id']}\n" in answer.out
    again = kept("submit", studies, "--out", "found", "--batch", "night", "--wait", **LOWEST)
    assert lines_of(again.out) == lines
    assert "next: bcd-admin results --batch night\n" in again.out


@pytest.mark.redis
def test_status_names_the_films_and_their_files_where_the_user_gave_them(site: Site) -> None:
    ours, others = (make_record(out=site.admin.folder / "out") for _ in range(2))
    for record in (replace(ours, homes=ours.outs), replace(others, homes=())):
        site.records.submit(record, published=False, force=False)
        shown = site("status", record.job_id).out
        assert record.study is not None
        for number, film in enumerate(record.study.films, start=1):
            (line,) = re.findall(rf"^film {number} +(.*)$", shown, re.MULTILINE)
            assert str(film.sop_instance_uid) in line
            assert (film.path.name in line) == bool(record.homes)
