"""The HTTP client against a real server: each thing that can go wrong is told apart."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from fake_gateway import TOKEN

from BCDDetectorLib import errors, jobs, rules
from BCDDetectorLib.address import clean_address
from BCDDetectorLib.answers import Job
from BCDDetectorLib.client import Gateway
from BCDDetectorLib.tasks import Done, Failed, Task
from BCDDetectorLib.upload import Multipart

FAST = (2.0, 5.0)


def begun(work) -> Task:
    """A task that does ``work``, under way."""
    task = Task(work)
    task.start()
    return task


def finish(task: Task, seconds: float = 20.0) -> list:
    """The task's events until it has ended."""
    task.join(seconds)
    assert not task.is_alive()
    return task.drain()


def until(met) -> None:
    """Wait until the condition is met."""
    deadline = time.monotonic() + 10
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def client(gateway):
    return Gateway(gateway.address, TOKEN, FAST)


@pytest.fixture
def study(case, gateway):
    """A study that the gateway can scan: its UID and films."""
    result, films = case("two-films")
    from BCDDetectorLib.result_reader import read_result

    found = read_result(result)
    gateway.results[found.study_instance_uid] = result
    return found, sorted(films.items())


def scan(client, study, **options):
    found, films = study
    options.setdefault("poll", 0.02)
    return begun(lambda task: jobs.scan(task, client, found.study_instance_uid, films, **options))


def test_a_study_is_sent_followed_and_fetched(gateway, client, study):
    events = finish(scan(client, study))
    told = [event.text for event in events[:-1]]
    assert told[0] == "Looking for an earlier result"
    assert "Queued" in told and "Scanning film 2 of 2" in told and told[-1] == "Fetching results"
    fractions = [event.fraction for event in events[:-1] if event.fraction is not None]
    assert max(fractions) == 1.0
    outcome = events[-1].value
    assert outcome.study == study[0] and not outcome.earlier
    assert gateway.received == [[path.read_bytes() for _, path in study[1]]]
    assert (outcome.folder / "cad_sr.dcm").exists()


def test_an_earlier_result_is_taken_instead_of_a_new_scan(gateway, client, study):
    finish(scan(client, study))
    outcome = finish(scan(client, study))[-1].value
    assert outcome.earlier and outcome.study == study[0]
    assert len(gateway.received) == 1
    finish(scan(client, study, again=True))
    assert len(gateway.received) == 2 and gateway.fields[-1] == {"force": "true"}


def test_an_earlier_result_without_this_film_is_no_result_of_it(gateway, client, study):
    finish(scan(client, study))
    other = ("1.2.3", study[1][0][1])
    events = finish(scan(client, (study[0], [*study[1], other])))
    assert isinstance(events[-1], Done) and not events[-1].value.earlier
    assert len(gateway.received) == 2


def test_file_names_stay_here(gateway, client, study, tmp_path):
    named = tmp_path / "Muster^Frieda.dcm"
    named.write_bytes(study[1][0][1].read_bytes())
    seen = []
    original = gateway._submit
    gateway._submit = lambda http, body: (seen.append(body), original(http, body))
    client.submit([named])
    assert b'filename="1.dcm"' in seen[0]
    assert b"filename=" in seen[0] and b"Frieda.dcm" not in seen[0]


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (401, errors.RefusedError, "Refused"),
        (403, errors.RefusedError, "Refused"),
        (404, errors.NotFoundError, "Not found"),
        (413, errors.GatewayError, "Failed: too large"),
        (422, errors.GatewayError, "Failed: the gateway found nothing that it can scan"),
        (429, errors.TooManyError, "Overloaded"),
        (500, errors.BadAnswerError, "Failed"),
        (503, errors.OverloadedError, "Overloaded"),
    ],
)
def test_each_refusal_has_its_own_error(gateway, client, study, status, kind, word):
    gateway.refuse = (status, {"Retry-After": "7"} if status in (429, 503) else {})
    for action in (client.info, lambda: client.submit([study[1][0][1]]), lambda: client.job("x")):
        with pytest.raises(kind) as caught:
            action()
        assert f"made-up {status}" in caught.value.details or status in (429, 503)
        assert "req-1" in caught.value.details and TOKEN not in caught.value.details
    assert rules.connection_text(caught.value).startswith(word)
    if status in (429, 503):
        assert caught.value.retry_after == 7 and "7 s" in caught.value.message


def test_a_scan_waits_while_there_are_too_many_requests(gateway, client, study):
    gateway.refuse_every_other = True
    outcome = finish(scan(client, study))[-1].value
    assert outcome.study == study[0] and len(gateway.received) == 1
    refused, taken = gateway.calls[::2], gateway.calls[1::2]
    assert refused == taken  # each was asked again, and no other


