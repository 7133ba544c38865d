"""``convert mias``: a collection of films as DICOM."""

from __future__ import annotations

from pathlib import Path

import typer

from converters.mias import to_dicom
from worker.cli.shared.console import say, say_json, warn
from worker.cli.shared.figures import counted
from worker.cli.shared.help import PlainCommand, example
from worker.cli.shared.options import JSON
from worker.settings import load_settings

convert = typer.Typer()


@convert.command("mias", cls=PlainCommand, epilog=example("convert mias all-mias dicom"))
def convert_mias(
    source: Path = typer.Argument(metavar="SRC", help="Folder with PGM films and Info.txt."),
    out: Path = typer.Argument(metavar="OUT", help="Folder for PATIENT/FILM.dcm and truth.json."),
    as_json: bool = JSON,
) -> None:
    """Convert mini-MIAS films to DICOM: one study a patient, the pixels bit for bit."""
    conversion = to_dicom.convert_mias(source, out, uid_root=load_settings().uid_root)
    for text in (*conversion.skipped, *conversion.warnings):
        warn(text)
    if as_json:
        say_json(
            {
                "studies": conversion.studies,
                "films": conversion.films,
                "skipped": list(conversion.skipped),
                "warnings": list(conversion.warnings),
                "out": str(out.absolute()),
            }
        )
    else:
        studies = counted(conversion.studies, "study", "studies")
        say(f"{studies}, {counted(conversion.films, 'film')} written to {out.absolute()}")
    if conversion.skipped:
        raise typer.Exit(1)
