"""Arguments and options that several commands have."""

from __future__ import annotations

import re

import typer

from bcd_model.errors import UsageError

PATHS = typer.Argument(
    metavar="PATH...", help="DICOM files, folders of any shape, or zips.", show_default=False
)
OUT = typer.Option(None, "--out", "-o", metavar="DIR", help="Results folder.", show_default="bcd-results")
ALL = typer.Option(False, "--all", help="Also findings below the operating point.")
JSON = typer.Option(False, "--json", help="Answer in JSON.")
IDS = typer.Argument(
    None, metavar="ID...", help="Job ids, their beginnings, or Study Instance UIDs.", show_default=False
)

_BATCH_NAME = re.compile(r"[\w.:@+][\w.:@+-]{0,63}")  # \w: letters and digits of any script, and _


def check_batch_name(name: str | None) -> str | None:
    """The ``name`` of a batch, if it can be one.

    Raises:
        UsageError: it cannot be.
    """
    if name is not None and not _BATCH_NAME.fullmatch(name):
        remedy = "use up to 64 letters, digits and _ . : @ + -, the last not at the start"
        raise UsageError(f"{name!r} cannot name a batch", remedy)
    return name


BATCH = typer.Option(
    None, "--batch", "-b", metavar="NAME", help="The jobs of this batch.", callback=check_batch_name
)
WATCH = typer.Option(False, "--watch", "-w", help="Keep showing it until nothing is left to wait for.")