def test_waiting_for_a_turn_ends_with_the_task(gateway, client, study):
    gateway.refuse = (429, {"Retry-After": "30"})
    task = scan(client, study)
    until(lambda: gateway.calls)
    task.cancel()
    assert isinstance(finish(task)[-1].error, errors.CancelledError)


def test_a_scan_that_is_cancelled_while_there_are_too_many_requests_is_cancelled_at_the_gateway_too(
    gateway, client, study
):
    gateway.script = [("running", 1)]
    task = scan(client, study)
    until(lambda: gateway.jobs)
    gateway.refuse_every_other = True
    task.cancel()
    gateway.calls.clear()  # so that the next one is refused
    assert isinstance(finish(task)[-1].error, errors.CancelledError)
    assert [job["state"] for job in gateway.jobs.values()] == ["cancelled"]


def test_requests_are_put_off_for_a_while_and_not_for_ever(gateway, client):
    gateway.refuse = (429, {"Retry-After": "0"})
    begun = time.monotonic()
    with pytest.raises(errors.TooManyError):
        client.patient(time.sleep, 0.5).info()
    assert time.monotonic() - begun < 5 and len(gateway.calls) > 1


@pytest.mark.parametrize(("asked", "waited"), [("30", 30.0), ("3600", 60.0), ("0", 0.02)])
def test_a_job_is_asked_for_as_seldom_as_the_gateway_wishes(gateway, client, monkeypatch, asked, waited):
    task, pauses = Task(lambda _task: None), []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise errors.CancelledError

    monkeypatch.setattr(task, "wait", wait)
    monkeypatch.setattr(jobs, "_CANCEL_SECONDS", 0.1)  # for which the end of the test would wait
    gateway.refuse = (429, {"Retry-After": asked})
    job = Job("j1", "1.2", "running", 1, 2)
    with pytest.raises(errors.CancelledError):
        jobs.follow(task, client, job, 0.02, 600.0)
    assert pauses == [0.02, waited, waited]


def test_a_turn_that_does_not_come_is_told(gateway, client, study):
    gateway.refuse = (429, {"Retry-After": "3600"})
    assert isinstance(finish(scan(client, study))[-1].error, errors.TooManyError)


def test_what_a_gateway_says_is_shown_as_plain_text(gateway, client, study):
    gateway.script = [("queued", 0), ("failed", 0)]
    original = gateway._job
    page = "<img src='file:///x'>\x1b[0m"
    gateway._job = lambda http, job, rest: (job.update(reason=page), original(http, job, rest))
    message = finish(scan(client, study))[-1].error.message
    assert "img src" in message and not set("<>\x1b") & set(message)


def test_a_wrong_token_is_refused_and_never_told(gateway):
    with pytest.raises(errors.RefusedError) as caught:
        Gateway(gateway.address, "wrong-token", FAST).info()
    assert "wrong-token" not in caught.value.message + caught.value.details


