"""Which breast and which view a header names, by texts and codes that were taken from it.

The Slicer module has this file as well, byte for byte, as it may import nothing of this package. So only the
standard library is imported here, and Python 3.9 is enough.

The places, in the order in which they are believed (the first that says something decides):

=====================================================  ======  ====
place                                                  breast  view
=====================================================  ======  ====
Image Laterality (0020,0062)                           yes
Frame Laterality (0020,9072)                           yes
Laterality (0020,0060), of the series                  yes
Anatomic Region Sequence (0008,2218), its modifier     yes
Body Part Examined (0018,0015)                         yes
View Code Sequence (0054,0220), by code, else meaning  yes     yes
View Position (0018,5101)                              yes     yes
Acquisition Device Processing Description (0018,1400)  yes     yes
Patient Orientation (0020,0020), of an oblique view    yes
Series Description (0008,103E)                         yes     yes
Protocol Name (0018,1030)                              yes     yes
Acquisition Protocol Description (0018,9424)           yes     yes
=====================================================  ======  ====

A text names a breast or a view by whole words alone, and one that names two of either names none:

- views: CC, MLO, LMO, ML, LM, XCCL, XCCM, XCC, FB, SIO, ISO; with the breast before them (RMLO, LTCC), also
  with a magnification or spot between (RMCC, LSMLO); with the abbreviation of a modifier behind them (CCID);
  or spelled out (medio-lateral oblique). AT, CV and TAN count where a text names no other view and says
  nothing else. Behind a number, CC and ML are volumes.
- ML and LM with the word oblique beside them, whatever stands for its umlaut, are MLO and LMO.
- XCC L is XCCL where the text or a place before it names the breast (R XCC L); else L is the breast, as R is
  in XCC R.
- in a description or a processing, ML, LM, FB and ISO count beside the breast alone (L ML); AT, CV and TAN do
  not count.
- breasts: left, right, and the words of other languages; L, R, LT, RT beside a view or the word breast, or in
  a text that says nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

FROM_ABOVE = frozenset({"CC", "FB", "XCC", "XCCL", "XCCM"})
FROM_THE_SIDE = frozenset({"MLO", "ML", "LM", "LMO", "SIO", "ISO"})
OBLIQUE = frozenset({"MLO", "LMO", ""})
"""Views whose orientation tells the breast; "" for one that is not stated."""
_ALSO_MODIFIERS = frozenset({"AT", "CV", "TAN"})
"""Axillary tail, cleavage and tangential: of a view, if one is named."""

# CID 4014, in SNOMED CT and in the older SNOMED-RT codes of the same concepts.
_VIEW_CODES = {
    "399162004": "CC",
    "399368009": "MLO",
    "399260004": "ML",
    "399352003": "LM",
    "399099002": "LMO",
    "399192008": "XCCL",
    "399101009": "XCCM",
    "399196006": "FB",
    "399188001": "SIO",
    "441555000": "ISO",
    "R-10242": "CC",
    "R-10226": "MLO",
    "R-10224": "ML",
    "R-10228": "LM",
    "R-10230": "LMO",
    "R-10244": "FB",
    "R-1024A": "XCCL",
    "R-1024B": "XCCM",
    "R-102D0": "SIO",
    "R-40AAA": "ISO",
}
# Left and right (CID 244), and the breasts (CID 6022), in both.
_SIDE_CODES = {
    "7771000": "L",
    "24028007": "R",
    "80248007": "L",
    "73056007": "R",
    "G-A101": "L",
    "G-A100": "R",
    "T-04030": "L",
    "T-04020": "R",
}
BOTH = "B"

_LETTERS = {"L": "L", "LT": "L", "R": "R", "RT": "R"}
_LEFT = "LEFT LINKS LINKE LINKER GAUCHE IZQUIERDA IZQUIERDO ESQUERDA ESQUERDO SINISTRA SINISTRO"
_RIGHT = "RIGHT RECHTS RECHTE RECHTER DROIT DROITE DERECHA DERECHO DIREITA DIREITO DESTRA DESTRO"
_SIDES = {**dict.fromkeys(_LEFT.split(), "L"), **dict.fromkeys(_RIGHT.split(), "R")}
_BOTH_SIDES = frozenset({"BOTH", "BILAT", "BILATERAL", "BEIDE", "BEIDSEITS"})
_BREASTS = frozenset({"BREAST", "BREASTS", "MAMMA", "MAMA", "BRUST", "SEIN", "SENO", "SEIO"})
_KNOWN = _BREASTS | _ALSO_MODIFIERS | {*_LETTERS, *_SIDES, "VIEW", "PROJECTION", "MAMMO", "MAMMOGRAPHY"}
"""A text of these and of views alone says nothing else."""

_SPELLED = "\x01"
"""Before the abbreviation of what was spelled out, and is no other word by chance."""
_WORDS = re.compile(rf"{_SPELLED}?[^\W_]+")
_SIDE = r"(?:LEFT|RIGHT|LT|RT|L|R)"
_MODIFIER = r"(?:ID|AT|CV|TAN|R[LMIS]|NP|SPOT|MAG)"
_LABEL = re.compile(
    rf"(?P<side>{_SIDE})?(?:(?<=[LRT])[MS]|MAG|SPOT)?(?P<view>XCC[LM]?|MLO|LMO|CC|ML|LM|FB|SIO|ISO){_MODIFIER}?"
)
_NEED_A_SIDE = frozenset({"ML", "LM", "FB", "ISO"})
"""In a description: millilitres, the name of a standard and the like."""
_VOLUMES = frozenset({"CC", "ML"})

_MARKED = r"\S{1,3}"
"""A vowel that may have a mark, also in another character set than the text is decoded by."""
_CC = rf"[CK]R{_MARKED}N[IE]O[- ]?[CK]AUDAL[EIS]*"
_ML = rf"M{_MARKED}DI(?:O|AL)[- ]?LAT{_MARKED}RALE?"
_LM = rf"LAT{_MARKED}R(?:O|AL)[- ]?M{_MARKED}DIALE?"
_ANY_CC, _ANY_ML, _ANY_LM = rf"(?:{_CC}|CC)", rf"(?:{_ML}|ML{_MODIFIER}?)", rf"(?:{_LM}|LM{_MODIFIER}?)"
_OBLIQUE = rf"(?:OBL(?:{_MARKED}[QCK]\w*)?|SCHR{_MARKED}G\w*)"
_THEN = r"[-\s,;/(]{1,3}"
"""Between a view and that it is oblique."""
_APART = r"[- ]{1,3}"
_TO_L, _TO_M = r"LAT(?:ERAL(?:LY)?)?", r"MED(?:IAL(?:LY)?)?"
_SL, _IM = r"SUPERO[- ]?LATERAL", r"INFERO[- ]?MEDIAL"
_BREAST_APART = tuple(
    (re.compile(pattern), apart)
    for pattern, apart in (
        (rf"\b({_SIDE})(?=(?:ML|LM){_MODIFIER}?{_THEN}(?:{_OBLIQUE}|O)\b)", r"\1 "),
        (rf"\b({_SIDE})(?=CC EXAGGERATED\b|XCC{_APART}(?:[LM]|{_TO_L}|{_TO_M})\b)", r"\1 "),
        (rf"\b({_ANY_ML}|{_ANY_LM}){_THEN}({_SIDE})(?={_THEN}{_OBLIQUE}\b)", r"\2 \1"),
        (rf"\b({_OBLIQUE}|EXAGGERATED)[- ]({_SIDE})[- ]?(?=(?:{_ANY_ML}|{_ANY_LM}|CC)\b)", r"\2 \1 "),
    )
)
"""Takes the breast out of what is one phrase for the rest (LML OBL, ML L OBL)."""
_PHRASES = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), name)
    for pattern, name in (
        (rf"{_SL}[- ](?:TO[- ])?{_IM}(?:[- ]{_OBLIQUE})?", "SIO"),
        (rf"{_IM}[- ](?:TO[- ])?{_SL}(?:[- ]{_OBLIQUE})?", "ISO"),
        (rf"LATERAL(?:LY)? EXAGGERATED {_ANY_CC}|EXAGGERATED {_ANY_CC} LATERAL(?:LY)?", "XCCL"),
        (rf"MEDIAL(?:LY)? EXAGGERATED {_ANY_CC}|EXAGGERATED {_ANY_CC} MEDIAL(?:LY)?", "XCCM"),
        (rf"{_ANY_CC} EXAGGERATED LATERAL(?:LY)?|X-?CC{_APART}{_TO_L}|X-CCL", "XCCL"),
        (rf"{_ANY_CC} EXAGGERATED MEDIAL(?:LY)?|X-?CC{_APART}(?:M|{_TO_M})|X-CCM", "XCCM"),
        (rf"EXAGGERATED {_ANY_CC}|{_ANY_CC} EXAGGERATED|X-CC", "XCC"),
        (rf"{_ANY_ML}{_THEN}(?:{_OBLIQUE}|O\b)|{_OBLIQUE}[- ]{_ANY_ML}", "MLO"),
        (rf"{_ANY_LM}{_THEN}(?:{_OBLIQUE}|O\b)|{_OBLIQUE}[- ]{_ANY_LM}", "LMO"),
        (_ML, "ML"),
        (_LM, "LM"),
        (_CC, "CC"),
        (r"CAUDO[- ]?CRANIALE?|FROM BELOW", "FB"),
        (r"AXILLARY TAIL", "AT"),
        (r"CLEAVAGE", "CV"),
        (r"TANGENTIAL", "TAN"),
    )
)
_XCC_L = re.compile(rf"\bXCC{_APART}L\b")
_XCC_BREAST = re.compile(rf"\bXCC{_APART}[LR]\b")
_MOST_CHARACTERS = 1024
"""Of a text that are looked at; LO holds 64."""

_DIRECTIONS = re.compile("[APHFLR]{1,3}")
_TILTS = {"L": ({"F", "R"}, {"H", "L"}), "R": ({"F", "L"}, {"H", "R"})}


class Coded(NamedTuple):
    """A code, and its meaning in words."""

    value: str
    meaning: str = ""


class Stated(NamedTuple):
    """What a header says in the places that may tell breast and view; empty where it says nothing."""

    image_laterality: str = ""
    frame_lateralities: tuple[str, ...] = ()
    laterality: str = ""
    regions: tuple[Coded, ...] = ()
    body_part: str = ""
    views: tuple[Coded, ...] = ()
    view_position: str = ""
    processing: str = ""
    orientation: tuple[str, ...] = ()
    series: str = ""
    protocol: str = ""
    acquisition: str = ""


class Said(NamedTuple):
    """What one place says: the breast ("L", "R", "B" for both), the view's name; "" for nothing."""

    place: str
    side: str
    view: str


