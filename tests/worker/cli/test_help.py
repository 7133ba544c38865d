"""What ``--help`` shows: groups, plain names, examples that are commands; and completion in a shell."""

import re
import shlex
import shutil
import subprocess
from typing import Any

import pytest

from worker.cli.commands import make_cli
from worker.cli.shared.console import PROGRAM

SUBCOMMANDS = {"convert": ["mias"], "token": ["create", "list", "revoke"]}
COMMANDS = [
    [name, *more] for name in make_cli().commands for more in ([], *([s] for s in SUBCOMMANDS.get(name, [])))
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_shows_an_example_that_is_a_command_and_no_type_of_python(
    local: Any, words: list[str]
) -> None:
    shown = local(*words, "--help").out
    assert not re.search(r"<\w", shown)
    (line,) = re.findall(rf"^ *Example:\n +{PROGRAM} (.*)$", shown, re.MULTILINE)
    rest = shlex.split(line)
    assert rest[: len(words)] == words
    command = make_cli()
    while hasattr(command, "commands"):
        _, command, rest = command.resolve_command(None, rest)
    command.make_context(PROGRAM, rest)  # parsed; nothing is run


def test_the_commands_are_listed_by_what_they_are_for(local: Any) -> None:
    groups = re.findall(r"^(\w+):\n((?:  .*\n)+)", local("--help").out, re.MULTILINE)
    names = {title: re.findall(r"^  (\w+)", lines, re.MULTILINE) for title, lines in groups}
    assert list(names)[1:] == ["Run", "Look", "Measure", "Train", "Serve", "Check"]
    listed = [name for title, group in names.items() if title != "Options" for name in group]
    assert sorted(listed) == sorted(make_cli().commands)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("sub", ["submit"]), ("scan --a", ["--all"]), ("token re", ["revoke"])],
)
def test_a_shell_completes_commands_and_options(admin: Any, typed: str, offered: list[str]) -> None:
    answer = admin(
        _BCD_ADMIN_COMPLETE="complete_bash",
        COMP_WORDS=f"{PROGRAM} {typed}",
        COMP_CWORD=str(len(typed.split())),
    )
    assert answer.code == 0, answer.err
    assert answer.out.split() == offered


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_completion_is_installed_for_the_shell_that_asks(admin: Any) -> None:
    command = shlex.join(admin.command("--install-completion"))
    home = {"HOME": str(admin.folder)}
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit $?"],
        cwd=admin.folder,
        env=admin.environment | home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    script = admin.folder / ".bash_completions" / f"{PROGRAM}.sh"
    assert f"complete -o default -F _bcd_admin_completion {PROGRAM}" in script.read_text()
    assert str(script) in (admin.folder / ".bashrc").read_text()
