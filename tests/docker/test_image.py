"""The worker's Dockerfile: what goes in, who runs it, what it runs."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "worker.Dockerfile"


def test_hadolint_finds_nothing():
    linter = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("needs hadolint (pip install -e .[dev])")
    run = subprocess.run([linter, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_everything_that_is_copied_is_there_and_in_the_build_context(stages):
    sources = [
        source
        for stage in stages
        for line in stage.all("COPY")
        if not line.startswith("--from=")
        for source in line.split()[:-1]
    ]
    assert {"pyproject.toml", "constraints.txt", "worker"} <= set(sources)
    context = Context(ROOT)
    for source in sources:
        path = ROOT / source
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        assert files, source
        wanted = [file for file in files if "__pycache__" not in file.parts]
        assert [file for file in wanted if not context.has(file)] == []


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "docker/.env",
        ".env",
        "films/patient/film.dcm",
        "worker/left-behind.dcm",
        "bcd_model/mdb001.pgm",
        "bcd-results/1.2/result.json",
        "tests/conftest.py",
        "worker/__pycache__/app.cpython-311.pyc",
        "worker/cli/__pycache__/jobs.cpython-311.pyc",
    ],
)
def test_nothing_else_reaches_the_build(path):
    assert not Context(ROOT).has(ROOT / path)


def test_the_base_image_can_be_chosen_and_its_python_is_the_tested_one(stages):
    (argument,) = stages[0].all("ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11-slim-\w+", argument)
    assert all(stage.last("FROM").startswith("${PYTHON_IMAGE} ") for stage in stages[1:])


def test_the_image_runs_as_a_user_who_is_not_root(stages):
    final = stages[-1]
    arguments = dict(argument.split("=") for argument in final.all("ARG"))
    assert final.last("USER") == "${WORKER_UID}:${WORKER_GID}"
    assert int(arguments["WORKER_UID"]) > 0
    assert int(arguments["WORKER_GID"]) > 0
    after = [name for name, _ in final.lines][[name for name, _ in final.lines].index("USER") :]
    assert not {"RUN", "COPY", "ADD"} & set(after)


def test_the_final_stage_gets_the_environment_alone(stages):
    build, final = stages[1], stages[-1]
    assert final.all("COPY") == ["--from=build /opt/bcd /opt/bcd"]
    assert build.name == "build"
    ran = " ".join(final.all("RUN"))
    assert not re.search(r"\b(apt|apt-get|pip|curl|wget|gcc)\b", ran)
    assert "PIP_NO_CACHE_DIR=1" in " ".join(build.all("ENV"))


def test_what_is_installed_is_what_was_tested(stages):
    installs = [line for line in " && ".join(stages[1].all("RUN")).split("&&") if " install " in line]
    pip = [line for line in installs if "pip " in line and "--no-deps" not in line]
    assert len(pip) == 2
    assert all("--constraint constraints.txt" in line for line in pip)
    torch = next(argument for argument in stages[1].all("ARG") if argument.startswith("TORCH="))
    pinned = re.search(r"^torch==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert torch == f"TORCH=torch=={pinned[1]}+cpu"


def test_no_secret_is_built_in(stages):
    for stage in stages:
        for instruction in ("ARG", "ENV", "LABEL"):
            for line in stage.all(instruction):
                assert not re.search(
                    r"PASSW|SECRET|TOKEN|CREDENTIAL|_KEY|BROKER_URL|://[^ /]*@", line, re.IGNORECASE
                )
        assert not any("--mount=type=secret" in line for line in stage.all("RUN"))


def test_the_version_is_the_packages(stages, compose):
    from bcd_model import __version__

    assert f'org.opencontainers.image.version="{__version__}"' in stages[-1].last("LABEL")
    assert compose.filled_in()["services"]["worker"]["image"] == f"bcd-cad:{__version__}"


def test_it_ends_on_sigterm(stages):
    assert stages[-1].last("STOPSIGNAL") == "SIGTERM"
    assert json.loads(stages[-1].last("ENTRYPOINT")) == [
        "bcd-admin"
    ]  # not below a shell, which keeps signals


def test_only_what_may_be_written_is_used(stages, compose):
    """/tmp is a tmpfs in compose.yaml; the settings of the image are those that compose.yaml relies on."""
    environment = stages[-1].last("ENV")
    assert "HOME=/tmp" in environment
    assert stages[-1].last("WORKDIR") == "/tmp"
    results = compose.services["worker"]["environment"]["BCD_RESULTS_DIR"]
    assert f"BCD_RESULTS_DIR={results}" in environment


def test_every_command_that_runs_in_a_container_is_one(stages, compose, command_line):
    final = stages[-1]
    _, _, health = final.last("HEALTHCHECK").partition(" CMD ")
    program, *check = json.loads(health)
    assert program == "bcd-admin"
    command_line(check)
    command_line(json.loads(final.last("CMD")))
    command_line(compose.services["admin"]["command"])


class Context:
    """What .dockerignore leaves of a folder: the last pattern that fits decides, as Docker does it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        lines = (root / ".dockerignore").read_text().splitlines()
        patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        self._rules = [(not line.startswith("!"), self._regex(line.lstrip("!"))) for line in patterns]

    def has(self, path: Path) -> bool:
        names = [str(part) for part in self._with_parents(path.relative_to(self._root))]
        excluded = False
        for excludes, regex in self._rules:
            if any(regex.fullmatch(name) for name in names):
                excluded = excludes
        return not excluded

    @staticmethod
    def _with_parents(path: Path) -> Iterator[Path]:
        yield path
        yield from (parent for parent in path.parents if parent != Path())

    @staticmethod
    def _regex(pattern: str) -> re.Pattern[str]:
        parts = re.split(r"(\*\*/|\*|\?|\[[^]]*\])", pattern.strip("/"))
        known = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
        return re.compile(
            "".join(known.get(part, part if part[:1] == "[" else re.escape(part)) for part in parts)
        )
