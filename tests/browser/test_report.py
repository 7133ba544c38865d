"""``report.html`` in a real browser: what others wrote into headers and names does nothing there."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from html import unescape

import pytest

from converters.dicom.file import quiet
from converters.results.page import build_report
from tests.browser import chromium
from tests.support import result_builder as build

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.CHROMIUM is None, reason="chromium is not installed"),
]

RAN = "document.documentElement.setAttribute('data-ran','1')"


@pytest.fixture
def site() -> Iterator[chromium.Site]:
    with chromium.site() as running:
        yield running


def hostile(address: str) -> list[str]:
    """Each way in which a string can try to run or to fetch."""
    return [
        f"<script>{RAN}</script>",
        f'"><img src=x onerror="{RAN}">',
        f"'><svg onload={RAN}>",
        f"</title></style><script>{RAN}</script>",
        f"<img src={address}/fetched>",
        f"<link rel=stylesheet href={address}/fetched>",
        f"<iframe src={address}/fetched></iframe>",
        "{{ 7 * 7 }}{% raw %}",
        "\u202e<b>turned round\u0000\ud800",
    ]


def ran(dom: str) -> bool:
    """Whether a script has left its mark on the document's own element."""
    return re.match(r"<!DOCTYPE html>\s*<html[^>]* data-ran=", dom) is not None


def page_of(text: str) -> bytes:
    """A report in which ``text`` stands wherever a string of others can get."""
    head = build.header(1)
    with quiet():
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
            setattr(head, keyword, text)
    film = build.scanned(1, [build.finding((50, 40))], head=head, warnings=(text,))
    film = dataclasses.replace(film, file=text)
    result = build.study(film, build.failed(2, reason=text), warnings=(text,))
    model = dataclasses.replace(result.model, name=text, version=text, digest=text)
    point = dataclasses.replace(result.operating_point, basis=text)
    return build_report(dataclasses.replace(result, model=model, operating_point=point))


def without_policy(page: bytes) -> bytes:
    bare, count = re.subn(rb'<meta http-equiv="Content-Security-Policy"[^>]*>', b"", page)
    assert count == 1
    return bare


@pytest.mark.parametrize("policy", [True, False], ids=["with its policy", "by escaping alone"])
def test_hostile_strings_neither_run_nor_fetch(site, policy):
    text = "".join(hostile(site.address))
    page = page_of(text)
    dom = site.open(page=page if policy else without_policy(page))
    assert not ran(dom)
    assert site.asked[0] == "/page"
    assert not [path for path in site.asked if "fetched" in path or path == "/x"]
    shown = unescape(dom)
    assert "<script>document" in shown  # it is there, as text
    assert "{{ 7 * 7 }}" in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize("text", [0, 1, 3])
def test_the_policy_alone_stops_what_would_run(site, text):
    """And without both it runs: the test before can fail."""
    hole = b"<h2>Study</h2>"
    page = build_report(build.CASES["finding"]())
    assert page.count(hole) == 1
    pierced = page.replace(hole, hostile(site.address)[text].encode())
    assert ran(site.open(page=without_policy(pierced)))
    assert not ran(site.open(page=pierced))


def test_the_policy_alone_stops_what_would_fetch(site):
    hole = b"<h2>Study</h2>"
    page = build_report(build.CASES["finding"]())
    pierced = page.replace(hole, "".join(hostile(site.address)[4:7]).encode())
    site.open(page=without_policy(pierced))
    assert site.asked.count("/fetched") >= 2
    site.open(page=pierced)
    assert "/fetched" not in site.asked


@pytest.mark.parametrize("width", [320, 375, 1280])
@pytest.mark.parametrize("case", ["many findings", "warnings", "all films failed"])
def test_the_page_is_as_wide_as_the_screen_and_its_style_is_in_force(site, width, case):
    """Measured by a page around it, as the report runs no script."""
    frame = f"""<body><iframe src="report" style="width:{width}px;height:900px;border:0" onload="
        const page = this.contentDocument;
        const boxes = [page.documentElement, ...page.querySelectorAll('.scroll')];
        const pictures = [...page.querySelectorAll('image')];
        const widths = pictures.map(picture => Math.round(picture.getBoundingClientRect().width));
        const banner = page.defaultView.getComputedStyle(page.querySelector('.banner'));
        document.title = [boxes.map(box => box.scrollWidth - box.clientWidth), banner.backgroundColor, widths]
            .join(' | ');
        "></iframe></body>"""
    dom = site.open(frame=frame.encode(), report=build_report(build.CASES[case]()))
    overflow, banner, pictures = re.search("<title>(.*)</title>", dom)[1].split(" | ")
    page, *tables = overflow.split(",")
    assert page == "0"
    assert set(tables) == {"0"} or width < 375  # there, a table moves in its own box
    assert banner == "rgb(122, 31, 31)"
    drawn = [int(picture) for picture in pictures.split(",") if picture]
    assert len(drawn) == sum(film.outcome == "scanned" for film in build.CASES[case]().films)
    assert all(width / 3 < picture < width for picture in drawn)
    assert set(site.asked) <= {"/frame", "/report", "/favicon.ico"}
