"""From the bytes of a value to what it says, whatever value representation its label claims (PS3.5 clause 6).

What an element is to hold is known from the dictionary. The label tells how a writer may have put it there:
numbers in binary or in digits, texts by any name. Where the label and the bytes disagree, the bytes are
believed, as far as only one reading of them is possible.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import config
from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import IS, DSfloat, PersonName

from converters.dicom import character_sets

LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""Value representations with a length of 32 bits in explicit VR (PS3.5 7.1.2)."""
SHORT = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST"}
    | {"TM", "UI", "UL", "US"}
)
"""Those with a length of 16 bits."""

_NUMBERS = {"FD": "f8", "FL": "f4", "SL": "i4", "SS": "i2", "SV": "i8", "UL": "u4", "US": "u2", "UV": "u8"}
_ARRAYS = {"OD": "f8", "OF": "f4"}
_BINARY = frozenset({*_NUMBERS, *_ARRAYS, "AT", "OB", "OL", "OV", "OW", "SQ", "UN", ""})
"""What a number in binary may be labelled; "" is implicit VR. All else is a text's."""
_WORDS = frozenset({"SS", "US"})
_CHARACTER_SET = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ONE_VALUE = frozenset({"LT", "ST", "UR", "UT"})
_DECIMAL = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_DIGITS = re.compile(rb"[-+0-9.,eE\\ ]*[0-9][-+0-9.,eE\\ ]*\0?")  # texts are of even length
_DS_CHARACTERS = 16
_PADDING = " \0\t\r\n"


class FileText(DataElement):
    """A text of a file: decoded for people, and by its own bytes for copies.

    Attributes:
        raw: the value as the file has it, without padding at its end.
    """

    raw: bytes = b""


class FileNumber(DataElement):
    """Numbers of a file that are written in digits. What is no number among them stays a text.

    Attributes:
        commas: whether a number has a comma in place of the decimal point.
    """

    commas: bool = False


@dataclass(slots=True)
class Raw:
    """A value that is kept, still as bytes.

    Attributes:
        target: where its element goes.
        vr: what the dictionary says.
        stated: what the file says; "" if nothing that is known.
    """

    target: Dataset
    tag: int
    keyword: str
    vr: str
    stated: str
    value: bytes


def decoded(raw: Raw, order: str, terms: Sequence[str] | None, *, signed: bool) -> tuple[DataElement, bool]:
    """The data element of a value, and whether a text fits its character set.

    Args:
        order: of bytes, "<" or ">".
        terms: of the character set (`character_sets.known_terms`).
        signed: whether the pixels are, which elements "US or SS" are read like in implicit VR.
    """
    expected = raw.vr
    if raw.keyword == "LUTData":
        return _words(raw, order), True
    if " or " in expected:
        expected = "SS" if signed else "US"
        if raw.stated in _WORDS:
            expected = raw.stated
    if expected in _NUMBERS:
        return _binary(raw, order, expected), True
    if expected in ("DS", "IS"):
        found = None if _DIGITS.fullmatch(raw.value) else _numbers(raw, order, raw.stated)
        return found or _in_digits(raw, expected), True
    return _text(raw, expected, terms)


def number(text: str) -> DSfloat | None:
    """A number in digits; one with a comma is meant as with a point. None if it is none.

    A Decimal String has no other use for a comma (PS3.5 6.2): nothing groups its digits.
    """
    if not _DECIMAL.fullmatch(text):
        return None
    text = text.replace(",", ".")
    if len(text) <= _DS_CHARACTERS:
        return DSfloat(text, validation_mode=config.IGNORE)
    return DSfloat(float(text), auto_format=True, validation_mode=config.IGNORE)


def one_or_list(found: Sequence[object]) -> object:
    """``found`` as pydicom has the values of an element."""
    return found[0] if len(found) == 1 else list(found)


