"""One circle on one film: the answer of ``bcd-admin classify``, or one line that says why there is none."""

import io
import json
import signal
import time
from pathlib import Path
from typing import Any

import pydicom
import pytest
import redis

from worker.engine.host import wait_for
from worker.queue import regions

pytestmark = pytest.mark.redis

PLACE = {"center_row": "100", "center_column": "120", "radius": "24"}


def ask(client: Any, film: Path | bytes | None, **fields: str) -> Any:
    content = film.read_bytes() if isinstance(film, Path) else film
    files = {} if content is None else {"file": ("film.dcm", content)}
    if not files:
        return client.post("/regions", files=[(name, (None, value)) for name, value in fields.items()])
    return client.post("/regions", files=files, data=fields)


def answer(client: Any, region: str) -> dict:
    found: dict = {}

    def known() -> bool:
        found.update(client.get(f"/regions/{region}").json())
        return found.get("state") != "queued"

    assert wait_for(known, 60), found
    return found


def test_the_answer_is_that_of_the_command_line(working: Any, films: list[Path]) -> None:
    client = working.client("circle")
    asked = ask(client, films[0], **PLACE)
    assert asked.status_code == 202, asked.text
    got = answer(client, asked.json()["region_id"])
    said = working.admin("classify", films[0], "--center", "100,120", "--radius", "24", "--json").json
    assert got["state"] == "done"
    assert got["label"] == said["class"]
    assert got["probability"] == pytest.approx(said["probability"], abs=1e-6)
    assert got["model"] == said["model"]
    assert got["warnings"] == said["warnings"]


def test_the_answer_has_the_films_warnings(working: Any, films: list[Path]) -> None:
    film = pydicom.dcmread(films[0])
    del film.ViewCodeSequence
    content = io.BytesIO()
    film.save_as(content)
    client = working.client("warned")
    got = answer(client, ask(client, content.getvalue(), **PLACE).json()["region_id"])
    assert got["state"] == "done"
    assert any("which view" in warning for warning in got["warnings"])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (PLACE | {"radius": "0"}, "radius"),
        (PLACE | {"radius": "-3"}, "radius"),
        (PLACE | {"radius": "nan"}, "finite"),
        (PLACE | {"radius": "1e9"}, "radius"),
        (PLACE | {"center_row": "256"}, "256 rows"),
        (PLACE | {"center_column": "-1"}, "outside"),
        (PLACE | {"center_row": "inf"}, "finite"),
        (PLACE | {"center_row": "here"}, "number"),
        ({"center_row": "1", "center_column": "1"}, "'radius' is missing"),
        (PLACE | {"other": "1"}, "takes files as 'file'"),
    ],
)
def test_a_place_that_cannot_be_one_is_reported(
    working: Any, films: list[Path], fields: dict[str, str], reason: str
) -> None:
    client = working.clients[-1] if working.clients else working.client("circle2")
    refused = ask(client, films[0], **fields)
    assert refused.status_code == 422
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert reason in refused.json()["detail"]


@pytest.mark.parametrize(("column", "outside"), [(-0.6, True), (-0.4, False), (255.4, False), (255.6, True)])
def test_a_film_ends_half_a_pixel_beyond_the_centres_of_its_outermost_pixels(
    working: Any, films: list[Path], column: float, outside: bool
) -> None:
    client = working.clients[-1] if working.clients else working.client("edge")
    asked = ask(client, films[0], **PLACE | {"center_column": str(column)})
    assert asked.status_code == (422 if outside else 202)
    said = working.admin("classify", films[0], f"--center=100,{column}", "--radius", "24")
    assert ("outside" in said.err) == outside


def test_a_file_that_is_not_a_film_is_reported(working: Any, films: list[Path]) -> None:
    client = working.client("nofilm")
    assert (
        "not a DICOM file (no DICM prefix at byte 128)"
        in ask(client, b"not a film", **PLACE).json()["detail"]
    )
    cut = films[0].read_bytes()[:-5000]
    assert "cut short" in ask(client, cut, **PLACE).json()["detail"]
    assert "no film" in ask(client, None, **PLACE).json()["detail"]


def test_a_region_of_air_fails_with_the_reason(working: Any, films: list[Path]) -> None:
    client = working.client("air")
    asked = ask(client, films[0], **PLACE | {"center_row": "250", "center_column": "250"})
    got = answer(client, asked.json()["region_id"])
    assert (got["state"], got["label"], got["probability"]) == ("failed", None, None)
    assert got["reason"] == "there is no breast at the region; draw it on the breast"


def test_the_reason_of_a_region_names_no_path(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("reader")
    region = ask(client, films[0], **PLACE).json()["region_id"]
    own_site.work(BCD_INPUT_ROOTS="/films/secret-folder")
    got = answer(client, region)
    assert got["state"] == "failed"
    assert "BCD_INPUT_ROOTS" in got["reason"]
    assert "/" not in got["reason"]
    assert "secret" not in got["reason"]


def test_a_region_is_its_tokens_alone(working: Any, films: list[Path]) -> None:
    one, other = working.client("one"), working.client("other")
    region = ask(one, films[0], **PLACE).json()["region_id"]
    assert other.get(f"/regions/{region}").status_code == 404
    assert other.get("/regions/0123456789abcdef0123456789abcdef").status_code == 404
    assert answer(one, region)["state"] == "done"


def test_a_region_outlives_its_worker_and_its_message(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("patient")
    region = ask(client, films[0], **PLACE).json()["region_id"]
    with redis.Redis(
        unix_socket_path=own_site.broker.removeprefix("redis+socket://"), decode_responses=True
    ) as store:
        (message,) = store.lrange("bcd.interactive", 0, -1)
        assert json.loads(message)["headers"]["task"] == "bcd.classify_region"
        assert "film" not in message.replace("classify_region", "")
        store.delete("bcd.interactive")  # as if Redis had lost it
        store.hset(f"bcd:region:{region}", "touched", "0")  # long ago
        assert client.get(f"/regions/{region}").json()["state"] == "queued"
        assert store.llen("bcd.interactive") == 1
        assert 0 < store.ttl(f"bcd:region:{region}") <= 3600
    worker = own_site.work()
    assert answer(client, region)["state"] == "done"
    worker.send_signal(signal.SIGTERM)
    _, log = worker.communicate(timeout=30)
    assert any(json.loads(line)["event"] == "region ended" for line in log.splitlines())


def test_a_region_that_ends_its_worker_three_times_is_quarantined(own_site: Any, films: list[Path]) -> None:
    own_site.serve()
    client = own_site.client("patient")
    region = ask(client, films[0], **PLACE).json()["region_id"]
    with redis.Redis(unix_socket_path=own_site.broker.removeprefix("redis+socket://")) as store:
        store.hset(f"bcd:region:{region}", "attempts", 3)  # as three dead processes leave it
    own_site.work()
    got = answer(client, region)
    assert got["state"] == "failed"
    assert "quarantined" in got["reason"]


def test_a_worker_whose_clock_is_slow_keeps_its_region(
    own_site: Any, films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    own_site.serve()
    client = own_site.client("patient")
    region = ask(client, films[0], **PLACE).json()["region_id"]
    slow = time.time() - 130
    monkeypatch.setattr(time, "time", lambda: slow)
    regions.Regions(own_site.broker).begin(region)  # as a worker does on another host
    client.get(f"/regions/{region}")
    with redis.Redis(
        unix_socket_path=own_site.broker.removeprefix("redis+socket://"), decode_responses=True
    ) as store:
        assert store.hget(f"bcd:region:{region}", "state") == "running"
        assert store.llen("bcd.interactive") == 1
