"""``doctor``: the verdict and what is wrong first, then which value comes from where."""

from pathlib import Path
from typing import Any

import pytest

from worker.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text('results_dir = "/tmp/of the file"\nthreshold = 0.3\ninput_roots = ["/a", "/b"]\n')
    path.chmod(0o600)
    return path


def test_problems_come_first(local: Any, file: Path) -> None:
    answer = local("doctor", BCD_SETTINGS=str(file), BCD_RESULTS_DIR=f"{__file__}/results", BCD_TRESHOLD="1")
    assert answer.code == 5
    lines = answer.out.splitlines()
    assert lines[0] == "not usable, 1 warning"
    assert lines[1].startswith("fail  results folder: ")
    assert lines[3] == "warn  setting: BCD_TRESHOLD is not a setting"
    assert lines[4] == "      -> did you mean BCD_THRESHOLD?"
    assert all(line.startswith("ok ") for line in lines[5 : lines.index("")])
    assert answer.err == "", "it is said once"


def test_values_that_are_set_are_shown_with_their_source(local: Any, file: Path) -> None:
    answer = local("doctor", BCD_SETTINGS=str(file), BCD_THRESHOLD="0.4")
    assert answer.code == 0, answer.out
    shown = {line.split()[0]: line.split()[1:] for line in answer.out.splitlines() if line.startswith("BCD_")}
    assert shown["BCD_THRESHOLD"] == ["0.4", "environment"]
    assert shown["BCD_RESULTS_DIR"] == ["/tmp/of", "the", "file", str(file)]
    assert shown["BCD_INPUT_ROOTS"] == ["/a:/b", str(file)]
    assert "BCD_RECORD_DAYS" not in shown
    others = len(list(Settings.variables())) - len(shown)
    assert answer.out.endswith(f"\n{others} other settings have their defaults; --all lists them\n")


def test_all_lists_every_setting_and_what_it_sets(local: Any) -> None:
    out = local("doctor", "--all").out
    for variable, _, description in Settings.variables():
        (line,) = [line for line in out.splitlines() if line.startswith(f"{variable} ")]
        assert line.endswith(description)
    assert "--all" not in out


def test_json_has_every_setting_with_its_value_and_source(local: Any, file: Path) -> None:
    answer = local("doctor", "--json", BCD_SETTINGS=str(file), BCD_WORKER_PROCESSES="2").json
    assert answer["settings_file"] == str(file)
    settings = {setting["name"]: setting for setting in answer["settings"]}
    assert list(settings) == [variable for variable, _, _ in Settings.variables()]
    assert settings["BCD_THRESHOLD"]["value"] == 0.3
    assert settings["BCD_THRESHOLD"]["source"] == "file"
    assert settings["BCD_INPUT_ROOTS"]["value"] == ["/a", "/b"]
    assert settings["BCD_WORKER_PROCESSES"]["source"] == "environment"
    assert (settings["BCD_BROKER_URL"]["value"], settings["BCD_BROKER_URL"]["source"]) == (None, "default")
    assert local("doctor", "--json").json["settings_file"] == "/dev/null"


def test_no_password_is_shown(local: Any, file: Path) -> None:
    file.write_text('broker_url = "redis://:opensesame@127.0.0.1:1/0"\n')
    for options in ([], ["--all"], ["--json"]):
        answer = local("doctor", *options, BCD_SETTINGS=str(file))
        assert answer.code == 4
        assert "redis://***@127.0.0.1:1/0" in answer.out
        assert "opensesame" not in answer.out + answer.err


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_password_that_every_user_can_read_is_warned_of(
    local: Any, file: Path, mode: int, warned: bool
) -> None:
    file.write_text('broker_url = "redis://:opensesame@127.0.0.1:1/0"\n')
    file.chmod(mode)
    answer = local("doctor", BCD_SETTINGS=str(file))
    assert ("holds a password, and every user can read it" in answer.out) == warned
    assert (f"chmod o-r {file}" in answer.out) == warned


def test_a_file_without_a_password_may_be_read_by_all(local: Any, file: Path) -> None:
    file.chmod(0o644)
    assert "chmod" not in local("doctor", BCD_SETTINGS=str(file)).out


def test_a_wrong_file_is_said_in_full(local: Any, file: Path) -> None:
    file.write_text("threshold = 2\nlog_level = 'LOUD'\ntreshold = 1\n")
    answer = local("doctor", BCD_SETTINGS=str(file))
    assert answer.code == 2
    lines = answer.out.splitlines()
    assert lines[0] == "not usable, 1 warning"
    assert lines[1] == f"fail  setting: {file}: threshold = 2 cannot be used"
    assert lines[3] == f'fail  setting: {file}: log_level = "LOUD" cannot be used'
    assert lines[5] == f"warn  setting: {file}: treshold is not a setting"
    assert len(lines) == 7
    assert local("doctor", "--json", BCD_SETTINGS=str(file)).json["usable"] is False


def test_up_says_that_a_queue_is_named_and_where_to_look(local: Any, file: Path) -> None:
    file.write_text('broker_url = "redis://:opensesame@127.0.0.1:1/0"\n')
    answer = local("up", BCD_SETTINGS=str(file))
    assert answer.code == 2
    assert "bcd-admin doctor says where it is set" in answer.error
    lines = local("doctor", BCD_SETTINGS=str(file)).out.splitlines()
    (line,) = [line for line in lines if line.startswith("BCD_BROKER_URL ")]
    assert line.split()[1:] == ["redis://***@127.0.0.1:1/0", str(file)]
