"""The worker's log: one line an event on standard error; jobs, studies and films by id and UID alone."""

from __future__ import annotations

import logging

from celery import signals

_FORMAT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"


def set_up_logging(level: str) -> None:
    """Log at ``level``, and keep Celery from setting up logging of its own."""

    def configure(**_: object) -> None:
        logging.basicConfig(level=level, format=_FORMAT, force=True)
        # pydicom's warnings may quote values of a header
        logging.getLogger("pydicom").setLevel(logging.ERROR)

    signals.setup_logging.connect(configure, weak=False)
    configure()
