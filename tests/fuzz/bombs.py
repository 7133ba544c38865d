"""Small files that ask for much: by name, each a film whose header or pixels would fell a trusting reader.

    python -m tests.fuzz.bombs [--jobs J] [NAME ...]

puts them through as `target` does with a mutant, each in a limited child of its own, and prints what came
of each as a line of JSON. Exit code 1 if one took too much, raised what it may not, or harmed the good
film beside it.
"""

from __future__ import annotations

import argparse
import json
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from bcd_model.words import Film, FilmScan
from tests.fuzz import children
from tests.fuzz.children import each
from tests.fuzz.mutators import Mutant, _frame_header
from tests.fuzz.seeds import seed
from tests.fuzz.target import examine, prepare
from tests.support.film_tree import Element, FilmFile, Items, encode, nested, tree_of
from tests.support.mammograms import breast, mammogram, recoded
from tests.support.stand_in import StandIn

Bomb = Callable[[], bytes]
BOMBS: dict[str, Bomb] = {}

_VIEW, _PROCEDURES = 0x00540220, 0x00081032
"""Sequences of which one is read and one is copied into results."""
_EMPTY_ITEMS = 120_000


class PyramidScanner(StandIn):
    """Resamples each film as the scan does, by the spacing that it states."""

    def scan(self, film: Film, other: Film | None = None) -> FilmScan:
        from bcd_model.detector.pyramid import build_pyramid

        build_pyramid(film)
        return super().scan(film, other)


def _film(syntax: UID | None = None, **elements: object) -> FilmFile:
    film = mammogram(name="mutant", **elements)
    return tree_of(film if syntax is None else recoded(film, syntax))


# --- stated spacing: the scan resamples a film to millimetres ---


