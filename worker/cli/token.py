"""``token create``, ``list`` and ``revoke``: who may use the HTTP gateway."""

from __future__ import annotations

import typer

from worker.cli.shared.console import note, say, say_json, say_table
from worker.cli.shared.help import PlainCommand, example
from worker.cli.shared.options import JSON
from worker.gateway.storage.folders import private_root
from worker.gateway.tokens import Tokens
from worker.settings import load_settings

token = typer.Typer()

NAME = typer.Argument(metavar="NAME", help="Who has it.", show_default=False)


@token.command("create", cls=PlainCommand, epilog=example("token create reading-room"))
def create(name: str = NAME) -> None:
    """Make a token and print it; it is shown this once."""
    secret = _tokens().create(name)
    note(f"the token of {name}; it is kept nowhere, so take it now:")
    say(secret)


@token.command("list", cls=PlainCommand, epilog=example("token list"))
def show(as_json: bool = JSON) -> None:
    """List the tokens."""
    found = _tokens().all()
    if as_json:
        say_json({"tokens": [{"name": token.name, "created": token.created} for token in found]})
    else:
        say_table(["NAME", "CREATED"], [[token.name, token.created] for token in found])


@token.command("revoke", cls=PlainCommand, epilog=example("token revoke reading-room"))
def revoke(name: str = NAME) -> None:
    """Refuse a token from now on, also in a gateway that runs."""
    _tokens().revoke(name)
    say(f"token {name} is revoked")


def _tokens() -> Tokens:
    return Tokens(private_root(load_settings()))
