"""Two jobs, and where the records keep them: for the tests of what may become of a job."""

from datetime import datetime

from tests.support.made_records import CREATED, MODEL, SHAPE, make_study, record_of
from worker.queue.job import Record
from worker.study.outcome import STATES, State
from worker.study.scan import job_id

STUDIES = {job_id(study, MODEL, SHAPE): study for study in map(make_study, ("1.1", "1.2"))}
JOBS = tuple(STUDIES)
PLACES = ("bcd:waiting:interactive", "bcd:waiting:batch", "bcd:later", "bcd:running", "bcd:ended")
PLACES_OF: dict[State, frozenset[str]] = {
    "queued": frozenset(PLACES[:3]),
    "running": frozenset({"bcd:running"}),
    **dict.fromkeys(STATES[2:], frozenset({"bcd:ended"})),
}
# Seconds, all of them too long for a test to see the end of one: time passes where a rule says so.
LEASE = 10000.0
DELAY = 5000.0
INTERVAL = 1000.0
DAYS = 30


def make_record(job: str = JOBS[0], out: str = "/out", created: datetime = CREATED) -> Record:
    return record_of(STUDIES[job], out, created)
