"""The settings file: where it is looked for, what it may hold, and what is said of one that is wrong."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bcd_model.errors import SettingsError
from worker import settings_file
from worker.settings import Settings, load_settings, settings_sources


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable, and neither a file of the user nor one of the site."""
    for variable, _, _ in Settings.variables():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("BCD_SETTINGS", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(settings_file, "SITE_FILE", tmp_path / "site" / "settings.toml")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "config" / "bcd" / "settings.toml"


def test_without_a_file_the_defaults_hold() -> None:
    assert load_settings().results_dir == Path("bcd-results")
    assert set(settings_sources().values()) == {"default"}


def test_the_first_file_that_exists_is_read_alone(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "site" / "settings.toml", 'results_dir = "/of the site"\nthreshold = 0.3\n')
    assert load_settings().results_dir == Path("/of the site")
    write(own, 'results_dir = "/of the user"\n')
    assert load_settings().results_dir == Path("/of the user")
    assert load_settings().threshold is None
    monkeypatch.setenv("BCD_SETTINGS", str(write(tmp_path / "named.toml", 'results_dir = "/named"\n')))
    assert load_settings().results_dir == Path("/named")
    monkeypatch.setenv("BCD_SETTINGS", os.devnull)
    assert load_settings().results_dir == Path("bcd-results")


def test_the_file_of_a_user_is_below_config_in_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    write(tmp_path / "home" / ".config" / "bcd" / "settings.toml", "threshold = 0.3")
    assert load_settings().threshold == 0.3


def test_a_user_without_a_home_has_the_file_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    write(tmp_path / "site" / "settings.toml", "threshold = 0.3")
    assert load_settings().threshold == 0.3


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, "worker_processes = 2\ntorch_threads = 7\nthreshold = 0.3")
    monkeypatch.setenv("BCD_WORKER_PROCESSES", "3")
    monkeypatch.setenv("BCD_TORCH_THREADS", "")
    assert load_settings().worker_processes == 3
    assert load_settings().torch_threads == 7, "an empty variable is an unset one"
    assert load_settings(worker_processes=4, threshold=0.5).worker_processes == 4
    assert load_settings(worker_processes=4, threshold=0.5).threshold == 0.5
    sources = settings_sources()
    assert (sources["worker_processes"], sources["threshold"]) == ("environment", "file")
    assert sources["results_dir"] == "default"


@pytest.mark.parametrize(
    "written", ['["/a", "/b c", "~/films"]', '"/a:/b c:~/films"', '["/a:/b c", "~/films"]']
)
def test_folders_are_an_array_or_like_a_path(own: Path, tmp_path: Path, written: str) -> None:
    write(own, f"input_roots = {written}")
    assert load_settings().input_roots == (Path("/a"), Path("/b c"), tmp_path / "home" / "films")


def test_the_tilde_is_the_users_home(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(own, 'results_dir = "~/results"')
    monkeypatch.setenv("BCD_GATEWAY_DIR", "~/gateway")
    assert load_settings().results_dir == tmp_path / "home" / "results"
    assert load_settings().gateway_dir == tmp_path / "home" / "gateway"


@pytest.mark.parametrize(
    ("line", "key", "shown", "remedy"),
    [
        ("threshold = 1.5", "threshold", "1.5", "less than or equal to 1"),
        ("threshold = true", "threshold", "true", "no setting is true or false"),
        ('worker_processes = "many"', "worker_processes", '"many"', "integer"),
        ("worker_processes = 2.5", "worker_processes", "2.5", "integer"),
        ("uid_root = 2.25", "uid_root", "2.25", "string"),
        ("results_dir = 7", "results_dir", "7", "path"),
        ("input_roots = [7]", "input_roots", "[7]", "path"),
        ('model = "/nowhere/weights"', "model", '"/nowhere/weights"', "no such file"),
        ('broker_url = "amqp://:secret@host"', "broker_url", "***@host", "redis://"),
        ('broker_url = ["redis://:secret@host"]', "broker_url", "***@host", "string"),
        ('broker_url = "redis:/:secret@host"', "broker_url", "***@host", "redis://"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_the_remedy(
    own: Path, line: str, key: str, shown: str, remedy: str
) -> None:
    write(own, line)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{own}: {key} = ")
    assert shown in message
    assert remedy in message
    assert "secret" not in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"results_dir /results", "line 1"),
        (b'threshold = 0.3\nbroker_url = "redis://:secret@host', "end of document"),
        (b"\xff\xfe", "utf-8"),
        (b"a = " + b"[" * 100_000, "nest|recursion"),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_the_place_and_the_remedy(
    own: Path, content: bytes, where: str
) -> None:
    write(own, "").write_bytes(content)
    with pytest.raises(SettingsError, match=where) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{own}: is not TOML: ")
    assert "write one setting a line" in message
    assert "secret" not in message
    assert "\n" not in message


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_SETTINGS", str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "none.toml" in str(caught.value)
    assert "BCD_SETTINGS" in str(caught.value)


def test_a_file_in_the_home_of_an_unknown_user_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCD_SETTINGS", "~no-such-user/x.toml")
    with pytest.raises(SettingsError, match="there is no such settings file"):
        load_settings()


def test_an_empty_value_is_not_set(own: Path) -> None:
    write(own, 'results_dir = ""\nbroker_url = ""\ninput_roots = ""')
    assert load_settings() == Settings()


def test_a_folder_is_not_a_file(own: Path) -> None:
    own.mkdir(parents=True)
    with pytest.raises(SettingsError, match=r"cannot be read \(Is a directory\)"):
        load_settings()


@pytest.fixture
def home_of_another() -> Iterator[Path]:
    """In a folder that every user may look into, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "home"


@pytest.mark.skipif(os.getuid() != 0, reason="needs the right to become another user")
@pytest.mark.parametrize(("closed", "readable"), [("file", False), ("home", True)])
def test_a_file_that_this_user_may_not_read(home_of_another: Path, closed: str, readable: bool) -> None:
    """It is named; but the home of another user holds no file of this one."""
    file = write(home_of_another / ".config" / "bcd" / "settings.toml", "threshold = 0.3")
    (file if closed == "file" else home_of_another).chmod(0)
    code = "import os\nfrom worker.settings import load_settings\nos.setuid(65534)\nload_settings()"
    environment = {**os.environ, "HOME": str(home_of_another)}
    del environment["XDG_CONFIG_HOME"]
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode == 0) == readable, run.stderr
    if not readable:
        last = run.stderr.splitlines()[-1]
        assert f"{file}: cannot be read (Permission denied)" in last
        assert "BCD_SETTINGS" in last
