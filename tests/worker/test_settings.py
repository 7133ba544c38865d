from pathlib import Path

import pytest

from bcd_model.errors import SettingsError
from worker.settings import Settings, hide_secrets, load_settings, settings_problems


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, _, _ in Settings.variables():
        monkeypatch.delenv(variable, raising=False)


def test_defaults_need_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = load_settings()
    assert settings.embedded
    assert settings.state_dir == tmp_path / "bcd"
    assert settings.results_dir == Path("bcd-results")


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("BCD_BROKER_URL", "amqp://host", "redis://"),
        ("BCD_BROKER_URL", "redis://", "host"),
        ("BCD_BROKER_URL", "redis://host:99999/0", "port"),
        ("BCD_BROKER_URL", "redis://host/queue", "number"),
        ("BCD_BROKER_URL", "redis+socket://", "socket"),
        ("BCD_BROKER_URL", "redis://host/0?timeout=1", "nothing"),
        ("BCD_BROKER_URL", "redis://host/0?virtual_host=1", "nothing"),
        ("BCD_BROKER_URL", "rediss://host/0?ssl_foo=1", "ssl_ca_certs"),
        ("BCD_UID_ROOT", "1.02", "digits"),
        ("BCD_UID_ROOT", "1." + "9" * 60, "characters"),
        ("BCD_THRESHOLD", "1.5", "less than or equal to 1"),
        ("BCD_THRESHOLD", "high", "number"),
        ("BCD_PREVALENCE", "0.00009", "greater than or equal to 0.0001"),
        ("BCD_PREVALENCE", "0.99995", "less than or equal to 0.9999"),
        ("BCD_PREVALENCE", "nan", "less than or equal to 0.9999"),
        ("BCD_PREVALENCE", "rare", "number"),
        ("BCD_MODEL", "/nowhere/weights", "no such file"),
        ("BCD_WORKER_PROCESSES", "0", "greater than or equal to 1"),
        ("BCD_TORCH_THREADS", "two", "integer"),
        ("BCD_VISIBILITY_TIMEOUT", "1", "greater than or equal to 10"),
        ("BCD_LOG_LEVEL", "LOUD", "'DEBUG'"),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert variable in message
    assert value in message
    assert remedy in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_BROKER_URL", "redis://user:se@cret@host/queue")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "cret" not in str(caught.value)
    assert hide_secrets("rediss://:pw@host:1/0") == "rediss://***@host:1/0"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:se/cret@host/0",
        "redis://host/0?password=secret",
        "redis://host/0?Password=secret",
        "redis://u:secret#x@host:6379/0",
        "amqp://:s#e@cret@host",
        "redis:/:cret@host",
        ":cret@host",
    ],
)
def test_nor_one_in_an_odd_place(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BCD_BROKER_URL", url)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "cret" not in str(caught.value)
    assert "host" in str(caught.value)


def test_a_space_around_the_address_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_BROKER_URL", " redis://host/0\n")
    assert load_settings().broker_url == "redis://host/0"


def test_a_user_without_a_home_has_settings_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert load_settings().state_dir.is_absolute()


def test_every_wrong_variable_gets_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_THRESHOLD", "-1")
    monkeypatch.setenv("BCD_LOG_LEVEL", "x")
    assert len(settings_problems()) == 2


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_BROKER_URL", "")
    assert load_settings().broker_url is None


def test_folders_are_listed_like_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_INPUT_ROOTS", "/a:/b c")
    assert load_settings().input_roots == (Path("/a"), Path("/b c"))


@pytest.mark.parametrize("empty", [":", "::"])
def test_a_restriction_that_names_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    """It would be none: any folder."""
    monkeypatch.setenv("BCD_OUTPUT_ROOTS", empty)
    with pytest.raises(SettingsError, match="it names no folder"):
        load_settings()


def test_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_WORKER_PROCESSES", "3")
    assert load_settings(worker_processes=None).worker_processes == 3
    assert load_settings(worker_processes=2).worker_processes == 2


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_WORKER_PROCESSES", "256")
    assert load_settings().threads_per_scan == 1
    monkeypatch.setenv("BCD_TORCH_THREADS", "5")
    assert load_settings().threads_per_scan == 5


def test_every_setting_is_described() -> None:
    assert all(description for _, _, description in Settings.variables())
