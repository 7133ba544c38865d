"""Values on and beyond the edge of what a VR may hold, as bytes (little endian)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

TEXT_VRS = (
    "AE",
    "AS",
    "CS",
    "DA",
    "DS",
    "DT",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "ST",
    "TM",
    "UC",
    "UI",
    "UR",
    "UT",
)

_NUMBERS = (
    "0", "-0", "1", "-1", "1e308", "-1e308", "1e309", "1e-320", "nan", "inf", "-inf", "0.5", "1e10", "2e9",
    "4294967296", "99999999999999999999", "0x10", "1_000", " 1 ", "1,5", "1.5.2", "+", "\u0663", "", "SECRET",
    "1e", "-32769", "65536", "1" * 16, "1" * 400, "0." + "0" * 300 + "1",
)  # fmt: skip
_TEXTS = (
    b"", b" ", b"\0", b"SECRET", b"SECRET^" + b"x" * 70, b"SECRET\\SECRET\\SECRET", b"\\", b"\\" * 300,
    b"SECRET\r\nSECRET", b"SECRET\x1b$B\x1b(B", b"\x1b$", b"\xff\xfe\xfd SECRET", "SECRET é ü 山".encode(),
    "SECRET é".encode("latin1"), b"SECRET\x00tail", b"\xc3", b"\xed\xa0\x80", "\u202eTERCES".encode(),
    b"<script>SECRET</script>", b"=SECRET", b"^^^^SECRET^^=a=b=c=d", b"../../SECRET", b"%s%n{0}SECRET",
    b"x" * 5000, b"SECRET" * 11000, b"\x7f\x01\x02\x03", b"a" * 1024 + b"\n", b"'\";--",
)  # fmt: skip
_UIDS = (
    b"", b"1", b".", b"1.", b".1", b"1..2", b"1.2.3", b"1.02.3", b"1." + b"2" * 62, b"1." + b"2" * 63,
    b"1." + b"2" * 300, b"1.2.a", b"SECRET", b"1.2\\1.3", b"1.2.3 ", b"1.2.3\n", b"1.2.-3", b"../../1.2",
    b"1.2.840.10008.1.2", b"1.2.840.10008.5.1.4.1.1.7", b"0.0", b"2.25." + b"9" * 39, "1.\uff12.3".encode(),
)  # fmt: skip
_DATES = (b"", b"00000000", b"19000230", b"99999999", b"2024-01-02", b"2024", b"20240102-20240103", b"SECRET")
_TIMES = (b"", b"240000", b"235960", b"99", b"030405.1234567", b"03:04:05", b"-1", b"SECRET", b"000000.")
_OFFSETS = (b"+9999", b"+0060", b"-2400", b"+14:00", b"Z", b"+1", b"")
_AGES = (b"", b"000Y", b"999Y", b"62", b"062X", b"-01Y", b"SECRET")
_CODES = (
    b"", b"YES", b"NO", b"yes ", b"L", b"R", b"B", b"U", b"l", b"MG", b"CR", b"OT", b"FOR PROCESSING",
    b"FOR PRESENTATION", b"MONOCHROME1", b"MONOCHROME2", b"RGB", b"PALETTE COLOR", b"INVERSE", b"IDENTITY",
    b"SIGMOID", b"LINEAR_EXACT", b"LINEAR", b"SECONDARY", b"DERIVED\\SECONDARY", b"ORIGINAL\\PRIMARY\\TOMO",
    b"A\\FR", b"P\\FL", b"AP\\HF", b"Z", b"MLO", b"CC", b"01", b"GENERATED_2D", b"SECRET", b"\xff", b"M" * 70,
)  # fmt: skip
_SHORTS = (
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    12,
    15,
    16,
    17,
    24,
    32,
    47,
    48,
    64,
    80,
    96,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
)
_LONGS = (0, 1, 2, 48, 96, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e38, 1e308, 1e-308, float("nan"), float("inf"), float("-inf"), 0.2)


def edge_value(vr: str, rng: random.Random) -> bytes:
    """A value for ``vr``: mostly on its edge, now and then something else altogether."""
    if rng.random() < 0.06:
        return rng.randbytes(rng.choice((1, 2, 3, 8, 100)))
    make = _MAKERS.get(vr)
    return make(rng) if make else rng.choice((b"", bytes(2), b"\xff" * 7, bytes(300), rng.randbytes(64)))


def _some(values: tuple[bytes, ...]) -> Callable[[random.Random], bytes]:
    def choose(rng: random.Random) -> bytes:
        return rng.choice(values if rng.random() < 0.85 else _TEXTS)

    return choose


def _numbers(rng: random.Random) -> bytes:
    count = rng.choice((1, 1, 1, 2, 2, 3, 40, 3000))
    if count == 3000:
        return b"\\".join([rng.choice(_NUMBERS[:20]).encode()] * count)
    return "\\".join(rng.choice(_NUMBERS) for _ in range(count)).encode()


def _packed(form: str, values: tuple[float, ...]) -> Callable[[random.Random], bytes]:
    def pack(rng: random.Random) -> bytes:
        count = rng.choice((0, 1, 1, 1, 1, 2, 3, 3, 500))
        return struct.pack(f"<{count}{form}", *(rng.choice(values) for _ in range(count)))

    return pack


def _packed_float(rng: random.Random) -> bytes:
    return struct.pack("<d", rng.choice(_FLOATS))


def _packed_single(rng: random.Random) -> bytes:
    value = rng.choice(_FLOATS)
    return struct.pack("<f", value) if abs(value) < 3e38 or value != value else struct.pack("<L", 0x7F800000)


_MAKERS: dict[str, Callable[[random.Random], bytes]] = {
    **dict.fromkeys(("LO", "SH", "PN", "LT", "ST", "UT", "UC", "UR", "AE"), _some(_TEXTS)),
    **dict.fromkeys(("DS", "IS"), _numbers),
    "CS": _some(_CODES),
    "UI": _some(_UIDS),
    "DA": _some(_DATES),
    "TM": _some(_TIMES),
    "DT": _some(_DATES + _TIMES),
    "AS": _some(_AGES),
    "US": _packed("H", _SHORTS),
    "SS": _packed("H", _SHORTS),
    "UL": _packed("L", _LONGS),
    "SL": _packed("L", _LONGS),
    "AT": _packed("H", _SHORTS),
    "FD": _packed_float,
    "FL": _packed_single,
}

OFFSETS = _OFFSETS

CHARACTER_SETS = (
    b"", b"\\", b"ISO_IR 6", b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"GBK", b"ISO 2022 IR 87",
    b"\\ISO 2022 IR 87\\ISO 2022 IR 159", b"ISO 2022 IR 58\\ISO 2022 IR 100", b"iso_ir 100", b"ISO-IR 100",
    b"ISO_IR 999", b"utf-8", b"utf_8", b"utf-16", b"utf-7", b"latin_1", b"rot13", b"rot_13", b"base64",
    b"hex", b"zlib", b"bz2", b"uu", b"quopri", b"idna", b"punycode", b"raw_unicode_escape", b"unicode_escape",
    b"undefined", b"mbcs", b"charmap", b"cp037", b"ISO_IR 100\\ISO_IR 192", b"ISO 2022 IR 100\\zlib",
    b"ISO_IR 100\\" * 200, b"SECRET", b"x" * 70, b"\xff\xfe", b"None", b"string_escape", b"utf-32", b"oem",
    b"ISO 2022 IR 87\\rot13", b"\\unicode_escape", b"iso2022_jp_2", b"ISO_IR 13",
)  # fmt: skip