def _spaced(rows: int, columns: int, keyword: str, spacing: list[float]) -> bytes:
    """A film of some 100 KB that states a size of metres; each pixel of a small one, many times."""
    small = breast()
    pixels = small.repeat(-(-rows // 96), axis=0).repeat(-(-columns // 80), axis=1)[:rows, :columns]
    film = mammogram(np.ascontiguousarray(pixels), name="mutant", ImagerPixelSpacing=None)
    setattr(film, keyword, spacing)
    return encode(tree_of(recoded(film, JPEGLSLossless)))


for _rows, _columns in ((2048, 1664), (2800, 2300)):
    for _keyword in ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"):
        BOMBS[f"{_keyword} of 2 mm on {_rows} rows"] = partial(_spaced, _rows, _columns, _keyword, [2.0, 2.0])
BOMBS["pixels a hundred times as long as wide"] = partial(_spaced, 2048, 1664, "PixelSpacing", [2.0, 0.02])
BOMBS["48 rows of 65,535 pixels of 2 mm"] = partial(_spaced, 48, 65535, "PixelSpacing", [2.0, 2.0])
BOMBS["a film of no size"] = partial(_spaced, 2048, 1664, "PixelSpacing", [1e-300, 1e-300])
_SPACED = frozenset(BOMBS)


# --- codestreams: a decoder sets aside what they ask for ---


def _siz(stream: bytes, **fields: int) -> bytes:
    """A JPEG 2000 codestream with other values in its SIZ marker segment (ISO/IEC 15444-1 A.5.1)."""
    places = {
        "width": (8, "L"), "height": (12, "L"), "left": (16, "L"), "top": (20, "L"), "tile_width": (24, "L"),
        "tile_height": (28, "L"), "tile_left": (32, "L"), "tile_top": (36, "L"), "components": (40, "H"),
        "precision": (42, "B"), "x_step": (43, "B"), "y_step": (44, "B"),
    }  # fmt: skip
    data = bytearray(stream)
    for name, value in fields.items():
        at, form = places[name]
        struct.pack_into(f">{form}", data, at, value)
    return bytes(data)


def _components(stream: bytes, count: int, **fields: int) -> bytes:
    """``stream`` with a SIZ marker segment of ``count`` components, all like the first."""
    data = _siz(stream, components=count, **fields)
    length = struct.pack(">H", 38 + 3 * count)
    return data[:4] + length + data[6:42] + data[42:45] * count + data[45:]


def _decoy(syntax: UID, resized: Callable[[bytes], bytes], *, before: str) -> bytes:
    """The true codestream's header where no decoder looks; the decoder gets another size."""
    film = _film(syntax)
    fragments = film.fragments or []
    true = fragments[1]
    head = true[: 256 - 256 % 4]
    if before == "offset table":
        fragments[0], fragments[1] = head, resized(true)
    elif before == "comment":
        fragments[1] = true[:2] + b"\xff\xfe" + struct.pack(">H", len(head) + 2) + head + resized(true)[2:]
    else:
        fragments[1:2] = [head, resized(true)]
    return encode(film)


def _sof(stream: bytes, rows: int, columns: int) -> bytes:
    at = _frame_header(stream) or 0
    return stream[: at + 5] + struct.pack(">2H", rows, columns) + stream[at + 9 :]


for _where in ("offset table", "fragment"):
    BOMBS[f"JPEG 2000 behind a decoy in the {_where}"] = partial(
        _decoy, JPEG2000Lossless,
        partial(_siz, width=36000, height=36000, tile_width=36000, tile_height=36000),
        before=_where,
    )  # fmt: skip
for _syntax, _name in ((JPEGBaseline8Bit, "JPEG"), (JPEGLSLossless, "JPEG-LS")):
    for _where in ("offset table", "fragment", "comment"):
        BOMBS[f"{_name} behind a decoy in the {_where}"] = partial(
            _decoy, _syntax, partial(_sof, rows=65000, columns=65000), before=_where
        )


def _stated(syntax: UID, rows: int, columns: int, change: Callable[[bytes], bytes]) -> bytes:
    """A film whose header and codestream agree on a size that its bytes cannot hold."""
    film = _film(syntax)
    for keyword, value in (("Rows", rows), ("Columns", columns)):
        film.put(Element(tag_for_keyword(keyword) or 0, "US", struct.pack("<H", value)))
    fragments = film.fragments or []
    fragments[1] = change(fragments[1])
    return encode(film)


_J2K: dict[str, dict[str, int]] = {
    "a tile of 2^31": {"tile_width": 1 << 31, "tile_height": 1 << 31},
    "tiles of 1": {"tile_width": 1, "tile_height": 1},
    "16384 components": {"components": 16384},
    "65535 components": {"components": 65535},
    "a precision of 38 bits": {"precision": 37},
    "a precision of 128 bits": {"precision": 127},
    "an offset of 2^31": {"left": 1 << 31, "top": 1 << 31, "width": (1 << 31) + 80, "height": (1 << 31) + 96},
    "every 255th pixel": {"x_step": 255, "y_step": 255},
    "no step": {"x_step": 0, "y_step": 0},
    "2^32 - 1 rows": {"height": (1 << 32) - 1},
}
for _name, _fields in _J2K.items():
    BOMBS[f"JPEG 2000 of {_name}"] = partial(_stated, JPEG2000Lossless, 96, 80, partial(_siz, **_fields))
for _count in (1000, 16384):
    BOMBS[f"JPEG 2000 of {_count} components, each described"] = partial(
        _stated, JPEG2000Lossless, 2000, 2000,
        partial(_components, count=_count, width=2000, height=2000, tile_width=2000, tile_height=2000),
    )  # fmt: skip
BOMBS["JPEG 2000 of 60,000 tiles"] = partial(
    _stated, JPEG2000Lossless, 8000, 8000,
    partial(_siz, width=8000, height=8000, tile_width=33, tile_height=33),
)  # fmt: skip
BOMBS["JPEG 2000 of 132 million pixels in 3 KB"] = partial(
    _stated, JPEG2000Lossless, 11000, 12000,
    partial(_siz, width=12000, height=11000, tile_width=12000, tile_height=11000),
)  # fmt: skip
BOMBS["JPEG-LS of 132 million pixels in 3 KB"] = partial(
    _stated, JPEGLSLossless, 11000, 12000, partial(_sof, rows=11000, columns=12000)
)
BOMBS["JPEG of 132 million pixels in 3 KB"] = partial(
    _stated, JPEGBaseline8Bit, 11000, 12000, partial(_sof, rows=11000, columns=12000)
)


def _large(rows: int, columns: int, syntax: UID) -> bytes:
    """A film as large as any that is read, of a small one's pixels, each many times: a few hundred KB."""
    high, wide = -(-rows // 96), -(-columns // 80)
    pixels = breast().repeat(high, axis=0).repeat(wide, axis=1)[:rows, :columns]
    spacing = [240 / rows, 200 / columns]
    film = mammogram(np.ascontiguousarray(pixels), name="mutant", ImagerPixelSpacing=spacing)
    return encode(tree_of(recoded(film, syntax)))


for _side in (8190, 5477):
    for _name, _syntax in {
        "JPEG": JPEGBaseline8Bit,
        "JPEG-LS": JPEGLSLossless,
        "JPEG 2000": JPEG2000Lossless,
    }.items():
        BOMBS[f"{_name} of {_side} x {_side} pixels"] = partial(_large, _side, _side, _syntax)


# --- RLE: two bytes become 128 ---


def _rle(runs: int, segments: int = 1) -> bytes:
    film = _film(RLELossless)
    header = struct.pack("<16L", segments, *([64] * 15))
    film.fragments = [b"", header + b"\x81\xff" * runs]
    return encode(film)


BOMBS["RLE that runs on to 512 MB"] = partial(_rle, 4_000_000)
BOMBS["RLE of 15 segments of 64 MB"] = partial(_rle, 500_000, 15)
BOMBS["RLE of 4 billion segments"] = partial(_rle, 100, 0xFFFFFFFF)


def _fragments(count: int, *, table: int = 0) -> bytes:
    film = _film(RLELossless)
    parts = film.fragments or []
    film.fragments = [bytes(table), *([b""] * count), *parts[1:]]
    return encode(film)


BOMBS["300,000 empty fragments"] = partial(_fragments, 300_000)
BOMBS["an offset table of 100 MB"] = partial(_fragments, 0, table=100 << 20)


# --- elements without a bound ---


def _long(keyword: str, value: bytes, *, implicit: bool = True) -> bytes:
    """One long element; Explicit VR has no long LO, so that it is UN there (PS3.5 6.2.2)."""
    film = _film()
    tag = tag_for_keyword(keyword) or 0
    film.put(Element(tag, dictionary_VR(tag).split(" or ")[0], value))
    if implicit:
        film.syntax = ImplicitVRLittleEndian
        film.meta[-1:] = [each for each in film.meta[-1:] if each.tag != 0x00020010]
        film.meta = [e for e in film.meta if e.tag != 0x00020010]
        film.meta.insert(2, Element(0x00020010, "UI", str(ImplicitVRLittleEndian).encode()))
        film.meta.sort(key=lambda element: element.tag)
    return encode(film)


_MB30 = 30 << 20
BOMBS["a Patient ID of 30 MB"] = partial(_long, "PatientID", b"SECRET" * (_MB30 // 6))
BOMBS["a Patient ID of 30 MB in Explicit VR"] = partial(
    _long, "PatientID", b"SECRET" * (_MB30 // 6), implicit=False
)
BOMBS["a Patient ID of 15 million values"] = partial(_long, "PatientID", b"1\\" * (_MB30 // 2))
BOMBS["a Patient's Name of 30 MB"] = partial(_long, "PatientName", b"SECRET^" * (_MB30 // 7))
BOMBS["a Patient's Name of 10 million escapes"] = partial(_long, "PatientName", b"\x1b$B" * (_MB30 // 3))
BOMBS["15 million windows"] = partial(_long, "WindowCenter", b"1\\" * (_MB30 // 2))
BOMBS["15 million Image Types"] = partial(_long, "ImageType", b"A\\" * (_MB30 // 2))
BOMBS["a Study Description of 30 MB"] = partial(_long, "StudyDescription", b"x" * _MB30)
BOMBS["a Window Width of 30 MB"] = partial(_long, "WindowWidth", b"1" * _MB30)
BOMBS["a Character Set of 15 million values"] = partial(_long, "SpecificCharacterSet", b"\\\\" * (_MB30 // 2))
BOMBS["Rows of 15 million values"] = partial(_long, "Rows", bytes(_MB30))
BOMBS["a SOP Instance UID of 30 MB"] = partial(_long, "SOPInstanceUID", b"1." * (_MB30 // 2) + b"1")


def _large_elements(count: int, megabytes: int) -> bytes:
    """What packs a thousandfold: a zip of it is some hundred KB."""
    film = _film()
    for number in range(count):
        film.put(Element(0x00091010 + number, "OB", bytes(megabytes << 20)))
    return encode(film)


BOMBS["elements of 512 MB in all"] = partial(_large_elements, 16, 32)
BOMBS["an element of 512 MB"] = partial(_large_elements, 1, 512)


def _small_elements(count: int, *, meta: bool) -> bytes:
    film = _film()
    element = Element(0x00020013, "SH", b"x") if meta else Element(0x00091010, "SH", b"x")
    (film.meta if meta else film.body).extend([element] * count)
    film.body.sort(key=lambda each: each.tag)
    return encode(film)


BOMBS["a million small elements"] = partial(_small_elements, 1_000_000, meta=False)
BOMBS["a million elements of meta information"] = partial(_small_elements, 1_000_000, meta=True)


def _deflated(megabytes: int, *, what: str) -> bytes:
    film = _film()
    if what == "element":
        film.put(Element(0x00091010, "OB", bytes(megabytes << 20)))
    elif what == "pixels":
        film.pixels += bytes(megabytes << 20)
    else:
        film.put(Element(_PROCEDURES, "SQ", Items([[]], count=megabytes << 17)))
    film.syntax = DeflatedExplicitVRLittleEndian
    for element in film.meta:
        if element.tag == 0x00020010:
            element.value = str(DeflatedExplicitVRLittleEndian).encode()
    return encode(film)


def _promised(rows: int, columns: int, seed_name: str) -> bytes:
    """A film of a few KB whose header and codestream promise millions of pixels."""
    film = seed(seed_name).copy()
    for keyword, value in (("Rows", rows), ("Columns", columns)):
        film.put(Element(tag_for_keyword(keyword) or 0, "US", struct.pack("<H", value)))
    fragments = film.fragments or []
    if fragments[1].startswith(b"\xff\x4f"):
        fragments[1] = _siz(fragments[1], width=columns, height=rows, tile_width=columns, tile_height=rows)
    else:
        fragments[1] = _sof(fragments[1], rows, columns)
    return encode(film)


for _name in ("jpeg lossless 16", "jpeg process 14", "jpeg extended", "high throughput jpeg 2000"):
    for _rows, _columns in ((50_000, 50_000), (8190, 8190), (1000, 1040)):
        BOMBS[f"{_name} of {_rows} x {_columns} pixels in 8 KB"] = partial(_promised, _rows, _columns, _name)


for _what in ("element", "pixels", "items"):
    BOMBS[f"deflated {_what} of 256 MB"] = partial(_deflated, 256, what=_what)


# --- items and depth ---


def _items(tag: int, count: int, *, undefined: bool, inner: int = 0, empty: bool = True) -> bytes:
    film = _film()
    item = [] if empty else [Element(0x00080100, "SH", b"1")]
    items = Items([item], count=count, undefined=undefined)
    for _ in range(inner):
        items = Items([[Element(tag, "SQ", items)]], undefined=undefined)
    film.put(Element(tag, "SQ", items))
    return encode(film)


for _tag, _name in ((_VIEW, "View Code"), (_PROCEDURES, "Procedure Code"), (0x00091010, "private")):
    for _undefined in (False, True):
        _kind = f"{_name} items, {'un' if _undefined else ''}defined length"
        BOMBS[f"120,000 empty {_kind}"] = partial(_items, _tag, _EMPTY_ITEMS, undefined=_undefined)
        BOMBS[f"120,000 empty nested {_kind}"] = partial(
            _items, _tag, _EMPTY_ITEMS, undefined=_undefined, inner=3
        )
BOMBS["40,000 Procedure Code items of one element"] = partial(
    _items, _PROCEDURES, 40_000, undefined=False, empty=False
)


def _nested(tag: int, depth: int, *, undefined: bool, implicit: bool) -> bytes:
    film = _film()
    if implicit:
        film.syntax = ImplicitVRLittleEndian
        for element in film.meta:
            if element.tag == 0x00020010:
                element.value = str(ImplicitVRLittleEndian).encode()
    film.put(nested(tag, depth, undefined=undefined, implicit=implicit))
    return encode(film)


for _depth in (70, 700, 7000):
    for _tag, _name in ((_VIEW, "View Code"), (_PROCEDURES, "Procedure Code"), (0x00091010, "private")):
        for _undefined, _implicit in ((False, False), (True, False), (True, True)):
            _kind = f"{'un' if _undefined else ''}defined length, {'im' if _implicit else 'ex'}plicit"
            BOMBS[f"{_name} {_depth} deep, {_kind}"] = partial(
                _nested, _tag, _depth, undefined=_undefined, implicit=_implicit
            )


# --- grayscale ---


def _lut(tag: int, descriptor: tuple[int, int, int], data: bytes, *, vr: str = "OW", count: int = 1) -> bytes:
    film = _film()
    item = [Element(0x00283002, "US", struct.pack("<3H", *descriptor)), Element(0x00283006, vr, data)]
    film.put(Element(tag, "SQ", Items([item], count=count)))
    return encode(film)


for _tag, _name in ((0x00283010, "VOI LUT"), (0x00283000, "Modality LUT")):
    BOMBS[f"a {_name} of 65,536 entries that has none"] = partial(_lut, _tag, (0, 65535, 16), b"")
    BOMBS[f"a {_name} of 30 MB"] = partial(_lut, _tag, (0, 0, 16), bytes(_MB30))
    BOMBS[f"a {_name} of 15 million numbers"] = partial(_lut, _tag, (0, 0, 16), bytes(_MB30), vr="US")
    BOMBS[f"10,000 {_name}s"] = partial(_lut, _tag, (2, 0, 8), bytes(4), count=10_000)


def _numbers(**elements: str) -> bytes:
    film = _film()
    for keyword, value in elements.items():
        film.put(Element(tag_for_keyword(keyword) or 0, "DS", value.encode()))
    return encode(film)


for _slope, _intercept in (("1e308", "1e308"), ("1e308", "-1e308"), ("-1e308", "0"), ("1e-320", "1e308")):
    BOMBS[f"Rescale Slope {_slope}, Intercept {_intercept}"] = partial(
        _numbers, RescaleSlope=_slope, RescaleIntercept=_intercept
    )
BOMBS["a window of 1e308"] = partial(
    _numbers, RescaleSlope="1e300", RescaleIntercept="0", WindowCenter="1e308", WindowWidth="1e308"
)


_WHOLE = frozenset(name for name in BOMBS if name.endswith(" of 8190 x 8190 pixels"))
"""The largest films that are taken: they are read and shown as a whole."""
_WHOLE_SECONDS = 15.0  # also for those of a size of metres, which go through the scan's own resampling


def blast(names: Sequence[str], jobs: int) -> Iterator[dict[str, object]]:
    """What came of each bomb: name, size of the file, outcome, faults, why it was ended, seconds, bytes."""
    prepare()
    yield from _blast([name for name in names if name not in _SPACED | _WHOLE], jobs)
    children.SECONDS = _WHOLE_SECONDS
    yield from _blast([name for name in names if name in _WHOLE], jobs)
    # Only now: children of a process that has torch start slowly, and its import is no part of a bomb.
    import bcd_model.detector.pyramid  # noqa: F401

    yield from _blast([name for name in names if name in _SPACED], jobs)


def _blast(names: Sequence[str], jobs: int) -> Iterator[dict[str, object]]:
    def work(number: int) -> dict[str, object]:
        name = names[number]
        data = BOMBS[name]()
        scanner = PyramidScanner() if name in _SPACED else None
        bomb = Mutant(number, data, name, (), (), same_sop=False)
        return asdict(examine(bomb, thorough=True, scanner=scanner, twice=False)) | {"size": len(data)}

    for report in each(range(len(names)), work, jobs=jobs, fresh=True):
        result = report.result or {"size": None, "outcome": None, "faults": []}
        yield {
            "bomb": names[report.number],
            "size": result["size"],
            "outcome": result["outcome"],
            "faults": [": ".join(fault) for fault in result["faults"]],  # type: ignore[attr-defined]
            "ended": report.ended,
            "cpu": round(report.cpu, 2),
            "memory": report.memory,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each bomb; exit code 1 if one did harm."""
    parser = argparse.ArgumentParser(description="Small files that ask for much.")
    parser.add_argument("names", nargs="*", choices=[[], *BOMBS], metavar="NAME", help="by default all")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="children at the same time")
    options = parser.parse_args(arguments)
    harm = False
    for told in blast(options.names or list(BOMBS), options.jobs):
        harm = harm or bool(told["ended"] or told["faults"])
        print(json.dumps(told), flush=True)
    return 1 if harm else 0


if __name__ == "__main__":
    sys.exit(main())