def said(stated: Stated) -> tuple[Said, ...]:
    """What each place says, the one that is believed first at the beginning; none that says nothing."""
    codes = [_by_code(code) for code in stated.views]
    views = tuple(filter(None, (view for _, view in codes)))
    places = [
        Said("Image Laterality", _laterality(stated.image_laterality), ""),
        *(Said("Frame Laterality", _laterality(each), "") for each in stated.frame_lateralities),
        Said("Laterality", _laterality(stated.laterality).replace(BOTH, ""), ""),  # the series' may be both
        Said("Anatomic Region Sequence", _side_of_region(stated.regions), ""),
        Said("Body Part Examined", read(stated.body_part)[0], ""),
        Said("View Code Sequence", _one(side for side, _ in codes), views[0] if views else ""),
    ]
    known = any(place.side for place in places)
    places += [
        Said("View Position", *read(stated.view_position, known=known)),
        Said(
            "Acquisition Device Processing Description",
            *read(stated.processing, described=True, known=known, terse=True),
        ),
        Said("Series Description", *read(stated.series, described=True)),
        Said("Protocol Name", *read(stated.protocol, described=True)),
        Said("Acquisition Protocol Description", *read(stated.acquisition, described=True)),
    ]
    if view(places) in OBLIQUE:
        tilted = Said("Patient Orientation", _one(breasts_by_tilt(stated.orientation)), "")
        places.insert(_ORIENTATION_RANK + len(stated.frame_lateralities), tilted)
    return tuple(place for place in places if place.side or place.view)


