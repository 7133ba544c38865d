"""``report.html`` as text: what it says, and what it does not reach for. tests/browser opens it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest

from bcd_model.words import DISCLAIMER
from converters.dicom.file import quiet
from converters.results.page import build_report
from tests.support import result_builder as build


class Page(HTMLParser):
    """The page's tags with their attributes, and its text."""

    def __init__(self, result) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.source = build_report(result).decode()
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += f"{data.strip()} " if data.strip() else ""

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("case", sorted(build.CASES))
def test_every_page_says_research_use_and_needs_nothing_else(case):
    page = Page(build.CASES[case]())
    assert DISCLAIMER in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style")]
        reach = attributes.get("href") or ""
        assert reach.startswith(("#film", "data:image/jpeg;base64,")) or not reach
    assert not re.search(r"url\(|@import|https?:", page.source)


@pytest.mark.parametrize("case", ["finding", "all films failed"])
def test_policy_lets_in_the_style_sheet_and_nothing_else(case):
    page = Page(build.CASES[case]())
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    style = re.search("<style>(.*?)</style>", page.source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_findings_at_the_operating_point_are_drawn_and_all_are_listed():
    film = build.scanned(1, [build.finding((50, 40)), build.finding((90, 60), malignant=0.1, benign=0.15)])
    page = Page(build.study(film))
    assert [a["class"] for a in page.all("polygon")] == ["malignant"]
    for told in (
        "80.0\u00a0% 60.0\u00a0% 50, 40 (2.4\u00a0mm)",
        "25.0\u00a0% 10.0\u00a0% 90, 60 (2.4\u00a0mm)",
    ):
        assert told in page.text
    assert "1 below the operating point, not drawn" in page.text


@pytest.mark.parametrize("case", ["no finding", "below the operating point"])
def test_film_without_a_presented_finding_says_so(case):
    page = Page(build.CASES[case]())
    assert page.all("polygon") == []
    assert len(page.all("image")) == 1
    assert "No finding at the operating point." in page.text


def test_failed_films_are_there_with_their_reasons():
    scanned = build.scanned(1, warnings=("unlike the training films",))
    page = Page(build.study(scanned, build.failed(2), build.unreadable(3), warnings=("given twice",)))
    for told in (
        "Not scanned: burned-in annotation",
        "Not scanned: truncated",
        "1 of 3 films scanned, 2 failed",
        "Warning: unlike the training films",
        "Warning: given twice",
    ):
        assert told in page.text
    assert len(page.all("svg")) == 1


def test_model_and_operating_point_are_named():
    text = Page(build.CASES["finding"]()).text
    for told in ("bcdcnn-test 1.2", "cd" * 32, "50.0\u00a0%", "81.2\u00a0%", "1.75", "made up for the tests"):
        assert told in text
    assert text.count("probabilities hold where 40 % of films are abnormal") == 2
    unmeasured = Page(build.study(build.scanned(1), measured=False)).text
    assert unmeasured.count("not measured") == 2
    assert "missed" not in unmeasured


def test_patient_and_study_are_named_for_the_reader():
    text = Page(build.CASES["finding"]()).text
    for told in (
        "Patient Tester Björk",
        "Patient ID P1",
        "Born 1970-01-01",
        "Study date 2024-01-02",
        "Accession number A1",
        build.STUDY,
    ):
        assert told in text


def test_what_the_header_leaves_open_is_said_to_be():
    head = build.header(1)
    del head.PatientName, head.AccessionNumber
    head.PatientBirthDate = ""
    text = Page(build.study(build.scanned(1, head=head))).text
    for name in ("Patient", "Accession number", "Born"):
        assert f"{name} not stated" in text
    assert "Patient not stated" in Page(build.study(build.unreadable())).text


def test_strings_of_others_stay_text():
    head = build.header(1)
    name = "<script>alert(1)</script>\"'&{{ 7 * 7 }}"
    with quiet():
        head.PatientName, head.PatientID = name, "a\u202eb\u0000c"
    film = dataclasses.replace(build.scanned(1, head=head), file="<img src=x onerror=alert(1)>\ud800.dcm")
    page = Page(build.study(film))
    assert name in page.text
    assert "Patient ID a\ufffdb\ufffdc" in page.text
    assert "<img src=x onerror=alert(1)>\ufffd.dcm" in page.text
    assert page.all("script") == page.all("img") == []


def test_a_damaged_header_does_not_fill_the_page():
    head = build.header(1)
    with quiet():
        head.PatientID = "x" * 1_000_000
    assert len(build_report(build.study(build.scanned(1, head=head)))) < 50_000


def test_pixels_are_shown_square_and_no_larger_than_a_page_needs():
    film = build.scanned(1, [build.finding((500, 700), 60)], shape=(1200, 2400), spacing=(0.1, 0.05))
    (box,) = (a["viewbox"] for a in Page(build.study(film)).all("svg"))
    assert box == "0 0 960 960"
    oblong = build.scanned(1, shape=(1200, 2400), spacing=(0.005, 2.0))
    (box,) = (a["viewbox"] for a in Page(build.study(oblong)).all("svg"))
    assert box == "0 0 960 24"
