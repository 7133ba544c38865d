"""Where the commands are, and what they import: each its own module, and only what it needs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worker.cli import commands

FOLDER = Path(commands.__file__).parent
NAMES = sorted(commands.make_cli().commands)
QUEUE = {"redis", "celery", "kombu", "billiard"}


def loaded(admin: Any, *arguments: object) -> set[str]:
    """The modules that a fresh process has imported after this command."""
    program = (
        "import sys; from worker.cli import main; main(sys.argv[1:]);"
        "print('LOADED', *sorted(name for name in sys.modules if ' ' not in name))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *map(str, arguments)],
        cwd=admin.folder,
        env=admin.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def packages(modules: set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


def test_every_command_has_a_file_of_its_name_and_every_file_is_a_command() -> None:
    assert sorted({path.stem for path in FOLDER.glob("*.py")} - {"__init__", "commands"}) == NAMES
    assert [path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"] == [
        "shared"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_listed_can_be_run(name: str) -> None:
    _, command, _ = commands.make_cli().resolve_command(None, [name])
    assert command.name == name
    assert command.callback is not None or command.commands


def test_the_list_of_commands_imports_no_command(admin: Any) -> None:
    for arguments in (["--help"], ["--version"], ["nonsense"]):
        assert not loaded(admin, *arguments) & {f"worker.cli.{name}" for name in NAMES}


@pytest.mark.parametrize("name", ["jobs", "scan", "submit", "token"])
def test_a_command_imports_no_other_one(admin: Any, name: str) -> None:
    others = {f"worker.cli.{other}" for other in NAMES if other != name}
    modules = loaded(admin, name, "--help")
    assert f"worker.cli.{name}" in modules
    assert not modules & others


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], {"torch", "celery", "redis", "numpy", "pydicom", "pydantic", "rich"}),
        (["submit", "--help"], {"torch", "SimpleITK", "celery", "redis", "matplotlib", "rich"}),
        (["submit", "nowhere"], {"torch", "SimpleITK"}),
        (["jobs", "--help"], {"torch", "SimpleITK", "celery", "redis", "matplotlib", "rich"}),
        (["jobs"], {"torch", "SimpleITK", "celery", "rich"}),
        (["status", "x"], {"torch", "SimpleITK", "celery", "rich"}),
        (["cancel", "x"], {"torch", "SimpleITK", "celery", "rich"}),
        (["retry", "x"], {"torch", "SimpleITK"}),
        (["results", "x"], {"torch", "SimpleITK", "celery", "rich"}),
        (["scan", "--help"], {"torch", "SimpleITK", *QUEUE}),
        (["scan", "."], {"torch", "SimpleITK", *QUEUE}),
        (["classify", "--help"], {"torch", "SimpleITK", *QUEUE}),
        (["token", "list"], {"torch", "SimpleITK", "celery", "redis", "rich", "fastapi", "uvicorn"}),
        (["serve"], {"torch", "SimpleITK", "rich"}),
        (["up", "--help"], {"torch", "SimpleITK", "celery", "redis", "fastapi", "uvicorn", "rich"}),
        (["reproduce", "--help"], {"torch", "SimpleITK", "matplotlib", "rich"}),
        (["train", "--help"], {"torch", "SimpleITK"}),
        (["submit", "nowhere"], {"matplotlib"}),
    ],
)
def test_commands_import_only_what_they_need(admin: Any, arguments: list[str], forbidden: set[str]) -> None:
    assert not packages(loaded(admin, *arguments)) & forbidden


def test_a_scan_imports_nothing_of_the_queue(admin: Any, studies: Path) -> None:
    film = next(studies.rglob("*.dcm"))
    assert not packages(loaded(admin, "scan", studies, "--out", "out")) & QUEUE
    assert (admin.folder / "out").is_dir()
    region = ["--center", "100,100", "--radius", "20"]
    assert not packages(loaded(admin, "classify", film, *region)) & QUEUE