_ORIENTATION_RANK = 7
"""Places before it, Frame Laterality not counted."""


def side(places: Sequence[Said]) -> str:
    """The breast, "L" or "R"; "" if it is not stated, or both are."""
    return next((place.side for place in places if place.side), "").replace(BOTH, "")


def view(places: Sequence[Said]) -> str:
    """The view's name; "" if it is not stated."""
    return next((place.view for place in places if place.view), "")


def disagreements(places: tuple[Said, ...]) -> tuple[str, ...]:
    """One remark for each place that names another breast or view than the one that is taken.

    Not for Patient Orientation, which is compared with what is taken (:func:`breasts_by_tilt`).
    """
    found = []
    taken = next((place for place in places if place.side), None)
    if taken is not None and taken.side != BOTH:
        found += [
            f"{taken.place} ({taken.side}) and {other.place} ({other.side}) name different breasts:"
            f" {taken.side} taken"
            for other in places
            if {taken.side, other.side} == {"L", "R"} and other.place != "Patient Orientation"
        ]
    first = next((place for place in places if place.view), None)
    if first is not None:
        found += [
            f"{first.place} ({first.view}) and {other.place} ({other.view}) name different views:"
            f" {first.view} taken"
            for other in places
            if other.view not in ("", first.view) and other.view not in _ALSO_MODIFIERS
        ]
    return tuple(dict.fromkeys(found))


def breasts_by_tilt(orientation: tuple[str, ...]) -> frozenset[str]:
    """The breasts that Patient Orientation (0020,0020) may be of in an oblique view; none without a tilt.

    Its two values say where rows and columns run to (PS3.3 C.7.6.1.1.1). The detector of an MLO is tilted
    along the pectoral muscle, which runs from the axilla towards the midline: towards the feet is towards the
    right in a left breast. Views from above hang either way round and say nothing of the breast.
    """
    directions = directions_of(orientation)
    return frozenset(
        breast
        for direction in directions
        for breast, tilts in _TILTS.items()
        if any(tilt <= set(direction) for tilt in tilts)
    )


