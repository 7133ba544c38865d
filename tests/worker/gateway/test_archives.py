"""What is in the files of an upload: zips that are bombs or lead elsewhere, names, what is no film."""

import io
import os
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import MediaStorageDirectoryStorage

from tests.support.wire import MARKED, everything, overlap, packed, problem

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def client(strict: Any) -> Any:
    return strict.client("first")


TRAVERSALS = ["../../evil.dcm", "/etc/evil.dcm", "..\\..\\evil.dcm", "C:\\evil.dcm", "a/../../evil.dcm"]


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_zip_that_leads_out_of_its_folder_is_refused(
    strict: Any, client: Any, films: list[Path], name: str
) -> None:
    before = everything(strict.folder.parent)
    content = packed((name, films[0].read_bytes()))
    said = problem(client.submit(("study.zip", content)), 422)
    assert "leads out" in said["skipped"][0]["reason"]
    assert everything(strict.folder.parent) - before == set()
    assert not Path("/etc/evil.dcm").exists()


@pytest.mark.parametrize("name", [*TRAVERSALS, MARKED, "a" * 3000, "a\x00b", "\r\nX: y", "../tokens.json"])
def test_a_name_of_a_file_never_reaches_the_disk(
    strict: Any, client: Any, films: list[Path], name: str
) -> None:
    answer = client.submit((name, films[0].read_bytes()))
    assert answer.status_code in (202, 400, 413)
    assert "evil" not in str(everything(strict.folder.parent))
    assert "arked" not in str(everything(strict.folder.parent))
    assert (strict.folder / "tokens.json").stat().st_size > 100


def test_links_and_devices_in_a_zip_are_refused(client: Any) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO):
        entry = zipfile.ZipInfo("film.dcm")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(entry, "/etc/passwd")
        said = problem(client.submit(("study.zip", stream.getvalue())), 422)
        assert "link or a device" in said["skipped"][0]["reason"]


def test_an_encrypted_zip_and_one_inside_another_are_reported(client: Any, films: list[Path]) -> None:
    content = bytearray(packed(("film.dcm", films[0].read_bytes())))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 8] |= 1  # general purpose bit 0
    said = problem(client.submit(("study.zip", bytes(content))), 422)
    assert "encrypted" in said["skipped"][0]["reason"]
    inner = packed(("film.dcm", films[0].read_bytes()))
    said = problem(client.submit(("outer.zip", packed(("inner.zip", inner)))), 422)
    assert "inside a zip" in said["skipped"][0]["reason"]


def test_a_zip_packed_with_lzma_is_refused(client: Any) -> None:
    content = packed(("film.dcm", b"0" * 10000), method=zipfile.ZIP_LZMA)
    assert "Deflate" in problem(client.submit(("study.zip", content)), 422)["skipped"][0]["reason"]


