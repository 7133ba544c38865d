"""The files of docker/, read once, with the parts of their formats that the tests need."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
REQUIRED = ":?"


@dataclass(frozen=True)
class Variable:
    """One ``${NAME:-default}`` or ``${NAME:?message}``."""

    name: str
    operator: str
    rest: str


@dataclass(frozen=True)
class Compose:
    """A compose file: its text, and its content before variables are filled in."""

    path: Path
    text: str
    content: dict

    @property
    def services(self) -> dict:
        return self.content["services"]

    @property
    def variables(self) -> set[Variable]:
        found = re.findall(r"(?<!\$)\$\{(\w+)(?:(:?[-?+])([^}]*))?\}", self.text)
        return {Variable(*parts) for parts in found}

    def filled_in(self, **values: str) -> dict:
        """The content as Compose sees it with these variables and the defaults of all others."""

        def value(match: re.Match[str]) -> str:
            name, _, rest = match[1], match[2], match[3]
            return values.get(name, rest or "")

        def fill(node: object) -> object:
            if isinstance(node, dict):
                return {name: fill(item) for name, item in node.items()}
            if isinstance(node, list):
                return [fill(item) for item in node]
            if isinstance(node, str):
                return re.sub(r"(?<!\$)\$\{(\w+)(?:(:?[-?+])([^}]*))?\}", value, node).replace("$$", "$")
            return node

        return fill(self.content)


@dataclass
class Stage:
    """One stage of a Dockerfile: its name and (instruction, rest of the line) in order."""

    name: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.lines if name == instruction]

    def last(self, instruction: str) -> str:
        return self.all(instruction)[-1]


def read_compose(name: str) -> Compose:
    text = (DOCKER / name).read_text()
    return Compose(DOCKER / name, text, yaml.safe_load(text))


@pytest.fixture(scope="session")
def compose() -> Compose:
    return read_compose("compose.yaml")


@pytest.fixture(scope="session")
def both(compose: Compose) -> tuple[Compose, Compose]:
    return compose, read_compose("compose.hosts.yaml")


@pytest.fixture(scope="session")
def example() -> dict[str, tuple[str, bool]]:
    """Variables of .env.example: value, and whether the line is commented out."""
    lines = (DOCKER / ".env.example").read_text().splitlines()
    found = [re.fullmatch(r"(#?)([A-Z][A-Z0-9_]*)=(.*)", line) for line in lines]
    return {match[2]: (match[3], bool(match[1])) for match in found if match}


@pytest.fixture(scope="session")
def stages() -> list[Stage]:
    """The stages of the worker's Dockerfile; what stands before the first one is its own, named ""."""
    text = (DOCKER / "worker.Dockerfile").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = [Stage("")]
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            found.append(Stage(rest.split()[-1]))
        found[-1].lines.append((instruction, " ".join(rest.split())))
    return found


@pytest.fixture(scope="session")
def command_line() -> Callable[[Sequence[str]], None]:
    """Fails unless the arguments are a command of bcd-admin with options it has; runs nothing."""
    from worker.cli.commands import make_cli

    def check(arguments: Sequence[str]) -> None:
        command, rest = make_cli(), list(arguments)
        while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
            name = rest.pop(0)
            assert name in command.commands, f"bcd-admin has no command {name!r}"
            _, command, _ = command.resolve_command(None, [name])
        if "--help" not in rest:
            command.make_context("bcd-admin", rest)

    return check
