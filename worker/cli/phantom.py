"""``phantom``: films with known lesions."""

from __future__ import annotations

from pathlib import Path

import typer

from converters.mias.phantom import write_phantom
from worker.cli.shared.console import say
from worker.cli.shared.figures import counted


def phantom(
    out: Path = typer.Argument(metavar="OUT", help="Folder for the films and Info.txt."),
    patients: int = typer.Option(
        2, "--patients", metavar="N", min=1, max=160, help="Patients, two films each."
    ),
    seed: int = typer.Option(0, "--seed", metavar="N", min=0, help="The same seed gives the same films."),
) -> None:
    """Make procedural films with known lesions, in MIAS form (PGM and Info.txt)."""
    collection = write_phantom(out, patients=patients, seed=seed)
    lesions = sum(len(film.lesions) for film in collection.films)
    films = counted(len(collection.films), "film")
    say(f"{films} with {counted(lesions, 'lesion')} written to {out.absolute()}")
