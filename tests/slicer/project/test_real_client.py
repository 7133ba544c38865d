"""The client against the real gateway, its queue and its worker."""

from __future__ import annotations

import socket
import time

import pytest
import real_gateway

from BCDDetectorLib import errors, films, jobs
from BCDDetectorLib.client import Gateway
from BCDDetectorLib.tasks import Done, Task

_REASON = real_gateway.why_not()
pytestmark = pytest.mark.skipif(bool(_REASON), reason=_REASON)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    made = real_gateway.RealGateway(
        tmp_path_factory.mktemp("state"), free_port(), BCD_GATEWAY_UPLOAD_BYTES="5000000"
    )
    try:
        made.wait(lambda: time.sleep(0.1))
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies of two phantoms: Study Instance UID and films."""
    folder = tmp_path_factory.mktemp("phantoms")
    real_gateway.admin("phantom", folder / "films", state=folder)
    real_gateway.admin("convert", "mias", folder / "films", folder / "dicom", state=folder)
    found: dict[str, list] = {}
    for path in sorted(folder.glob("dicom/*/*.dcm")):
        header = films.header(path)
        found.setdefault(str(header.StudyInstanceUID), []).append((str(header.SOPInstanceUID), path))
    return list(found.items())


@pytest.fixture
def client(up):
    return Gateway(up.address, up.token)


def begun(work) -> Task:
    """A task that does ``work``, under way."""
    task = Task(work)
    task.start()
    return task


def run(client, study, **options):
    uid, own = study
    options.setdefault("poll", 0.1)
    return begun(lambda task: jobs.scan(task, client, uid, own, **options))


def ended(task, seconds=120.0):
    """The last event; the others are given back to the test by ``until``."""
    task.join(seconds)
    assert not task.is_alive()
    return task.drain()[-1]


def until(task, word, seconds=60.0) -> None:
    end, heard = time.monotonic() + seconds, []
    while not any(word in getattr(event, "text", "") for event in heard):
        assert time.monotonic() < end and task.is_alive(), f"never heard {word!r} among {heard[-3:]}"
        time.sleep(0.02)
        heard += task.drain()


def test_the_connection_and_its_refusals(up, client, studies):
    info = client.info()
    assert info.model and info.workers and info.max_bytes == 5_000_000
    with pytest.raises(errors.RefusedError):
        Gateway(up.address, "bcd_wrong").info()
    with pytest.raises(errors.NotFoundError):
        client.job("0123456789abcdef")
    with pytest.raises(errors.NotFoundError):
        Gateway(f"{up.address.replace('/api/v1', '')}/elsewhere", up.token).info()


def test_too_large_is_known_before_and_after(client, studies, tmp_path, monkeypatch):
    big = tmp_path / "big.dcm"
    big.write_bytes(bytes(6_000_000))
    with pytest.raises(errors.GatewayError, match="takes 5 MB"):
        client.submit([big])
    told = client.info()
    monkeypatch.setattr(client, "info", lambda: type(told)(told.version, told.model, 1, None, None))
    with pytest.raises(errors.GatewayError, match=r"too large|cannot be reached"):  # it may hang up unheard
        client.submit([big])


def test_what_is_no_film(client, tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"hello" * 100)
    with pytest.raises(errors.GatewayError, match=r"no film|nothing that it can scan|cannot use"):
        client.submit([tmp_path / "x.dcm"])


def test_cancel_in_mid_job_and_scan_again(client, studies):
    task = run(client, studies[0])
    until(task, "Scanning film")
    task.cancel()
    assert isinstance(ended(task).error, errors.CancelledError)
    (job, *_) = client.jobs(studies[0][0])
    end = time.monotonic() + 30
    while not job.ended and time.monotonic() < end:
        time.sleep(0.1)
        job = client.job(job.job_id)[0]
    assert job.state == "cancelled"
    found = ended(run(client, studies[0]))
    assert isinstance(found, Done) and not found.value.earlier, found
    assert {film.sop_instance_uid for film in found.value.study.films} == {uid for uid, _ in studies[0][1]}
    assert ended(run(client, studies[0])).value.earlier


def test_the_gateway_dies_in_mid_job_and_comes_back(up, client, studies):
    task = run(client, studies[1])
    until(task, "Scanning film")
    up.kill()  # at once, so that the job cannot end before
    until(task, "away")
    up.start()
    up.wait(lambda: time.sleep(0.1))
    found = ended(task)
    assert isinstance(found, Done), found
    assert len(found.value.study.films) == 2 and (found.value.folder / "cad_sr.dcm").exists()


def test_a_region(client, studies):
    film = studies[0][1][0][1]
    found = ended(begun(lambda task: jobs.classify(task, client, film, (500.0, 400.0), 30.0)))
    label, shares = found.value
    assert label in ("normal", "benign", "malignant")
    assert shares.normal + shares.benign + shares.malignant == pytest.approx(1, abs=1e-3)
    found = ended(begun(lambda task: jobs.classify(task, client, film, (5000.0, 400.0), 30.0)))
    assert "outside the film" in found.error.message, found
