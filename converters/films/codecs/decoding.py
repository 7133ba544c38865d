"""The decoders, some of them in a process of their own, whose limits hold for native code, too.

CharLS (JPEG-LS) goes on for minutes with some damaged images, and no check beforehand can tell which they
are. What GDCM (JPEG Lossless, JPEG of 12 bits) and OpenJPEG's part for High-Throughput JPEG 2000 do with
damaged images is not known as well as of the others, which come to an end by themselves.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.films.codecs import gdcm
from converters.films.codecs.gdcm import IncompleteError

GDCM = "gdcm"
"""In place of a transfer syntax: :func:`converters.films.codecs.gdcm.decode`."""

_BOOT = """
import json, sys
request = json.loads(sys.argv[1])
sys.path[:] = request["path"]
from converters.films.codecs.decoding import answer
answer(request)
"""

_SECONDS = 3
_PIXELS_PER_SECOND = 1 << 21  # a tenth of what the slowest of the decoders does
_BYTES = 2 << 30
_BYTES_PER_PIXEL = 32
_WALL = 20  # seconds for one of the processor's: machines are shared
_PR_SET_PDEATHSIG = 1
_INCOMPLETE = 3  # exit code


def decode(frame: bytes, syntax: str, options: dict[str, Any]) -> npt.NDArray[np.generic]:
    """Decode one frame, the compressed image without the items around it.

    Args:
        syntax: for pydicom's decoder of it; or `GDCM`.
        options: of pydicom's `Decoder.as_array`; or of `gdcm.decode`.

    Raises:
        Whatever the decoder does.
    """
    if syntax == GDCM:
        return gdcm.decode(frame, **options)
    # Only here: a process that GDCM decodes in starts in half the time without it.
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    found, _ = get_decoder(UID(syntax)).as_array(encapsulate([frame], has_bot=False), index=0, **options)
    return np.ascontiguousarray(found)


def decode_apart(frame: bytes, syntax: str, options: dict[str, Any]) -> npt.NDArray[np.generic]:
    """:func:`decode` in another process.

    Raises:
        IncompleteError: the decoder says that a part of the image is missing.
        ValueError: it cannot be decoded, or not within the time and memory that a whole image takes.
        OSError: there is no process for it.
    """
    pixels = options["rows"] * options["columns"]
    seconds = _SECONDS + pixels // _PIXELS_PER_SECOND
    limits = {"seconds": seconds, "bytes": _BYTES + _BYTES_PER_PIXEL * pixels}
    request = {"path": sys.path, "syntax": syntax, "options": options, **limits}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _BOOT, json.dumps(request)],
            input=frame,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"},
            timeout=_WALL * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError("its decoder does not come to an end") from error
    head, _, data = done.stdout.partition(b"\n")
    if done.returncode == _INCOMPLETE:
        raise IncompleteError("its decoder says that a part is missing")
    if done.returncode or not head:
        raise ValueError("its decoder failed")
    return np.frombuffer(data, dtype=np.dtype(head.decode())).reshape(options["rows"], options["columns"])


def answer(request: dict[str, Any]) -> None:
    """In the process: limit it, decode standard input, write the pixels' type and the pixels."""
    if sys.platform == "linux":  # none of these outlives the process that asked
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (request["bytes"], request["bytes"]))
    logging.disable()
    warnings.simplefilter("ignore")
    try:
        pixels = decode(sys.stdin.buffer.read(), request["syntax"], request["options"])
    except IncompleteError:
        sys.exit(_INCOMPLETE)
    sys.stdout.buffer.write(pixels.dtype.str.encode() + b"\n")
    sys.stdout.buffer.write(pixels.data)
    sys.stdout.buffer.flush()
