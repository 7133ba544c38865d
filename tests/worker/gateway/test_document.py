"""The OpenAPI document is true: schemathesis sends what it allows and what not, and reads the answers."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.redis

# A random file is not a mammogram, so what is right by the document may still be refused.
UNFIT = "positive_data_acceptance"


def test_schemathesis_finds_no_server_error_and_nothing_undocumented(own_site: Any, tmp_path: Path) -> None:
    program = shutil.which("schemathesis", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("needs schemathesis (pip install -e .[dev], Python 3.11)")
    own_site.serve(BCD_GATEWAY_REQUESTS="1000000")
    client = own_site.client("machine")
    command = [program, "run", f"{client.url}/openapi.json", "-H", f"Authorization: Bearer {client.token}"]
    command += ["--checks", "all", "--exclude-checks", UNFIT, "--max-examples", "10", "--seed", "1"]
    command += ["--warnings", "off", "--continue-on-failure", "--no-color"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stdout[-6000:]
    tested = re.search(r"Tested: (\d+)", run.stdout)
    operations = requests.get(f"{client.url}/openapi.json", timeout=10).json()["paths"]
    assert tested is not None
    assert int(tested[1]) == sum(len(methods) for methods in operations.values())
    log = own_site.stop()
    assert not [line for line in log if line["event"] == "request" and line["status"] >= 500]
    assert not [line for line in log if line["event"] == "request broke"]


def test_a_method_that_a_path_does_not_take_is_answered_with_those_it_does(served: Any) -> None:
    for path, methods in (("/jobs", "GET, HEAD, POST"), ("/info", "GET, HEAD"), ("/jobs/x/cancel", "POST")):
        answer = requests.delete(f"{served.url}{path}", timeout=10)
        assert (answer.status_code, answer.headers["Allow"]) == (405, methods)


def test_the_page_loads_nothing_from_elsewhere(served: Any) -> None:
    page = requests.get(f"{served.url}/docs", timeout=10)
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.findall(r"""(?:src|href|url)\s*[=(]|<script|<link|@import""", page.text)
    for path in requests.get(f"{served.url}/openapi.json", timeout=10).json()["paths"]:
        assert path in page.text


def test_the_reference_names_every_route(served: Any) -> None:
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "http-api.md").read_text()
    document = requests.get(f"{served.url}/openapi.json", timeout=10).json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path.removeprefix('/api/v1')}`" in reference