def test_the_token_is_not_replaced_by_a_netrc(gateway, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert Gateway(gateway.address, TOKEN, FAST).info().version == "9.9"


def test_nothing_listens(gateway):
    gateway.stop()
    with pytest.raises(errors.UnreachableError) as caught:
        Gateway(gateway.address, TOKEN, FAST).info()
    assert gateway.address in caught.value.message
    assert rules.connection_text(caught.value).startswith("Unreachable")


def test_a_silent_server_is_unreachable_in_time(gateway):
    gateway.silent = 2.0
    begun = time.monotonic()
    with pytest.raises(errors.UnreachableError, match="in time"):
        Gateway(gateway.address, TOKEN, (1.0, 0.2)).info()
    assert time.monotonic() - begun < 1.5


def test_another_service_is_no_gateway():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi!\n")

        threading.Thread(target=answer, daemon=True).start()
        client = Gateway(f"127.0.0.1:{server.getsockname()[1]}", TOKEN, FAST)
        with pytest.raises(errors.BadAnswerError, match="not a BCD gateway"):
            client.info()


def test_no_redirect_is_followed(gateway):
    gateway.refuse = (307, {"Location": "http://127.0.0.1:9/"})
    with pytest.raises(errors.BadAnswerError, match="leads elsewhere"):
        Gateway(gateway.address, TOKEN, FAST).info()


def test_limits_are_known_before_anything_is_sent(gateway, client, study):
    gateway.limits = {"bytes": 1000, "files": 100}
    with pytest.raises(errors.GatewayError, match="too large"):
        client.submit([path for _, path in study[1]])
    gateway.limits = {"bytes": 10**9, "files": 1}
    with pytest.raises(errors.GatewayError, match="too many"):
        client.submit([path for _, path in study[1]])
    assert gateway.received == []


def test_cancel_while_films_are_sent(gateway, client, study, tmp_path):
    big = tmp_path / "big.dcm"
    big.write_bytes(b"\0" * 20_000_000)
    sent = []

    def work(task):
        def progress(done, total):
            sent.append(done)
            if len(sent) == 3:
                task.cancel()

        return client.submit([big], cancelled=task.cancelled, progress=progress)

    events = finish(begun(work))
    assert isinstance(events[-1], Failed) and isinstance(events[-1].error, errors.CancelledError)
    assert max(sent) < 2_000_000 and gateway.received == []


def test_cancel_in_mid_film_cancels_the_job(gateway, client, study):
    gateway.script = [("running", 1)]
    task = scan(client, study)
    wait_for(lambda: any("film 1" in event.text for event in task.drain() if hasattr(event, "text")))
    task.cancel()
    events = finish(task)
    assert isinstance(events[-1].error, errors.CancelledError)
    (job,) = gateway.jobs.values()
    assert job["state"] == "cancelled"


def test_a_job_that_is_left_goes_on(gateway, client, study):
    gateway.script = [("running", 1)]
    task = scan(client, study)
    wait_for(lambda: gateway.jobs)
    task.abandon()
    finish(task)
    (job,) = gateway.jobs.values()
    assert job["state"] == "running"


def test_a_server_that_dies_in_mid_job_and_comes_back(gateway, client, study):
    gateway.script = [("running", 1)] * 3 + [("done", 2)]
    task = scan(client, study, poll=0.05)
    wait_for(lambda: gateway.jobs)
    gateway.stop()
    seen = []
    wait_for(lambda: seen.extend(task.drain()) or any("away" in event.text for event in seen))
    gateway.start()
    events = finish(task)
    assert isinstance(events[-1], Done) and events[-1].value.study == study[0]


def test_a_server_that_stays_away_is_given_up(gateway, client, study):
    gateway.script = [("running", 1)]
    task = scan(client, study, patience=0.3)
    wait_for(lambda: gateway.jobs)
    gateway.stop()
    error = finish(task)[-1].error
    assert isinstance(error, errors.UnreachableError) and "press Apply to go on" in error.message


def test_a_failed_job_says_why(gateway, client, study):
    gateway.script = [("failed", 0)]
    events = finish(scan(client, study))
    assert "scan has failed" in events[-1].error.message


def test_what_arrives_damaged_is_not_shown(gateway, client, study):
    gateway.damage = True
    error = finish(scan(client, study))[-1].error
    assert isinstance(error, errors.BadAnswerError) and "damaged" in error.message


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "c:\\x", ""])
def test_a_result_path_cannot_leave_its_folder(gateway, client, monkeypatch, tmp_path, path):
    from BCDDetectorLib import client as module

    monkeypatch.setattr(
        module.answers, "read_json", lambda response: {"files": [{"path": path, "sha256": "0"}]}
    )
    monkeypatch.setattr(client, "_call", lambda *a, **k: None)
    with pytest.raises(errors.BadAnswerError):
        client.fetch("job", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_region_is_classified(gateway, client, study):
    film = study[1][0][1]
    events = finish(begun(lambda task: jobs.classify(task, client, film, (60.25, 40.75), 14.0)))
    label, shares = events[-1].value
    assert label == "malignant" and shares.malignant == 0.7
    assert gateway.fields == [{"center_row": "60.250", "center_column": "40.750", "radius": "14.000"}]
    gateway.region = {"state": "failed", "reason": "outside the film"}
    events = finish(begun(lambda task: jobs.classify(task, client, film, (1, 2), 3)))
    assert "outside the film" in events[-1].error.message


def test_a_fault_in_the_thread_is_told():
    events = finish(begun(lambda task: 1 / 0))
    assert isinstance(events[-1], Failed) and "ZeroDivisionError" in events[-1].error.details


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8970/", "http://127.0.0.1:8970"),
        ("https://bcd.example.org/api/v1", "https://bcd.example.org"),
        (" http://[::1]:80 ", "http://[::1]:80"),
    ],
)
def test_addresses_as_people_write_them(text, address):
    assert clean_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "http://user:secret@host", "http://h:99999", "http://h?x=1"]
)
def test_what_is_no_address(text):
    with pytest.raises(errors.InputError):
        clean_address(text)


def test_a_missing_film_is_named(client, tmp_path):
    """In the details: Slicer logs the message, and a file's name may be a patient's."""
    with pytest.raises(errors.InputError) as caught:
        client.submit([Path(tmp_path / "Muster^Frieda.dcm")])
    assert "Frieda" in caught.value.details and "Frieda" not in caught.value.message


def test_a_film_that_shrinks_on_its_way_is_named_in_the_details_alone(tmp_path):
    film = tmp_path / "Muster^Frieda.dcm"
    film.write_bytes(b"x" * 100)
    body = Multipart([("files", film)], {})
    film.write_bytes(b"x" * 50)
    with pytest.raises(errors.InputError) as caught:
        list(body)
    assert "Frieda" in caught.value.details and "Frieda" not in caught.value.message


def wait_for(condition, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
