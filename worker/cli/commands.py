"""All commands under one roof.

Each has a module of its name, which is imported when that command is asked for: ``--help`` imports none.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

_HELP = "Computer-aided detection on mammograms: DICOM in, CNN scan, CAD SR out. Research use only."
_SHORT = {"help_option_names": ["-h", "--help"]}

# What --help says of each. The module of the name has a function of that name.
_COMMANDS = {
    "demo": "A phantom study, end to end.",
    "phantom": "Draw films with known lesions.",
    "scan": "Scan studies in this process, no queue.",
    "classify": "Classify one region of a film.",
    "submit": "Scan studies through the queue.",
    "jobs": "List jobs, the newest first.",
    "status": "Show one job, or a whole batch.",
    "cancel": "End jobs that have not ended.",
    "retry": "Do again what failed or was cancelled.",
    "results": "Show what was found in a study or batch.",
    "worker": "Work on the jobs of a queue.",
    "up": "Keep the embedded engine running.",
    "serve": "Serve the HTTP gateway to a queue.",
    "train": "Cross-validate and train the recipe.",
    "reproduce": "The paper's systems, and what they are worth.",
    "model": "Show the model: data, figures, limits.",
    "evaluate": "What the scan is worth on films with truth.",
    "doctor": "Check settings, queue and folders.",
}
# These have commands of their own. The module of the name has a typer.Typer of that name.
_GROUPS = {
    "convert": "Convert collections of films to DICOM.",
    "token": "Who may use the HTTP gateway.",
}


def make_cli() -> Callable[..., object]:
    """The command ``bcd-admin`` with everything below it."""
    app = typer.Typer(
        cls=LazyGroup,
        help=_HELP,
        add_completion=False,
        context_settings=_SHORT,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    return get_command(app)


class LazyGroup(TyperGroup):
    """Lists its commands from the tables above, and imports the module of the one that is asked for.

    Attributes:
        commands: what is listed; none of them can run.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            **{name: TyperCommand(name, short_help=text) for name, text in _COMMANDS.items()},
            **{name: TyperGroup(name=name, help=text) for name, text in _GROUPS.items()},
        }

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name that can run; None if there is none."""
        return _load(cmd_name) if cmd_name in self.commands else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands, as Typer does it, but without `get_command`."""
        width = formatter.width - 6 - max(map(len, self.commands))
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(width)) for name, command in self.commands.items()]
            )


def _load(name: str) -> Any:
    found = getattr(import_module(f"worker.cli.{name}"), name)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    if name in _GROUPS:
        app.add_typer(found, name=name, help=_GROUPS[name])
    else:
        app.command(name)(found)
    return get_group(app).commands[name]


def _show_version(wanted: bool) -> None:
    if wanted:
        from bcd_model import __version__  # brings numpy

        typer.echo(f"bcd-cad {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error; works anywhere."),
) -> None:
    """What stands before the command; ``main`` itself looks for ``--debug``."""
