"""Reasons: each code is documented, and nothing reads a reason back out of a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("bcd_model", "converters", "worker")
_CODE = r"[a-z]+(-[a-z]+)*"
READERS = {"removeprefix", "removesuffix", "partition", "rpartition", "split", "startswith", "endswith"}
"""Methods by which a sentence would be read."""
TEXTS = {"detail", "remedy", "message", "reason", "why", "with_place"}
"""What an error or a reason says, by the name of its attribute."""


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def codes() -> Iterator[str]:
    """Every code that the product may give a reason."""
    for _, tree in modules():
        for node in ast.walk(tree):
            given: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                given += node.args[:1] if name == "Reason" else []
                if name.endswith("Error"):
                    given += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                    given += node.args[3:4]
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                given += [node.value] if node.targets[0].id == "code" else []
            yield from (
                found.value
                for value in given
                for found in ast.walk(value)
                if isinstance(found, ast.Constant) and re.fullmatch(_CODE, str(found.value))
            )
    for path in (ROOT / "worker").rglob("*.lua"):
        yield from re.findall(r"reason\('([a-z-]+)'", path.read_text())


def test_each_code_is_documented_and_each_that_is_documented_is_given() -> None:
    text = (ROOT / "docs" / "reference" / "reasons.md").read_text()
    documented = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert sorted(set(documented)) == sorted(documented)
    assert {code for code in codes() if code} == set(documented)


def test_no_code_reads_the_text_of_an_error() -> None:
    """An error's or a reason's text goes to a person; what a program needs is a field."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _reads(node)
    ]
    assert found == []


def _reads(call: ast.Call) -> bool:
    """Whether ``call`` takes the text of an error or a reason apart."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return False
    if isinstance(function.value, ast.Name) and function.value.id == "re":
        return any(map(_is_text, call.args))
    on_one_line = function.attr == "split" and not call.args  # of another library's error
    return function.attr in READERS and not on_one_line and _is_text(function.value)


def _is_text(value: ast.expr) -> bool:
    """Whether it is what an error or a reason says: ``str(error)``, ``error.reason``, ``record.why()``."""
    if isinstance(value, ast.Attribute):
        return value.attr in TEXTS
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Attribute):
        return value.func.attr in TEXTS
    return isinstance(value.func, ast.Name) and value.func.id == "str" and _names_an_error(value.args)


def _names_an_error(arguments: list[ast.expr]) -> bool:
    return any(
        isinstance(argument, ast.Name)
        and argument.id in {"error", "exc", "e", "problem", "cause", "reason", "caught"}
        for argument in arguments
    )


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("str(error).partition(':')", True),
        ("record.reason.removeprefix('x')", True),
        ("re.match('x', str(error))", True),
        ("record.why().split(';')", True),
        ("path.name.partition('.')", False),
        ("' '.join(str(error).split())", False),
    ],
)
def test_what_counts_as_reading(text: str, reads: bool) -> None:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert any(map(_reads, calls)) is reads