def test_zip_bombs_are_cut_off(strict: Any, client: Any) -> None:
    flat = packed(("film.dcm", bytes(64 << 20)))  # 1000 times its size
    assert len(flat) < 100_000
    problem(client.submit(("bomb.zip", flat)), 413)
    many = packed(*((f"{i}.dcm", b"") for i in range(20_000)))
    assert "too many files" in problem(client.submit(("many.zip", many)), 413)["detail"]
    lying = bytearray(packed(("film.dcm", bytes(64 << 20))))
    directory = lying.rindex(b"PK\x01\x02")
    lying[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # its unpacked size
    assert client.submit(("lying.zip", bytes(lying))).status_code in (413, 422)
    overlapping = overlap(packed(("film.dcm", bytes(1 << 20))), 8)
    assert client.submit(("overlap.zip", overlapping)).status_code in (413, 422)


def test_a_broken_zip_is_reported_and_the_film_beside_it_is_taken(client: Any, films: list[Path]) -> None:
    broken = packed(("film.dcm", films[0].read_bytes()))[:-200]
    answer = client.submit(films[0], ("broken.zip", broken))
    assert answer.status_code == 202
    assert answer.json()["skipped"] == [{"file": "broken.zip", "reason": "a zip that is broken"}]


def test_a_zip_with_an_empty_name_or_a_wrong_offset_is_reported(client: Any, films: list[Path]) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        nameless = zipfile.ZipInfo("x")
        nameless.filename = ""
        archive.writestr(nameless, b"y")
    moved = bytearray(packed(("film.dcm", films[0].read_bytes())))
    end = moved.rindex(b"PK\x05\x06")
    start = int.from_bytes(moved[end + 16 : end + 20], "little")
    moved[end + 16 : end + 20] = (start + 1).to_bytes(4, "little")  # of the directory
    for broken in (stream.getvalue(), bytes(moved)):
        answer = client.submit(films[0], ("broken.zip", broken))
        assert answer.status_code == 202, answer.text
        assert answer.json()["skipped"] == [{"file": "broken.zip", "reason": "a zip that is broken"}]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_a_study_is_that_study(client: Any, films: list[Path], method: int) -> None:
    (plain,) = client.submit(*films).json()["jobs"]
    members = [(f"folder/{film.name}", film.read_bytes()) for film in films]
    content = packed(*members, ("notes.txt", b"x"), method=method)
    answer = client.submit(("study.zip", content)).json()
    assert answer["jobs"][0]["job_id"] == plain["job_id"]
    assert answer["skipped"] == [
        {"file": "notes.txt", "reason": "not a DICOM file (no DICM prefix at byte 128)"}
    ]


def test_a_file_that_is_larger_than_a_film_is_left_out_unread(client: Any, films: list[Path]) -> None:
    """A header may be as long as its file: this one would have a patient's id of 2 MB read into memory."""
    film = films[1].read_bytes()
    at = film.index(b"\x10\x00\x20\x00LO")
    length = 8 + int.from_bytes(film[at + 6 : at + 8], "little")
    element = b"\x10\x00\x20\x00UT\0\0" + (2 << 20).to_bytes(4, "little") + os.urandom(2 << 20)
    large = film[:at] + element + film[at + length :]
    for name, content in (("large.dcm", large), ("large.zip", packed(("large.dcm", large)))):
        answer = client.submit(films[0], (name, content), force="true")
        assert answer.status_code == 202, answer.text
        assert answer.json()["jobs"][0]["films"] == 1
        (left_out,) = answer.json()["skipped"]
        assert (left_out["file"], "too many for a film" in left_out["reason"]) == ("large.dcm", True)
    place = {"center_row": "9", "center_column": "9", "radius": "9"}
    problem(client.post("/regions", files={"file": large}, data=place), 413)


def test_what_is_not_a_film_is_reported_by_the_name_the_client_gave_it(client: Any) -> None:
    said = problem(client.submit(("notes.txt", b"hello"), ("more.txt", b"world")), 422)
    assert {entry["file"] for entry in said["skipped"]} == {"notes.txt", "more.txt"}
    problem(client.post("/jobs", files=[("force", (None, "true"))]), 422)


def test_files_of_zips_and_files_beside_them_count_together(client: Any, films: list[Path]) -> None:
    loose = [(f"{number}.txt", b"%d" % number) for number in range(4)]
    five = packed(*((f"{number}.bin", b"x%d" % number) for number in range(5)))
    said = problem(client.submit(*loose, ("five.zip", five)), 413)
    assert "too many files" in said["detail"]
    four = packed(*((f"{number}.bin", b"x%d" % number) for number in range(4)))
    assert len(problem(client.submit(*loose, ("four.zip", four)), 422)["skipped"]) == 8


def test_one_file_of_a_zip_may_not_be_packed_more_tightly_than_a_zip(client: Any) -> None:
    """The zip as a whole is: a file beside it hardly shrinks."""
    content = packed(("film.dcm", bytes(1 << 20)), ("noise.dcm", os.urandom(256 << 10)))
    assert "unpacked" in problem(client.submit(("study.zip", content)), 413)["detail"]


def test_every_file_of_an_upload_is_accounted_for(client: Any, films: list[Path], tmp_path: Path) -> None:
    directory = dcmread(films[0])
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    for tag in [element.tag for element in directory if element.tag.group >= 0x0028]:
        del directory[tag]
    directory.save_as(tmp_path / "DICOMDIR")
    twin = films[0].read_bytes() + bytes(10)
    sent = [("DICOMDIR", (tmp_path / "DICOMDIR").read_bytes()), ("twin.dcm", twin), ("a.txt", b"a")]
    sent += [("b.dcm", bytes(128) + b"DICM" + b"nonsense")]
    answer = client.submit(*films, *sent, force="true").json()
    skipped = {file["file"]: file["reason"] for file in answer["skipped"]}
    (job,) = answer["jobs"]
    assert {"DICOMDIR", "a.txt"} <= skipped.keys()
    assert job["films"] + len(skipped) == len(films) + len(sent)
