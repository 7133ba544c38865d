"""The Markdown of the repository: its width, its links, and the commands it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from worker.cli.commands import make_cli

ROOT = Path(__file__).parents[2]
WIDTH = 100
DOCUMENTS = [
    path
    for path in sorted(ROOT.rglob("*.md"))
    if not {".venv", "build", "node_modules", ".pytest_cache"} & set(path.relative_to(ROOT).parts)
]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


@cache
def tokens(path: Path) -> tuple[Token, ...]:
    """Block and inline tokens, in their order."""
    flat: list[Token] = []
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text()):
        flat += [token, *(token.children or ())]
    return tuple(flat)


@cache
def anchors(path: Path) -> frozenset[str]:
    """What a link may name behind #: the headings, as GitHub writes them."""
    content = MarkdownIt("commonmark").parse(path.read_text())
    heads = [after.content for one, after in pairwise(content) if one.type == "heading_open"]
    return frozenset(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)


def links(path: Path) -> Iterator[str]:
    for token in tokens(path):
        if token.type in ("link_open", "image"):
            yield str(token.attrs.get("href") or token.attrs.get("src"))


def shown_commands(path: Path) -> Iterator[str]:
    """Commands in blocks of code and in the text, each on one line, without what a shell does with them."""
    for token in tokens(path):
        if token.type not in ("fence", "code_block", "code_inline"):
            continue
        for line in token.content.replace("\\\n", " ").splitlines():
            whole = re.sub(r"\[([^\]]*)\]", lambda choice: choice[1].replace("|", " "), line)
            for part in re.split(r" \| | && |; | > | 2> | # |\s#", whole):
                found = re.search(r"(?:^|[ =])((?:bcd-admin|make)(?: .*|$))", part)
                if found and not re.search(r"\bCOMMAND\b|…", part):
                    yield found[1].strip()


COMMANDS = sorted({(name, command) for name in NAMES for command in shown_commands(ROOT / name)})


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_longer_than_a_hundred_columns(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    tables = {
        number
        for token in tokens(ROOT / name)
        if token.type == "table_open" and token.map
        for number in range(*token.map)
    }
    long = [
        number + 1
        for number, line in enumerate(lines)
        # A row of a table cannot be broken, nor can a link that is longer than a line by itself.
        if len(line) > WIDTH and number not in tables and " " in line.strip()
    ]
    assert not long, f"{name}, lines {long}"


def test_the_readme_fits_a_reader() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 110
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in links(ROOT / name):
        if re.match(r"https?:|mailto:", link):
            continue
        where, _, place = link.partition("#")
        target = ((ROOT / name).parent / where).resolve() if where else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if place and target.suffix == ".md":
            assert place in anchors(target), f"{name}: {link}"


def test_the_index_leads_to_every_document() -> None:
    """And so does the index of the decisions to every decision."""
    for index in (ROOT / "docs" / "index.md", ROOT / "docs" / "decisions" / "index.md"):
        led = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
        below = set(index.parent.rglob("*.md")) - {index}
        if index.parent.name == "docs":
            below = {path for path in below if path.parent.name != "decisions" or path.name == "index.md"}
        assert not {str(path.relative_to(ROOT)) for path in below - led}


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_command_that_is_shown_is_one(name: str, command: str) -> None:
    """Its names and options are known; values, which stand for the reader's own, are not looked at."""
    program, *rest = shlex.split(command)
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {each for each in rest if re.fullmatch(r"[a-z-]+", each)} <= set(targets)
        return
    known: click.Command = make_cli()
    context = click.Context(known, info_name=program)
    while isinstance(known, click.Group) and rest and not rest[0].startswith("-"):
        called = known.get_command(context, rest.pop(0))
        assert called is not None, f"{name}: {command}"
        known, context = called, click.Context(called, parent=context)
    known.make_parser(context).parse_args(rest)
