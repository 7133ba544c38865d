"""A variable or a key that nothing reads is warned of, with the nearest name."""

import re
from pathlib import Path
from typing import Any

import pytest

from worker.settings import Settings
from worker.unknown_settings import unknown_settings, unknown_variables

TESTS = Path(__file__).parents[1]
READ = re.compile(r"""environ(?:\.get)?\s*[\[(]\s*['"](BCD_\w+)""")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text('treshold = 0.5\nBCD_RESULTS_DIR = "/r"\n[gateway]\nport = 1\n')
    monkeypatch.setenv("BCD_SETTINGS", str(path))
    return path


def test_misspelt_variables_are_found() -> None:
    environment = {"BCD_TRESHOLD": "1", "BCD_THRESHOLD": "1", "BCD_MIAS_DIR": "x", "PATH": ""}
    assert unknown_variables(environment) == ("BCD_TRESHOLD",)


def test_variables_that_the_tests_read_are_not_misspelt() -> None:
    read = {name for path in TESTS.rglob("*.py") for name in READ.findall(path.read_text())}
    assert {"BCD_MIAS_DIR", "BCD_ADMIN"} <= read
    assert set(unknown_variables(dict.fromkeys(read, "1"))) <= {"BCD_TRESHOLD"}


def test_each_has_the_nearest_name(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_BROKR_URL", "redis://host")
    monkeypatch.setenv("bcd_gateway_prot", "1")
    monkeypatch.setenv("BCD_QQQQ", "1")
    assert [str(each) for each in unknown_settings()] == [
        "BCD_BROKR_URL is not a setting; did you mean BCD_BROKER_URL?",
        "BCD_GATEWAY_PROT is not a setting; did you mean BCD_GATEWAY_PORT?",
        "BCD_QQQQ is not a setting; remove it; bcd-admin doctor --all lists all settings",
        f"{file}: treshold is not a setting; did you mean threshold?",
        f"{file}: BCD_RESULTS_DIR is not a setting; did you mean results_dir?",
        f"{file}: [gateway] is not read; write each setting by itself, in no table",
    ]


def test_a_file_that_cannot_be_read_is_left_to_the_command(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("=")
    monkeypatch.setenv("BCD_TRESHOLD", "1")
    assert len(list(unknown_settings())) == 1


@pytest.mark.parametrize("command", [["jobs"], ["model"], ["phantom", "films", "--patients", "1"]])
def test_every_command_warns_once_beside_its_answer(local: Any, file: Path, command: list[str]) -> None:
    answer = local(*command, BCD_SETTINGS=str(file), BCD_TRESHOLD="1")
    assert answer.code == 0, answer.err
    warnings = [line for line in answer.err.splitlines() if "warning" in line]
    assert len(warnings) == 4
    assert warnings[0] == "bcd-admin: warning: BCD_TRESHOLD is not a setting; did you mean BCD_THRESHOLD?"
    assert "is not a setting" not in answer.out


def test_an_answer_in_json_stays_clean(local: Any, file: Path) -> None:
    answer = local("model", "--json", BCD_SETTINGS=str(file))
    assert answer.json["name"]
    assert "did you mean threshold?" in answer.err


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_what_needs_a_queue_names_the_misspelt_variable_of_its_address(local: Any, command: str) -> None:
    answer = local(command, BCD_BROKR_URL="redis://host")
    assert answer.code == 2
    assert "did you mean BCD_BROKER_URL?" in answer.err
    assert "needs a queue" in answer.error


@pytest.mark.parametrize("command", ["worker", "serve"])
def test_workers_and_gateways_log_it(admin: Any, command: str) -> None:
    """Here nothing answers at the address, so that they end; before that they log."""
    answer = admin(command, BCD_BROKER_URL="redis://127.0.0.1:1/0", BCD_TRESHOLD="1")
    assert answer.code == 4
    (line,) = [line for line in answer.err.splitlines() if "BCD_TRESHOLD" in line]
    assert '"event": "setting unknown"' in line
    assert '"error": "BCD_TRESHOLD is not a setting; did you mean BCD_THRESHOLD?"' in line


def test_no_setting_is_unknown() -> None:
    assert unknown_variables({variable: "1" for variable, _, _ in Settings.variables()}) == ()
