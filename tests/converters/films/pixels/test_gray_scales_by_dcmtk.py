"""Every kind of gray scale, depth and sign, as dcmtk's dcm2pnm renders it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from converters.films.read import read_film
from converters.mias.pgm import read_graymap

SaveFilm = Callable[..., Path]
pytestmark = [
    pytest.mark.debian,
    pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="needs dcmtk's dcm2pnm"),
]

DEPTHS = [(8, 0), (10, 0), (12, 0), (12, 1), (14, 0), (14, 1), (16, 0), (16, 1)]
WINDOW, LUT = ("+Wi", "1"), ("+Wl", "1")


def _picture(bits: int, signed: int) -> np.ndarray:
    """All shades there are, dark ones most often, as they come in the bytes of a film."""
    ramp = np.linspace(0, 1, 64 * 96).reshape(64, 96) ** 1.5
    low = -(1 << (bits - 1)) if signed else 0
    values = np.rint(low + ramp * ((1 << bits) - 1)).astype(np.int64)
    return values.astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")


def _table(bits: int, first: int, size: int, vr: str, data: str) -> Dataset:
    """A curve of ``size`` entries of ``bits`` bits, from the value ``first`` on."""
    entries = np.rint(((1 << bits) - 1) * np.linspace(0, 1, size) ** 0.7).astype("<u2")
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [size % 65536, first, bits])
    packed = entries.astype("u1") if data == "packed" else entries
    item.add_new("LUTData", "OW", packed.tobytes() + b"\0" * (packed.nbytes % 2))
    if data == "US" and entries.nbytes < 1 << 16:  # what an explicit VR of its kind holds
        item.add_new("LUTData", "US", entries.tolist())
    return item


def _elements(kind: str, bits: int, signed: int) -> tuple[tuple[str, ...], dict[str, object]]:
    """What dcm2pnm is to do, and what the film says."""
    low, span = -(1 << (bits - 1)) if signed else 0, (1 << bits) - 1
    vr = "SS" if signed else "US"
    size = min(span + 1, 60000)
    table = {
        "LUT of words": lambda: _table(12, low, size, vr, "OW"),
        "LUT of numbers": lambda: _table(10, low, size, vr, "US"),
        "LUT of bytes": lambda: _table(8, low, size, vr, "packed"),
        "LUT of 16 bits": lambda: _table(16, low + span // 64, size - span // 64, vr, "OW"),
    }.get(kind)
    if table is not None:
        return LUT, {"VOILUTSequence": [table()], "WindowCenter": 1, "WindowWidth": 2}
    center, width = low + span * 0.45, span * 0.8
    elements: dict[str, object] = {"WindowCenter": round(center), "WindowWidth": round(width)}
    if kind == "SIGMOID":
        elements["VOILUTFunction"] = kind
    elif kind == "rescale":
        elements = {"RescaleSlope": 2, "RescaleIntercept": -100}
        elements |= {"WindowCenter": round(center * 2 - 100), "WindowWidth": round(width * 2)}
    elif kind == "modality LUT":
        elements = {"WindowCenter": 2000, "WindowWidth": 3600}
        elements["ModalityLUTSequence"] = [_table(12, low, size, vr, "OW")]
        elements["ModalityLUTSequence"][0].ModalityLUTType = "US"
    elif kind == "several windows":
        elements = {"WindowCenter": [round(center), 5], "WindowWidth": [round(width), 5]}
    return WINDOW, elements


KINDS = (
    "LINEAR",
    "SIGMOID",
    "rescale",
    "several windows",
    "modality LUT",
    "LUT of words",
    "LUT of numbers",
    "LUT of bytes",
    "LUT of 16 bits",
)


@pytest.mark.parametrize(("bits", "signed"), DEPTHS)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_agrees_with_dcmtk(
    save_film: SaveFilm, tmp_path: Path, bits: int, signed: int, photometric: str
) -> None:
    differences = {}
    for kind in KINDS:
        option, elements = _elements(kind, bits, signed)
        path = save_film(
            "film.dcm",
            _picture(bits, signed),
            BitsStored=bits,
            PhotometricInterpretation=photometric,
            PresentationLUTShape="INVERSE" if photometric == "MONOCHROME1" else "IDENTITY",
            **elements,
        )
        shown = tmp_path / "film.pgm"
        subprocess.run(["dcm2pnm", "+op", *option, path, shown], check=True, timeout=60)
        read = read_film(path)
        assert not any("stretched" in each or "shown by" in each for each in read.film.warnings), kind
        differences[kind] = float(np.abs(read.film.pixels - read_graymap(shown).pixels / 255).max())
    # dcm2pnm cuts off to 8 bits where we round to float32, and rounds after the rescale.
    assert {kind: each for kind, each in differences.items() if each > 1.5 / 255} == {}
