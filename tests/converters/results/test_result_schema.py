"""The JSON Schema of result.json: the documented one is the code's, and real results are of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from converters.results.result_json import encode
from converters.results.result_schema import Result
from tests.support import result_builder as build

DOCUMENTED = Path(__file__).parents[3] / "docs" / "reference" / "result.schema.json"


def of_the_code() -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Result.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def test_the_documented_schema_is_that_of_the_code() -> None:
    assert DOCUMENTED.read_text() == of_the_code(), f"python {Path(__file__).name} writes it"


@pytest.fixture
def check(tmp_path: Path):
    program = shutil.which("check-jsonschema", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("needs check-jsonschema (pip install -e .[dev])")

    def run(*files: Path) -> subprocess.CompletedProcess[str]:
        command = [program, "--schemafile", str(DOCUMENTED), *map(str, files)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_what_is_written_is_of_the_schema(check, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.json" for number in range(len(build.CASES))]
    for path, make in zip(files, build.CASES.values(), strict=True):
        path.write_bytes(encode(make()))
    found = check(*files)
    assert found.returncode == 0, found.stdout + found.stderr


def test_another_checker_finds_the_fault_too(check, tmp_path: Path) -> None:
    told = json.loads(encode(build.CASES["finding"]()))
    told["films"][0]["findings"][0]["center"] = [1]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(told))
    found = check(path)
    assert found.returncode == 1
    assert "films[0].findings[0].center" in found.stdout


if __name__ == "__main__":
    DOCUMENTED.write_text(of_the_code())
