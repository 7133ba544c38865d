"""Texts of a DICOM header by the character set that it states, and by no other codec.

pydicom looks a term that it does not know up among Python's codecs, and these hold some that take
seconds for a name, unpack it, or call it something else ("idna", "zip", "unicode_escape"). Here only the
defined terms of PS3.3 C.12.1.1.2 decode, with the misspellings that are common.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydicom import charset

_UNSTATED = ""  # stands for ASCII (PS3.3 C.12.1.1.2); what is in such texts and not ASCII is mostly Latin 1

# Defined terms of Tables C.12-2 to C.12-5, and the escape sequences of C.12-3 and C.12-4, to Python's codecs.
# What pydicom 3 does not have of them: Latin 9, and that G0 of ISO 2022 IR 6 is ASCII.
_CODECS = {
    **charset.python_encoding,
    "ISO_IR 6": _UNSTATED,
    "ISO 2022 IR 6": _UNSTATED,
    "ISO_IR 203": "iso8859_15",
    "ISO 2022 IR 203": "iso8859_15",
}
del _CODECS[""]
_ESCAPES = {**charset.CODES_TO_ENCODINGS, b"\x1b(B": "ascii", b"\x1b-b": "iso8859_15"}
_UNESCAPED = frozenset(_CODECS[term] for term in ("ISO_IR 192", "GB18030", "GBK"))
_SELF_ESCAPED = frozenset({"iso2022_jp", "iso2022_jp_2"})  # Python's codecs want to see the escape
_TWO_BYTES_IN_G0 = (b"\x1b$B", b"\x1b$@", b"\x1b$(D")
_C1 = re.compile("[\x80-\x9f]")  # DICOM has none of them; Windows has quotation marks there
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
    # UTF-8 and GB18030 stand alone (PS3.3 C.12.1.1.2): readers pass over what is stated beside them.
    return terms[:1] if _CODECS.get(terms[0] if terms else "") in _UNESCAPED else terms


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
        # A label that is none mostly means UTF-8; what is valid as such is hardly anything else.
        text, is_utf8 = _decoded(value, "utf_8")
        return text if is_utf8 else value.decode("ascii", "replace"), False
    text, fits = _by_terms(value, terms)
    return text, fits and _C1.search(text) is None


def _by_terms(value: bytes, terms: Sequence[str]) -> tuple[str, bool]:
    codecs = [_CODECS.get(term, _UNSTATED) for term in terms] or [_UNSTATED]
    if b"\x1b" not in value or codecs[0] in _UNESCAPED:
        return _decoded(value, codecs[0])
    if value.count(b"\x1b") > _MOST_ESCAPES:
        return value.decode("ascii", "replace"), False
    texts: list[str] = []
    fits = True
    for fragment in _FRAGMENT.findall(value):
        text, right = _escaped(fragment, codecs)
        texts.append(text)
        fits &= right
    # A text ends in the character set that it began in (PS3.5 6.1.2.5.3).
    return "".join(texts), fits and not value[value.rindex(b"\x1b") :].startswith(_TWO_BYTES_IN_G0)


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
    if codec == _UNSTATED:
        return value.decode("latin_1"), value.isascii()
    try:
        return value.decode(codec), True
    except UnicodeDecodeError:
        return value.decode(codec, "replace"), False
