"""``bcd-admin serve``, ``up`` and ``token``, as the administrator of a gateway sees them."""

import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.redis


@contextmanager
def kept_up(admin: Any, *arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen, list[str]]]:
    """``bcd-admin up`` and the two lines it says."""
    up = admin.start("up", *arguments, **environment)
    assert up.stderr is not None
    yield up, [up.stderr.readline() for _ in range(1 if "--no-gateway" in arguments else 2)]
    up.terminate()
    _, err = up.communicate(timeout=30)
    assert up.returncode == 0, err


def test_a_token_is_made_shown_once_listed_and_revoked(local: Any) -> None:
    made = local("token", "create", "anna")
    assert (made.code, len(made.out.splitlines())) == (0, 1)
    assert len(made.out.strip()) > 40
    listed = local("token", "list", "--json").json["tokens"]
    assert [token["name"] for token in listed] == ["anna"]
    assert made.out.strip() not in str(listed) + local("token", "list").out
    assert "already" in local("token", "create", "anna").error
    assert local("token", "revoke", "anna").code == 0
    assert local("token", "list", "--json").json == {"tokens": []}
    again = local("token", "revoke", "anna")
    assert (again.code, "no token 'anna'" in again.error) == (2, True)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a" * 65, "Ä"])
def test_a_name_that_is_none_is_refused(local: Any, name: str) -> None:
    answer = local("token", "create", "--", name)
    assert (answer.code, "not a name for a token" in answer.error) == (2, True)


def test_tokens_that_are_damaged_are_reported_and_no_token_gets_in(own_site: Any) -> None:
    own_site.serve()
    client = own_site.client("anna")
    assert client.get("/info").status_code == 200
    (own_site.folder / "tokens.json").write_text('{"tokens": [{"name": "anna"}]}')
    assert client.get("/info").status_code == 500
    assert "token" not in client.get("/info").json()["detail"]
    listed = own_site.admin("token", "list")
    assert (listed.code, "tokens.json: tokens[0].id is missing" in listed.error) == (2, True)


def test_the_state_folder_of_a_token_that_comes_first_can_be_used_by_the_engine(admin: Any) -> None:
    assert admin("token", "create", "first").code == 0
    assert stat.S_IMODE(admin.state.stat().st_mode) == 0o700
    assert admin("jobs").code == 0


def test_a_gateway_needs_a_queue(local: Any) -> None:
    answer = local("serve")
    assert (answer.code, "needs a queue" in answer.error) == (2, True)


def test_a_gateway_without_its_queue_says_so(admin: Any) -> None:
    answer = admin("serve", BCD_BROKER_URL="redis+socket:///nowhere/redis.sock")
    assert (answer.code, "does not answer" in answer.error) == (4, True)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "no such host"])
def test_without_tls_in_front_or_without_a_token_it_listens_on_loopback_alone(
    own_site: Any, address: str
) -> None:
    command = ["serve", "--address", address, "--port", "0"]
    answer = own_site.admin(*command, BCD_BROKER_URL=own_site.broker)
    assert answer.code == 2
    assert f"does not listen on {address} without TLS; listen on 127.0.0.1, or put a proxy" in answer.error
    answer = own_site.admin(*command, "--behind-proxy", BCD_BROKER_URL=own_site.broker)
    assert answer.code == 2
    assert "while there is no token; make one first: bcd-admin token create NAME" in answer.error


def test_behind_a_proxy_it_listens_where_other_machines_reach_it(own_site: Any) -> None:
    assert own_site.admin("token", "create", "anna").code == 0
    serve = own_site.admin.start(
        "serve", "--behind-proxy", "--address", "0.0.0.0", "--port", "0", BCD_BROKER_URL=own_site.broker
    )
    assert next(line for line in serve.stderr if "the gateway is at http://0.0.0.0:" in line)
    serve.terminate()
    serve.communicate(timeout=30)
    assert serve.returncode == 0


def test_a_port_that_is_taken_is_reported(own_site: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = own_site.admin("serve", "--port", port, BCD_BROKER_URL=own_site.broker)
        assert (
            answer.code,
            f"port {port} of " in answer.error and "is in use; give another --port" in answer.error,
        ) == (2, True)
        with kept_up(own_site.admin, BCD_GATEWAY_PORT=str(port)) as (_, lines):
            assert "is up" in lines[0]
            assert "no gateway is served here" in lines[1]
            assert own_site.admin("jobs").code == 0


def test_up_serves_a_gateway_and_says_where_its_token_is(admin: Any, films: list[Path]) -> None:
    with kept_up(admin, BCD_GATEWAY_PORT="0") as (_, lines):
        assert "the gateway is at http://127.0.0.1:" in lines[1]
        url, kept = lines[1].split()[4].rstrip(";"), Path(lines[1].split()[-1])
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        header = {"Authorization": f"Bearer {kept.read_text().strip()}"}
        assert requests.get(f"{url}/info", headers=header, timeout=10).json()["token"] == "local"
        assert requests.get(f"{url}/info", timeout=10).status_code == 401
        secret = kept.read_text()
    with kept_up(admin, BCD_GATEWAY_PORT="0") as (_, lines):
        assert kept.read_text() == secret, "what is saved in a program goes on working"


def test_up_without_a_gateway(admin: Any) -> None:
    with kept_up(admin, "--no-gateway") as (_, lines):
        assert "is up" in lines[0]
    assert not (admin.state / "gateway").exists()


def test_an_answer_waits_for_no_acknowledgement_of_its_header(served: Any) -> None:
    """Header and body are sent one after the other; with Nagle's algorithm the body comes 40 ms later."""
    client = served.client("quick")
    taken = []
    for _ in range(20):
        since = time.perf_counter()
        assert client.get("/health").json()["status"] == "ok"
        taken.append(time.perf_counter() - since)
    assert min(taken[5:]) < 0.03


def test_the_gateway_reports_its_health_and_ends_on_sigterm(own_site: Any) -> None:
    own_site.serve()
    port = own_site.url.split(":")[2].split("/")[0]
    health = own_site.admin("serve", "--health", "--port", port, BCD_BROKER_URL=own_site.broker)
    assert health.code == 0
    log = own_site.stop(signal.SIGTERM)
    assert log[-1]["event"] == "gateway ended"
    health = own_site.admin("serve", "--health", "--port", port, BCD_BROKER_URL=own_site.broker)
    assert (health.code, "not well" in health.error) == (4, True)


def test_the_gateway_never_loads_torch(working: Any, films: list[Path]) -> None:
    client = working.client("reader")
    (job,) = client.submit(*films).json()["jobs"]
    client.ended(job["job_id"])
    assert client.get(f"/jobs/{job['job_id']}/results.zip").status_code == 200
    place = {"center_row": "9", "center_column": "9", "radius": "9"}
    assert client.post("/regions", files={"file": films[0].read_bytes()}, data=place).status_code == 202
    assert working.gateway is not None
    loaded = Path(f"/proc/{working.gateway.pid}/maps").read_text()
    assert "libpython" in loaded or "python" in loaded
    assert "torch" not in loaded


def test_the_doctor_knows_the_gateway(own_site: Any) -> None:
    def said(**environment: str) -> str:
        return str(own_site.admin("doctor", BCD_BROKER_URL=own_site.broker, **environment).out)

    assert "gateway: no token" in said()
    own_site.admin("token", "create", "anna")
    assert "gateway: 1 token" in said()
    assert "may not read" in said(BCD_INPUT_ROOTS="/films", BCD_OUTPUT_ROOTS="/results")
