"""Who may see what: without a token nothing, of the jobs of others nothing, and in the log no name."""

import json
import shutil
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from bcd_model.errors import SettingsError
from tests.support.wire import JOB, MARKED, connect, problem
from worker.gateway import jobs
from worker.gateway.access import Grants
from worker.gateway.app import make_gateway
from worker.gateway.tokens import Token, Tokens
from worker.gateway.upload.form import Upload
from worker.gateway.upload.submit import take
from worker.settings import load_settings

pytestmark = pytest.mark.redis


ROUTES = [
    ("GET", "/info"),
    ("GET", "/jobs"),
    ("POST", "/jobs"),
    ("GET", f"/jobs/{JOB}"),
    ("POST", f"/jobs/{JOB}/cancel"),
    ("GET", f"/jobs/{JOB}/results"),
    ("GET", f"/jobs/{JOB}/results/result.json"),
    ("GET", f"/jobs/{JOB}/results.zip"),
    ("GET", f"/jobs/{JOB}/report"),
    ("POST", "/regions"),
    ("GET", f"/regions/{JOB}{JOB}"),
]


@pytest.fixture(scope="module")
def client(strict: Any) -> Any:
    return strict.client("first")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_a_token_nothing_is_shown(strict: Any, method: str, path: str) -> None:
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
        answer = requests.request(method, f"{strict.url}{path}", headers=header, timeout=10)
        problem(answer, 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_of_strange_bytes_is_refused(strict: Any) -> None:
    for secret in (b"\xff\xfe", b"a" * 8000, "ä".encode()):
        answer = requests.get(
            f"{strict.url}/info", headers={"Authorization": b"Bearer " + secret}, timeout=10
        )
        problem(answer, 401)


def test_a_token_is_kept_as_a_hash_and_refused_once_it_is_revoked(strict: Any) -> None:
    client = strict.client("passing")
    kept = (strict.folder / "tokens.json").read_text()
    assert client.token not in kept
    assert client.token.removeprefix("bcd_") not in kept
    assert stat.S_IMODE((strict.folder / "tokens.json").stat().st_mode) == 0o600
    assert client.get("/info").json()["token"] == "passing"
    assert strict.admin("token", "revoke", "passing").code == 0
    problem(client.get("/info"), 401)


def test_another_tokens_job_is_not_there(strict: Any, client: Any, films: list[Path]) -> None:
    other = strict.client("else")
    (job,) = client.submit(*films).json()["jobs"]
    for method, path in ROUTES:
        if JOB in path and "regions" not in path:
            mine = client(method, path.replace(JOB, job["job_id"]))
            assert mine.status_code in (200, 409)
            unknown = other(method, path)
            theirs = other(method, path.replace(JOB, job["job_id"]))
            assert problem(theirs, 404)["detail"] == problem(unknown, 404)["detail"]
    assert other.get("/jobs").json() == {"jobs": []}


def test_the_same_study_of_two_tokens_is_one_job_that_both_see_and_none_ends_alone(
    strict: Any, films: list[Path], patients: list[Path]
) -> None:
    one, two = strict.client("one"), strict.client("two")
    second = sorted(patients[1].glob("*.dcm"))
    (first,) = one.submit(*second).json()["jobs"]
    (again,) = two.submit(*reversed(second)).json()["jobs"]
    assert first["job_id"] == again["job_id"]
    assert (first["submission"], again["submission"]) == ("queued", "under way")
    assert one.get(f"/jobs/{first['job_id']}").status_code == 200
    problem(one.post(f"/jobs/{first['job_id']}/cancel"), 409)
    assert two.get(f"/jobs/{first['job_id']}").json()["state"] == "queued"


def test_no_token_joins_a_job_while_it_is_being_ended(
    own_site: Any, films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another token sends the study just after it was seen that only one token waits for it."""
    for name, value in (own_site.admin.environment | {"BCD_BROKER_URL": own_site.broker}).items():
        monkeypatch.setenv(name, value)
    here = make_gateway(load_settings())
    for name in ("one", "two"):
        here.tokens.create(name)
    one, two = here.tokens.all()

    def send(token: Token) -> str:
        folder = tmp_path / token.name
        folder.mkdir()
        sent = [Upload(Path(shutil.copy(film, folder)), film.name) for film in films]
        (job,) = take(here, sent, folder, token, force=False).submitted
        return job.job_id

    joining = threading.Thread(target=send, args=(two,))

    class Late(Grants):
        def shared(self, job: str, tokens: list[str]) -> bool:
            found = super().shared(job, tokens)
            joining.start()
            joining.join(2)  # it is done, or it waits for us
            return found

    job = send(one)
    grants = Late(own_site.broker, 1)
    jobs.cancel(job, replace(here, grants=grants), one)
    joining.join()
    assert here.record(job, two).state == "queued"


def queued(own_site: Any, films: list[Path]) -> tuple[Any, Any, str, str]:
    """A client, the job it has submitted, and the keys of its record and of what its token may see."""
    own_site.serve()
    client = own_site.client("reader")
    (job,) = client.submit(*films).json()["jobs"]
    (token,) = json.loads((own_site.folder / "tokens.json").read_text())["tokens"]
    record, granted = f"bcd:job:{job['job_id']}", f"bcd:gateway:jobs:{token['id']}"
    return client, job, record, granted


def test_a_job_is_not_lost_by_its_token_before_its_record_is_written(
    own_site: Any, films: list[Path]
) -> None:
    """The token is given the job first; a client that asks for the list just then finds no record of it."""
    client, job, record, granted = queued(own_site, films)
    with redis.Redis(unix_socket_path=own_site.broker.removeprefix("redis+socket://")) as store:
        written = store.dump(record)
        store.delete(record)
        assert client.get("/jobs").json() == {"jobs": []}
        problem(client.get(f"/jobs/{job['job_id']}"), 404)
        store.restore(record, 0, written)
        assert client.get(f"/jobs/{job['job_id']}").json()["state"] == "queued"
        store.delete(record)  # and stays away: it has expired
        store.zadd(granted, {job["job_id"]: store.zscore(granted, job["job_id"]) - 61})
        assert client.get("/jobs").json() == {"jobs": []}
        assert store.zcard(granted) == 0


def test_a_job_whose_record_is_damaged_is_none_until_it_is_submitted_again(
    own_site: Any, films: list[Path]
) -> None:
    client, job, record, granted = queued(own_site, films)
    with redis.Redis(unix_socket_path=own_site.broker.removeprefix("redis+socket://")) as store:
        store.hset(record, "created", "yesterday")
        store.zadd(granted, {job["job_id"]: store.zscore(granted, job["job_id"]) - 61})
        assert client.get("/jobs").json() == {"jobs": []}
        problem(client.get(f"/jobs/{job['job_id']}"), 404)
        (again,) = client.submit(*films).json()["jobs"]
        assert again["job_id"] == job["job_id"]
    assert client.get(f"/jobs/{job['job_id']}").json()["state"] == "queued"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"sha256": None}, r"tokens\[0\]\.sha256 should be a valid string"),
        ({"id": 7}, r"tokens\[0\]\.id should be a valid string"),
        ({"until": "2030-01-01"}, r"tokens\[0\]\.until: Unexpected keyword argument"),  # of a later version
    ],
)
def test_a_token_that_is_not_as_it_was_written_lets_no_client_in(
    change: dict[str, object], fault: str, tmp_path: Path
) -> None:
    tokens = Tokens(tmp_path)
    secret = tokens.create("passing")
    assert tokens.identify(secret) is not None
    (entry,) = json.loads(tokens.path.read_text())["tokens"]
    tokens.path.write_text(json.dumps({"tokens": [entry | change]}))
    with pytest.raises(SettingsError, match=rf"tokens\.json: {fault}; correct or remove"):
        tokens.identify(secret)


def test_the_log_names_no_patient_file_or_address(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    client.submit((f"{MARKED}.dcm", films[0].read_bytes()))
    client.submit((f"{MARKED}.dcm", MARKED.encode()))
    client.get(f"/jobs?name={MARKED}")
    client.get(f"/jobs/{MARKED}")
    client.get(f"/{MARKED}/{MARKED}", headers={"X-Marked": MARKED, "User-Agent": MARKED})
    client(f"{MARKED.upper().replace('^', '')}", "/jobs")
    client.get("/jobs?limit=marked")
    requests.get(f"{own_site.url}/info", headers={"Authorization": f"Bearer {MARKED}"}, timeout=10)
    with connect(own_site.url) as connection:
        connection.sendall(f"{MARKED} nonsense\r\n\r\n".encode())
        connection.recv(1000)
    log = own_site.stop()
    assert "marked" not in str(log).lower()
    assert client.token not in str(log)
    said = [line for line in log if line["event"] == "request"]
    assert len(said) == 8
    assert {line["token"] for line in said} == {"reader", None}
    assert all(len(line["request"]) == 16 for line in said)
    assert not any("/tmp" in str(line) for line in said)
