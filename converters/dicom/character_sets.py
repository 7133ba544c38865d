"""Texts of a DICOM header by the character set that it states, and by no other codec.

pydicom looks a term that it does not know up among Python's codecs, and these hold some that take
seconds for a name, unpack it, or call it something else ("idna", "zip", "unicode_escape"). Here only the
defined terms of PS3.3 C.12.1.1.2 decode, with the misspellings that are common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_DEFAULT = "latin_1"  # of a text without a stated character set: what is not ASCII is mostly this

# Defined Terms of Tables C.12-2 to C.12-5 and Python's names of them.
_CODECS = {
    "ISO_IR 6": _DEFAULT,
    "ISO_IR 13": "shift_jis",
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "tis_620",
    "ISO_IR 192": "utf_8",
    "ISO_IR 203": "iso8859_15",
    "ISO 2022 IR 6": _DEFAULT,
    "ISO 2022 IR 13": "shift_jis",
    "ISO 2022 IR 58": "gb2312",
    "ISO 2022 IR 87": "iso2022_jp",
    "ISO 2022 IR 100": "latin_1",
    "ISO 2022 IR 101": "iso8859_2",
    "ISO 2022 IR 109": "iso8859_3",
    "ISO 2022 IR 110": "iso8859_4",
    "ISO 2022 IR 126": "iso8859_7",
    "ISO 2022 IR 127": "iso8859_6",
    "ISO 2022 IR 138": "iso8859_8",
    "ISO 2022 IR 144": "iso8859_5",
    "ISO 2022 IR 148": "iso8859_9",
    "ISO 2022 IR 149": "euc_kr",
    "ISO 2022 IR 159": "iso2022_jp_2",
    "ISO 2022 IR 166": "tis_620",
    "ISO 2022 IR 203": "iso8859_15",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
# Escape sequences of Tables C.12-3 and C.12-4, longest first.
_ESCAPES = {
    b"\x1b$(D": "iso2022_jp_2",
    b"\x1b$)A": "gb2312",
    b"\x1b$)C": "euc_kr",
    b"\x1b$B": "iso2022_jp",
    b"\x1b(B": "ascii",
    b"\x1b(J": "shift_jis",
    b"\x1b)I": "shift_jis",
    b"\x1b-A": "latin_1",
    b"\x1b-B": "iso8859_2",
    b"\x1b-C": "iso8859_3",
    b"\x1b-D": "iso8859_4",
    b"\x1b-F": "iso8859_7",
    b"\x1b-G": "iso8859_6",
    b"\x1b-H": "iso8859_8",
    b"\x1b-L": "iso8859_5",
    b"\x1b-M": "iso8859_9",
    b"\x1b-T": "tis_620",
    b"\x1b-b": "iso8859_15",
}
_SELF_ESCAPED = frozenset({"iso2022_jp", "iso2022_jp_2"})  # Python's codecs want to see the escape
_FRAGMENT = re.compile(rb"\x1b?[^\x1b]*")
_DELIMITER = re.compile(rb"[\\^=\r\n\f\t]")
_MOST_TERMS = 16


def known_terms(stated: Sequence[str]) -> tuple[str, ...] | None:
    """The stated values of Specific Character Set (0008,0005) by their right spelling.

    Returns:
        The terms; an empty first one, which stands for ASCII, stays so. None if one of them is no defined
        term, or if there are more than the standard has.
    """
    terms = tuple(_corrected(term) for term in stated[: _MOST_TERMS + 1])
    if len(terms) > _MOST_TERMS or any(term not in _CODECS and (term or at) for at, term in enumerate(terms)):
        return None
    return terms


def _corrected(term: str) -> str:
    words = term.strip().upper()
    # "ISO-IR 100", "ISO IR 100", "ISO_2022_IR_100", "ISO-2022-IR-87": the misspellings that are seen.
    single = re.fullmatch(r"ISO.IR.?(\d+)", words)
    extension = re.fullmatch(r"ISO.2022.IR.(\d+)", words)
    if single:
        return f"ISO_IR {single[1]}"
    if extension:
        return f"ISO 2022 IR {extension[1]}"
    return {"ISO 2022 GBK": "GBK", "ISO 2022 58": "ISO 2022 IR 58"}.get(words, words)


_MOST_ESCAPES = 200
"""Escape sequences in one value; a name of 64 characters has no more."""


def decode(value: bytes, terms: Sequence[str] | None) -> tuple[str, bool]:
    """``value`` as text, and whether its bytes are possible in the character set.

    Args:
        terms: as `known_terms` gives them; none if the file states none; None if it states one that is not
            known.

    Returns:
        The text, with a replacement character for every byte that is not possible.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii"), True
    if terms is None:
        return value.decode("ascii", "replace"), False
    codecs = [_CODECS.get(term, _DEFAULT) for term in terms] or [_DEFAULT]
    if b"\x1b" not in value or codecs[0] in ("utf_8", "gb18030", "gbk"):
        return _decoded(value, codecs[0])
    if value.count(b"\x1b") > _MOST_ESCAPES:
        return value.decode("ascii", "replace"), False
    texts: list[str] = []
    fits = True
    for fragment in _FRAGMENT.findall(value):
        text, right = _escaped(fragment, codecs)
        texts.append(text)
        fits &= right
    return "".join(texts), fits


def _escaped(fragment: bytes, codecs: Sequence[str]) -> tuple[str, bool]:
    """A fragment that may start with an escape sequence; a delimiter ends that one's rule (PS3.5 6.1.2.5)."""
    if not fragment.startswith(b"\x1b"):
        return _decoded(fragment, codecs[0])
    escape = next((escape for escape in _ESCAPES if fragment.startswith(escape)), None)
    if escape is None:
        return _decoded(fragment[1:], codecs[0])[0], False
    codec = _ESCAPES[escape]
    if codec in _SELF_ESCAPED:
        return _decoded(fragment, codec)
    fragment = fragment[len(escape) :]
    delimiter = _DELIMITER.search(fragment)
    at = len(fragment) if delimiter is None else delimiter.start()
    first, right = _decoded(fragment[:at], codec)
    rest, also = _decoded(fragment[at:], codecs[0])
    return first + rest, right and also


def _decoded(value: bytes, codec: str) -> tuple[str, bool]:
    try:
        return value.decode(codec), True
    except UnicodeDecodeError:
        return value.decode(codec, "replace"), False
