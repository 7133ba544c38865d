"""A zip of films in the place of their folder."""

import os
import signal
import subprocess
import sys
import warnings
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

FILMS = ".bcd-films"


def pack(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def contents(patients: list[Path]) -> dict[str, bytes]:
    """The films of a study as a zip calls them."""
    return {f"one visit/{film.name}": film.read_bytes() for film in sorted(patients[0].glob("*.dcm"))}


def test_a_scan_of_a_zip_is_one_of_its_films_and_leaves_nothing(
    admin: Any, patients: list[Path], contents: dict[str, bytes], tmp_path: Path
) -> None:
    archive = pack(tmp_path / "study.zip", contents | {"one visit/notes.txt": b"hello"})
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    zipped = admin("scan", archive, "--out", "zipped", "--json", TMPDIR=str(unpacked))
    assert zipped.code == 0, zipped.err
    assert list(unpacked.iterdir()) == []
    assert f"{archive}/one visit/notes.txt: left out: not a DICOM file" in zipped.err
    (ours,) = zipped.json["results"]
    (plain,) = admin("scan", patients[0], "--out", "plain", "--json").json["results"]
    assert ours["job_id"] == plain["job_id"]
    assert [film["file"] for film in ours["films"]] == [film["file"] for film in plain["films"]]


def locked(path: Path, films: dict[str, bytes]) -> None:
    content = bytearray(pack(path, films).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # general purpose bit 0
    path.write_bytes(content)


BAD = {
    "encrypted": (locked, "an encrypted zip; pack it without a password"),
    "broken": (
        lambda path, films: path.write_bytes(pack(path, films).read_bytes()[:-200]),
        "a zip that is broken",
    ),
    "a bomb": (
        lambda path, _: pack(path, {"film.dcm": bytes(64 << 20)}),
        "holds more than is taken, unpacked",
    ),
    "with a name that leads out": (
        lambda path, films: pack(path, {"../film.dcm": next(iter(films.values()))}),
        "a name that leads out of it",
    ),
    "without a film": (lambda path, _: pack(path, {"notes.txt": b"hello"}), "not a DICOM file"),
    "packed with LZMA": (
        lambda path, films: pack(path, films, zipfile.ZIP_LZMA),
        "not compressed with Deflate",
    ),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("command", ["scan", "submit"])
def test_a_zip_that_cannot_be_used_is_one_line_and_code_3(
    local: Any, admin: Any, contents: dict[str, bytes], tmp_path: Path, command: str, kind: str
) -> None:
    make, said = BAD[kind]
    make(tmp_path / "study.zip", contents)
    answer = local(command, tmp_path / "study.zip", "--out", "out")
    assert answer.code == 3
    assert answer.error.startswith(f"{tmp_path / 'study.zip'}: ")
    assert said in answer.error
    assert answer.err.count("\n") == 1
    assert [path.name for path in (admin.folder / "out").iterdir()] == []


def test_a_name_in_a_zip_is_never_that_of_another_of_its_files(
    local: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    """Not as unpacking numbers its files, and not the digest of another one's content."""
    one, two = contents.values()
    names = {"entry-1": one, "entry-0": two, sha256(two).hexdigest(): one, "film.dcm": two}
    archive = pack(tmp_path / "study.zip", names)
    (result,) = local("scan", archive, "--out", "out", "--json").json["results"]
    assert sorted(film["status"] for film in result["films"]) == ["scanned", "scanned"]


def test_a_scan_that_is_ended_by_sigterm_leaves_no_film(
    admin: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    archive = pack(tmp_path / "study.zip", contents)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    command = [sys.executable, "-m", "worker", "scan", str(archive), "--out", str(tmp_path / "out")]
    scan = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(unpacked)}, stderr=subprocess.PIPE)
    admin.eventually(lambda: any(unpacked.rglob("*.dcm")))
    scan.send_signal(signal.SIGTERM)
    scan.communicate(timeout=60)
    assert scan.returncode == 130
    assert list(unpacked.iterdir()) == []


def test_a_worker_reads_the_films_of_a_zip_wherever_else_it_may_read(
    local: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    archive = pack(tmp_path / "study.zip", contents)
    done = local("submit", archive, "--out", "out", BCD_INPUT_ROOTS=str(tmp_path / "elsewhere"))
    assert (done.code, done.err.count("may not read")) == (0, 0)


def test_the_films_of_a_zip_are_the_groups_where_the_results_are(
    local: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o2770)
    before = os.umask(0o077)
    try:
        film = next(iter(contents.values()))
        made = pack(tmp_path / "damaged.zip", {"a/film.dcm": film[:20000]})
        local("submit", made, "--out", out, BCD_RESULTS_MODE="group")  # its film failed: it stays
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o2777 for path in (out / FILMS).rglob("*") if path.is_dir()}
    assert modes == {0o2750}
    assert {path.stat().st_mode & 0o777 for path in (out / FILMS).rglob("*.dcm")} == {0o640}


def test_two_files_of_one_name_are_both_looked_at(
    local: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for content in contents.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the name is there already
                archive.writestr("film.dcm", content)
    (result,) = local("scan", tmp_path / "study.zip", "--out", "out", "--json").json["results"]
    assert [film["status"] for film in result["films"]] == ["scanned", "scanned"]


@pytest.mark.redis
def test_the_films_of_a_zip_stay_as_long_as_its_jobs_need_them(
    kept: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    archive = pack(tmp_path / "study.zip", contents)
    done = kept("submit", archive, "--out", tmp_path / "done", "--wait")
    assert done.code == 0, done.err
    assert not (tmp_path / "done" / FILMS).exists()
    queued = kept("submit", archive, "--out", tmp_path / "later", "--no-wait", "--json")
    assert queued.code == 0, queued.err
    (folder,) = (tmp_path / "later" / FILMS).iterdir()
    assert f"the films unpacked stay in {folder} for their jobs" in queued.err
    job = queued.json["jobs"][0]["job_id"]
    assert kept("status", job, "--watch").code == 0
    assert kept("status", job, "--json").json["state"] == "done"


@pytest.mark.redis
def test_what_failed_in_a_zip_can_be_done_again(
    kept: Any, contents: dict[str, bytes], tmp_path: Path
) -> None:
    name, film = next(iter(contents.items()))
    archive = pack(tmp_path / "study.zip", contents | {name: film[:20000]})
    answer = kept("submit", archive, "--out", tmp_path / "out", "--wait", "--json")
    assert answer.code == 1, answer.err
    (job,) = answer.json["jobs"]
    assert kept("retry", job["job_id"]).code == 0
    kept("status", job["job_id"], "--watch")
    again = kept("status", job["job_id"], "--json").json
    assert (again["state"], again["reason_code"]) == ("done with failures", job["reason_code"])