def split(text: str) -> list[str]:
    """The values of a text, without padding."""
    return [part.strip(" \0") for part in text.split("\\")]


def _words(raw: Raw, order: str) -> DataElement:
    """LUT Data as little endian words, whatever they are in the file."""
    value = raw.value
    if order == ">" and raw.stated in ("OW", "US", "SS"):
        value = np.frombuffer(value[: len(value) // 2 * 2], dtype=">u2").astype("<u2").tobytes()
    return DataElement(raw.tag, "OW", value, already_converted=True)


def _binary(raw: Raw, order: str, expected: str) -> DataElement:
    """Numbers of an element that is to have them in binary.

    What has the size that the standard gives it is read as the standard says, or as its label says; else it
    is taken for digits if it can be, then for words of 32 bits. What is none of these stays a text.
    """
    vm = dictionary_VM(raw.tag)
    count = int(vm) if vm.isdecimal() else 0
    size, is_word, is_binary = len(raw.value), expected in _WORDS, raw.stated in _BINARY
    kind = ""
    if is_word and is_binary and size == 2 * count:
        kind = expected
    elif raw.stated in _NUMBERS and (not is_word or size == int(_NUMBERS[raw.stated][1]) * count):
        kind = raw.stated
    elif not _DIGITS.fullmatch(raw.value):
        if is_word and is_binary and size == 4 * count:
            kind = "SL" if expected == "SS" else "UL"
        elif is_binary or size == 2 * count:
            kind = expected
    return _numbers(raw, order, kind) or _in_digits(raw, "DS")


def _numbers(raw: Raw, order: str, vr: str) -> DataElement | None:
    """The value as numbers of ``vr``; None if that has none, or they are of another size."""
    kind = _NUMBERS.get(vr) or _ARRAYS.get(vr)
    if kind is None or len(raw.value) % int(kind[1]):
        return None
    found = np.frombuffer(raw.value, dtype=np.dtype(f"{order}{kind}")).tolist()
    value = one_or_list(found) if found else None
    return DataElement(raw.tag, vr if vr in _NUMBERS else "FD", value, already_converted=True)


def _in_digits(raw: Raw, vr: str) -> FileNumber:
    """The value as numbers in digits; each ends with its padding or, as in C, at a NUL."""
    parts = [part.lstrip(_PADDING).partition("\0")[0] for part in raw.value.decode("latin_1").split("\\")]
    found = [
        _integer(part.rstrip(_PADDING)) if vr == "IS" else _decimal(part.rstrip(_PADDING)) for part in parts
    ]
    element = FileNumber(raw.tag, vr, one_or_list(found), already_converted=True)
    element.commas = any(
        "," in part and isinstance(value, float) for part, value in zip(parts, found, strict=True)
    )
    return element


def _decimal(text: str) -> object:
    """A Decimal String; one that is no number stays a text."""
    found = number(text)
    return text if found is None else found


def _integer(text: str) -> object:
    return IS(text, validation_mode=config.IGNORE) if _INTEGER.fullmatch(text) else _decimal(text)


def _text(raw: Raw, vr: str, terms: Sequence[str] | None) -> tuple[DataElement, bool]:
    value = raw.value.rstrip(b" \0")
    if vr in _CHARACTER_SET:
        text, fits = character_sets.decode(value, terms)
        shown: object = text.strip() if vr in _ONE_VALUE else one_or_list(split(text))
        if vr == "PN":
            # Without an encoding of its own pydicom writes the original bytes.
            shown = PersonName(text, None, value, config.IGNORE)
        element = FileText(raw.tag, vr, shown, already_converted=True)
        element.raw = value
        return element, fits
    text = value.decode("latin_1")
    parts = [text.strip()] if vr in _ONE_VALUE else split(text)
    found: list[object] = [UID(part, config.IGNORE) for part in parts] if vr == "UI" else list(parts)
    return DataElement(raw.tag, vr, one_or_list(found), already_converted=True), True
