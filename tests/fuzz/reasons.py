"""Which reasons a kind of damage may cause: the codes of ``docs/reference/reasons.md``.

Never among them: that something was not expected, that memory ran out, that the file changed.
"""

from __future__ import annotations

_PIXELS = frozenset(
    {
        "transfer-syntax",
        "cut-short",
        "no-pixels",
        "pixel-length",
        "pixel-layout",
        "compressed-image",
        "gray-scale",
    }
)
_KIND = frozenset(
    {"not-a-mammogram", "sop-class", "tomosynthesis", "frames", "burned-in", "for-processing", "pixel-format"}
)
_HEADER = frozenset({"damaged-header", "too-costly", "no-uid", "cut-short"})
_OTHERS = frozenset({"spacing", "same-uid", "contested", "not-dicom", "damaged-file", "too-large"})
ANY = _PIXELS | _KIND | _HEADER | _OTHERS
"""What an element that is lost, or read as another, may lead to."""

MAY: dict[str, frozenset[str]] = {
    "pixels: length": _PIXELS | {"damaged-header"},
    "pixels: fragments": _PIXELS | {"too-costly"},
    "pixels: offset table": _PIXELS,
    "pixels: codestream": _PIXELS,
    "pixels: rle": _PIXELS,
    "pixels: stream damaged": _PIXELS,
    "pixels: end": _PIXELS,
    "pixels: jpeg": _PIXELS,
    "pixels: jpeg 2000": _PIXELS,
    "pixels: label": _PIXELS | {"damaged-header"},
    "image: size": _PIXELS | {"pixel-format", "spacing"},
    "image: bits": _PIXELS | {"pixel-format", "not-a-mammogram"},
    "image: spacing": frozenset({"spacing", "pixel-format"}),
    "image: window": frozenset({"gray-scale", "for-processing"}),
    "image: rescale": frozenset({"gray-scale"}),
    "image: LUT": frozenset({"gray-scale", "too-costly"}),
    "image: padding": frozenset({"gray-scale"}),
    "image: blank": frozenset({"gray-scale", "pixel-layout"}),
    "image: class": _KIND | {"no-uid"},
    "image: kind": _KIND | {"gray-scale"},
    "image: view": frozenset({"not-a-mammogram", "contested"}),
    "identity: UIDs": frozenset({"no-uid", "not-a-mammogram", "sop-class"}),
    "identity: same UID": frozenset({"same-uid"}),
    "identity: patient": frozenset({"contested"}),
    "identity: study": frozenset({"no-uid", "contested"}),
}
"""Of the kinds that are not here, any."""
