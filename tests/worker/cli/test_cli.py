"""The command line: answers, one line for every error, and the exit codes."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from bcd_model.weights import SHIPPED

COMMANDS = (
    "demo",
    "convert",
    "phantom",
    "scan",
    "classify",
    "submit",
    "jobs",
    "status",
    "cancel",
    "retry",
    "results",
    "worker",
    "up",
    "train",
    "reproduce",
    "model",
    "evaluate",
    "doctor",
)


def film(patients: list[Path]) -> Path:
    return sorted(patients[0].glob("*.dcm"))[0]


def test_help_names_every_command_and_says_research_use_only(local: Any) -> None:
    answer = local("--help")
    assert answer.code == 0
    assert "Research use only" in answer.out
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", answer.out, re.MULTILINE), command
        assert local(command, "--help").code == 0


def test_without_a_command_it_shows_its_help(local: Any) -> None:
    answer = local()
    assert answer.code == 0
    assert "Usage: bcd-admin" in answer.out


def test_the_version(local: Any) -> None:
    assert re.fullmatch(r"bcd-cad \d+\.\d+\.\d+\n", local("--version").out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["submit"],
        ["submit", "--nonsense", "x"],
        ["convert"],
        ["convert", "mias"],
        ["phantom", "out", "--patients", "0"],
        ["phantom", "out", "--patients", "many"],
        ["worker"],
        ["jobs", "--limit", "-1"],
        ["jobs", "--state", "lost"],
        ["status"],
        ["status", "x"],
        ["cancel"],
        ["cancel", "x"],
        ["retry"],
        ["retry", "x"],
        ["results"],
        ["results", "x"],
        ["results", "x", "--csv", "--json"],
        ["classify", "missing.pgm", "--center", "1,1", "--radius", "5"],
        ["submit", "missing"],
        ["scan", "missing"],
    ],
)
def test_wrong_usage_is_one_line_and_code_2(local: Any, arguments: list[str]) -> None:
    answer = local(*arguments)
    assert answer.code == 2
    assert answer.error
    assert answer.out == ""


def test_a_wrong_setting_stops_every_command_that_needs_it(local: Any, studies: Path) -> None:
    for command in (["submit", studies], ["scan", studies], ["jobs"], ["worker"], ["model"]):
        answer = local(*command, BCD_WORKER_PROCESSES="none")
        assert answer.code == 2
        assert answer.error.startswith("BCD_WORKER_PROCESSES='none' cannot be used; ")


@pytest.mark.parametrize("command", ["submit", "scan"])
def test_nothing_usable_in_the_input(local: Any, tmp_path: Path, command: str) -> None:
    empty, texts = tmp_path / "empty", tmp_path / "texts"
    empty.mkdir()
    texts.mkdir()
    (texts / "notes.dcm").write_text("this is no DICOM file")
    for folder in (empty, texts):
        answer = local(command, folder)
        assert answer.code == 3
        assert str(folder) in answer.error


@pytest.mark.parametrize("command", ["submit", "scan"])
def test_an_output_below_a_file_is_told_before_any_work(
    local: Any, admin: Any, studies: Path, command: str
) -> None:
    (admin.folder / "file").touch()
    answer = local(command, studies, "--out", "file/results")
    assert answer.code == 5
    assert "file/results" in answer.error


@pytest.mark.parametrize(
    "command",
    [
        ["jobs", "--watch"],
        ["submit", "STUDIES"],
        ["worker"],
        ["status", "x"],
        ["cancel", "x"],
        ["retry", "x"],
    ],
)
def test_a_queue_that_does_not_answer_is_told_in_time(local: Any, studies: Path, command: list[str]) -> None:
    arguments = [studies if argument == "STUDIES" else argument for argument in command]
    answer = local(*arguments, BCD_BROKER_URL="redis://:secret@127.0.0.1:1/0")
    assert answer.code == 4
    assert "redis://***@127.0.0.1:1/0" in answer.error
    assert "secret" not in answer.err


def test_a_weight_file_that_is_none_is_told(local: Any, studies: Path, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"not weights")
    for command in (["scan", studies], ["submit", studies], ["model"]):
        answer = local(*command, BCD_MODEL=str(tmp_path / "weights"))
        assert answer.code == 3
        assert "weight file" in answer.error


def test_debug_shows_the_traceback_anywhere(local: Any) -> None:
    for arguments in (["--debug", "scan", "missing"], ["scan", "missing", "--debug"]):
        answer = local(*arguments)
        assert answer.code == 2
        assert "Traceback" in answer.err


def test_an_unexpected_error_is_one_line_too(local: Any, admin: Any, studies: Path) -> None:
    # a state folder that is a link to itself: a system error that no command looks for
    loop = admin.folder / "loop"
    loop.symlink_to(loop)
    answer = local("convert", "mias", loop, "out")
    assert answer.code != 0
    assert answer.error


def test_an_unexpected_error_quotes_no_library(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_info(_: object) -> None:
        raise ValueError("could not convert 'Marked^Nameless'")

    monkeypatch.setattr("worker.cli.model.read_info", read_info)
    answer = local("model")
    assert answer.code == 1
    assert "unexpected ValueError in test_cli.py, line" in answer.error
    assert "Marked" not in answer.err


def test_a_file_name_never_breaks_the_line(local: Any, patients: list[Path], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("two\nlines.txt", "no utf-8 \udcff.txt", "\x1b[2Jclears"):
        (tmp_path / "in" / name).write_text("this is no DICOM file")
    answer = local("submit", tmp_path / "in", *patients, "--out", tmp_path / "in" / "two\nlines.txt" / "out")
    assert answer.code == 5
    assert r"two\nlines.txt/out: cannot be written" in answer.error
    answer = local("scan", tmp_path / "in", patients[0], "--out", "out")
    assert answer.code == 0, answer.err
    (line,) = answer.err.splitlines()
    assert line.endswith("left out: not a DICOM file (no DICM prefix at byte 128)")
    assert r"two\nlines.txt" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("damage", [lambda _: b"", lambda data: bytes(1024) + data[1024:]])
def test_a_damaged_film_that_tells_no_study_ends_with_1(
    local: Any, patients: list[Path], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    films = sorted(patients[0].glob("*.dcm"))
    shutil.copy(films[0], tmp_path)
    (tmp_path / "lost.dcm").write_bytes(damage(films[1].read_bytes()))
    answer = local("scan", tmp_path, "--out", "out", "--json")
    assert answer.code == 1
    assert [Path(lost["file"]).name for lost in answer.json["unplaced"]] == ["lost.dcm"]
    assert (
        "lost.dcm: NOT SCANNED, and it may be a film of any study: is named like a DICOM file" in answer.err
    )


def test_different_files_of_one_film_are_named_on_the_command_line_alone(
    local: Any, patients: list[Path], tmp_path: Path
) -> None:
    films = sorted(patients[0].glob("*.dcm"))
    shutil.copy(films[0], tmp_path)
    film = pydicom.dcmread(films[1])
    for name in ("Bergmann.dcm", "Bergmann2.dcm"):
        film.SeriesNumber = len(name)
        film.save_as(tmp_path / name)
    answer = local("scan", tmp_path, "--out", "out", "--json")
    assert answer.code == 1
    assert (
        f"{tmp_path / 'Bergmann.dcm'}, {tmp_path / 'Bergmann2.dcm'}: have one SOP Instance UID" in answer.err
    )
    (folder,) = (Path(result["folder"]) for result in answer.json["results"])
    for path in folder.rglob("*"):
        assert path.name == "result.json" or path.is_dir() or b"Bergmann" not in path.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_answer_that_cannot_be_written_is_told(admin: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            admin.command("model"),
            cwd=admin.folder,
            env=admin.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 5
    assert done.stderr.startswith("bcd-admin: error: the answer cannot be written: No space left")
    assert len(done.stderr.splitlines()) == 1


def test_a_closed_output_is_no_error(admin: Any) -> None:
    command = ["sh", "-c", '"$@" >&- 2>&-', "sh", *admin.command("model")]
    assert subprocess.run(command, cwd=admin.folder, env=admin.environment, check=False).returncode == 0


def test_a_reader_that_goes_away_is_no_error(admin: Any) -> None:
    process = subprocess.Popen(
        admin.command("doctor"),
        env=admin.environment,
        cwd=admin.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 141


def test_a_folder_in_the_place_of_a_file_or_a_result_is_called_so(local: Any, studies: Path) -> None:
    answer = local("classify", studies, "--center", "1,1", "--radius", "5")
    assert (answer.code, answer.error) == (2, f"{studies}: is not a file; name one film, PGM or DICOM")
    for option in ([], ["--csv"], ["--json"]):
        answer = local("results", studies, *option)
        assert answer.code == 3
        assert answer.error.startswith(f"{studies}/result.json: cannot be read (No such file or directory); ")


def test_a_file_in_the_place_of_a_folder_is_called_so(local: Any, studies: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in ("train", "reproduce"):
        answer = local(command, "--mias", studies.parent / "films", "--out", tmp_path / "file")
        assert answer.code == 5
        assert answer.error == f"{tmp_path / 'file'}: is not a folder; name another one with --out"


def test_classify_gives_three_probabilities(local: Any, patients: list[Path]) -> None:
    answer = local("classify", film(patients), "--center", "128,150", "--radius", "20", "--json")
    assert answer.code == 0, answer.err
    probability = answer.json["probability"]
    assert sum(probability.values()) == pytest.approx(1)
    assert answer.json["class"] == max(probability, key=probability.get)
    text = local("classify", film(patients), "--center", "128,150", "--radius", "20")
    assert text.out.splitlines()[0] == answer.json["class"]
    assert "Research use only" in text.err


def test_classify_takes_a_pgm_as_well(local: Any, studies: Path, patients: list[Path]) -> None:
    dicom = film(patients)
    pgm = studies.parent / "films" / f"{dicom.stem}.pgm"
    region = ["--center", "128,150", "--radius", "20", "--json"]
    assert local("classify", pgm, *region).json["probability"] == pytest.approx(
        local("classify", dicom, *region).json["probability"], abs=1e-6
    )


@pytest.mark.parametrize("center", ["300,10", "10,-1", "10", "a,b", "nan,1", "1,2,3"])
def test_classify_wants_a_place_on_the_film(local: Any, patients: list[Path], center: str) -> None:
    answer = local("classify", film(patients), f"--center={center}", "--radius", "20")
    assert answer.code == 2
    assert "--center" in answer.error


def test_classify_of_air_is_told(local: Any, patients: list[Path]) -> None:
    answer = local("classify", film(patients), "--center", "250,250", "--radius", "5")
    assert answer.code == 3
    assert answer.error.startswith(f"{film(patients).name}: there is no breast at the region; ")
    assert answer.out == ""


def test_a_pgm_with_a_lying_header_is_told(local: Any, tmp_path: Path) -> None:
    (tmp_path / "lie.pgm").write_bytes(b"P5 1000 1000 255\n" + bytes(100))
    answer = local("classify", tmp_path / "lie.pgm", "--center", "10,10", "--radius", "5")
    assert answer.code == 3
    assert "lie.pgm" in answer.error


def test_phantom_and_convert(local: Any, admin: Any) -> None:
    phantom = local("phantom", "films", "--patients", "1")
    assert phantom.code == 0, phantom.err
    converted = local("convert", "mias", "films", "dicom", "--json")
    assert converted.code == 0
    assert (converted.json["studies"], converted.json["films"]) == (1, 2)
    assert len(list((admin.folder / "dicom").rglob("*.dcm"))) == 2


def test_convert_without_annotations_is_told(local: Any, admin: Any, studies: Path) -> None:
    (admin.folder / "films").mkdir()
    for path in (studies.parent / "films").glob("*.pgm"):
        (admin.folder / "films" / path.name).write_bytes(path.read_bytes())
    missing = local("convert", "mias", "films", "dicom")
    assert missing.code == 3
    assert "Info.txt" in missing.error
    (admin.folder / "films" / "Info.txt").write_text("mdb001 G WHAT B 1 2 3\n")
    unknown = local("convert", "mias", "films", "dicom")
    assert unknown.code == 3
    assert "Info.txt" in unknown.error


def test_scan_shows_what_it_found_and_leaves_no_queue(local: Any, admin: Any, studies: Path) -> None:
    answer = local("scan", studies, "--out", "out")
    assert answer.code == 0, answer.err
    assert len(re.findall(r"^study 2\.25\.\d+$", answer.out, re.MULTILINE)) == 2
    assert "Research use only" in answer.out
    assert not admin.state.exists()
    structured = local("scan", studies, "--out", "out", "--json").json["results"]
    assert len(structured) == 2
    assert "probabilities hold where 40 % of films are abnormal" in answer.out


def test_scan_shows_what_is_below_the_operating_point_if_asked(local: Any, patients: list[Path]) -> None:
    def scan(*options: str) -> Any:
        return local("scan", patients[0], "--out", "strict", *options, BCD_THRESHOLD="0.95")

    (result,) = scan("--json").json["results"]
    findings = [finding for film in result["films"] for finding in film["findings"]]
    shown, everything = scan().out, scan("--all").out
    rows = [len(re.findall(r"^ +\d+  .* %", text, re.MULTILINE)) for text in (shown, everything)]
    assert rows == [sum(finding["presented"] for finding in findings), len(findings)]
    assert rows[0] < rows[1]
    assert "--all shows them" in shown
    assert "--all shows them" not in everything


def test_scan_gives_its_probabilities_where_abnormal_films_are_rare(local: Any, patients: list[Path]) -> None:
    before = local("scan", patients[0], "--out", "own", "--json").json["results"]
    after = local("scan", patients[0], "--out", "rare", "--json", BCD_PREVALENCE="0.005").json["results"]
    (mine,), (theirs,) = after, before
    assert mine["job_id"] != theirs["job_id"]
    assert mine["settings"]["prevalence"] == mine["operating_point"]["prevalence"] == 0.005
    assert mine["settings"]["threshold"] < theirs["settings"]["threshold"] == 0.3
    found = [[len(film["findings"]) for film in each["films"]] for each in (mine, theirs)]
    assert found[0] == found[1]
    both = {"BCD_PREVALENCE": "0.005", "BCD_THRESHOLD": "0.3"}
    (strict,) = local("scan", patients[0], "--out", "strict", "--json", **both).json["results"]
    assert (strict["operating_point"]["threshold"], strict["operating_point"]["prevalence"]) == (0.3, 0.005)
    assert strict["operating_point"]["basis"] == "set by the user; not measured"
    assert not any(finding["presented"] for film in strict["films"] for finding in film["findings"])


def test_the_model_says_what_it_is(local: Any, weights: Path) -> None:
    import hashlib

    facts = local("model", "--json").json
    assert facts["digest"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert facts["operating_point"]["threshold"] == 0.3
    assert facts["operating_point"]["prevalence"] == 0.4
    text = local("model").out
    assert "tiny" in text
    assert "not measured" in text
    assert facts["weights"] == "not the shipped weights"
    shipped = local("model", BCD_MODEL=str(SHIPPED)).out
    assert re.search(r"weights +shipped\n", shipped)
    assert re.search(r"film digests +254, listed by --json\n", shipped)


def test_the_doctor_finds_a_healthy_machine_usable(local: Any) -> None:
    answer = local("doctor", "--json", BCD_TRESHOLD="1")
    assert answer.code == 0, answer.out
    assert answer.json["usable"]
    states = {check["name"]: check["state"] for check in answer.json["checks"]}
    assert states["embedded engine"] == "ok"
    assert states["model"] == "ok"
    (model,) = (check["found"] for check in answer.json["checks"] if check["name"] == "model")
    assert model.startswith("tiny 0 (") and ", not the shipped weights, " in model
    assert ", shipped, " in local("doctor", BCD_MODEL=str(SHIPPED)).out
    misspelt = [check for check in answer.json["checks"] if "BCD_TRESHOLD" in check["found"]]
    assert [check["state"] for check in misspelt] == ["warn"]
    assert local("doctor").out.startswith("usable\n")


@pytest.mark.parametrize(
    ("environment", "code", "found"),
    [
        ({"BCD_THRESHOLD": "2"}, 2, "BCD_THRESHOLD"),
        ({"BCD_PREVALENCE": "1"}, 2, "BCD_PREVALENCE"),
        ({"BCD_MODEL": __file__}, 3, "weight file"),
        ({"BCD_BROKER_URL": "redis://127.0.0.1:1/0"}, 4, "127.0.0.1"),
        ({"BCD_RESULTS_DIR": f"{__file__}/results"}, 5, "results"),
    ],
)
def test_the_doctor_says_what_is_wrong(
    local: Any, environment: dict[str, str], code: int, found: str
) -> None:
    answer = local("doctor", **environment)
    assert answer.code == code
    failed = [line for line in answer.out.splitlines() if line.startswith("fail")]
    assert len(failed) == 1
    assert found in failed[0]
    assert "-> " in answer.out
    assert answer.out.startswith("not usable\n")


def test_the_doctor_loads_the_weights(local: Any, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    whole = SHIPPED.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])  # its head says all that 'model' shows
    assert local("model", BCD_MODEL=str(damaged)).code == 0
    answer = local("doctor", BCD_MODEL=str(damaged))
    assert answer.code == 3
    assert re.search(r"^fail +model: .*damaged.safetensors: is damaged", answer.out, re.MULTILINE)


def test_no_jobs_yet(local: Any) -> None:
    assert local("jobs").err == "no jobs yet\n"
    listed = local("jobs", "--json").json
    assert (listed["total"], listed["jobs"]) == (0, [])
    assert set(listed["states"].values()) == {0}


def test_the_current_folder_never_shadows_the_program(admin: Any) -> None:
    (admin.folder / "worker").mkdir()
    (admin.folder / "worker" / "__init__.py").write_text("raise SystemExit('shadowed')")
    script = Path(sys.executable).with_name("bcd-admin")
    if not script.exists():
        pytest.skip("needs the installed command")
    done = subprocess.run(
        [script, "jobs"],
        cwd=admin.folder,
        env=admin.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "no jobs yet\n")
    assert [path.name for path in admin.folder.iterdir()] == ["worker"]
