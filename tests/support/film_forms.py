"""One film in the forms that archives and media give it: other files, the same film."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from worker.engine.host import wait_for

DCMCJPLS = shutil.which("dcmcjpls")


def _implicit(film: FileDataset) -> None:
    film.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def _rle(film: FileDataset) -> None:
    film.compress(RLELossless, generate_instance_uid=False)


def _file_meta(film: FileDataset) -> None:
    film.preamble = b"II*\x00" + bytes(124)
    film.file_meta.ImplementationVersionName = "ARCHIVE"
    film.file_meta.SourceApplicationEntityTitle = "PACS"


def _private(film: FileDataset) -> None:
    film.private_block(0x0011, "AN ARCHIVE", create=True).add_new(1, "LO", "kept on tape")


def _empty(film: FileDataset) -> None:
    film.AccessionNumber = film.get("AccessionNumber", "") or ""
    film.PatientName = f"{film.PatientName}^^^"


FORMS: dict[str, Callable[[FileDataset], None]] = {
    "other file meta": _file_meta,
    "implicit": _implicit,
    "RLE": _rle,
    "a private element more": _private,
    "empty elements and components": _empty,
}
"""By what is different."""


def in_form(source: Path, name: str, target: Path) -> Path:
    """``source`` as another file of the same film."""
    film = dcmread(source)
    FORMS[name](film)
    target.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(target, enforce_file_format=True)
    return target


def as_jpeg_ls(source: Path, target: Path) -> Path:
    """``source`` in JPEG-LS lossless, by dcmtk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([str(DCMCJPLS), "+el", str(source), str(target)], check=True)
    return target


def in_big_endian(source: Path, target: Path) -> Path:
    """``source`` in Explicit VR Big Endian, by dcmtk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dcmconv", "+tb", str(source), str(target)], check=True)
    assert dcmread(target, stop_before_pixels=True).file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    return target


def through_archive(source: Path, folder: Path, *syntax: str) -> Path:
    """``source`` as dcmtk's storescp has stored it in ``folder``, sent to it over the network.

    Args:
        syntax: storescp's option for the transfer syntaxes that it takes.
    """
    folder.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    archive = subprocess.Popen(["storescp", *syntax, "--output-directory", str(folder), port])
    try:
        echo = ["echoscu", "127.0.0.1", port]
        assert wait_for(lambda: not subprocess.run(echo, check=False).returncode, 20)
        subprocess.run(["storescu", "127.0.0.1", port, str(source)], check=True)
    finally:
        archive.terminate()
        archive.wait()
    (stored,) = folder.iterdir()
    return stored


def with_other_pixels(source: Path, target: Path) -> Path:
    """``source`` with one pixel changed by one."""
    film = dcmread(source)
    assert film.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    pixels = bytearray(film.PixelData)
    pixels[len(pixels) // 2] ^= 1
    film.PixelData = bytes(pixels)
    target.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(target, enforce_file_format=True)
    return target
