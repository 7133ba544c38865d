"""docs/how-to/containers.md shows commands, files and settings that there are."""

import re
import shlex
from pathlib import Path

import pytest

from worker.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "containers.md").read_text()
COMMANDS = sorted(set(re.findall(r"docker compose [^`\n]*", PAGE.replace("\\\n", " "))))
TAKES_A_VALUE = {"--scale", "--tail", "--build-arg", "--entrypoint"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_services_and_commands_that_are_there(command, compose, command_line):
    words = shlex.split(re.split(r"[<>]", command)[0])[2:]
    verb, *words = words
    given: list[str] = []
    services: list[str] = []
    while words and not (verb == "run" and services):
        word = words.pop(0)
        if word in TAKES_A_VALUE:
            given.append(words.pop(0))
        elif not word.startswith("-"):
            services.append(word)
    scaled = [value.split("=")[0] for value in given if value.startswith("worker=")]
    assert {*services, *scaled} <= compose.services.keys()
    if services == ["admin"]:
        command_line(words)


def test_the_image_is_tried_with_a_command_it_has(command_line, compose):
    (line,) = re.findall(r"docker run .*", PAGE)
    image = compose.filled_in()["services"]["worker"]["image"]
    options, arguments = line.split(f" {image} ")
    command_line(arguments.split())
    assert f"FROM {image}\n" in PAGE
    assert "--read-only" in options


def test_every_file_is_there():
    table = PAGE.split("| file |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\S+)`", cell)} == {
        file.name for file in (ROOT / "docker").iterdir() if file.name not in (".gitignore", ".env")
    }
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / "how-to" / target).is_file()


def test_every_setting_is_one(example, stages):
    arguments = {argument.split("=")[0] for stage in stages for argument in stage.all("ARG")}
    known = set(example) | arguments | {name for name, _, _ in Settings.variables()} | {"COMPOSE_FILE"}
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)(?:=\d+)?`", PAGE))
    assert named <= known
    assert {"FILMS_DIR", "RESULTS_DIR", "REDIS_LISTEN", "WORKER_UID"} <= named


def test_the_build_arguments_are_those_of_the_dockerfile(stages):
    defaults = dict(argument.split("=", 1) for stage in stages for argument in stage.all("ARG"))
    table = PAGE.split("| argument |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`.*?`) \| `(.*?)` \|", table, re.MULTILINE)
    shown = {name: default for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    assert shown == defaults


def test_the_port_of_the_metrics_and_the_time_to_stop_are_right(compose):
    worker = compose.services["worker"]
    assert f"port: {worker['environment']['BCD_METRICS_PORT']}}}" in PAGE
    assert worker["stop_grace_period"] == "10m"
    assert "ten minutes (`stop_grace_period`)" in " ".join(PAGE.split())
    assert f"`{compose.content['name']}_queue`" in PAGE
