"""One region classified, on a worker."""

from __future__ import annotations

import logging
import time

from billiard.exceptions import SoftTimeLimitExceeded

from bcd_model.errors import BcdError, QueueError
from bcd_model.reasons import Reason
from bcd_model.words import ModelIdentity, Probability, Region
from converters.films.read import read_film
from worker.logs import event
from worker.queue.records import Records
from worker.queue.regions import RegionRecord, Regions, State, check_inside
from worker.settings import Settings
from worker.study.scanner import check_roots, load_scanner

_MOST_ATTEMPTS = 3  # to classify it, each of which ended its process


def classify_region(region_id: str, settings: Settings) -> None:
    """Answer one region, if it is still wanted; on a worker.

    Raises:
        QueueError: Redis cannot be reached.
    """
    regions = Regions(settings.broker_url or "")
    record = regions.get(region_id)
    if record is None:  # it is kept no longer
        Records(settings.broker_url or "").count_refused("unknown region")
        event("message refused", logging.WARNING, reason="unknown region")
        return
    if record.state in ("done", "failed"):
        event("region passed over", region=region_id, state=record.state)
        return
    since = time.monotonic()
    if regions.begin(region_id) > _MOST_ATTEMPTS:
        detail = f"it ended its worker, or took too long, {_MOST_ATTEMPTS} times"
        regions.fail(region_id, Reason("quarantined", detail, "quarantined: see the worker's log"))
        event("region ended", logging.ERROR, region=region_id, state="failed", seconds=0.0)
        return
    state: State = "failed"
    try:
        regions.end(region_id, *_classify(record, settings))
        state = "done"
    except QueueError:
        raise
    except BcdError as error:
        regions.fail(region_id, error.reason)
    except SoftTimeLimitExceeded:
        regions.fail(region_id, Reason("time-limit", "it took too long"))
    except Exception as error:  # noqa: BLE001 - whatever happens, the region ends with a reason
        event("region broke", logging.ERROR, region=region_id, error=error)
        detail = f"unexpected {type(error).__name__}"
        regions.fail(region_id, Reason("unexpected", detail, "see the worker's log"))
    event("region ended", region=region_id, state=state, seconds=round(time.monotonic() - since, 3))


def _classify(record: RegionRecord, settings: Settings) -> tuple[Probability, ModelIdentity, tuple[str, ...]]:
    check_roots("read", [record.film], settings.input_roots, "BCD_INPUT_ROOTS")
    film = read_film(record.film).film
    check_inside(record.center, record.radius, film.shape)
    scanner = load_scanner(settings.model, threads=settings.threads_per_scan)
    probability = scanner.classify(film, Region(record.center, record.radius))
    return probability, scanner.identity, film.warnings