def directions_of(orientation: tuple[str, ...]) -> tuple[str, ...]:
    """Both values of Patient Orientation; none if they are not directions in a human body."""
    valid = len(orientation) == 2 and all(_DIRECTIONS.fullmatch(each) for each in orientation)
    return orientation if valid else ()


def read(text: str, described: bool = False, known: bool = False, terse: bool = False) -> tuple[str, str]:
    """The breast and the view that a text names; "" for what it does not name, or names twice over.

    Args:
        described: whether it is a description, in which a short word may mean something else.
        known: whether something else names the breast already.
        terse: whether it is no description where it says nothing but breast and view.
    """
    words = _words(_abbreviated(text[:_MOST_CHARACTERS].upper(), known))
    described = described and not (terse and all(word.known or word.view for word in words))
    words = [
        word._replace(view="") if _is_no_view(word, words, at, described) else word
        for at, word in enumerate(words)
    ]
    alone = all(word.known or word.view for word in words)
    full = {word.side for word in words if word.side}
    letters = {word.letter for word in words if word.letter}
    beside = {
        word.letter
        for at, word in enumerate(words)
        if word.letter and (alone or any(other.view or other.breast for other in _around(words, at)))
    }
    sides = full | beside
    if letters - sides or any(word.text in _BOTH_SIDES for word in words):
        sides = set()
    views = {word.view for word in words if word.view}
    if alone and not described:
        views = views or {word.text for word in words} & _ALSO_MODIFIERS
    return _one(sides), _one(views)


class _Word(NamedTuple):
    """A word of a text: the breast or view that it is for, by its full name or one or two letters."""

    text: str
    spelled: bool = False
    side: str = ""
    letter: str = ""
    view: str = ""
    breast: bool = False
    known: bool = False


def _words(text: str) -> list[_Word]:
    return [_word(each) for each in _WORDS.findall(text)]


def _word(text: str) -> _Word:
    spelled, text = text.startswith(_SPELLED), text.lstrip(_SPELLED)
    label = _LABEL.fullmatch(text)
    if label is not None:
        return _Word(text, spelled, side=(label["side"] or "")[:1], view=label["view"])
    return _Word(
        text,
        spelled,
        side=_SIDES.get(text, ""),
        letter=_LETTERS.get(text, ""),
        breast=text in _BREASTS,
        known=text in _KNOWN,
    )


def _is_no_view(word: _Word, words: list[_Word], at: int, described: bool) -> bool:
    """Whether what could be a view's name is a volume, or another abbreviation."""
    if not word.view or word.side or word.spelled:
        return False
    if word.view in _VOLUMES and at > 0 and words[at - 1].text.isdigit():
        return True
    named = any(other.side or other.letter or other.breast for other in _around(words, at))
    return described and word.view in _NEED_A_SIDE and not named


def _around(words: list[_Word], at: int) -> list[_Word]:
    return words[max(at - 1, 0) : at] + words[at + 1 : at + 2]


def _abbreviated(text: str, known: bool) -> str:
    """``text`` with the views that are spelled out as their abbreviations, marked."""
    text = " ".join(text.replace("_", " ").replace(_SPELLED, " ").split())
    for pattern, apart in _BREAST_APART:
        text = pattern.sub(apart, text)
    for pattern, name in _PHRASES:
        text = pattern.sub(f" {_SPELLED}{name} ", text)
    if _XCC_L.search(text) and (known or any(map(_names_breast, _words(_XCC_BREAST.sub(" ", text))))):
        text = _XCC_L.sub(" XCCL ", text)
    return text


def _names_breast(word: _Word) -> bool:
    return bool(word.side or word.letter) or word.text in _BOTH_SIDES


def _laterality(value: str) -> str:
    found = value.strip().upper()
    return BOTH if found in {BOTH, *_BOTH_SIDES} else _LETTERS.get(found, "") or _SIDES.get(found, "")


def _by_code(code: Coded) -> tuple[str, str]:
    """Breast and view by a view's code; by its meaning what the code does not tell."""
    side, view = read(code.meaning)
    return side, _VIEW_CODES.get(code.value.strip().upper(), "") or view


def _side_of_region(regions: tuple[Coded, ...]) -> str:
    coded = {_SIDE_CODES.get(region.value.strip().upper(), "") for region in regions} - {""}
    return _one(coded or {read(region.meaning)[0] for region in regions} - {""})


def _one(found: Iterable[str]) -> str:
    """What is found, if it is one; else ""."""
    different = {each for each in found if each}
    return different.pop() if len(different) == 1 else ""
